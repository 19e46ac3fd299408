package awsfake

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: aws.String(name), Values: values}}
}

func TestEC2(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{}, Patch{Path: here + "/networkInterfaces/-", Set: map[string]any{
		"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-0a1f2e3d4c5b6a798", "Status": "in-use",
		"Groups": []any{map[string]any{"GroupId": "sg-0c3d4e5f6a7b8c9d0"}},
		"TagSet": []any{map[string]any{"Key": "BedrockManaged", "Value": "true"}},
	}})
	ctx, r := t.Context(), home(s)
	regions, err := c.ec2.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil || len(regions.Regions) != 2 || *regions.Regions[1].Endpoint != "ec2.eu-west-1.amazonaws.com" {
		t.Errorf("regions = %v, %v", regions, err)
	}
	subnets, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*r.subnets.items[1].SubnetId, *r.subnets.items[0].SubnetId}})
	wantSame(t, "subnets", &ec2.DescribeSubnetsOutput{Subnets: []types.Subnet{*r.subnets.items[1], *r.subnets.items[0]}}, subnets, err)
	groups, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filter("group-name", "bedrock-*")})
	wantSame(t, "groups", &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []types.SecurityGroup{*r.securityGroups.items[0]}}, groups, err)
	groups, err = c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default"}})
	wantSame(t, "group by name", &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []types.SecurityGroup{*r.securityGroups.items[1]}}, groups, err)
	for name, want := range map[string]int{"association.subnet-id": 0, "association.main": 1} {
		value := map[string]string{"association.subnet-id": *r.subnets.items[0].SubnetId, "association.main": "true"}[name]
		tables, err := c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: filter(name, value)})
		wantSame(t, name, &ec2.DescribeRouteTablesOutput{RouteTables: []types.RouteTable{*r.routeTables.items[want]}}, tables, err)
	}
	endpoints, err := c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{Filters: filter("vpc-id", "vpc-0d4c3b2a19f8e7d65", "vpc-other")})
	wantSame(t, "endpoints", &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []types.VpcEndpoint{*r.vpcEndpoints.items[0]}}, endpoints, err)
	logs, err := c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", "vpc-0d4c3b2a19f8e7d65")})
	wantSame(t, "flow logs", &ec2.DescribeFlowLogsOutput{FlowLogs: []types.FlowLog{*r.flowLogs.items[0]}}, logs, err)
	for _, f := range [][]types.Filter{
		filter("tag:BedrockManaged", "true"), filter("tag-key", "BedrockManaged"), filter("group-id", "sg-0c3d4e5f6a7b8c9d0"),
		filter("status", "in-use"), filter("subnet-id", "subnet-0a1f2e3d4c5b6a798"),
	} {
		interfaces, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: f})
		wantSame(t, *f[0].Name, &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: []types.NetworkInterface{*r.networkInterfaces.items[0]}}, interfaces, err)
	}
	none, err := c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: filter("tag:BedrockManaged", "false")})
	if err != nil || len(none.NetworkInterfaces) != 0 {
		t.Errorf("another value: %v, %v, want none", none, err)
	}
	lists, err := c.ec2.DescribeManagedPrefixLists(ctx, &ec2.DescribeManagedPrefixListsInput{Filters: filter("prefix-list-id", "pl-63a5400a")})
	wantSame(t, "prefix lists", &ec2.DescribeManagedPrefixListsOutput{PrefixLists: []types.ManagedPrefixList{*r.prefixLists.items[0]}}, lists, err)
	entries, err := c.ec2.GetManagedPrefixListEntries(ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: aws.String("pl-63a5400a")})
	wantSame(t, "entries", &ec2.GetManagedPrefixListEntriesOutput{Entries: r.entries["pl-63a5400a"]}, entries, err)
	dns, err := c.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: aws.String("vpc-0d4c3b2a19f8e7d65"), Attribute: types.VpcAttributeNameEnableDnsHostnames})
	wantSame(t, "DNS", &ec2.DescribeVpcAttributeOutput{VpcId: aws.String("vpc-0d4c3b2a19f8e7d65"), EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}, dns, err)
}

func TestEC2Refuses(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx := t.Context()
	_, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*home(s).subnets.items[0].SubnetId, "subnet-1", "subnet-2"}})
	wantCode(t, "subnet", err, "InvalidSubnetID.NotFound", 400)
	if want := "The subnet ID 'subnet-1' does not exist"; fmt.Sprint(err) == "" || !contains(err, want) {
		t.Errorf("subnet: %v, want %q", err, want)
	}
	_, err = c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-1"}})
	wantCode(t, "group", err, "InvalidGroup.NotFound", 400)
	_, err = c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-1"}})
	wantCode(t, "route table", err, "InvalidRouteTableID.NotFound", 400)
	_, err = c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{"vpce-1"}})
	wantCode(t, "endpoint", err, "InvalidVpcEndpointId.NotFound", 400)
	_, err = c.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{"eni-1"}})
	wantCode(t, "interface", err, "InvalidNetworkInterfaceID.NotFound", 400)
	_, err = c.ec2.GetManagedPrefixListEntries(ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: aws.String("pl-1")})
	wantCode(t, "prefix list", err, "InvalidPrefixListID.NotFound", 400)
	_, err = c.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: aws.String("vpc-1"), Attribute: types.VpcAttributeNameEnableDnsSupport})
	wantCode(t, "vpc", err, "InvalidVpcID.NotFound", 400)
	_, err = c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filter("colour", "red")})
	wantCode(t, "filter", err, "InvalidParameterValue", 400)
	_, err = c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(2)})
	wantCode(t, "page size", err, "InvalidParameterValue", 400)
	_, err = c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(5), SubnetIds: []string{"subnet-1"}})
	wantCode(t, "ids and page size", err, "InvalidParameterCombination", 400)
	_, err = c.ec2.DescribeInstances(ctx, nil)
	wantCode(t, "unserved", err, "InvalidAction", 400)
	_, err = newClients(s, goodRegion, Credentials("999988887777")).ec2.DescribeRegions(ctx, nil)
	wantCode(t, "unknown account", err, "AuthFailure", 401)
	_, err = newClients(s, "ap-south-2", Credentials(goodAccount)).ec2.DescribeSubnets(ctx, nil)
	wantCode(t, "region not opted in", err, "AuthFailure", 401)
}
