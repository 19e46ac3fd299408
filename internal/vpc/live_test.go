package vpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/vpc"
)

func sameValues() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

// TestPlan has what the data plane is told of a VPC, group by group and subnet by subnet.
func TestPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	r.newSite("10.30.0.0/16", "10.30.1.0/24") // nothing of it may show
	bare := r.newSubnet(s.vpc, "10.20.2.0/24")
	table := r.newTable(s.vpc)
	ok[*ec2.AssociateRouteTableOutput](t)(r.AssociateRouteTable(r.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &bare}))
	list := *ok[*ec2.DescribeManagedPrefixListsOutput](t)(r.DescribeManagedPrefixLists(r.ctx, &ec2.DescribeManagedPrefixListsInput{})).PrefixLists[0].PrefixListId
	for _, p := range []struct {
		protocol string
		from, to int32
		source   string
	}{{"tcp", 80, 90, "10.0.0.0/8"}, {"17", 53, 53, s.group}, {"icmp", 8, -1, list}, {"50", 0, 0, "0.0.0.0/0"}, {"-1", 0, 0, "192.0.2.1/32"}} {
		ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: permission(p.protocol, p.from, p.to, p.source)}))
	}
	ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	got := r.plane.vpc(s.vpc)
	groups := got.Groups
	got.Groups = nil
	subnets := []netns.Subnet{{ID: s.subnet, CIDR: netip.MustParsePrefix("10.20.1.0/24"), Endpoint: true}, {ID: bare, CIDR: netip.MustParsePrefix("10.20.2.0/24")}}
	if s.subnet > bare {
		subnets[0], subnets[1] = subnets[1], subnets[0]
	}
	want := netns.VPC{
		ID: s.vpc, CIDRs: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}, Subnets: subnets,
		Lists:    []netns.PrefixList{{ID: list, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/28")}}},
		Endpoint: netip.MustParseAddr("198.18.0.2"), Names: []string{"s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"},
	}
	if diff := cmp.Diff(want, got, sameValues()); diff != "" {
		t.Errorf("VPC (-want +got):\n%s", diff)
	}
	if len(groups) != 2 {
		t.Fatalf("groups %v, want the default one and the job's", groups)
	}
	group := groups[0]
	if group.ID != s.group {
		group = groups[1]
	}
	wantGroup := netns.Group{
		ID: s.group, Egress: []netns.Rule{{Protocol: -1, From: -1, To: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")}},
		Ingress: []netns.Rule{
			{Protocol: 6, From: 80, To: 90, CIDR: netip.MustParsePrefix("10.0.0.0/8")},
			{Protocol: 17, From: 53, To: 53, Group: s.group},
			{Protocol: 1, From: 8, To: -1, List: list},
			{Protocol: 50, From: -1, To: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")},
			{Protocol: -1, From: -1, To: -1, CIDR: netip.MustParsePrefix("192.0.2.1/32")},
		},
	}
	if diff := cmp.Diff(wantGroup, group, sameValues()); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
}

// TestLiveChanges wants the data plane to have a change of a live VPC before the call returns, and no change kept that it
// refuses.
func TestLiveChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	r.plane.take()
	quiet := r.newVPC("10.40.0.0/16")
	ok[*ec2.CreateTagsOutput](t)(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{s.vpc, s.group}, Tags: tags("a", "b")}))
	r.newSubnet(quiet, "10.40.1.0/24")
	if calls := r.plane.take(); len(calls) != 0 {
		t.Errorf("what no job notices was applied: %v", calls)
	}
	r.newSubnet(s.vpc, "10.20.2.0/24")
	authorize := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: permission("tcp", 22, 22, "10.0.0.0/8")}
	ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(r.ctx, authorize))
	ok[*ec2.ModifyVpcAttributeOutput](t)(r.ModifyVpcAttribute(r.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &s.vpc, EnableDnsSupport: boolean(false)}))
	if diff := cmp.Diff([]string{"apply " + s.vpc, "apply " + s.vpc, "apply " + s.vpc}, r.plane.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	broken := errors.New("nft is gone")
	r.plane.setFail("apply", broken)
	authorize.IpPermissions = permission("tcp", 23, 23, "10.0.0.0/8")
	if _, err := r.AuthorizeSecurityGroupIngress(r.ctx, authorize); !errors.Is(err, broken) || cloister.Code(err) != "" {
		t.Errorf("a change that was not applied: %v", err)
	}
	if calls := r.plane.take(); len(calls) != 2 {
		t.Errorf("calls %v, want the change and its reversal", calls)
	}
	rules := ok[*ec2.DescribeSecurityGroupRulesOutput](t)(r.DescribeSecurityGroupRules(r.ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: filters("group-id", s.group)})).SecurityGroupRules
	for _, rule := range rules {
		if *rule.FromPort == 23 {
			t.Error("the change was kept")
		}
	}
	_, err := r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.3.0/24"), DryRun: aws.Bool(true)})
	wantCode(t, "a dry run", err, "DryRunOperation", "")
	if calls := r.plane.take(); len(calls) != 0 {
		t.Errorf("a dry run was applied: %v", calls)
	}
}

