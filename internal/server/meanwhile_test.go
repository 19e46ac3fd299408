package server_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
)

// TestChangedWhileWaiting takes away what jobs need after their creation, while they wait: each fails with the
// reason when its turn comes, and leaves nothing.
func TestChangedWhileWaiting(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	s.Create(t, cloistertest.Seed(cloistertest.JobInput("running"), executortest.SeedHang))
	s.WaitTraining(t, "running")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() string {
		out, err := s.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
		must(out, err)
		return *out.KeyMetadata.Arn
	}
	disabled, pending := newKey(), newKey()
	cases := []struct {
		name   string
		change func(*bedrock.CreateModelCustomizationJobInput)
		after  func()
		want   []string
		key    string
	}{
		{
			"no-role",
			func(in *bedrock.CreateModelCustomizationJobInput) {
				out, err := s.IAM.CreateRole(t.Context(), &awsiam.CreateRoleInput{RoleName: aws.String("short-lived"), AssumeRolePolicyDocument: aws.String(cloistertest.Trust)})
				must(out, err)
				in.RoleArn = out.Role.Arn
			},
			func() {
				must(s.IAM.DeleteRole(t.Context(), &awsiam.DeleteRoleInput{RoleName: aws.String("short-lived")}))
			},
			[]string{"Could not assume provided IAM role", "role/short-lived does not exist"},
			key,
		},
		{
			"disabled-key", nil,
			func() { must(s.KMS.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &disabled})) },
			[]string{disabled, "cannot be used for this job", "disabled"},
			disabled,
		},
		{
			"pending-key", nil,
			func() {
				must(s.KMS.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &pending, PendingWindowInDays: aws.Int32(7)}))
			},
			[]string{pending, "cannot be used for this job", "pending deletion"},
			pending,
		},
		{
			"no-data",
			func(in *bedrock.CreateModelCustomizationJobInput) {
				s.Put(t, "gone.jsonl", good)
				in.TrainingDataConfig.S3Uri = aws.String("s3://" + cloistertest.InputBucket + "/gone.jsonl")
			},
			func() {
				must(s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(cloistertest.InputBucket), Key: aws.String("gone.jsonl")}))
			},
			[]string{"Could not validate GetObject permissions", "tm-bedrock-input-data at key gone.jsonl"},
			key,
		},
		{
			"no-output",
			func(in *bedrock.CreateModelCustomizationJobInput) {
				must(s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("short-lived")}))
				in.OutputDataConfig.S3Uri = aws.String("s3://short-lived/out")
			},
			func() { must(s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("short-lived")})) },
			[]string{"Amazon S3 perms missing (PutObject)", "short-lived"},
			key,
		},
	}
	for _, c := range cases {
		in := cloistertest.JobInput(c.name)
		in.CustomModelKmsKeyId = &c.key
		if c.change != nil {
			c.change(in)
		}
		s.Create(t, in)
	}
	for _, c := range cases {
		c.after()
	}
	must(s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: aws.String("running")}))
	for _, c := range cases {
		job := s.Wait(t, c.name)
		message := aws.ToString(job.FailureMessage)
		if job.Status != types.ModelCustomizationJobStatusFailed {
			t.Errorf("%s: %s, want Failed", c.name, job.Status)
		}
		for _, want := range c.want {
			if !strings.Contains(message, want) {
				t.Errorf("%s: failureMessage %q does not say %q", c.name, message, want)
			}
		}
	}
	for _, c := range cases { // when all have ended: three share a key
		wantGrants(t, s, c.key, 0)
	}
	models, err := s.Bedrock.ListCustomModels(t.Context(), &bedrock.ListCustomModelsInput{})
	if err != nil || len(models.ModelSummaries) != 0 {
		t.Errorf("custom models: %v, %v, want none", models, err)
	}
	if keys := s.Keys(t, cloistertest.OutputBucket); len(keys) != 1 { // of the stopped job
		t.Errorf("output: %v", keys)
	}
	if len(blobsIn(t, s.Data)) != 0 || s.Host.Alive() != 0 {
		t.Error("blobs or sandboxes are left")
	}
}
