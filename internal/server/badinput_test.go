package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/server"
)

const good = `{"prompt":"p","completion":"c"}` + "\n"

// seed makes the fake engine do what a seed says.
func seed(n int) func(*bedrock.CreateModelCustomizationJobInput) {
	return func(in *bedrock.CreateModelCustomizationJobInput) {
		in.HyperParameters["cloister.seed"] = fmt.Sprint(n)
	}
}

// nothingLeft makes sure that a refused or failed job has left no model, grant, output, scratch or blob.
func nothingLeft(t *testing.T, s *cloistertest.Server, key string) {
	t.Helper()
	models, err := s.Bedrock.ListCustomModels(t.Context(), &bedrock.ListCustomModelsInput{})
	if err != nil || len(models.ModelSummaries) != 0 {
		t.Errorf("custom models: %v, %v, want none", models, err)
	}
	wantGrants(t, s, key, 0)
	wantNoOutput(t, s)
	if n := s.Host.Alive(); n != 0 {
		t.Errorf("%d sandboxes are left", n)
	}
	empty(t, s.Host.Dir())
	if found := blobsIn(t, s.Data); len(found) != 0 {
		t.Errorf("%d blobs are left", len(found))
	}
}

// TestBadData runs jobs whose data or engine is bad: each fails, says why and where, and quotes nothing.
func TestBadData(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	const format = `must follow '{"prompt": "<input text>", "completion": "<output text>"}' format`
	for _, tt := range []struct {
		name, data string
		change     func(*bedrock.CreateModelCustomizationJobInput)
		want       []string // all are in failureMessage
		subtask    string   // which of statusDetails failed
	}{
		{"malformed JSON", good + good + `{"prompt":"SECRET` + "\n", nil, []string{"Unable to parse Amazon S3 file: train.jsonl", "conform to JSONL", "line 3 (byte 64)", "not valid JSON"}, "data"},
		{"wrong keys", good + `{"SECRET":"p","completion":"c"}` + "\n", nil, []string{format, "s3://tm-bedrock-input-data/train.jsonl, line 2 (byte 32), $: unknown key"}, "data"},
		{"wrong type", `{"prompt":"SECRET","completion":7}` + "\n", nil, []string{format, "line 1 (byte 0), $.completion: want a string, found a number"}, "data"},
		{"two bad lines", "SECRET\n" + good + "SECRET\n", nil, []string{"line 1 (byte 0)", "1 other lines"}, "data"},
		{"blank line", good + "\n" + good, nil, []string{"Unable to parse", "line 2 (byte 32): blank line"}, "data"},
		{"empty file", "", nil, []string{"train.jsonl", "the file has no records"}, "data"},
		{"UTF-16", "\xff\xfeS\x00E\x00C\x00R\x00E\x00T\x00", nil, []string{"Unable to parse", "line 1 (byte 0): not UTF-8"}, "data"},
		{"Latin-1", good + "{\"prompt\":\"SECRET caf\xe9\",\"completion\":\"c\"}\n", nil, []string{"line 2 (byte 32): not UTF-8"}, "data"},
		{"fine-tuning data for pre-training", `{"prompt":"SECRET","completion":"c"}` + "\n", func(in *bedrock.CreateModelCustomizationJobInput) {
			in.CustomizationType = types.CustomizationTypeContinuedPreTraining
		}, []string{`must follow '{"input": "<input text>"}' format`, "line 1"}, "data"},
		{"bad validation data", good, func(in *bedrock.CreateModelCustomizationJobInput) {
			in.ValidationDataConfig = &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://" + cloistertest.InputBucket + "/bad.jsonl")}}}
		}, []string{"bad.jsonl", "line 2"}, "data"},
		{"engine killed", good, seed(executortest.SeedDie), []string{"The training engine ended unexpectedly (exit status 137)"}, "training"},
		{"non-finite loss", good, seed(executortest.SeedNonFinite), []string{"Training diverged", "lower the learning rate"}, "training"},
		{"garbage from the engine", good, seed(executortest.SeedGarbage), []string{"Encountered an unexpected error when processing the request, please try again", "the server's log has the cause"}, "training"},
		{"data that the engine refuses", good, seed(executortest.SeedData), []string{"no token to learn", "s3://tm-bedrock-input-data/train.jsonl, line 2"}, "training"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Put(t, "train.jsonl", tt.data)
			s.Put(t, "bad.jsonl", good+"SECRET")
			in := cloistertest.JobInput(strings.ReplaceAll(tt.name, " ", "-"))
			in.CustomModelName = aws.String("never-made")
			in.CustomModelKmsKeyId = &key
			if tt.change != nil {
				tt.change(in)
			}
			s.Create(t, in)
			job := s.Wait(t, *in.JobName)
			message := aws.ToString(job.FailureMessage)
			if job.Status != types.ModelCustomizationJobStatusFailed || job.OutputModelArn != nil {
				t.Fatalf("job %s, model %v", job.Status, job.OutputModelArn)
			}
			for _, want := range tt.want {
				if !strings.Contains(message, want) {
					t.Errorf("failureMessage %q does not say %q", message, want)
				}
			}
			if strings.Contains(message, "SECRET") {
				t.Errorf("failureMessage %q quotes the data", message)
			}
			d := map[string]types.JobStatusDetails{
				"data": job.StatusDetails.DataProcessingDetails.Status, "training": job.StatusDetails.TrainingDetails.Status,
			}
			if d[tt.subtask] != types.JobStatusDetailsFailed {
				t.Errorf("statusDetails %v, want %s Failed", d, tt.subtask)
			}
			nothingLeft(t, s, key)
			in.ClientRequestToken = nil // the SDK has put one in
			if _, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in); cloister.Code(err) != "ConflictException" || !strings.Contains(err.Error(), *in.JobName) {
				t.Errorf("the job's name after its failure: %v, want ConflictException", err)
			}
		})
	}
}

