package vpc

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// CreateRouteTable makes a route table with the local route.
func (s *Service) CreateRouteTable(ctx context.Context, in *ec2.CreateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.CreateRouteTableOutput, error) {
	if err := s.allow(ctx, "CreateRouteTable", "vpc/"+aws.ToString(in.VpcId), "route-table/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	tags, err := tagsFor(types.ResourceTypeRouteTable, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	token := aws.ToString(in.ClientToken)
	plain := *in
	plain.ClientToken = nil
	print := fingerprint(plain)
	out := &ec2.CreateRouteTableOutput{ClientToken: in.ClientToken}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		t, err := replayed(&n.tables, token, print)
		if err != nil {
			return err
		}
		if t == nil {
			v, err := n.vpc(aws.ToString(in.VpcId))
			if err != nil {
				return err
			}
			id, err := s.newID("rtb")
			if err != nil {
				return err
			}
			t = &tableRes{base: base{ID: id, Created: s.now(), Tags: tags}, VPC: v.ID}
			if token != "" {
				t.Token, t.Print = token, print
			}
			n.tables.add(t)
		}
		shown := n.showTable(t)
		out.RouteTable = &shown
		return nil
	})
}

func (n *network) showTable(t *tableRes) types.RouteTable {
	out := types.RouteTable{
		RouteTableId: aws.String(t.ID), VpcId: aws.String(t.VPC), OwnerId: aws.String(string(n.Account)), Tags: tagList(t.Tags),
		Associations: []types.RouteTableAssociation{}, PropagatingVgws: []types.PropagatingVgw{},
	}
	for _, a := range t.Associations {
		out.Associations = append(out.Associations, types.RouteTableAssociation{
			RouteTableAssociationId: aws.String(a.ID), RouteTableId: aws.String(t.ID), SubnetId: ref(a.Subnet), Main: aws.Bool(a.Subnet == ""),
			AssociationState: associated(),
		})
	}
	if v, ok := n.vpcs.find(t.VPC); ok {
		out.Routes = append(out.Routes, types.Route{
			DestinationCidrBlock: aws.String(v.CIDR.String()), GatewayId: aws.String(localGateway), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive,
		})
	}
	for _, r := range t.Routes {
		out.Routes = append(out.Routes, n.showRoute(t, r))
	}
	for _, e := range n.endpoints.items {
		if slices.Contains(e.Tables, t.ID) {
			out.Routes = append(out.Routes, types.Route{
				DestinationPrefixListId: aws.String(s3ListID(n.Region)), GatewayId: aws.String(e.ID), Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive,
			})
		}
	}
	return out
}

func associated() *types.RouteTableAssociationState {
	return &types.RouteTableAssociationState{State: types.RouteTableAssociationStateCodeAssociated}
}

// DescribeRouteTables describes route tables.
func (s *Service) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	if err := s.allow(ctx, "DescribeRouteTables"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	tables, next, err := describe(tableFields(), mapped(n.tables.items, n.showTable), query{in.RouteTableIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeRouteTablesOutput{RouteTables: tables, NextToken: next}, dryRun(in.DryRun)
}

func tableFields() described[types.RouteTable] {
	association := func(field func(types.RouteTableAssociation) *string) func(*types.RouteTable) []string {
		return func(t *types.RouteTable) []string { return list(t.Associations, field) }
	}
	route := func(field func(types.Route) *string) func(*types.RouteTable) []string {
		return func(t *types.RouteTable) []string { return list(t.Routes, field) }
	}
	return described[types.RouteTable]{
		notFound: "InvalidRouteTableID.NotFound", text: "The routeTable ID '%s' does not exist", ids: "routeTableIds",
		id: func(t *types.RouteTable) *string { return t.RouteTableId }, tags: func(t *types.RouteTable) []types.Tag { return t.Tags },
		filters: map[string]func(*types.RouteTable) []string{
			"association.route-table-association-id": association(func(a types.RouteTableAssociation) *string { return a.RouteTableAssociationId }),
			"association.route-table-id":             association(func(a types.RouteTableAssociation) *string { return a.RouteTableId }),
			"association.subnet-id":                  association(func(a types.RouteTableAssociation) *string { return a.SubnetId }),
			"association.gateway-id":                 association(func(a types.RouteTableAssociation) *string { return a.GatewayId }),
			"association.main": association(func(a types.RouteTableAssociation) *string {
				return aws.String(yes(a.Main)[0])
			}),
			"owner-id":                         func(t *types.RouteTable) []string { return one(t.OwnerId) },
			"route-table-id":                   func(t *types.RouteTable) []string { return one(t.RouteTableId) },
			"route.destination-cidr-block":     route(func(r types.Route) *string { return r.DestinationCidrBlock }),
			"route.destination-prefix-list-id": route(func(r types.Route) *string { return r.DestinationPrefixListId }),
			"route.gateway-id":                 route(func(r types.Route) *string { return r.GatewayId }),
			"route.nat-gateway-id":             route(func(r types.Route) *string { return r.NatGatewayId }),
			"route.origin":                     route(func(r types.Route) *string { return aws.String(string(r.Origin)) }),
			"route.state":                      route(func(r types.Route) *string { return aws.String(string(r.State)) }),
			"vpc-id":                           func(t *types.RouteTable) []string { return one(t.VpcId) },
		},
	}
}

// table finds a route table.
func (n *network) table(id string) (*tableRes, error) {
	if t, ok := n.tables.find(id); ok {
		return t, nil
	}
	return nil, notFound("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

// DeleteRouteTable deletes a route table that is neither main nor associated. Endpoints forget it.
func (s *Service) DeleteRouteTable(ctx context.Context, in *ec2.DeleteRouteTableInput, _ ...func(*ec2.Options)) (*ec2.DeleteRouteTableOutput, error) {
	id := aws.ToString(in.RouteTableId)
	if err := s.allow(ctx, "DeleteRouteTable", "route-table/"+id); err != nil {
		return nil, err
	}
	return &ec2.DeleteRouteTableOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		t, err := n.table(id)
		if err != nil {
			return err
		}
		if len(t.Associations) > 0 {
			return inUse("The routeTable '%s' has dependencies and cannot be deleted.", id)
		}
		n.tables.remove(id)
		for _, e := range n.endpoints.items {
			e.Tables = slices.DeleteFunc(e.Tables, func(t string) bool { return t == id })
		}
		return nil
	})
}

// AssociateRouteTable gives a subnet a route table of its own.
func (s *Service) AssociateRouteTable(ctx context.Context, in *ec2.AssociateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.AssociateRouteTableOutput, error) {
	if err := s.allow(ctx, "AssociateRouteTable", "route-table/"+aws.ToString(in.RouteTableId), "subnet/"+aws.ToString(in.SubnetId)); err != nil {
		return nil, err
	}
	if err := only(in, "RouteTableId", "SubnetId"); err != nil {
		return nil, err
	}
	if in.SubnetId == nil {
		return nil, missing("SubnetId")
	}
	out := &ec2.AssociateRouteTableOutput{AssociationState: associated()}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		t, err := n.table(aws.ToString(in.RouteTableId))
		if err != nil {
			return err
		}
		sub, err := n.subnet(*in.SubnetId)
		if err != nil {
			return err
		}
		if t.VPC != sub.VPC {
			return invalidValue("Route table %s and subnet %s belong to different networks", t.ID, sub.ID)
		}
		for _, have := range n.tables.items {
			for _, a := range have.Associations {
				if a.Subnet != sub.ID {
					continue
				}
				if have.ID == t.ID { // again: the same answer
					out.AssociationId = aws.String(a.ID)
					return nil
				}
				return cloister.Errorf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.ID)
			}
		}
		id, err := s.newID("rtbassoc")
		if err != nil {
			return err
		}
		t.Associations = append(t.Associations, associationRes{ID: id, Subnet: sub.ID})
		out.AssociationId = aws.String(id)
		return nil
	})
}

