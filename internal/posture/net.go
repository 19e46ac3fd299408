package posture

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

func netLogic() []logic {
	return []logic{
		rule("MC-NET-001", groups, groupEgress),
		rule("MC-NET-002", groups, groupIngress),
		rule("MC-NET-003", groups, groupNotDefault),
		rule("MC-NET-004", subnets, subnetNoInternet),
		rule("MC-NET-005", subnets, subnetReachesS3),
		rule("MC-NET-006", endpoints, endpointPolicy),
		rule("MC-NET-007", vpcs, vpcFlowLogs),
		rule("MC-NET-011", subnets, subnetAttaches),
	}
}

// groups are the security groups that jobs name.
func groups(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		refs, gaps := r.refs(func(d *JobDetail) []string { return d.Groups })
		for _, ref := range refs {
			s := r.subject(TypeGroup, r.arn("ec2", "security-group/"+ref.id), ref.id, r.Groups[ref.id])
			s.Found, s.Jobs = ref.found, ref.jobs
			s.Values["group_id"] = ref.id
			gaps = append(gaps, s)
		}
		return gaps
	})
}

// subnetUse is a subnet that jobs name, with what is around it.
type subnetUse struct {
	id     string
	subnet Datum[*Subnet]
	region *Region
}

// subnets are the subnets that jobs name.
func subnets(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		refs, gaps := r.refs(func(d *JobDetail) []string { return d.Subnets })
		for _, ref := range refs {
			s := r.subject(TypeSubnet, r.arn("ec2", "subnet/"+ref.id), ref.id, subnetUse{ref.id, r.Subnets[ref.id], r})
			s.Found, s.Jobs = ref.found, ref.jobs
			s.Values["subnet_id"], s.Values["subnet_ids"] = ref.id, ref.id
			if subnet, ok := r.Subnets[ref.id].Read(); ok && subnet != nil {
				s.Values["vpc_id"] = subnet.VPC
			}
			gaps = append(gaps, s)
		}
		return gaps
	})
}

// vpcUse is a VPC with those of its subnets that jobs name.
type vpcUse struct {
	vpc     *VPC
	subnets []ref
	jobs    []string
}

// vpcUses are the VPCs of the subnets that the region's jobs name.
func (r *Region) vpcUses() ([]vpcUse, []Subject) {
	refs, gaps := r.refs(func(d *JobDetail) []string { return d.Subnets })
	byID := map[string]*vpcUse{}
	for _, ref := range refs {
		subnet, ok := r.Subnets[ref.id].Read()
		if !ok {
			if why := r.Subnets[ref.id].Why(); why != nil {
				gap := r.subject(TypeSubnet, r.arn("ec2", "subnet/"+ref.id), ref.id, nil)
				gap.why, gap.Jobs = why, ref.jobs
				gaps = append(gaps, gap)
			}
			continue
		}
		if subnet == nil || r.VPCs[subnet.VPC] == nil {
			continue
		}
		use, ok := byID[subnet.VPC]
		if !ok {
			use = &vpcUse{vpc: r.VPCs[subnet.VPC]}
			byID[subnet.VPC] = use
		}
		use.subnets = append(use.subnets, ref)
		use.jobs = append(use.jobs, ref.jobs...)
	}
	var uses []vpcUse
	for _, id := range sortedKeys(byID) {
		slices.Sort(byID[id].jobs)
		byID[id].jobs = slices.Compact(byID[id].jobs)
		uses = append(uses, *byID[id])
	}
	return uses, gaps
}

func vpcs(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		uses, gaps := r.vpcUses()
		for _, use := range uses {
			s := r.subject(TypeVPC, r.arn("ec2", "vpc/"+use.vpc.ID), use.vpc.ID, use)
			s.Found, s.Jobs = r.Subnets[use.subnets[0].id].Source(), use.jobs
			s.Values["vpc_id"] = use.vpc.ID
			gaps = append(gaps, s)
		}
		return gaps
	})
}

// endpoints are the S3 endpoints of the VPCs that jobs use.
func endpoints(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		uses, gaps := r.vpcUses()
		var told *Unread // one listing may be of several VPCs
		for _, use := range uses {
			l := use.vpc.Endpoints
			if l.Why != nil && l.Why == told {
				l.Why = nil
			} else if l.Why != nil {
				told = l.Why
			}
			found := listed(r, l, func(e *Endpoint) Subject {
				s := r.subject(TypeEndpoint, r.arn("ec2", "vpc-endpoint/"+e.ID), e.ID, e)
				s.Jobs = use.jobs
				if len(use.vpc.Endpoints.Pages) > 0 {
					s.Found = use.vpc.Endpoints.Pages[0]
				}
				s.Values["vpc_id"], s.Values["endpoint_id"] = use.vpc.ID, e.ID
				return s
			})
			gaps = append(gaps, found...)
		}
		return gaps
	})
}