// slow is a store on which another server was faster, some times.
type slow struct {
	vpc.Store
	mu    sync.Mutex // guards times
	times int
}

func (s *slow) Save(ctx context.Context, p vpc.Place, version int64, put []vpc.Row, remove []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.times > 0 {
		s.times--
		return vpc.ErrStale
	}
	return s.Store.Save(ctx, p, version, put, remove)
}

// TestTwoServers share a database: both changes are kept, and what overlaps is refused to one of them.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.newVPC("10.20.0.0/16")
	r.now = r.now.Add(1e9) // other ids
	second := r.service(&plane{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for i := range 16 {
		svc := r.Service
		if i%2 == 1 {
			svc = second
		}
		wg.Go(func() {
			_, err := svc.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &v, CidrBlock: aws.String(fmt.Sprintf("10.20.%d.0/24", i/2))})
			mu.Lock()
			defer mu.Unlock()
			codes[cloister.Code(err)]++
		})
	}
	wg.Wait()
	if codes[""] != 8 || codes["InvalidSubnet.Conflict"] != 8 {
		t.Errorf("16 subnets, two of each: %v, want 8 made and 8 conflicts", codes)
	}
}

// TestStaleIsTriedAgain: an edit that lost is made again on the newer state, and given up in the end.
func TestStaleIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	store := &slow{Store: r.db.VPC(), times: 2}
	r.now = r.now.Add(1e9)
	svc := vpc.New(vpc.Config{Account: account, Store: store, Auth: r.gate, Plane: r.plane, Now: r.nowFunc(), Rand: &counter{n: 1 << 40}})
	if _, err := svc.Attach(r.ctx, s.job("one")); err != nil {
		t.Fatal(err)
	}
	calls := r.plane.take()
	if want := []string{"apply " + s.vpc, "drop " + s.vpc, "apply " + s.vpc, "drop " + s.vpc, "apply " + s.vpc}; !cmp.Equal(want, calls[:5]) {
		t.Errorf("calls %v, want %v first", calls, want)
	}
	store.times = 1000
	if _, err := svc.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}); !errors.Is(err, vpc.ErrStale) {
		t.Errorf("a change that always loses: %v", err)
	}
}

// TestAttachMany attaches jobs at once: every one has an address of its own.
func TestAttachMany(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[netip.Addr]bool{}
	for i := range 40 {
		wg.Go(func() {
			a, err := r.Attach(r.ctx, s.job(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[a.Addr] {
				t.Errorf("job %d: %s, %v", i, a.Addr, err)
			}
			seen[a.Addr] = true
		})
	}
	wg.Wait()
	for i := range 40 {
		wg.Go(func() {
			if err := r.Detach(r.ctx, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	calls := r.plane.take()
	if calls[len(calls)-1] != "drop "+s.vpc {
		t.Errorf("the last call is %s, want the VPC dropped", calls[len(calls)-1])
	}
}
