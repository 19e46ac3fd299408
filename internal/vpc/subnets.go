package vpc

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// CreateSubnet makes a subnet in a VPC, in the first zone if none is given.
func (s *Service) CreateSubnet(ctx context.Context, in *ec2.CreateSubnetInput, _ ...func(*ec2.Options)) (*ec2.CreateSubnetOutput, error) {
	if err := s.allow(ctx, "CreateSubnet", "vpc/"+aws.ToString(in.VpcId), "subnet/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	if err := only(in, "VpcId", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "TagSpecifications"); err != nil {
		return nil, err
	}
	if in.CidrBlock == nil {
		return nil, missing("CidrBlock")
	}
	block, err := subnetBlock(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	z, err := chooseZone(cloister.CallFrom(ctx).Region, aws.ToString(in.AvailabilityZone), aws.ToString(in.AvailabilityZoneId))
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(types.ResourceTypeSubnet, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateSubnetOutput{}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		v, err := n.vpc(aws.ToString(in.VpcId))
		if err != nil {
			return err
		}
		if !within(v.CIDR, block) {
			return cloister.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
		}
		for _, other := range n.subnets.items {
			if other.VPC == v.ID && other.CIDR.Overlaps(block) {
				return cloister.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", *in.CidrBlock)
			}
		}
		ids, err := s.newIDs("subnet", "aclassoc")
		if err != nil {
			return err
		}
		sub := &subnetRes{base: base{ID: ids[0], Created: s.now(), Tags: tags}, VPC: v.ID, Zone: z.Name, ZoneID: z.ID, CIDR: block, ACL: ids[1]}
		n.subnets.add(sub)
		shown := n.showSubnet(sub)
		out.Subnet = &shown
		return nil
	})
}

func chooseZone(region cloister.Region, name, id string) (zone, error) {
	zones := zonesOf(region)
	if name == "" && id == "" {
		return zones[0], nil
	}
	for _, z := range zones {
		if (name == "" || name == z.Name) && (id == "" || id == z.ID) {
			return z, nil
		}
	}
	return zone{}, invalidValue("Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.",
		strings.TrimSpace(name+" "+id), strings.Join(mapped(zones, func(z zone) string { return z.Name }), ", "))
}

func (n *network) showSubnet(sub *subnetRes) types.Subnet {
	no := aws.Bool(false)
	return types.Subnet{
		SubnetId: aws.String(sub.ID), VpcId: aws.String(sub.VPC), CidrBlock: aws.String(sub.CIDR.String()), State: types.SubnetStateAvailable,
		AvailabilityZone: aws.String(sub.Zone), AvailabilityZoneId: aws.String(sub.ZoneID), AvailableIpAddressCount: aws.Int32(n.free(sub)),
		OwnerId: aws.String(string(n.Account)), Tags: tagList(sub.Tags), DefaultForAz: no, MapPublicIpOnLaunch: aws.Bool(sub.PublicIP),
		AssignIpv6AddressOnCreation: no, EnableDns64: no, Ipv6Native: no, MapCustomerOwnedIpOnLaunch: no,
		SubnetArn: aws.String(cloister.NewARN("ec2", n.Region, n.Account, "subnet/"+sub.ID).String()),
		PrivateDnsNameOptionsOnLaunch: &types.PrivateDnsNameOptionsOnLaunch{
			HostnameType: types.HostnameTypeIpName, EnableResourceNameDnsARecord: no, EnableResourceNameDnsAAAARecord: no,
		},
		Ipv6CidrBlockAssociationSet: []types.SubnetIpv6CidrBlockAssociation{},
	}
}

// taken are the addresses of a subnet that are in use, or were a moment ago.
func (n *network) taken(sub *subnetRes) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	for _, i := range n.interfaces.items {
		if i.Subnet == sub.ID {
			out[i.Addr] = true
		}
	}
	for _, g := range n.nats.items {
		if g.Subnet == sub.ID {
			out[g.Addr] = true
		}
	}
	for _, h := range n.holds.items {
		if addr, ok := heldAddr(h, sub.VPC); ok && sub.CIDR.Contains(addr) {
			out[addr] = true
		}
	}
	return out
}

// free is how many addresses of a subnet can be given to somebody.
func (n *network) free(sub *subnetRes) int32 {
	left := int64(size(sub.CIDR)) - reserved - int64(len(n.taken(sub)))
	return int32(min(max(left, 0), math.MaxInt32))
}

