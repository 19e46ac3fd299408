package collect

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister/internal/posture"
)

// filterValues is the most values that one filter takes.
// Source: Amazon EC2 API Reference, "Filter".
const filterValues = 200

// readNetwork reads the networks that the region's jobs name. Subnets and groups are asked for by filter, not by id: an id
// that does not exist is then simply not in the answer.
func (g *region) readNetwork(ctx context.Context) {
	subnets, groups := map[string]bool{}, map[string]bool{}
	vpc := g.inv.Jobs.Why != nil // some may have been in one
	for _, j := range g.inv.Jobs.Items {
		d, ok := j.Detail.Read()
		if !ok {
			vpc = true // it may have been in one
			continue
		}
		vpc = vpc || d.HasVPC
		for _, id := range d.Subnets {
			subnets[id] = true
		}
		for _, id := range d.Groups {
			groups[id] = true
		}
	}
	all(
		func() { g.readSubnets(ctx, slices.Sorted(maps.Keys(subnets))) },
		func() { g.readGroups(ctx, slices.Sorted(maps.Keys(groups))) },
		func() {
			g.inv.Interfaces.Collected = g.Wanted["ec2:DescribeNetworkInterfaces"]
			if vpc {
				g.inv.Interfaces = g.listInterfaces(ctx)
			}
		},
	)
	g.readVPCs(ctx)
	g.readPrefixLists(ctx)
}

func filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

func (g *region) readSubnets(ctx context.Context, ids []string) {
	for chunk := range slices.Chunk(ids, filterValues) {
		found := g.listSubnets(ctx, []types.Filter{filter("subnet-id", chunk...)})
		spread(g.inv.Subnets, chunk, found, func(s *posture.Subnet) string { return s.ID })
	}
}

func (g *region) listSubnets(ctx context.Context, filters []types.Filter) posture.List[*posture.Subnet] {
	in := &ec2.DescribeSubnetsInput{Filters: filters}
	return list(ctx, g, "ec2:DescribeSubnets", "", g.ec2.DescribeSubnets, in,
		func(in *ec2.DescribeSubnetsInput, token *string) { in.NextToken = token },
		func(out *ec2.DescribeSubnetsOutput, _ *posture.Source) ([]*posture.Subnet, *string, error) {
			var t taker
			var subnets []*posture.Subnet
			for _, s := range out.Subnets {
				zone := aws.ToString(s.AvailabilityZoneId)
				if zone == "" {
					zone = t.str("availabilityZone", s.AvailabilityZone)
				}
				if s.AvailableIpAddressCount == nil {
					t.fail("the answer lacks availableIpAddressCount")
				}
				subnets = append(subnets, &posture.Subnet{
					ID: t.str("subnetId", s.SubnetId), VPC: t.str("vpcId", s.VpcId), Owner: t.str("ownerId", s.OwnerId), Zone: zone,
					Free: int(aws.ToInt32(s.AvailableIpAddressCount)),
				})
			}
			return subnets, out.NextToken, t.err
		})
}

// spread gives each id what a listing says of it: its record, that it does not exist, or why it is not known.
func spread[T any](into map[string]posture.Datum[*T], ids []string, found posture.List[*T], id func(*T) string) {
	if !found.Collected {
		return
	}
	source := &found.Source
	if len(found.Pages) > 0 {
		source = found.Pages[0]
	}
	for _, one := range ids {
		i := slices.IndexFunc(found.Items, func(item *T) bool { return id(item) == one })
		switch {
		case i >= 0:
			into[one] = posture.Known(found.Items[i], source)
		case found.NotServed:
			into[one] = posture.Unserved[*T](source)
		case found.Why != nil:
			into[one] = posture.Missing[*T](found.Why)
		default:
			into[one] = posture.Known[*T](nil, source)
		}
	}
}

func (g *region) readGroups(ctx context.Context, ids []string) {
	for chunk := range slices.Chunk(ids, filterValues) {
		found := g.listGroups(ctx, []types.Filter{filter("group-id", chunk...)})
		spread(g.inv.Groups, chunk, found, func(s *posture.SecurityGroup) string { return s.ID })
	}
}

