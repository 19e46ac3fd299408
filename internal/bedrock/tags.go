package bedrock

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
)

// TagResource sets tags of a job or custom model.
func (s *Service) TagResource(ctx context.Context, in *awsbedrock.TagResourceInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.TagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.tagged(ctx, "TagResource", arn); err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	err = s.Store.ChangeTags(ctx, arn, tags, nil, maxTags)
	if errors.Is(err, ErrTags) {
		return nil, tooManyTags()
	}
	return &awsbedrock.TagResourceOutput{}, err
}

// UntagResource removes tags; keys that are not there are no error.
func (s *Service) UntagResource(ctx context.Context, in *awsbedrock.UntagResourceInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.UntagResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.tagged(ctx, "UntagResource", arn); err != nil {
		return nil, err
	}
	return &awsbedrock.UntagResourceOutput{}, s.Store.ChangeTags(ctx, arn, nil, in.TagKeys, maxTags)
}

// ListTagsForResource lists tags in order of key.
func (s *Service) ListTagsForResource(ctx context.Context, in *awsbedrock.ListTagsForResourceInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.ListTagsForResourceOutput, error) {
	arn := aws.ToString(in.ResourceARN)
	if err := s.tagged(ctx, "ListTagsForResource", arn); err != nil {
		return nil, err
	}
	tags, err := s.Store.Tags(ctx, arn)
	if err != nil {
		return nil, err
	}
	out := &awsbedrock.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return out, nil
}

// tagged authorizes an action on a taggable resource and makes sure that it exists.
func (s *Service) tagged(ctx context.Context, action, arn string) error {
	if err := s.authorize(ctx, action, arn); err != nil {
		return err
	}
	region := cloister.CallFrom(ctx).Region
	if err := s.foreign(region, action, arn); err != nil {
		return err
	}
	var err error
	switch {
	case jobARNPattern.MatchString(arn):
		_, err = s.lookUpJob(ctx, region, arn)
	case modelARNPattern.MatchString(arn):
		_, err = s.Store.Model(ctx, s.Account, region, arn)
	case strings.HasPrefix(arn, "arn:"):
		err = ErrNotFound
	default:
		return cloister.Errorf("ValidationException", "The provided resource ARN is invalid: %s", arn)
	}
	if errors.Is(err, ErrNotFound) {
		return cloister.Errorf("ResourceNotFoundException", "The provided resource ARN could not be found: %s", arn)
	}
	return err
}
