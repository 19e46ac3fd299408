package vpc_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// TestRefusals has AWS's codes for what cannot be done.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	other := r.newSite("10.30.0.0/16", "10.30.1.0/24")
	no, bucket := "x-0123456789abcdef0", aws.String("arn:aws:s3:::logs/x")
	second := r.newTable(s.vpc)
	authorize := func(p []types.IpPermission) error {
		_, err := r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: p})
		return err
	}
	revoke := func(p []types.IpPermission) error {
		_, err := r.RevokeSecurityGroupEgress(r.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &s.group, IpPermissions: p})
		return err
	}
	vpc := func(cidr string) error {
		_, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: &cidr})
		return err
	}
	subnet := func(cidr string) error {
		_, err := r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: &cidr})
		return err
	}
	flowLog := func(change func(*ec2.CreateFlowLogsInput)) error {
		in := &ec2.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []string{s.vpc}, LogDestinationType: "s3", LogDestination: bucket, TrafficType: "ALL"}
		change(in)
		_, err := r.CreateFlowLogs(r.ctx, in)
		return err
	}
	endpoint := func(change func(*ec2.CreateVpcEndpointInput)) error {
		in := &ec2.CreateVpcEndpointInput{VpcId: &s.vpc, ServiceName: aws.String("com.amazonaws.us-east-1.s3")}
		change(in)
		_, err := r.CreateVpcEndpoint(r.ctx, in)
		return err
	}
	route := func(change func(*ec2.CreateRouteInput)) error {
		in := &ec2.CreateRouteInput{RouteTableId: &s.table, DestinationCidrBlock: aws.String("0.0.0.0/0")}
		change(in)
		_, err := r.CreateRoute(r.ctx, in)
		return err
	}
	group := func(name, description string) error {
		_, err := r.CreateSecurityGroup(r.ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &description, VpcId: &s.vpc})
		return err
	}
	for _, tt := range []struct {
		name string
		err  error
		code string
		text string
	}{
		{"VPC too wide", vpc("10.0.0.0/15"), "InvalidVpc.Range", "The CIDR '10.0.0.0/15' is invalid."},
		{"VPC too narrow", vpc("10.0.0.0/29"), "InvalidVpc.Range", "10.0.0.0/29"},
		{"VPC without CIDR", failure(r.CreateVpc(r.ctx, &ec2.CreateVpcInput{})), "MissingParameter", "CidrBlock"},
		{"VPC of nonsense", vpc("ten"), "InvalidParameterValue", "ten"},
		{"VPC over the endpoint", vpc("198.18.0.0/16"), "InvalidVpc.Range", "198.18.0.0/15"},
		{"VPC over loopback", vpc("127.0.0.0/16"), "InvalidVpc.Range", "127.0.0.0/8"},
		{"VPC over metadata", vpc("169.254.0.0/20"), "InvalidVpc.Range", "169.254.0.0/16"},
		{"VPC of multicast", vpc("239.0.0.0/16"), "InvalidVpc.Range", "224.0.0.0/3"},
		{"VPC of IPv6", vpc("fd00::/56"), "UnsupportedOperation", "IPv6"},
		{"VPC with IPv6", failure(r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(true)})), "UnsupportedOperation", "AmazonProvidedIpv6CidrBlock"},
		{"VPC with tenancy", failure(r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), InstanceTenancy: "dedicated"})), "UnsupportedOperation", "dedicated"},
		{"VPC with a subnet's tags", failure(r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagSpec("subnet", "a", "b")})), "InvalidParameterValue", "'subnet' is not a valid taggable resource type"},
		{"no VPC", failure(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{no}})), "InvalidVpcID.NotFound", "The vpc ID '" + no + "' does not exist"},
		{"delete no VPC", failure(r.DeleteVpc(r.ctx, &ec2.DeleteVpcInput{VpcId: &no})), "InvalidVpcID.NotFound", no},
		{"delete full VPC", failure(r.DeleteVpc(r.ctx, &ec2.DeleteVpcInput{VpcId: &s.vpc})), "DependencyViolation", "The vpc '" + s.vpc + "' has dependencies and cannot be deleted."},
		{"two attributes", failure(r.ModifyVpcAttribute(r.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &s.vpc, EnableDnsHostnames: boolean(true), EnableDnsSupport: boolean(true)})), "InvalidParameterCombination", ""},
		{"metrics", failure(r.ModifyVpcAttribute(r.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &s.vpc, EnableNetworkAddressUsageMetrics: boolean(true)})), "UnsupportedOperation", "metrics"},
		{"unknown attribute", failure(r.DescribeVpcAttribute(r.ctx, &ec2.DescribeVpcAttributeInput{VpcId: &s.vpc, Attribute: "x"})), "InvalidParameterValue", "x"},

		{"subnet outside", subnet("10.21.0.0/24"), "InvalidSubnet.Range", "The CIDR '10.21.0.0/24' is invalid."},
		{"subnet around", subnet("10.20.0.0/15"), "InvalidSubnet.Range", ""},
		{"subnet too small", subnet("10.20.2.0/29"), "InvalidSubnet.Range", ""},
		{"subnet twice", subnet("10.20.1.128/25"), "InvalidSubnet.Conflict", "The CIDR '10.20.1.128/25' conflicts with another subnet"},
		{"subnet of another zone", failure(r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.2.0/24"), AvailabilityZone: aws.String("us-east-1z")})), "InvalidParameterValue", "us-east-1a, us-east-1b, us-east-1c"},
		{"subnet of two zones", failure(r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.2.0/24"), AvailabilityZone: aws.String("us-east-1a"), AvailabilityZoneId: aws.String("use1-az2")})), "InvalidParameterValue", "use1-az2"},
		{"subnet on an outpost", failure(r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.2.0/24"), OutpostArn: aws.String("arn")})), "UnsupportedOperation", "OutpostArn"},
		{"subnet of no VPC", failure(r.CreateSubnet(r.ctx, &ec2.CreateSubnetInput{VpcId: &no, CidrBlock: aws.String("10.20.2.0/24")})), "InvalidVpcID.NotFound", no},
		{"no subnet", failure(r.DescribeSubnets(r.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{s.subnet, no}})), "InvalidSubnetID.NotFound", "The subnet ID '" + no + "' does not exist"},
		{"delete no subnet", failure(r.DeleteSubnet(r.ctx, &ec2.DeleteSubnetInput{SubnetId: &no})), "InvalidSubnetID.NotFound", no},
		{"resource names", failure(r.ModifySubnetAttribute(r.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &s.subnet, PrivateDnsHostnameTypeOnLaunch: "resource-name"})), "UnsupportedOperation", ""},
		{"IPv6 on creation", failure(r.ModifySubnetAttribute(r.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &s.subnet, AssignIpv6AddressOnCreation: boolean(true)})), "UnsupportedOperation", "AssignIpv6AddressOnCreation"},

		{"group twice", group("job", "d"), "InvalidGroup.Duplicate", "The security group 'job' already exists for VPC '" + s.vpc + "'"},
		{"group twice but for case", group("Job", "d"), "InvalidGroup.Duplicate", "Job"},
		{"group called default", group("Default", "d"), "InvalidParameterValue", "reserved"},
		{"group called sg-", group("sg-1", "d"), "InvalidParameterValue", "sg-"},
		{"group with a strange name", group("naïve", "d"), "InvalidParameterValue", "naïve"},
		{"group with a strange description", group("x", "naïve"), "InvalidParameterValue", "description"},
		{"group without description", group("x", ""), "MissingParameter", "GroupDescription"},
		{"group without VPC", failure(r.CreateSecurityGroup(r.ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("x"), Description: aws.String("d")})), "VPCIdNotSpecified", "No default VPC for this user"},
		{"no group", failure(r.DescribeSecurityGroups(r.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{no}})), "InvalidGroup.NotFound", "The security group '" + no + "' does not exist"},
		{"group by name", failure(r.DescribeSecurityGroups(r.ctx, &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"job"}})), "InvalidGroup.NotFound", "default VPC"},
		{"delete by name", failure(r.DeleteSecurityGroup(r.ctx, &ec2.DeleteSecurityGroupInput{GroupName: aws.String("job")})), "UnsupportedOperation", "GroupName"},

		{"rule twice", func() error {
			if err := authorize(permission("tcp", 80, 80, "10.0.0.0/8")); err != nil {
				return err
			}
			return authorize(permission("6", 80, 80, "10.0.0.0/8"))
		}(), "InvalidPermission.Duplicate", `the specified rule "peer: 10.0.0.0/8, TCP, from port: 80, to port: 80, ALLOW" already exists`},
		{"rule twice in one", authorize(append(permission("tcp", 81, 81, "10.0.0.0/8"), permission("tcp", 81, 81, "10.0.0.0/8")...)), "InvalidParameterValue", "multiple times"},
		{"rule of IPv6", authorize(permission("tcp", 80, 80, "::/0")), "UnsupportedOperation", "IPv6"},
		{"rule of ICMPv6", authorize(permission("icmpv6", -1, -1, "10.0.0.0/8")), "UnsupportedOperation", "IPv6"},
		{"rule of no group", authorize(permission("tcp", 80, 80, "sg-1")), "InvalidGroup.NotFound", "sg-1"},
		{"rule of another VPC's group", authorize(permission("tcp", 80, 80, other.group)), "InvalidGroup.NotFound", "different networks"},
		{"rule of another account's group", authorize([]types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{UserId: aws.String("210987654321"), GroupId: &s.group}}}}), "InvalidGroup.NotFound", "210987654321"},
		{"rule of a peer's group", authorize([]types.IpPermission{{IpProtocol: aws.String("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &s.group, VpcPeeringConnectionId: aws.String("pcx-1")}}}}), "UnsupportedOperation", "peer"},
		{"rule of no list", authorize(permission("tcp", 80, 80, "pl-1")), "InvalidPrefixListID.NotFound", "pl-1"},
		{"rule of no source", authorize([]types.IpPermission{{IpProtocol: aws.String("-1")}}), "MissingParameter", ""},
		{"rule of no protocol", authorize([]types.IpPermission{{}}), "MissingParameter", "ipProtocol"},
		{"no rule", authorize(nil), "MissingParameter", ""},
		{"ports backwards", authorize(permission("tcp", 81, 80, "10.0.0.0/8")), "InvalidParameterValue", "81-80"},
		{"ports too high", authorize(permission("udp", 80, 65536, "10.0.0.0/8")), "InvalidParameterValue", "65536"},
		{"no ports", authorize([]types.IpPermission{{IpProtocol: aws.String("tcp"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}), "InvalidParameterValue", "both from and to ports"},
		{"bad protocol", authorize(permission("256", 0, 0, "10.0.0.0/8")), "InvalidParameterValue", "256"},
		{"host bits", authorize(permission("tcp", 80, 80, "10.0.0.1/8")), "InvalidParameterValue", "CIDR block 10.0.0.1/8 is malformed"},
		{"bad description", authorize([]types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0"), Description: aws.String("é")}}}}), "InvalidParameterValue", "description"},
		{"rule of a group by name", failure(r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, SourceSecurityGroupName: aws.String("x")})), "UnsupportedOperation", "SourceSecurityGroupName"},
		{"both forms", failure(r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, CidrIp: aws.String("0.0.0.0/0"), IpPermissions: permission("-1", 0, 0, "0.0.0.0/0")})), "InvalidParameterCombination", ""},
		{"rule of no such group", failure(r.AuthorizeSecurityGroupEgress(r.ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &no, IpPermissions: permission("-1", 0, 0, "10.0.0.0/8")})), "InvalidGroup.NotFound", no},
		{"revoke what is not there", revoke(permission("tcp", 443, 443, "0.0.0.0/0")), "InvalidPermission.NotFound", "The specified rule does not exist in this security group."},
		{"revoke IPv6, as Terraform does", revoke(permission("-1", 0, 0, "::/0")), "InvalidPermission.NotFound", ""},
		{"revoke no id", failure(r.RevokeSecurityGroupEgress(r.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &s.group, SecurityGroupRuleIds: []string{"sgr-1"}})), "InvalidSecurityGroupRuleId.NotFound", "sgr-1"},
		{"no rule by id", failure(r.DescribeSecurityGroupRules(r.ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{"sgr-1"}})), "InvalidSecurityGroupRuleId.NotFound", "sgr-1"},

		{"table of no VPC", failure(r.CreateRouteTable(r.ctx, &ec2.CreateRouteTableInput{VpcId: &no})), "InvalidVpcID.NotFound", no},
		{"no table", failure(r.DescribeRouteTables(r.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{no}})), "InvalidRouteTableID.NotFound", "The routeTable ID '" + no + "' does not exist"},
		{"delete main table", failure(r.DeleteRouteTable(r.ctx, &ec2.DeleteRouteTableInput{RouteTableId: &s.table})), "DependencyViolation", "The routeTable '" + s.table + "' has dependencies and cannot be deleted."},
		{"associate a gateway", failure(r.AssociateRouteTable(r.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &second, GatewayId: aws.String("igw-1")})), "UnsupportedOperation", "GatewayId"},
		{"associate nothing", failure(r.AssociateRouteTable(r.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &second})), "MissingParameter", "SubnetId"},
		{"associate another VPC's subnet", failure(r.AssociateRouteTable(r.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &second, SubnetId: &other.subnet})), "InvalidParameterValue", "different networks"},
		{"disassociate nothing", failure(r.DisassociateRouteTable(r.ctx, &ec2.DisassociateRouteTableInput{AssociationId: &no})), "InvalidAssociationID.NotFound", "The association ID '" + no + "' does not exist"},
		{"replace nothing", failure(r.ReplaceRouteTableAssociation(r.ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: &no, RouteTableId: &second})), "InvalidAssociationID.NotFound", no},

		{"route to nothing", route(func(*ec2.CreateRouteInput) {}), "InvalidParameterCombination", ""},
		{"route to no gateway", route(func(in *ec2.CreateRouteInput) { in.GatewayId = aws.String("igw-1") }), "InvalidInternetGatewayID.NotFound", "igw-1"},
		{"route to no NAT gateway", route(func(in *ec2.CreateRouteInput) { in.NatGatewayId = aws.String("nat-1") }), "InvalidNatGatewayID.NotFound", "nat-1"},
		{"route to an endpoint", route(func(in *ec2.CreateRouteInput) { in.GatewayId = &s.endpoint }), "InvalidParameterValue", "ModifyVpcEndpoint"},
		{"route to a peer", route(func(in *ec2.CreateRouteInput) { in.VpcPeeringConnectionId = aws.String("pcx-1") }), "UnsupportedOperation", "VpcPeeringConnectionId"},
		{"route to an instance", route(func(in *ec2.CreateRouteInput) { in.InstanceId = aws.String("i-1") }), "UnsupportedOperation", "InstanceId"},
		{"route within the VPC", route(func(in *ec2.CreateRouteInput) {
			in.DestinationCidrBlock, in.GatewayId = aws.String("10.20.3.0/24"), aws.String("igw-1")
		}), "InvalidParameterValue", "more specific"},
		{"route of IPv6", route(func(in *ec2.CreateRouteInput) {
			in.DestinationIpv6CidrBlock, in.DestinationCidrBlock = aws.String("::/0"), nil
		}), "UnsupportedOperation", "DestinationIpv6CidrBlock"},
		{"replace no route", failure(r.ReplaceRoute(r.ctx, &ec2.ReplaceRouteInput{RouteTableId: &s.table, DestinationCidrBlock: aws.String("0.0.0.0/0"), LocalTarget: aws.Bool(true)})), "UnsupportedOperation", "LocalTarget"},
		{"delete no route", failure(r.DeleteRoute(r.ctx, &ec2.DeleteRouteInput{RouteTableId: &s.table, DestinationCidrBlock: aws.String("0.0.0.0/0")})), "InvalidRoute.NotFound", "no route with destination-cidr-block 0.0.0.0/0 in route table " + s.table},
		{"delete the local route", failure(r.DeleteRoute(r.ctx, &ec2.DeleteRouteInput{RouteTableId: &s.table, DestinationCidrBlock: aws.String("10.20.0.0/16")})), "InvalidParameterValue", "local"},

		{"interface endpoint", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.VpcEndpointType = "Interface" }), "UnsupportedOperation", "Interface"},
		{"endpoint of DynamoDB", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.ServiceName = aws.String("com.amazonaws.us-east-1.dynamodb") }), "UnsupportedOperation", "dynamodb"},
		{"endpoint of another region", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.ServiceName = aws.String("com.amazonaws.eu-west-1.s3") }), "InvalidServiceName", "The Vpc Endpoint Service 'com.amazonaws.eu-west-1.s3' does not exist"},
		{"endpoint with a policy", endpoint(func(in *ec2.CreateVpcEndpointInput) {
			in.PolicyDocument = aws.String(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`)
		}), "UnsupportedOperation", "PolicyDocument"},
		{"endpoint of no table", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.RouteTableIds = []string{no} }), "InvalidRouteTableId.NotFound", no},
		{"endpoint of another VPC's table", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.RouteTableIds = []string{other.table} }), "InvalidParameter", other.table},
		{"second endpoint of a table", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.RouteTableIds = []string{s.table} }), "RouteAlreadyExists", s.table},
		{"endpoint with groups", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{s.group} }), "UnsupportedOperation", "SecurityGroupIds"},
		{"endpoint with private names", endpoint(func(in *ec2.CreateVpcEndpointInput) { in.PrivateDnsEnabled = aws.Bool(true) }), "UnsupportedOperation", "PrivateDnsEnabled"},
		{"no endpoint", failure(r.DescribeVpcEndpoints(r.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{no}})), "InvalidVpcEndpointId.NotFound", no},
		{"modify no endpoint", failure(r.ModifyVpcEndpoint(r.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &no})), "InvalidVpcEndpointId.NotFound", no},
		{"remove a table that it lacks", failure(r.ModifyVpcEndpoint(r.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &s.endpoint, RemoveRouteTableIds: []string{second}})), "InvalidRouteTableId.NotFound", second},
		{"no service", failure(r.DescribeVpcEndpointServices(r.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{"x"}})), "InvalidServiceName", "x"},
		{"no prefix list", failure(r.GetManagedPrefixListEntries(r.ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: aws.String("pl-1")})), "InvalidPrefixListID.NotFound", "pl-1"},
		{"an older list", failure(r.GetManagedPrefixListEntries(r.ctx, &ec2.GetManagedPrefixListEntriesInput{PrefixListId: aws.String("pl-1"), TargetVersion: aws.Int64(1)})), "UnsupportedOperation", "TargetVersion"},
		{"no interface", failure(r.DescribeNetworkInterfaces(r.ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{no}})), "InvalidNetworkInterfaceID.NotFound", no},

		{"log of a gateway", flowLog(func(in *ec2.CreateFlowLogsInput) { in.ResourceType = "TransitGateway" }), "UnsupportedOperation", "TransitGateway"},
		{"log to CloudWatch", flowLog(func(in *ec2.CreateFlowLogsInput) { in.LogDestinationType = "" }), "UnsupportedOperation", "s3"},
		{"log with a role", flowLog(func(in *ec2.CreateFlowLogsInput) { in.DeliverLogsPermissionArn = aws.String("arn") }), "UnsupportedOperation", "DeliverLogsPermissionArn"},
		{"log to nowhere", flowLog(func(in *ec2.CreateFlowLogsInput) { in.LogDestination = aws.String("s3://logs") }), "InvalidParameter", "s3://logs"},
		{"log to AWSLogs", flowLog(func(in *ec2.CreateFlowLogsInput) { in.LogDestination = aws.String("arn:aws:s3:::logs/AWSLogs/x") }), "InvalidParameter", "reserved"},
		{"log every minute or so", flowLog(func(in *ec2.CreateFlowLogsInput) { in.MaxAggregationInterval = aws.Int32(61) }), "InvalidParameter", "61"},
		{"log of other fields", flowLog(func(in *ec2.CreateFlowLogsInput) { in.LogFormat = aws.String("${version} ${tcp-flags}") }), "InvalidParameter", "tcp-flags"},
		{"log in parquet", flowLog(func(in *ec2.CreateFlowLogsInput) {
			in.DestinationOptions = &types.DestinationOptionsRequest{FileFormat: "parquet"}
		}), "UnsupportedOperation", "parquet"},
		{"log by the hour", flowLog(func(in *ec2.CreateFlowLogsInput) {
			in.DestinationOptions = &types.DestinationOptionsRequest{PerHourPartition: aws.Bool(true)}
		}), "UnsupportedOperation", "PerHourPartition"},
		{"log for Hive", flowLog(func(in *ec2.CreateFlowLogsInput) {
			in.DestinationOptions = &types.DestinationOptionsRequest{HiveCompatiblePartitions: aws.Bool(true)}
		}), "UnsupportedOperation", "HiveCompatiblePartitions"},
		{"log of no traffic", flowLog(func(in *ec2.CreateFlowLogsInput) { in.TrafficType = "" }), "MissingParameter", "TrafficType"},
		{"log of nothing", flowLog(func(in *ec2.CreateFlowLogsInput) { in.ResourceIds = nil }), "MissingParameter", "ResourceId"},
		{"no log", failure(r.DescribeFlowLogs(r.ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: []string{no}})), "InvalidFlowLogId.NotFound", no},

		{"no gateway", failure(r.DeleteInternetGateway(r.ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &no})), "InvalidInternetGatewayID.NotFound", no},
		{"no NAT gateway", failure(r.DeleteNatGateway(r.ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &no})), "NatGatewayNotFound", no},
		{"NAT gateway without address", failure(r.CreateNatGateway(r.ctx, &ec2.CreateNatGatewayInput{SubnetId: &s.subnet})), "MissingParameter", "AllocationId"},
		{"private NAT gateway with address", failure(r.CreateNatGateway(r.ctx, &ec2.CreateNatGatewayInput{SubnetId: &s.subnet, ConnectivityType: "private", AllocationId: &no})), "InvalidParameterCombination", ""},
		{"NAT gateway of no address", failure(r.CreateNatGateway(r.ctx, &ec2.CreateNatGatewayInput{SubnetId: &s.subnet, AllocationId: &no})), "InvalidAllocationID.NotFound", no},
		{"regional NAT gateway", failure(r.CreateNatGateway(r.ctx, &ec2.CreateNatGatewayInput{VpcId: &s.vpc, AvailabilityMode: "regional"})), "UnsupportedOperation", "AvailabilityMode"},
		{"release nothing", failure(r.ReleaseAddress(r.ctx, &ec2.ReleaseAddressInput{AllocationId: &no})), "InvalidAllocationID.NotFound", no},
		{"address of one's own", failure(r.AllocateAddress(r.ctx, &ec2.AllocateAddressInput{Address: aws.String("1.2.3.4")})), "UnsupportedOperation", "Address"},
		{"no such address", failure(r.DescribeAddresses(r.ctx, &ec2.DescribeAddressesInput{PublicIps: []string{"1.2.3.4"}})), "InvalidAddress.NotFound", "1.2.3.4"},

		{"tag of nothing", failure(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{"subnet-1"}, Tags: tags("a", "b")})), "InvalidSubnetID.NotFound", "subnet-1"},
		{"tag of something strange", failure(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{"i-1"}, Tags: tags("a", "b")})), "InvalidID", "i-1"},
		{"reserved tag", failure(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{s.vpc}, Tags: tags("aws:x", "b")})), "InvalidParameterValue", "reserved"},
		{"long tag", failure(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{s.vpc}, Tags: tags(strings.Repeat("x", 129), "b")})), "InvalidParameterValue", "128"},
		{"tag twice", failure(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{s.vpc}, Tags: append(tags("a", "b"), tags("a", "c")...)})), "InvalidParameterValue", "Duplicate tag key 'a' specified."},

		{"no region", failure(r.DescribeRegions(r.ctx, &ec2.DescribeRegionsInput{RegionNames: []string{"mars-1"}})), "InvalidParameterValue", "mars-1"},
		{"no zone", failure(r.DescribeAvailabilityZones(r.ctx, &ec2.DescribeAvailabilityZonesInput{ZoneNames: []string{"us-east-1z"}})), "InvalidParameterValue", "us-east-1z"},
		{"no DHCP options", failure(r.DescribeDhcpOptions(r.ctx, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{no}})), "InvalidDhcpOptionID.NotFound", no},
		{"no ACL", failure(r.DescribeNetworkAcls(r.ctx, &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{no}})), "InvalidNetworkAclID.NotFound", no},
		{"unknown filter", failure(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{Filters: filters("colour", "red")})), "InvalidParameterValue", "The filter 'colour' is invalid"},
		{"ids and pages", failure(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{s.vpc}, MaxResults: aws.Int32(5)})), "InvalidParameterCombination", "vpcIds"},
		{"small pages", failure(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{MaxResults: aws.Int32(4)})), "InvalidParameterValue", "maxResults"},
		{"bad token", failure(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{NextToken: aws.String("x")})), "InvalidNextToken", "x"},
	} {
		wantCode(t, tt.name, tt.err, tt.code, tt.text)
	}
}

// failure is the error of a result.
func failure[T any](_ T, err error) error { return err }

func tags(key, value string) []types.Tag { return []types.Tag{{Key: &key, Value: &value}} }

func tagSpec(kind types.ResourceType, key, value string) []types.TagSpecification {
	return []types.TagSpecification{{ResourceType: kind, Tags: tags(key, value)}}
}

// TestTagLimits has more tags than a resource can have, at once and by and by.
func TestTagLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var many []types.Tag
	for i := range 51 {
		many = append(many, tags(strings.Repeat("k", i+1), "v")...)
	}
	_, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: []types.TagSpecification{{ResourceType: "vpc", Tags: many}}})
	wantCode(t, "at once", err, "TagLimitExceeded", "50")
	v := r.newVPC("10.0.0.0/16")
	ok[*ec2.CreateTagsOutput](t)(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{v}, Tags: many[:50]}))
	_, err = r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{v}, Tags: many[50:]})
	wantCode(t, "by and by", err, "TagLimitExceeded", "50")
}

// TestDryRun keeps nothing, and says what would have happened.
func TestDryRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dry := aws.Bool(true)
	_, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), DryRun: dry})
	wantCode(t, "CreateVpc", err, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	_, err = r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/8"), DryRun: dry})
	wantCode(t, "a bad CreateVpc", err, "InvalidVpc.Range", "")
	_, err = r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{DryRun: dry})
	wantCode(t, "DescribeVpcs", err, "DryRunOperation", "")
	if out := ok[*ec2.DescribeVpcsOutput](t)(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{})); len(out.Vpcs) != 0 {
		t.Errorf("a dry run made %v", out.Vpcs)
	}
	r.gate.refuse = []string{"ec2:CreateVpc"}
	_, err = r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), DryRun: dry})
	wantCode(t, "without permission", err, "AccessDeniedException", "") // UnauthorizedOperation on the wire
}

// TestTagsAreAsked wants ec2:CreateTags for tags at creation, as in AWS.
func TestTagsAreAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.gate.refuse = []string{"ec2:CreateTags"}
	_, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagSpec("vpc", "a", "b")})
	if cloister.Code(err) != "AccessDeniedException" {
		t.Errorf("CreateVpc with tags: %v, want a refusal", err)
	}
}
