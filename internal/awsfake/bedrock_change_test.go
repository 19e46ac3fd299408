package awsfake

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
)

func TestTags(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{Writable: true})
	ctx := t.Context()
	tag := func(key, value string) types.Tag { return types.Tag{Key: aws.String(key), Value: aws.String(value)} }
	for _, arn := range []string{created(t, c, request("tagged")), goodModel} {
		before, err := c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: &arn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.bedrock.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: &arn, Tags: []types.Tag{tag("owner", "sre"), tag("new", "")}}); err != nil {
			t.Fatal(err)
		}
		now, err := c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: &arn})
		if err != nil || len(now.Tags) != len(before.Tags)+1 {
			t.Errorf("%s: tags = %v, %v", arn, now.Tags, err)
		}
		for _, got := range now.Tags {
			if *got.Key == "owner" && *got.Value != "sre" {
				t.Errorf("%s: owner = %s", arn, *got.Value)
			}
		}
		if _, err := c.bedrock.UntagResource(ctx, &bedrock.UntagResourceInput{ResourceARN: &arn, TagKeys: []string{"new", "owner", "none"}}); err != nil {
			t.Fatal(err)
		}
		if now, err = c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: &arn}); err != nil || len(now.Tags) != len(before.Tags)-1 {
			t.Errorf("%s: tags left = %v, %v", arn, now.Tags, err)
		}
	}
	other := aws.String("arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/000000000000")
	_, err := c.bedrock.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: other, Tags: []types.Tag{tag("a", "b")}})
	wantCode(t, "tag", err, "ResourceNotFoundException", 404)
	_, err = c.bedrock.UntagResource(ctx, &bedrock.UntagResourceInput{ResourceARN: other, TagKeys: []string{"a"}})
	wantCode(t, "untag", err, "ResourceNotFoundException", 404)
	_, err = c.bedrock.TagResource(ctx, &bedrock.TagResourceInput{ResourceARN: aws.String(goodModel), Tags: []types.Tag{tag("a", "b"), tag("a", "c")}})
	wantCode(t, "a key twice", err, "ValidationException", 400)
}

func TestDeployments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c, s := goodClients(t, Options{Writable: true, Now: func() time.Time { return now }})
	ctx, before := t.Context(), home(s).deployments[0]
	get := func(id string) *bedrock.GetCustomModelDeploymentOutput {
		t.Helper()
		out, err := c.bedrock.GetCustomModelDeployment(ctx, &bedrock.GetCustomModelDeploymentInput{CustomModelDeploymentIdentifier: &id})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := &bedrock.GetCustomModelDeploymentOutput{
		CustomModelDeploymentArn: before.CustomModelDeploymentArn, ModelDeploymentName: aws.String("support"), ModelArn: aws.String(goodModel),
		CreatedAt: before.CreatedAt, LastUpdatedAt: before.LastUpdatedAt, Status: types.CustomModelDeploymentStatusActive,
	}
	wantSame(t, "before", want, get("support"), nil)
	update := func(id, model string) error {
		_, err := c.bedrock.UpdateCustomModelDeployment(ctx, &bedrock.UpdateCustomModelDeploymentInput{CustomModelDeploymentIdentifier: &id, ModelArn: &model})
		return err
	}
	drop := func(model string) error {
		_, err := c.bedrock.DeleteCustomModel(ctx, &bedrock.DeleteCustomModelInput{ModelIdentifier: &model})
		return err
	}
	wantCode(t, "a model in use", drop(goodModel), "ConflictException", 400)
	if err := update(*before.CustomModelDeploymentArn, otherModel); err != nil {
		t.Fatal(err)
	}
	want.ModelArn, want.LastUpdatedAt = aws.String(otherModel), &now
	want.UpdateDetails = &types.CustomModelDeploymentUpdateDetails{ModelArn: aws.String(otherModel), UpdateStatus: types.CustomModelDeploymentUpdateStatusUpdateCompleted}
	wantSame(t, "after", want, get(*before.CustomModelDeploymentArn), nil)
	list, err := c.bedrock.ListCustomModelDeployments(ctx, &bedrock.ListCustomModelDeploymentsInput{ModelArnEquals: aws.String(otherModel)})
	if err != nil || len(list.ModelDeploymentSummaries) != 2 {
		t.Errorf("deployments of the new model = %+v, %v, want 2", list, err)
	}
	if err := drop("support-2026-11"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a deleted model", drop(goodModel), "ResourceNotFoundException", 404)
	models, err := c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{})
	if err != nil || len(models.ModelSummaries) != 1 || *models.ModelSummaries[0].ModelArn != otherModel {
		t.Errorf("models = %+v, %v", models, err)
	}
	_, err = c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: aws.String(goodModel)})
	wantCode(t, "its tags", err, "ResourceNotFoundException", 404)
	wantCode(t, "to a deleted model", update("support", goodModel), "ResourceNotFoundException", 404)
	wantCode(t, "unknown deployment", update("none", otherModel), "ResourceNotFoundException", 404)
}

