package vpc_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/vpc"
)

func TestPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.newVPC("10.20.0.0/16")
	var want []string
	for i := range 12 {
		want = append(want, r.newSubnet(v, fmt.Sprintf("10.20.%d.0/24", i)))
	}
	slices.Sort(want)
	var got []string
	var token *string
	for pages := 0; ; pages++ {
		out := ok[*ec2.DescribeSubnetsOutput](t)(r.DescribeSubnets(r.ctx, &ec2.DescribeSubnetsInput{MaxResults: aws.Int32(5), NextToken: token}))
		for _, s := range out.Subnets {
			got = append(got, *s.SubnetId)
		}
		if pages == 0 { // what is deleted between pages does not disturb
			ok[*ec2.DeleteSubnetOutput](t)(r.DeleteSubnet(r.ctx, &ec2.DeleteSubnetInput{SubnetId: out.Subnets[4].SubnetId}))
		}
		if token = out.NextToken; token == nil {
			if pages != 2 || len(out.Subnets) != 2 {
				t.Errorf("page %d has %d, want 2 on page 2", pages, len(out.Subnets))
			}
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subnets (-want +got):\n%s", diff)
	}
	// The order of ids is the caller's, and an id twice is one subnet.
	out := ok[*ec2.DescribeSubnetsOutput](t)(r.DescribeSubnets(r.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{want[3], want[0], want[3]}}))
	if len(out.Subnets) != 2 || *out.Subnets[0].SubnetId != want[3] {
		t.Errorf("by id: %v", out.Subnets)
	}
}

