package collect

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister/internal/posture"
)

// pageSize is what is asked for of a page; the service may give fewer.
const pageSize = 1000

func (g *region) listJobs(ctx context.Context) posture.List[*posture.Job] {
	in := &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListModelCustomizationJobs", "", g.bedrock.ListModelCustomizationJobs, in,
		func(in *bedrock.ListModelCustomizationJobsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListModelCustomizationJobsOutput, page *posture.Source) ([]*posture.Job, *string, error) {
			var t taker
			var jobs []*posture.Job
			for _, s := range out.ModelCustomizationJobSummaries {
				jobs = append(jobs, &posture.Job{
					ARN: t.str("jobArn", s.JobArn), Name: t.str("jobName", s.JobName), Created: t.time("creationTime", s.CreationTime),
					Status: enum(&t, "status", s.Status, s.Status.Values()), Found: page,
				})
			}
			return jobs, out.NextToken, t.err
		})
}

func (g *region) job(ctx context.Context, arn string) posture.Datum[*posture.JobDetail] {
	in := &bedrock.GetModelCustomizationJobInput{JobIdentifier: &arn}
	return datum(call(ctx, g, "bedrock:GetModelCustomizationJob", arn, g.bedrock.GetModelCustomizationJob, in), func(out *bedrock.GetModelCustomizationJobOutput) (*posture.JobDetail, error) {
		d, err := takeJob(out)
		err = cmp.Or(err, other(arn, d.ARN))
		d.ARN = arn // which the listing holds already
		g.words.job(d)
		return d, err
	})
}

func takeJob(out *bedrock.GetModelCustomizationJobOutput) (*posture.JobDetail, error) {
	var t taker
	d := &posture.JobDetail{
		ARN: t.str("jobArn", out.JobArn), Name: t.str("jobName", out.JobName), Role: t.str("roleArn", out.RoleArn),
		Base: t.str("baseModelArn", out.BaseModelArn), Status: enum(&t, "status", out.Status, out.Status.Values()),
		CustomizationType: string(out.CustomizationType), ModelName: aws.ToString(out.OutputModelName),
		Model: aws.ToString(out.OutputModelArn), Key: aws.ToString(out.OutputModelKmsKeyArn),
		Created: t.time("creationTime", out.CreationTime), Modified: optional(out.LastModifiedTime), Ended: optional(out.EndTime),
	}
	if out.OutputDataConfig == nil {
		t.fail("the answer lacks outputDataConfig")
	} else {
		d.Output = t.str("outputDataConfig.s3Uri", out.OutputDataConfig.S3Uri)
	}
	if out.TrainingDataConfig == nil {
		t.fail("the answer lacks trainingDataConfig")
	} else {
		d.Training = aws.ToString(out.TrainingDataConfig.S3Uri)
		if logs := out.TrainingDataConfig.InvocationLogsConfig; logs != nil {
			d.InvocationLogs = true
			if s3, ok := logs.InvocationLogSource.(*types.InvocationLogSourceMemberS3Uri); ok {
				d.LogsURI = s3.Value
			} else {
				t.fail("trainingDataConfig.invocationLogsConfig.invocationLogSource is of a kind that is not known")
			}
		}
	}
	if v := out.ValidationDataConfig; v != nil {
		for _, one := range v.Validators {
			d.Validation = append(d.Validation, t.str("validationDataConfig.validators[].s3Uri", one.S3Uri))
		}
	}
	switch c := out.CustomizationConfig.(type) {
	case *types.CustomizationConfigMemberDistillationConfig:
		if c.Value.TeacherModelConfig != nil {
			d.Teacher = aws.ToString(c.Value.TeacherModelConfig.TeacherModelIdentifier)
		}
	case *types.UnknownUnionMember:
		t.fail("customizationConfig is of a kind that is not known: %s", c.Tag)
	default: // none, or one without other models
	}
	d.Subnets, d.Groups, d.HasVPC, d.VPC = takeVPC(out.VpcConfig)
	return d, t.err
}

