package vpc

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

const optInNotRequired = "opt-in-not-required"

// DescribeRegions lists AWS's regions that need no opt-in, and the caller's. Any other is served too.
func (s *Service) DescribeRegions(ctx context.Context, in *ec2.DescribeRegionsInput, _ ...func(*ec2.Options)) (*ec2.DescribeRegionsOutput, error) {
	if err := s.allow(ctx, "DescribeRegions"); err != nil {
		return nil, err
	}
	names := appendNew(regionNames(), string(cloister.CallFrom(ctx).Region))
	slices.Sort(names)
	for _, name := range in.RegionNames {
		if !slices.Contains(names, name) {
			return nil, invalidValue("Invalid region names: [%s]", name)
		}
	}
	var all []types.Region
	for _, name := range names {
		if len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, name) {
			all = append(all, types.Region{RegionName: aws.String(name), Endpoint: aws.String("ec2." + name + ".amazonaws.com"), OptInStatus: aws.String(optInNotRequired)})
		}
	}
	d := described[types.Region]{
		id: func(r *types.Region) *string { return r.RegionName },
		filters: map[string]func(*types.Region) []string{
			"endpoint":      func(r *types.Region) []string { return one(r.Endpoint) },
			"opt-in-status": func(r *types.Region) []string { return one(r.OptInStatus) },
			"region-name":   func(r *types.Region) []string { return one(r.RegionName) },
		},
	}
	out, _, err := describe(d, all, query{filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeRegionsOutput{Regions: out}, dryRun(in.DryRun)
}

// DescribeAvailabilityZones lists the three zones of the region.
func (s *Service) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAvailabilityZonesOutput, error) {
	if err := s.allow(ctx, "DescribeAvailabilityZones"); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	zones := zonesOf(region)
	for _, name := range slices.Concat(in.ZoneNames, in.ZoneIds) {
		if !slices.ContainsFunc(zones, func(z zone) bool { return z.Name == name || z.ID == name }) {
			return nil, invalidValue("Invalid availability zone: [%s]", name)
		}
	}
	var all []types.AvailabilityZone
	for _, z := range zones {
		if len(in.ZoneNames)+len(in.ZoneIds) > 0 && !slices.Contains(in.ZoneNames, z.Name) && !slices.Contains(in.ZoneIds, z.ID) {
			continue
		}
		all = append(all, types.AvailabilityZone{
			ZoneName: aws.String(z.Name), ZoneId: aws.String(z.ID), RegionName: aws.String(string(region)), State: types.AvailabilityZoneStateAvailable,
			OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired, ZoneType: aws.String("availability-zone"),
			GroupName: aws.String(string(region) + "-zg-1"), NetworkBorderGroup: aws.String(string(region)), Messages: []types.AvailabilityZoneMessage{},
		})
	}
	d := described[types.AvailabilityZone]{
		id: func(z *types.AvailabilityZone) *string { return z.ZoneName },
		filters: map[string]func(*types.AvailabilityZone) []string{
			"group-name":    func(z *types.AvailabilityZone) []string { return one(z.GroupName) },
			"message":       func(*types.AvailabilityZone) []string { return nil },
			"opt-in-status": func(z *types.AvailabilityZone) []string { return word(z.OptInStatus) },
			"region-name":   func(z *types.AvailabilityZone) []string { return one(z.RegionName) },
			"state":         func(z *types.AvailabilityZone) []string { return word(z.State) },
			"zone-id":       func(z *types.AvailabilityZone) []string { return one(z.ZoneId) },
			"zone-name":     func(z *types.AvailabilityZone) []string { return one(z.ZoneName) },
			"zone-type":     func(z *types.AvailabilityZone) []string { return one(z.ZoneType) },
		},
	}
	out, _, err := describe(d, all, query{filters: in.Filters})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: out}, dryRun(in.DryRun)
}

// DescribeAccountAttributes says what an account can have.
func (s *Service) DescribeAccountAttributes(ctx context.Context, in *ec2.DescribeAccountAttributesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAccountAttributesOutput, error) {
	if err := s.allow(ctx, "DescribeAccountAttributes"); err != nil {
		return nil, err
	}
	out := &ec2.DescribeAccountAttributesOutput{AccountAttributes: []types.AccountAttribute{}}
	for _, a := range [][2]string{
		{"default-vpc", "none"},
		{"max-elastic-ips", "254"},
		{"max-instances", "0"},
		{"supported-platforms", "VPC"},
		{"vpc-max-elastic-ips", "254"},
		{"vpc-max-security-groups-per-interface", "5"},
	} {
		if len(in.AttributeNames) == 0 || slices.Contains(in.AttributeNames, types.AccountAttributeName(a[0])) {
			out.AccountAttributes = append(out.AccountAttributes, types.AccountAttribute{
				AttributeName: aws.String(a[0]), AttributeValues: []types.AccountAttributeValue{{AttributeValue: aws.String(a[1])}},
			})
		}
	}
	return out, dryRun(in.DryRun)
}

// dhcpOptions is the id of the DHCP options that all VPCs of a place have.
func dhcpOptions(p Place) string {
	return derivedID("dopt", string(p.Account)+" "+string(p.Region), 17)
}