// TestFilters tries every filter that a Describe operation has with a value that is there and with one that is not.
func TestFilters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	igw := *ok[*ec2.CreateInternetGatewayOutput](t)(r.CreateInternetGateway(r.ctx, &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	ok[*ec2.AttachInternetGatewayOutput](t)(r.AttachInternetGateway(r.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &s.vpc}))
	eip := ok[*ec2.AllocateAddressOutput](t)(r.AllocateAddress(r.ctx, &ec2.AllocateAddressInput{}))
	nat := *ok[*ec2.CreateNatGatewayOutput](t)(r.CreateNatGateway(r.ctx, &ec2.CreateNatGatewayInput{SubnetId: &s.subnet, AllocationId: eip.AllocationId})).NatGateway.NatGatewayId
	ok[*ec2.CreateRouteOutput](t)(r.CreateRoute(r.ctx, &ec2.CreateRouteInput{RouteTableId: &s.table, DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: &nat}))
	ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: append(permission("tcp", 80, 81, "10.0.0.0/8"), permission("udp", 53, 53, s.group)...)}))
	log := ok[*ec2.CreateFlowLogsOutput](t)(r.CreateFlowLogs(r.ctx, &ec2.CreateFlowLogsInput{ResourceType: "Subnet", ResourceIds: []string{s.subnet}, LogDestinationType: "s3", LogDestination: aws.String("arn:aws:s3:::logs/a/b/"), TrafficType: "REJECT"})).FlowLogIds[0]
	a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	all := []string{s.vpc, s.subnet, s.group, s.table, s.endpoint, igw, nat, *eip.AllocationId, log}
	ok[*ec2.CreateTagsOutput](t)(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: all, Tags: tags("Name", "net")}))

	count := map[string]func(f []types.Filter) int{
		"vpcs": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeVpcsOutput](t)(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{Filters: f})).Vpcs)
		},
		"subnets": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeSubnetsOutput](t)(r.DescribeSubnets(r.ctx, &ec2.DescribeSubnetsInput{Filters: f})).Subnets)
		},
		"groups": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(r.ctx, &ec2.DescribeSecurityGroupsInput{Filters: f})).SecurityGroups)
		},
		"tables": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeRouteTablesOutput](t)(r.DescribeRouteTables(r.ctx, &ec2.DescribeRouteTablesInput{Filters: f})).RouteTables)
		},
		"endpoints": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeVpcEndpointsOutput](t)(r.DescribeVpcEndpoints(r.ctx, &ec2.DescribeVpcEndpointsInput{Filters: f})).VpcEndpoints)
		},
		"interfaces": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeNetworkInterfacesOutput](t)(r.DescribeNetworkInterfaces(r.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: f})).NetworkInterfaces)
		},
		"logs": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeFlowLogsOutput](t)(r.DescribeFlowLogs(r.ctx, &ec2.DescribeFlowLogsInput{Filter: f})).FlowLogs)
		},
		"gateways": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeInternetGatewaysOutput](t)(r.DescribeInternetGateways(r.ctx, &ec2.DescribeInternetGatewaysInput{Filters: f})).InternetGateways)
		},
		"nats": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeNatGatewaysOutput](t)(r.DescribeNatGateways(r.ctx, &ec2.DescribeNatGatewaysInput{Filter: f})).NatGateways)
		},
		"addresses": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeAddressesOutput](t)(r.DescribeAddresses(r.ctx, &ec2.DescribeAddressesInput{Filters: f})).Addresses)
		},
		"acls": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeNetworkAclsOutput](t)(r.DescribeNetworkAcls(r.ctx, &ec2.DescribeNetworkAclsInput{Filters: f})).NetworkAcls)
		},
		"lists": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeManagedPrefixListsOutput](t)(r.DescribeManagedPrefixLists(r.ctx, &ec2.DescribeManagedPrefixListsInput{Filters: f})).PrefixLists)
		},
		"services": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeVpcEndpointServicesOutput](t)(r.DescribeVpcEndpointServices(r.ctx, &ec2.DescribeVpcEndpointServicesInput{Filters: f})).ServiceNames)
		},
		"tags": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeTagsOutput](t)(r.DescribeTags(r.ctx, &ec2.DescribeTagsInput{Filters: f})).Tags)
		},
		"zones": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeAvailabilityZonesOutput](t)(r.DescribeAvailabilityZones(r.ctx, &ec2.DescribeAvailabilityZonesInput{Filters: f})).AvailabilityZones)
		},
		"regions": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeRegionsOutput](t)(r.DescribeRegions(r.ctx, &ec2.DescribeRegionsInput{Filters: f})).Regions)
		},
		"dhcp": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeDhcpOptionsOutput](t)(r.DescribeDhcpOptions(r.ctx, &ec2.DescribeDhcpOptionsInput{Filters: f})).DhcpOptions)
		},
		"rules": func(f []types.Filter) int {
			return len(ok[*ec2.DescribeSecurityGroupRulesOutput](t)(r.DescribeSecurityGroupRules(r.ctx, &ec2.DescribeSecurityGroupRulesInput{Filters: f})).SecurityGroupRules)
		},
	}
	owner := string(account)
	for _, tt := range []struct {
		kind, name, value string
		want              int
	}{
		{"vpcs", "cidr", "10.20.0.0/16", 1},
		{"vpcs", "cidr-block-association.cidr-block", "10.20.*", 1},
		{"vpcs", "isDefault", "false", 1},
		{"vpcs", "is-default", "false", 1},
		{"vpcs", "owner-id", owner, 1},
		{"vpcs", "state", "available", 1},
		{"vpcs", "vpc-id", s.vpc, 1},
		{"vpcs", "tag:Name", "n?t", 1},
		{"vpcs", "tag-key", "Name", 1},
		{"vpcs", "tag-value", "net", 1},
		{"vpcs", "dhcp-options-id", "dopt-*", 1},
		{"vpcs", "cidr-block-association.association-id", "vpc-cidr-assoc-*", 1},
		{"subnets", "availability-zone", "us-east-1a", 1},
		{"subnets", "availabilityZone", "us-east-1a", 1},
		{"subnets", "availability-zone-id", "use1-az1", 1},
		{"subnets", "availabilityZoneId", "use1-az1", 1},
		{"subnets", "cidr-block", "10.20.1.0/24", 1},
		{"subnets", "cidr", "10.20.1.0/24", 1},
		{"subnets", "cidrBlock", "10.20.1.0/24", 1},
		{"subnets", "available-ip-address-count", "249", 1},
		{"subnets", "default-for-az", "false", 1},
		{"subnets", "defaultForAz", "false", 1},
		{"subnets", "map-public-ip-on-launch", "false", 1},
		{"subnets", "ipv6-native", "false", 1},
		{"subnets", "owner-id", owner, 1},
		{"subnets", "state", "available", 1},
		{"subnets", "subnet-id", s.subnet, 1},
		{"subnets", "vpc-id", s.vpc, 1},
		{"subnets", "subnet-arn", "arn:aws:ec2:us-east-1:*:subnet/" + s.subnet, 1},
		{"groups", "group-id", s.group, 1},
		{"groups", "group-name", "job", 1},
		{"groups", "description", "d", 1},
		{"groups", "owner-id", owner, 2},
		{"groups", "vpc-id", s.vpc, 2},
		{"groups", "ip-permission.cidr", "10.0.0.0/8", 1},
		{"groups", "ip-permission.group-id", s.group, 1},
		{"groups", "ip-permission.protocol", "udp", 1},
		{"groups", "ip-permission.from-port", "80", 1},
		{"groups", "ip-permission.to-port", "81", 1},
		{"groups", "ip-permission.user-id", owner, 2},
		{"groups", "egress.ip-permission.cidr", "0.0.0.0/0", 2},
		{"groups", "egress.ip-permission.prefix-list-id", "pl-*", 0},
		{"tables", "route-table-id", s.table, 1},
		{"tables", "association.main", "true", 1},
		{"tables", "association.subnet-id", s.subnet, 0},
		{"tables", "association.route-table-id", s.table, 1},
		{"tables", "vpc-id", s.vpc, 1},
		{"tables", "owner-id", owner, 1},
		{"tables", "route.destination-cidr-block", "0.0.0.0/0", 1},
		{"tables", "route.gateway-id", s.endpoint, 1},
		{"tables", "route.nat-gateway-id", nat, 1},
		{"tables", "route.state", "active", 1},
		{"tables", "route.origin", "CreateRoute", 1},
		{"tables", "route.destination-prefix-list-id", "pl-*", 1},
		{"tables", "association.route-table-association-id", "rtbassoc-*", 1},
		{"tables", "association.gateway-id", "igw-*", 0},
		{"endpoints", "service-name", "com.amazonaws.us-east-1.s3", 1},
		{"endpoints", "vpc-endpoint-id", s.endpoint, 1},
		{"endpoints", "vpc-endpoint-state", "available", 1},
		{"endpoints", "vpc-endpoint-type", "Gateway", 1},
		{"endpoints", "vpc-id", s.vpc, 1},
		{"endpoints", "tag:Name", "net", 1},
		{"endpoints", "ip-address-type", "ipv4", 1},
		{"endpoints", "service-region", "us-east-1", 1},
		{"interfaces", "network-interface-id", a.Interface, 1},
		{"interfaces", "addresses.private-ip-address", "10.20.1.5", 1},
		{"interfaces", "private-ip-address", "10.20.1.5", 1},
		{"interfaces", "attachment.status", "attached", 1},
		{"interfaces", "attachment.instance-id", "i-*", 0},
		{"interfaces", "attachment.attachment-id", "eni-attach-*", 1},
		{"interfaces", "attachment.instance-owner-id", "bedrock.amazonaws.com", 1},
		{"interfaces", "availability-zone", "us-east-1a", 1},
		{"interfaces", "availability-zone-id", "use1-az1", 1},
		{"interfaces", "description", "Amazon Bedrock*arn:job:one", 1},
		{"interfaces", "group-id", s.group, 1},
		{"interfaces", "group-name", "job", 1},
		{"interfaces", "interface-type", "interface", 1},
		{"interfaces", "mac-address", "02:00:0a:14:01:05", 1},
		{"interfaces", "owner-id", owner, 1},
		{"interfaces", "private-dns-name", "ip-10-20-1-5.*", 1},
		{"interfaces", "requester-id", "bedrock.amazonaws.com", 1},
		{"interfaces", "requester-managed", "true", 1},
		{"interfaces", "source-dest-check", "true", 1},
		{"interfaces", "status", "in-use", 1},
		{"interfaces", "subnet-id", s.subnet, 1},
		{"interfaces", "vpc-id", s.vpc, 1},
		{"logs", "flow-log-id", log, 1},
		{"logs", "resource-id", s.subnet, 1},
		{"logs", "traffic-type", "REJECT", 1},
		{"logs", "log-destination-type", "s3", 1},
		{"logs", "deliver-log-status", "SUCCESS", 1},
		{"logs", "log-group-name", "*", 0},
		{"gateways", "internet-gateway-id", igw, 1},
		{"gateways", "attachment.vpc-id", s.vpc, 1},
		{"gateways", "attachment.state", "available", 1},
		{"gateways", "owner-id", owner, 1},
		{"nats", "nat-gateway-id", nat, 1},
		{"nats", "state", "available", 1},
		{"nats", "subnet-id", s.subnet, 1},
		{"nats", "vpc-id", s.vpc, 1},
		{"nats", "tag:Name", "net", 1},
		{"addresses", "allocation-id", *eip.AllocationId, 1},
		{"addresses", "association-id", "eipassoc-*", 1},
		{"addresses", "domain", "vpc", 1},
		{"addresses", "network-border-group", "us-east-1", 1},
		{"addresses", "private-ip-address", "10.20.1.4", 1},
		{"addresses", "public-ip", "203.0.113.1", 1},
		{"acls", "default", "true", 1},
		{"acls", "vpc-id", s.vpc, 1},
		{"acls", "association.subnet-id", s.subnet, 1},
		{"acls", "association.association-id", "aclassoc-*", 1},
		{"acls", "association.network-acl-id", "acl-*", 1},
		{"acls", "network-acl-id", "acl-*", 1},
		{"acls", "owner-id", owner, 1},
		{"lists", "prefix-list-name", "com.amazonaws.us-east-1.s3", 1},
		{"lists", "owner-id", "AWS", 1},
		{"lists", "prefix-list-id", "pl-*", 1},
		{"services", "service-name", "com.amazonaws.us-east-1.s3", 1},
		{"services", "service-type", "Gateway", 1},
		{"services", "owner", "amazon", 1},
		{"services", "service-region", "us-east-1", 1},
		{"tags", "key", "Name", 9},
		{"tags", "value", "net", 9},
		{"tags", "resource-id", s.vpc, 1},
		{"tags", "resource-type", "network-interface", 2},
		{"tags", "tag-key", "Bedrock*", 2},
		{"zones", "zone-name", "us-east-1?", 3},
		{"zones", "zone-id", "use1-az2", 1},
		{"zones", "state", "available", 3},
		{"zones", "opt-in-status", "opt-in-not-required", 3},
		{"zones", "region-name", "us-east-1", 3},
		{"zones", "zone-type", "availability-zone", 3},
		{"zones", "group-name", "us-east-1-zg-1", 3},
		{"zones", "message", "*", 0},
		{"regions", "region-name", "us-*", 4},
		{"regions", "endpoint", "ec2.eu-west-1.amazonaws.com", 1},
		{"regions", "opt-in-status", "opt-in-not-required", 17},
		{"dhcp", "key", "domain-name", 1},
		{"dhcp", "value", "AmazonProvidedDNS", 1},
		{"dhcp", "dhcp-options-id", "dopt-*", 1},
		{"dhcp", "owner-id", owner, 1},
		{"rules", "group-id", s.group, 3},
		{"rules", "security-group-rule-id", "sgr-*", 5},
	} {
		if got := count[tt.kind](filters(tt.name, tt.value)); got != tt.want {
			t.Errorf("%s with %s=%s: %d, want %d", tt.kind, tt.name, tt.value, got, tt.want)
		}
		if got := count[tt.kind](filters(tt.name, "nothing of the kind")); got != 0 {
			t.Errorf("%s with another %s: %d", tt.kind, tt.name, got)
		}
	}
	// All filters must hold, each for any of its values.
	both := []types.Filter{{Name: aws.String("vpc-id"), Values: []string{s.vpc, "vpc-x"}}, {Name: aws.String("state"), Values: []string{"pending"}}}
	if got := count["vpcs"](both); got != 0 {
		t.Errorf("two filters, one of which fails: %d", got)
	}
}

