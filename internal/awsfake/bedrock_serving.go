package awsfake

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister"
)

// deployment finds a deployment by its ARN or name.
func (c *call) deployment(identifier *string) (*types.CustomModelDeploymentSummary, error) {
	id := aws.ToString(identifier)
	i := slices.IndexFunc(c.region.deployments, func(d types.CustomModelDeploymentSummary) bool {
		return id == aws.ToString(d.CustomModelDeploymentArn) || id == aws.ToString(d.CustomModelDeploymentName)
	})
	if i < 0 {
		return nil, missing("The provided custom model deployment identifier cannot be found.")
	}
	return &c.region.deployments[i], nil
}

func (c *call) deploymentARN(identifier *string) string {
	if d, err := c.deployment(identifier); err == nil {
		return aws.ToString(d.CustomModelDeploymentArn)
	}
	return aws.ToString(identifier)
}

func deploymentARN(c *call, in *bedrock.GetCustomModelDeploymentInput) string {
	return c.deploymentARN(in.CustomModelDeploymentIdentifier)
}

func getDeployment(c *call, in *bedrock.GetCustomModelDeploymentInput) (*bedrock.GetCustomModelDeploymentOutput, error) {
	d, err := c.deployment(in.CustomModelDeploymentIdentifier)
	if err != nil {
		return nil, err
	}
	return &bedrock.GetCustomModelDeploymentOutput{
		CustomModelDeploymentArn: d.CustomModelDeploymentArn, ModelDeploymentName: d.CustomModelDeploymentName,
		ModelArn: d.ModelArn, CreatedAt: d.CreatedAt, LastUpdatedAt: d.LastUpdatedAt, Status: d.Status,
		FailureMessage: d.FailureMessage, UpdateDetails: c.region.updates[*d.CustomModelDeploymentArn],
	}, nil
}

// updateDeploymentNeeds asks about the deployment and the model that it is to serve.
// Source: Service Authorization Reference, Amazon Bedrock.
func updateDeploymentNeeds(c *call, in *bedrock.UpdateCustomModelDeploymentInput) []need {
	const action = "bedrock:UpdateCustomModelDeployment"
	return []need{{action, c.deploymentARN(in.CustomModelDeploymentIdentifier)}, {action, aws.ToString(in.ModelArn)}}
}

// updateDeployment switches a deployment to another model at once.
func updateDeployment(c *call, in *bedrock.UpdateCustomModelDeploymentInput) (*bedrock.UpdateCustomModelDeploymentOutput, error) {
	d, err := c.deployment(in.CustomModelDeploymentIdentifier)
	if err != nil {
		return nil, err
	}
	model, err := c.active(in.ModelArn)
	if err != nil {
		return nil, err
	}
	d.ModelArn, d.LastUpdatedAt, d.Status = model.ModelArn, c.now(), types.CustomModelDeploymentStatusActive
	c.region.updates[*d.CustomModelDeploymentArn] = &types.CustomModelDeploymentUpdateDetails{
		ModelArn: model.ModelArn, UpdateStatus: types.CustomModelDeploymentUpdateStatusUpdateCompleted,
	}
	return &bedrock.UpdateCustomModelDeploymentOutput{CustomModelDeploymentArn: d.CustomModelDeploymentArn}, nil
}

// active finds a custom model that can be served.
func (c *call) active(identifier *string) (*bedrock.GetCustomModelOutput, error) {
	model, err := c.model(identifier)
	if err == nil && model.ModelStatus != "" && model.ModelStatus != types.ModelStatusActive {
		return nil, cloister.Errorf("ValidationException", "The model %s is %s.", aws.ToString(model.ModelArn), model.ModelStatus)
	}
	return model, err
}

