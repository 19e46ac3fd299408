package bedrock_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/server"
)

// clock is a clock that goes on by a second with every look, so that times differ.
func clock() func() time.Time {
	var ticks atomic.Int64
	return func() time.Time { return time.Now().Add(time.Duration(ticks.Add(1)) * time.Millisecond) }
}

func completed(t *testing.T, s *cloistertest.Server, in *bedrock.CreateModelCustomizationJobInput) *bedrock.GetModelCustomizationJobOutput {
	t.Helper()
	s.Create(t, in)
	job := s.Wait(t, *in.JobName)
	if job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s: %s", job.Status, aws.ToString(job.FailureMessage))
	}
	return job
}

func wantCode(t *testing.T, what string, err error, code string, texts ...string) {
	t.Helper()
	if cloister.Code(err) != code {
		t.Errorf("%s: %v, want %s", what, err, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(cloister.Message(err), text) {
			t.Errorf("%s: message %q does not say %q", what, cloister.Message(err), text)
		}
	}
}

// raw is the JSON that the edge answers.
func raw(t *testing.T, s *cloistertest.Server, path string) map[string]any {
	t.Helper()
	resp := s.Signed(t, http.MethodGet, path, "bedrock", nil, nil)
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return out
}

func members(object map[string]any) []string {
	var names []string
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestAnswers looks at exactly which members answers have.
func TestAnswers(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	plain := cloistertest.JobInput("plain")
	delete(plain.HyperParameters, "batchSize")
	job := completed(t, s, plain)
	got := raw(t, s, "/model-customization-jobs/plain")
	want := []string{
		"baseModelArn", "clientRequestToken", "creationTime", "customizationType", "endTime", "hyperParameters", "jobArn", "jobName", "lastModifiedTime",
		"outputDataConfig", "outputModelArn", "outputModelName", "roleArn", "status", "statusDetails", "trainingDataConfig", "trainingMetrics",
		"validationMetrics",
	}
	if diff := cmp.Diff(want, members(got)); diff != "" {
		t.Errorf("members of a job without key, VPC and validation (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"batchSize": "1", "epochCount": "5", "learningRate": "0.00001", "learningRateWarmupSteps": "5"}, got["hyperParameters"]); diff != "" {
		t.Errorf("hyperParameters (-want +got):\n%s", diff)
	}
	if list, ok := got["validationMetrics"].([]any); !ok || len(list) != 0 {
		t.Errorf("validationMetrics = %v, want []", got["validationMetrics"])
	}
	model := raw(t, s, "/custom-models/plain-model")
	want = []string{
		"baseModelArn", "creationTime", "customizationType", "hyperParameters", "jobArn", "jobName", "modelArn", "modelName", "modelStatus",
		"outputDataConfig", "trainingDataConfig", "trainingMetrics", "validationMetrics",
	}
	if diff := cmp.Diff(want, members(model)); diff != "" {
		t.Errorf("members of a model (-want +got):\n%s", diff)
	}
	if model["modelArn"] != *job.OutputModelArn || model["jobArn"] != *job.JobArn {
		t.Errorf("model %v of %v, want %s of %s", model["modelArn"], model["jobArn"], *job.OutputModelArn, *job.JobArn)
	}

	full := cloistertest.JobInput("with-all")
	full.CustomModelKmsKeyId = &key
	full.CustomizationType = types.CustomizationTypeFineTuning
	full.HyperParameters["cloister.method"], full.HyperParameters["cloister.loraRank"] = "lora", "8"
	full.ValidationDataConfig = &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://" + cloistertest.InputBucket + "/validation.jsonl")}}}
	job = completed(t, s, full)
	got = raw(t, s, "/model-customization-jobs/with-all")
	for name, want := range map[string]any{
		"outputModelKmsKeyArn": key, "validationDataConfig": map[string]any{"validators": []any{map[string]any{"s3Uri": "s3://tm-bedrock-input-data/validation.jsonl"}}},
		"validationMetrics": []any{map[string]any{"validationLoss": 1.5}}, "baseModelArn": cloistertest.TitanARN, "status": "Completed",
		"outputModelName": "with-all-model", "roleArn": cloistertest.RoleARN,
		"hyperParameters": map[string]any{"batchSize": "1", "epochCount": "5", "learningRate": "0.00001", "learningRateWarmupSteps": "5", "cloister.method": "lora", "cloister.loraRank": "8"},
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if view := s.Show(t, "with-all"); view.LearningRateScale != 20 || view.Method != "lora" || view.UsedBase == view.BaseModel {
		t.Errorf("the record: %+v, used %s for %s", view.Training, view.UsedBase, view.BaseModel)
	}
	if model := raw(t, s, "/custom-models/with-all-model"); model["modelKmsKeyArn"] != key {
		t.Errorf("modelKmsKeyArn = %v", model["modelKmsKeyArn"])
	}

	for _, id := range []string{"with-all", *job.JobArn} {
		if out, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: &id}); err != nil || *out.JobArn != *job.JobArn {
			t.Errorf("job by %s: %v, %v", id, out, err)
		}
	}
	for _, id := range []string{"with-all-model", *job.OutputModelArn} {
		if out, err := s.Bedrock.GetCustomModel(t.Context(), &bedrock.GetCustomModelInput{ModelIdentifier: &id}); err != nil || *out.ModelArn != *job.OutputModelArn {
			t.Errorf("model by %s: %v, %v", id, out, err)
		}
	}
	for _, id := range []string{"tm-fine-tuned-model-training-job", strings.Replace(*job.JobArn, cloistertest.ID(*job.JobArn), "aaaaaaaaaaaa", 1)} {
		_, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: &id})
		wantCode(t, "job "+id, err, "ResourceNotFoundException", id)
	}
	_, err := s.Bedrock.GetCustomModel(t.Context(), &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("none")})
	wantCode(t, "unknown model", err, "ResourceNotFoundException", "none")
	_, err = s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String(strings.Replace(*job.JobArn, "123456789012", "210987654321", 1))})
	wantCode(t, "another account's job", err, "AccessDeniedException")
	_, err = s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: job.JobArn}, func(o *bedrock.Options) { o.Region = "eu-west-1" })
	wantCode(t, "a job of another region", err, "AccessDeniedException")
	_, err = s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("with-all")}, func(o *bedrock.Options) { o.Region = "eu-west-1" })
	wantCode(t, "a name in another region", err, "ResourceNotFoundException")
}