func isWorld(cidr string) bool { return cidr == "0.0.0.0/0" || cidr == "::/0" }

func open(rules []GroupRule) []string {
	var found []string
	for _, rule := range rules {
		for _, cidr := range rule.CIDRs {
			if isWorld(cidr) && !slices.Contains(found, cidr) {
				found = append(found, cidr)
			}
		}
	}
	return found
}

func groupEgress(t *Trial, s Subject, d Datum[*SecurityGroup]) Outcome {
	g := Need(t, d)
	if g == nil {
		return Skipped("security group %s does not exist: see MC-JOB-003", s.Name)
	}
	if cidrs := open(g.Egress); len(cidrs) > 0 {
		return Failed("security group %s lets jobs send to %s", g.ID, strings.Join(cidrs, " and ")).With("egress", g.Egress)
	}
	return Passed("security group %s has no rule that sends to the world", g.ID).With("egress", g.Egress)
}

func groupIngress(t *Trial, s Subject, d Datum[*SecurityGroup]) Outcome {
	g := Need(t, d)
	if g == nil {
		return Skipped("security group %s does not exist: see MC-JOB-003", s.Name)
	}
	if cidrs := open(g.Ingress); len(cidrs) > 0 {
		return Failed("security group %s lets %s in", g.ID, strings.Join(cidrs, " and ")).With("ingress", g.Ingress)
	}
	return Passed("security group %s lets nobody in from the world", g.ID).With("ingress", g.Ingress)
}

func groupNotDefault(t *Trial, s Subject, d Datum[*SecurityGroup]) Outcome {
	g := Need(t, d)
	if g == nil {
		return Skipped("security group %s does not exist: see MC-JOB-003", s.Name)
	}
	if g.Name == "default" {
		return Failed("security group %s is the default group of %s", g.ID, g.VPC).With("groupName", g.Name)
	}
	return Passed("security group %s (%s) is not a default group", g.ID, g.Name).With("groupName", g.Name)
}

// routes is the route table that governs a subnet: its own, or else the VPC's main one.
func routes(t *Trial, u subnetUse) (*VPC, *RouteTable) {
	subnet := Need(t, u.subnet)
	if subnet == nil {
		panic(stopped{Skipped("subnet %s does not exist: see MC-JOB-003", u.id)})
	}
	vpc := u.region.VPCs[subnet.VPC]
	if vpc == nil {
		vpc = &VPC{ID: subnet.VPC} // nobody collected it: NeedAll says so
	}
	var main *RouteTable
	for _, table := range NeedServed(t, vpc.RouteTables, "ec2:DescribeRouteTables") {
		if slices.Contains(table.Subnets, u.id) {
			return vpc, table
		}
		if table.Main {
			main = table
		}
	}
	if main == nil {
		why := &Unread{Source: vpc.RouteTables.source(), Code: CodeMalformed, Message: "no route table governs subnet " + u.id}
		panic(stopped{Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}})
	}
	return vpc, main
}

func (l List[T]) source() Source {
	if len(l.Pages) == 0 {
		return Source{}
	}
	return l.Pages[0]
}

// wide are destinations that a subnet uses for everything else.
func wide(destination string) bool {
	switch destination {
	case "0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "2000::/3":
		return true
	}
	return false
}

// toInternet says that a route leads out: any route to an internet, egress-only, NAT or carrier gateway, and a default
// route to anything.
func toInternet(route Route) bool {
	if route.State != "active" || route.Target == "local" {
		return false
	}
	for _, prefix := range []string{"igw-", "eigw-", "nat-", "cagw-"} {
		if strings.HasPrefix(route.Target, prefix) {
			return true
		}
	}
	return wide(route.Destination)
}

func subnetNoInternet(t *Trial, _ Subject, u subnetUse) Outcome {
	_, table := routes(t, u)
	for _, route := range table.Routes {
		if toInternet(route) {
			return Failed("subnet %s has a way to the internet: %s sends %s to %s", u.id, table.ID, route.Destination, route.Target).With("routes", table.Routes)
		}
	}
	return Passed("subnet %s has no way to the internet in %s", u.id, table.ID).With("routes", table.Routes)
}

