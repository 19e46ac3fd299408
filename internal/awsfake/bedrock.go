package awsfake

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
)

// usualPage is how many items a listing of Bedrock has if the request does not say.
const usualPage = 100

// unknownModel is Bedrock's answer for a foundation model that it does not have.
func unknownModel() error {
	return cloister.Errorf("ValidationException", "The provided model identifier is invalid.")
}

// The tests of Bedrock's listings. A test that the request does not ask for is nil.

func named[T any](part *string, name func(T) *string) func(T) bool {
	if part == nil {
		return nil
	}
	return func(v T) bool { return strings.Contains(aws.ToString(name(v)), *part) }
}

func same[T any, S ~string](want S, got func(T) S) func(T) bool {
	if want == "" {
		return nil
	}
	return func(v T) bool { return got(v) == want }
}

func equal[T any](want *string, got func(T) *string) func(T) bool {
	if want == nil {
		return nil
	}
	return func(v T) bool { return aws.ToString(got(v)) == *want }
}

func since[T any](after, before *time.Time, at func(T) *time.Time) func(T) bool {
	if after == nil && before == nil {
		return nil
	}
	return func(v T) bool {
		t := aws.ToTime(at(v))
		return (after == nil || t.After(*after)) && (before == nil || t.Before(*before))
	}
}

