package vpc

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// Limits of tags. Source: EC2 User Guide, "Tag restrictions".
const (
	maxTags     = 50
	maxTagKey   = 128 // characters
	maxTagValue = 256 // characters
)

// checkTag refuses a tag that EC2 does not take.
func checkTag(t types.Tag) error {
	key, value := aws.ToString(t.Key), aws.ToString(t.Value)
	switch {
	case key == "":
		return invalidValue("Tag key cannot be empty")
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return invalidValue("Tag keys starting with 'aws:' are reserved for internal use")
	case utf8.RuneCountInString(key) > maxTagKey:
		return invalidValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
	case utf8.RuneCountInString(value) > maxTagValue:
		return invalidValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
	}
	return nil
}

// tagsFor are the tags that a request gives to a new resource of a kind.
func tagsFor(kind types.ResourceType, specifications []types.TagSpecification) (map[string]string, error) {
	var out map[string]string
	for _, spec := range specifications {
		if spec.ResourceType != kind {
			return nil, invalidValue("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		for _, t := range spec.Tags {
			if err := checkTag(t); err != nil {
				return nil, err
			}
			if out == nil {
				out = map[string]string{}
			}
			if _, twice := out[*t.Key]; twice {
				return nil, invalidValue("Duplicate tag key '%s' specified.", *t.Key)
			}
			out[*t.Key] = aws.ToString(t.Value)
		}
	}
	if len(out) > maxTags {
		return nil, tooManyTags()
	}
	return out, nil
}

func tooManyTags() error {
	return cloister.Errorf("TagLimitExceeded", "More than %d tags specified", maxTags)
}

// allowTags asks whether the caller may give tags to what it creates, as EC2 does.
func (s *Service) allowTags(ctx context.Context, specifications []types.TagSpecification) error {
	for _, spec := range specifications {
		if err := s.allow(ctx, "CreateTags", string(spec.ResourceType)+"/*"); err != nil {
			return err
		}
	}
	return nil
}

// tagList is tags in the SDK's form, in order of key.
func tagList(tags map[string]string) []types.Tag {
	out := make([]types.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return out
}

// tagged finds what tags are kept with: a resource of a kind, or a rule of a security group.
func (n *network) tagged(id string) *map[string]string {
	for kind, t := range n.kinds() {
		if kind == "hold" {
			continue
		}
		for _, b := range t.metas(nil) {
			if b.ID == id {
				return &b.Tags
			}
		}
	}
	if g, i := n.rule(id); g != nil {
		return &g.Rules[i].Tags
	}
	return nil
}

// unknownResource is the error of a tag operation for an id that is not there.
func unknownResource(id string) error {
	prefix, _, _ := strings.Cut(id, "-")
	code, what := "InvalidID", "ID"
	switch prefix {
	case "vpc":
		code, what = "InvalidVpcID.NotFound", "vpc ID"
	case "subnet":
		code, what = "InvalidSubnetID.NotFound", "subnet ID"
	case "sg":
		code, what = "InvalidGroup.NotFound", "security group"
	case "sgr":
		code, what = "InvalidSecurityGroupRuleId.NotFound", "security group rule ID"
	case "rtb":
		code, what = "InvalidRouteTableID.NotFound", "routeTable ID"
	case "vpce":
		code, what = "InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id"
	case "igw":
		code, what = "InvalidInternetGatewayID.NotFound", "internetGateway ID"
	case "eni":
		code, what = "InvalidNetworkInterfaceID.NotFound", "networkInterface ID"
	}
	return cloister.Errorf(code, "The %s '%s' does not exist", what, id)
}

// CreateTags adds tags to resources, or replaces their values.
func (s *Service) CreateTags(ctx context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	if err := s.allow(ctx, "CreateTags", s.kindsOf(ctx, in.Resources)...); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, t := range in.Tags {
		if err := checkTag(t); err != nil {
			return nil, err
		}
		if seen[*t.Key] {
			return nil, invalidValue("Duplicate tag key '%s' specified.", *t.Key)
		}
		seen[*t.Key] = true
	}
	return &ec2.CreateTagsOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		for _, id := range in.Resources {
			tags := n.tagged(id)
			if tags == nil {
				return unknownResource(id)
			}
			if err := n.notManaged(id); err != nil {
				return err
			}
			if *tags == nil {
				*tags = map[string]string{}
			}
			for _, t := range in.Tags {
				(*tags)[*t.Key] = aws.ToString(t.Value)
			}
			if len(*tags) > maxTags {
				return tooManyTags()
			}
		}
		return nil
	})
}