func takeVPC(v *types.VpcConfig) (subnets, groups []string, has bool, evidence any) {
	if v == nil {
		return nil, nil, false, nil
	}
	return v.SubnetIds, v.SecurityGroupIds, len(v.SubnetIds) > 0, map[string]any{"subnetIds": v.SubnetIds, "securityGroupIds": v.SecurityGroupIds}
}

func (g *region) listModels(ctx context.Context) posture.List[*posture.Model] {
	in := &bedrock.ListCustomModelsInput{IsOwned: aws.Bool(true), MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListCustomModels", "", g.bedrock.ListCustomModels, in,
		func(in *bedrock.ListCustomModelsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListCustomModelsOutput, page *posture.Source) ([]*posture.Model, *string, error) {
			var t taker
			var models []*posture.Model
			for _, s := range out.ModelSummaries {
				models = append(models, &posture.Model{
					ARN: t.str("modelArn", s.ModelArn), Name: t.str("modelName", s.ModelName), Created: t.time("creationTime", s.CreationTime), Found: page,
				})
			}
			return models, out.NextToken, t.err
		})
}

func (g *region) model(ctx context.Context, arn string) posture.Datum[*posture.ModelDetail] {
	in := &bedrock.GetCustomModelInput{ModelIdentifier: &arn}
	return datum(call(ctx, g, "bedrock:GetCustomModel", arn, g.bedrock.GetCustomModel, in),
		func(out *bedrock.GetCustomModelOutput) (*posture.ModelDetail, error) {
			var t taker
			return &posture.ModelDetail{
				ARN: t.str("modelArn", out.ModelArn), Name: t.str("modelName", out.ModelName), Job: aws.ToString(out.JobArn),
				Base: aws.ToString(out.BaseModelArn), Key: aws.ToString(out.ModelKmsKeyArn), Created: t.time("creationTime", out.CreationTime),
				Status: maybe(&t, "modelStatus", out.ModelStatus, out.ModelStatus.Values()),
			}, cmp.Or(t.err, other(arn, aws.ToString(out.ModelArn)))
		})
}

func (g *region) listDeployments(ctx context.Context) posture.List[*posture.Serving] {
	in := &bedrock.ListCustomModelDeploymentsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListCustomModelDeployments", "", g.bedrock.ListCustomModelDeployments, in,
		func(in *bedrock.ListCustomModelDeploymentsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListCustomModelDeploymentsOutput, page *posture.Source) ([]*posture.Serving, *string, error) {
			var t taker
			var found []*posture.Serving
			for _, s := range out.ModelDeploymentSummaries {
				found = append(found, &posture.Serving{
					ARN: t.str("customModelDeploymentArn", s.CustomModelDeploymentArn), Name: t.str("customModelDeploymentName", s.CustomModelDeploymentName),
					Model: t.str("modelArn", s.ModelArn), Status: enum(&t, "status", s.Status, s.Status.Values()), Kind: "deployment", Found: page,
				})
			}
			return found, out.NextToken, t.err
		})
}

func (g *region) listThroughputs(ctx context.Context) posture.List[*posture.Serving] {
	in := &bedrock.ListProvisionedModelThroughputsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListProvisionedModelThroughputs", "", g.bedrock.ListProvisionedModelThroughputs, in,
		func(in *bedrock.ListProvisionedModelThroughputsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListProvisionedModelThroughputsOutput, page *posture.Source) ([]*posture.Serving, *string, error) {
			var t taker
			var found []*posture.Serving
			for _, s := range out.ProvisionedModelSummaries {
				found = append(found, &posture.Serving{
					ARN: t.str("provisionedModelArn", s.ProvisionedModelArn), Name: t.str("provisionedModelName", s.ProvisionedModelName),
					Model: t.str("modelArn", s.ModelArn), Desired: aws.ToString(s.DesiredModelArn),
					Status: enum(&t, "status", s.Status, s.Status.Values()), Kind: "throughput", Found: page,
				})
			}
			return found, out.NextToken, t.err
		})
}