func listJobs(c *call, in *bedrock.ListModelCustomizationJobsInput) (*bedrock.ListModelCustomizationJobsOutput, error) {
	type item = types.ModelCustomizationJobSummary
	all := keep(c.region.jobSummaries,
		named(in.NameContains, func(v item) *string { return v.JobName }),
		same(types.ModelCustomizationJobStatus(in.StatusEquals), func(v item) types.ModelCustomizationJobStatus { return v.Status }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListModelCustomizationJobsOutput{ModelCustomizationJobSummaries: items, NextToken: next}, nil
}

// found is the ARN of a record, or what the request says if there is no such record.
func found[T any](x *index[T], identifier *string, arn func(T) *string) string {
	if v, ok := x.find(aws.ToString(identifier)); ok {
		return aws.ToString(arn(v))
	}
	return aws.ToString(identifier)
}

func jobARN(c *call, in *bedrock.GetModelCustomizationJobInput) string {
	return found(&c.region.jobs, in.JobIdentifier, func(v *bedrock.GetModelCustomizationJobOutput) *string { return v.JobArn })
}

func getJob(c *call, in *bedrock.GetModelCustomizationJobInput) (*bedrock.GetModelCustomizationJobOutput, error) {
	v, err := c.job(in.JobIdentifier)
	if err == nil && c.s.options.Writable {
		c.poll(v)
	}
	return v, err
}

func (c *call) job(identifier *string) (*bedrock.GetModelCustomizationJobOutput, error) {
	if v, ok := c.region.jobs.find(aws.ToString(identifier)); ok {
		return v, nil
	}
	return nil, missing("The provided model customization job identifier cannot be found.")
}

func listModels(c *call, in *bedrock.ListCustomModelsInput) (*bedrock.ListCustomModelsOutput, error) {
	type item = types.CustomModelSummary
	var owned func(item) bool
	if in.IsOwned != nil {
		owned = func(v item) bool { return (aws.ToString(v.OwnerAccountId) == c.Account) == *in.IsOwned }
	}
	all := keep(c.region.modelSummaries, owned,
		named(in.NameContains, func(v item) *string { return v.ModelName }),
		equal(in.BaseModelArnEquals, func(v item) *string { return v.BaseModelArn }),
		same(in.ModelStatus, func(v item) types.ModelStatus { return v.ModelStatus }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListCustomModelsOutput{ModelSummaries: items, NextToken: next}, nil
}

func modelARN(c *call, in *bedrock.GetCustomModelInput) string {
	return found(&c.region.models, in.ModelIdentifier, func(v *bedrock.GetCustomModelOutput) *string { return v.ModelArn })
}

func getModel(c *call, in *bedrock.GetCustomModelInput) (*bedrock.GetCustomModelOutput, error) {
	return c.model(in.ModelIdentifier)
}

func (c *call) model(identifier *string) (*bedrock.GetCustomModelOutput, error) {
	if v, ok := c.region.models.find(aws.ToString(identifier)); ok {
		return v, nil
	}
	return nil, missing("The provided model identifier cannot be found.")
}

func listDeployments(c *call, in *bedrock.ListCustomModelDeploymentsInput) (*bedrock.ListCustomModelDeploymentsOutput, error) {
	type item = types.CustomModelDeploymentSummary
	all := keep(c.region.deployments,
		named(in.NameContains, func(v item) *string { return v.CustomModelDeploymentName }),
		equal(in.ModelArnEquals, func(v item) *string { return v.ModelArn }),
		same(in.StatusEquals, func(v item) types.CustomModelDeploymentStatus { return v.Status }),
		since(in.CreatedAfter, in.CreatedBefore, func(v item) *time.Time { return v.CreatedAt }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListCustomModelDeploymentsOutput{ModelDeploymentSummaries: items, NextToken: next}, nil
}

func listThroughputs(c *call, in *bedrock.ListProvisionedModelThroughputsInput) (*bedrock.ListProvisionedModelThroughputsOutput, error) {
	type item = types.ProvisionedModelSummary
	all := keep(c.region.throughputs,
		named(in.NameContains, func(v item) *string { return v.ProvisionedModelName }),
		equal(in.ModelArnEquals, func(v item) *string { return v.ModelArn }),
		same(in.StatusEquals, func(v item) types.ProvisionedModelStatus { return v.Status }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListProvisionedModelThroughputsOutput{ProvisionedModelSummaries: items, NextToken: next}, nil
}

func listImports(c *call, in *bedrock.ListModelImportJobsInput) (*bedrock.ListModelImportJobsOutput, error) {
	type item = types.ModelImportJobSummary
	all := keep(c.region.importSummaries,
		named(in.NameContains, func(v item) *string { return v.JobName }),
		same(in.StatusEquals, func(v item) types.ModelImportJobStatus { return v.Status }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListModelImportJobsOutput{ModelImportJobSummaries: items, NextToken: next}, nil
}

func importARN(c *call, in *bedrock.GetModelImportJobInput) string {
	return found(&c.region.imports, in.JobIdentifier, func(v *bedrock.GetModelImportJobOutput) *string { return v.JobArn })
}

func getImport(c *call, in *bedrock.GetModelImportJobInput) (*bedrock.GetModelImportJobOutput, error) {
	if v, ok := c.region.imports.find(aws.ToString(in.JobIdentifier)); ok {
		return v, nil
	}
	return nil, missing("The provided model import job identifier cannot be found.")
}

func listImported(c *call, in *bedrock.ListImportedModelsInput) (*bedrock.ListImportedModelsOutput, error) {
	type item = types.ImportedModelSummary
	all := keep(c.region.importedModels,
		named(in.NameContains, func(v item) *string { return v.ModelName }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListImportedModelsOutput{ModelSummaries: items, NextToken: next}, nil
}

func importedARN(c *call, in *bedrock.GetImportedModelInput) string {
	return found(&c.region.imported, in.ModelIdentifier, func(v *bedrock.GetImportedModelOutput) *string { return v.ModelArn })
}

func getImported(c *call, in *bedrock.GetImportedModelInput) (*bedrock.GetImportedModelOutput, error) {
	if v, ok := c.region.imported.find(aws.ToString(in.ModelIdentifier)); ok {
		return v, nil
	}
	return nil, missing("The provided imported model identifier cannot be found.")
}

func listCopies(c *call, in *bedrock.ListModelCopyJobsInput) (*bedrock.ListModelCopyJobsOutput, error) {
	type item = types.ModelCopyJobSummary
	all := keep(c.region.copies,
		named(in.TargetModelNameContains, func(v item) *string { return v.TargetModelName }),
		equal(in.SourceAccountEquals, func(v item) *string { return v.SourceAccountId }),
		equal(in.SourceModelArnEquals, func(v item) *string { return v.SourceModelArn }),
		same(in.StatusEquals, func(v item) types.ModelCopyJobStatus { return v.Status }),
		since(in.CreationTimeAfter, in.CreationTimeBefore, func(v item) *time.Time { return v.CreationTime }))
	items, next := page(c, all, in.MaxResults, usualPage)
	return &bedrock.ListModelCopyJobsOutput{ModelCopyJobSummaries: items, NextToken: next}, nil
}

func foundationARN(c *call, in *bedrock.GetFoundationModelInput) string {
	arn := found(&c.region.foundations, in.ModelIdentifier, func(v *types.FoundationModelDetails) *string { return v.ModelArn })
	if strings.HasPrefix(arn, "arn:") {
		return arn
	}
	return "arn:" + c.s.world.partition + ":bedrock:" + c.Region + "::foundation-model/" + arn
}

func getFoundation(c *call, in *bedrock.GetFoundationModelInput) (*bedrock.GetFoundationModelOutput, error) {
	if v, ok := c.region.foundations.find(aws.ToString(in.ModelIdentifier)); ok {
		return &bedrock.GetFoundationModelOutput{ModelDetails: v}, nil
	}
	return nil, unknownModel()
}

func getLogging(c *call, _ *bedrock.GetModelInvocationLoggingConfigurationInput) (*bedrock.GetModelInvocationLoggingConfigurationOutput, error) {
	return &bedrock.GetModelInvocationLoggingConfigurationOutput{LoggingConfig: c.region.logging}, nil
}

func taggedARN(_ *call, in *bedrock.ListTagsForResourceInput) string {
	return aws.ToString(in.ResourceARN)
}

func listTags(c *call, in *bedrock.ListTagsForResourceInput) (*bedrock.ListTagsForResourceOutput, error) {
	if tags, ok := c.region.tags[aws.ToString(in.ResourceARN)]; ok {
		return &bedrock.ListTagsForResourceOutput{Tags: tags}, nil
	}
	return nil, missing("The provided resource ARN cannot be found.")
}