// DescribeDhcpOptions describes the default options, which cannot be changed: jobs are told their resolver, not by DHCP.
func (s *Service) DescribeDhcpOptions(ctx context.Context, in *ec2.DescribeDhcpOptionsInput, _ ...func(*ec2.Options)) (*ec2.DescribeDhcpOptionsOutput, error) {
	if err := s.allow(ctx, "DescribeDhcpOptions"); err != nil {
		return nil, err
	}
	p := s.place(ctx)
	domain := string(p.Region) + ".compute.internal"
	if p.Region == "us-east-1" { // Source: VPC User Guide, "DHCP option sets", domain-name
		domain = "ec2.internal"
	}
	all := []types.DhcpOptions{{
		DhcpOptionsId: aws.String(dhcpOptions(p)), OwnerId: aws.String(string(p.Account)), Tags: []types.Tag{},
		DhcpConfigurations: []types.DhcpConfiguration{
			{Key: aws.String("domain-name"), Values: []types.AttributeValue{{Value: aws.String(domain)}}},
			{Key: aws.String("domain-name-servers"), Values: []types.AttributeValue{{Value: aws.String("AmazonProvidedDNS")}}},
		},
	}}
	d := described[types.DhcpOptions]{
		notFound: "InvalidDhcpOptionID.NotFound", text: "The dhcpOption ID '%s' does not exist", ids: "dhcpOptionsIds",
		id: func(o *types.DhcpOptions) *string { return o.DhcpOptionsId }, tags: func(o *types.DhcpOptions) []types.Tag { return o.Tags },
		filters: map[string]func(*types.DhcpOptions) []string{
			"dhcp-options-id": func(o *types.DhcpOptions) []string { return one(o.DhcpOptionsId) },
			"key": func(o *types.DhcpOptions) []string {
				return list(o.DhcpConfigurations, func(c types.DhcpConfiguration) *string { return c.Key })
			},
			"owner-id": func(o *types.DhcpOptions) []string { return one(o.OwnerId) },
			"value": func(o *types.DhcpOptions) []string {
				return list(o.DhcpConfigurations, func(c types.DhcpConfiguration) *string { return c.Values[0].Value })
			},
		},
	}
	out, next, err := describe(d, all, query{in.DhcpOptionsIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeDhcpOptionsOutput{DhcpOptions: out, NextToken: next}, dryRun(in.DryRun)
}

// DescribeNetworkAcls describes the default ACL of every VPC. It allows everything and cannot be changed.
func (s *Service) DescribeNetworkAcls(ctx context.Context, in *ec2.DescribeNetworkAclsInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkAclsOutput, error) {
	if err := s.allow(ctx, "DescribeNetworkAcls"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	association := func(field func(types.NetworkAclAssociation) *string) func(*types.NetworkAcl) []string {
		return func(a *types.NetworkAcl) []string { return list(a.Associations, field) }
	}
	d := described[types.NetworkAcl]{
		notFound: "InvalidNetworkAclID.NotFound", text: "The networkAcl ID '%s' does not exist", ids: "networkAclIds",
		id: func(a *types.NetworkAcl) *string { return a.NetworkAclId }, tags: func(a *types.NetworkAcl) []types.Tag { return a.Tags },
		filters: map[string]func(*types.NetworkAcl) []string{
			"association.association-id": association(func(a types.NetworkAclAssociation) *string { return a.NetworkAclAssociationId }),
			"association.network-acl-id": association(func(a types.NetworkAclAssociation) *string { return a.NetworkAclId }),
			"association.subnet-id":      association(func(a types.NetworkAclAssociation) *string { return a.SubnetId }),
			"default":                    func(a *types.NetworkAcl) []string { return yes(a.IsDefault) },
			"network-acl-id":             func(a *types.NetworkAcl) []string { return one(a.NetworkAclId) },
			"owner-id":                   func(a *types.NetworkAcl) []string { return one(a.OwnerId) },
			"vpc-id":                     func(a *types.NetworkAcl) []string { return one(a.VpcId) },
		},
	}
	out, next, err := describe(d, mapped(n.acls.items, n.showACL), query{in.NetworkAclIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: out, NextToken: next}, dryRun(in.DryRun)
}

func (n *network) showACL(a *aclRes) types.NetworkAcl {
	out := types.NetworkAcl{
		NetworkAclId: aws.String(a.ID), VpcId: aws.String(a.VPC), IsDefault: aws.Bool(true), OwnerId: aws.String(string(n.Account)), Tags: tagList(a.Tags),
		Associations: []types.NetworkAclAssociation{},
	}
	entry := func(egress bool, number int32, action types.RuleAction) types.NetworkAclEntry {
		return types.NetworkAclEntry{
			CidrBlock: aws.String("0.0.0.0/0"), Egress: aws.Bool(egress), Protocol: aws.String(allProtocols), RuleAction: action, RuleNumber: aws.Int32(number),
		}
	}
	for _, egress := range []bool{true, false} {
		out.Entries = append(out.Entries, entry(egress, 100, types.RuleActionAllow), entry(egress, 32767, types.RuleActionDeny))
	}
	for _, sub := range n.subnets.items {
		if sub.VPC == a.VPC {
			out.Associations = append(out.Associations, types.NetworkAclAssociation{
				NetworkAclAssociationId: aws.String(sub.ACL), NetworkAclId: aws.String(a.ID), SubnetId: aws.String(sub.ID),
			})
		}
	}
	return out
}