// throughput finds a provisioned throughput by its ARN or name.
func (c *call) throughput(identifier *string) (*types.ProvisionedModelSummary, error) {
	id := aws.ToString(identifier)
	i := slices.IndexFunc(c.region.throughputs, func(t types.ProvisionedModelSummary) bool {
		return id == aws.ToString(t.ProvisionedModelArn) || id == aws.ToString(t.ProvisionedModelName)
	})
	if i < 0 {
		return nil, missing("The provided provisioned model identifier cannot be found.")
	}
	return &c.region.throughputs[i], nil
}

func (c *call) throughputARN(identifier *string) string {
	if t, err := c.throughput(identifier); err == nil {
		return aws.ToString(t.ProvisionedModelArn)
	}
	return aws.ToString(identifier)
}

func throughputARN(c *call, in *bedrock.GetProvisionedModelThroughputInput) string {
	return c.throughputARN(in.ProvisionedModelId)
}

func getThroughput(c *call, in *bedrock.GetProvisionedModelThroughputInput) (*bedrock.GetProvisionedModelThroughputOutput, error) {
	t, err := c.throughput(in.ProvisionedModelId)
	if err != nil {
		return nil, err
	}
	return &bedrock.GetProvisionedModelThroughputOutput{
		ProvisionedModelArn: t.ProvisionedModelArn, ProvisionedModelName: t.ProvisionedModelName, Status: t.Status,
		ModelArn: t.ModelArn, DesiredModelArn: t.DesiredModelArn, FoundationModelArn: t.FoundationModelArn,
		ModelUnits: t.ModelUnits, DesiredModelUnits: t.DesiredModelUnits,
		CreationTime: t.CreationTime, LastModifiedTime: t.LastModifiedTime,
		CommitmentDuration: t.CommitmentDuration, CommitmentExpirationTime: t.CommitmentExpirationTime,
	}, nil
}

// updateThroughputNeeds asks about the throughput and the model that it is to serve, if it changes.
// Source: Service Authorization Reference, Amazon Bedrock.
func updateThroughputNeeds(c *call, in *bedrock.UpdateProvisionedModelThroughputInput) []need {
	const action = "bedrock:UpdateProvisionedModelThroughput"
	needs := []need{{action, c.throughputARN(in.ProvisionedModelId)}}
	if in.DesiredModelId != nil {
		needs = append(needs, need{action, c.identified(in.DesiredModelId)})
	}
	return needs
}

// updateThroughput renames a throughput or moves it to another model of the same base, at once.
func updateThroughput(c *call, in *bedrock.UpdateProvisionedModelThroughputInput) (*bedrock.UpdateProvisionedModelThroughputOutput, error) {
	t, err := c.throughput(in.ProvisionedModelId)
	if err != nil {
		return nil, err
	}
	desired := t.ModelArn
	if in.DesiredModelId != nil {
		if desired, err = c.desired(t, in.DesiredModelId); err != nil {
			return nil, err
		}
	}
	if name := in.DesiredProvisionedModelName; name != nil {
		if other, err := c.throughput(name); err == nil && other != t {
			return nil, cloister.Errorf("ValidationException", "The provided provisioned model name is currently in use: %s", *name)
		}
		t.ProvisionedModelName = name
	}
	t.ModelArn, t.DesiredModelArn, t.LastModifiedTime = desired, desired, c.now()
	t.Status = types.ProvisionedModelStatusInService
	return &bedrock.UpdateProvisionedModelThroughputOutput{}, nil
}

// desired is the model that a throughput may move to: its base, or a custom model of the same base.
func (c *call) desired(t *types.ProvisionedModelSummary, identifier *string) (*string, error) {
	base := aws.ToString(t.FoundationModelArn)
	if base == "" {
		base, _ = c.base(t.ModelArn)
	}
	if v, ok := c.region.foundations.find(*identifier); ok && aws.ToString(v.ModelArn) == base {
		return v.ModelArn, nil
	}
	model, err := c.active(identifier)
	if err != nil {
		return nil, err
	}
	if aws.ToString(model.BaseModelArn) != base {
		return nil, cloister.Errorf("ValidationException", "The desired model must have the same base model as the provisioned throughput, %s.", base)
	}
	return model.ModelArn, nil
}
