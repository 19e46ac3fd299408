package vpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
)

// JobNetwork is what a job asks for.
type JobNetwork struct {
	JobID, JobARN   string
	Account         cloister.AccountID
	Region          cloister.Region
	Subnets, Groups []string
}

// Attachment is what a job got.
type Attachment struct {
	// Interface, VPC and Subnet are ids.
	Interface, VPC, Subnet string
	Zone                   string // the zone's id, such as use1-az1
	// Addr is the interface's address, Router its subnet's first one.
	Addr, Router netip.Addr
	// Endpoint is the address of the S3 endpoint; the zero Addr if none can be reached.
	Endpoint   netip.Addr
	EndpointID string
	// Resolver is the VPC's resolver; the zero Addr if the VPC has no DNS.
	Resolver   netip.Addr
	RouteTable string
	// Weaker says in sentences what is weaker than it should be, for the job's isolation report.
	Weaker []string
}

// JobError says why a job cannot be attached, for its failureMessage.
type JobError struct{ Text string }

func (e *JobError) Error() string { return e.Text }

func jobError(format string, args ...any) error { return &JobError{fmt.Sprintf(format, args...)} }

// quarantine is how long an address is not given to another job: longer than connections of the old one can be remembered
// (conntrack's five minutes of an established connection here).
const quarantine = 6 * time.Minute

// Check says whether subnets and groups can be named together in a job: they exist, in one VPC. The error is a
// cloister.Error with code ValidationException that names the id.
func (s *Service) Check(ctx context.Context, region cloister.Region, subnets, groups []string) error {
	p := Place{s.account, region}
	rows, version, err := s.store.Load(ctx, p)
	if err != nil {
		return err
	}
	n, err := readNetwork(p, rows, version)
	if err != nil {
		return err
	}
	_, err = n.check(subnets, groups)
	return err
}

// check finds the VPC of subnets and groups.
func (n *network) check(subnets, groups []string) (vpc string, err error) {
	if len(subnets) == 0 || len(groups) == 0 {
		return "", cloister.Errorf("ValidationException", "A VPC configuration needs at least one subnet and one security group.")
	}
	same := func(id, of string) error {
		if vpc == "" {
			vpc = of
		}
		if of != vpc {
			return cloister.Errorf("ValidationException", "%s is in %s, and %s is in %s: the subnets and security groups of a job must be in one VPC.", id, of, subnets[0], vpc)
		}
		return nil
	}
	for _, id := range subnets {
		sub, ok := n.subnets.find(id)
		if !ok {
			return "", cloister.Errorf("ValidationException", "The subnet %s does not exist in %s.", id, n.Region)
		}
		if err := same(id, sub.VPC); err != nil {
			return "", err
		}
	}
	for _, id := range groups {
		g, ok := n.groups.find(id)
		if !ok {
			return "", cloister.Errorf("ValidationException", "The security group %s does not exist in %s.", id, n.Region)
		}
		if err := same(id, g.VPC); err != nil {
			return "", err
		}
	}
	return vpc, nil
}

// Attach makes the interface of a job in the first of its subnets that has a free address, and then in the data plane. The
// error is a *JobError where the network's owner can do something about it. What an earlier call of the same job left is
// detached first. Nothing is left on error.
func (s *Service) Attach(ctx context.Context, j JobNetwork) (Attachment, error) {
	if s.plane == nil {
		return Attachment{}, jobError("IsolationUnavailable: this server has no data plane for VPCs. Run `cloister doctor` on it")
	}
	if j.Account != s.account {
		return Attachment{}, fmt.Errorf("attach job %s: account %s is not this server's", j.JobID, j.Account)
	}
	if err := s.Detach(ctx, j.JobID); err != nil {
		return Attachment{}, err
	}
	a, err := s.reserve(ctx, j)
	if err != nil {
		return Attachment{}, err
	}
	err = s.plane.Attach(ctx, a.VPC, netns.Interface{ID: a.Interface, Subnet: a.Subnet, Addr: a.Addr, Groups: appendNew(nil, j.Groups...)})
	if err != nil {
		return Attachment{}, errors.Join(fmt.Errorf("attach %s: %w", a.Interface, err), s.Detach(context.WithoutCancel(ctx), j.JobID))
	}
	return a, nil
}

