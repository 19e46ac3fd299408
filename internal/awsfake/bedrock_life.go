package awsfake

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
)

// poll moves a job on, as time does in AWS: one that stops has stopped, one that was created here ends after
// Options.JobPolls polls. A job that the world had in progress stays so.
func (c *call) poll(job *bedrock.GetModelCustomizationJobOutput) {
	made := c.region.made[*job.JobArn]
	switch {
	case job.Status == types.ModelCustomizationJobStatusStopping:
		c.end(job, types.ModelCustomizationJobStatusStopped, types.JobStatusDetailsStopped)
	case made == nil || job.Status != types.ModelCustomizationJobStatusInProgress:
	case made.polls < c.s.options.JobPolls:
		made.polls++
	case c.s.options.JobFails != nil && c.s.options.JobFails(*job.JobName):
		job.FailureMessage = aws.String("Encountered an unexpected error when processing the request, please try again")
		c.end(job, types.ModelCustomizationJobStatusFailed, types.JobStatusDetailsFailed)
	default:
		c.complete(made)
	}
}

// end ends a job; training says how its training did.
func (c *call) end(job *bedrock.GetModelCustomizationJobOutput, status types.ModelCustomizationJobStatus, training types.JobStatusDetails) {
	job.Status, job.EndTime, job.LastModifiedTime = status, c.now(), c.now()
	job.StatusDetails = &types.StatusDetails{
		ValidationDetails:     &types.ValidationDetails{Status: types.JobStatusDetailsCompleted, CreationTime: job.CreationTime, LastModifiedTime: job.CreationTime},
		DataProcessingDetails: &types.DataProcessingDetails{Status: types.JobStatusDetailsCompleted, CreationTime: job.CreationTime, LastModifiedTime: job.CreationTime},
		TrainingDetails:       &types.TrainingDetails{Status: training, CreationTime: job.CreationTime, LastModifiedTime: job.EndTime},
	}
	c.summarize(job)
}

// summarize brings a job's summary in line with it.
func (c *call) summarize(job *bedrock.GetModelCustomizationJobOutput) {
	i := slices.Index(c.region.jobs.items, job)
	c.region.jobSummaries[i] = jobSummary(job)
}

// complete ends a job with a model.
func (c *call) complete(made *madeJob) {
	job, loss := made.job, cmp.Or(c.s.options.JobLoss, usualLoss)
	job.TrainingMetrics = &types.TrainingMetrics{TrainingLoss: &loss}
	if job.ValidationDataConfig != nil {
		for range job.ValidationDataConfig.Validators {
			job.ValidationMetrics = append(job.ValidationMetrics, types.ValidatorMetric{ValidationLoss: &loss})
		}
	}
	job.OutputModelArn = &made.modelARN
	c.end(job, types.ModelCustomizationJobStatusCompleted, types.JobStatusDetailsCompleted)
	model := &bedrock.GetCustomModelOutput{
		ModelArn: job.OutputModelArn, ModelName: job.OutputModelName, JobArn: job.JobArn, JobName: job.JobName,
		BaseModelArn: job.BaseModelArn, CustomizationType: job.CustomizationType, CustomizationConfig: job.CustomizationConfig,
		ModelKmsKeyArn: job.OutputModelKmsKeyArn, HyperParameters: job.HyperParameters,
		TrainingDataConfig: job.TrainingDataConfig, ValidationDataConfig: job.ValidationDataConfig, OutputDataConfig: job.OutputDataConfig,
		TrainingMetrics: job.TrainingMetrics, ValidationMetrics: job.ValidationMetrics,
		CreationTime: job.EndTime, ModelStatus: types.ModelStatusActive,
	}
	c.region.models.add(model, made.modelARN, *model.ModelName)
	c.region.modelSummaries = append(c.region.modelSummaries, modelSummary(model))
	c.region.tags[made.modelARN] = slices.Clone(made.request.CustomModelTags)
}

func stoppedJobARN(c *call, in *bedrock.StopModelCustomizationJobInput) string {
	return jobARN(c, &bedrock.GetModelCustomizationJobInput{JobIdentifier: in.JobIdentifier})
}

// stopJob lets a job stop; the next poll finds it Stopped. To stop it twice is no error.
func stopJob(c *call, in *bedrock.StopModelCustomizationJobInput) (*bedrock.StopModelCustomizationJobOutput, error) {
	job, err := c.job(in.JobIdentifier)
	if err != nil {
		return nil, err
	}
	switch job.Status {
	case types.ModelCustomizationJobStatusInProgress:
		job.Status, job.LastModifiedTime = types.ModelCustomizationJobStatusStopping, c.now()
		c.summarize(job)
	case types.ModelCustomizationJobStatusStopping:
	default:
		return nil, conflict("The job %s is %s and can no longer be stopped.", aws.ToString(job.JobName), job.Status)
	}
	return &bedrock.StopModelCustomizationJobOutput{}, nil
}

func deletedModelARN(c *call, in *bedrock.DeleteCustomModelInput) string {
	return modelARN(c, &bedrock.GetCustomModelInput{ModelIdentifier: in.ModelIdentifier})
}

// deleteModel deletes a model that nothing serves. The job that made it stays as it is.
func deleteModel(c *call, in *bedrock.DeleteCustomModelInput) (*bedrock.DeleteCustomModelOutput, error) {
	model, err := c.model(in.ModelIdentifier)
	if err != nil {
		return nil, err
	}
	arn := *model.ModelArn
	for _, d := range c.region.deployments {
		if aws.ToString(d.ModelArn) == arn {
			return nil, conflict("The model %s is used by the deployment %s.", arn, aws.ToString(d.CustomModelDeploymentArn))
		}
	}
	for _, t := range c.region.throughputs {
		if aws.ToString(t.ModelArn) == arn || aws.ToString(t.DesiredModelArn) == arn {
			return nil, conflict("The model %s is used by the provisioned throughput %s.", arn, aws.ToString(t.ProvisionedModelArn))
		}
	}
	i := slices.Index(c.region.models.items, model)
	c.region.modelSummaries = slices.Delete(c.region.modelSummaries, i, i+1)
	drop(&c.region.models, model)
	delete(c.region.tags, arn)
	return &bedrock.DeleteCustomModelOutput{}, nil
}
