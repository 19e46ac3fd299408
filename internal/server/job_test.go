package server_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
)

func TestMain(m *testing.M) {
	cloistertest.Processes()
	os.Exit(m.Run())
}

func TestJobCompletes(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	in := cloistertest.JobInput("tm-fine-tuned-model-training-job")
	in.CustomModelKmsKeyId = &key
	in.ValidationDataConfig = &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://" + cloistertest.InputBucket + "/validation.jsonl")}}}
	s.Create(t, in)
	job := s.Wait(t, *in.JobName)
	if job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s: %s", job.Status, aws.ToString(job.FailureMessage))
	}
	if *job.BaseModelArn != cloistertest.TitanARN || *job.OutputModelKmsKeyArn != key || job.VpcConfig != nil {
		t.Errorf("answer: base %s, key %s, vpc %v", *job.BaseModelArn, *job.OutputModelKmsKeyArn, job.VpcConfig)
	}
	if d := job.StatusDetails; d.ValidationDetails.Status != "Completed" || d.DataProcessingDetails.Status != "Completed" || d.TrainingDetails.Status != "Completed" {
		t.Errorf("statusDetails = %+v", d)
	}
	if job.TrainingMetrics == nil || len(job.ValidationMetrics) != 1 {
		t.Errorf("metrics: %v, %v", job.TrainingMetrics, job.ValidationMetrics)
	}

	id := (*job.JobArn)[strings.LastIndexByte(*job.JobArn, '/')+1:]
	prefix := "model-customization-job-" + id + "/"
	steps := get(t, s, prefix+"training_artifacts/step_wise_training_metrics.csv")
	if !strings.HasPrefix(steps, "step_number,epoch_number,training_loss,perplexity\n0,0,2,") || strings.Count(steps, "\n") != 41 {
		t.Errorf("training metrics:\n%s", steps)
	}
	one := get(t, s, prefix+"validation_artifacts/post_fine_tuning_validation/validation_metrics.csv")
	two := get(t, s, prefix+"validation_artifacts/post_fine_tuning_validation/validation/validation_metrics.csv")
	if one != two || strings.Count(one, "\n") != 6 || !strings.HasPrefix(one, "step_number,epoch_number,validation_loss,perplexity\n7,0,1.5,") {
		t.Errorf("validation metrics:\n%s", one)
	}

	model, err := s.Bedrock.GetCustomModel(t.Context(), &bedrock.GetCustomModelInput{ModelIdentifier: in.CustomModelName})
	if err != nil || *model.ModelArn != *job.OutputModelArn || *model.ModelKmsKeyArn != key {
		t.Fatalf("GetCustomModel = %v, %v", model, err)
	}
	grants, err := s.KMS.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	if err != nil || len(grants.Grants) != 1 {
		t.Errorf("grants while the model lives: %v, %v, want one", grants, err)
	}
	if s.Host.Alive() != 0 {
		t.Error("a sandbox is left")
	}
	weights := executortest.FakeWeights([]byte(cloistertest.Records(8)), 0)
	noneBelow(t, s.Data, weights)

	if _, err := s.Bedrock.DeleteCustomModel(t.Context(), &bedrock.DeleteCustomModelInput{ModelIdentifier: in.CustomModelName}); err != nil {
		t.Fatal(err)
	}
	grants, err = s.KMS.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	if err != nil || len(grants.Grants) != 0 {
		t.Errorf("grants after the model: %v, %v, want none", grants, err)
	}
	again := cloistertest.JobInput("another-job")
	again.CustomModelName = in.CustomModelName
	s.Create(t, again)
	if job := s.Wait(t, "another-job"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Errorf("same model name after deletion: %s, %s", job.Status, aws.ToString(job.FailureMessage))
	}
}

func get(t *testing.T, s *cloistertest.Server, key string) string {
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

// noneBelow makes sure that no sampled 32-byte window of secret is in any file below dir.
func noneBelow(t *testing.T, dir string, secret []byte) {
	t.Helper()
	windows := map[string]bool{}
	for i := range 1000 {
		at := i * (len(secret) - 32) / 1000
		windows[string(secret[at:at+32])] = true
	}
	files := 0
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	walk(t, root, ".", func(name string, text []byte) {
		files++
		for at := 0; at+32 <= len(text); at++ {
			if windows[string(text[at:at+32])] {
				t.Errorf("%s has plaintext at byte %d", name, at)
				return
			}
		}
	})
	if files < 5 {
		t.Errorf("only %d files below the data directory were searched", files)
	}
}

func walk(t *testing.T, root *os.Root, dir string, visit func(string, []byte)) {
	t.Helper()
	f, err := root.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(-1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := dir + "/" + e.Name()
		if e.IsDir() {
			walk(t, root, name, visit)
			continue
		}
		text, err := root.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		visit(name, bytes.Clone(text))
	}
}
