package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"example.com/cloister/internal/wire"
)

// EC2 is what serves the operations of Amazon EC2 that VPCs are made with: the methods of the SDK's *ec2.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: Amazon EC2 API Reference.
type EC2 interface {
	CreateVpc(ctx context.Context, in *ec2.CreateVpcInput, opts ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error)
	DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, opts ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error)
	DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput, opts ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error)
	ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput, opts ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error)
	DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput, opts ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error)
	CreateSubnet(ctx context.Context, in *ec2.CreateSubnetInput, opts ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error)
	DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, opts ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
	DeleteSubnet(ctx context.Context, in *ec2.DeleteSubnetInput, opts ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error)
	ModifySubnetAttribute(ctx context.Context, in *ec2.ModifySubnetAttributeInput, opts ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error)
	CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, opts ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error)
	DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, opts ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
	DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, opts ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error)
	AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, opts ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
	AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput, opts ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupEgressOutput, error)
	RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput, opts ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error)
	RevokeSecurityGroupEgress(ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput, opts ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupEgressOutput, error)
	DescribeSecurityGroupRules(ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput, opts ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupRulesOutput, error)
	ModifySecurityGroupRules(ctx context.Context, in *ec2.ModifySecurityGroupRulesInput, opts ...func(*ec2.Options)) (*ec2.ModifySecurityGroupRulesOutput, error)
	UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput, opts ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error)
	UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput, opts ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error)
	CreateRouteTable(ctx context.Context, in *ec2.CreateRouteTableInput, opts ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error)
	DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, opts ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error)
	DeleteRouteTable(ctx context.Context, in *ec2.DeleteRouteTableInput, opts ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error)
	AssociateRouteTable(ctx context.Context, in *ec2.AssociateRouteTableInput, opts ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error)
	DisassociateRouteTable(ctx context.Context, in *ec2.DisassociateRouteTableInput, opts ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error)
	ReplaceRouteTableAssociation(ctx context.Context, in *ec2.ReplaceRouteTableAssociationInput, opts ...func(*ec2.Options)) (*ec2.ReplaceRouteTableAssociationOutput, error)
	CreateRoute(ctx context.Context, in *ec2.CreateRouteInput, opts ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error)
	ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput, opts ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error)
	DeleteRoute(ctx context.Context, in *ec2.DeleteRouteInput, opts ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error)
	CreateVpcEndpoint(ctx context.Context, in *ec2.CreateVpcEndpointInput, opts ...func(*ec2.Options)) (*ec2.CreateVpcEndpointOutput, error)
	DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput, opts ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointsOutput, error)
	ModifyVpcEndpoint(ctx context.Context, in *ec2.ModifyVpcEndpointInput, opts ...func(*ec2.Options)) (*ec2.ModifyVpcEndpointOutput, error)
	DeleteVpcEndpoints(ctx context.Context, in *ec2.DeleteVpcEndpointsInput, opts ...func(*ec2.Options)) (*ec2.DeleteVpcEndpointsOutput, error)
	DescribeVpcEndpointServices(ctx context.Context, in *ec2.DescribeVpcEndpointServicesInput, opts ...func(*ec2.Options)) (*ec2.DescribeVpcEndpointServicesOutput, error)
	DescribePrefixLists(ctx context.Context, in *ec2.DescribePrefixListsInput, opts ...func(*ec2.Options)) (*ec2.DescribePrefixListsOutput, error)
	DescribeManagedPrefixLists(ctx context.Context, in *ec2.DescribeManagedPrefixListsInput, opts ...func(*ec2.Options)) (*ec2.DescribeManagedPrefixListsOutput, error)
	GetManagedPrefixListEntries(ctx context.Context, in *ec2.GetManagedPrefixListEntriesInput, opts ...func(*ec2.Options)) (*ec2.GetManagedPrefixListEntriesOutput, error)
	DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, opts ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error)
	CreateFlowLogs(ctx context.Context, in *ec2.CreateFlowLogsInput, opts ...func(*ec2.Options)) (*ec2.CreateFlowLogsOutput, error)
	DescribeFlowLogs(ctx context.Context, in *ec2.DescribeFlowLogsInput, opts ...func(*ec2.Options)) (*ec2.DescribeFlowLogsOutput, error)
	DeleteFlowLogs(ctx context.Context, in *ec2.DeleteFlowLogsInput, opts ...func(*ec2.Options)) (*ec2.DeleteFlowLogsOutput, error)
	DescribeRegions(ctx context.Context, in *ec2.DescribeRegionsInput, opts ...func(*ec2.Options)) (*ec2.DescribeRegionsOutput, error)
	DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput, opts ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error)
	DescribeDhcpOptions(ctx context.Context, in *ec2.DescribeDhcpOptionsInput, opts ...func(*ec2.Options)) (*ec2.DescribeDhcpOptionsOutput, error)
	DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput, opts ...func(*ec2.Options)) (*ec2.DescribeNetworkAclsOutput, error)
	DescribeAccountAttributes(ctx context.Context, in *ec2.DescribeAccountAttributesInput, opts ...func(*ec2.Options)) (*ec2.DescribeAccountAttributesOutput, error)
	CreateInternetGateway(ctx context.Context, in *ec2.CreateInternetGatewayInput, opts ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error)
	AttachInternetGateway(ctx context.Context, in *ec2.AttachInternetGatewayInput, opts ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error)
	DetachInternetGateway(ctx context.Context, in *ec2.DetachInternetGatewayInput, opts ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error)
	DeleteInternetGateway(ctx context.Context, in *ec2.DeleteInternetGatewayInput, opts ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error)
	DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput, opts ...func(*ec2.Options)) (*ec2.DescribeInternetGatewaysOutput, error)
	CreateNatGateway(ctx context.Context, in *ec2.CreateNatGatewayInput, opts ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error)
	DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, opts ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error)
	DeleteNatGateway(ctx context.Context, in *ec2.DeleteNatGatewayInput, opts ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error)
	AllocateAddress(ctx context.Context, in *ec2.AllocateAddressInput, opts ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error)
	DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput, opts ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error)
	DescribeAddressesAttribute(ctx context.Context, in *ec2.DescribeAddressesAttributeInput, opts ...func(*ec2.Options)) (*ec2.DescribeAddressesAttributeOutput, error)
	ReleaseAddress(ctx context.Context, in *ec2.ReleaseAddressInput, opts ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error)
	CreateTags(ctx context.Context, in *ec2.CreateTagsInput, opts ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput, opts ...func(*ec2.Options)) (*ec2.DeleteTagsOutput, error)
	DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput, opts ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error)
}