// reserve stores the interface, and has the data plane open its VPC.
func (s *Service) reserve(ctx context.Context, j JobNetwork) (Attachment, error) {
	var a Attachment
	p := Place{j.Account, j.Region}
	done, err := s.turn(ctx, p)
	if err != nil {
		return a, err
	}
	defer done()
	err = s.changeNow(ctx, p, nil, func(n *network) error {
		vpc, err := n.check(j.Subnets, j.Groups)
		if err != nil { // it was there when the job was made
			return jobError("IsolationUnavailable: %s", cloister.Message(err))
		}
		sub, addr, err := n.choose(j.Subnets)
		if err != nil {
			return err
		}
		t, e := n.tableOf(sub), n.endpointOf(sub)
		if e == nil {
			return jobError("S3EndpointUnreachable: no S3 gateway endpoint in route table %s of %s. Make one with `aws ec2 create-vpc-endpoint --vpc-id %s --service-name %s --route-table-ids %s`, or add the table to the one that there is",
				t.ID, sub.ID, vpc, s3Service(n.Region), t.ID)
		}
		if err := n.reachesS3(j.Groups); err != nil {
			return err
		}
		ids, err := s.newIDs("eni", "eni-attach")
		if err != nil {
			return err
		}
		n.interfaces.add(&interfaceRes{
			base: base{ID: ids[0], Created: s.now(), Tags: map[string]string{"BedrockManaged": "true", "BedrockModelCustomizationJobArn": j.JobARN}},
			VPC:  vpc, Subnet: sub.ID, Job: j.JobID, JobARN: j.JobARN, Attachment: ids[1], Addr: addr, Groups: appendNew(nil, j.Groups...),
		})
		a = Attachment{
			Interface: ids[0], VPC: vpc, Subnet: sub.ID, Zone: sub.ZoneID, Addr: addr, Router: nth(sub.CIDR, 1), Endpoint: s3Address(), EndpointID: e.ID, RouteTable: t.ID,
		}
		if v, ok := n.vpcs.find(vpc); ok && v.DNS {
			a.Resolver = nth(v.CIDR, 2)
		}
		return nil
	})
	return a, err
}

// choose finds the first subnet with a free address.
func (n *network) choose(subnets []string) (*subnetRes, netip.Addr, error) {
	for _, id := range subnets {
		sub, ok := n.subnets.find(id)
		if !ok {
			continue
		}
		if addr, ok := n.take(sub); ok {
			return sub, addr, nil
		}
	}
	return nil, netip.Addr{}, jobError("SubnetAddressesExhausted: no free address in %s. Addresses of ended jobs are free again after %d minutes; name a larger subnet, or more of them",
		strings.Join(subnets, ", "), int(quarantine.Minutes()))
}

// reachesS3 refuses groups none of which lets a job reach the endpoint.
func (n *network) reachesS3(groups []string) error {
	list := s3ListID(n.Region)
	for _, id := range groups {
		g, ok := n.groups.find(id)
		if ok && slices.ContainsFunc(g.Rules, func(r ruleRes) bool { return r.allowsS3(list) }) {
			return nil
		}
	}
	have := "has"
	if len(groups) > 1 {
		have = "have"
	}
	return jobError("SecurityGroupEgressBlocked: %s %s no egress to %s port %d. Allow it with `aws ec2 authorize-security-group-egress --group-id %s --ip-permissions IpProtocol=tcp,FromPort=%d,ToPort=%d,PrefixListIds=[{PrefixListId=%s}]`",
		strings.Join(groups, ", "), have, list, s3Port, groups[0], s3Port, s3Port, list)
}

// Detach ends a job's interface: in the data plane, then in the store; its address is quarantined for 6 minutes, and a VPC
// without interfaces has no network any more. It is idempotent, also after a crash.
func (s *Service) Detach(ctx context.Context, jobID string) error {
	interfaces, err := s.interfaces(ctx, func(i *interfaceRes) bool { return i.Job == jobID })
	if err != nil {
		return err
	}
	for p, list := range interfaces {
		for _, i := range list {
			if err := s.detach(ctx, p, i); err != nil {
				return fmt.Errorf("detach %s: %w", i.ID, err)
			}
		}
	}
	return nil
}

