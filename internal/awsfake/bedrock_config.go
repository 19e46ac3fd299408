package awsfake

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"example.com/cloister"
)

// mostTags is how many tags a resource has at most.
// Source: Bedrock User Guide, "Tagging Amazon Bedrock resources".
const mostTags = 50

// fewTags refuses sets of tags of which one is too large, or has a key twice.
func fewTags(sets ...[]types.Tag) error {
	for _, tags := range sets {
		keys := map[string]bool{}
		for _, t := range tags {
			key := aws.ToString(t.Key)
			if keys[key] {
				return cloister.Errorf("ValidationException", "The tag key %s is there twice.", key)
			}
			if keys[key] = true; strings.HasPrefix(key, "aws:") {
				return cloister.Errorf("ValidationException", "Tag keys that begin with aws: are reserved: %s", key)
			}
		}
		if len(tags) > mostTags {
			return cloister.Errorf("TooManyTagsException", "A resource has at most %d tags.", mostTags)
		}
	}
	return nil
}

func newlyTaggedARN(_ *call, in *bedrock.TagResourceInput) string {
	return aws.ToString(in.ResourceARN)
}

func tagResource(c *call, in *bedrock.TagResourceInput) (*bedrock.TagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	have, ok := c.region.tags[arn]
	if !ok {
		return nil, missing("The provided resource ARN cannot be found.")
	}
	if err := fewTags(in.Tags); err != nil {
		return nil, err
	}
	all := slices.Clone(have)
	for _, t := range in.Tags {
		i := slices.IndexFunc(all, func(h types.Tag) bool { return *h.Key == *t.Key })
		if i < 0 {
			all = append(all, t)
			continue
		}
		all[i] = t
	}
	if err := fewTags(all); err != nil {
		return nil, err
	}
	c.region.tags[arn] = all
	return &bedrock.TagResourceOutput{}, nil
}

func untaggedARN(_ *call, in *bedrock.UntagResourceInput) string { return aws.ToString(in.ResourceARN) }

// untagResource takes away tags; those that are not there are no error.
func untagResource(c *call, in *bedrock.UntagResourceInput) (*bedrock.UntagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if _, ok := c.region.tags[arn]; !ok {
		return nil, missing("The provided resource ARN cannot be found.")
	}
	c.region.tags[arn] = slices.DeleteFunc(c.region.tags[arn], func(t types.Tag) bool { return slices.Contains(in.TagKeys, *t.Key) })
	return &bedrock.UntagResourceOutput{}, nil
}

// putLoggingNeeds: the role that writes to CloudWatch Logs is passed to Bedrock.
func putLoggingNeeds(_ *call, in *bedrock.PutModelInvocationLoggingConfigurationInput) []need {
	needs := []need{{"bedrock:PutModelInvocationLoggingConfiguration", "*"}}
	if w := in.LoggingConfig.CloudWatchConfig; w != nil && w.RoleArn != nil {
		needs = append(needs, need{"iam:PassRole", *w.RoleArn})
	}
	return needs
}

// putLogging sets the logging of a region, if the places that it writes to are there.
func putLogging(c *call, in *bedrock.PutModelInvocationLoggingConfigurationInput) (*bedrock.PutModelInvocationLoggingConfigurationOutput, error) {
	config := in.LoggingConfig
	buckets := []*types.S3Config{config.S3Config}
	if w := config.CloudWatchConfig; w != nil {
		buckets = append(buckets, w.LargeDataDeliveryS3Config)
		if !slices.ContainsFunc(c.region.logGroups, func(g logstypes.LogGroup) bool { return aws.ToString(g.LogGroupName) == *w.LogGroupName }) {
			return nil, cloister.Errorf("ValidationException", "Failed to validate permissions for log group: %s, with role: %s. Verify the IAM role permissions are correct.",
				*w.LogGroupName, *w.RoleArn)
		}
	}
	for _, b := range buckets {
		if b != nil && c.s.world.buckets[*b.BucketName] == nil {
			return nil, cloister.Errorf("ValidationException", "Failed to validate permissions for bucket: %s. Verify the bucket policy is correct.", *b.BucketName)
		}
	}
	c.region.logging = config
	return &bedrock.PutModelInvocationLoggingConfigurationOutput{}, nil
}

func deleteLogging(c *call, _ *bedrock.DeleteModelInvocationLoggingConfigurationInput) (*bedrock.DeleteModelInvocationLoggingConfigurationOutput, error) {
	c.region.logging = nil
	return &bedrock.DeleteModelInvocationLoggingConfigurationOutput{}, nil
}
