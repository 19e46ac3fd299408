package harness

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/basemodel"
)

// Records makes training data that is the same at every run: the amount of work matters, not what it says.
func Records(n int) []byte {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, `{"prompt":"Item %d of the list: %s","completion":"%d"}`+"\n", i, strings.Repeat("the quick brown fox ", 4), i%7)
	}
	return out.Bytes()
}

const (
	inputBucket, outputBucket = "bench-input", "bench-output"
	trust                     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	// lookEvery is how often the client looks whether its job has ended; it counts.
	lookEvery   = 20 * time.Millisecond
	jobPatience = 5 * time.Minute
)

// Jobs runs customization jobs on cloister.tiny-v1:0, all on the same data. The engine and the base model must be installed.
type Jobs struct {
	client *bedrock.Client
	role   string
}

// NewJobs makes what jobs need: buckets, the data, a role.
func NewJobs(ctx context.Context, s *Server, data []byte) (*Jobs, error) {
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
	return &Jobs{bedrock.NewFromConfig(config), *role.Role.Arn}, nil
}

// Run runs one job to its end, in a VPC if vpc is not nil, and says how long that took as a client sees it: from the call that
// creates it until it is seen to have ended.
func (j *Jobs) Run(ctx context.Context, name string, vpc *types.VpcConfig) (time.Duration, error) {
	start := Now()
	created, err := j.client.CreateModelCustomizationJob(ctx, &bedrock.CreateModelCustomizationJobInput{
		JobName: &name, CustomModelName: &name, BaseModelIdentifier: aws.String(basemodel.Tiny), RoleArn: &j.role, VpcConfig: vpc,
		TrainingDataConfig: &types.TrainingDataConfig{S3Uri: aws.String("s3://" + inputBucket + "/train.jsonl")},
		OutputDataConfig:   &types.OutputDataConfig{S3Uri: aws.String("s3://" + outputBucket)},
		HyperParameters:    map[string]string{"batchSize": "4", "epochCount": "5", "learningRate": "0.00001"},
	})
	if err != nil {
		return 0, err
	}
	for {
		job, err := j.client.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: created.JobArn})
		if err != nil {
			return 0, err
		}
		wall := Now().Sub(start)
		if job.EndTime != nil {
			if job.Status != types.ModelCustomizationJobStatusCompleted {
				return 0, fmt.Errorf("job %s: %s: %s", name, job.Status, aws.ToString(job.FailureMessage))
			}
			return wall, nil
		}
		if wall > jobPatience {
			return 0, fmt.Errorf("job %s is still %s after %v", name, job.Status, jobPatience)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
