package vpc

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// CreateVpc makes a VPC with one IPv4 block, its default security group, main route table and network ACL.
func (s *Service) CreateVpc(ctx context.Context, in *ec2.CreateVpcInput, _ ...func(*ec2.Options)) (*ec2.CreateVpcOutput, error) {
	if err := s.allow(ctx, "CreateVpc", "vpc/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	if err := only(in, "CidrBlock", "InstanceTenancy", "TagSpecifications"); err != nil {
		return nil, err
	}
	if in.InstanceTenancy != "" && in.InstanceTenancy != types.TenancyDefault {
		return nil, unsupported("The tenancy %s is not supported here: there are no instances", in.InstanceTenancy)
	}
	if in.CidrBlock == nil {
		return nil, missing("CidrBlock")
	}
	block, err := vpcBlock(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(types.ResourceTypeVpc, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateVpcOutput{}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		ids, err := s.newIDs("vpc", "vpc-cidr-assoc", "sg", "rtb", "rtbassoc", "acl", "sgr", "sgr")
		if err != nil {
			return err
		}
		now := s.now()
		v := &vpcRes{base: base{ID: ids[0], Created: now, Tags: tags}, CIDR: block, Association: ids[1], DNS: true}
		n.vpcs.add(v)
		n.groups.add(&groupRes{
			base: base{ID: ids[2], Created: now}, VPC: v.ID, Name: defaultGroup, Description: "default VPC security group",
			Rules: []ruleRes{
				{ID: ids[6], Protocol: allProtocols, From: -1, To: -1, Group: ids[2]},
				allEgress(ids[7]),
			},
		})
		n.tables.add(&tableRes{base: base{ID: ids[3], Created: now}, VPC: v.ID, Associations: []associationRes{{ID: ids[4]}}})
		n.acls.add(&aclRes{base: base{ID: ids[5], Created: now}, VPC: v.ID})
		shown := n.showVPC(v)
		shown.State = types.VpcStatePending // as AWS answers; Describe says available
		out.Vpc = &shown
		return nil
	})
}

func (n *network) showVPC(v *vpcRes) types.Vpc {
	return types.Vpc{
		VpcId: aws.String(v.ID), CidrBlock: aws.String(v.CIDR.String()), DhcpOptionsId: aws.String(dhcpOptions(n.Place)), State: types.VpcStateAvailable,
		InstanceTenancy: types.TenancyDefault, IsDefault: aws.Bool(false), OwnerId: aws.String(string(n.Account)), Tags: tagList(v.Tags),
		CidrBlockAssociationSet: []types.VpcCidrBlockAssociation{{
			AssociationId: aws.String(v.Association), CidrBlock: aws.String(v.CIDR.String()),
			CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated},
		}},
	}
}

