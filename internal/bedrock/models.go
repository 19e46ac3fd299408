package bedrock

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsbedrock "github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
)

// GetCustomModel describes a custom model, found by name or ARN.
func (s *Service) GetCustomModel(ctx context.Context, in *awsbedrock.GetCustomModelInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.GetCustomModelOutput, error) {
	model, err := s.findModel(ctx, "GetCustomModel", aws.ToString(in.ModelIdentifier))
	if err != nil {
		return nil, err
	}
	job, err := s.Store.JobByID(ctx, model.JobID)
	if err != nil {
		return nil, err
	}
	out := &awsbedrock.GetCustomModelOutput{
		ModelArn: aws.String(model.ARN), ModelName: aws.String(model.Name), JobArn: aws.String(model.JobARN), JobName: aws.String(model.JobName),
		BaseModelArn: aws.String(s.askedARN(model.Region, model.AskedBase)), CustomizationType: types.CustomizationType(model.Type),
		CreationTime: aws.Time(model.Created), HyperParameters: job.HyperParameters, ModelStatus: types.ModelStatusActive,
		TrainingDataConfig:   &types.TrainingDataConfig{S3Uri: aws.String(job.TrainingURI)},
		OutputDataConfig:     &types.OutputDataConfig{S3Uri: aws.String(job.OutputURI)},
		ValidationDataConfig: validationConfig(job),
	}
	out.TrainingMetrics, out.ValidationMetrics = metrics(job)
	if model.KeyARN != "" {
		out.ModelKmsKeyArn = aws.String(model.KeyARN)
	}
	return out, nil
}

// ListCustomModels lists custom models, newest first unless asked otherwise. All are the account's own.
func (s *Service) ListCustomModels(ctx context.Context, in *awsbedrock.ListCustomModelsInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.ListCustomModelsOutput, error) {
	if err := s.authorize(ctx, "ListCustomModels", "*"); err != nil {
		return nil, err
	}
	region := cloister.CallFrom(ctx).Region
	q := JobQuery{
		Account: s.Account, Region: region, After: aws.ToTime(in.CreationTimeAfter), Before: aws.ToTime(in.CreationTimeBefore),
		NameContains: aws.ToString(in.NameContains), Ascending: in.SortOrder == types.SortOrderAscending,
	}
	out := &awsbedrock.ListCustomModelsOutput{ModelSummaries: []types.CustomModelSummary{}}
	for _, filter := range []*string{in.BaseModelArnEquals, in.FoundationModelArnEquals} {
		if filter == nil {
			continue
		}
		id := "none" // an ARN that no model of the region has: nothing matches
		if arn, err := cloister.ParseARN(*filter); err == nil && arn.Region == region {
			if kind, rest := arn.Type(); kind == "foundation-model" {
				id = rest
				if _, ok := s.Aliases[id]; ok {
					id = s.fullForm(id)
				}
			}
		}
		if q.Foundation != "" && q.Foundation != id {
			id = "none"
		}
		q.Foundation = id
	}
	limit, err := paging(&q, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	owned := in.IsOwned == nil || *in.IsOwned
	active := in.ModelStatus == "" || in.ModelStatus == types.ModelStatusActive
	if !owned || !active {
		return out, nil
	}
	models, err := s.Store.Models(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(models) > limit {
		models = models[:limit]
		last := models[limit-1]
		out.NextToken = nextToken(q, last.Created, last.ARN)
	}
	for _, model := range models {
		out.ModelSummaries = append(out.ModelSummaries, types.CustomModelSummary{
			ModelArn: aws.String(model.ARN), ModelName: aws.String(model.Name), CreationTime: aws.Time(model.Created),
			BaseModelArn: aws.String(s.askedARN(model.Region, model.AskedBase)), BaseModelName: aws.String(s.baseName(model.UsedBase)),
			CustomizationType: types.CustomizationType(model.Type), OwnerAccountId: aws.String(string(s.Account)), ModelStatus: types.ModelStatusActive,
		})
	}
	return out, nil
}

// baseName is the name of an installed base model, or "" if it is gone; the real service sends "" too.
func (s *Service) baseName(id string) string {
	manifest, err := s.Bases.Get(id)
	if err != nil {
		return ""
	}
	return manifest.Name
}

// DeleteCustomModel destroys a model: its data key first, then its blobs, then its record; its grant is
// retired. After a crash the next start finishes what was begun.
func (s *Service) DeleteCustomModel(ctx context.Context, in *awsbedrock.DeleteCustomModelInput, _ ...func(*awsbedrock.Options)) (*awsbedrock.DeleteCustomModelOutput, error) {
	model, err := s.findModel(ctx, "DeleteCustomModel", aws.ToString(in.ModelIdentifier))
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // a client that goes away does not leave half a model
	if err := s.Store.BeginDelete(ctx, model.ARN); err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, cloister.Errorf("ResourceNotFoundException", "The provided model identifier could not be found: %s", aws.ToString(in.ModelIdentifier))
		}
		return nil, err
	}
	return &awsbedrock.DeleteCustomModelOutput{}, s.destroy(ctx, model)
}

// destroy finishes a deletion whose key is already destroyed.
func (s *Service) destroy(ctx context.Context, model Model) error {
	if err := s.dropBlobs(ctx, model.ARN); err != nil {
		return err
	}
	if err := s.tryRetire(ctx, model.Region, model.KeyARN, model.GrantID); err != nil {
		return err
	}
	return s.Store.FinishDelete(ctx, model.ARN)
}

// dropBlobs deletes the sealed files of a model and forgets them.
func (s *Service) dropBlobs(ctx context.Context, modelARN string) error {
	artifacts, err := s.Store.Artifacts(ctx, modelARN)
	if err != nil {
		return err
	}
	for _, a := range artifacts {
		if err := s.Blobs.Delete(ctx, a.Blob); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
	}
	return s.Store.DropArtifacts(ctx, modelARN)
}