func (g *region) listImportJobs(ctx context.Context) posture.List[*posture.ImportJob] {
	in := &bedrock.ListModelImportJobsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListModelImportJobs", "", g.bedrock.ListModelImportJobs, in,
		func(in *bedrock.ListModelImportJobsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListModelImportJobsOutput, page *posture.Source) ([]*posture.ImportJob, *string, error) {
			var t taker
			var found []*posture.ImportJob
			for _, s := range out.ModelImportJobSummaries {
				found = append(found, &posture.ImportJob{
					ARN: t.str("jobArn", s.JobArn), Name: t.str("jobName", s.JobName), Status: enum(&t, "status", s.Status, s.Status.Values()), Found: page,
				})
			}
			return found, out.NextToken, t.err
		})
}

func (g *region) importJob(ctx context.Context, arn string) posture.Datum[*posture.ImportJobDetail] {
	in := &bedrock.GetModelImportJobInput{JobIdentifier: &arn}
	return datum(call(ctx, g, "bedrock:GetModelImportJob", arn, g.bedrock.GetModelImportJob, in),
		func(out *bedrock.GetModelImportJobOutput) (*posture.ImportJobDetail, error) {
			var t taker
			d := &posture.ImportJobDetail{
				ARN: t.str("jobArn", out.JobArn), Name: t.str("jobName", out.JobName), Status: enum(&t, "status", out.Status, out.Status.Values()),
				Model: aws.ToString(out.ImportedModelArn), Key: aws.ToString(out.ImportedModelKmsKeyArn),
				Created: t.time("creationTime", out.CreationTime), Ended: optional(out.EndTime),
			}
			d.Subnets, d.Groups, d.HasVPC, d.VPC = takeVPC(out.VpcConfig)
			switch source := out.ModelDataSource.(type) {
			case *types.ModelDataSourceMemberS3DataSource:
				d.Source = t.str("modelDataSource.s3DataSource.s3Uri", source.Value.S3Uri)
			case nil:
				t.fail("the answer lacks modelDataSource")
			default:
				t.fail("modelDataSource is of a kind that is not known")
			}
			return d, cmp.Or(t.err, other(arn, d.ARN))
		})
}

func (g *region) listImportedModels(ctx context.Context) posture.List[*posture.ImportedModel] {
	in := &bedrock.ListImportedModelsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListImportedModels", "", g.bedrock.ListImportedModels, in,
		func(in *bedrock.ListImportedModelsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListImportedModelsOutput, page *posture.Source) ([]*posture.ImportedModel, *string, error) {
			var t taker
			var found []*posture.ImportedModel
			for _, s := range out.ModelSummaries {
				found = append(found, &posture.ImportedModel{ARN: t.str("modelArn", s.ModelArn), Name: t.str("modelName", s.ModelName), Found: page})
			}
			return found, out.NextToken, t.err
		})
}

func (g *region) importedModel(ctx context.Context, arn string) posture.Datum[*posture.ImportedDetail] {
	in := &bedrock.GetImportedModelInput{ModelIdentifier: &arn}
	return datum(call(ctx, g, "bedrock:GetImportedModel", arn, g.bedrock.GetImportedModel, in),
		func(out *bedrock.GetImportedModelOutput) (*posture.ImportedDetail, error) {
			var t taker
			return &posture.ImportedDetail{
				ARN: t.str("modelArn", out.ModelArn), Name: t.str("modelName", out.ModelName), Key: aws.ToString(out.ModelKmsKeyArn),
				Job: aws.ToString(out.JobArn), Created: optional(out.CreationTime),
			}, cmp.Or(t.err, other(arn, aws.ToString(out.ModelArn)))
		})
}