// DescribeVpcs describes VPCs.
func (s *Service) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	if err := s.allow(ctx, "DescribeVpcs"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	d := described[types.Vpc]{
		notFound: "InvalidVpcID.NotFound", text: "The vpc ID '%s' does not exist", ids: "vpcIds",
		id: func(v *types.Vpc) *string { return v.VpcId }, tags: func(v *types.Vpc) []types.Tag { return v.Tags },
		filters: map[string]func(*types.Vpc) []string{
			"cidr": func(v *types.Vpc) []string { return one(v.CidrBlock) },
			"cidr-block-association.cidr-block": func(v *types.Vpc) []string {
				return list(v.CidrBlockAssociationSet, func(a types.VpcCidrBlockAssociation) *string { return a.CidrBlock })
			},
			"cidr-block-association.association-id": func(v *types.Vpc) []string {
				return list(v.CidrBlockAssociationSet, func(a types.VpcCidrBlockAssociation) *string { return a.AssociationId })
			},
			"dhcp-options-id": func(v *types.Vpc) []string { return one(v.DhcpOptionsId) },
			"is-default":      func(v *types.Vpc) []string { return yes(v.IsDefault) },
			"isDefault":       func(v *types.Vpc) []string { return yes(v.IsDefault) },
			"owner-id":        func(v *types.Vpc) []string { return one(v.OwnerId) },
			"state":           func(v *types.Vpc) []string { return word(v.State) },
			"vpc-id":          func(v *types.Vpc) []string { return one(v.VpcId) },
		},
	}
	vpcs, next, err := describe(d, mapped(n.vpcs.items, n.showVPC), query{in.VpcIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcsOutput{Vpcs: vpcs, NextToken: next}, dryRun(in.DryRun)
}

// vpc finds a VPC.
func (n *network) vpc(id string) (*vpcRes, error) {
	if v, ok := n.vpcs.find(id); ok {
		return v, nil
	}
	return nil, notFound("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

// DeleteVpc deletes a VPC that has nothing but what CreateVpc made.
func (s *Service) DeleteVpc(ctx context.Context, in *ec2.DeleteVpcInput, _ ...func(*ec2.Options)) (*ec2.DeleteVpcOutput, error) {
	id := aws.ToString(in.VpcId)
	if err := s.allow(ctx, "DeleteVpc", "vpc/"+id); err != nil {
		return nil, err
	}
	return &ec2.DeleteVpcOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		if _, err := n.vpc(id); err != nil {
			return err
		}
		if n.occupied(id) {
			return inUse("The vpc '%s' has dependencies and cannot be deleted.", id)
		}
		n.vpcs.remove(id)
		n.groups.removeIf(func(g *groupRes) bool { return g.VPC == id })
		n.tables.removeIf(func(t *tableRes) bool { return t.VPC == id })
		n.acls.removeIf(func(a *aclRes) bool { return a.VPC == id })
		n.flowLogs.removeIf(func(f *FlowLog) bool { return f.Resource == id })
		n.holds.removeIf(func(h *holdRes) bool { return heldIn(h, id) })
		return nil
	})
}

// occupied reports whether a VPC has more than its default group, main route table and ACL.
func (n *network) occupied(id string) bool {
	return len(n.subnets.where(func(r *subnetRes) bool { return r.VPC == id })) > 0 ||
		len(n.groups.where(func(r *groupRes) bool { return r.VPC == id && r.Name != defaultGroup })) > 0 ||
		len(n.tables.where(func(r *tableRes) bool { return r.VPC == id && !r.main() })) > 0 ||
		len(n.endpoints.where(func(r *endpointRes) bool { return r.VPC == id })) > 0 ||
		len(n.gateways.where(func(r *gatewayRes) bool { return r.VPC == id })) > 0 ||
		n.live(id)
}

// ModifyVpcAttribute changes one of a VPC's attributes. With DNS support off, the VPC's resolver knows no names.
func (s *Service) ModifyVpcAttribute(ctx context.Context, in *ec2.ModifyVpcAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyVpcAttributeOutput, error) {
	id := aws.ToString(in.VpcId)
	if err := s.allow(ctx, "ModifyVpcAttribute", "vpc/"+id); err != nil {
		return nil, err
	}
	set := 0
	for _, a := range []*types.AttributeBooleanValue{in.EnableDnsHostnames, in.EnableDnsSupport, in.EnableNetworkAddressUsageMetrics} {
		if a != nil {
			set++
		}
	}
	switch {
	case set != 1:
		return nil, badCombination("Fields for multiple attribute types specified: give one of enableDnsHostnames, enableDnsSupport, enableNetworkAddressUsageMetrics")
	case in.EnableNetworkAddressUsageMetrics != nil && aws.ToBool(in.EnableNetworkAddressUsageMetrics.Value):
		return nil, unsupported("EnableNetworkAddressUsageMetrics is not supported here: there are no such metrics")
	}
	return &ec2.ModifyVpcAttributeOutput{}, s.change(ctx, nil, func(n *network) error {
		v, err := n.vpc(id)
		if err != nil {
			return err
		}
		switch {
		case in.EnableDnsSupport != nil:
			v.DNS = aws.ToBool(in.EnableDnsSupport.Value)
		case in.EnableDnsHostnames != nil:
			v.DNSNames = aws.ToBool(in.EnableDnsHostnames.Value)
		}
		return nil
	})
}

// DescribeVpcAttribute describes one attribute of a VPC.
func (s *Service) DescribeVpcAttribute(ctx context.Context, in *ec2.DescribeVpcAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcAttributeOutput, error) {
	id := aws.ToString(in.VpcId)
	if err := s.allow(ctx, "DescribeVpcAttribute", "vpc/"+id); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	v, err := n.vpc(id)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcAttributeOutput{VpcId: in.VpcId}
	switch in.Attribute {
	case types.VpcAttributeNameEnableDnsSupport:
		out.EnableDnsSupport = &types.AttributeBooleanValue{Value: aws.Bool(v.DNS)}
	case types.VpcAttributeNameEnableDnsHostnames:
		out.EnableDnsHostnames = &types.AttributeBooleanValue{Value: aws.Bool(v.DNSNames)}
	case types.VpcAttributeNameEnableNetworkAddressUsageMetrics:
		out.EnableNetworkAddressUsageMetrics = &types.AttributeBooleanValue{Value: aws.Bool(false)}
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", in.Attribute)
	}
	return out, dryRun(in.DryRun)
}
