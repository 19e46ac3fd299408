package vpc

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// CreateInternetGateway stores an internet gateway. It is described and leads nowhere: no network here has a way out.
func (s *Service) CreateInternetGateway(ctx context.Context, in *ec2.CreateInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.CreateInternetGatewayOutput, error) {
	if err := s.allow(ctx, "CreateInternetGateway", "internet-gateway/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	tags, err := tagsFor(types.ResourceTypeInternetGateway, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateInternetGatewayOutput{}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		id, err := s.newID("igw")
		if err != nil {
			return err
		}
		g := &gatewayRes{base: base{ID: id, Created: s.now(), Tags: tags}}
		n.gateways.add(g)
		shown := n.showGateway(g)
		out.InternetGateway = &shown
		return nil
	})
}

func (n *network) showGateway(g *gatewayRes) types.InternetGateway {
	out := types.InternetGateway{
		InternetGatewayId: aws.String(g.ID), OwnerId: aws.String(string(n.Account)), Tags: tagList(g.Tags), Attachments: []types.InternetGatewayAttachment{},
	}
	if g.VPC != "" {
		out.Attachments = append(out.Attachments, types.InternetGatewayAttachment{VpcId: aws.String(g.VPC), State: "available"}) // AWS's word, which the SDK lacks
	}
	return out
}

// DescribeInternetGateways describes internet gateways.
func (s *Service) DescribeInternetGateways(ctx context.Context, in *ec2.DescribeInternetGatewaysInput, _ ...func(*ec2.Options)) (*ec2.DescribeInternetGatewaysOutput, error) {
	if err := s.allow(ctx, "DescribeInternetGateways"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	d := described[types.InternetGateway]{
		notFound: "InvalidInternetGatewayID.NotFound", text: "The internetGateway ID '%s' does not exist", ids: "internetGatewayIds",
		id: func(g *types.InternetGateway) *string { return g.InternetGatewayId }, tags: func(g *types.InternetGateway) []types.Tag { return g.Tags },
		filters: map[string]func(*types.InternetGateway) []string{
			"attachment.state": func(g *types.InternetGateway) []string {
				return list(g.Attachments, func(a types.InternetGatewayAttachment) *string { return aws.String(string(a.State)) })
			},
			"attachment.vpc-id": func(g *types.InternetGateway) []string {
				return list(g.Attachments, func(a types.InternetGatewayAttachment) *string { return a.VpcId })
			},
			"internet-gateway-id": func(g *types.InternetGateway) []string { return one(g.InternetGatewayId) },
			"owner-id":            func(g *types.InternetGateway) []string { return one(g.OwnerId) },
		},
	}
	out, next, err := describe(d, mapped(n.gateways.items, n.showGateway), query{in.InternetGatewayIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: out, NextToken: next}, dryRun(in.DryRun)
}

// gateway finds an internet gateway.
func (n *network) gateway(id string) (*gatewayRes, error) {
	if g, ok := n.gateways.find(id); ok {
		return g, nil
	}
	return nil, notFound("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
}

// AttachInternetGateway notes which VPC a gateway is of.
func (s *Service) AttachInternetGateway(ctx context.Context, in *ec2.AttachInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.AttachInternetGatewayOutput, error) {
	id, vpc := aws.ToString(in.InternetGatewayId), aws.ToString(in.VpcId)
	if err := s.allow(ctx, "AttachInternetGateway", "internet-gateway/"+id, "vpc/"+vpc); err != nil {
		return nil, err
	}
	return &ec2.AttachInternetGatewayOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := n.gateway(id)
		if err != nil {
			return err
		}
		if _, err := n.vpc(vpc); err != nil {
			return err
		}
		if g.VPC != "" {
			return cloister.Errorf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", id, g.VPC)
		}
		if len(n.gateways.where(func(o *gatewayRes) bool { return o.VPC == vpc })) > 0 {
			return invalidValue("Network %s already has an internet gateway attached", vpc)
		}
		g.VPC = vpc
		return nil
	})
}

// DetachInternetGateway ends that.
func (s *Service) DetachInternetGateway(ctx context.Context, in *ec2.DetachInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.DetachInternetGatewayOutput, error) {
	id, vpc := aws.ToString(in.InternetGatewayId), aws.ToString(in.VpcId)
	if err := s.allow(ctx, "DetachInternetGateway", "internet-gateway/"+id, "vpc/"+vpc); err != nil {
		return nil, err
	}
	return &ec2.DetachInternetGatewayOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := n.gateway(id)
		if err != nil {
			return err
		}
		if vpc == "" || g.VPC != vpc {
			return cloister.Errorf("Gateway.NotAttached", "resource %s is not attached to network %s", id, vpc)
		}
		if len(n.nats.where(func(nat *natRes) bool { return nat.VPC == vpc && nat.Address != "" })) > 0 {
			return inUse("Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", vpc)
		}
		g.VPC = ""
		return nil
	})
}

// DeleteInternetGateway deletes a gateway that is not attached. Routes to it become black holes.
func (s *Service) DeleteInternetGateway(ctx context.Context, in *ec2.DeleteInternetGatewayInput, _ ...func(*ec2.Options)) (*ec2.DeleteInternetGatewayOutput, error) {
	id := aws.ToString(in.InternetGatewayId)
	if err := s.allow(ctx, "DeleteInternetGateway", "internet-gateway/"+id); err != nil {
		return nil, err
	}
	return &ec2.DeleteInternetGatewayOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := n.gateway(id)
		if err != nil {
			return err
		}
		if g.VPC != "" {
			return inUse("The internetGateway '%s' has dependencies and cannot be deleted.", id)
		}
		n.gateways.remove(id)
		return nil
	})
}
