package posture

import (
	"net/netip"
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
	shared  *Unread // another account's: its endpoints and flow logs are not known
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
		if use.shared == nil {
			use.shared = r.shared(ref.id)
		}
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
			if use.shared != nil {
				gap := r.subject(TypeVPC, r.arn("ec2", "vpc/"+use.vpc.ID), use.vpc.ID, nil)
				gap.why, gap.Jobs = use.shared, use.jobs
				gaps = append(gaps, gap)
				continue
			}
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
				return s
			})
			gaps = append(gaps, found...)
		}
		return gaps
	})
}

func groupEgress(t *Trial, s Subject, d Datum[*SecurityGroup]) Outcome {
	g := Need(t, d)
	if g == nil {
		return Skipped("security group %s does not exist: see MC-JOB-003", s.Name)
	}
	if cidrs := open(t, s.region(), g.Egress); len(cidrs) > 0 {
		return Failed("security group %s lets jobs send to %s", g.ID, several(cidrs)).With("egress", g.Egress)
	}
	return Passed("security group %s has no rule that sends to the world", g.ID).With("egress", g.Egress)
}

func groupIngress(t *Trial, s Subject, d Datum[*SecurityGroup]) Outcome {
	g := Need(t, d)
	if g == nil {
		return Skipped("security group %s does not exist: see MC-JOB-003", s.Name)
	}
	if cidrs := open(t, s.region(), g.Ingress); len(cidrs) > 0 {
		return Failed("security group %s lets %s in", g.ID, several(cidrs)).With("ingress", g.Ingress)
	}
	return Passed("security group %s lets nobody in from the world", g.ID).With("ingress", g.Ingress)
}

// open are those CIDRs of a group's rules, all together, that are as good as the world; nil if they are not.
func open(t *Trial, r *Region, rules []GroupRule) []netip.Prefix {
	var cidrs []netip.Prefix
	var lists []string
	for _, rule := range rules {
		cidrs, lists = append(cidrs, rule.CIDRs...), append(lists, rule.Prefixes...)
	}
	return worldOf(t, r, cidrs, lists)
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
	if why := u.region.shared(u.id); why != nil {
		panic(stopped{unreadOutcome(why)})
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
		why := &Unread{Source: *vpc.RouteTables.source(), Code: CodeMalformed, Message: "no route table governs subnet " + u.id}
		panic(stopped{unreadOutcome(why)})
	}
	return vpc, main
}

// CodeOtherAccount marks an ERROR of what another account owns and this one cannot read.
const CodeOtherAccount = "OtherAccount"

// shared says why a subnet's surroundings are not known when another account shares it: the routes, endpoints and flow logs
// are the owner's.
// Source: VPC guide, "Share your VPC subnets with other accounts".
func (r *Region) shared(subnet string) *Unread {
	d := r.Subnets[subnet]
	s, ok := d.Read()
	if !ok || s == nil || s.Owner == r.Account.ID {
		return nil
	}
	return &Unread{Source: *d.Source(), Code: CodeOtherAccount, Message: "subnet " + subnet + " belongs to account " + s.Owner + ", whose network is not read"}
}

func unreadOutcome(why *Unread) Outcome {
	return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
}

func (l List[T]) source() *Source {
	if len(l.Pages) == 0 {
		return &Source{}
	}
	return l.Pages[0]
}

// toInternet says that a route leads to an internet, egress-only, NAT or carrier gateway.
func toInternet(route Route) bool {
	return slices.ContainsFunc([]string{"igw-", "eigw-", "nat-", "cagw-"}, func(prefix string) bool { return strings.HasPrefix(route.Target, prefix) })
}

// subnetNoInternet fails a route to a gateway, and routes to anything outside the VPC that together lead to the world: what
// their targets do with it is not known. A Gateway Load Balancer's endpoint (vpce-) is such a target too.
func subnetNoInternet(t *Trial, _ Subject, u subnetUse) Outcome {
	_, table := routes(t, u)
	var cidrs []netip.Prefix
	var lists []string
	for _, route := range table.Routes {
		switch cidr, err := netip.ParsePrefix(route.Destination); {
		case route.State != "active" || route.Target == "local":
		case toInternet(route):
			return Failed("subnet %s has a way to the internet: %s sends %s to %s", u.id, table.ID, route.Destination, route.Target).With("routes", table.Routes)
		case err == nil:
			cidrs = append(cidrs, cidr)
		default:
			lists = append(lists, route.Destination)
		}
	}
	if world := worldOf(t, u.region, cidrs, lists); len(world) > 0 {
		return Failed("subnet %s has a way to the internet: %s sends %s out of the VPC", u.id, table.ID, several(world)).With("routes", table.Routes)
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
		if e.Type == "Gateway" && slices.Contains(e.RouteTables, table.ID) || e.Type == "Interface" && e.PrivateDNS && !e.InboundOnly {
			for _, page := range vpc.Endpoints.Pages {
				t.saw(page)
			}
			return Passed("subnet %s reaches Amazon S3 through %s", u.id, e.ID).With("endpoint", e.ID)
		}
	}
	NeedServed(t, vpc.Endpoints, "ec2:DescribeVpcEndpoints")
	return Failed("subnet %s has no S3 endpoint: no gateway endpoint on %s, no interface endpoint with private DNS for the VPC", u.id, table.ID).With("endpoints", seen)
}

func vpcFlowLogs(t *Trial, _ Subject, u vpcUse) Outcome {
	if u.shared != nil {
		return unreadOutcome(u.shared)
	}
	full := map[string]bool{}
	for _, log := range u.vpc.FlowLogs.Items {
		if log.Status == "ACTIVE" && log.Traffic == "ALL" && log.Delivery != "FAILED" {
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
	return Failed("no flow log that is active and delivers records all traffic of %s, nor of %s", u.vpc.ID, strings.Join(lacking, ", "))
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