func TestListJobs(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{Now: clock()})
	s.Prepare(t)
	for _, name := range []string{"alpha-1", "beta-2", "alpha-3", "beta-4", "alpha-5"} {
		completed(t, s, cloistertest.JobInput(name))
	}
	s.Create(t, cloistertest.Seed(cloistertest.JobInput("bad-6"), executortest.SeedDie))
	bad := s.Wait(t, "bad-6")
	list := func(in bedrock.ListModelCustomizationJobsInput) (names []string, next *string) {
		t.Helper()
		out, err := s.Bedrock.ListModelCustomizationJobs(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range out.ModelCustomizationJobSummaries {
			names = append(names, *j.JobName)
		}
		return names, out.NextToken
	}
	middle, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("alpha-3")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		in   bedrock.ListModelCustomizationJobsInput
		want []string
	}{
		"newest first":  {bedrock.ListModelCustomizationJobsInput{}, []string{"bad-6", "alpha-5", "beta-4", "alpha-3", "beta-2", "alpha-1"}},
		"ascending":     {bedrock.ListModelCustomizationJobsInput{SortBy: types.SortJobsByCreationTime, SortOrder: types.SortOrderAscending}, []string{"alpha-1", "beta-2", "alpha-3", "beta-4", "alpha-5", "bad-6"}},
		"name contains": {bedrock.ListModelCustomizationJobsInput{NameContains: aws.String("beta")}, []string{"beta-4", "beta-2"}},
		"completed":     {bedrock.ListModelCustomizationJobsInput{StatusEquals: types.FineTuningJobStatusCompleted, NameContains: aws.String("5")}, []string{"alpha-5"}},
		"failed":        {bedrock.ListModelCustomizationJobsInput{StatusEquals: types.FineTuningJobStatusFailed}, []string{"bad-6"}},
		"stopped":       {bedrock.ListModelCustomizationJobsInput{StatusEquals: types.FineTuningJobStatusStopped}, nil},
		"after":         {bedrock.ListModelCustomizationJobsInput{CreationTimeAfter: middle.CreationTime}, []string{"bad-6", "alpha-5", "beta-4"}},
		"before":        {bedrock.ListModelCustomizationJobsInput{CreationTimeBefore: middle.CreationTime}, []string{"beta-2", "alpha-1"}},
		"after and before": {bedrock.ListModelCustomizationJobsInput{
			CreationTimeAfter: middle.CreationTime, CreationTimeBefore: bad.CreationTime, NameContains: aws.String("alpha"),
		}, []string{"alpha-5"}},
	} {
		if got, next := list(tt.in); !slices.Equal(got, tt.want) || next != nil {
			t.Errorf("%s: %v, next %v, want %v", name, got, aws.ToString(next), tt.want)
		}
	}
	var pages [][]string
	in := bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(2), NameContains: aws.String("a")}
	for {
		names, next := list(in)
		pages = append(pages, names)
		if next == nil {
			break
		}
		in.NextToken = next
	}
	if diff := cmp.Diff([][]string{{"bad-6", "alpha-5"}, {"beta-4", "alpha-3"}, {"beta-2", "alpha-1"}}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	_, token := list(bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(2)})
	for name, in := range map[string]bedrock.ListModelCustomizationJobsInput{
		"of another list":     {NextToken: token, NameContains: aws.String("beta")},
		"of the other order":  {NextToken: token, SortOrder: types.SortOrderAscending},
		"that is none":        {NextToken: aws.String("abc")},
		"that is no number":   {NextToken: aws.String("eyJ0IjoieCJ9")},
		"with too large page": {MaxResults: aws.Int32(1001)},
	} {
		_, err := s.Bedrock.ListModelCustomizationJobs(t.Context(), &in)
		wantCode(t, "a token "+name, err, "ValidationException")
	}
	_, err = s.Bedrock.ListModelCustomizationJobs(t.Context(), &bedrock.ListModelCustomizationJobsInput{NextToken: token}, func(o *bedrock.Options) { o.Region = "eu-west-1" })
	wantCode(t, "a token of another region", err, "ValidationException")
	summary := raw(t, s, "/model-customization-jobs?statusEquals=Failed")["modelCustomizationJobSummaries"].([]any)[0].(map[string]any)
	want := []string{"baseModelArn", "creationTime", "customModelName", "customizationType", "endTime", "jobArn", "jobName", "lastModifiedTime", "status", "statusDetails"}
	if diff := cmp.Diff(want, members(summary)); diff != "" {
		t.Errorf("members of a failed job's summary (-want +got):\n%s", diff)
	}

	models := func(in bedrock.ListCustomModelsInput) (names []string) {
		t.Helper()
		out, err := s.Bedrock.ListCustomModels(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.ModelSummaries {
			names = append(names, strings.TrimSuffix(*m.ModelName, "-model"))
		}
		return names
	}
	short := "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1"
	for name, tt := range map[string]struct {
		in   bedrock.ListCustomModelsInput
		want []string
	}{
		"newest first":         {bedrock.ListCustomModelsInput{}, []string{"alpha-5", "beta-4", "alpha-3", "beta-2", "alpha-1"}},
		"ascending":            {bedrock.ListCustomModelsInput{SortOrder: types.SortOrderAscending, NameContains: aws.String("beta")}, []string{"beta-2", "beta-4"}},
		"owned":                {bedrock.ListCustomModelsInput{IsOwned: aws.Bool(true), NameContains: aws.String("beta")}, []string{"beta-4", "beta-2"}},
		"shared":               {bedrock.ListCustomModelsInput{IsOwned: aws.Bool(false)}, nil},
		"base":                 {bedrock.ListCustomModelsInput{BaseModelArnEquals: aws.String(cloistertest.TitanARN), NameContains: aws.String("1")}, []string{"alpha-1"}},
		"base by its short id": {bedrock.ListCustomModelsInput{FoundationModelArnEquals: &short, NameContains: aws.String("1")}, []string{"alpha-1"}},
		"another base":         {bedrock.ListCustomModelsInput{BaseModelArnEquals: aws.String("arn:aws:bedrock:us-east-1::foundation-model/cloister.tiny-v1:0")}, nil},
		"failed models":        {bedrock.ListCustomModelsInput{ModelStatus: types.ModelStatusFailed}, nil},
	} {
		if got := models(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("models, %s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	s.Prepare(t)
	in := cloistertest.JobInput("tagged")
	in.JobTags = []types.Tag{{Key: aws.String("team"), Value: aws.String("risk")}, {Key: aws.String("a"), Value: aws.String("")}}
	in.CustomModelTags = []types.Tag{{Key: aws.String("kind"), Value: aws.String("model")}}
	job := completed(t, s, in)
	tags := func(arn string) map[string]string {
		t.Helper()
		out, err := s.Bedrock.ListTagsForResource(t.Context(), &bedrock.ListTagsForResourceInput{ResourceARN: &arn})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, tag := range out.Tags {
			got[*tag.Key] = *tag.Value
		}
		return got
	}
	want := func(arn string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, tags(arn)); diff != "" {
			t.Errorf("tags of %s (-want +got):\n%s", arn, diff)
		}
	}
	want(*job.JobArn, map[string]string{"team": "risk", "a": ""})
	want(*job.OutputModelArn, map[string]string{"kind": "model"})
	add := func(arn string, tags ...types.Tag) error {
		_, err := s.Bedrock.TagResource(t.Context(), &bedrock.TagResourceInput{ResourceARN: &arn, Tags: tags})
		return err
	}
	if err := add(*job.JobArn, types.Tag{Key: aws.String("team"), Value: aws.String("fraud")}, types.Tag{Key: aws.String("b"), Value: aws.String("2")}); err != nil {
		t.Fatal(err)
	}
	want(*job.JobArn, map[string]string{"team": "fraud", "a": "", "b": "2"})
	if _, err := s.Bedrock.UntagResource(t.Context(), &bedrock.UntagResourceInput{ResourceARN: job.JobArn, TagKeys: []string{"a", "never"}}); err != nil {
		t.Fatal(err)
	}
	want(*job.JobArn, map[string]string{"team": "fraud", "b": "2"})
	var many []types.Tag
	for i := range 48 {
		many = append(many, types.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
	}
	if err := add(*job.JobArn, many...); err != nil {
		t.Fatalf("50 tags: %v", err)
	}
	wantCode(t, "a 51st tag", add(*job.JobArn, types.Tag{Key: aws.String("one-more"), Value: aws.String("v")}), "TooManyTagsException", "50")
	if len(tags(*job.JobArn)) != 50 {
		t.Error("a refused tag was kept")
	}
	wantCode(t, "reserved", add(*job.OutputModelArn, types.Tag{Key: aws.String("AWS:x"), Value: aws.String("v")}), "ValidationException", "reserved")
	twice := types.Tag{Key: aws.String("x"), Value: aws.String("v")}
	wantCode(t, "twice", add(*job.OutputModelArn, twice, twice), "ValidationException", "twice")
	wantCode(t, "unknown job", add(strings.Replace(*job.JobArn, cloistertest.ID(*job.JobArn), "aaaaaaaaaaaa", 1), twice), "ResourceNotFoundException")
	if _, err := s.Bedrock.DeleteCustomModel(t.Context(), &bedrock.DeleteCustomModelInput{ModelIdentifier: job.OutputModelArn}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Bedrock.ListTagsForResource(t.Context(), &bedrock.ListTagsForResourceInput{ResourceARN: job.OutputModelArn})
	wantCode(t, "tags of a deleted model", err, "ResourceNotFoundException")
}

// TestQueue fills the queue behind a job that does not end by itself.
func TestQueue(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{Now: clock()})
	key := s.Prepare(t)
	job := func(name string) *bedrock.CreateModelCustomizationJobInput {
		in := cloistertest.JobInput(name)
		in.CustomModelKmsKeyId = &key
		return in
	}
	s.Create(t, cloistertest.Seed(job("running"), executortest.SeedHang))
	s.WaitTraining(t, "running")
	for i := range 10 {
		s.Create(t, job(fmt.Sprint("waiting-", i+1)))
	}
	_, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), job("too-many"))
	wantCode(t, "an 11th job in the queue", err, "ServiceQuotaExceededException", "10 customization jobs are waiting", "jobs.queue")
	grants := func() int {
		t.Helper()
		out, err := s.KMS.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Grants)
	}
	if n := grants(); n != 11 {
		t.Errorf("%d grants for 11 jobs: the refused one left its own", n)
	}
	for i := range 10 {
		view := s.Show(t, fmt.Sprint("waiting-", i+1))
		if view.Queue == nil || *view.Queue != i+1 || view.Status != "InProgress" {
			t.Errorf("job %d of the queue: position %v, %s", i+1, view.Queue, view.Status)
		}
	}
	if view := s.Show(t, "running"); view.Queue != nil {
		t.Errorf("the running job has position %d", *view.Queue)
	}
	waiting, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("waiting-1")})
	if err != nil {
		t.Fatal(err)
	}
	if d := waiting.StatusDetails; d.ValidationDetails.Status != "NotStarted" || d.TrainingDetails.Status != "NotStarted" || d.ValidationDetails.CreationTime != nil {
		t.Errorf("statusDetails of a waiting job: %+v", d)
	}
	running, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("running")})
	if err != nil {
		t.Fatal(err)
	}
	if d := running.StatusDetails; d.ValidationDetails.Status != "Completed" || d.DataProcessingDetails.Status != "Completed" || d.TrainingDetails.Status != "InProgress" {
		t.Errorf("statusDetails of a training job: %v %v %v", d.ValidationDetails.Status, d.DataProcessingDetails.Status, d.TrainingDetails.Status)
	}
	if running.EndTime != nil || running.OutputModelArn != nil || running.TrainingMetrics != nil || len(running.ValidationMetrics) != 0 {
		t.Error("a running job has an end")
	}

	stop := func(name string) error {
		_, err := s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: &name})
		return err
	}
	for i := range 9 { // from the end, so that none begins
		if err := stop(fmt.Sprint("waiting-", 10-i)); err != nil {
			t.Fatal(err)
		}
	}
	if stopped := s.Wait(t, "waiting-5"); stopped.Status != types.ModelCustomizationJobStatusStopped || stopped.FailureMessage != nil {
		t.Errorf("a stopped waiting job: %s, %q", stopped.Status, aws.ToString(stopped.FailureMessage))
	}
	if n := grants(); n != 2 {
		t.Errorf("%d grants for 2 jobs", n)
	}
	if err := stop("running"); err != nil {
		t.Fatal(err)
	}
	if err := stop("running"); err != nil && cloister.Code(err) != "ConflictException" { // Stopping, or Stopped by now
		t.Errorf("stop again: %v", err)
	}
	stopped := s.Wait(t, "running")
	if stopped.Status != types.ModelCustomizationJobStatusStopped || stopped.StatusDetails.TrainingDetails.Status != "Stopped" || stopped.OutputModelArn != nil {
		t.Errorf("a stopped job: %s, training %s", stopped.Status, stopped.StatusDetails.TrainingDetails.Status)
	}
	wantCode(t, "stop of a stopped job", stop("running"), "ConflictException", "running", "Stopped")
	csv := object(t, s, "model-customization-job-"+cloistertest.ID(*stopped.JobArn)+"/training_artifacts/step_wise_training_metrics.csv")
	if !strings.HasPrefix(csv, "step_number,epoch_number,training_loss,perplexity\n0,0,2,") {
		t.Errorf("the step metrics of a stopped job:\n%.200s", csv)
	}
	if last := s.Wait(t, "waiting-1"); last.Status != types.ModelCustomizationJobStatusCompleted {
		t.Errorf("the next job: %s", last.Status)
	}
	wantCode(t, "stop of a completed job", stop("waiting-1"), "ConflictException", "Completed")
	wantCode(t, "stop of an unknown job", stop("nobody"), "ResourceNotFoundException")
	if n := grants(); n != 1 {
		t.Errorf("%d grants for one model", n)
	}
	if keys := s.Keys(t, cloistertest.OutputBucket); len(keys) != 2 { // of the stopped and of the completed job
		t.Errorf("output: %v", keys)
	}
	if s.Host.Alive() != 0 {
		t.Error("a sandbox is left")
	}
}

