package awsfake

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
)

const (
	goodKey    = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
	goodRole   = "arn:aws:iam::111122223333:role/bedrock-customization"
	goodModel  = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/w4vtut9aq95n"
	otherModel = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/k7c2m9x4b1za"
	goodBase   = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"
)

// request is what makes the job of the good world again.
func request(name string) *bedrock.CreateModelCustomizationJobInput {
	return &bedrock.CreateModelCustomizationJobInput{
		JobName: aws.String(name), CustomModelName: aws.String(name), RoleArn: aws.String(goodRole),
		BaseModelIdentifier: aws.String("amazon.nova-micro-v1:0:128k"), CustomModelKmsKeyId: aws.String("alias/bedrock-models"),
		HyperParameters:      map[string]string{"epochCount": "2"},
		TrainingDataConfig:   &types.TrainingDataConfig{S3Uri: aws.String("s3://acme-train/support/train.jsonl")},
		ValidationDataConfig: &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://acme-validation/support/validation.jsonl")}}},
		OutputDataConfig:     &types.OutputDataConfig{S3Uri: aws.String("s3://acme-output/support/")},
		VpcConfig:            &types.VpcConfig{SubnetIds: []string{"subnet-0a1f2e3d4c5b6a798"}, SecurityGroupIds: []string{"sg-0c3d4e5f6a7b8c9d0"}},
		JobTags:              []types.Tag{{Key: aws.String("owner"), Value: aws.String("ml")}},
		CustomModelTags:      []types.Tag{{Key: aws.String("owner"), Value: aws.String("model")}},
		ClientRequestToken:   aws.String("token-" + name),
	}
}

// created creates a job and returns its ARN.
func created(t *testing.T, c clients, in *bedrock.CreateModelCustomizationJobInput) string {
	t.Helper()
	out, err := c.bedrock.CreateModelCustomizationJob(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.JobArn
}

func polled(t *testing.T, c clients, job string) *bedrock.GetModelCustomizationJobOutput {
	t.Helper()
	out, err := c.bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: &job})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestJobCompletes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c, s := goodClients(t, Options{Writable: true, JobPolls: 2, JobLoss: 0.75, Now: func() time.Time { return now }})
	ctx, arn := t.Context(), created(t, c, request("again"))
	if want := "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/m00000000001"; arn != want {
		t.Errorf("job = %s, want %s", arn, want)
	}
	running := &bedrock.GetModelCustomizationJobOutput{
		JobArn: &arn, JobName: aws.String("again"), OutputModelName: aws.String("again"), RoleArn: aws.String(goodRole),
		BaseModelArn: aws.String(goodBase), CreationTime: &now, LastModifiedTime: &now, ClientRequestToken: aws.String("token-again"),
		Status: types.ModelCustomizationJobStatusInProgress, CustomizationType: types.CustomizationTypeFineTuning,
		HyperParameters: map[string]string{"epochCount": "2"}, OutputModelKmsKeyArn: aws.String(goodKey),
		TrainingDataConfig: request("").TrainingDataConfig, ValidationDataConfig: request("").ValidationDataConfig,
		OutputDataConfig: request("").OutputDataConfig, VpcConfig: request("").VpcConfig,
	}
	for range 2 {
		wantSame(t, "while it runs", running, polled(t, c, "again"), nil)
	}
	list, err := c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{StatusEquals: types.FineTuningJobStatusInProgress})
	wantSame(t, "the listing", []types.ModelCustomizationJobSummary{jobSummary(running)}, list.ModelCustomizationJobSummaries, err)
	now = now.Add(time.Hour)
	done := polled(t, c, arn)
	if done.Status != types.ModelCustomizationJobStatusCompleted || !done.EndTime.Equal(now) || done.OutputModelArn == nil ||
		*done.TrainingMetrics.TrainingLoss != 0.75 || len(done.ValidationMetrics) != 1 || *done.ValidationMetrics[0].ValidationLoss != 0.75 {
		t.Fatalf("the job = %+v", done)
	}
	wantSame(t, "polled again", done, polled(t, c, arn), nil)
	list, err = c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{NameContains: aws.String("again")})
	wantSame(t, "the listing of the end", []types.ModelCustomizationJobSummary{jobSummary(done)}, list.ModelCustomizationJobSummaries, err)
	model, err := c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("again")})
	wantSame(t, "the model", &bedrock.GetCustomModelOutput{
		ModelArn: done.OutputModelArn, ModelName: aws.String("again"), JobArn: &arn, JobName: aws.String("again"),
		BaseModelArn: aws.String(goodBase), ModelKmsKeyArn: aws.String(goodKey), ModelStatus: types.ModelStatusActive, CreationTime: &now,
		CustomizationType: done.CustomizationType, HyperParameters: done.HyperParameters, TrainingDataConfig: done.TrainingDataConfig,
		ValidationDataConfig: done.ValidationDataConfig, OutputDataConfig: done.OutputDataConfig,
		TrainingMetrics: done.TrainingMetrics, ValidationMetrics: done.ValidationMetrics,
	}, model, err)
	models, err := c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{NameContains: aws.String("again")})
	wantSame(t, "the models", []types.CustomModelSummary{modelSummary(model)}, models.ModelSummaries, err)
	for on, want := range map[string][]types.Tag{arn: request("").JobTags, *done.OutputModelArn: request("").CustomModelTags} {
		tags, err := c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: aws.String(on)})
		wantSame(t, on, &bedrock.ListTagsForResourceOutput{Tags: want}, tags, err)
	}
	if w := s.Writes(); len(w) != 1 || w[0].Operation != "CreateModelCustomizationJob" || w[0].Status != 201 {
		t.Errorf("Writes = %+v", w)
	}
}

