package vpc

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// publicBlock is where the addresses of NAT gateways come from: it is for documentation and belongs to nobody (RFC 5737).
const publicBlock = "203.0.113.0/24"

// AllocateAddress allocates an address for a NAT gateway. It is of no use elsewhere: nothing answers there.
func (s *Service) AllocateAddress(ctx context.Context, in *ec2.AllocateAddressInput, _ ...func(*ec2.Options)) (*ec2.AllocateAddressOutput, error) {
	if err := s.allow(ctx, "AllocateAddress", "elastic-ip/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	region := string(cloister.CallFrom(ctx).Region)
	if err := only(in, "Domain", "NetworkBorderGroup", "PublicIpv4Pool", "TagSpecifications"); err != nil {
		return nil, err
	}
	switch {
	case in.Domain != "" && in.Domain != types.DomainTypeVpc:
		return nil, unsupported("Addresses of the domain %s are not supported here: vpc is", in.Domain)
	case in.NetworkBorderGroup != nil && *in.NetworkBorderGroup != region:
		return nil, invalidValue("The network border group '%s' does not exist: the region's is '%s'", *in.NetworkBorderGroup, region)
	case in.PublicIpv4Pool != nil && *in.PublicIpv4Pool != "amazon":
		return nil, cloister.Errorf("InvalidPublicIpv4PoolID.NotFound", "The pool ID '%s' does not exist", *in.PublicIpv4Pool)
	}
	tags, err := tagsFor(types.ResourceTypeElasticIp, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	out := &ec2.AllocateAddressOutput{Domain: types.DomainTypeVpc, NetworkBorderGroup: aws.String(region), PublicIpv4Pool: aws.String("amazon")}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		block := netip.MustParsePrefix(publicBlock)
		for i := uint32(1); i < size(block)-1; i++ {
			addr := nth(block, i)
			if slices.ContainsFunc(n.addresses.items, func(a *addressRes) bool { return a.Addr == addr }) {
				continue
			}
			id, err := s.newID("eipalloc")
			if err != nil {
				return err
			}
			n.addresses.add(&addressRes{base: base{ID: id, Created: s.now(), Tags: tags}, Addr: addr})
			out.AllocationId, out.PublicIp = aws.String(id), aws.String(addr.String())
			return nil
		}
		return cloister.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	})
}

func (n *network) showAddress(a *addressRes) types.Address {
	out := types.Address{
		AllocationId: aws.String(a.ID), PublicIp: aws.String(a.Addr.String()), Domain: types.DomainTypeVpc, PublicIpv4Pool: aws.String("amazon"),
		NetworkBorderGroup: aws.String(string(n.Region)), Tags: tagList(a.Tags),
	}
	if g := n.natOf(a.ID); g != nil {
		out.AssociationId, out.PrivateIpAddress = aws.String(g.Association), aws.String(g.Addr.String())
	}
	return out
}

// DescribeAddresses describes addresses.
func (s *Service) DescribeAddresses(ctx context.Context, in *ec2.DescribeAddressesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	if err := s.allow(ctx, "DescribeAddresses"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	all := mapped(n.addresses.items, n.showAddress)
	for _, ip := range in.PublicIps {
		if !slices.ContainsFunc(all, func(a types.Address) bool { return *a.PublicIp == ip }) {
			return nil, notFound("InvalidAddress.NotFound", "Address '%s' not found.", ip)
		}
	}
	if len(in.PublicIps) > 0 {
		all = slices.DeleteFunc(all, func(a types.Address) bool { return !slices.Contains(in.PublicIps, *a.PublicIp) })
	}
	d := described[types.Address]{
		notFound: "InvalidAllocationID.NotFound", text: "The allocation ID '%s' does not exist",
		id: func(a *types.Address) *string { return a.AllocationId }, tags: func(a *types.Address) []types.Tag { return a.Tags },
		filters: map[string]func(*types.Address) []string{
			"allocation-id":        func(a *types.Address) []string { return one(a.AllocationId) },
			"association-id":       func(a *types.Address) []string { return one(a.AssociationId) },
			"domain":               func(a *types.Address) []string { return word(a.Domain) },
			"network-border-group": func(a *types.Address) []string { return one(a.NetworkBorderGroup) },
			"private-ip-address":   func(a *types.Address) []string { return one(a.PrivateIpAddress) },
			"public-ip":            func(a *types.Address) []string { return one(a.PublicIp) },
		},
	}
	out, _, err := describe(d, all, query{ids: in.AllocationIds, filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeAddressesOutput{Addresses: out}, dryRun(in.DryRun)
}

// DescribeAddressesAttribute describes the reverse names of addresses: there are none. Terraform asks.
func (s *Service) DescribeAddressesAttribute(ctx context.Context, in *ec2.DescribeAddressesAttributeInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesAttributeOutput, error) {
	if err := s.allow(ctx, "DescribeAddressesAttribute"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range in.AllocationIds {
		if _, ok := n.addresses.find(id); !ok {
			return nil, notFound("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
		}
	}
	return &ec2.DescribeAddressesAttributeOutput{Addresses: []types.AddressAttribute{}}, dryRun(in.DryRun)
}

// ReleaseAddress releases an address that no NAT gateway has.
func (s *Service) ReleaseAddress(ctx context.Context, in *ec2.ReleaseAddressInput, _ ...func(*ec2.Options)) (*ec2.ReleaseAddressOutput, error) {
	id := aws.ToString(in.AllocationId)
	if err := s.allow(ctx, "ReleaseAddress", "elastic-ip/"+id); err != nil {
		return nil, err
	}
	if err := only(in, "AllocationId", "NetworkBorderGroup"); err != nil {
		return nil, err
	}
	if id == "" {
		return nil, missing("AllocationId")
	}
	return &ec2.ReleaseAddressOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		a, ok := n.addresses.find(id)
		if !ok {
			return notFound("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
		}
		if g := n.natOf(id); g != nil {
			return cloister.Errorf("InvalidIPAddress.InUse", "Address %s is in use by %s.", a.Addr, g.ID)
		}
		n.addresses.remove(id)
		return nil
	})
}