func (g *region) listGroups(ctx context.Context, filters []types.Filter) posture.List[*posture.SecurityGroup] {
	in := &ec2.DescribeSecurityGroupsInput{Filters: filters}
	return list(ctx, g, "ec2:DescribeSecurityGroups", "", g.ec2.DescribeSecurityGroups, in,
		func(in *ec2.DescribeSecurityGroupsInput, token *string) { in.NextToken = token },
		func(out *ec2.DescribeSecurityGroupsOutput, _ *posture.Source) ([]*posture.SecurityGroup, *string, error) {
			var t taker
			var groups []*posture.SecurityGroup
			for _, s := range out.SecurityGroups {
				groups = append(groups, &posture.SecurityGroup{
					ID: t.str("groupId", s.GroupId), Name: t.str("groupName", s.GroupName), VPC: t.str("vpcId", s.VpcId),
					Ingress: takeRules(&t, s.IpPermissions), Egress: takeRules(&t, s.IpPermissionsEgress),
				})
			}
			return groups, out.NextToken, t.err
		})
}

func takeRules(t *taker, permissions []types.IpPermission) []posture.GroupRule {
	var rules []posture.GroupRule
	for _, p := range permissions {
		rule := posture.GroupRule{Protocol: t.str("ipProtocol", p.IpProtocol), From: -1, To: -1}
		if p.FromPort != nil && p.ToPort != nil {
			rule.From, rule.To = int(*p.FromPort), int(*p.ToPort)
		}
		for _, r := range p.IpRanges {
			rule.CIDRs = append(rule.CIDRs, takeCIDR(t, "cidrIp", r.CidrIp))
		}
		for _, r := range p.Ipv6Ranges {
			rule.CIDRs = append(rule.CIDRs, takeCIDR(t, "cidrIpv6", r.CidrIpv6))
		}
		for _, r := range p.PrefixListIds {
			rule.Prefixes = append(rule.Prefixes, t.str("prefixListId", r.PrefixListId))
		}
		for _, r := range p.UserIdGroupPairs {
			rule.Groups = append(rule.Groups, aws.ToString(r.GroupId))
		}
		rules = append(rules, rule)
	}
	return rules
}

func takeCIDR(t *taker, member string, v *string) netip.Prefix {
	p, err := netip.ParsePrefix(t.str(member, v))
	if err != nil {
		t.fail("%s is %q, which is not a CIDR", member, aws.ToString(v))
	}
	return p.Masked()
}

func (g *region) listInterfaces(ctx context.Context) posture.List[*posture.Interface] {
	in := &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{filter("tag-key", "BedrockManaged")}}
	return list(ctx, g, "ec2:DescribeNetworkInterfaces", "", g.ec2.DescribeNetworkInterfaces, in,
		func(in *ec2.DescribeNetworkInterfacesInput, token *string) { in.NextToken = token },
		func(out *ec2.DescribeNetworkInterfacesOutput, page *posture.Source) ([]*posture.Interface, *string, error) {
			var t taker
			var found []*posture.Interface
			for _, i := range out.NetworkInterfaces {
				one := &posture.Interface{ID: t.str("networkInterfaceId", i.NetworkInterfaceId), Status: enum(&t, "status", i.Status, i.Status.Values()), Found: page}
				for _, tag := range i.TagSet {
					if aws.ToString(tag.Key) == "BedrockModelCustomizationJobArn" {
						one.Job = aws.ToString(tag.Value)
					}
				}
				found = append(found, one)
			}
			return found, out.NextToken, t.err
		})
}

// readVPCs reads the VPCs of the subnets that were found: routes, S3 endpoints, flow logs, DNS attributes.
func (g *region) readVPCs(ctx context.Context) {
	resources := map[string][]string{} // VPC to subnets
	for _, id := range slices.Sorted(maps.Keys(g.inv.Subnets)) {
		if s, ok := g.inv.Subnets[id].Read(); ok && s != nil {
			resources[s.VPC] = append(resources[s.VPC], id)
		}
	}
	ids := slices.Sorted(maps.Keys(resources))
	if len(ids) == 0 {
		return
	}
	for _, id := range ids {
		g.inv.VPCs[id] = &posture.VPC{ID: id}
	}
	all(
		func() { g.readRouteTables(ctx, ids) },
		func() { g.readEndpoints(ctx, ids) },
		func() { g.readFlowLogs(ctx, resources) },
		func() {
			each(ids, func(id string) {
				vpc := g.inv.VPCs[id]
				all(func() { vpc.DNSSupport = g.vpcAttribute(ctx, id, types.VpcAttributeNameEnableDnsSupport) },
					func() { vpc.DNSHostnames = g.vpcAttribute(ctx, id, types.VpcAttributeNameEnableDnsHostnames) })
			})
		},
	)
}

