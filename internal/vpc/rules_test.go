package vpc_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// TestRules makes rules in the old and the new form and takes them away in the other one.
func TestRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	ctx := r.ctx
	// Old, flat.
	made := ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &s.group, CidrIp: aws.String("10.0.0.0/8"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
	})).SecurityGroupRules
	if len(made) != 1 || *made[0].CidrIpv4 != "10.0.0.0/8" || *made[0].FromPort != 22 || *made[0].IsEgress {
		t.Fatalf("made %+v", made)
	}
	// New, by id.
	revoked := ok[*ec2.RevokeSecurityGroupIngressOutput](t)(r.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &s.group, SecurityGroupRuleIds: []string{*made[0].SecurityGroupRuleId}})).RevokedSecurityGroupRules
	if len(revoked) != 1 || *revoked[0].SecurityGroupRuleId != *made[0].SecurityGroupRuleId || *revoked[0].CidrIpv4 != "10.0.0.0/8" {
		t.Errorf("revoked %+v", revoked)
	}
	// Permissions with several sources are several rules, described together.
	permissions := []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(81),
		IpRanges:         []types.IpRange{{CidrIp: aws.String("10.0.0.0/8"), Description: aws.String("one")}, {CidrIp: aws.String("192.0.2.0/24")}},
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &s.group, UserId: aws.String(string(account))}},
	}}
	made = ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: permissions, TagSpecifications: tagSpec("security-group-rule", "a", "b")})).SecurityGroupRules
	if len(made) != 3 || *made[0].Tags[0].Value != "b" || *made[2].ReferencedGroupInfo.GroupId != s.group {
		t.Fatalf("made %+v", made)
	}
	shown := ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{s.group}})).SecurityGroups[0].IpPermissions
	if len(shown) != 1 || len(shown[0].IpRanges) != 2 || *shown[0].IpRanges[0].Description != "one" || len(shown[0].UserIdGroupPairs) != 1 {
		t.Errorf("permissions %+v", shown)
	}
	// What a group is described as can be revoked as it is.
	describe := func(id string) types.SecurityGroupRule {
		return ok[*ec2.DescribeSecurityGroupRulesOutput](t)(r.DescribeSecurityGroupRules(ctx, &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}})).SecurityGroupRules[0]
	}
	first := *made[0].SecurityGroupRuleId
	ok[*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput](t)(r.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: &s.group, SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{SecurityGroupRuleId: &first, Description: aws.String("two")}}}))
	if got := describe(first).Description; *got != "two" {
		t.Errorf("description %s", *got)
	}
	changed := []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(81), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8"), Description: aws.String("three")}}}}
	ok[*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput](t)(r.UpdateSecurityGroupRuleDescriptionsIngress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: &s.group, IpPermissions: changed}))
	if got := describe(first).Description; *got != "three" {
		t.Errorf("description %s", *got)
	}
	_, err := r.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: &s.group, IpPermissions: changed})
	wantCode(t, "the other direction", err, "InvalidPermission.NotFound", "")
	_, err = r.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: &s.group, SecurityGroupRuleDescriptions: []types.SecurityGroupRuleDescription{{SecurityGroupRuleId: &first}}})
	wantCode(t, "the other direction by id", err, "InvalidSecurityGroupRuleId.NotFound", first)
	_, err = r.UpdateSecurityGroupRuleDescriptionsEgress(ctx, &ec2.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: &s.group})
	wantCode(t, "no description", err, "InvalidParameterCombination", "")

	modify := func(id string, to types.SecurityGroupRuleRequest) error {
		_, err := r.ModifySecurityGroupRules(ctx, &ec2.ModifySecurityGroupRulesInput{GroupId: &s.group, SecurityGroupRules: []types.SecurityGroupRuleUpdate{{SecurityGroupRuleId: &id, SecurityGroupRule: &to}}})
		return err
	}
	to := types.SecurityGroupRuleRequest{IpProtocol: aws.String("udp"), FromPort: aws.Int32(53), ToPort: aws.Int32(53), CidrIpv4: aws.String("198.51.100.0/24")}
	if err := modify(first, to); err != nil {
		t.Error(err)
	}
	if got := describe(first); *got.IpProtocol != "udp" || *got.CidrIpv4 != "198.51.100.0/24" || got.Description != nil || *got.Tags[0].Key != "a" {
		t.Errorf("after ModifySecurityGroupRules: %+v", got)
	}
	wantCode(t, "another type", modify(first, types.SecurityGroupRuleRequest{IpProtocol: aws.String("-1"), ReferencedGroupId: &s.group}), "InvalidParameterCombination", "type")
	wantCode(t, "a rule that is there", modify(*made[1].SecurityGroupRuleId, to), "InvalidPermission.Duplicate", "198.51.100.0/24")
	wantCode(t, "an unknown rule", modify("sgr-1", to), "InvalidSecurityGroupRuleId.NotFound", "sgr-1")
	wantCode(t, "two sources", modify(first, types.SecurityGroupRuleRequest{IpProtocol: aws.String("-1"), CidrIpv4: aws.String("10.0.0.0/8"), ReferencedGroupId: &s.group}), "InvalidParameterCombination", "exactly one")
	wantCode(t, "IPv6", modify(first, types.SecurityGroupRuleRequest{IpProtocol: aws.String("-1"), CidrIpv6: aws.String("::/0")}), "UnsupportedOperation", "IPv6")

	shown = ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{s.group}})).SecurityGroups[0].IpPermissions
	ok[*ec2.RevokeSecurityGroupIngressOutput](t)(r.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: shown}))
	if left := ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{s.group}})).SecurityGroups[0].IpPermissions; len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	other := r.newGroup(s.vpc, "other")
	ok[*ec2.AuthorizeSecurityGroupIngressOutput](t)(r.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: permission("tcp", 1, 2, other)}))
	wantCode(t, "a group that another names", failure(r.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &other})), "DependencyViolation", "resource "+other+" has a dependent object")
	groups := ok[*ec2.DescribeSecurityGroupsOutput](t)(r.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filters("group-name", "default")})).SecurityGroups
	wantCode(t, "the default group", failure(r.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: groups[0].GroupId})), "CannotDelete", "default")
}

func TestManyRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	var ranges []types.IpRange
	for i := range 1001 {
		ranges = append(ranges, types.IpRange{CidrIp: aws.String(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32).String())})
	}
	authorize := func(ranges []types.IpRange) error {
		_, err := r.AuthorizeSecurityGroupIngress(r.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &s.group, IpPermissions: []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: ranges}}})
		return err
	}
	wantCode(t, "1,001 rules", authorize(ranges), "RulesPerSecurityGroupLimitExceeded", "maximum number of rules")
	if err := authorize(ranges[:1000]); err != nil {
		t.Errorf("1,000 rules: %v", err)
	}
}

// FuzzPermission reads permissions of any words: what is accepted is described so that it can be given again.
func FuzzPermission(f *testing.F) {
	f.Add("tcp", int32(80), int32(81), "10.0.0.0/8", "text")
	f.Add("icmp", int32(-1), int32(-1), "0.0.0.0/0", "")
	f.Add("-1", int32(0), int32(0), "::/0", "")
	f.Add("50", int32(0), int32(0), "192.0.2.1/32", "é")
	r := newFuzzRig(f)
	v, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	if err != nil {
		f.Fatal(err)
	}
	g, err := r.CreateSecurityGroup(r.ctx, &ec2.CreateSecurityGroupInput{VpcId: v.Vpc.VpcId, GroupName: aws.String("g"), Description: aws.String("d")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, protocol string, from, to int32, block, text string) {
		in := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, DryRun: aws.Bool(true), IpPermissions: []types.IpPermission{{
			IpProtocol: &protocol, FromPort: &from, ToPort: &to, IpRanges: []types.IpRange{{CidrIp: &block, Description: &text}},
		}}}
		_, err := r.AuthorizeSecurityGroupIngress(r.ctx, in)
		codes := []string{"DryRunOperation", "InvalidParameterValue", "UnsupportedOperation", "MissingParameter"}
		if !slices.Contains(codes, cloister.Code(err)) {
			t.Errorf("%v: an unexpected answer", err)
		}
	})
}

// FuzzBlocks reads blocks of any words: what is accepted lies where a VPC may, in canonical form.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/16", "10.0.0.1/16", "198.18.0.0/28", "10.0.0.0/29", "::/0", "010.0.0.0/16", "10.0.0.0/016", "1.2.3.4"} {
		f.Add(seed)
	}
	r := newFuzzRig(f)
	f.Fuzz(func(t *testing.T, text string) {
		_, err := r.CreateVpc(r.ctx, &ec2.CreateVpcInput{CidrBlock: &text, DryRun: aws.Bool(true)})
		block, parseErr := netip.ParsePrefix(text)
		if cloister.Code(err) != "DryRunOperation" {
			return
		}
		if parseErr != nil || !block.Addr().Is4() || block.Bits() < 16 || block.Bits() > 28 || netip.MustParsePrefix("198.18.0.0/15").Overlaps(block) {
			t.Errorf("a VPC of %q was accepted", text)
		}
	})
}