// TestRefusedAtCreation sends requests that no job comes of.
func TestRefusedAtCreation(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	s.Put(t, "folder/train.jsonl", good)
	keyIn := func(change func(id string) error) string {
		out, err := s.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
		if err == nil && change != nil {
			err = change(*out.KeyMetadata.KeyId)
		}
		if err != nil {
			t.Fatal(err)
		}
		return *out.KeyMetadata.Arn
	}
	disabled := keyIn(func(id string) error {
		_, err := s.KMS.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &id})
		return err
	})
	pending := keyIn(func(id string) error {
		_, err := s.KMS.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: aws.Int32(7)})
		return err
	})
	role := func(name, trust string) string {
		out, err := s.IAM.CreateRole(t.Context(), &awsiam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
		if err != nil {
			t.Fatal(err)
		}
		return *out.Role.Arn
	}
	ec2 := role("for-ec2", strings.ReplaceAll(cloistertest.Trust, "bedrock.amazonaws.com", "ec2.amazonaws.com"))
	elsewhere := role("for-others", strings.ReplaceAll(cloistertest.Trust, `"aws:SourceAccount":"123456789012"`, `"aws:SourceAccount":"210987654321"`))
	odd := role("odd-condition", strings.ReplaceAll(cloistertest.Trust, `"aws:SourceAccount":"123456789012"`, `"aws:PrincipalOrgID":"o-1"`))
	type input = bedrock.CreateModelCustomizationJobInput
	hyper := func(k, v string) func(*input) { return func(in *input) { in.HyperParameters[k] = v } }
	for _, tt := range []struct {
		name   string
		change func(*input)
		code   string
		want   []string
	}{
		{"missing object", func(in *input) { in.TrainingDataConfig.S3Uri = aws.String("s3://tm-bedrock-input-data/gone.jsonl") }, "ValidationException", []string{"Could not validate GetObject permissions to access Amazon S3 bucket: tm-bedrock-input-data at key gone.jsonl", "no such"}},
		{"missing bucket", func(in *input) { in.TrainingDataConfig.S3Uri = aws.String("s3://no-such-bucket/train.jsonl") }, "ValidationException", []string{"no-such-bucket"}},
		{"missing output bucket", func(in *input) { in.OutputDataConfig.S3Uri = aws.String("s3://no-such-bucket/out") }, "ValidationException", []string{"Amazon S3 perms missing (PutObject)", "no-such-bucket"}},
		{"a prefix", func(in *input) { in.TrainingDataConfig.S3Uri = aws.String("s3://tm-bedrock-input-data/folder/") }, "ValidationException", []string{"Uri should be a file, not a directory"}},
		{"a bucket", func(in *input) { in.TrainingDataConfig.S3Uri = aws.String("s3://tm-bedrock-input-data") }, "ValidationException", []string{"Uri should be a file, not a directory"}},
		{"not a URI", func(in *input) { in.TrainingDataConfig.S3Uri = aws.String("train.jsonl") }, "ValidationException", []string{"regular expression pattern"}},
		{"missing role", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/nobody") }, "ValidationException", []string{"Could not assume", "role/nobody", "does not exist"}},
		{"a role's name without its path", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::123456789012:role/" + cloistertest.RoleName) }, "ValidationException", []string{"does not exist"}},
		{"role of another account", func(in *input) { in.RoleArn = aws.String("arn:aws:iam::210987654321:role/x") }, "ValidationException", []string{"does not exist"}},
		{"role for another service", func(in *input) { in.RoleArn = &ec2 }, "ValidationException", []string{"Could not assume", "for-ec2"}},
		{"role for another account's jobs", func(in *input) { in.RoleArn = &elsewhere }, "ValidationException", []string{"Could not assume", "aws:SourceAccount"}},
		{"condition that is not evaluated", func(in *input) { in.RoleArn = &odd }, "ValidationException", []string{"Could not assume", "aws:PrincipalOrgID"}},
		{"unknown key", func(in *input) {
			in.CustomModelKmsKeyId = aws.String("arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555")
		}, "ValidationException", []string{"11111111-2222-3333-4444-555555555555", "does not exist"}},
		{"the document's key", func(in *input) {
			in.CustomModelKmsKeyId = aws.String("arn:aws:kms:us-east-1:123456789012:key/1234abcd-1234-abcd-1234-abcd1234abcd")
		}, "ValidationException", []string{"1234abcd-1234-abcd-1234-abcd1234abcd", "does not exist"}},
		{"unknown alias", func(in *input) { in.CustomModelKmsKeyId = aws.String("alias/nothing") }, "ValidationException", []string{"alias/nothing"}},
		{"disabled key", func(in *input) { in.CustomModelKmsKeyId = &disabled }, "ValidationException", []string{disabled, "Disabled"}},
		{"key pending deletion", func(in *input) { in.CustomModelKmsKeyId = &pending }, "ValidationException", []string{pending, "PendingDeletion"}},
		{"unknown hyperparameter", hyper("learnRate", "1"), "ValidationException", []string{"learnRate", "unknown key"}},
		{"epochs out of range", hyper("epochCount", "11"), "ValidationException", []string{"epochCount", `"11"`, "from 1 to 10"}},
		{"rate that is no number", hyper("learningRate", "NaN"), "ValidationException", []string{"learningRate", "from 0 to 1"}},
		{"batch of none", hyper("batchSize", "0"), "ValidationException", []string{"batchSize", "from 1 to 64"}},
		{"unknown base", func(in *input) { in.BaseModelIdentifier = aws.String("example.none-v1:0") }, "ValidationException", []string{"The provided model identifier is invalid", "example.none-v1:0", "models.aliases", "cloister models add"}},
		{"custom model as base", func(in *input) {
			in.BaseModelIdentifier = aws.String("arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-lite-v1:0:4k/abcdefghijkl")
		}, "ValidationException", []string{"not served yet"}},
		{"distillation", func(in *input) { in.CustomizationType = types.CustomizationTypeDistillation }, "ValidationException", []string{"DISTILLATION", "FINE_TUNING and CONTINUED_PRE_TRAINING"}},
		{"vpcConfig", func(in *input) {
			in.VpcConfig = &types.VpcConfig{SubnetIds: []string{"subnet-0123456789abcdef0"}, SecurityGroupIds: []string{"sg-0123456789abcdef0"}}
		}, "ValidationException", []string{"cannot attach jobs to a VPC", "is not run without", "cloister doctor"}},
		{"vpcConfig of the wrong shape", func(in *input) {
			in.VpcConfig = &types.VpcConfig{SubnetIds: []string{"subnet_1"}, SecurityGroupIds: []string{"sg-0123456789abcdef0"}}
		}, "ValidationException", []string{"vpcConfig.subnetIds", "regular expression pattern"}},
		{"51 tags", func(in *input) { in.JobTags = manyTags(51) }, "TooManyTagsException", []string{"50"}},
		{"job name with an underscore", func(in *input) { in.JobName = aws.String("a_b") }, "ValidationException", []string{"jobName", "regular expression pattern"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := cloistertest.JobInput("refused")
			in.CustomModelKmsKeyId = &key
			tt.change(in)
			_, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in)
			if cloister.Code(err) != tt.code {
				t.Fatalf("got %v, want %s", err, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(cloister.Message(err), want) {
					t.Errorf("message %q does not say %q", cloister.Message(err), want)
				}
			}
			nothingLeft(t, s, key)
		})
	}
	jobs, err := s.Bedrock.ListModelCustomizationJobs(t.Context(), &bedrock.ListModelCustomizationJobsInput{})
	if err != nil || len(jobs.ModelCustomizationJobSummaries) != 0 {
		t.Errorf("jobs after refusals: %v, %v, want none", jobs, err)
	}
	for _, id := range []string{disabled, pending} {
		wantGrants(t, s, id, 0)
	}
	in := cloistertest.JobInput("refused") // the name is free: no job was made
	in.CustomModelKmsKeyId = &key
	s.Create(t, in)
	if job := s.Wait(t, "refused"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Errorf("the good request: %s, %s", job.Status, aws.ToString(job.FailureMessage))
	}
}

func manyTags(n int) []types.Tag {
	var tags []types.Tag
	for i := range n {
		tags = append(tags, types.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
	}
	return tags
}

// meddler changes the data of a job when it asks for the n-th time whether it may read.
type meddler struct {
	cloister.Authorizer
	at int
	do func()

	mu    sync.Mutex // guards asked
	asked int
}

func (m *meddler) Authorize(ctx context.Context, access cloister.Access) error {
	if cloister.CallFrom(ctx).Principal.JobARN != "" && access.Action == "s3:GetObject" {
		m.mu.Lock()
		m.asked++
		now := m.asked == m.at
		m.mu.Unlock()
		if now {
			m.do()
		}
	}
	return m.Authorizer.Authorize(ctx, access)
}

// TestDataChangesWhileRead overwrites the training data between the looks that a job takes at it: once at
// creation; then, when it runs, before, at and after reading.
func TestDataChangesWhileRead(t *testing.T) {
	t.Parallel()
	for at, name := range map[int]string{3: "between look and read", 4: "while it is read"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &meddler{at: at}
			s := cloistertest.Start(t, cloistertest.Options{Seams: server.Seams{Auth: func(a cloister.Authorizer) cloister.Authorizer {
				if m.Authorizer == nil {
					m.Authorizer = a // S3, KMS and bedrock share it; IAM's own comes first and is the same
				}
				return m
			}}})
			key := s.Prepare(t)
			m.do = func() { s.Put(t, "train.jsonl", good+good) }
			in := cloistertest.JobInput("changing")
			in.CustomModelKmsKeyId = &key
			s.Create(t, in)
			job := s.Wait(t, "changing")
			if message := aws.ToString(job.FailureMessage); !strings.Contains(message, "s3://tm-bedrock-input-data/train.jsonl was changed while the job read it") {
				t.Errorf("job %s: %q", job.Status, message)
			}
			nothingLeft(t, s, key)
		})
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	refused := func(why string, in *bedrock.CreateModelCustomizationJobInput, code, text string) {
		t.Helper()
		in.CustomModelKmsKeyId = &key
		if _, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in); cloister.Code(err) != code || !strings.Contains(cloister.Message(err), text) {
			t.Errorf("%s: %v, want %s, %q", why, err, code, text)
		}
	}
	hang := cloistertest.JobInput("first")
	hang.CustomModelKmsKeyId, hang.ClientRequestToken = &key, aws.String("token-1")
	seed(executortest.SeedHang)(hang)
	first, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), hang)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), hang)
	if err != nil || *again.JobArn != *first.JobArn {
		t.Errorf("same token, same parameters: %v, %v, want the first job", again, err)
	}
	other := *hang // with the token
	other.CustomModelName = aws.String("other")
	refused("same token, other parameters", &other, "ConflictException", "clientRequestToken")
	wantGrants(t, s, key, 1)
	taken := cloistertest.JobInput("first")
	taken.CustomModelName = aws.String("free")
	refused("job name of a running job", taken, "ConflictException", "job name is currently in use: first")
	taken = cloistertest.JobInput("second")
	taken.CustomModelName = hang.CustomModelName
	refused("model name of a running job", taken, "ConflictException", "custom model name is currently in use: first-model")
	wantGrants(t, s, key, 1)
	if _, err := s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: hang.JobName}); err != nil {
		t.Fatal(err)
	}
	s.Wait(t, "first")
	refused("job name of a stopped job", cloistertest.JobInput("first"), "ConflictException", "first")
	again, err = s.Bedrock.CreateModelCustomizationJob(t.Context(), hang)
	if err != nil || *again.JobArn != *first.JobArn {
		t.Errorf("the token after the job's end: %v, %v, want the first job", again, err)
	}
	taken.CustomModelKmsKeyId = &key
	s.Create(t, taken) // the model's name is free again
	if job := s.Wait(t, "second"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("second job: %s, %s", job.Status, aws.ToString(job.FailureMessage))
	}
	third := cloistertest.JobInput("third")
	third.CustomModelName = hang.CustomModelName
	refused("name of a model", third, "ConflictException", "first-model")
	wantGrants(t, s, key, 1)
}