func (g *region) listCopies(ctx context.Context) posture.List[*posture.Copy] {
	in := &bedrock.ListModelCopyJobsInput{MaxResults: aws.Int32(pageSize)}
	return list(ctx, g, "bedrock:ListModelCopyJobs", "", g.bedrock.ListModelCopyJobs, in,
		func(in *bedrock.ListModelCopyJobsInput, token *string) { in.NextToken = token },
		func(out *bedrock.ListModelCopyJobsOutput, page *posture.Source) ([]*posture.Copy, *string, error) {
			var t taker
			var found []*posture.Copy
			for _, s := range out.ModelCopyJobSummaries {
				one := &posture.Copy{
					ARN: t.str("jobArn", s.JobArn), Name: aws.ToString(s.TargetModelName), Status: enum(&t, "status", s.Status, s.Status.Values()),
					SourceAccount: t.str("sourceAccountId", s.SourceAccountId), Source: t.str("sourceModelArn", s.SourceModelArn),
					Target: t.str("targetModelArn", s.TargetModelArn), TargetKey: aws.ToString(s.TargetModelKmsKeyArn), Found: page,
				}
				if one.Name == "" {
					one.Name = one.Target[strings.LastIndexByte(one.Target, '/')+1:]
				}
				found = append(found, one)
			}
			return found, out.NextToken, t.err
		})
}

func (g *region) logging(ctx context.Context) posture.Datum[*posture.Logging] {
	in := &bedrock.GetModelInvocationLoggingConfigurationInput{}
	return datum(call(ctx, g, "bedrock:GetModelInvocationLoggingConfiguration", "", g.bedrock.GetModelInvocationLoggingConfiguration, in),
		func(out *bedrock.GetModelInvocationLoggingConfigurationOutput) (*posture.Logging, error) {
			c := out.LoggingConfig
			if c == nil || c.CloudWatchConfig == nil && c.S3Config == nil {
				return nil, nil //nolint:nilnil // nothing is configured
			}
			var t taker
			l := &posture.Logging{Text: aws.ToBool(c.TextDataDeliveryEnabled)}
			if s := c.S3Config; s != nil {
				l.Bucket, l.Prefix = t.str("loggingConfig.s3Config.bucketName", s.BucketName), aws.ToString(s.KeyPrefix)
			}
			if w := c.CloudWatchConfig; w != nil {
				l.LogGroup = t.str("loggingConfig.cloudWatchConfig.logGroupName", w.LogGroupName)
				if w.LargeDataDeliveryS3Config != nil {
					l.LargeBucket = aws.ToString(w.LargeDataDeliveryS3Config.BucketName)
				}
			}
			return l, t.err
		})
}

// readBases reads the base models that jobs and models name.
func (g *region) readBases(ctx context.Context) {
	bases := map[string]bool{}
	for _, j := range g.inv.Jobs.Items {
		if d, ok := j.Detail.Read(); ok {
			bases[d.Base], bases[d.Teacher] = true, true
		}
	}
	for _, m := range g.inv.Models.Items {
		if d, ok := m.Detail.Read(); ok {
			bases[d.Base] = true
		}
	}
	each(slices.Sorted(maps.Keys(bases)), func(base string) {
		if !strings.Contains(base, ":foundation-model/") {
			return
		}
		in := &bedrock.GetFoundationModelInput{ModelIdentifier: &base}
		d := datum(call(ctx, g, "bedrock:GetFoundationModel", base, g.bedrock.GetFoundationModel, in),
			func(out *bedrock.GetFoundationModelOutput) (*posture.FoundationModel, error) {
				var t taker
				m := out.ModelDetails
				if m == nil || m.ModelLifecycle == nil {
					t.fail("the answer lacks modelDetails.modelLifecycle")
					return nil, t.err
				}
				return &posture.FoundationModel{
					ARN: t.str("modelDetails.modelArn", m.ModelArn), ID: t.str("modelDetails.modelId", m.ModelId),
					Lifecycle: enum(&t, "modelDetails.modelLifecycle.status", m.ModelLifecycle.Status, m.ModelLifecycle.Status.Values()),
				}, t.err
			})
		d = absent(d, nil, "ResourceNotFoundException")
		g.mu.Lock()
		defer g.mu.Unlock()
		g.inv.Bases[base] = d
	})
}
