package cloistertest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Names of AWS's document, which Prepare makes.
const (
	InputBucket  = "tm-bedrock-input-data"
	OutputBucket = "tm-bedrock-output-data"
	RoleName     = "tm-bedrock-new-service-role"
	RoleARN      = "arn:aws:iam::123456789012:role/service-role/" + RoleName
	TitanARN     = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k"
)

// Trust is a trust policy for model customization, as AWS's guide prints it.
const Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole",
"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnEquals":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/*"}}}]}`

// Prepare makes the buckets, the role and the data of AWS's document, and returns the ARN of a new key.
func (s *Server) Prepare(t testing.TB) (keyARN string) {
	t.Helper()
	for _, bucket := range []string{InputBucket, OutputBucket} {
		if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.IAM.CreateRole(t.Context(), &awsiam.CreateRoleInput{
		RoleName: aws.String(RoleName), Path: aws.String("/service-role/"), AssumeRolePolicyDocument: aws.String(Trust),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Put(t, "train.jsonl", Records(8))
	s.Put(t, "validation.jsonl", Records(2))
	key, err := s.KMS.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *key.KeyMetadata.Arn
}

// Put uploads text to the input bucket.
func (s *Server) Put(t testing.TB, key, text string) {
	t.Helper()
	_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(InputBucket), Key: &key, Body: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
}

// Records are n lines of fine-tuning data.
func Records(n int) string {
	return strings.Repeat(`{"prompt":"p","completion":"c"}`+"\n", n)
}

// JobInput is the request of AWS's document for a job of that name.
func JobInput(name string) *bedrock.CreateModelCustomizationJobInput {
	return &bedrock.CreateModelCustomizationJobInput{
		JobName: aws.String(name), CustomModelName: aws.String(name + "-model"), BaseModelIdentifier: aws.String(TitanARN), RoleArn: aws.String(RoleARN),
		TrainingDataConfig: &types.TrainingDataConfig{S3Uri: aws.String("s3://" + InputBucket + "/train.jsonl")},
		OutputDataConfig:   &types.OutputDataConfig{S3Uri: aws.String("s3://" + OutputBucket)},
		HyperParameters:    map[string]string{"batchSize": "1", "epochCount": "5", "learningRate": "0.00001", "learningRateWarmupSteps": "5"},
	}
}

// Create creates a job.
func (s *Server) Create(t testing.TB, in *bedrock.CreateModelCustomizationJobInput) {
	t.Helper()
	if _, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for a job of the fake engine: machines are shared.
const patience = 60 * time.Second

// Wait waits until a job has ended and has let go of all that it held, and returns its description.
func (s *Server) Wait(t testing.TB, name string) *bedrock.GetModelCustomizationJobOutput {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		job, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: &name})
		if err != nil {
			t.Fatal(err)
		}
		if job.EndTime != nil {
			s.waitDone(t, ID(*job.JobArn))
			return job
		}
		if time.Now().After(deadline) {
			t.Fatalf("job %s is still %s after %v", name, job.Status, patience)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// waitDone waits for the end of a job's event stream, which comes after its model.
func (s *Server) waitDone(t testing.TB, id string) {
	t.Helper()
	resp := s.Own(t, http.MethodGet, "jobs/"+id+"/events", nil, nil)
	defer func() { _ = resp.Body.Close() }()
	last := Event{}
	for e := range Events(t, resp.Body) {
		if e.Type == "done" {
			return
		}
		last = e
	}
	t.Errorf("the event stream of job %s ended without done, after %+v", id, last)
}
