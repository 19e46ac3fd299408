package harness

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/store"
)

// SeedJobs puts n completed jobs, each with its custom model, into the store of a data directory on which no
// server runs. They are named job-000000 and so on, one a minute up to now.
func SeedJobs(ctx context.Context, data string, n int, now time.Time) (err error) {
	db, err := store.Open(ctx, filepath.Join(data, "cloister.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	jobs := db.Bedrock(func() time.Time { return now })
	for i := range n {
		if err := seedJob(ctx, jobs, i, now.Add(time.Duration(i-n)*time.Minute)); err != nil {
			return fmt.Errorf("job %d of %d: %w", i, n, err)
		}
	}
	return nil
}

func seedJob(ctx context.Context, jobs *store.Bedrock, i int, created time.Time) error {
	const asked = "amazon.titan-text-lite-v1:0:4k"
	region, account := cloister.DefaultRegion, cloister.DefaultAccount
	id := fmt.Sprintf("%012d", i)
	arn := func(kind string) string {
		return cloister.NewARN("bedrock", region, account, kind+"/"+asked+"/"+id).String()
	}
	loss := 1.5
	j := bedrock.Job{
		ID: id, Account: account, Region: region, Name: fmt.Sprintf("job-%06d", i), ARN: arn("model-customization-job"),
		Principal: cloister.RootPrincipal(account).ARN, ModelName: fmt.Sprintf("model-%06d", i), ModelARN: arn("custom-model"),
		Type: "FINE_TUNING", AskedBase: asked, UsedBase: "cloister.tiny-v1:0",
		RoleARN: cloister.NewARN("iam", "", account, "role/bench").String(), TrainingURI: "s3://bench-input/train.jsonl",
		OutputURI: "s3://bench-output/", HyperParameters: map[string]string{
			"batchSize": "1", "epochCount": "5", "learningRate": "0.00001", "learningRateWarmupSteps": "5",
		},
		Training: bedrock.Training{Method: "full", Epochs: 5, BatchSize: 1, LearningRate: 1e-5, UsedLearningRate: 1e-5, LearningRateScale: 1, WarmupSteps: 5, MaxSequenceLength: 1024},
		Status:   bedrock.InProgress, Created: created, Modified: created,
	}
	if err := jobs.CreateJob(ctx, j, map[string]string{"team": "bench"}, nil, 1); err != nil {
		return err
	}
	ended := created.Add(50 * time.Second)
	model := bedrock.Model{
		ARN: j.ModelARN, Account: account, Region: region, Name: j.ModelName, JobID: id, JobARN: j.ARN, JobName: j.Name, Type: j.Type,
		AskedBase: asked, UsedBase: j.UsedBase, Method: "full", Created: ended,
	}
	complete := func(job *bedrock.Job) error {
		job.Status, job.Modified, job.Ended, job.TrainingLoss = bedrock.Completed, ended, ended, &loss
		return nil
	}
	if err := jobs.RegisterModel(ctx, model, complete); err != nil {
		return err
	}
	return jobs.FinishJob(ctx, id, func(*bedrock.Job) error { return nil })
}