func object(t *testing.T, s *cloistertest.Server, key string) string {
	t.Helper()
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(cloistertest.OutputBucket), Key: &key})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	defer func() { _ = out.Body.Close() }()
	text, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBaseModels asks for base models by every name that they have.
func TestBaseModels(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{Config: func(c *server.Config) {
		c.Models.Aliases = map[string]string{"example.mine-v1:0": "cloister.tiny-v1:0", "example.absent-v1:0": "example.not-installed-v1:0"}
	}})
	s.Prepare(t)
	const full = "amazon.titan-text-lite-v1:0:4k"
	for i, asked := range []string{full, "arn:aws:bedrock:us-east-1::foundation-model/" + full, "amazon.titan-text-lite-v1", "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1"} {
		in := cloistertest.JobInput(fmt.Sprint("titan-", i))
		in.BaseModelIdentifier = &asked
		job := completed(t, s, in)
		if *job.BaseModelArn != cloistertest.TitanARN || !strings.Contains(*job.JobArn, ":model-customization-job/"+full+"/") || !strings.Contains(*job.OutputModelArn, ":custom-model/"+full+"/") {
			t.Errorf("asked for %s: base %s, job %s, model %s", asked, *job.BaseModelArn, *job.JobArn, *job.OutputModelArn)
		}
		if view := s.Show(t, *in.JobName); view.UsedBase != "huggingface.smollm2-135m-v1:0" || view.BaseModel != full {
			t.Errorf("asked for %s: used %s for %s", asked, view.UsedBase, view.BaseModel)
		}
	}
	in := cloistertest.JobInput("mine")
	in.BaseModelIdentifier = aws.String("example.mine-v1:0")
	completed(t, s, in)
	if view := s.Show(t, "mine"); view.UsedBase != "cloister.tiny-v1:0" {
		t.Errorf("the configured alias used %s", view.UsedBase)
	}
	for asked, texts := range map[string][]string{
		"example.absent-v1:0": {"models.aliases", "cloister models add example.not-installed-v1:0"},
		"example.none-v1:0":   {"The provided model identifier is invalid.", "models.aliases", "cloister models add"},
		"arn:aws:bedrock:eu-west-1::foundation-model/" + full: {"The provided model identifier is invalid."},
	} {
		in := cloistertest.JobInput("never")
		in.BaseModelIdentifier = &asked
		_, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in)
		wantCode(t, asked, err, "ValidationException", texts...)
		_, err = s.Bedrock.GetFoundationModel(t.Context(), &bedrock.GetFoundationModelInput{ModelIdentifier: &asked})
		wantCode(t, "GetFoundationModel "+asked, err, "ResourceNotFoundException")
	}
	out, err := s.Bedrock.GetFoundationModel(t.Context(), &bedrock.GetFoundationModelInput{ModelIdentifier: aws.String("amazon.titan-text-lite-v1")})
	if err != nil || *out.ModelDetails.ModelId != full || *out.ModelDetails.ModelArn != cloistertest.TitanARN {
		t.Errorf("GetFoundationModel: %v, %v", out, err)
	}
	list, err := s.Bedrock.ListFoundationModels(t.Context(), &bedrock.ListFoundationModelsInput{ByCustomizationType: types.ModelCustomizationContinuedPreTraining})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range list.ModelSummaries {
		ids = append(ids, *m.ModelId)
	}
	for _, id := range []string{full, "huggingface.smollm2-135m-v1:0", "cloister.tiny-v1:0", "example.mine-v1:0"} {
		if !slices.Contains(ids, id) {
			t.Errorf("%s is not in the list %v", id, ids)
		}
	}
	if slices.Contains(ids, "example.absent-v1:0") || !slices.IsSorted(ids) {
		t.Errorf("the list: %v", ids)
	}
}