// DeleteTags removes tags: all of them, those with a key, or those with a key and a value. What is not there is no error.
func (s *Service) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput, _ ...func(*ec2.Options)) (*ec2.DeleteTagsOutput, error) {
	if err := s.allow(ctx, "DeleteTags", s.kindsOf(ctx, in.Resources)...); err != nil {
		return nil, err
	}
	return &ec2.DeleteTagsOutput{}, s.change(ctx, in.DryRun, func(n *network) error {
		for _, id := range in.Resources {
			tags := n.tagged(id)
			if tags == nil {
				return unknownResource(id)
			}
			if err := n.notManaged(id); err != nil {
				return err
			}
			if len(in.Tags) == 0 {
				*tags = nil
			}
			for _, t := range in.Tags {
				if have, ok := (*tags)[aws.ToString(t.Key)]; ok && (t.Value == nil || *t.Value == have) {
					delete(*tags, *t.Key)
				}
			}
		}
		return nil
	})
}

// notManaged keeps the tags of a job's interface, by which people find it, from others.
func (n *network) notManaged(id string) error {
	if _, ok := n.interfaces.find(id); ok {
		return cloister.Errorf("OperationNotPermitted", "%s is managed by Amazon Bedrock: its tags cannot be changed", id)
	}
	return nil
}

// kindsOf names resources as ARNs do: "vpc/vpc-1". An id of no known kind stands for itself.
func (s *Service) kindsOf(_ context.Context, ids []string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, kindOf(id)+"/"+id)
	}
	return out
}

// kindOf is the resource type of an id, by its prefix.
func kindOf(id string) string {
	prefix, _, _ := strings.Cut(id, "-")
	switch prefix {
	case "sg":
		return "security-group"
	case "sgr":
		return "security-group-rule"
	case "rtb":
		return "route-table"
	case "vpce":
		return "vpc-endpoint"
	case "fl":
		return "vpc-flow-log"
	case "acl":
		return "network-acl"
	case "igw":
		return "internet-gateway"
	case "nat":
		return "natgateway"
	case "eipalloc":
		return "elastic-ip"
	case "eni":
		return "network-interface"
	case "dopt":
		return "dhcp-options"
	case "pl":
		return "prefix-list"
	default:
		return prefix
	}
}

// DescribeTags lists the tags of all resources.
func (s *Service) DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput, _ ...func(*ec2.Options)) (*ec2.DescribeTagsOutput, error) {
	if err := s.allow(ctx, "DescribeTags"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	tagged := map[string]map[string]string{}
	for _, t := range n.kinds() {
		for _, b := range t.metas(nil) {
			tagged[b.ID] = b.Tags
		}
	}
	for _, g := range n.groups.items {
		for _, r := range g.Rules {
			tagged[r.ID] = r.Tags
		}
	}
	var all []types.TagDescription
	for _, id := range slices.Sorted(maps.Keys(tagged)) {
		for _, t := range tagList(tagged[id]) {
			all = append(all, types.TagDescription{Key: t.Key, Value: t.Value, ResourceId: aws.String(id), ResourceType: types.ResourceType(kindOf(id))})
		}
	}
	d := described[types.TagDescription]{
		id: func(t *types.TagDescription) *string { return aws.String(*t.ResourceId + " " + *t.Key) },
		filters: map[string]func(*types.TagDescription) []string{
			"key":           func(t *types.TagDescription) []string { return one(t.Key) },
			"value":         func(t *types.TagDescription) []string { return one(t.Value) },
			"resource-id":   func(t *types.TagDescription) []string { return one(t.ResourceId) },
			"resource-type": func(t *types.TagDescription) []string { return word(t.ResourceType) },
			"tag-key":       func(t *types.TagDescription) []string { return one(t.Key) },
		},
	}
	out, next, err := describe(d, all, query{filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeTagsOutput{Tags: out, NextToken: next}, dryRun(in.DryRun)
}
