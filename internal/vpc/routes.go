package vpc

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// localGateway is the target of the route to the VPC itself.
const localGateway = "local"

// showRoute describes a route. Its target may be gone, or not be attached any more: it is a black hole then. None leads
// anywhere in either case.
func (n *network) showRoute(t *tableRes, r routeRes) types.Route {
	out := types.Route{
		DestinationCidrBlock: aws.String(r.Dest.String()), GatewayId: ref(r.Gateway), NatGatewayId: ref(r.NAT),
		Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive,
	}
	g, attached := n.gateways.find(r.Gateway)
	nat, there := n.nats.find(r.NAT)
	if r.Gateway != "" && (!attached || g.VPC != t.VPC) || r.NAT != "" && (!there || nat.VPC != t.VPC) {
		out.State = types.RouteStateBlackhole
	}
	return out
}

// newRoute reads and checks what CreateRoute and ReplaceRoute share.
func (n *network) newRoute(tableID, dest, gateway, nat string) (*tableRes, routeRes, error) {
	t, err := n.table(tableID)
	if err != nil {
		return nil, routeRes{}, err
	}
	block, err := parseCIDR(dest)
	if err != nil {
		return nil, routeRes{}, err
	}
	block = block.Masked()
	v, err := n.vpc(t.VPC)
	if err != nil {
		return nil, routeRes{}, err
	}
	if within(v.CIDR, block) {
		return nil, routeRes{}, invalidValue("The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance.", block)
	}
	r := routeRes{Dest: block, Gateway: gateway, NAT: nat}
	switch {
	case (gateway == "") == (nat == ""):
		return nil, routeRes{}, badCombination("The request must contain exactly one of gatewayId, natGatewayId")
	case strings.HasPrefix(gateway, "vpce-"):
		return nil, routeRes{}, cloister.Errorf("InvalidParameterValue", "Routes to gateway endpoints are made by ModifyVpcEndpoint, not by hand")
	case gateway != "":
		g, ok := n.gateways.find(gateway)
		if !ok {
			return nil, routeRes{}, notFound("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", gateway)
		}
		if g.VPC != t.VPC {
			return nil, routeRes{}, cloister.Errorf("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", t.ID, gateway)
		}
	default:
		g, ok := n.nats.find(nat)
		if !ok {
			return nil, routeRes{}, notFound("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", nat)
		}
		if g.VPC != t.VPC {
			return nil, routeRes{}, cloister.Errorf("InvalidParameterValue", "route table %s and network gateway %s belong to different networks", t.ID, nat)
		}
	}
	return t, r, nil
}

// CreateRoute stores a route to an internet or NAT gateway. It is described and leads nowhere: no network here has a way out.
func (s *Service) CreateRoute(ctx context.Context, in *ec2.CreateRouteInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteOutput, error) {
	if err := s.allow(ctx, "CreateRoute", "route-table/"+aws.ToString(in.RouteTableId)); err != nil {
		return nil, err
	}
	if err := only(in, "RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId"); err != nil {
		return nil, err
	}
	if in.DestinationCidrBlock == nil {
		return nil, missing("destinationCidrBlock")
	}
	out := &ec2.CreateRouteOutput{Return: aws.Bool(true)}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		t, r, err := n.newRoute(aws.ToString(in.RouteTableId), *in.DestinationCidrBlock, aws.ToString(in.GatewayId), aws.ToString(in.NatGatewayId))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(t.Routes, func(have routeRes) bool { return have.Dest == r.Dest })
		if i >= 0 && t.Routes[i] != r {
			return cloister.Errorf("RouteAlreadyExists", "The route identified by %s already exists.", r.Dest)
		}
		if i < 0 {
			t.Routes = append(t.Routes, r)
		}
		return nil
	})
}

// ReplaceRoute changes the target of a route.
func (s *Service) ReplaceRoute(ctx context.Context, in *ec2.ReplaceRouteInput, _ ...func(*ec2.Options)) (*ec2.ReplaceRouteOutput, error) {
	if err := s.allow(ctx, "ReplaceRoute", "route-table/"+aws.ToString(in.RouteTableId)); err != nil {
		return nil, err
	}
	if err := only(in, "RouteTableId", "DestinationCidrBlock", "GatewayId", "NatGatewayId"); err != nil {
		return nil, err
	}
	if in.DestinationCidrBlock == nil {
		return nil, missing("destinationCidrBlock")
	}
	return &ec2.ReplaceRouteOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		t, r, err := n.newRoute(aws.ToString(in.RouteTableId), *in.DestinationCidrBlock, aws.ToString(in.GatewayId), aws.ToString(in.NatGatewayId))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(t.Routes, func(have routeRes) bool { return have.Dest == r.Dest })
		if i < 0 {
			return cloister.Errorf("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", r.Dest)
		}
		t.Routes[i] = r
		return nil
	})
}

// DeleteRoute deletes a route to a gateway.
func (s *Service) DeleteRoute(ctx context.Context, in *ec2.DeleteRouteInput, _ ...func(*ec2.Options)) (*ec2.DeleteRouteOutput, error) {
	if err := s.allow(ctx, "DeleteRoute", "route-table/"+aws.ToString(in.RouteTableId)); err != nil {
		return nil, err
	}
	return &ec2.DeleteRouteOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		t, err := n.table(aws.ToString(in.RouteTableId))
		if err != nil {
			return err
		}
		dest := aws.ToString(in.DestinationCidrBlock)
		switch {
		case in.DestinationPrefixListId != nil:
			return cloister.Errorf("InvalidParameterValue", "cannot remove VPC endpoint route %s in route table %s: use ModifyVpcEndpoint", *in.DestinationPrefixListId, t.ID)
		case in.DestinationIpv6CidrBlock != nil:
			return cloister.Errorf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", *in.DestinationIpv6CidrBlock, t.ID)
		case dest == "":
			return missing("destinationCidrBlock")
		}
		block, err := parseCIDR(dest)
		if err != nil {
			return err
		}
		if v, err := n.vpc(t.VPC); err == nil && v.CIDR == block.Masked() {
			return invalidValue("cannot remove local route %s in route table %s", dest, t.ID)
		}
		i := slices.IndexFunc(t.Routes, func(r routeRes) bool { return r.Dest == block.Masked() })
		if i < 0 {
			return cloister.Errorf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", dest, t.ID)
		}
		t.Routes = slices.Delete(t.Routes, i, i+1)
		return nil
	})
}
