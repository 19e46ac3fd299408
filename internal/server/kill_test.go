package server_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	bedrockservice "example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/runner"
	"example.com/cloister/internal/store"
)

const killedJob = "killed-job"

// killRig has a data directory with one waiting job, whose creation was killed right after its commit.
type killRig struct {
	data, models, key string
	seams             int
}

func newKillRig(t *testing.T) killRig {
	t.Helper()
	dir := t.TempDir()
	r := killRig{data: filepath.Join(dir, "data"), models: filepath.Join(dir, "models")}
	cloistertest.BasesAt(t, r.models)
	var out bytes.Buffer
	child := cloistertest.StartChild(t, cloistertest.ChildSpec{Data: r.data, Models: r.models, Scratch: filepath.Join(dir, "scratch"), KillAt: 2}, nil, &out)
	s := child.Attach(t)
	r.key = s.Prepare(t)
	in := cloistertest.JobInput(killedJob)
	in.CustomModelKmsKeyId = &r.key
	in.ValidationDataConfig = &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://" + cloistertest.InputBucket + "/validation.jsonl")}}}
	if _, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in); err == nil {
		t.Fatal("the creation was answered by a process that was to die before")
	}
	if err := child.Wait(t); !cloistertest.Killed(err) {
		t.Fatalf("the child was not killed: %v\n%s", err, out.String())
	}
	// The dry run counts the seams of a whole job.
	counted := filepath.Join(dir, "count")
	r.run(t, cloistertest.ChildSpec{Data: r.copy(t), Count: counted}, false)
	text, err := os.ReadFile(counted)
	if err != nil {
		t.Fatal(err)
	}
	if r.seams, err = strconv.Atoi(string(text)); err != nil {
		t.Fatal(err)
	}
	// Nine steps begin and end, five are released, two files are sealed, the model appears, the job ends.
	if want := 2 * (2*9 + 5 + 2 + 1 + 1); r.seams != want {
		t.Fatalf("a job passes %d seams, want %d", r.seams, want)
	}
	return r
}

func (r killRig) copy(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	cloistertest.Copy(t, r.data, to)
	return to
}

// run runs a child until its end.
func (r killRig) run(t *testing.T, spec cloistertest.ChildSpec, killed bool) {
	t.Helper()
	var out bytes.Buffer
	spec.Models, spec.Scratch = r.models, filepath.Join(t.TempDir(), "scratch")
	err := cloistertest.StartChild(t, spec, nil, &out).Wait(t)
	if killed && !cloistertest.Killed(err) || !killed && err != nil {
		t.Fatalf("the child ended with %v\n%s", err, out.String())
	}
}

// state is what a data directory, of which no server runs, knows of the job.
type state struct {
	job       bedrockservice.Job
	log       []runner.Event
	artifacts []bedrockservice.Artifact
	recorded  map[blob.ID]bool
}