func subnetReachesS3(t *Trial, _ Subject, u subnetUse) Outcome {
	vpc, table := routes(t, u)
	var seen []string
	for _, e := range vpc.Endpoints.Items {
		if e.State != "available" {
			continue
		}
		seen = append(seen, e.ID)
		if e.Type == "Gateway" && slices.Contains(e.RouteTables, table.ID) || e.Type == "Interface" && e.PrivateDNS {
			for _, page := range vpc.Endpoints.Pages {
				t.saw(page)
			}
			return Passed("subnet %s reaches Amazon S3 through %s", u.id, e.ID).With("endpoint", e.ID)
		}
	}
	NeedServed(t, vpc.Endpoints, "ec2:DescribeVpcEndpoints")
	return Failed("subnet %s has no S3 endpoint: no gateway endpoint on %s, no interface endpoint with private DNS", u.id, table.ID).With("endpoints", seen)
}

// CodeNeedsEvaluator marks an ERROR of a rule that only an IAM policy evaluator could decide; accepted by default.
const CodeNeedsEvaluator = "NeedsPolicyEvaluator"

func endpointPolicy(t *Trial, s Subject, e *Endpoint) Outcome {
	var doc struct {
		Statement statements
	}
	if err := json.Unmarshal([]byte(e.Policy), &doc); err != nil {
		why := &Unread{Source: s.Found, Code: CodeMalformed, Message: "the policy document of " + e.ID + " is not JSON"}
		return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
	}
	allows := slices.DeleteFunc(slices.Clone(doc.Statement), func(m map[string]any) bool { return m["Effect"] != "Allow" })
	switch {
	case len(allows) == 0:
		return Passed("the policy of endpoint %s allows nothing", e.ID).With("policy", json.RawMessage(e.Policy))
	case len(doc.Statement) == 1 && isFullAccess(doc.Statement[0]):
		return Failed("the policy of endpoint %s is AWS's default: everybody may do everything", e.ID).With("policy", json.RawMessage(e.Policy))
	}
	why := &Unread{Source: s.Found, Code: CodeNeedsEvaluator, Message: "the policy of " + e.ID + " needs a policy evaluator"}
	return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
}

// statements reads IAM's "Statement", which is one object or a list.
type statements []map[string]any

// UnmarshalJSON takes an object as a list of one.
func (s *statements) UnmarshalJSON(b []byte) error {
	var many []map[string]any
	if err := json.Unmarshal(b, &many); err == nil {
		*s = many
		return nil
	}
	var one map[string]any
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*s = statements{one}
	return nil
}

// isFullAccess says that a statement is that of AWS's default endpoint policy.
// Source: AWS PrivateLink guide, "Control access to VPC endpoints using endpoint policies".
func isFullAccess(statement map[string]any) bool {
	rest := maps.Clone(statement)
	delete(rest, "Sid")
	if p, ok := rest["Principal"].(map[string]any); ok && len(p) == 1 && p["AWS"] == "*" {
		rest["Principal"] = "*"
	}
	return len(rest) == 4 && rest["Effect"] == "Allow" && rest["Principal"] == "*" && rest["Action"] == "*" && rest["Resource"] == "*"
}

func vpcFlowLogs(t *Trial, _ Subject, u vpcUse) Outcome {
	full := map[string]bool{}
	for _, log := range u.vpc.FlowLogs.Items {
		if log.Status == "ACTIVE" && log.Traffic == "ALL" {
			full[log.Resource] = true
		}
	}
	var lacking []string
	for _, subnet := range u.subnets {
		if !full[subnet.id] {
			lacking = append(lacking, subnet.id)
		}
	}
	if full[u.vpc.ID] || len(lacking) == 0 {
		for _, page := range u.vpc.FlowLogs.Pages {
			t.saw(page)
		}
		return Passed("flow logs of %s record all traffic", u.vpc.ID)
	}
	NeedServed(t, u.vpc.FlowLogs, "ec2:DescribeFlowLogs")
	return Failed("no active flow log records all traffic of %s, nor of %s", u.vpc.ID, strings.Join(lacking, ", "))
}

func subnetAttaches(t *Trial, _ Subject, u subnetUse) Outcome {
	subnet := Need(t, u.subnet)
	if subnet == nil {
		return Skipped("subnet %s does not exist: see MC-JOB-003", u.id)
	}
	vpc := u.region.VPCs[subnet.VPC]
	if vpc == nil {
		vpc = &VPC{ID: subnet.VPC}
	}
	least := t.Int("min_free_addresses")
	return All(t,
		func() Outcome {
			if subnet.Free < least {
				return Failed("subnet %s has %d free addresses, fewer than %d", u.id, subnet.Free, least)
			}
			return Passed("subnet %s has %d free addresses", u.id, subnet.Free)
		},
		func() Outcome {
			if !Need(t, vpc.DNSSupport) {
				return Failed("%s has no DNS support", vpc.ID)
			}
			return Passed("")
		},
		func() Outcome {
			if !Need(t, vpc.DNSHostnames) {
				return Failed("%s has no DNS host names", vpc.ID)
			}
			return Passed("")
		},
	).With("freeAddresses", subnet.Free)
}