// Cut ends the connections of a job's interface. A job without an interface is a cloister.Error with code ConflictException.
func (s *Service) Cut(ctx context.Context, jobID string) error {
	interfaces, err := s.interfaces(ctx, func(i *interfaceRes) bool { return i.Job == jobID })
	if err != nil {
		return err
	}
	if len(interfaces) == 0 || s.plane == nil {
		return cloister.Errorf("ConflictException", "The job %s has no network interface: it does not run.", jobID)
	}
	for _, list := range interfaces {
		for _, i := range list {
			if err := s.plane.Cut(ctx, i.VPC, i.ID); err != nil {
				return fmt.Errorf("cut %s: %w", i.ID, err)
			}
		}
	}
	return nil
}

// interfaces are those of all regions that match.
func (s *Service) interfaces(ctx context.Context, match func(*interfaceRes) bool) (map[Place][]*interfaceRes, error) {
	rows, err := s.store.Kind(ctx, s.account, kindInterface)
	if err != nil {
		return nil, err
	}
	out := map[Place][]*interfaceRes{}
	for _, row := range rows {
		var i *interfaceRes
		if err := json.Unmarshal(row.Doc, &i); err != nil {
			return nil, fmt.Errorf("decode %s: %w", row.ID, err)
		}
		if match(i) {
			out[row.Place] = append(out[row.Place], i)
		}
	}
	return out, nil
}

func (s *Service) detach(ctx context.Context, p Place, i *interfaceRes) error {
	if s.plane != nil {
		reading, err := s.plane.Detach(ctx, i.VPC, i.ID)
		if err != nil {
			return err
		}
		s.last(ctx, i.ID, reading)
	}
	done, err := s.turn(ctx, p)
	if err != nil {
		return err
	}
	defer done()
	return s.changeNow(ctx, p, nil, func(n *network) error {
		s.forget(n, i)
		if s.plane == nil || n.live(i.VPC) {
			return nil
		}
		return s.plane.Drop(ctx, i.VPC) // before the row is gone, so that it is tried again if it fails
	})
}

// forget removes an interface and holds its address.
func (s *Service) forget(n *network, i *interfaceRes) {
	if _, ok := n.interfaces.find(i.ID); !ok {
		return
	}
	n.interfaces.remove(i.ID)
	n.flowLogs.removeIf(func(f *FlowLog) bool { return f.Resource == i.ID })
	id := holdID(i.VPC, i.Addr)
	n.holds.remove(id)
	n.holds.add(&holdRes{base: base{ID: id, Created: s.now()}, Until: s.now().Add(quarantine)})
}

// A hold's id is the VPC's and the address.
func holdID(vpc string, addr netip.Addr) string { return vpc + "/" + addr.String() }

func heldIn(h *holdRes, vpc string) bool { return strings.HasPrefix(h.ID, vpc+"/") }

func heldAddr(h *holdRes, vpc string) (netip.Addr, bool) {
	text, ok := strings.CutPrefix(h.ID, vpc+"/")
	if !ok {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}

// release lets go of the addresses whose quarantine has ended.
func (n *network) release(now time.Time) {
	n.holds.removeIf(func(h *holdRes) bool { return !h.Until.After(now) })
}

// Recover removes the interfaces that an earlier process left in the store: they ended with it. Their addresses are
// quarantined. Call it at start, before jobs run.
func (s *Service) Recover(ctx context.Context) error {
	regions, err := s.store.Regions(ctx, s.account)
	if err != nil {
		return err
	}
	for _, region := range regions {
		p := Place{s.account, region}
		done, err := s.turn(ctx, p)
		if err != nil {
			return err
		}
		left := 0
		err = s.changeNow(ctx, p, nil, func(n *network) error {
			left = len(n.interfaces.items)
			for _, i := range slices.Clone(n.interfaces.items) {
				s.forget(n, i)
			}
			return nil
		})
		done()
		if err != nil {
			return fmt.Errorf("recover the networks of %s: %w", region, err)
		}
		if left > 0 {
			s.log.InfoContext(ctx, "removed the interfaces of jobs of an earlier process", slog.String("region", string(region)), slog.Int("interfaces", left))
		}
	}
	return nil
}
