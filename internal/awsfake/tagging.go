package awsfake

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"example.com/cloister"
)

// usualResources is how many resources a page has if the request does not say.
// Source: Resource Groups Tagging API Reference, GetResources, for the most that a page may have.
const usualResources = 100

// getResources lists what has tags in the region, or what of a list of ARNs has. It knows Bedrock's resources alone, and never
// names one without tags.
func getResources(c *call, in *tagging.GetResourcesInput) (*tagging.GetResourcesOutput, error) {
	if len(in.ResourceARNList) == 0 {
		return c.taggedPage(in)
	}
	if in.ResourceTypeFilters != nil || in.TagFilters != nil || in.ResourcesPerPage != nil || in.TagsPerPage != nil || in.PaginationToken != nil {
		return nil, cloister.Errorf("InvalidParameterException", "ResourceARNList cannot be combined with filters or pagination parameters.")
	}
	return &tagging.GetResourcesOutput{ResourceTagMappingList: c.tagged(in.ResourceARNList), PaginationToken: aws.String("")}, nil
}

// taggedPage is a page of all that has tags.
func (c *call) taggedPage(in *tagging.GetResourcesInput) (*tagging.GetResourcesOutput, error) {
	if n := aws.ToInt32(in.ResourcesPerPage); in.ResourcesPerPage != nil && (n < 1 || n > usualResources) {
		return nil, cloister.Errorf("InvalidParameterException", "ResourcesPerPage must be between 1 and %d.", usualResources)
	}
	if err := c.turn(aws.ToString(in.PaginationToken)); err != nil {
		return nil, err
	}
	all := keep(c.tagged(sortedNames(c.region.tags)), ofTypes(in.ResourceTypeFilters), withTags(in.TagFilters))
	items, next := page(c, all, in.ResourcesPerPage, usualResources)
	return &tagging.GetResourcesOutput{ResourceTagMappingList: items, PaginationToken: aws.String(aws.ToString(next))}, nil // "" on the last page
}

// tagged are those of the ARNs that have tags.
func (c *call) tagged(arns []string) []types.ResourceTagMapping {
	found := []types.ResourceTagMapping{}
	for _, arn := range arns {
		if tags := c.region.tags[arn]; len(tags) > 0 {
			found = append(found, types.ResourceTagMapping{ResourceARN: &arn, Tags: indexed(tags)})
		}
	}
	return found
}

// indexed are Bedrock's tags in the form of the index.
func indexed(tags []bedrocktypes.Tag) []types.Tag {
	out := make([]types.Tag, len(tags))
	for i, tag := range tags {
		out[i] = types.Tag{Key: tag.Key, Value: tag.Value}
	}
	return out
}

// ofTypes tests for one of some types: a service, or service and kind.
func ofTypes(filters []string) func(types.ResourceTagMapping) bool {
	if filters == nil {
		return nil
	}
	return func(m types.ResourceTagMapping) bool {
		parts := strings.SplitN(*m.ResourceARN, ":", 6)
		kind, _, _ := strings.Cut(parts[len(parts)-1], "/")
		return slices.Contains(filters, parts[2]) || slices.Contains(filters, parts[2]+":"+kind)
	}
}

// withTags tests that each filter has a tag with its key and, if it names values, one of them.
func withTags(filters []types.TagFilter) func(types.ResourceTagMapping) bool {
	if filters == nil {
		return nil
	}
	return func(m types.ResourceTagMapping) bool {
		return !slices.ContainsFunc(filters, func(f types.TagFilter) bool {
			return !slices.ContainsFunc(m.Tags, func(tag types.Tag) bool {
				return aws.ToString(tag.Key) == aws.ToString(f.Key) && (len(f.Values) == 0 || slices.Contains(f.Values, aws.ToString(tag.Value)))
			})
		})
	}
}
