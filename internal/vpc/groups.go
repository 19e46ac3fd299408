package vpc

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

const defaultGroup = "default"

// CreateSecurityGroup makes a security group that allows nothing in and everything out. Names differ by more than case.
func (s *Service) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error) {
	if err := s.allow(ctx, "CreateSecurityGroup", "vpc/"+aws.ToString(in.VpcId), "security-group/*"); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	name, description := aws.ToString(in.GroupName), aws.ToString(in.Description)
	switch {
	case name == "":
		return nil, missing("GroupName")
	case description == "":
		return nil, missing("GroupDescription")
	case len(name) > maxDescription || strings.HasPrefix(name, "sg-") || checkDescription(name) != nil:
		return nil, invalidValue("Invalid security group name '%s'. Valid names are up to 255 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*, and do not begin with sg-.", name)
	case strings.EqualFold(name, defaultGroup):
		return nil, cloister.Errorf("InvalidParameterValue", "Cannot use reserved security group name: default")
	case checkDescription(description) != nil:
		return nil, invalidValue("Invalid security group description. Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	case in.VpcId == nil:
		return nil, cloister.Errorf("VPCIdNotSpecified", "No default VPC for this user")
	}
	tags, err := tagsFor(types.ResourceTypeSecurityGroup, in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	out := &ec2.CreateSecurityGroupOutput{}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		v, err := n.vpc(*in.VpcId)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(n.groups.items, func(g *groupRes) bool { return g.VPC == v.ID && strings.EqualFold(g.Name, name) }) {
			return cloister.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
		}
		ids, err := s.newIDs("sg", "sgr")
		if err != nil {
			return err
		}
		g := &groupRes{base: base{ID: ids[0], Created: s.now(), Tags: tags}, VPC: v.ID, Name: name, Description: description, Rules: []ruleRes{allEgress(ids[1])}}
		n.groups.add(g)
		out.GroupId, out.Tags, out.SecurityGroupArn = aws.String(g.ID), tagList(tags), aws.String(n.groupARN(g.ID))
		return nil
	})
}

func (n *network) groupARN(id string) string {
	return cloister.NewARN("ec2", n.Region, n.Account, "security-group/"+id).String()
}

func (n *network) showGroup(g *groupRes) types.SecurityGroup {
	return types.SecurityGroup{
		GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), Description: aws.String(g.Description), VpcId: aws.String(g.VPC),
		OwnerId: aws.String(string(n.Account)), SecurityGroupArn: aws.String(n.groupARN(g.ID)), Tags: tagList(g.Tags),
		IpPermissions: n.permissions(g.Rules, false), IpPermissionsEgress: n.permissions(g.Rules, true),
	}
}

// DescribeSecurityGroups describes security groups. Names are those of groups in a default VPC, of which there is none.
func (s *Service) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	if err := s.allow(ctx, "DescribeSecurityGroups"); err != nil {
		return nil, err
	}
	if len(in.GroupNames) > 0 {
		return nil, notFound("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC: use the filter group-name, or GroupIds", in.GroupNames[0])
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	groups, next, err := describe(groupFields(), mapped(n.groups.items, n.showGroup), query{in.GroupIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: groups, NextToken: next}, dryRun(in.DryRun)
}

func groupFields() described[types.SecurityGroup] {
	filters := map[string]func(*types.SecurityGroup) []string{
		"description": func(g *types.SecurityGroup) []string { return one(g.Description) },
		"group-id":    func(g *types.SecurityGroup) []string { return one(g.GroupId) },
		"group-name":  func(g *types.SecurityGroup) []string { return one(g.GroupName) },
		"owner-id":    func(g *types.SecurityGroup) []string { return one(g.OwnerId) },
		"vpc-id":      func(g *types.SecurityGroup) []string { return one(g.VpcId) },
	}
	for prefix, of := range map[string]func(*types.SecurityGroup) []types.IpPermission{
		"ip-permission.":        func(g *types.SecurityGroup) []types.IpPermission { return g.IpPermissions },
		"egress.ip-permission.": func(g *types.SecurityGroup) []types.IpPermission { return g.IpPermissionsEgress },
	} {
		for name, field := range map[string]func(types.IpPermission) []string{
			"cidr": func(p types.IpPermission) []string {
				return list(p.IpRanges, func(r types.IpRange) *string { return r.CidrIp })
			},
			"group-id": func(p types.IpPermission) []string {
				return list(p.UserIdGroupPairs, func(r types.UserIdGroupPair) *string { return r.GroupId })
			},
			"prefix-list-id": func(p types.IpPermission) []string {
				return list(p.PrefixListIds, func(r types.PrefixListId) *string { return r.PrefixListId })
			},
			"protocol":  func(p types.IpPermission) []string { return one(p.IpProtocol) },
			"from-port": func(p types.IpPermission) []string { return []string{itoa(p.FromPort)} },
			"to-port":   func(p types.IpPermission) []string { return []string{itoa(p.ToPort)} },
			"user-id": func(p types.IpPermission) []string {
				return list(p.UserIdGroupPairs, func(r types.UserIdGroupPair) *string { return r.UserId })
			},
		} {
			filters[prefix+name] = func(g *types.SecurityGroup) []string {
				var out []string
				for _, p := range of(g) {
					out = append(out, field(p)...)
				}
				return out
			}
		}
	}
	return described[types.SecurityGroup]{
		notFound: "InvalidGroup.NotFound", text: "The security group '%s' does not exist", ids: "groupIds",
		id: func(g *types.SecurityGroup) *string { return g.GroupId }, tags: func(g *types.SecurityGroup) []types.Tag { return g.Tags },
		filters: filters,
	}
}

// group finds a security group.
func (n *network) group(id string) (*groupRes, error) {
	if g, ok := n.groups.find(id); ok {
		return g, nil
	}
	return nil, notFound("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

// DeleteSecurityGroup deletes a group that no interface carries and no rule of another names.
func (s *Service) DeleteSecurityGroup(ctx context.Context, in *ec2.DeleteSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.DeleteSecurityGroupOutput, error) {
	id := aws.ToString(in.GroupId)
	if err := s.allow(ctx, "DeleteSecurityGroup", "security-group/"+id); err != nil {
		return nil, err
	}
	if err := only(in, "GroupId"); err != nil {
		return nil, err
	}
	if id == "" {
		return nil, missing("GroupId")
	}
	out := &ec2.DeleteSecurityGroupOutput{Return: aws.Bool(true), GroupId: in.GroupId}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		g, err := n.group(id)
		if err != nil {
			return err
		}
		if g.Name == defaultGroup {
			return cloister.Errorf("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", id)
		}
		carried := slices.ContainsFunc(n.interfaces.items, func(i *interfaceRes) bool { return slices.Contains(i.Groups, id) })
		named := slices.ContainsFunc(n.groups.items, func(o *groupRes) bool {
			return o.ID != id && slices.ContainsFunc(o.Rules, func(r ruleRes) bool { return r.Group == id })
		})
		if carried || named {
			return inUse("resource %s has a dependent object", id)
		}
		n.groups.remove(id)
		return nil
	})
}