func (g *region) vpcAttribute(ctx context.Context, vpc string, name types.VpcAttributeName) posture.Datum[bool] {
	in := &ec2.DescribeVpcAttributeInput{VpcId: &vpc, Attribute: name}
	return datum(call(ctx, g, "ec2:DescribeVpcAttribute", vpc+" "+string(name), g.ec2.DescribeVpcAttribute, in),
		func(out *ec2.DescribeVpcAttributeOutput) (bool, error) {
			var t taker
			v := out.EnableDnsSupport
			if name == types.VpcAttributeNameEnableDnsHostnames {
				v = out.EnableDnsHostnames
			}
			if v == nil {
				t.fail("the answer lacks %s", name)
				return false, t.err
			}
			return t.boolean(string(name), v.Value), t.err
		})
}

// perVPC gives each VPC its part of a listing over several.
func perVPC[T any](ids []string, found posture.List[T], of func(T) string, set func(vpc string, l posture.List[T])) {
	for _, id := range ids {
		part := posture.List[T]{Source: found.Source, Pages: found.Pages, Why: found.Why, NotServed: found.NotServed, Collected: found.Collected}
		for _, item := range found.Items {
			if of(item) == id {
				part.Items = append(part.Items, item)
			}
		}
		set(id, part)
	}
}

type inVPC[T any] struct {
	vpc  string
	item T
}

func itemsOf[T any](l posture.List[inVPC[T]]) posture.List[T] {
	out := posture.List[T]{Source: l.Source, Pages: l.Pages, Why: l.Why, NotServed: l.NotServed, Collected: l.Collected}
	for _, one := range l.Items {
		out.Items = append(out.Items, one.item)
	}
	return out
}

func (g *region) readRouteTables(ctx context.Context, vpcs []string) {
	for chunk := range slices.Chunk(vpcs, filterValues) {
		in := &ec2.DescribeRouteTablesInput{Filters: []types.Filter{filter("vpc-id", chunk...)}}
		found := list(ctx, g, "ec2:DescribeRouteTables", "", g.ec2.DescribeRouteTables, in,
			func(in *ec2.DescribeRouteTablesInput, token *string) { in.NextToken = token },
			func(out *ec2.DescribeRouteTablesOutput, _ *posture.Source) ([]inVPC[*posture.RouteTable], *string, error) {
				var t taker
				var tables []inVPC[*posture.RouteTable]
				for _, r := range out.RouteTables {
					tables = append(tables, inVPC[*posture.RouteTable]{t.str("vpcId", r.VpcId), takeTable(&t, r)})
				}
				return tables, out.NextToken, t.err
			})
		perVPC(chunk, found, func(t inVPC[*posture.RouteTable]) string { return t.vpc }, func(vpc string, l posture.List[inVPC[*posture.RouteTable]]) {
			g.inv.VPCs[vpc].RouteTables = itemsOf(l)
		})
	}
}

func takeTable(t *taker, r types.RouteTable) *posture.RouteTable {
	table := &posture.RouteTable{ID: t.str("routeTableId", r.RouteTableId)}
	for _, a := range r.Associations {
		if a.AssociationState != nil && a.AssociationState.State != types.RouteTableAssociationStateCodeAssociated {
			continue
		}
		table.Main = table.Main || aws.ToBool(a.Main)
		if a.SubnetId != nil {
			table.Subnets = append(table.Subnets, *a.SubnetId)
		}
	}
	for _, route := range r.Routes {
		target := firstOf(route.GatewayId, route.NatGatewayId, route.EgressOnlyInternetGatewayId, route.TransitGatewayId, route.VpcPeeringConnectionId,
			route.CarrierGatewayId, route.LocalGatewayId, route.InstanceId, route.NetworkInterfaceId, route.CoreNetworkArn, route.OdbNetworkArn)
		destination := firstOf(route.DestinationCidrBlock, route.DestinationIpv6CidrBlock)
		if destination == "" {
			destination = t.str("routes[].destinationPrefixListId", route.DestinationPrefixListId)
		} else {
			destination = takeCIDR(t, "routes[].destination", &destination).String()
		}
		table.Routes = append(table.Routes, posture.Route{Destination: destination, Target: target, State: enum(t, "routes[].state", route.State, route.State.Values())})
	}
	return table
}

func firstOf(values ...*string) string {
	for _, v := range values {
		if v != nil && *v != "" {
			return *v
		}
	}
	return ""
}

