package awsfake

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// usualLoss is the loss of created jobs if Options do not say.
const usualLoss = 0.5

// madeJob is a job that was created here. Its model does not exist before the job is Completed.
type madeJob struct {
	request  bedrock.CreateModelCustomizationJobInput
	job      *bedrock.GetModelCustomizationJobOutput
	modelARN string
	polls    int // that found it InProgress
}

// now is the time as AWS says it, in milliseconds.
func (c *call) now() *time.Time {
	return aws.Time(c.s.options.Now().UTC().Truncate(time.Millisecond))
}

// base finds the foundation model below identifier, that of a custom model if it means one.
func (c *call) base(identifier *string) (string, error) {
	id := aws.ToString(identifier)
	if v, ok := c.region.foundations.find(id); ok {
		return aws.ToString(v.ModelArn), nil
	}
	if v, ok := c.region.models.find(id); ok {
		return aws.ToString(v.BaseModelArn), nil
	}
	if strings.Contains(id, ":custom-model/") {
		return "", missing("The provided model identifier cannot be found.")
	}
	return "", unknownModel()
}

// identified is the ARN of a custom or foundation model, as policies are asked about it.
func (c *call) identified(identifier *string) string {
	id := aws.ToString(identifier)
	if v, ok := c.region.models.find(id); ok {
		return aws.ToString(v.ModelArn)
	}
	return foundationARN(c, &bedrock.GetFoundationModelInput{ModelIdentifier: identifier})
}

// nextARN is the ARN of the next job or custom model with this base, counted over the server's jobs.
func (c *call) nextARN(kind, base string) string {
	_, id, _ := strings.Cut(base, "/")
	return c.arn("bedrock", fmt.Sprintf("%s/%s/%c%011d", kind, id, kind[0], c.s.jobs+1))
}

// createJobNeeds: tags are put on a job and a model that do not exist yet, under the ARNs that they will have.
// Source: Service Authorization Reference, Amazon Bedrock; IAM User Guide, "Grant a user permissions to pass a
// role to an AWS service".
func createJobNeeds(c *call, in *bedrock.CreateModelCustomizationJobInput) []need {
	needs := []need{
		{"bedrock:CreateModelCustomizationJob", c.identified(in.BaseModelIdentifier)},
		{"iam:PassRole", aws.ToString(in.RoleArn)},
	}
	base, _ := c.base(in.BaseModelIdentifier) // an unknown one is refused later
	if len(in.JobTags) > 0 {
		needs = append(needs, need{"bedrock:TagResource", c.nextARN("model-customization-job", base)})
	}
	if len(in.CustomModelTags) > 0 {
		needs = append(needs, need{"bedrock:TagResource", c.nextARN("custom-model", base)})
	}
	return needs
}

func createJob(c *call, in *bedrock.CreateModelCustomizationJobInput) (*bedrock.CreateModelCustomizationJobOutput, error) {
	if made := c.region.tokens[aws.ToString(in.ClientRequestToken)]; made != nil {
		if !reflect.DeepEqual(made.request, *in) {
			return nil, conflict("The clientRequestToken was used before with other parameters.")
		}
		return &bedrock.CreateModelCustomizationJobOutput{JobArn: made.job.JobArn}, nil
	}
	job, err := c.newJob(in)
	if err != nil {
		return nil, err
	}
	made := &madeJob{request: *in, job: job, modelARN: c.nextARN("custom-model", *job.BaseModelArn)}
	c.s.jobs++
	arn := *job.JobArn
	c.region.jobs.add(job, arn, *job.JobName)
	c.region.jobSummaries = append(c.region.jobSummaries, jobSummary(job))
	c.region.tags[arn] = slices.Clone(in.JobTags)
	c.region.made[arn] = made
	if in.ClientRequestToken != nil {
		c.region.tokens[*in.ClientRequestToken] = made
	}
	return &bedrock.CreateModelCustomizationJobOutput{JobArn: job.JobArn}, nil
}

