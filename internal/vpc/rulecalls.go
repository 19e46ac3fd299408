package vpc

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// maxRules is how many rules a group has in one direction. Source: VPC User Guide, "Amazon VPC quotas": the quota can be
// raised until rules times groups of an interface are 1,000.
const maxRules = 1000

// flat is the older form of a rule call: one permission in flat parameters.
type flat struct {
	cidr, protocol *string
	from, to       *int32
}

func (f flat) given() bool { return f.cidr != nil || f.protocol != nil || f.from != nil || f.to != nil }

// both joins the two forms; a request uses one of them.
func both(f flat, permissions []types.IpPermission) ([]types.IpPermission, error) {
	if !f.given() {
		return permissions, nil
	}
	if len(permissions) > 0 {
		return nil, badCombination("The parameter ipPermissions cannot be used with the parameters cidrIp, ipProtocol, fromPort, toPort")
	}
	if f.cidr == nil {
		return nil, missing("cidrIp")
	}
	return []types.IpPermission{{IpProtocol: f.protocol, FromPort: f.from, ToPort: f.to, IpRanges: []types.IpRange{{CidrIp: f.cidr}}}}, nil
}

// AuthorizeSecurityGroupIngress adds rules for what may come in. Running jobs get them at once.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	if err := s.allow(ctx, "AuthorizeSecurityGroupIngress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "CidrIp", "IpProtocol", "FromPort", "ToPort", "TagSpecifications"); err != nil {
		return nil, err
	}
	rules, err := s.authorize(ctx, authorization{
		id: aws.ToString(in.GroupId), flat: flat{in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort}, permissions: in.IpPermissions,
		tags: in.TagSpecifications, dry: in.DryRun,
	})
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(err == nil), SecurityGroupRules: rules}, err
}

// AuthorizeSecurityGroupEgress adds rules for what may go out. Running jobs get them at once.
func (s *Service) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	if err := s.allow(ctx, "AuthorizeSecurityGroupEgress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "CidrIp", "IpProtocol", "FromPort", "ToPort", "TagSpecifications"); err != nil {
		return nil, err
	}
	rules, err := s.authorize(ctx, authorization{
		id: aws.ToString(in.GroupId), egress: true, flat: flat{in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort}, permissions: in.IpPermissions,
		tags: in.TagSpecifications, dry: in.DryRun,
	})
	return &ec2.AuthorizeSecurityGroupEgressOutput{Return: aws.Bool(err == nil), SecurityGroupRules: rules}, err
}

// authorization is what the two Authorize operations share.
type authorization struct {
	id          string
	egress      bool
	flat        flat
	permissions []types.IpPermission
	tags        []types.TagSpecification
	dry         *bool
}

func (s *Service) authorize(ctx context.Context, a authorization) ([]types.SecurityGroupRule, error) {
	if err := s.allowTags(ctx, a.tags); err != nil {
		return nil, err
	}
	if a.id == "" {
		return nil, missing("GroupId")
	}
	permissions, err := both(a.flat, a.permissions)
	if err != nil {
		return nil, err
	}
	if err := s.ownGroups(permissions); err != nil {
		return nil, err
	}
	rules, err := parsePermissions(a.egress, permissions)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return nil, missing("ipPermissions")
	}
	var out []types.SecurityGroupRule
	err = s.change(ctx, a.dry, func(n *network) error {
		out = []types.SecurityGroupRule{}
		g, err := n.group(a.id)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if slices.ContainsFunc(g.Rules, r.same) {
				return cloister.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r)
			}
			if err := n.target(g, r); err != nil {
				return err
			}
			if r.ID, err = s.newID("sgr"); err != nil {
				return err
			}
			if r.Tags, err = tagsFor(types.ResourceTypeSecurityGroupRule, a.tags); err != nil {
				return err
			}
			g.Rules = append(g.Rules, r)
			out = append(out, n.showRule(g, r))
		}
		if n := len(slices.DeleteFunc(slices.Clone(g.Rules), func(r ruleRes) bool { return r.Egress != a.egress })); n > maxRules {
			return cloister.Errorf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
		return nil
	})
	return out, err
}

// ownGroups refuses groups of other accounts: there are none.
func (s *Service) ownGroups(permissions []types.IpPermission) error {
	for _, p := range permissions {
		for _, v := range p.UserIdGroupPairs {
			if owner := aws.ToString(v.UserId); owner != "" && owner != string(s.account) {
				return notFound("InvalidGroup.NotFound", "The security group '%s' does not exist", owner+"/"+aws.ToString(v.GroupId))
			}
		}
	}
	return nil
}

// String is a rule as EC2 names it in errors.
func (r ruleRes) String() string {
	peer, direction := r.Group+r.List, "ALLOW"
	if r.CIDR.IsValid() {
		peer = r.CIDR.String()
	}
	text := "peer: " + peer + ", "
	switch {
	case r.Protocol == allProtocols:
		text += "ALL"
	case r.ranged():
		text += map[string]string{protocolTCP: "TCP", protocolUDP: "UDP", protocolICMP: "ICMP"}[r.Protocol] +
			", from port: " + itoa(aws.Int32(int32(r.From))) + ", to port: " + itoa(aws.Int32(int32(r.To))) //nolint:gosec // checked when it was parsed
	default:
		text += "protocol " + r.Protocol
	}
	return text + ", " + direction
}

