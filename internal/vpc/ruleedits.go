package vpc

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// DescribeSecurityGroupRules describes the rules of all groups, each by itself.
func (s *Service) DescribeSecurityGroupRules(ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	if err := s.allow(ctx, "DescribeSecurityGroupRules"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	var all []types.SecurityGroupRule
	for _, g := range n.groups.items {
		for _, r := range g.Rules {
			all = append(all, n.showRule(g, r))
		}
	}
	id := func(r *types.SecurityGroupRule) *string { return r.SecurityGroupRuleId }
	sortBy(all, id)
	d := described[types.SecurityGroupRule]{
		notFound: "InvalidSecurityGroupRuleId.NotFound", text: "The security group rule ID '%s' does not exist", ids: "securityGroupRuleIds",
		id: id, tags: func(r *types.SecurityGroupRule) []types.Tag { return r.Tags },
		filters: map[string]func(*types.SecurityGroupRule) []string{
			"group-id":               func(r *types.SecurityGroupRule) []string { return one(r.GroupId) },
			"security-group-rule-id": func(r *types.SecurityGroupRule) []string { return one(r.SecurityGroupRuleId) },
		},
	}
	out, next, err := describe(d, all, query{in.SecurityGroupRuleIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: out, NextToken: next}, dryRun(in.DryRun)
}

// ModifySecurityGroupRules replaces what rules allow. A rule keeps its direction, and the type of what it names.
func (s *Service) ModifySecurityGroupRules(ctx context.Context, in *ec2.ModifySecurityGroupRulesInput, _ ...func(*ec2.Options)) (*ec2.ModifySecurityGroupRulesOutput, error) {
	id := aws.ToString(in.GroupId)
	if err := s.allow(ctx, "ModifySecurityGroupRules", "security-group/"+id); err != nil {
		return nil, err
	}
	for _, u := range in.SecurityGroupRules {
		if err := s.allow(ctx, "ModifySecurityGroupRules", "security-group-rule/"+aws.ToString(u.SecurityGroupRuleId)); err != nil {
			return nil, err
		}
	}
	out := &ec2.ModifySecurityGroupRulesOutput{Return: aws.Bool(true)}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := n.group(id)
		if err != nil {
			return err
		}
		for _, u := range in.SecurityGroupRules {
			ruleID := aws.ToString(u.SecurityGroupRuleId)
			i := slices.IndexFunc(g.Rules, func(r ruleRes) bool { return r.ID == ruleID })
			if i < 0 {
				return notFound("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", ruleID)
			}
			if u.SecurityGroupRule == nil {
				return missing("SecurityGroupRule")
			}
			old := g.Rules[i]
			r, err := requested(old.Egress, *u.SecurityGroupRule)
			if err != nil {
				return err
			}
			if (r.Group == "") != (old.Group == "") || (r.List == "") != (old.List == "") {
				return cloister.Errorf("InvalidParameterCombination", "The type of the rule %s cannot be changed: a block, a group or a prefix list stays one", ruleID)
			}
			if slices.ContainsFunc(g.Rules, func(o ruleRes) bool { return o.ID != ruleID && o.same(r) }) {
				return cloister.Errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r)
			}
			if err := n.target(g, r); err != nil {
				return err
			}
			r.ID, r.Tags = old.ID, old.Tags
			g.Rules[i] = r
		}
		return nil
	})
}

// requested reads a rule as ModifySecurityGroupRules has it.
func requested(egress bool, q types.SecurityGroupRuleRequest) (ruleRes, error) {
	p := types.IpPermission{IpProtocol: q.IpProtocol, FromPort: q.FromPort, ToPort: q.ToPort}
	if q.CidrIpv4 != nil {
		p.IpRanges = []types.IpRange{{CidrIp: q.CidrIpv4, Description: q.Description}}
	}
	if q.CidrIpv6 != nil {
		p.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: q.CidrIpv6}}
	}
	if q.PrefixListId != nil {
		p.PrefixListIds = []types.PrefixListId{{PrefixListId: q.PrefixListId, Description: q.Description}}
	}
	if q.ReferencedGroupId != nil {
		p.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: q.ReferencedGroupId, Description: q.Description}}
	}
	rules, err := parsePermission(egress, p)
	if err != nil {
		return ruleRes{}, err
	}
	if len(rules) != 1 {
		return ruleRes{}, badCombination("A rule names exactly one of CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupId")
	}
	return rules[0], nil
}

// UpdateSecurityGroupRuleDescriptionsIngress changes what ingress rules say about themselves.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput, _ ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	if err := s.allow(ctx, "UpdateSecurityGroupRuleDescriptionsIngress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "SecurityGroupRuleDescriptions"); err != nil {
		return nil, err
	}
	err := s.redescribe(ctx, redescription{aws.ToString(in.GroupId), false, in.IpPermissions, in.SecurityGroupRuleDescriptions, in.DryRun})
	return &ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: aws.Bool(err == nil)}, err
}

// UpdateSecurityGroupRuleDescriptionsEgress changes what egress rules say about themselves.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput, _ ...func(*ec2.Options)) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	if err := s.allow(ctx, "UpdateSecurityGroupRuleDescriptionsEgress", "security-group/"+aws.ToString(in.GroupId)); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId", "IpPermissions", "SecurityGroupRuleDescriptions"); err != nil {
		return nil, err
	}
	err := s.redescribe(ctx, redescription{aws.ToString(in.GroupId), true, in.IpPermissions, in.SecurityGroupRuleDescriptions, in.DryRun})
	return &ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: aws.Bool(err == nil)}, err
}

// redescription is what the two Update operations share.
type redescription struct {
	id           string
	egress       bool
	permissions  []types.IpPermission
	descriptions []types.SecurityGroupRuleDescription
	dry          *bool
}

func (s *Service) redescribe(ctx context.Context, d redescription) error {
	if (len(d.permissions) == 0) == (len(d.descriptions) == 0) {
		return badCombination("Give either ipPermissions or securityGroupRuleDescriptions")
	}
	rules, err := parsePermissions(d.egress, d.permissions)
	if err != nil {
		return err
	}
	for _, v := range d.descriptions {
		if err := checkDescription(aws.ToString(v.Description)); err != nil {
			return err
		}
	}
	return s.change(ctx, d.dry, func(n *network) error {
		g, err := n.group(d.id)
		if err != nil {
			return err
		}
		for _, r := range rules {
			i := slices.IndexFunc(g.Rules, r.same)
			if i < 0 {
				return cloister.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
			}
			g.Rules[i].Description = r.Description
		}
		for _, v := range d.descriptions {
			i := slices.IndexFunc(g.Rules, func(r ruleRes) bool { return r.ID == aws.ToString(v.SecurityGroupRuleId) && r.Egress == d.egress })
			if i < 0 {
				return notFound("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", aws.ToString(v.SecurityGroupRuleId))
			}
			g.Rules[i].Description = aws.ToString(v.Description)
		}
		return nil
	})
}
