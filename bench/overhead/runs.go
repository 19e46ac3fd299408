package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/basemodel"
	bedrockservice "example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/install"
	"example.com/cloister/internal/server"
	"example.com/cloister/internal/store"
)

// records makes training data that is the same at every run: the amount of work matters, not what it says.
func records(n int) []byte {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, `{"prompt":"Item %d of the list: %s","completion":"%d"}`+"\n", i, strings.Repeat("the quick brown fox ", 4), i%7)
	}
	return out.Bytes()
}

const (
	inputBucket, outputBucket = "bench-input", "bench-output"
	trust                     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	// lookEvery is how often the client looks whether its job has ended; it counts as overhead.
	lookEvery = 20 * time.Millisecond
	patience  = 5 * time.Minute
)

// jobs runs customization jobs on a server and reads their records from its store.
type jobs struct {
	client *bedrock.Client
	db     *store.DB
	role   string
}

func newJobs(ctx context.Context, s *harness.Server, data []byte) (*jobs, error) {
	config, err := s.Client(ctx, 4)
	if err != nil {
		return nil, err
	}
	objects := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{inputBucket, outputBucket} {
		if _, err := objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
			return nil, err
		}
	}
	_, err = objects.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(inputBucket), Key: aws.String("train.jsonl"), Body: bytes.NewReader(data)})
	if err != nil {
		return nil, err
	}
	role, err := iam.NewFromConfig(config).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("bench"), AssumeRolePolicyDocument: aws.String(trust)})
	if err != nil {
		return nil, err
	}
	db, err := store.OpenReader(ctx, filepath.Join(s.Data, "cloister.db"))
	if err != nil {
		return nil, err
	}
	return &jobs{bedrock.NewFromConfig(config), db, *role.Role.Arn}, nil
}

func (j *jobs) close() error { return j.db.Close() }

// run runs one job to its end and says what it took, and with which parameters it trained.
func (j *jobs) run(ctx context.Context, name string) (sample, bedrockservice.Training, error) {
	start := harness.Now()
	created, err := j.client.CreateModelCustomizationJob(ctx, &bedrock.CreateModelCustomizationJobInput{
		JobName: &name, CustomModelName: &name, BaseModelIdentifier: aws.String(basemodel.Tiny), RoleArn: &j.role,
		TrainingDataConfig: &types.TrainingDataConfig{S3Uri: aws.String("s3://" + inputBucket + "/train.jsonl")},
		OutputDataConfig:   &types.OutputDataConfig{S3Uri: aws.String("s3://" + outputBucket)},
		HyperParameters:    map[string]string{"batchSize": "4", "epochCount": "5", "learningRate": "0.00001"},
	})
	if err != nil {
		return sample{}, bedrockservice.Training{}, err
	}
	for {
		job, err := j.client.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: created.JobArn})
		if err != nil {
			return sample{}, bedrockservice.Training{}, err
		}
		if job.EndTime != nil {
			if job.Status != types.ModelCustomizationJobStatusCompleted {
				return sample{}, bedrockservice.Training{}, fmt.Errorf("job %s: %s: %s", name, job.Status, aws.ToString(job.FailureMessage))
			}
			break
		}
		if harness.Now().Sub(start) > patience {
			return sample{}, bedrockservice.Training{}, fmt.Errorf("job %s is still %s after %v", name, job.Status, patience)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return sample{}, bedrockservice.Training{}, context.Cause(ctx)
		}
	}
	wall := harness.Now().Sub(start)
	row, err := j.db.Bedrock(harness.Now).Job(ctx, cloister.DefaultAccount, cloister.DefaultRegion, name)
	if err != nil {
		return sample{}, bedrockservice.Training{}, err
	}
	s := sample{cpu: row.Record.CPUSeconds, engine: row.Record.WallSeconds, job: wall.Seconds(), tokens: row.Record.Tokens}
	if s.cpu <= 0 || s.tokens <= 0 {
		return sample{}, bedrockservice.Training{}, fmt.Errorf("job %s recorded no CPU time or tokens", name)
	}
	return s, row.Training, nil
}

// yardstick runs the same engine without isolation.
type yardstick struct {
	spec    engine.Train
	data    []byte
	command process.Command
}

func newYardstick(t bedrockservice.Training, data []byte) (*yardstick, error) {
	home, err := install.DefaultHome(os.Geteuid(), os.Getenv)
	if err != nil {
		return nil, err
	}
	installed, err := home.Engine()
	if err != nil {
		return nil, err
	}
	models, err := home.Models()
	if err != nil {
		return nil, err
	}
	if _, err := models.Get(basemodel.Tiny); err != nil {
		return nil, fmt.Errorf("%w: run 'cloister models add tiny'", err)
	}
	threads := server.Default().Threads()
	return &yardstick{
		spec: engine.Train{
			Base: models.Dir(basemodel.Tiny), Task: engine.FineTuning, Method: t.Method, LoRARank: t.LoRARank, Epochs: t.Epochs, BatchSize: t.BatchSize,
			LearningRate: t.UsedLearningRate, WarmupSteps: t.WarmupSteps, MaxLength: t.MaxSequenceLength, Seed: t.Seed, Threads: threads,
		},
		data: data, command: process.Command{Python: installed.Python, Env: installed.Env(threads)},
	}, nil
}

func (y *yardstick) run(ctx context.Context) (_ sample, err error) {
	box, err := newBare()
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, box.Destroy(ctx)) }()
	if err := box.put(engine.TrainFile, y.data); err != nil {
		return sample{}, err
	}
	spec := y.spec
	spec.TrainFile, spec.Output = box.host(engine.TrainFile), box.host(engine.OutputPath)
	var tokens int64
	result, err := y.command.Run(ctx, box, &spec, func(e engine.Event) error {
		if step, ok := e.(*engine.Step); ok {
			tokens = step.TokensTotal
		}
		return nil
	}, nil)
	if err != nil {
		return sample{}, err
	}
	if _, ok := result.Final.(*engine.Completed); !ok {
		return sample{}, fmt.Errorf("the bare engine ended with status %d and %T", result.Exit.Code, result.Final)
	}
	return sample{cpu: result.Exit.CPU.Seconds(), engine: result.Exit.Wall.Seconds(), tokens: tokens}, nil
}