// TestTags are made, changed and deleted one by one.
func TestTags(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	v := r.newVPC("10.20.0.0/16")
	shown := func() map[string]string {
		out := map[string]string{}
		for _, tag := range ok[*ec2.DescribeVpcsOutput](t)(r.DescribeVpcs(r.ctx, &ec2.DescribeVpcsInput{})).Vpcs[0].Tags {
			out[*tag.Key] = *tag.Value
		}
		return out
	}
	want := func(want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, shown()); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
	ok[*ec2.CreateTagsOutput](t)(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{v}, Tags: append(tags("a", "1"), append(tags("b", "2"), tags("c", "")...)...)}))
	ok[*ec2.CreateTagsOutput](t)(r.CreateTags(r.ctx, &ec2.CreateTagsInput{Resources: []string{v}, Tags: tags("a", "3")}))
	want(map[string]string{"a": "3", "b": "2", "c": ""})
	drop := func(tags ...types.Tag) {
		ok[*ec2.DeleteTagsOutput](t)(r.DeleteTags(r.ctx, &ec2.DeleteTagsInput{Resources: []string{v}, Tags: tags}))
	}
	drop(types.Tag{Key: aws.String("a"), Value: aws.String("1")}, types.Tag{Key: aws.String("none")})
	want(map[string]string{"a": "3", "b": "2", "c": ""})
	drop(types.Tag{Key: aws.String("a"), Value: aws.String("3")}, types.Tag{Key: aws.String("b")})
	want(map[string]string{"c": ""})
	drop()
	want(map[string]string{})
}

