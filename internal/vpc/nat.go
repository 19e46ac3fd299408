package vpc

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// CreateNatGateway stores a NAT gateway, which takes an address of its subnet. It is described and leads nowhere: no
// network here has a way out.
func (s *Service) CreateNatGateway(ctx context.Context, in *ec2.CreateNatGatewayInput, _ ...func(*ec2.Options)) (*ec2.CreateNatGatewayOutput, error) {
	if err := s.allow(ctx, "CreateNatGateway", "subnet/"+aws.ToString(in.SubnetId), "natgateway/*"); err != nil {
		return nil, err
	}
	if in.AllocationId != nil {
		if err := s.allow(ctx, "CreateNatGateway", "elastic-ip/"+*in.AllocationId); err != nil {
			return nil, err
		}
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	if err := only(in, "AllocationId", "ClientToken", "ConnectivityType", "SubnetId", "TagSpecifications"); err != nil {
		return nil, err
	}
	private := in.ConnectivityType == types.ConnectivityTypePrivate
	switch {
	case in.SubnetId == nil:
		return nil, missing("SubnetId")
	case private && in.AllocationId != nil:
		return nil, badCombination("A private NAT gateway has no AllocationId")
	case !private && in.AllocationId == nil:
		return nil, missing("AllocationId")
	}
	tags, err := tagsFor(types.ResourceTypeNatgateway, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	token := aws.ToString(in.ClientToken)
	plain := *in
	plain.ClientToken = nil
	print := fingerprint(plain)
	out := &ec2.CreateNatGatewayOutput{ClientToken: in.ClientToken}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := replayed(&n.nats, token, print)
		if err != nil {
			return err
		}
		if g == nil {
			if g, err = s.newNAT(n, *in.SubnetId, aws.ToString(in.AllocationId)); err != nil {
				return err
			}
			g.Tags = tags
			if token != "" {
				g.Token, g.Print = token, print
			}
			n.nats.add(g)
		}
		shown := n.showNAT(g)
		shown.State = types.NatGatewayStatePending // as AWS answers; Describe says available
		out.NatGateway = &shown
		return nil
	})
}

func (s *Service) newNAT(n *network, subnet, allocation string) (*natRes, error) {
	sub, err := n.subnet(subnet)
	if err != nil {
		return nil, err
	}
	if allocation != "" {
		if _, ok := n.addresses.find(allocation); !ok {
			return nil, notFound("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", allocation)
		}
		if n.natOf(allocation) != nil {
			return nil, cloister.Errorf("Resource.AlreadyAssociated", "Elastic IP address [%s] is already associated", allocation)
		}
		if len(n.gateways.where(func(g *gatewayRes) bool { return g.VPC == sub.VPC })) == 0 {
			return nil, cloister.Errorf("Gateway.NotAttached", "Network %s has no Internet gateway attached", sub.VPC)
		}
	}
	addr, ok := n.take(sub)
	if !ok {
		return nil, cloister.Errorf("InsufficientFreeAddressesInSubnet", "Subnet %s has no free address", subnet)
	}
	ids, err := s.newIDs("nat", "eipassoc")
	if err != nil {
		return nil, err
	}
	g := &natRes{base: base{ID: ids[0], Created: s.now()}, VPC: sub.VPC, Subnet: subnet, Address: allocation, Addr: addr}
	if allocation != "" {
		g.Association = ids[1]
	}
	return g, nil
}

// natOf is the NAT gateway that has an address, or nil.
func (n *network) natOf(allocation string) *natRes {
	for _, g := range n.nats.items {
		if g.Address == allocation {
			return g
		}
	}
	return nil
}

func (n *network) showNAT(g *natRes) types.NatGateway {
	out := types.NatGateway{
		NatGatewayId: aws.String(g.ID), VpcId: aws.String(g.VPC), SubnetId: aws.String(g.Subnet), State: types.NatGatewayStateAvailable,
		ConnectivityType: types.ConnectivityTypePrivate, CreateTime: aws.Time(g.Created), Tags: tagList(g.Tags),
	}
	address := types.NatGatewayAddress{PrivateIp: aws.String(g.Addr.String()), IsPrimary: aws.Bool(true), Status: types.NatGatewayAddressStatusSucceeded}
	if a, ok := n.addresses.find(g.Address); ok {
		out.ConnectivityType = types.ConnectivityTypePublic
		address.AllocationId, address.PublicIp, address.AssociationId = aws.String(a.ID), aws.String(a.Addr.String()), aws.String(g.Association)
	}
	out.NatGatewayAddresses = []types.NatGatewayAddress{address}
	return out
}

// DescribeNatGateways describes NAT gateways.
func (s *Service) DescribeNatGateways(ctx context.Context, in *ec2.DescribeNatGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeNatGatewaysOutput, error) {
	if err := s.allow(ctx, "DescribeNatGateways"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	d := described[types.NatGateway]{
		notFound: "NatGatewayNotFound", text: "The Nat Gateway %s was not found", ids: "natGatewayIds",
		id: func(g *types.NatGateway) *string { return g.NatGatewayId }, tags: func(g *types.NatGateway) []types.Tag { return g.Tags },
		filters: map[string]func(*types.NatGateway) []string{
			"nat-gateway-id": func(g *types.NatGateway) []string { return one(g.NatGatewayId) },
			"state":          func(g *types.NatGateway) []string { return word(g.State) },
			"subnet-id":      func(g *types.NatGateway) []string { return one(g.SubnetId) },
			"vpc-id":         func(g *types.NatGateway) []string { return one(g.VpcId) },
		},
	}
	out, next, err := describe(d, mapped(n.nats.items, n.showNAT), query{in.NatGatewayIds, in.Filter, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeNatGatewaysOutput{NatGateways: out, NextToken: next}, dryRun(in.DryRun)
}

// DeleteNatGateway deletes a NAT gateway at once; its addresses are free again. Routes to it become black holes.
func (s *Service) DeleteNatGateway(ctx context.Context, in *ec2.DeleteNatGatewayInput, _ ...func(*ec2.Options)) (*ec2.DeleteNatGatewayOutput, error) {
	id := aws.ToString(in.NatGatewayId)
	if err := s.allow(ctx, "DeleteNatGateway", "natgateway/"+id); err != nil {
		return nil, err
	}
	return &ec2.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}, s.change(ctx, in.DryRun, func(n *network) error {
		if _, ok := n.nats.find(id); !ok {
			return notFound("NatGatewayNotFound", "The Nat Gateway %s was not found", id)
		}
		n.nats.remove(id)
		return nil
	})
}
