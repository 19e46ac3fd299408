package api

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
)

// keys are object keys that break careless servers.
func keys() []string {
	return []string{"plain", "a//b", "a/../b", "./x", "a+b", "a%2Fb", "a b", "ünï/日本", "q?x=1&y", "tail/", "semi;colon", "star*'()!~", "//two"}
}

func TestGoSDK(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	ctx := t.Context()

	c := e.config()
	c.Credentials = credentials.NewStaticCredentialsProvider(tempKey, tempSecret, tempToken)
	who, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, nil)
	if err != nil || *who.Arn != "arn:aws:sts::123456789012:assumed-role/r/s" {
		t.Errorf("GetCallerIdentity with temporary keys = %v, %v", who, err)
	}
	jobs := bedrock.NewFromConfig(e.config())
	created, err := jobs.CreateModelCustomizationJob(ctx, &bedrock.CreateModelCustomizationJobInput{
		JobName: aws.String("job"), CustomModelName: aws.String("m"), RoleArn: aws.String("arn:aws:iam::123456789012:role/r"),
		BaseModelIdentifier: aws.String("x"), TrainingDataConfig: &bedrocktypes.TrainingDataConfig{S3Uri: aws.String("s3://bucket/x")},
		OutputDataConfig: &bedrocktypes.OutputDataConfig{S3Uri: aws.String("s3://bucket")},
	})
	if err != nil {
		t.Fatal(err)
	}
	call := e.bedrock.call
	if call.Region != "us-east-1" || call.Principal != cloister.RootPrincipal(cloister.DefaultAccount) || !call.Secure || call.SourceIP != "127.0.0.1" || call.RequestID == "" {
		t.Errorf("the method's call = %+v", call)
	}
	if job, err := jobs.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: created.JobArn}); err != nil || *job.JobName != "job" {
		t.Errorf("GetModelCustomizationJob by ARN = %v, %v", job, err)
	}
	var missing *bedrocktypes.ResourceNotFoundException
	if _, err := jobs.GetModelCustomizationJob(ctx, &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("x")}); !errors.As(err, &missing) {
		t.Errorf("GetModelCustomizationJob of nothing = %v", err)
	}
	var entity *iamtypes.NoSuchEntityException
	if _, err := awsiam.NewFromConfig(e.config()).GetRole(ctx, &awsiam.GetRoleInput{RoleName: aws.String("r")}); !errors.As(err, &entity) {
		t.Errorf("GetRole of nothing = %v", err)
	}
}

func TestGoSDKObjects(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	ctx := t.Context()
	c := s3.NewFromConfig(e.config())
	for _, key := range keys() {
		if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: strings.NewReader(key)}); err != nil {
			t.Errorf("PutObject(%q): %v", key, err)
			continue
		}
		got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
		if err != nil {
			t.Errorf("GetObject(%q): %v", key, err)
			continue
		}
		if data, err := io.ReadAll(got.Body); string(data) != key || err != nil {
			t.Errorf("GetObject(%q) = %q, %v", key, data, err)
		}
	}
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(rand.UintN(256))
	}
	for _, algorithm := range []s3types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		// A reader that cannot seek: the checksum comes as a trailer.
		in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("big"), Body: io.MultiReader(bytes.NewReader(data)), ContentLength: aws.Int64(int64(len(data))), ChecksumAlgorithm: algorithm}
		if _, err := c.PutObject(ctx, in); err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		stored := e.s3.objects["big"]
		if !bytes.Equal(stored.data, data) || stored.sums[strings.ToLower(string(algorithm))] == "" {
			t.Errorf("%s: %d bytes arrived, checksums %v", algorithm, len(stored.data), stored.sums)
		}
	}
}

// TestDamagedObject wants an error, never a short answer, for an object that cannot be read to its end.
func TestDamagedObject(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	c := s3.NewFromConfig(e.config())
	for _, key := range []string{"damaged-at-once", "damaged-later"} {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: bytes.NewReader(make([]byte, 1<<20))}); err != nil {
			t.Fatal(err)
		}
		got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
		if key == "damaged-at-once" {
			if cloister.Code(err) != "InternalError" {
				t.Errorf("%s: GetObject = %v, want InternalError", key, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(got.Body); err == nil {
			t.Errorf("%s: %d bytes and a clean end", key, len(data))
		}
	}
}

// find returns the path of a client; CI must have it.
func find(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing, and CI=true wants it", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

func (e *edge) environ(t *testing.T) []string {
	t.Helper()
	return append(os.Environ(), "AWS_ENDPOINT_URL="+e.url, "AWS_CA_BUNDLE="+e.ca, "AWS_ACCESS_KEY_ID="+rootKey, "AWS_SECRET_ACCESS_KEY="+rootSecret,
		"AWS_DEFAULT_REGION=us-east-1", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
}

func TestBoto3(t *testing.T) {
	t.Parallel()
	python := find(t, "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("boto3 is missing, and CI=true wants it")
		}
		t.Skip("boto3 is not installed")
	}
	e := start(t, nil)
	cmd := exec.CommandContext(t.Context(), python, "testdata/checks.py", e.url)
	cmd.Env = e.environ(t)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("checks.py: %v\n%s", err, out)
	}
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	aws := find(t, "aws")
	e := start(t, nil)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), aws, args...)
		cmd.Env = e.environ(t)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(want string, args ...string) {
		t.Helper()
		if out, err := run(args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("aws %s: %v\n%s\nwant %q", strings.Join(args, " "), err, out, want)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, bytes.Repeat([]byte("data\n"), 100000), 0o600); err != nil {
		t.Fatal(err)
	}
	must(`"Arn": "arn:aws:iam::123456789012:root"`, "sts", "get-caller-identity")
	must("model-customization-job/", "bedrock", "create-model-customization-job", "--job-name", "tm", "--custom-model-name", "tm", "--role-arn", "arn:aws:iam::123456789012:role/service-role/tm",
		"--base-model-identifier", "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1:0:4k", "--training-data-config", `s3Uri="s3://tm-data/train.jsonl"`,
		"--output-data-config", `s3Uri="s3://tm-data"`, "--hyper-parameters", `batchSize="1",epochCount="5"`)
	must("null", "bedrock", "get-model-customization-job", "--query", "vpcConfig", "--job-identifier",
		"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd")
	must("upload: ", "s3", "cp", file, "s3://bucket/dir/a+b c.txt")
	must("a+b c.txt", "s3", "ls", "--recursive", "s3://bucket")
	must("download: ", "s3", "cp", "s3://bucket/dir/a+b c.txt", file+".2")
	if got, err := os.ReadFile(file + ".2"); err != nil || !bytes.Equal(got, bytes.Repeat([]byte("data\n"), 100000)) {
		t.Errorf("the file came back with %d bytes, %v", len(got), err)
	}
	must("delete: ", "s3", "rm", "s3://bucket/dir/a+b c.txt")
	url, err := run("s3", "presign", "s3://bucket/key")
	if err != nil {
		t.Fatal(err)
	}
	response, err := e.client.Get(strings.TrimSpace(url))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	// The stock CLI signs with version 2 unless told otherwise.
	if err != nil || response.StatusCode != http.StatusBadRequest || !bytes.Contains(body, []byte("AWS4-HMAC-SHA256")) {
		t.Errorf("a presigned URL = %d %s %v", response.StatusCode, body, err)
	}
}