func TestThroughputs(t *testing.T) {
	t.Parallel()
	const arn, foreign = "arn:aws:bedrock:us-east-1:111122223333:provisioned-model/p1p2p3p4p5p6", "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.titan-text-lite-v1:0:4k/aaaaaaaaaaaa"
	const at = "2026-11-01T00:00:00Z"
	throughput := func(name, arn string) map[string]any {
		return map[string]any{
			"provisionedModelArn": arn, "provisionedModelName": name, "modelArn": goodModel, "desiredModelArn": goodModel, "foundationModelArn": goodBase,
			"modelUnits": 1, "desiredModelUnits": 1, "status": "InService", "creationTime": at, "lastModifiedTime": at,
		}
	}
	c, _ := goodClients(t, Options{Writable: true},
		Patch{Path: here + "/throughputs/-", Set: throughput("busy", arn)},
		Patch{Path: here + "/throughputs/-", Set: throughput("taken", arn[:len(arn)-1]+"7")},
		Patch{Path: here + "/models/-", Set: map[string]any{"modelArn": foreign, "modelName": "foreign", "creationTime": at, "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k"}})
	ctx := t.Context()
	update := func(in bedrock.UpdateProvisionedModelThroughputInput) error {
		if in.ProvisionedModelId == nil {
			in.ProvisionedModelId = aws.String(arn)
		}
		_, err := c.bedrock.UpdateProvisionedModelThroughput(ctx, &in)
		return err
	}
	for _, tt := range []struct{ id, want string }{{"triage-2026-10", otherModel}, {goodModel, goodModel}, {goodBase, goodBase}, {otherModel, otherModel}} {
		if err := update(bedrock.UpdateProvisionedModelThroughputInput{DesiredModelId: &tt.id}); err != nil {
			t.Errorf("to %s: %v", tt.id, err)
		}
		out, err := c.bedrock.GetProvisionedModelThroughput(ctx, &bedrock.GetProvisionedModelThroughputInput{ProvisionedModelId: aws.String("busy")})
		if err != nil || *out.ModelArn != tt.want || *out.DesiredModelArn != tt.want || *out.FoundationModelArn != goodBase || out.Status != types.ProvisionedModelStatusInService {
			t.Errorf("to %s: %+v, %v", tt.id, out, err)
		}
	}
	_, err := c.bedrock.DeleteCustomModel(ctx, &bedrock.DeleteCustomModelInput{ModelIdentifier: aws.String(otherModel)})
	wantCode(t, "a model in use", err, "ConflictException", 400)
	wantCode(t, "another base", update(bedrock.UpdateProvisionedModelThroughputInput{DesiredModelId: aws.String(foreign)}), "ValidationException", 400)
	wantCode(t, "unknown model", update(bedrock.UpdateProvisionedModelThroughputInput{DesiredModelId: aws.String("none")}), "ResourceNotFoundException", 404)
	wantCode(t, "a name that is taken", update(bedrock.UpdateProvisionedModelThroughputInput{DesiredProvisionedModelName: aws.String("taken")}), "ValidationException", 400)
	wantCode(t, "unknown throughput", update(bedrock.UpdateProvisionedModelThroughputInput{ProvisionedModelId: aws.String("none")}), "ResourceNotFoundException", 404)
	if err := update(bedrock.UpdateProvisionedModelThroughputInput{DesiredProvisionedModelName: aws.String("renamed")}); err != nil {
		t.Fatal(err)
	}
	list, err := c.bedrock.ListProvisionedModelThroughputs(ctx, &bedrock.ListProvisionedModelThroughputsInput{NameContains: aws.String("renamed")})
	if err != nil || len(list.ProvisionedModelSummaries) != 1 || *list.ProvisionedModelSummaries[0].ModelArn != otherModel {
		t.Errorf("throughputs = %+v, %v", list, err)
	}
}

func TestInvocationLogging(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{Writable: true})
	ctx, before := t.Context(), home(s).logging
	get := func() *types.LoggingConfig {
		t.Helper()
		out, err := c.bedrock.GetModelInvocationLoggingConfiguration(ctx, &bedrock.GetModelInvocationLoggingConfigurationInput{})
		if err != nil {
			t.Fatal(err)
		}
		return out.LoggingConfig
	}
	if _, err := c.bedrock.DeleteModelInvocationLoggingConfiguration(ctx, nil); err != nil || get() != nil {
		t.Errorf("deleted: %v, %+v", err, get())
	}
	put := func(config *types.LoggingConfig) error {
		_, err := c.bedrock.PutModelInvocationLoggingConfiguration(ctx, &bedrock.PutModelInvocationLoggingConfigurationInput{LoggingConfig: config})
		return err
	}
	if err := put(before); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "put back", before, get(), nil)
	wantCode(t, "bucket", put(&types.LoggingConfig{S3Config: &types.S3Config{BucketName: aws.String("nobody-has-this")}}), "ValidationException", 400)
	wantCode(t, "log group", put(&types.LoggingConfig{CloudWatchConfig: &types.CloudWatchConfig{LogGroupName: aws.String("none"), RoleArn: aws.String(goodRole)}}), "ValidationException", 400)
}