var _ EC2 = (*ec2.Client)(nil)

// ec2Operations is the table of operations that are served of EC2.
func ec2Operations(svc EC2) []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateVpc", svc.CreateVpc),
		wire.Op("DescribeVpcs", svc.DescribeVpcs),
		wire.Op("DeleteVpc", svc.DeleteVpc),
		wire.Op("ModifyVpcAttribute", svc.ModifyVpcAttribute),
		wire.Op("DescribeVpcAttribute", svc.DescribeVpcAttribute),
		wire.Op("CreateSubnet", svc.CreateSubnet),
		wire.Op("DescribeSubnets", svc.DescribeSubnets),
		wire.Op("DeleteSubnet", svc.DeleteSubnet),
		wire.Op("ModifySubnetAttribute", svc.ModifySubnetAttribute),
		wire.Op("CreateSecurityGroup", svc.CreateSecurityGroup),
		wire.Op("DescribeSecurityGroups", svc.DescribeSecurityGroups),
		wire.Op("DeleteSecurityGroup", svc.DeleteSecurityGroup),
		wire.Op("AuthorizeSecurityGroupIngress", svc.AuthorizeSecurityGroupIngress),
		wire.Op("AuthorizeSecurityGroupEgress", svc.AuthorizeSecurityGroupEgress),
		wire.Op("RevokeSecurityGroupIngress", svc.RevokeSecurityGroupIngress),
		wire.Op("RevokeSecurityGroupEgress", svc.RevokeSecurityGroupEgress),
		wire.Op("DescribeSecurityGroupRules", svc.DescribeSecurityGroupRules),
		wire.Op("ModifySecurityGroupRules", svc.ModifySecurityGroupRules),
		wire.Op("UpdateSecurityGroupRuleDescriptionsIngress", svc.UpdateSecurityGroupRuleDescriptionsIngress),
		wire.Op("UpdateSecurityGroupRuleDescriptionsEgress", svc.UpdateSecurityGroupRuleDescriptionsEgress),
		wire.Op("CreateRouteTable", svc.CreateRouteTable),
		wire.Op("DescribeRouteTables", svc.DescribeRouteTables),
		wire.Op("DeleteRouteTable", svc.DeleteRouteTable),
		wire.Op("AssociateRouteTable", svc.AssociateRouteTable),
		wire.Op("DisassociateRouteTable", svc.DisassociateRouteTable),
		wire.Op("ReplaceRouteTableAssociation", svc.ReplaceRouteTableAssociation),
		wire.Op("CreateRoute", svc.CreateRoute),
		wire.Op("ReplaceRoute", svc.ReplaceRoute),
		wire.Op("DeleteRoute", svc.DeleteRoute),
		wire.Op("CreateVpcEndpoint", svc.CreateVpcEndpoint),
		wire.Op("DescribeVpcEndpoints", svc.DescribeVpcEndpoints),
		wire.Op("ModifyVpcEndpoint", svc.ModifyVpcEndpoint),
		wire.Op("DeleteVpcEndpoints", svc.DeleteVpcEndpoints),
		wire.Op("DescribeVpcEndpointServices", svc.DescribeVpcEndpointServices),
		wire.Op("DescribePrefixLists", svc.DescribePrefixLists),
		wire.Op("DescribeManagedPrefixLists", svc.DescribeManagedPrefixLists),
		wire.Op("GetManagedPrefixListEntries", svc.GetManagedPrefixListEntries),
		wire.Op("DescribeNetworkInterfaces", svc.DescribeNetworkInterfaces),
		wire.Op("CreateFlowLogs", svc.CreateFlowLogs),
		wire.Op("DescribeFlowLogs", svc.DescribeFlowLogs),
		wire.Op("DeleteFlowLogs", svc.DeleteFlowLogs),
		wire.Op("DescribeRegions", svc.DescribeRegions),
		wire.Op("DescribeAvailabilityZones", svc.DescribeAvailabilityZones),
		wire.Op("DescribeDhcpOptions", svc.DescribeDhcpOptions),
		wire.Op("DescribeNetworkAcls", svc.DescribeNetworkAcls),
		wire.Op("DescribeAccountAttributes", svc.DescribeAccountAttributes),
		wire.Op("CreateInternetGateway", svc.CreateInternetGateway),
		wire.Op("AttachInternetGateway", svc.AttachInternetGateway),
		wire.Op("DetachInternetGateway", svc.DetachInternetGateway),
		wire.Op("DeleteInternetGateway", svc.DeleteInternetGateway),
		wire.Op("DescribeInternetGateways", svc.DescribeInternetGateways),
		wire.Op("CreateNatGateway", svc.CreateNatGateway),
		wire.Op("DescribeNatGateways", svc.DescribeNatGateways),
		wire.Op("DeleteNatGateway", svc.DeleteNatGateway),
		wire.Op("AllocateAddress", svc.AllocateAddress),
		wire.Op("DescribeAddresses", svc.DescribeAddresses),
		wire.Op("DescribeAddressesAttribute", svc.DescribeAddressesAttribute),
		wire.Op("ReleaseAddress", svc.ReleaseAddress),
		wire.Op("CreateTags", svc.CreateTags),
		wire.Op("DeleteTags", svc.DeleteTags),
		wire.Op("DescribeTags", svc.DescribeTags),
	}
}
