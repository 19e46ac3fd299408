package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"

	"example.com/cloister/internal/wire"
)

// Bedrock is what serves the model-customization operations of Amazon Bedrock: the methods of the SDK's *bedrock.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: Amazon Bedrock API Reference.
type Bedrock interface {
	CreateModelCustomizationJob(ctx context.Context, in *bedrock.CreateModelCustomizationJobInput, opts ...func(*bedrock.Options)) (*bedrock.CreateModelCustomizationJobOutput, error)
	GetModelCustomizationJob(ctx context.Context, in *bedrock.GetModelCustomizationJobInput, opts ...func(*bedrock.Options)) (*bedrock.GetModelCustomizationJobOutput, error)
	ListModelCustomizationJobs(ctx context.Context, in *bedrock.ListModelCustomizationJobsInput, opts ...func(*bedrock.Options)) (*bedrock.ListModelCustomizationJobsOutput, error)
	StopModelCustomizationJob(ctx context.Context, in *bedrock.StopModelCustomizationJobInput, opts ...func(*bedrock.Options)) (*bedrock.StopModelCustomizationJobOutput, error)
	GetCustomModel(ctx context.Context, in *bedrock.GetCustomModelInput, opts ...func(*bedrock.Options)) (*bedrock.GetCustomModelOutput, error)
	ListCustomModels(ctx context.Context, in *bedrock.ListCustomModelsInput, opts ...func(*bedrock.Options)) (*bedrock.ListCustomModelsOutput, error)
	DeleteCustomModel(ctx context.Context, in *bedrock.DeleteCustomModelInput, opts ...func(*bedrock.Options)) (*bedrock.DeleteCustomModelOutput, error)
	GetFoundationModel(ctx context.Context, in *bedrock.GetFoundationModelInput, opts ...func(*bedrock.Options)) (*bedrock.GetFoundationModelOutput, error)
	ListFoundationModels(ctx context.Context, in *bedrock.ListFoundationModelsInput, opts ...func(*bedrock.Options)) (*bedrock.ListFoundationModelsOutput, error)
	TagResource(ctx context.Context, in *bedrock.TagResourceInput, opts ...func(*bedrock.Options)) (*bedrock.TagResourceOutput, error)
	UntagResource(ctx context.Context, in *bedrock.UntagResourceInput, opts ...func(*bedrock.Options)) (*bedrock.UntagResourceOutput, error)
	ListTagsForResource(ctx context.Context, in *bedrock.ListTagsForResourceInput, opts ...func(*bedrock.Options)) (*bedrock.ListTagsForResourceOutput, error)
}

var _ Bedrock = (*bedrock.Client)(nil)

// bedrockOperations is the table of operations that are served of Bedrock.
func bedrockOperations(svc Bedrock) []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateModelCustomizationJob", svc.CreateModelCustomizationJob),
		wire.Op("GetModelCustomizationJob", svc.GetModelCustomizationJob),
		wire.Op("ListModelCustomizationJobs", svc.ListModelCustomizationJobs),
		wire.Op("StopModelCustomizationJob", svc.StopModelCustomizationJob),
		wire.Op("GetCustomModel", svc.GetCustomModel),
		wire.Op("ListCustomModels", svc.ListCustomModels),
		wire.Op("DeleteCustomModel", svc.DeleteCustomModel),
		wire.Op("GetFoundationModel", svc.GetFoundationModel),
		wire.Op("ListFoundationModels", svc.ListFoundationModels),
		wire.Op("TagResource", svc.TagResource),
		wire.Op("UntagResource", svc.UntagResource),
		wire.Op("ListTagsForResource", svc.ListTagsForResource),
	}
}