// newJob makes the record of a job, if it may be created.
func (c *call) newJob(in *bedrock.CreateModelCustomizationJobInput) (*bedrock.GetModelCustomizationJobOutput, error) {
	if err := fewTags(in.JobTags, in.CustomModelTags); err != nil {
		return nil, err
	}
	base, err := c.base(in.BaseModelIdentifier)
	if err != nil {
		return nil, err
	}
	if err := c.free(in); err != nil {
		return nil, err
	}
	if err := c.placed(in.VpcConfig); err != nil {
		return nil, err
	}
	at := c.now()
	job := &bedrock.GetModelCustomizationJobOutput{
		JobArn: aws.String(c.nextARN("model-customization-job", base)), JobName: in.JobName, OutputModelName: in.CustomModelName,
		BaseModelArn: &base, RoleArn: in.RoleArn, ClientRequestToken: in.ClientRequestToken,
		CustomizationType: in.CustomizationType, CustomizationConfig: in.CustomizationConfig, HyperParameters: in.HyperParameters,
		TrainingDataConfig: in.TrainingDataConfig, ValidationDataConfig: in.ValidationDataConfig, OutputDataConfig: in.OutputDataConfig,
		VpcConfig: in.VpcConfig, CreationTime: at, LastModifiedTime: at,
		Status: types.ModelCustomizationJobStatusInProgress, ValidationMetrics: []types.ValidatorMetric{},
	}
	if job.CustomizationType == "" {
		job.CustomizationType = types.CustomizationTypeFineTuning
	}
	if in.CustomModelKmsKeyId != nil {
		if job.OutputModelKmsKeyArn, err = c.usableKey(in.CustomModelKmsKeyId); err != nil {
			return nil, err
		}
	}
	return job, nil
}

// free refuses names that are taken. A job's name is spent for good; a model's is free again once the job that
// wanted it has ended without a model, or the model is deleted.
func (c *call) free(in *bedrock.CreateModelCustomizationJobInput) error {
	if _, taken := c.region.jobs.find(*in.JobName); taken {
		return conflict("The provided job name is currently in use: %s", *in.JobName)
	}
	_, taken := c.region.models.find(*in.CustomModelName)
	running := 0
	for _, job := range c.region.jobs.items {
		if job.Status == types.ModelCustomizationJobStatusInProgress || job.Status == types.ModelCustomizationJobStatusStopping {
			running++
			taken = taken || aws.ToString(job.OutputModelName) == *in.CustomModelName
		}
	}
	if taken {
		return conflict("The provided custom model name is currently in use: %s", *in.CustomModelName)
	}
	if running >= c.region.jobQuota {
		return cloister.Errorf("ServiceQuotaExceededException", "The number of scheduled customization jobs exceeds the quota of %d.", c.region.jobQuota)
	}
	return nil
}

// placed refuses subnets and groups that are not there.
func (c *call) placed(v *types.VpcConfig) error {
	if v == nil {
		return nil
	}
	for _, id := range v.SubnetIds {
		if _, ok := c.region.subnets.find(id); !ok {
			return cloister.Errorf("ValidationException", "The subnet ID '%s' does not exist", id)
		}
	}
	for _, id := range v.SecurityGroupIds {
		if _, ok := c.region.securityGroups.find(id); !ok {
			return cloister.Errorf("ValidationException", "The security group '%s' does not exist", id)
		}
	}
	return nil
}

// usableKey is the ARN of a key that can encrypt.
func (c *call) usableKey(id *string) (*string, error) {
	k := c.key(id)
	if k == nil {
		return nil, cloister.Errorf("ValidationException", "The KMS key %s does not exist.", *id)
	}
	if k.metadata.KeyState != "" && k.metadata.KeyState != kmstypes.KeyStateEnabled {
		return nil, cloister.Errorf("ValidationException", "The KMS key %s is %s.", aws.ToString(k.metadata.Arn), k.metadata.KeyState)
	}
	return k.metadata.Arn, nil
}

func conflict(format string, args ...any) error {
	return cloister.Errorf("ConflictException", format, args...)
}
