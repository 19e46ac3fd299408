package vpc_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/vpc"
)

func TestAttachAndDetach(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	if calls := r.plane.take(); len(calls) > 0 {
		t.Errorf("the data plane heard of a VPC without interfaces: %v", calls)
	}
	a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	want := vpc.Attachment{
		Interface: a.Interface, VPC: s.vpc, Subnet: s.subnet, Zone: "use1-az1", Addr: netip.MustParseAddr("10.20.1.4"), Router: netip.MustParseAddr("10.20.1.1"), Endpoint: netip.MustParseAddr("198.18.0.2"),
		EndpointID: s.endpoint, Resolver: netip.MustParseAddr("10.20.0.2"), RouteTable: s.table,
	}
	if diff := cmp.Diff(want, a, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("Attach (-want +got):\n%s", diff)
	}
	b := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("two")))
	calls := []string{
		"apply " + s.vpc, "attach " + s.vpc + " " + a.Interface + " 10.20.1.4 " + s.group, "attach " + s.vpc + " " + b.Interface + " 10.20.1.5 " + s.group,
	}
	if diff := cmp.Diff(calls, r.plane.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if err := r.Detach(r.ctx, "one"); err != nil {
		t.Error(err)
	}
	if err := r.Detach(r.ctx, "one"); err != nil {
		t.Errorf("Detach again: %v", err)
	}
	if err := r.Detach(r.ctx, "two"); err != nil {
		t.Error(err)
	}
	calls = []string{"detach " + s.vpc + " " + a.Interface, "detach " + s.vpc + " " + b.Interface, "drop " + s.vpc}
	if diff := cmp.Diff(calls, r.plane.take()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{a.Interface, b.Interface}, r.last); diff != "" {
		t.Errorf("last readings (-want +got):\n%s", diff)
	}
}

func TestAddressesAreQuarantined(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/28") // 16 - 5 addresses
	free := func() int32 {
		out := ok[*ec2.DescribeSubnetsOutput](t)(r.DescribeSubnets(r.ctx, &ec2.DescribeSubnetsInput{}))
		return *out.Subnets[0].AvailableIpAddressCount
	}
	if n := free(); n != 11 {
		t.Errorf("%d free addresses, want 11", n)
	}
	for i := range 11 {
		a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job(fmt.Sprint(i))))
		if want := fmt.Sprintf("10.20.1.%d", 4+i); a.Addr.String() != want {
			t.Errorf("address %s, want %s", a.Addr, want)
		}
	}
	_, err := r.Attach(r.ctx, s.job("late"))
	if text := jobText(err); !strings.HasPrefix(text, "SubnetAddressesExhausted: ") || !strings.Contains(text, s.subnet) {
		t.Errorf("Attach to a full subnet: %v", err)
	}
	if err := r.Detach(r.ctx, "3"); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(6*time.Minute - time.Second)
	if _, err := r.Attach(r.ctx, s.job("late")); err == nil || free() != 0 {
		t.Errorf("the address was used again too soon: %v, %d free", err, free())
	}
	r.now = r.now.Add(time.Second)
	if a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("late"))); a.Addr.String() != "10.20.1.7" {
		t.Errorf("address %s, want 10.20.1.7", a.Addr)
	}
	wide := s.job("other")
	wide.Subnets = append(wide.Subnets, r.newSubnet(s.vpc, "10.20.2.0/24"))
	if a := ok[vpc.Attachment](t)(r.Attach(r.ctx, wide)); a.Addr.String() != "10.20.2.4" {
		t.Errorf("address %s, want the second subnet's", a.Addr)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	second := r.service(&plane{})
	if err := second.Recover(r.ctx); err != nil {
		t.Fatal(err)
	}
	out := ok[*ec2.DescribeNetworkInterfacesOutput](t)(second.DescribeNetworkInterfaces(r.ctx, &ec2.DescribeNetworkInterfacesInput{}))
	if len(out.NetworkInterfaces) != 0 {
		t.Errorf("interfaces after Recover: %v", out.NetworkInterfaces)
	}
	if a := ok[vpc.Attachment](t)(second.Attach(r.ctx, s.job("one"))); a.Addr.String() != "10.20.1.5" {
		t.Errorf("address %s, want another than the one in quarantine", a.Addr)
	}
	r.now = r.now.Add(time.Second) // other ids
	third := r.service(nil)
	if err := third.Recover(r.ctx); err != nil {
		t.Errorf("Recover without a data plane: %v", err)
	}
	if _, err := third.Attach(r.ctx, s.job("one")); !strings.HasPrefix(jobText(err), "IsolationUnavailable: ") {
		t.Errorf("Attach without a data plane: %v", err)
	}
}

// TestAttachAgain is a step that is done again in one process: the earlier interface ends.
func TestAttachAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	b := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one")))
	out := ok[*ec2.DescribeNetworkInterfacesOutput](t)(r.DescribeNetworkInterfaces(r.ctx, &ec2.DescribeNetworkInterfacesInput{}))
	if a.Interface == b.Interface || len(out.NetworkInterfaces) != 1 || *out.NetworkInterfaces[0].NetworkInterfaceId != b.Interface {
		t.Errorf("after a second Attach: %v then %v, interfaces %v", a.Interface, b.Interface, out.NetworkInterfaces)
	}
}