func TestJobFailsAndStops(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{Writable: true, JobFails: func(name string) bool { return name == "bad" }})
	ctx := t.Context()
	created(t, c, request("bad"))
	if job := polled(t, c, "bad"); job.Status != types.ModelCustomizationJobStatusFailed || job.FailureMessage == nil || job.EndTime == nil || job.OutputModelArn != nil {
		t.Errorf("the job = %+v", job)
	}
	_, err := c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("bad")})
	wantCode(t, "its model", err, "ResourceNotFoundException", 404)
	arn := created(t, c, request("long"))
	stop := func() error {
		_, err := c.bedrock.StopModelCustomizationJob(ctx, &bedrock.StopModelCustomizationJobInput{JobIdentifier: &arn})
		return err
	}
	for range 2 {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		list, err := c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{StatusEquals: types.FineTuningJobStatusStopping})
		if err != nil || len(list.ModelCustomizationJobSummaries) != 1 {
			t.Errorf("stopping jobs = %+v, %v", list, err)
		}
	}
	if job := polled(t, c, arn); job.Status != types.ModelCustomizationJobStatusStopped || job.EndTime == nil || job.OutputModelArn != nil {
		t.Errorf("the job = %+v", job)
	}
	wantCode(t, "ended", stop(), "ConflictException", 400)
	arn = "other"
	wantCode(t, "unknown", stop(), "ResourceNotFoundException", 404)
}

func TestJobTokens(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{Writable: true})
	arn := created(t, c, request("once"))
	if again := created(t, c, request("once")); again != arn {
		t.Errorf("the same request: %s, want %s", again, arn)
	}
	polled(t, c, arn)
	if again := created(t, c, request("once")); again != arn {
		t.Errorf("the same request after the end: %s, want %s", again, arn)
	}
	other := request("once")
	other.VpcConfig = nil
	_, err := c.bedrock.CreateModelCustomizationJob(t.Context(), other)
	wantCode(t, "other parameters", err, "ConflictException", 400)
	if n := len(home(s).jobs.items); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
	there := newClients(s, "eu-west-1", Credentials(goodAccount))
	_, err = there.bedrock.CreateModelCustomizationJob(t.Context(), request("once"))
	wantCode(t, "another region, without the base model", err, "ValidationException", 400)
}

