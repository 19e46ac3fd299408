package collect

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"

	"example.com/cloister/internal/posture"
)

// mostARNs is how many resources one GetResources may name.
// Source: Resource Groups Tagging API Reference, GetResources.
const mostARNs = 100

// tagged is what is known of the tags of some resources, by ARN.
type tagged = map[string]posture.Datum[map[string]string]

// readTags reads the tags of the region's jobs and models: by the hundred from the index of the Resource Groups Tagging API, and
// from Bedrock itself where that says nothing.
//
// The index stands beside Bedrock and names only what has, or had, tags; an emulator's may not know Bedrock at all: its silence
// is no evidence. Its errors are final: no refusal is got round.
func (g *region) readTags(ctx context.Context) {
	var arns []string // in the order of the listings: it is that of the next replay
	for _, j := range g.inv.Jobs.Items {
		arns = append(arns, j.ARN)
	}
	for _, m := range g.inv.Models.Items {
		arns = append(arns, m.ARN)
	}
	arns = distinct(arns)
	found := g.indexed(ctx, arns)
	var mu sync.Mutex // guards found
	silent := slices.DeleteFunc(slices.Clone(arns), func(arn string) bool { return found[arn].Collected() })
	each(silent, func(arn string) {
		tags := g.tags(ctx, arn)
		mu.Lock()
		defer mu.Unlock()
		found[arn] = tags
	})
	for _, j := range g.inv.Jobs.Items {
		j.Tags = found[j.ARN]
	}
	for _, m := range g.inv.Models.Items {
		m.Tags = found[m.ARN]
	}
}

// distinct are the items without those that were there before, in their order.
func distinct(items []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(items, func(item string) bool {
		twice := seen[item]
		seen[item] = true
		return twice
	})
}

// indexed asks the index for resources. What it does not name, or names without tags, is not in the result.
func (g *region) indexed(ctx context.Context, arns []string) tagged {
	found := tagged{}
	if g.noIndex {
		return found
	}
	var mu sync.Mutex // guards found
	each(slices.Collect(slices.Chunk(arns, mostARNs)), func(asked []string) {
		if len(asked) == 1 { // Bedrock's own answer costs as much, and is newer
			return
		}
		in := &tagging.GetResourcesInput{ResourceARNList: asked}
		d := datum(call(ctx, g, "tag:GetResources", "", g.tag.GetResources, in), func(out *tagging.GetResourcesOutput) (map[string]map[string]string, error) {
			return takeTags(out, asked)
		})
		mu.Lock()
		defer mu.Unlock()
		if why := d.Why(); why != nil {
			for _, arn := range asked {
				found[arn] = posture.Missing[map[string]string](why)
			}
			return
		}
		byARN, _ := d.Read() // none if the index is not served
		for arn, tags := range byARN {
			if len(tags) > 0 {
				found[arn] = posture.Known(g.words.same(tags), d.Source())
			}
		}
	})
	return found
}

// takeTags takes each resource's tags out of an answer about the asked ones. A PaginationToken says nothing: a list of ARNs
// cannot be paged, the tags of one resource are not split across pages, and what is left out is asked of Bedrock.
func takeTags(out *tagging.GetResourcesOutput, asked []string) (map[string]map[string]string, error) {
	var t taker
	found := map[string]map[string]string{}
	for _, m := range out.ResourceTagMappingList {
		arn := t.str("ResourceTagMappingList[].ResourceARN", m.ResourceARN)
		if t.err == nil && !slices.Contains(asked, arn) {
			t.err = other("", arn)
		}
		if found[arn] != nil {
			t.fail("the answer names %s twice", arn)
		}
		found[arn] = map[string]string{}
		for _, tag := range m.Tags {
			found[arn][t.str("ResourceTagMappingList[].Tags[].Key", tag.Key)] = aws.ToString(tag.Value)
		}
	}
	return found, t.err
}

// tags asks Bedrock itself for the tags of one resource.
func (g *region) tags(ctx context.Context, arn string) posture.Datum[map[string]string] {
	in := &bedrock.ListTagsForResourceInput{ResourceARN: &arn}
	return datum(call(ctx, g, "bedrock:ListTagsForResource", arn, g.bedrock.ListTagsForResource, in),
		func(out *bedrock.ListTagsForResourceOutput) (map[string]string, error) {
			tags := map[string]string{}
			for _, tag := range out.Tags {
				tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
			return g.words.same(tags), nil
		})
}

// withoutIndex says that there is no index beside the Bedrock that is asked: AWS's knows nothing of what is at another's
// endpoint, and it has no FIPS endpoint.
// Source: endpoints.json of botocore 1.43.11, service "tagging".
func (a *account) withoutIndex() bool {
	o := tagging.NewFromConfig(a.cfg).Options()
	if a.base("tag", o.BaseEndpoint) != nil {
		return false
	}
	return a.foreign != "" || o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled
}