func TestAttachFails(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"apply", "attach"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
			broken := errors.New("broken")
			r.plane.setFail(call, broken)
			if _, err := r.Attach(r.ctx, s.job("one")); !errors.Is(err, broken) {
				t.Errorf("Attach = %v, want the data plane's error", err)
			}
			calls := r.plane.take()
			if calls[len(calls)-1] != "drop "+s.vpc {
				t.Errorf("calls %v, want the VPC dropped at last", calls)
			}
			out := ok[*ec2.DescribeNetworkInterfacesOutput](t)(r.DescribeNetworkInterfaces(r.ctx, &ec2.DescribeNetworkInterfacesInput{}))
			if len(out.NetworkInterfaces) != 0 {
				t.Errorf("an interface is left: %v", out.NetworkInterfaces)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.newSite("10.20.0.0/16", "10.20.1.0/24"), r.newSite("10.20.0.0/16", "10.20.1.0/24")
	if err := r.Check(r.ctx, region, []string{a.subnet}, []string{a.group}); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct {
		subnets, groups []string
		text            string
	}{
		"no subnet":      {nil, []string{a.group}, "at least one subnet"},
		"no group":       {[]string{a.subnet}, nil, "at least one subnet"},
		"unknown subnet": {[]string{a.subnet, "subnet-1"}, []string{a.group}, "subnet-1"},
		"unknown group":  {[]string{a.subnet}, []string{"sg-1"}, "sg-1"},
		"two VPCs":       {[]string{a.subnet, b.subnet}, []string{a.group}, b.subnet},
		"group of other": {[]string{a.subnet}, []string{a.group, b.group}, b.group},
	} {
		wantCode(t, name, r.Check(r.ctx, region, tt.subnets, tt.groups), "ValidationException", tt.text)
	}
	wantCode(t, "another region", r.Check(r.ctx, "eu-west-1", []string{a.subnet}, []string{a.group}), "ValidationException", a.subnet)
}

func TestJobErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	table := r.newTable(s.vpc)
	ok[*ec2.AssociateRouteTableOutput](t)(r.AssociateRouteTable(r.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &s.subnet}))
	_, err := r.Attach(r.ctx, s.job("one"))
	if want := "S3EndpointUnreachable: no S3 gateway endpoint in route table " + table + " of " + s.subnet; !strings.HasPrefix(jobText(err), want) {
		t.Errorf("Attach = %v, want %q", err, want)
	}
	ok[*ec2.ModifyVpcEndpointOutput](t)(r.ModifyVpcEndpoint(r.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &s.endpoint, AddRouteTableIds: []string{table}}))
	list := ok[*ec2.DescribeManagedPrefixListsOutput](t)(r.DescribeManagedPrefixLists(r.ctx, &ec2.DescribeManagedPrefixListsInput{})).PrefixLists[0].PrefixListId
	revoke := func(cidr string) {
		ok[*ec2.RevokeSecurityGroupEgressOutput](t)(r.RevokeSecurityGroupEgress(r.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &s.group, IpPermissions: permission("-1", 0, 0, cidr)}))
	}
	revoke("0.0.0.0/0")
	for _, tt := range []struct {
		protocol string
		from, to int32
		target   string
		reaches  bool
	}{
		{"tcp", 443, 443, *list, true},
		{"tcp", 0, 65535, "198.18.0.0/28", true},
		{"-1", 0, 0, "198.18.0.2/32", true},
		{"tcp", 444, 65535, *list, false},
		{"udp", 443, 443, *list, false},
		{"tcp", 443, 443, "10.0.0.0/8", false},
	} {
		ok[*ec2.AuthorizeSecurityGroupEgressOutput](t)(r.AuthorizeSecurityGroupEgress(r.ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &s.group, IpPermissions: permission(tt.protocol, tt.from, tt.to, tt.target)}))
		_, err := r.Attach(r.ctx, s.job("one"))
		want := "SecurityGroupEgressBlocked: " + s.group + " has no egress to " + *list + " port 443"
		if tt.reaches && err != nil || !tt.reaches && !strings.HasPrefix(jobText(err), want) {
			t.Errorf("%+v: %v", tt, err)
		}
		if err := r.Detach(r.ctx, "one"); err != nil {
			t.Error(err)
		}
		ok[*ec2.RevokeSecurityGroupEgressOutput](t)(r.RevokeSecurityGroupEgress(r.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &s.group, IpPermissions: permission(tt.protocol, tt.from, tt.to, tt.target)}))
	}
	ok[*ec2.ModifyVpcAttributeOutput](t)(r.ModifyVpcAttribute(r.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &s.vpc, EnableDnsSupport: boolean(false)}))
	ok[*ec2.AuthorizeSecurityGroupEgressOutput](t)(r.AuthorizeSecurityGroupEgress(r.ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &s.group, CidrIp: aws.String("0.0.0.0/0"), IpProtocol: aws.String("-1")}))
	if a := ok[vpc.Attachment](t)(r.Attach(r.ctx, s.job("one"))); a.Resolver.IsValid() || len(r.plane.vpc(s.vpc).Names) != 0 {
		t.Errorf("without DNS: resolver %s, names %v", a.Resolver, r.plane.vpc(s.vpc).Names)
	}
}