// TestRegionsApart keeps regions and their zones apart.
func TestRegionsApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	there := in(r.ctx, "ap-northeast-1")
	if out := ok[*ec2.DescribeVpcsOutput](t)(r.DescribeVpcs(there, &ec2.DescribeVpcsInput{})); len(out.Vpcs) != 0 {
		t.Errorf("another region has %v", out.Vpcs)
	}
	wantCode(t, "across regions", failure(r.CreateSubnet(there, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.2.0/24")})), "InvalidVpcID.NotFound", s.vpc)
	for region, want := range map[string]string{"us-east-1": "use1-az1", "ap-northeast-1": "apne1-az1", "eu-central-1": "euc1-az1", "us-gov-west-1": "usgw1-az1", "ca-west-1": "caw1-az1", "ap-southeast-2": "apse2-az1", "sa-east-1": "sae1-az1", "me-central-1": "mec1-az1"} {
		out := ok[*ec2.DescribeAvailabilityZonesOutput](t)(r.DescribeAvailabilityZones(in(r.ctx, cloister.Region(region)), &ec2.DescribeAvailabilityZonesInput{})).AvailabilityZones
		if len(out) != 3 || *out[0].ZoneName != region+"a" || *out[0].ZoneId != want {
			t.Errorf("%s: %v, want %s", region, out, want)
		}
	}
	if out := ok[*ec2.DescribeRegionsOutput](t)(r.DescribeRegions(in(r.ctx, "xx-north-1"), &ec2.DescribeRegionsInput{RegionNames: []string{"xx-north-1"}})); len(out.Regions) != 1 {
		t.Errorf("the caller's own region: %v", out.Regions)
	}
	attributes := ok[*ec2.DescribeAccountAttributesOutput](t)(r.DescribeAccountAttributes(r.ctx, &ec2.DescribeAccountAttributesInput{AttributeNames: []types.AccountAttributeName{"supported-platforms"}})).AccountAttributes
	if len(attributes) != 1 || *attributes[0].AttributeValues[0].AttributeValue != "VPC" {
		t.Errorf("account attributes: %v", attributes)
	}
}