// target refuses a rule whose group or list is not there, or is of another VPC.
func (n *network) target(g *groupRes, r ruleRes) error {
	if r.List != "" && r.List != s3ListID(n.Region) {
		return notFound("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", r.List)
	}
	if r.Group == "" {
		return nil
	}
	other, err := n.group(r.Group)
	if err != nil {
		return err
	}
	if other.VPC != g.VPC {
		return cloister.Errorf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	return nil
}

func (n *network) showRule(g *groupRes, r ruleRes) types.SecurityGroupRule {
	out := types.SecurityGroupRule{
		SecurityGroupRuleId: aws.String(r.ID), GroupId: aws.String(g.ID), GroupOwnerId: aws.String(string(n.Account)), IsEgress: aws.Bool(r.Egress),
		IpProtocol: aws.String(r.Protocol), FromPort: aws.Int32(int32(r.From)), ToPort: aws.Int32(int32(r.To)), //nolint:gosec // checked when it was parsed
		Description: ref(r.Description), PrefixListId: ref(r.List), Tags: tagList(r.Tags),
		SecurityGroupRuleArn: aws.String(cloister.NewARN("ec2", n.Region, n.Account, "security-group-rule/"+r.ID).String()),
	}
	switch {
	case r.Group != "":
		out.ReferencedGroupInfo = &types.ReferencedSecurityGroup{GroupId: aws.String(r.Group), UserId: aws.String(string(n.Account)), VpcId: aws.String(g.VPC)}
	case r.CIDR.IsValid():
		out.CidrIpv4 = aws.String(r.CIDR.String())
	}
	return out
}

// RevokeSecurityGroupIngress takes rules away, by permission or by id. Connections that are under way live on, as in AWS.
func (s *Service) RevokeSecurityGroupIngress(ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	if err := s.allow(ctx, "RevokeSecurityGroupIngress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "CidrIp", "IpProtocol", "FromPort", "ToPort", "SecurityGroupRuleIds"); err != nil {
		return nil, err
	}
	revoked, err := s.revoke(ctx, revocation{
		id: aws.ToString(in.GroupId), flat: flat{in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort}, permissions: in.IpPermissions,
		rules: in.SecurityGroupRuleIds, dry: in.DryRun,
	})
	return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(err == nil), RevokedSecurityGroupRules: revoked}, err
}

// RevokeSecurityGroupEgress takes rules away, by permission or by id. Connections that are under way live on, as in AWS.
func (s *Service) RevokeSecurityGroupEgress(ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput, _ ...func(*ec2.Options)) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	if err := s.allow(ctx, "RevokeSecurityGroupEgress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "CidrIp", "IpProtocol", "FromPort", "ToPort", "SecurityGroupRuleIds"); err != nil {
		return nil, err
	}
	revoked, err := s.revoke(ctx, revocation{
		id: aws.ToString(in.GroupId), egress: true, flat: flat{in.CidrIp, in.IpProtocol, in.FromPort, in.ToPort}, permissions: in.IpPermissions,
		rules: in.SecurityGroupRuleIds, dry: in.DryRun,
	})
	return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(err == nil), RevokedSecurityGroupRules: revoked}, err
}

// revocation is what the two Revoke operations share.
type revocation struct {
	id          string
	egress      bool
	flat        flat
	permissions []types.IpPermission
	rules       []string // ids
	dry         *bool
}

func (s *Service) revoke(ctx context.Context, v revocation) ([]types.RevokedSecurityGroupRule, error) {
	if v.id == "" {
		return nil, missing("GroupId")
	}
	permissions, err := both(v.flat, v.permissions)
	if err != nil {
		return nil, err
	}
	if len(v.rules) > 0 && len(permissions) > 0 {
		return nil, badCombination("The parameter securityGroupRuleIds cannot be used with the parameter ipPermissions")
	}
	rules, parseErr := parsePermissions(v.egress, permissions)
	if parseErr != nil && cloister.Code(parseErr) != "UnsupportedOperation" {
		return nil, parseErr
	}
	if len(permissions) == 0 && len(v.rules) == 0 {
		return nil, missing("ipPermissions or securityGroupRuleIds")
	}
	var out []types.RevokedSecurityGroupRule
	err = s.change(ctx, v.dry, func(n *network) error {
		out = []types.RevokedSecurityGroupRule{}
		g, err := n.group(v.id)
		if err != nil {
			return err
		}
		if parseErr != nil { // what is refused when it is authorized cannot be there: Terraform revokes ::/0 to make sure
			return cloister.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		for _, r := range rules {
			i := slices.IndexFunc(g.Rules, r.same)
			if i < 0 {
				return cloister.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			out = append(out, g.take(i))
		}
		for _, id := range v.rules {
			i := slices.IndexFunc(g.Rules, func(r ruleRes) bool { return r.ID == id && r.Egress == v.egress })
			if i < 0 {
				return notFound("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
			}
			out = append(out, g.take(i))
		}
		return nil
	})
	return out, err
}

// take removes a rule and says what it was.
func (g *groupRes) take(i int) types.RevokedSecurityGroupRule {
	r := g.Rules[i]
	g.Rules = slices.Delete(g.Rules, i, i+1)
	out := types.RevokedSecurityGroupRule{
		SecurityGroupRuleId: aws.String(r.ID), GroupId: aws.String(g.ID), IsEgress: aws.Bool(r.Egress), IpProtocol: aws.String(r.Protocol),
		FromPort: aws.Int32(int32(r.From)), ToPort: aws.Int32(int32(r.To)), //nolint:gosec // checked when it was parsed
		Description: ref(r.Description), PrefixListId: ref(r.List), ReferencedGroupId: ref(r.Group),
	}
	if r.CIDR.IsValid() {
		out.CidrIpv4 = aws.String(r.CIDR.String())
	}
	return out
}

// rule finds a rule of any group.
func (n *network) rule(id string) (*groupRes, int) {
	for _, g := range n.groups.items {
		if i := slices.IndexFunc(g.Rules, func(r ruleRes) bool { return r.ID == id }); i >= 0 {
			return g, i
		}
	}
	return nil, 0
}