// association finds an association of a route table.
func (n *network) association(id string) (*tableRes, int, error) {
	for _, t := range n.tables.items {
		for i, a := range t.Associations {
			if a.ID == id {
				return t, i, nil
			}
		}
	}
	return nil, 0, notFound("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

// allowAssociation asks about an operation on the route table that has an association. One that does not exist is asked about
// as all tables, so that strangers learn nothing.
func (s *Service) allowAssociation(ctx context.Context, operation, id string) error {
	n, err := s.read(ctx)
	if err != nil {
		return err
	}
	t, _, err := n.association(id)
	if err != nil {
		return s.allow(ctx, operation, "route-table/*")
	}
	return s.allow(ctx, operation, "route-table/"+t.ID)
}

// DisassociateRouteTable ends the association of a subnet, which then has the main route table.
func (s *Service) DisassociateRouteTable(ctx context.Context, in *ec2.DisassociateRouteTableInput, _ ...func(*ec2.Options)) (*ec2.DisassociateRouteTableOutput, error) {
	if err := s.allowAssociation(ctx, "DisassociateRouteTable", aws.ToString(in.AssociationId)); err != nil {
		return nil, err
	}
	return &ec2.DisassociateRouteTableOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		t, i, err := n.association(aws.ToString(in.AssociationId))
		if err != nil {
			return err
		}
		if t.Associations[i].Subnet == "" {
			return invalidValue("cannot disassociate the main route table association %s", aws.ToString(in.AssociationId))
		}
		t.Associations = slices.Delete(t.Associations, i, i+1)
		return nil
	})
}

// ReplaceRouteTableAssociation gives a subnet another route table, or a VPC another main one.
func (s *Service) ReplaceRouteTableAssociation(ctx context.Context, in *ec2.ReplaceRouteTableAssociationInput, _ ...func(*ec2.Options)) (*ec2.ReplaceRouteTableAssociationOutput, error) {
	if err := s.allow(ctx, "ReplaceRouteTableAssociation", "route-table/"+aws.ToString(in.RouteTableId)); err != nil {
		return nil, err
	}
	if err := s.allowAssociation(ctx, "ReplaceRouteTableAssociation", aws.ToString(in.AssociationId)); err != nil {
		return nil, err
	}
	out := &ec2.ReplaceRouteTableAssociationOutput{AssociationState: associated()}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		old, i, err := n.association(aws.ToString(in.AssociationId))
		if err != nil {
			return err
		}
		t, err := n.table(aws.ToString(in.RouteTableId))
		if err != nil {
			return err
		}
		if t.VPC != old.VPC {
			return invalidValue("Route tables %s and %s belong to different networks", t.ID, old.ID)
		}
		if t.ID == old.ID {
			out.NewAssociationId = in.AssociationId
			return nil
		}
		id, err := s.newID("rtbassoc")
		if err != nil {
			return err
		}
		a := old.Associations[i]
		old.Associations = slices.Delete(old.Associations, i, i+1)
		t.Associations = append(t.Associations, associationRes{ID: id, Subnet: a.Subnet})
		out.NewAssociationId = aws.String(id)
		return nil
	})
}