func look(t *testing.T, data string) state {
	t.Helper()
	db, err := store.OpenReader(t.Context(), filepath.Join(data, "cloister.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	b := db.Bedrock(time.Now)
	var s state
	var failed error
	try := func(err error) {
		if err != nil && failed == nil {
			failed = err
		}
	}
	s.job, err = b.Job(t.Context(), cloister.DefaultAccount, cloister.DefaultRegion, killedJob)
	try(err)
	logs, err := b.StepLogs(t.Context(), []string{s.job.ID})
	try(err)
	s.log = logs[s.job.ID]
	s.artifacts, err = b.Artifacts(t.Context(), s.job.ModelARN)
	try(err)
	s.recorded, err = b.ArtifactBlobs(t.Context())
	try(err)
	if failed != nil {
		t.Fatal(failed)
	}
	return s
}

func (s state) count(step string, phase runner.Phase) int {
	n := 0
	for _, e := range s.log {
		if e.Step == step && e.Phase == phase {
			n++
		}
	}
	return n
}

// sealed reports whether the artifact is complete: seal-artifact has succeeded and was not undone.
func (s state) sealed() bool {
	sealed := false
	for _, e := range s.log {
		if e.Step == "seal-artifact" {
			sealed = e.Phase == runner.Succeeded || sealed && e.Phase != runner.UndoStarted
		}
	}
	return sealed
}

// blobsIn lists the blobs of a data directory's folder.
func blobsIn(t *testing.T, data string) map[blob.ID]bool {
	t.Helper()
	dir, err := blob.OpenDirectory(filepath.Join(data, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	found := map[blob.ID]bool{}
	for id, err := range blob.OpenReader(dir).List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found[id] = true
	}
	return found
}

// TestKilledAtEverySeam kills a server at the n-th seam of a job's life, for every n, and starts another on
// its data directory, which must bring the job to its end as if nothing had happened.
func TestKilledAtEverySeam(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	for n := 1; n <= r.seams; n++ {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			data := r.copy(t)
			r.run(t, cloistertest.ChildSpec{Data: data, KillAt: n}, true)
			before := look(t, data)
			r.finishes(t, data, before)
		})
	}
}

// finishes starts a server on a data directory that a killed one left, and checks how the job ends.
func (r killRig) finishes(t *testing.T, data string, before state) {
	t.Helper()
	s := cloistertest.Start(t, cloistertest.Options{Data: data})
	job := s.Wait(t, killedJob)
	wantCompleted(t, s, r.key, job)
	s.Stop()
	after := look(t, data)
	attempt := before.job.Attempt
	if len(before.log) > 0 && !before.sealed() && before.job.Status == bedrockservice.InProgress {
		attempt++
	}
	if after.job.Attempt != attempt {
		t.Errorf("attempt %d after the kill, want %d", after.job.Attempt, attempt)
	}
	if before.sealed() {
		if diff := cmp.Diff(before.artifacts, after.artifacts); diff != "" {
			t.Errorf("the sealed artifact changed (-before +after):\n%s", diff)
		}
		if after.count("train", runner.Started) != before.count("train", runner.Started) {
			t.Error("the job trained again although its artifact was sealed")
		}
	}
	if diff := cmp.Diff(after.recorded, blobsIn(t, data)); diff != "" {
		t.Errorf("blobs recorded and there (-recorded +there):\n%s", diff)
	}
	if len(after.artifacts) != 2 || len(after.recorded) != 2 {
		t.Errorf("%d sealed files, %d blobs, want 2", len(after.artifacts), len(after.recorded))
	}
	empty(t, s.Host.Dir())
}

// wantCompleted checks all that a completed job leaves: one model whose artifact opens to the right
// weights, a grant, the metrics.
func wantCompleted(t *testing.T, s *cloistertest.Server, key string, job *bedrock.GetModelCustomizationJobOutput) {
	t.Helper()
	if job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s: %s", job.Status, aws.ToString(job.FailureMessage))
	}
	models, err := s.Bedrock.ListCustomModels(t.Context(), &bedrock.ListCustomModelsInput{})
	if err != nil || len(models.ModelSummaries) != 1 || *models.ModelSummaries[0].ModelArn != *job.OutputModelArn {
		t.Errorf("custom models: %v, %v, want exactly the job's", models, err)
	}
	weights := sha256.Sum256(executortest.FakeWeights([]byte(cloistertest.Records(8)), 0))
	if got := s.Compare(t, *job.OutputModelName, "p"); got.Custom.Answers[0] != fmt.Sprintf("%x", weights) {
		t.Error("the artifact does not open to the weights of the engine")
	}
	wantGrants(t, s, key, 1)
	prefix := "model-customization-job-" + jobID(job) + "/"
	steps := get(t, s, prefix+"training_artifacts/step_wise_training_metrics.csv")
	if !strings.HasPrefix(steps, "step_number,epoch_number,training_loss,perplexity\n0,0,2,") || strings.Count(steps, "\n") != 41 {
		t.Errorf("training metrics:\n%s", steps)
	}
	for _, name := range []string{"", "validation/"} {
		csv := get(t, s, prefix+"validation_artifacts/post_fine_tuning_validation/"+name+"validation_metrics.csv")
		if strings.Count(csv, "\n") != 6 || !strings.HasPrefix(csv, "step_number,epoch_number,validation_loss,perplexity\n7,0,1.5,") {
			t.Errorf("validation metrics:\n%s", csv)
		}
	}
}

func jobID(job *bedrock.GetModelCustomizationJobOutput) string {
	return cloistertest.ID(*job.JobArn)
}

func wantGrants(t *testing.T, s *cloistertest.Server, key string, want int) {
	t.Helper()
	grants, err := s.KMS.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
	if err != nil || len(grants.Grants) != want {
		t.Errorf("grants: %v, %v, want %d", grants, err, want)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("scratches left: %v, %v", left, err)
	}
}

