package awsfake

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// suffix is the partition's DNS suffix.
func (w *World) suffix() string {
	if w.partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

func describeRegions(c *call, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	for _, name := range in.RegionNames {
		if !c.s.world.hasRegion(name) {
			return nil, cloister.Errorf("InvalidParameterValue", "Invalid region names: [%s]", name)
		}
	}
	all := []types.Region{}
	for _, name := range c.s.world.regions {
		if len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, name) {
			all = append(all, types.Region{
				RegionName: aws.String(name), Endpoint: aws.String("ec2." + name + "." + c.s.world.suffix()),
				OptInStatus: aws.String("opt-in-not-required"),
			})
		}
	}
	tests, err := filterTests(in.Filters, map[string]func(types.Region) []string{
		"region-name":   func(r types.Region) []string { return one(r.RegionName) },
		"endpoint":      func(r types.Region) []string { return one(r.Endpoint) },
		"opt-in-status": func(r types.Region) []string { return one(r.OptInStatus) },
	}, nil)
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeRegionsOutput{Regions: keep(all, tests...)}, nil
}

// described is a kind of EC2's resources and how it is asked for.
type described[T any] struct {
	notFound string // the error for an id that is not there
	text     string // its text, with the id
	ids      string // what the ids are called where they cannot go with MaxResults
	filters  map[string]func(*T) []string
	tags     func(*T) []types.Tag
}

// describe answers a request for ids, or for all that pass the filters.
func describe[T any](c *call, d described[T], x *index[*T], ids []string, filters []types.Filter, wanted *int32) ([]T, *string, error) {
	all := x.items
	if len(ids) > 0 {
		if wanted != nil {
			return nil, nil, cloister.Errorf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", d.ids)
		}
		all = make([]*T, 0, len(ids))
		for _, id := range ids {
			v, ok := x.find(id)
			if !ok {
				return nil, nil, cloister.Errorf(d.notFound, d.text, id)
			}
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	tests, err := filterTests(filters, d.filters, d.tags)
	if err != nil {
		return nil, nil, err
	}
	all = keep(all, tests...)
	var next *string
	if len(ids) == 0 {
		all, next = page(c, all, wanted, 0)
	}
	out := make([]T, len(all))
	for i, v := range all {
		out[i] = *v
	}
	return out, next, nil
}

func describeSubnets(c *call, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	items, next, err := describe(c, subnets(), &c.region.subnets, in.SubnetIds, in.Filters, in.MaxResults)
	return &ec2.DescribeSubnetsOutput{Subnets: items, NextToken: next}, err
}

// describeSecurityGroups also finds groups by name, which must be there.
func describeSecurityGroups(c *call, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	ids := in.GroupIds
	for _, name := range in.GroupNames {
		i := slices.IndexFunc(c.region.securityGroups.items, func(g *types.SecurityGroup) bool { return aws.ToString(g.GroupName) == name })
		if i < 0 {
			return nil, cloister.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", name)
		}
		ids = append(ids, aws.ToString(c.region.securityGroups.items[i].GroupId))
	}
	items, next, err := describe(c, securityGroups(), &c.region.securityGroups, ids, in.Filters, in.MaxResults)
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: items, NextToken: next}, err
}

func describeRouteTables(c *call, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	items, next, err := describe(c, routeTables(), &c.region.routeTables, in.RouteTableIds, in.Filters, in.MaxResults)
	return &ec2.DescribeRouteTablesOutput{RouteTables: items, NextToken: next}, err
}

func describeVpcEndpoints(c *call, in *ec2.DescribeVpcEndpointsInput) (*ec2.DescribeVpcEndpointsOutput, error) {
	items, next, err := describe(c, vpcEndpoints(), &c.region.vpcEndpoints, in.VpcEndpointIds, in.Filters, in.MaxResults)
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: items, NextToken: next}, err
}

func describeFlowLogs(c *call, in *ec2.DescribeFlowLogsInput) (*ec2.DescribeFlowLogsOutput, error) {
	items, next, err := describe(c, flowLogs(), &c.region.flowLogs, in.FlowLogIds, in.Filter, in.MaxResults)
	return &ec2.DescribeFlowLogsOutput{FlowLogs: items, NextToken: next}, err
}

func describeNetworkInterfaces(c *call, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	items, next, err := describe(c, networkInterfaces(), &c.region.networkInterfaces, in.NetworkInterfaceIds, in.Filters, in.MaxResults)
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: items, NextToken: next}, err
}

func describeManagedPrefixLists(c *call, in *ec2.DescribeManagedPrefixListsInput) (*ec2.DescribeManagedPrefixListsOutput, error) {
	items, next, err := describe(c, prefixLists(), &c.region.prefixLists, in.PrefixListIds, in.Filters, in.MaxResults)
	return &ec2.DescribeManagedPrefixListsOutput{PrefixLists: items, NextToken: next}, err
}

func prefixListARN(c *call, in *ec2.GetManagedPrefixListEntriesInput) string {
	return c.arn("ec2", "prefix-list/"+aws.ToString(in.PrefixListId))
}

func getManagedPrefixListEntries(c *call, in *ec2.GetManagedPrefixListEntriesInput) (*ec2.GetManagedPrefixListEntriesOutput, error) {
	d := prefixLists()
	if _, ok := c.region.prefixLists.find(aws.ToString(in.PrefixListId)); !ok {
		return nil, cloister.Errorf(d.notFound, d.text, aws.ToString(in.PrefixListId))
	}
	entries, next := page(c, c.region.entries[*in.PrefixListId], in.MaxResults, 100)
	return &ec2.GetManagedPrefixListEntriesOutput{Entries: entries, NextToken: next}, nil
}

func vpcARN(c *call, in *ec2.DescribeVpcAttributeInput) string {
	return c.arn("ec2", "vpc/"+aws.ToString(in.VpcId))
}

func describeVpcAttribute(c *call, in *ec2.DescribeVpcAttributeInput) (*ec2.DescribeVpcAttributeOutput, error) {
	v, ok := c.region.vpcs.find(aws.ToString(in.VpcId))
	if !ok {
		return nil, cloister.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", aws.ToString(in.VpcId))
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &types.AttributeBooleanValue{Value: aws.Bool(v.dnsSupport)}
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &types.AttributeBooleanValue{Value: aws.Bool(v.dnsHostname)}
	default:
		out.EnableNetworkAddressUsageMetrics = &types.AttributeBooleanValue{Value: aws.Bool(false)}
	}
	return out, nil
}

// one is the values of a filter's field that has one, or none.
func one(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

func yes(b *bool) []string {
	if b == nil {
		return nil
	}
	return []string{strconv.FormatBool(*b)}
}

// every is the values of a filter's field in every element of a list.
func every[T any](list []T, field func(T) *string) []string {
	var out []string
	for _, v := range list {
		out = append(out, one(field(v))...)
	}
	return out
}

// lower is an enumeration's value as filters write it.
func lower[S ~string](s S) []string { return one(aws.String(strings.ToLower(string(s)))) }