func (g *region) readEndpoints(ctx context.Context, vpcs []string) {
	for chunk := range slices.Chunk(vpcs, filterValues) {
		in := &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{filter("vpc-id", chunk...)}}
		found := list(ctx, g, "ec2:DescribeVpcEndpoints", "", g.ec2.DescribeVpcEndpoints, in,
			func(in *ec2.DescribeVpcEndpointsInput, token *string) { in.NextToken = token },
			func(out *ec2.DescribeVpcEndpointsOutput, _ *posture.Source) ([]inVPC[*posture.Endpoint], *string, error) {
				var t taker
				var endpoints []inVPC[*posture.Endpoint]
				for _, e := range out.VpcEndpoints {
					service := t.str("serviceName", e.ServiceName)
					if !strings.HasSuffix(service, "."+g.name+".s3") {
						continue
					}
					endpoints = append(endpoints, inVPC[*posture.Endpoint]{t.str("vpcId", e.VpcId), takeEndpoint(&t, e, service)})
				}
				return endpoints, out.NextToken, t.err
			})
		perVPC(chunk, found, func(e inVPC[*posture.Endpoint]) string { return e.vpc }, func(vpc string, l posture.List[inVPC[*posture.Endpoint]]) {
			g.inv.VPCs[vpc].Endpoints = itemsOf(l)
		})
	}
}

func takeEndpoint(t *taker, e types.VpcEndpoint, service string) *posture.Endpoint {
	// EC2 answers states in lower case, the model has them capitalised.
	state := strings.ToLower(string(e.State))
	if state == "" || !slices.ContainsFunc(e.State.Values(), func(s types.State) bool { return strings.EqualFold(string(s), state) }) {
		t.fail("state of a VPC endpoint is %q, which is not known", string(e.State))
	}
	return &posture.Endpoint{
		ID: t.str("vpcEndpointId", e.VpcEndpointId), Type: enum(t, "vpcEndpointType", e.VpcEndpointType, e.VpcEndpointType.Values()),
		State: state, Service: service, RouteTables: e.RouteTableIds, Subnets: e.SubnetIds,
		PrivateDNS: aws.ToBool(e.PrivateDnsEnabled), InboundOnly: e.DnsOptions != nil && aws.ToBool(e.DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint),
		Policy: t.str("policyDocument", e.PolicyDocument),
	}
}

func (g *region) readFlowLogs(ctx context.Context, resources map[string][]string) {
	owner := map[string]string{} // VPC or subnet to VPC
	for vpc, subnets := range resources {
		owner[vpc] = vpc
		for _, s := range subnets {
			owner[s] = vpc
		}
	}
	found := posture.List[inVPC[*posture.FlowLog]]{Collected: true}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(owner)), filterValues) {
		in := &ec2.DescribeFlowLogsInput{Filter: []types.Filter{filter("resource-id", chunk...)}}
		part := list(ctx, g, "ec2:DescribeFlowLogs", "", g.ec2.DescribeFlowLogs, in,
			func(in *ec2.DescribeFlowLogsInput, token *string) { in.NextToken = token },
			func(out *ec2.DescribeFlowLogsOutput, _ *posture.Source) ([]inVPC[*posture.FlowLog], *string, error) {
				var t taker
				var logs []inVPC[*posture.FlowLog]
				for _, l := range out.FlowLogs {
					resource := t.str("resourceId", l.ResourceId)
					logs = append(logs, inVPC[*posture.FlowLog]{owner[resource], &posture.FlowLog{
						ID: t.str("flowLogId", l.FlowLogId), Resource: resource, Status: t.str("flowLogStatus", l.FlowLogStatus),
						Traffic: enum(&t, "trafficType", l.TrafficType, l.TrafficType.Values()), Delivery: maybe(&t, "deliverLogsStatus", aws.ToString(l.DeliverLogsStatus), []string{"SUCCESS", "FAILED"}),
					}})
				}
				return logs, out.NextToken, t.err
			})
		found.Items, found.Pages = append(found.Items, part.Items...), append(found.Pages, part.Pages...)
		found.NotServed, found.Collected = part.NotServed, part.Collected
		if part.Why != nil {
			found.Why = part.Why
			break
		}
	}
	perVPC(slices.Sorted(maps.Keys(resources)), found, func(l inVPC[*posture.FlowLog]) string { return l.vpc },
		func(vpc string, l posture.List[inVPC[*posture.FlowLog]]) { g.inv.VPCs[vpc].FlowLogs = itemsOf(l) })
}