// TestKilledEveryTime kills a job in every attempt: it fails as Interrupted after three, or completes if its
// artifact was sealed.
func TestKilledEveryTime(t *testing.T) {
	t.Parallel()
	r := newKillRig(t)
	t.Run("while training", func(t *testing.T) {
		t.Parallel()
		data := r.copy(t)
		for attempt := 1; attempt <= 3; attempt++ {
			r.run(t, cloistertest.ChildSpec{Data: data, KillIn: "train"}, true)
			if got := look(t, data); got.job.Attempt != attempt || got.count("train", runner.Started) != attempt {
				t.Fatalf("attempt %d, training begun %d times, want %d", got.job.Attempt, got.count("train", runner.Started), attempt)
			}
		}
		s := cloistertest.Start(t, cloistertest.Options{Data: data})
		job := s.Wait(t, killedJob)
		if message := aws.ToString(job.FailureMessage); job.Status != types.ModelCustomizationJobStatusFailed || !strings.HasPrefix(message, "Interrupted") {
			t.Errorf("job %s, %q, want Failed, Interrupted", job.Status, message)
		}
		wantGrants(t, s, r.key, 0)
		models, err := s.Bedrock.ListCustomModels(t.Context(), &bedrock.ListCustomModelsInput{})
		if err != nil || len(models.ModelSummaries) != 0 {
			t.Errorf("custom models: %v, %v, want none", models, err)
		}
		wantNoOutput(t, s)
		s.Stop()
		if after := look(t, data); after.job.WrappedKey != nil || len(after.recorded) != 0 || len(blobsIn(t, data)) != 0 {
			t.Errorf("left: key %t, %d blobs recorded, %d there", after.job.WrappedKey != nil, len(after.recorded), len(blobsIn(t, data)))
		}
		empty(t, s.Host.Dir())
	})
	t.Run("while output is written", func(t *testing.T) {
		t.Parallel()
		data := r.copy(t)
		for range 3 {
			r.run(t, cloistertest.ChildSpec{Data: data, KillIn: "write-output"}, true)
		}
		before := look(t, data)
		if !before.sealed() || before.count("write-output", runner.Started) != 3 {
			t.Fatalf("sealed %t, write-output begun %d times, want 3", before.sealed(), before.count("write-output", runner.Started))
		}
		r.finishes(t, data, before)
	})
}

// TestKilledWhileStopping kills a server that has just been asked to stop a job: the next one stops it, and what
// it had measured is kept.
func TestKilledWhileStopping(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := cloistertest.ChildSpec{Data: filepath.Join(dir, "data"), Models: filepath.Join(dir, "models"), Scratch: filepath.Join(dir, "scratch"), KillOn: bedrockservice.Stopping}
	cloistertest.BasesAt(t, spec.Models)
	var out bytes.Buffer
	child := cloistertest.StartChild(t, spec, nil, &out)
	s := child.Attach(t)
	key := s.Prepare(t)
	in := cloistertest.Seed(cloistertest.JobInput("stopping"), executortest.SeedHang)
	in.CustomModelKmsKeyId = &key
	s.Create(t, in)
	s.WaitTraining(t, "stopping")
	if _, err := s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: in.JobName}); err == nil {
		t.Error("the stop was answered by a process that was to die before")
	}
	if err := child.Wait(t); !cloistertest.Killed(err) {
		t.Fatalf("the child ended with %v\n%s", err, out.String())
	}
	s = cloistertest.Start(t, cloistertest.Options{Data: spec.Data})
	job := s.Wait(t, "stopping")
	if job.Status != types.ModelCustomizationJobStatusStopped || job.FailureMessage != nil {
		t.Errorf("job %s, %q, want Stopped", job.Status, aws.ToString(job.FailureMessage))
	}
	steps := get(t, s, "model-customization-job-"+jobID(job)+"/training_artifacts/step_wise_training_metrics.csv")
	if !strings.HasPrefix(steps, "step_number,epoch_number,training_loss,perplexity\n0,0,2,") {
		t.Errorf("training metrics:\n%.200s", steps)
	}
	if keys := s.Keys(t, cloistertest.OutputBucket); len(keys) != 1 {
		t.Errorf("output: %v, want the step metrics alone", keys)
	}
	wantGrants(t, s, key, 0)
	empty(t, s.Host.Dir())
}

// TestKilledAtRandom kills at random times as often as CLOISTER_KILL_ROUNDS says (test-long says 100; without
// it three times).
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	rounds := 3
	if text := os.Getenv("CLOISTER_KILL_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("CLOISTER_KILL_ROUNDS: %v", err)
		}
	}
	r := newKillRig(t)
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			t.Parallel()
			data := r.copy(t)
			after := time.Duration(rand.IntN(700)) * time.Millisecond
			var out bytes.Buffer
			child := cloistertest.StartChild(t, cloistertest.ChildSpec{Data: data, Models: r.models, Scratch: filepath.Join(t.TempDir(), "scratch")}, nil, &out)
			time.Sleep(after)
			child.Kill(t)
			t.Logf("killed after %v", after)
			r.finishes(t, data, look(t, data))
		})
	}
}

func wantNoOutput(t *testing.T, s *cloistertest.Server) {
	t.Helper()
	if keys := s.Keys(t, cloistertest.OutputBucket); len(keys) != 0 {
		t.Errorf("output left: %s", keys)
	}
}