func TestJobIsRefused(t *testing.T) {
	t.Parallel()
	pending := map[string]any{"metadata": map[string]any{"KeyId": "k", "Arn": "arn:aws:kms:us-east-1:111122223333:key/k", "KeyState": "Disabled"}, "aliases": []string{"alias/off"}}
	c, s := goodClients(t, Options{Writable: true}, Patch{Path: here + "/keys/-", Set: pending}, Patch{Path: here + "/customizationJobQuota", Set: 1})
	tags := make([]types.Tag, 51)
	for i := range tags {
		tags[i] = types.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")}
	}
	for name, tt := range map[string]struct {
		change func(*bedrock.CreateModelCustomizationJobInput)
		code   string
		status int
	}{
		"job's name":   {func(in *bedrock.CreateModelCustomizationJobInput) { in.JobName = aws.String("support-2026-11") }, "ConflictException", 400},
		"model's name": {func(in *bedrock.CreateModelCustomizationJobInput) { in.CustomModelName = aws.String("triage-2026-10") }, "ConflictException", 400},
		"base": {func(in *bedrock.CreateModelCustomizationJobInput) {
			in.BaseModelIdentifier = aws.String("amazon.other-v1:0")
		}, "ValidationException", 400},
		"custom base": {func(in *bedrock.CreateModelCustomizationJobInput) {
			in.BaseModelIdentifier = aws.String(goodModel[:len(goodModel)-1] + "0")
		}, "ResourceNotFoundException", 404},
		"subnet":         {func(in *bedrock.CreateModelCustomizationJobInput) { in.VpcConfig.SubnetIds = []string{"subnet-1"} }, "ValidationException", 400},
		"group":          {func(in *bedrock.CreateModelCustomizationJobInput) { in.VpcConfig.SecurityGroupIds = []string{"sg-1"} }, "ValidationException", 400},
		"no key":         {func(in *bedrock.CreateModelCustomizationJobInput) { in.CustomModelKmsKeyId = aws.String("alias/none") }, "ValidationException", 400},
		"disabled key":   {func(in *bedrock.CreateModelCustomizationJobInput) { in.CustomModelKmsKeyId = aws.String("alias/off") }, "ValidationException", 400},
		"tags":           {func(in *bedrock.CreateModelCustomizationJobInput) { in.CustomModelTags = tags }, "TooManyTagsException", 400},
		"constraints":    {func(in *bedrock.CreateModelCustomizationJobInput) { in.JobName = aws.String("under_score") }, "ValidationException", 400},
		"empty location": {func(in *bedrock.CreateModelCustomizationJobInput) { in.OutputDataConfig.S3Uri = aws.String("x") }, "ValidationException", 400},
	} {
		in := request("new")
		tt.change(in)
		_, err := c.bedrock.CreateModelCustomizationJob(t.Context(), in)
		wantCode(t, name, err, tt.code, tt.status)
	}
	if n := len(home(s).jobs.items); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
	in := request("on-custom")
	in.BaseModelIdentifier = aws.String(otherModel)
	in.ClientRequestToken = nil
	if job := polled(t, c, created(t, c, in)); *job.BaseModelArn != goodBase || job.ClientRequestToken == nil {
		t.Errorf("a job on a custom model = %+v", job)
	}
	created(t, c, request("runs"))
	in = request("queued")
	_, err := c.bedrock.CreateModelCustomizationJob(t.Context(), in)
	wantCode(t, "quota", err, "ServiceQuotaExceededException", 400)
	in.CustomModelName = aws.String("runs")
	_, err = c.bedrock.CreateModelCustomizationJob(t.Context(), in)
	wantCode(t, "the name that a job in progress wants", err, "ConflictException", 400)
}

func TestCreatedAtOnce(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{Writable: true, JobPolls: 3})
	arns := make([]string, 40)
	var wg sync.WaitGroup
	for i := range arns {
		wg.Go(func() {
			if out, err := c.bedrock.CreateModelCustomizationJob(t.Context(), request("one")); err != nil {
				t.Error(err)
			} else {
				arns[i] = *out.JobArn
			}
		})
		wg.Go(func() {
			if _, err := c.bedrock.ListModelCustomizationJobs(t.Context(), nil); err != nil {
				t.Error(err)
			}
			_, _ = c.bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("one")})
		})
	}
	wg.Wait()
	if slices.Sort(arns); len(slices.Compact(arns)) != 1 {
		t.Errorf("the jobs are %q, want one", arns)
	}
	if n := len(home(s).jobs.items); n != 2 {
		t.Errorf("%d jobs, want 2", n)
	}
}
