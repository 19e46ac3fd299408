package awsfake

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// filterTests turns a request's filters into tests: all filters must hold, each for any of its values, in which *
// and ? are wildcards. A filter that the resource does not have here is refused.
// Source: EC2 API Reference, Filter; EC2 User Guide, "Filtering".
func filterTests[T any](filters []types.Filter, fields map[string]func(T) []string, tags func(T) []types.Tag) ([]func(T) bool, error) {
	var tests []func(T) bool
	for _, f := range filters {
		name := aws.ToString(f.Name)
		values := fields[name]
		key, isTag := strings.CutPrefix(name, "tag:")
		switch {
		case values != nil:
		case tags != nil && isTag:
			values = func(v T) []string {
				return every(tags(v), func(t types.Tag) *string {
					if aws.ToString(t.Key) != key {
						return nil
					}
					return t.Value
				})
			}
		case tags != nil && name == "tag-key":
			values = func(v T) []string { return every(tags(v), func(t types.Tag) *string { return t.Key }) }
		default:
			return nil, cloister.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		tests = append(tests, func(v T) bool {
			return slices.ContainsFunc(values(v), func(got string) bool {
				return slices.ContainsFunc(f.Values, func(want string) bool { return policy.Glob(want, got) })
			})
		})
	}
	return tests, nil
}

func subnets() described[types.Subnet] {
	return described[types.Subnet]{
		notFound: "InvalidSubnetID.NotFound", text: "The subnet ID '%s' does not exist", ids: "subnetIds",
		tags: func(s *types.Subnet) []types.Tag { return s.Tags },
		filters: map[string]func(*types.Subnet) []string{
			"availability-zone":       func(s *types.Subnet) []string { return one(s.AvailabilityZone) },
			"cidr-block":              func(s *types.Subnet) []string { return one(s.CidrBlock) },
			"default-for-az":          func(s *types.Subnet) []string { return yes(s.DefaultForAz) },
			"map-public-ip-on-launch": func(s *types.Subnet) []string { return yes(s.MapPublicIpOnLaunch) },
			"owner-id":                func(s *types.Subnet) []string { return one(s.OwnerId) },
			"state":                   func(s *types.Subnet) []string { return lower(s.State) },
			"subnet-id":               func(s *types.Subnet) []string { return one(s.SubnetId) },
			"vpc-id":                  func(s *types.Subnet) []string { return one(s.VpcId) },
		},
	}
}

func securityGroups() described[types.SecurityGroup] {
	return described[types.SecurityGroup]{
		notFound: "InvalidGroup.NotFound", text: "The security group '%s' does not exist", ids: "groupIds",
		tags: func(g *types.SecurityGroup) []types.Tag { return g.Tags },
		filters: map[string]func(*types.SecurityGroup) []string{
			"group-id":   func(g *types.SecurityGroup) []string { return one(g.GroupId) },
			"group-name": func(g *types.SecurityGroup) []string { return one(g.GroupName) },
			"owner-id":   func(g *types.SecurityGroup) []string { return one(g.OwnerId) },
			"vpc-id":     func(g *types.SecurityGroup) []string { return one(g.VpcId) },
		},
	}
}

func routeTables() described[types.RouteTable] {
	association := func(field func(types.RouteTableAssociation) *string) func(*types.RouteTable) []string {
		return func(t *types.RouteTable) []string { return every(t.Associations, field) }
	}
	route := func(field func(types.Route) *string) func(*types.RouteTable) []string {
		return func(t *types.RouteTable) []string { return every(t.Routes, field) }
	}
	return described[types.RouteTable]{
		notFound: "InvalidRouteTableID.NotFound", text: "The routeTable ID '%s' does not exist", ids: "routeTableIds",
		tags: func(t *types.RouteTable) []types.Tag { return t.Tags },
		filters: map[string]func(*types.RouteTable) []string{
			"association.gateway-id":                 association(func(a types.RouteTableAssociation) *string { return a.GatewayId }),
			"association.route-table-association-id": association(func(a types.RouteTableAssociation) *string { return a.RouteTableAssociationId }),
			"association.route-table-id":             association(func(a types.RouteTableAssociation) *string { return a.RouteTableId }),
			"association.subnet-id":                  association(func(a types.RouteTableAssociation) *string { return a.SubnetId }),
			"association.main": association(func(a types.RouteTableAssociation) *string {
				return aws.String(strconv.FormatBool(aws.ToBool(a.Main)))
			}),
			"owner-id":                         func(t *types.RouteTable) []string { return one(t.OwnerId) },
			"route-table-id":                   func(t *types.RouteTable) []string { return one(t.RouteTableId) },
			"route.destination-cidr-block":     route(func(r types.Route) *string { return r.DestinationCidrBlock }),
			"route.destination-prefix-list-id": route(func(r types.Route) *string { return r.DestinationPrefixListId }),
			"route.gateway-id":                 route(func(r types.Route) *string { return r.GatewayId }),
			"route.nat-gateway-id":             route(func(r types.Route) *string { return r.NatGatewayId }),
			"vpc-id":                           func(t *types.RouteTable) []string { return one(t.VpcId) },
		},
	}
}

func vpcEndpoints() described[types.VpcEndpoint] {
	return described[types.VpcEndpoint]{
		notFound: "InvalidVpcEndpointId.NotFound", text: "The Vpc Endpoint Id '%s' does not exist", ids: "vpcEndpointIds",
		tags: func(e *types.VpcEndpoint) []types.Tag { return e.Tags },
		filters: map[string]func(*types.VpcEndpoint) []string{
			"service-name":       func(e *types.VpcEndpoint) []string { return one(e.ServiceName) },
			"vpc-endpoint-id":    func(e *types.VpcEndpoint) []string { return one(e.VpcEndpointId) },
			"vpc-endpoint-state": func(e *types.VpcEndpoint) []string { return one(aws.String(string(e.State))) },
			"vpc-endpoint-type":  func(e *types.VpcEndpoint) []string { return one(aws.String(string(e.VpcEndpointType))) },
			"vpc-id":             func(e *types.VpcEndpoint) []string { return one(e.VpcId) },
		},
	}
}

func flowLogs() described[types.FlowLog] {
	return described[types.FlowLog]{
		notFound: "InvalidFlowLogId.NotFound", text: "The flow log ID '%s' does not exist", ids: "flowLogIds",
		tags: func(f *types.FlowLog) []types.Tag { return f.Tags },
		filters: map[string]func(*types.FlowLog) []string{
			"deliver-log-status":   func(f *types.FlowLog) []string { return one(f.DeliverLogsStatus) },
			"flow-log-id":          func(f *types.FlowLog) []string { return one(f.FlowLogId) },
			"log-destination-type": func(f *types.FlowLog) []string { return one(aws.String(string(f.LogDestinationType))) },
			"log-group-name":       func(f *types.FlowLog) []string { return one(f.LogGroupName) },
			"resource-id":          func(f *types.FlowLog) []string { return one(f.ResourceId) },
			"traffic-type":         func(f *types.FlowLog) []string { return one(aws.String(string(f.TrafficType))) },
		},
	}
}

func networkInterfaces() described[types.NetworkInterface] {
	return described[types.NetworkInterface]{
		notFound: "InvalidNetworkInterfaceID.NotFound", text: "The networkInterface ID '%s' does not exist", ids: "networkInterfaceIds",
		tags: func(i *types.NetworkInterface) []types.Tag { return i.TagSet },
		filters: map[string]func(*types.NetworkInterface) []string{
			"availability-zone": func(i *types.NetworkInterface) []string { return one(i.AvailabilityZone) },
			"description":       func(i *types.NetworkInterface) []string { return one(i.Description) },
			"group-id": func(i *types.NetworkInterface) []string {
				return every(i.Groups, func(g types.GroupIdentifier) *string { return g.GroupId })
			},
			"interface-type":       func(i *types.NetworkInterface) []string { return one(aws.String(string(i.InterfaceType))) },
			"network-interface-id": func(i *types.NetworkInterface) []string { return one(i.NetworkInterfaceId) },
			"owner-id":             func(i *types.NetworkInterface) []string { return one(i.OwnerId) },
			"requester-id":         func(i *types.NetworkInterface) []string { return one(i.RequesterId) },
			"status":               func(i *types.NetworkInterface) []string { return lower(i.Status) },
			"subnet-id":            func(i *types.NetworkInterface) []string { return one(i.SubnetId) },
			"vpc-id":               func(i *types.NetworkInterface) []string { return one(i.VpcId) },
		},
	}
}

func prefixLists() described[types.ManagedPrefixList] {
	return described[types.ManagedPrefixList]{
		notFound: "InvalidPrefixListID.NotFound", text: "The prefix list ID '%s' does not exist", ids: "prefixListIds",
		tags: func(p *types.ManagedPrefixList) []types.Tag { return p.Tags },
		filters: map[string]func(*types.ManagedPrefixList) []string{
			"owner-id":         func(p *types.ManagedPrefixList) []string { return one(p.OwnerId) },
			"prefix-list-id":   func(p *types.ManagedPrefixList) []string { return one(p.PrefixListId) },
			"prefix-list-name": func(p *types.ManagedPrefixList) []string { return one(p.PrefixListName) },
		},
	}
}
