package vpc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/store"
	"example.com/cloister/internal/vpc"
)

// counter is randomness that repeats itself: ids are numbers.
type counter struct {
	mu sync.Mutex // guards n
	n  uint64
}

func (c *counter) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	clear(p)
	binary.BigEndian.PutUint64(p[len(p)-8:], c.n<<4) // an id has all but the last half byte
	return len(p), nil
}

// plane is a data plane that remembers what it was told.
type plane struct {
	mu    sync.Mutex // guards all below
	calls []string   // "apply vpc-1", in order
	vpcs  map[string]netns.VPC
	fail  map[string]error // by the call's first word
}

func (p *plane) note(call string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
	word, _, _ := strings.Cut(call, " ")
	return p.fail[word]
}

func (p *plane) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := p.calls
	p.calls = nil
	return calls
}

func (p *plane) setFail(call string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = map[string]error{call: err}
}

func (p *plane) vpc(id string) netns.VPC {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.vpcs[id]
}

func (p *plane) Apply(_ context.Context, v netns.VPC) error {
	if err := p.note("apply " + v.ID); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.vpcs == nil {
		p.vpcs = map[string]netns.VPC{}
	}
	p.vpcs[v.ID] = v
	return nil
}

func (p *plane) Attach(_ context.Context, vpc string, i netns.Interface) error {
	return p.note("attach " + vpc + " " + i.ID + " " + i.Addr.String() + " " + strings.Join(i.Groups, ","))
}

func (p *plane) Detach(_ context.Context, vpc, id string) (netns.Reading, error) {
	return netns.Reading{Full: true}, p.note("detach " + vpc + " " + id)
}

func (p *plane) SetGroups(_ context.Context, vpc, id string, _ []string) error {
	return p.note("groups " + vpc + " " + id)
}

func (p *plane) Cut(_ context.Context, vpc, id string) error { return p.note("cut " + vpc + " " + id) }

func (p *plane) Flows(_ context.Context, vpc string) (netns.Reading, error) {
	return netns.Reading{}, p.note("flows " + vpc)
}

func (p *plane) Drop(_ context.Context, vpc string) error { return p.note("drop " + vpc) }

// gate is an authorizer that refuses the actions that it names.
type gate struct{ refuse []string }

func (g *gate) Authorize(_ context.Context, a cloister.Access) error {
	if slices.Contains(g.refuse, a.Action) {
		return cloister.Errorf("AccessDeniedException", "no %s on %s", a.Action, a.Resource)
	}
	return nil
}

// rig is a service on the real store with a fake data plane and a clock that a test moves.
type rig struct {
	*vpc.Service
	t     *testing.T
	ctx   context.Context //nolint:containedctx // the one call of a test
	db    *store.DB
	plane *plane
	gate  *gate
	now   time.Time

	mu   sync.Mutex // guards last
	last []string
	log  bytes.Buffer
}

const (
	account = cloister.DefaultAccount
	region  = cloister.DefaultRegion
)

func in(ctx context.Context, region cloister.Region) context.Context {
	return cloister.WithCall(ctx, cloister.Call{RequestID: "r", Principal: cloister.RootPrincipal(account), Region: region, Secure: true})
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := openRig(t)
	r.t = t
	return r
}

// newFuzzRig is a rig without helpers that end a test.
func newFuzzRig(f *testing.F) *rig {
	f.Helper()
	return openRig(f)
}

func openRig(tb testing.TB) *rig {
	tb.Helper()
	db, err := store.Open(tb.Context(), filepath.Join(tb.TempDir(), "cloister.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	r := &rig{ctx: in(tb.Context(), region), db: db, plane: &plane{}, gate: &gate{}, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.Service = r.service(r.plane)
	return r
}

// service is another service on the same database, as after a restart.
func (r *rig) service(p vpc.DataPlane) *vpc.Service {
	return vpc.New(vpc.Config{
		Account: account, Store: r.db.VPC(), Auth: r.gate, Plane: p, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Now: func() time.Time { return r.now }, Rand: &counter{n: uint64(r.now.UnixNano())},
		Last: func(_ context.Context, id string, reading netns.Reading) {
			if reading.Full {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.last = append(r.last, id)
			}
		},
	})
}

// ok is a result without its error, which must not be.
func ok[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	if cloister.Code(err) != code || !strings.Contains(cloister.Message(err), text) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, text)
	}
}

