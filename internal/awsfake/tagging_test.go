package awsfake

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"
)

const (
	taggedJob   = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/q4ad8z8tioq8"
	taggedModel = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/w4vtut9aq95n"
	bareModel   = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/k7c2m9x4b1za"
)

// bare takes the tags of the good world's second model away.
func bare() Patch { return Patch{Path: here + "/models/1/tags", Set: map[string]any{}} }

// TestGetResources: the index says what Bedrock itself says, of what has tags and was asked for.
func TestGetResources(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{PageSize: 1}, bare())
	elsewhere := strings.Replace(taggedJob, "us-east-1", "eu-west-1", 1)
	out, err := c.tag.GetResources(t.Context(), &tagging.GetResourcesInput{ResourceARNList: []string{taggedModel, bareModel, taggedJob, elsewhere}})
	if err != nil || len(out.ResourceTagMappingList) != 2 || out.PaginationToken == nil || *out.PaginationToken != "" {
		t.Fatalf("GetResources = %+v, %v", out, err)
	}
	for i, arn := range []string{taggedModel, taggedJob} {
		m := out.ResourceTagMappingList[i]
		tags, err := c.bedrock.ListTagsForResource(t.Context(), &bedrock.ListTagsForResourceInput{ResourceARN: &arn})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, arn, types.ResourceTagMapping{ResourceARN: &arn, Tags: indexed(tags.Tags)}, m, nil)
	}
}

func TestGetResourcesPages(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{}, bare())
	for name, tt := range map[string]struct {
		in   tagging.GetResourcesInput
		want int
	}{
		"all":            {tagging.GetResourcesInput{}, 6},
		"of a service":   {tagging.GetResourcesInput{ResourceTypeFilters: []string{"bedrock"}}, 6},
		"of another":     {tagging.GetResourcesInput{ResourceTypeFilters: []string{"ec2"}}, 0},
		"of a kind":      {tagging.GetResourcesInput{ResourceTypeFilters: []string{"bedrock:custom-model"}}, 1},
		"with a key":     {tagging.GetResourcesInput{TagFilters: []types.TagFilter{{Key: aws.String("owner")}}}, 6},
		"with a value":   {tagging.GetResourcesInput{TagFilters: []types.TagFilter{{Key: aws.String("purpose"), Values: []string{"summaries", "x"}}}}, 2},
		"with two keys":  {tagging.GetResourcesInput{TagFilters: []types.TagFilter{{Key: aws.String("owner")}, {Key: aws.String("x")}}}, 0},
		"in small pages": {tagging.GetResourcesInput{ResourcesPerPage: aws.Int32(2)}, 6},
	} {
		var names []string
		for p := tagging.NewGetResourcesPaginator(c.tag, &tt.in); p.HasMorePages(); {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, m := range out.ResourceTagMappingList {
				names = append(names, *m.ResourceARN)
			}
		}
		if slices.Sort(names); len(names) != tt.want || len(slices.Compact(names)) != tt.want {
			t.Errorf("%s: %d resources, want %d", name, len(names), tt.want)
		}
	}
}

func TestGetResourcesRefuses(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{})
	arns := []string{taggedJob}
	for name, tt := range map[string]struct {
		in   tagging.GetResourcesInput
		code string
	}{
		"ARNs and types":      {tagging.GetResourcesInput{ResourceARNList: arns, ResourceTypeFilters: []string{"bedrock"}}, "InvalidParameterException"},
		"ARNs and tags":       {tagging.GetResourcesInput{ResourceARNList: arns, TagFilters: []types.TagFilter{{Key: aws.String("owner")}}}, "InvalidParameterException"},
		"ARNs and page size":  {tagging.GetResourcesInput{ResourceARNList: arns, ResourcesPerPage: aws.Int32(10)}, "InvalidParameterException"},
		"ARNs and tags' size": {tagging.GetResourcesInput{ResourceARNList: arns, TagsPerPage: aws.Int32(100)}, "InvalidParameterException"},
		"ARNs and a token":    {tagging.GetResourcesInput{ResourceARNList: arns, PaginationToken: aws.String("x")}, "InvalidParameterException"},
		"page size":           {tagging.GetResourcesInput{ResourcesPerPage: aws.Int32(101)}, "InvalidParameterException"},
		"a token of nobody":   {tagging.GetResourcesInput{PaginationToken: aws.String("x")}, "PaginationTokenExpiredException"},
		"101 ARNs":            {tagging.GetResourcesInput{ResourceARNList: slices.Repeat(arns, 101)}, "ValidationException"},
	} {
		_, err := c.tag.GetResources(t.Context(), &tt.in)
		wantCode(t, name, err, tt.code, 400)
	}
	c, _ = goodClients(t, Options{Rate: 0.001})
	_, _ = c.tag.GetResources(t.Context(), &tagging.GetResourcesInput{ResourceARNList: arns})
	_, err := c.tag.GetResources(t.Context(), &tagging.GetResourcesInput{ResourceARNList: arns})
	wantCode(t, "a second call at once", err, "ThrottledException", 400)
	c, _ = goodClients(t, Options{Policies: map[string][]string{goodAccount: {`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"bedrock:*","Resource":"*"}}`}}})
	_, err = c.tag.GetResources(t.Context(), &tagging.GetResourcesInput{ResourceARNList: arns})
	wantCode(t, "no permission", err, "AccessDeniedException", 400)
}