// TestDeleteModel deletes a model: its blobs and grant go, and the same name can be made again.
func TestDeleteModel(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	in := cloistertest.JobInput("first")
	in.CustomModelKmsKeyId, in.CustomModelName = &key, aws.String("model")
	job := completed(t, s, in)
	if _, err := s.Bedrock.DeleteCustomModel(t.Context(), &bedrock.DeleteCustomModelInput{ModelIdentifier: aws.String("model")}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Bedrock.DeleteCustomModel(t.Context(), &bedrock.DeleteCustomModelInput{ModelIdentifier: aws.String("model")})
	wantCode(t, "second deletion", err, "ResourceNotFoundException")
	_, err = s.Bedrock.GetCustomModel(t.Context(), &bedrock.GetCustomModelInput{ModelIdentifier: job.OutputModelArn})
	wantCode(t, "deleted model", err, "ResourceNotFoundException")
	grants, err := s.KMS.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	if err != nil || len(grants.Grants) != 0 {
		t.Errorf("grants: %v, %v", grants, err)
	}
	if job := s.Wait(t, "first"); job.Status != types.ModelCustomizationJobStatusCompleted || aws.ToString(job.OutputModelArn) == "" {
		t.Errorf("the job of a deleted model: %s", job.Status)
	}
	again := cloistertest.JobInput("second")
	again.CustomModelKmsKeyId, again.CustomModelName = &key, aws.String("model")
	if made := completed(t, s, again); *made.OutputModelArn == *job.OutputModelArn {
		t.Error("the new model has the ARN of the old one")
	}
	in.ClientRequestToken = nil // the SDK has put one in
	_, err = s.Bedrock.CreateModelCustomizationJob(t.Context(), in)
	wantCode(t, "the first job's name", err, "ConflictException", "first")
}

// TestPreTraining runs the other type of job.
func TestPreTraining(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	s.Prepare(t)
	s.Put(t, "train.jsonl", strings.Repeat(`{"input":"text"}`+"\n", 4))
	in := cloistertest.JobInput("tm-continued-pre-training-job")
	in.CustomizationType = types.CustomizationTypeContinuedPreTraining
	job := completed(t, s, in)
	if job.CustomizationType != types.CustomizationTypeContinuedPreTraining {
		t.Errorf("customizationType = %s", job.CustomizationType)
	}
	want := fmt.Sprintf("%x", executortest.WeightsHash([]byte(strings.Repeat(`{"input":"text"}`+"\n", 4)), 0))
	if got := s.Compare(t, *job.OutputModelName, "p"); got.Custom.Answers[0] != want || got.Base.Answers[0] == want {
		t.Errorf("answers %v, want %s from the custom model alone", got, want)
	}
}