func (r *rig) newVPC(cidr string) string {
	r.t.Helper()
	out := ok[*ec2.CreateVpcOutput](r.t)(r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String(cidr)}))
	return *out.Vpc.VpcId
}

func (r *rig) newSubnet(vpc, cidr string) string {
	r.t.Helper()
	out := ok[*ec2.CreateSubnetOutput](r.t)(r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String(cidr)}))
	return *out.Subnet.SubnetId
}

func (r *rig) newGroup(vpc, name string) string {
	r.t.Helper()
	out := ok[*ec2.CreateSecurityGroupOutput](r.t)(r.CreateSecurityGroup(r.ctx, &ec2.CreateSecurityGroupInput{VpcId: &vpc, GroupName: &name, Description: aws.String("d")}))
	return *out.GroupId
}

func (r *rig) mainTable(vpc string) string {
	r.t.Helper()
	out := ok[*ec2.DescribeRouteTablesOutput](r.t)(r.DescribeRouteTables(r.ctx, &ec2.DescribeRouteTablesInput{Filters: filters("vpc-id", vpc, "association.main", "true")}))
	return *out.RouteTables[0].RouteTableId
}

func (r *rig) newTable(vpc string) string {
	r.t.Helper()
	return *ok[*ec2.CreateRouteTableOutput](r.t)(r.CreateRouteTable(r.ctx, &ec2.CreateRouteTableInput{VpcId: &vpc})).RouteTable.RouteTableId
}

func (r *rig) newEndpoint(vpc string, tables ...string) string {
	r.t.Helper()
	out := ok[*ec2.CreateVpcEndpointOutput](r.t)(r.CreateVpcEndpoint(r.ctx, &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3"), RouteTableIds: tables}))
	return *out.VpcEndpoint.VpcEndpointId
}

// filters are name, value pairs.
func filters(pairs ...string) []types.Filter {
	var out []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Filter{Name: &pairs[i], Values: []string{pairs[i+1]}})
	}
	return out
}

// site is a VPC in which a job can run.
type site struct{ vpc, subnet, group, table, endpoint string }

func (r *rig) newSite(cidr, subnet string) site {
	r.t.Helper()
	s := site{vpc: r.newVPC(cidr)}
	s.subnet, s.group, s.table = r.newSubnet(s.vpc, subnet), r.newGroup(s.vpc, "job"), r.mainTable(s.vpc)
	s.endpoint = r.newEndpoint(s.vpc, s.table)
	return s
}

func (s site) job(id string) vpc.JobNetwork {
	return vpc.JobNetwork{JobID: id, JobARN: "arn:job:" + id, Account: account, Region: region, Subnets: []string{s.subnet}, Groups: []string{s.group}}
}

// jobText is the text of a JobError.
func jobText(err error) string {
	if e, ok := errors.AsType[*vpc.JobError](err); ok {
		return e.Text
	}
	return ""
}

// permission is one permission to a block, a group or a prefix list.
func permission(protocol string, from, to int32, target string) []types.IpPermission {
	p := types.IpPermission{IpProtocol: &protocol}
	if protocol != "-1" {
		p.FromPort, p.ToPort = &from, &to
	}
	switch {
	case strings.HasPrefix(target, "sg-"):
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: &target}}
	case strings.HasPrefix(target, "pl-"):
		p.PrefixListIds = []types.PrefixListId{{PrefixListId: &target}}
	case strings.Contains(target, ":"):
		p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: &target}}
	default:
		p.IpRanges = []types.IpRange{{CidrIp: &target}}
	}
	return []types.IpPermission{p}
}

func boolean(v bool) *types.AttributeBooleanValue { return &types.AttributeBooleanValue{Value: &v} }

func (r *rig) nowFunc() func() time.Time { return func() time.Time { return r.now } }

// serviceFor is another service on the same database, with another authorizer.
func (r *rig) serviceFor(auth cloister.Authorizer) *vpc.Service {
	return vpc.New(vpc.Config{Account: account, Store: r.db.VPC(), Auth: auth, Plane: r.plane, Now: r.nowFunc(), Rand: &counter{n: 1 << 50}})
}
