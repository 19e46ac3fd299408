package vpc_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister/internal/vpc"
)

// TestTerraformWalk makes and destroys a network in the order in which Terraform's AWS provider calls, with the reads that
// it makes between, and with a job in the middle.
func TestTerraformWalk(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := r.ctx

	v := *ok[*ec2.CreateVpcOutput](t)(r.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), InstanceTenancy: "default", AmazonProvidedIpv6CidrBlock: aws.Bool(false), TagSpecifications: tagSpec("vpc", "Name", "net")})).Vpc.VpcId
	if state := ok[*ec2.DescribeVpcsOutput](t)(r.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{v}})).Vpcs[0].State; state != types.VpcStateAvailable {
		t.Errorf("the VPC is %s", state)
	}
	ok[*ec2.ModifyVpcAttributeOutput](t)(r.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &v, EnableDnsHostnames: boolean(true)}))
	for attribute, want := range map[types.VpcAttributeName]bool{"enableDnsHostnames": true, "enableDnsSupport": true, "enableNetworkAddressUsageMetrics": false} {
		out := ok[*ec2.DescribeVpcAttributeOutput](t)(r.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &v, Attribute: attribute}))
		for _, got := range []*types.AttributeBooleanValue{out.EnableDnsHostnames, out.EnableDnsSupport, out.EnableNetworkAddressUsageMetrics} {
			if got != nil && *got.Value != want {
				t.Errorf("%s is %v", attribute, *got.Value)
			}
		}
	}
	acls := ok[*ec2.DescribeNetworkAclsOutput](t)(r.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: filters("default", "true", "vpc-id", v)})).NetworkAcls
	groups := ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters("group-name", "default", "vpc-id", v)})).SecurityGroups
	if len(acls) != 1 || len(acls[0].Entries) != 4 || len(groups) != 1 {
		t.Fatalf("a new VPC has ACLs %v and groups %v", acls, groups)
	}
	g := groups[0]
	if len(g.IpPermissions) != 1 || *g.IpPermissions[0].UserIdGroupPairs[0].GroupId != *g.GroupId || *g.IpPermissions[0].IpProtocol != "-1" ||
		len(g.IpPermissionsEgress) != 1 || *g.IpPermissionsEgress[0].IpRanges[0].CidrIp != "0.0.0.0/0" {
		t.Errorf("the default group allows %v in and %v out", g.IpPermissions, g.IpPermissionsEgress)
	}
	main := r.mainTable(v)

	igw := *ok[*ec2.CreateInternetGatewayOutput](t)(r.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: tagSpec("internet-gateway", "Name", "out")})).InternetGateway.InternetGatewayId
	ok[*ec2.AttachInternetGatewayOutput](t)(r.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &v}))
	public, private := r.newSubnet(v, "10.0.0.0/24"), r.newSubnet(v, "10.0.1.0/24")
	ok[*ec2.ModifySubnetAttributeOutput](t)(r.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &public, MapPublicIpOnLaunch: boolean(true)}))
	eip := *ok[*ec2.AllocateAddressOutput](t)(r.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: "vpc"})).AllocationId
	nat := *ok[*ec2.CreateNatGatewayOutput](t)(r.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &public, AllocationId: &eip, ConnectivityType: "public", ClientToken: aws.String("t")})).NatGateway.NatGatewayId
	shown := ok[*ec2.DescribeNatGatewaysOutput](t)(r.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{nat}})).NatGateways[0]
	if shown.State != types.NatGatewayStateAvailable || *shown.NatGatewayAddresses[0].PublicIp != "203.0.113.1" || *shown.NatGatewayAddresses[0].PrivateIp != "10.0.0.4" {
		t.Errorf("the NAT gateway: %+v", shown)
	}
	if out := ok[*ec2.DescribeSubnetsOutput](t)(r.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{public}})).Subnets[0]; *out.AvailableIpAddressCount != 250 || !*out.MapPublicIpOnLaunch {
		t.Errorf("the public subnet: %+v", out)
	}
	publicTable, privateTable := r.newTable(v), r.newTable(v)
	ok[*ec2.CreateRouteOutput](t)(r.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &publicTable, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: &igw}))
	ok[*ec2.CreateRouteOutput](t)(r.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &privateTable, DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: &nat}))
	_, err := r.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: &privateTable, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: &igw})
	wantCode(t, "a second default route", err, "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.")
	associate := func(table, subnet string) string {
		t.Helper()
		return *ok[*ec2.AssociateRouteTableOutput](t)(r.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &subnet})).AssociationId
	}
	a1, a2 := associate(publicTable, public), associate(privateTable, private)
	if again := associate(privateTable, private); again != a2 {
		t.Errorf("associating again made %s, was %s", again, a2)
	}
	_, err = r.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &publicTable, SubnetId: &private})
	wantCode(t, "a second association", err, "Resource.AlreadyAssociated", publicTable)

	group := r.newGroup(v, "job")
	ok[*ec2.RevokeSecurityGroupEgressOutput](t)(r.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, IpPermissions: permission("-1", 0, 0, "0.0.0.0/0")}))
	list := *ok[*ec2.DescribePrefixListsOutput](t)(r.DescribePrefixLists(ctx, &ec2.DescribePrefixListsInput{Filters: filters("prefix-list-name", "com.amazonaws.us-east-1.s3")})).PrefixLists[0].PrefixListId
	rule := *ok[*ec2.AuthorizeSecurityGroupEgressOutput](t)(r.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &group, IpPermissions: permission("tcp", 443, 443, list), TagSpecifications: tagSpec("security-group-rule", "a", "b")})).SecurityGroupRules[0].SecurityGroupRuleId
	endpoint := r.newEndpoint(v)
	ok[*ec2.ModifyVpcEndpointOutput](t)(r.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, AddRouteTableIds: []string{privateTable}}))
	log := ok[*ec2.CreateFlowLogsOutput](t)(r.CreateFlowLogs(ctx, &ec2.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []string{v}, LogDestinationType: "s3", LogDestination: aws.String("arn:aws:s3:::logs"), TrafficType: "ALL", MaxAggregationInterval: aws.Int32(60)})).FlowLogIds[0]

	// A job: what it uses cannot go.
	job := vpc.JobNetwork{JobID: "one", JobARN: "arn:job:one", Account: account, Region: region, Subnets: []string{private}, Groups: []string{group}}
	a := ok[vpc.Attachment](t)(r.Attach(ctx, job))
	if routes := ok[*ec2.DescribeRouteTablesOutput](t)(r.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{privateTable}})).RouteTables[0].Routes; len(routes) != 3 ||
		*routes[0].GatewayId != "local" || *routes[1].NatGatewayId != nat || *routes[2].GatewayId != endpoint || *routes[2].DestinationPrefixListId != list {
		t.Errorf("routes %+v", routes)
	}
	inUse := func(what string, err error) {
		t.Helper()
		wantCode(t, what, err, "DependencyViolation", "")
	}
	inUse("the subnet", failure(r.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &private})))
	inUse("the group", failure(r.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group})))
	inUse("the VPC", failure(r.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &v})))
	inUse("the endpoint's route", failure(r.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, RemoveRouteTableIds: []string{privateTable}})))
	inUse("the association", failure(r.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &a2})))
	inUse("the association for another", failure(r.ReplaceRouteTableAssociation(ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: &a2, RouteTableId: &publicTable})))
	if out := ok[*ec2.DeleteVpcEndpointsOutput](t)(r.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{endpoint}})).Unsuccessful; len(out) != 1 || *out[0].Error.Code != "DependencyViolation" {
		t.Errorf("deleting the endpoint of a job: %v", out)
	}
	eni := ok[*ec2.DescribeNetworkInterfacesOutput](t)(r.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: filters("tag:BedrockManaged", "true", "tag:BedrockModelCustomizationJobArn", "arn:job:one", "subnet-id", private, "group-id", group)})).NetworkInterfaces
	if len(eni) != 1 || *eni[0].NetworkInterfaceId != a.Interface || !*eni[0].RequesterManaged || eni[0].InterfaceType != "interface" || *eni[0].AvailabilityZone != "us-east-1a" || *eni[0].Groups[0].GroupName != "job" {
		t.Errorf("the job's interface: %+v", eni)
	}
	wantCode(t, "the interface's tags", failure(r.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{a.Interface}, Tags: tags("a", "b")})), "OperationNotPermitted", "Bedrock")
	if err := r.Detach(ctx, "one"); err != nil {
		t.Fatal(err)
	}

	// Destroy. What is still needed by something else says so.
	ok[*ec2.DeleteFlowLogsOutput](t)(r.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: []string{log}}))
	ok[*ec2.RevokeSecurityGroupEgressOutput](t)(r.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &group, SecurityGroupRuleIds: []string{rule}}))
	ok[*ec2.DeleteSecurityGroupOutput](t)(r.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &group}))
	if out := ok[*ec2.DeleteVpcEndpointsOutput](t)(r.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{endpoint}})).Unsuccessful; len(out) != 0 {
		t.Errorf("deleting the endpoint: %v", out)
	}
	inUse("an associated table", failure(r.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &privateTable})))
	for _, id := range []string{a1, a2} {
		ok[*ec2.DisassociateRouteTableOutput](t)(r.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &id}))
	}
	ok[*ec2.DeleteRouteOutput](t)(r.DeleteRoute(ctx, &ec2.DeleteRouteInput{RouteTableId: &privateTable, DestinationCidrBlock: aws.String("0.0.0.0/0")}))
	inUse("a gateway with a NAT gateway behind it", failure(r.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &v})))
	inUse("a subnet with a NAT gateway", failure(r.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &public})))
	wantCode(t, "the NAT gateway's address", failure(r.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &eip})), "InvalidIPAddress.InUse", nat)
	ok[*ec2.DeleteNatGatewayOutput](t)(r.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &nat}))
	ok[*ec2.ReleaseAddressOutput](t)(r.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: &eip}))
	inUse("an attached gateway", failure(r.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &igw})))
	ok[*ec2.DetachInternetGatewayOutput](t)(r.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &v}))
	if state := ok[*ec2.DescribeRouteTablesOutput](t)(r.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{publicTable}})).RouteTables[0].Routes[1].State; state != types.RouteStateBlackhole {
		t.Errorf("a route to a detached gateway is %s", state)
	}
	ok[*ec2.DeleteInternetGatewayOutput](t)(r.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &igw}))
	for _, id := range []string{publicTable, privateTable} {
		ok[*ec2.DeleteRouteTableOutput](t)(r.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &id}))
	}
	for _, id := range []string{public, private} {
		ok[*ec2.DeleteSubnetOutput](t)(r.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &id}))
	}
	ok[*ec2.DeleteVpcOutput](t)(r.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &v}))
	_, err = r.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{main}})
	wantCode(t, "the main table of a deleted VPC", err, "InvalidRouteTableID.NotFound", main)
	rows, _, err := r.db.VPC().Load(ctx, vpc.Place{Account: account, Region: region})
	if err != nil || len(rows) != 0 {
		t.Errorf("after the last is deleted, %v, %v are left", rows, err)
	}
}
