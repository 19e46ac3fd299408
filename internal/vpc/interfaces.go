package vpc

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// requester is who made the interfaces of jobs.
const requester = "bedrock.amazonaws.com"

func (n *network) showInterface(i *interfaceRes) types.NetworkInterface {
	four := i.Addr.As4()
	name := "ip-" + strings.ReplaceAll(i.Addr.String(), ".", "-") + ".ec2.internal"
	out := types.NetworkInterface{
		NetworkInterfaceId: aws.String(i.ID), VpcId: aws.String(i.VPC), SubnetId: aws.String(i.Subnet), Status: types.NetworkInterfaceStatusInUse,
		InterfaceType: types.NetworkInterfaceTypeInterface, RequesterManaged: aws.Bool(true), RequesterId: aws.String(requester),
		OwnerId: aws.String(string(n.Account)), Description: aws.String("Amazon Bedrock model customization job " + i.JobARN),
		PrivateIpAddress: aws.String(i.Addr.String()), SourceDestCheck: aws.Bool(true), TagSet: tagList(i.Tags), PrivateDnsName: aws.String(name),
		MacAddress: aws.String(fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", four[0], four[1], four[2], four[3])),
		PrivateIpAddresses: []types.NetworkInterfacePrivateIpAddress{{
			Primary: aws.Bool(true), PrivateIpAddress: aws.String(i.Addr.String()), PrivateDnsName: aws.String(name),
		}},
		Groups: []types.GroupIdentifier{}, Ipv6Addresses: []types.NetworkInterfaceIpv6Address{},
		Attachment: &types.NetworkInterfaceAttachment{
			AttachmentId: aws.String(i.Attachment), Status: types.AttachmentStatusAttached, AttachTime: aws.Time(i.Created), InstanceOwnerId: aws.String(requester),
			DeleteOnTermination: aws.Bool(false), DeviceIndex: aws.Int32(1),
		},
	}
	if sub, ok := n.subnets.find(i.Subnet); ok {
		out.AvailabilityZone, out.AvailabilityZoneId = aws.String(sub.Zone), aws.String(sub.ZoneID)
	}
	for _, id := range i.Groups {
		group := types.GroupIdentifier{GroupId: aws.String(id)}
		if g, ok := n.groups.find(id); ok {
			group.GroupName = aws.String(g.Name)
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

// DescribeNetworkInterfaces describes the interfaces of the jobs that run now.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	if err := s.allow(ctx, "DescribeNetworkInterfaces"); err != nil {
		return nil, err
	}
	if err := only(in, "Filters", "MaxResults", "NetworkInterfaceIds", "NextToken"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	out, next, err := describe(interfaceFields(), mapped(n.interfaces.items, n.showInterface), query{in.NetworkInterfaceIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: out, NextToken: next}, dryRun(in.DryRun)
}

func interfaceFields() described[types.NetworkInterface] {
	attachment := func(field func(*types.NetworkInterfaceAttachment) *string) func(*types.NetworkInterface) []string {
		return func(i *types.NetworkInterface) []string {
			if i.Attachment == nil {
				return nil
			}
			return one(field(i.Attachment))
		}
	}
	groups := func(field func(types.GroupIdentifier) *string) func(*types.NetworkInterface) []string {
		return func(i *types.NetworkInterface) []string { return list(i.Groups, field) }
	}
	return described[types.NetworkInterface]{
		notFound: "InvalidNetworkInterfaceID.NotFound", text: "The networkInterface ID '%s' does not exist", ids: "networkInterfaceIds",
		id:   func(i *types.NetworkInterface) *string { return i.NetworkInterfaceId },
		tags: func(i *types.NetworkInterface) []types.Tag { return i.TagSet },
		filters: map[string]func(*types.NetworkInterface) []string{
			"addresses.private-ip-address": func(i *types.NetworkInterface) []string { return one(i.PrivateIpAddress) },
			"attachment.attachment-id":     attachment(func(a *types.NetworkInterfaceAttachment) *string { return a.AttachmentId }),
			"attachment.instance-id":       attachment(func(a *types.NetworkInterfaceAttachment) *string { return a.InstanceId }),
			"attachment.instance-owner-id": attachment(func(a *types.NetworkInterfaceAttachment) *string { return a.InstanceOwnerId }),
			"attachment.status":            attachment(func(a *types.NetworkInterfaceAttachment) *string { return aws.String(string(a.Status)) }),
			"availability-zone":            func(i *types.NetworkInterface) []string { return one(i.AvailabilityZone) },
			"availability-zone-id":         func(i *types.NetworkInterface) []string { return one(i.AvailabilityZoneId) },
			"description":                  func(i *types.NetworkInterface) []string { return one(i.Description) },
			"group-id":                     groups(func(g types.GroupIdentifier) *string { return g.GroupId }),
			"group-name":                   groups(func(g types.GroupIdentifier) *string { return g.GroupName }),
			"interface-type":               func(i *types.NetworkInterface) []string { return word(i.InterfaceType) },
			"mac-address":                  func(i *types.NetworkInterface) []string { return one(i.MacAddress) },
			"network-interface-id":         func(i *types.NetworkInterface) []string { return one(i.NetworkInterfaceId) },
			"owner-id":                     func(i *types.NetworkInterface) []string { return one(i.OwnerId) },
			"private-dns-name":             func(i *types.NetworkInterface) []string { return one(i.PrivateDnsName) },
			"private-ip-address":           func(i *types.NetworkInterface) []string { return one(i.PrivateIpAddress) },
			"requester-id":                 func(i *types.NetworkInterface) []string { return one(i.RequesterId) },
			"requester-managed":            func(i *types.NetworkInterface) []string { return yes(i.RequesterManaged) },
			"source-dest-check":            func(i *types.NetworkInterface) []string { return yes(i.SourceDestCheck) },
			"status":                       func(i *types.NetworkInterface) []string { return word(i.Status) },
			"subnet-id":                    func(i *types.NetworkInterface) []string { return one(i.SubnetId) },
			"vpc-id":                       func(i *types.NetworkInterface) []string { return one(i.VpcId) },
		},
	}
}