// take finds the first free address of a subnet.
func (n *network) take(sub *subnetRes) (netip.Addr, bool) {
	taken := n.taken(sub)
	for i := uint32(reserved - 1); i < size(sub.CIDR)-1; i++ {
		if addr := nth(sub.CIDR, i); !taken[addr] {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// DescribeSubnets describes subnets.
func (s *Service) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	if err := s.allow(ctx, "DescribeSubnets"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	subnets, next, err := describe(subnetFields(), mapped(n.subnets.items, n.showSubnet), query{in.SubnetIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSubnetsOutput{Subnets: subnets, NextToken: next}, dryRun(in.DryRun)
}

func subnetFields() described[types.Subnet] {
	zoneName := func(s *types.Subnet) []string { return one(s.AvailabilityZone) }
	zoneID := func(s *types.Subnet) []string { return one(s.AvailabilityZoneId) }
	block := func(s *types.Subnet) []string { return one(s.CidrBlock) }
	return described[types.Subnet]{
		notFound: "InvalidSubnetID.NotFound", text: "The subnet ID '%s' does not exist", ids: "subnetIds",
		id: func(s *types.Subnet) *string { return s.SubnetId }, tags: func(s *types.Subnet) []types.Tag { return s.Tags },
		filters: map[string]func(*types.Subnet) []string{
			"availability-zone": zoneName, "availabilityZone": zoneName, "availability-zone-id": zoneID, "availabilityZoneId": zoneID,
			"cidr-block": block, "cidr": block, "cidrBlock": block,
			"available-ip-address-count": func(s *types.Subnet) []string { return []string{itoa(s.AvailableIpAddressCount)} },
			"default-for-az":             func(s *types.Subnet) []string { return yes(s.DefaultForAz) },
			"defaultForAz":               func(s *types.Subnet) []string { return yes(s.DefaultForAz) },
			"ipv6-native":                func(s *types.Subnet) []string { return yes(s.Ipv6Native) },
			"map-public-ip-on-launch":    func(s *types.Subnet) []string { return yes(s.MapPublicIpOnLaunch) },
			"owner-id":                   func(s *types.Subnet) []string { return one(s.OwnerId) },
			"state":                      func(s *types.Subnet) []string { return word(s.State) },
			"subnet-arn":                 func(s *types.Subnet) []string { return one(s.SubnetArn) },
			"subnet-id":                  func(s *types.Subnet) []string { return one(s.SubnetId) },
			"vpc-id":                     func(s *types.Subnet) []string { return one(s.VpcId) },
		},
	}
}

// subnet finds a subnet.
func (n *network) subnet(id string) (*subnetRes, error) {
	if sub, ok := n.subnets.find(id); ok {
		return sub, nil
	}
	return nil, notFound("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

// DeleteSubnet deletes a subnet in which nothing has an address; its association with a route table goes with it.
func (s *Service) DeleteSubnet(ctx context.Context, in *ec2.DeleteSubnetInput, _ ...func(*ec2.Options)) (*ec2.DeleteSubnetOutput, error) {
	id := aws.ToString(in.SubnetId)
	if err := s.allow(ctx, "DeleteSubnet", "subnet/"+id); err != nil {
		return nil, err
	}
	return &ec2.DeleteSubnetOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		if _, err := n.subnet(id); err != nil {
			return err
		}
		used := slices.ContainsFunc(n.interfaces.items, func(i *interfaceRes) bool { return i.Subnet == id }) ||
			slices.ContainsFunc(n.nats.items, func(g *natRes) bool { return g.Subnet == id })
		if used {
			return inUse("The subnet '%s' has dependencies and cannot be deleted.", id)
		}
		n.subnets.remove(id)
		for _, t := range n.tables.items {
			t.Associations = slices.DeleteFunc(t.Associations, func(a associationRes) bool { return a.Subnet == id })
		}
		n.flowLogs.removeIf(func(f *FlowLog) bool { return f.Resource == id })
		return nil
	})
}

// ModifySubnetAttribute changes an attribute of a subnet: mapPublicIpOnLaunch, or others to what they are.
func (s *Service) ModifySubnetAttribute(ctx context.Context, in *ec2.ModifySubnetAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifySubnetAttributeOutput, error) {
	id := aws.ToString(in.SubnetId)
	if err := s.allow(ctx, "ModifySubnetAttribute", "subnet/"+id); err != nil {
		return nil, err
	}
	if err := only(in, "SubnetId", "MapPublicIpOnLaunch", "PrivateDnsHostnameTypeOnLaunch"); err != nil {
		return nil, err
	}
	if t := in.PrivateDnsHostnameTypeOnLaunch; t != "" && t != types.HostnameTypeIpName {
		return nil, unsupported("PrivateDnsHostnameTypeOnLaunch %s is not supported here: there are no instances", t)
	}
	return &ec2.ModifySubnetAttributeOutput{}, s.change(ctx, nil, func(n *network) error {
		sub, err := n.subnet(id)
		if err != nil {
			return err
		}
		if in.MapPublicIpOnLaunch != nil {
			sub.PublicIP = aws.ToBool(in.MapPublicIpOnLaunch.Value)
		}
		return nil
	})
}
