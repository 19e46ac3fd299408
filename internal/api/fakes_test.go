package api

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
)

// The fakes below answer what the tests ask, in memory. Methods that they lack panic, as a nil interface does.

type fakeCredentials map[string]iam.Credential

func (f fakeCredentials) Credential(_ context.Context, id string) (iam.Credential, error) {
	if id == "AKIABROKEN" {
		return iam.Credential{}, errors.New("the database is on fire")
	}
	c, ok := f[id]
	if !ok {
		return iam.Credential{}, cloister.Errorf("InvalidClientTokenId", "no such key")
	}
	return c, nil
}

type fakeBedrock struct {
	Bedrock
	mu   sync.Mutex
	jobs map[string]*bedrock.GetModelCustomizationJobOutput
	call cloister.Call
}

func (f *fakeBedrock) CreateModelCustomizationJob(ctx context.Context, in *bedrock.CreateModelCustomizationJobInput, _ ...func(*bedrock.Options)) (*bedrock.CreateModelCustomizationJobOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call = cloister.CallFrom(ctx)
	arn := "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd"
	f.jobs[arn] = &bedrock.GetModelCustomizationJobOutput{
		JobArn: &arn, JobName: in.JobName, HyperParameters: in.HyperParameters, CreationTime: aws.Time(time.Unix(1700000000, 123e6)),
		VpcConfig: in.VpcConfig, ValidationMetrics: []bedrocktypes.ValidatorMetric{}, CustomizationType: in.CustomizationType,
	}
	return &bedrock.CreateModelCustomizationJobOutput{JobArn: &arn}, nil
}

func (f *fakeBedrock) GetModelCustomizationJob(_ context.Context, in *bedrock.GetModelCustomizationJobInput, _ ...func(*bedrock.Options)) (*bedrock.GetModelCustomizationJobOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if job, ok := f.jobs[*in.JobIdentifier]; ok {
		return job, nil
	}
	return nil, cloister.Errorf("ResourceNotFoundException", "Could not find model customization job.")
}

type fakeEC2 struct{ EC2 }

func (fakeEC2) DescribeVpcs(_ context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return &ec2.DescribeVpcsOutput{Vpcs: []ec2types.Vpc{{VpcId: aws.String(in.VpcIds[0])}}}, nil
}

type fakeKMS struct{ KMS }

func (fakeKMS) CreateKey(context.Context, *kms.CreateKeyInput, ...func(*kms.Options)) (*kms.CreateKeyOutput, error) {
	return &kms.CreateKeyOutput{KeyMetadata: &kmstypes.KeyMetadata{KeyId: aws.String("k"), CreationDate: aws.Time(time.Unix(1700000000, 0)), Enabled: true}}, nil
}

func (fakeKMS) Encrypt(_ context.Context, in *kms.EncryptInput, _ ...func(*kms.Options)) (*kms.EncryptOutput, error) {
	return &kms.EncryptOutput{CiphertextBlob: slices.Concat([]byte("sealed:"), in.Plaintext), KeyId: in.KeyId}, nil
}

func (fakeKMS) DescribeKey(_ context.Context, in *kms.DescribeKeyInput, _ ...func(*kms.Options)) (*kms.DescribeKeyOutput, error) {
	switch *in.KeyId {
	case "panic":
		panic("a bug with secret-in-panic")
	case "error":
		return nil, errors.New("internal-detail")
	}
	return nil, &kmstypes.NotFoundException{Message: aws.String("Key '" + *in.KeyId + "' does not exist")}
}

type fakeIAM struct{ IAM }

func (fakeIAM) CreateRole(_ context.Context, in *awsiam.CreateRoleInput, _ ...func(*awsiam.Options)) (*awsiam.CreateRoleOutput, error) {
	return &awsiam.CreateRoleOutput{Role: &iamtypes.Role{
		RoleName: in.RoleName, Arn: aws.String("arn:aws:iam::123456789012:role/" + *in.RoleName), Path: aws.String("/"), RoleId: aws.String("AROAX"),
		CreateDate: aws.Time(time.Unix(1700000000, 0)), AssumeRolePolicyDocument: aws.String(url.PathEscape(*in.AssumeRolePolicyDocument)), Tags: in.Tags,
	}}, nil
}

func (fakeIAM) GetRole(_ context.Context, in *awsiam.GetRoleInput, _ ...func(*awsiam.Options)) (*awsiam.GetRoleOutput, error) {
	return nil, &iamtypes.NoSuchEntityException{Message: aws.String("The role with name " + *in.RoleName + " cannot be found.")}
}

type fakeSTS struct{}

func (fakeSTS) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput, _ ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	p := cloister.CallFrom(ctx).Principal
	return &sts.GetCallerIdentityOutput{Account: aws.String(string(p.Account)), Arn: &p.ARN, UserId: &p.ID}, nil
}

type object struct {
	data     []byte
	metadata map[string]string
	sums     map[string]string
}

type fakeS3 struct {
	S3
	mu      sync.Mutex
	objects map[string]object
	parts   map[int32][]byte
	gate    chan struct{} // if not nil, HeadBucket waits for it
	slow    time.Duration // HeadBucket's work
}

func (f *fakeS3) CreateBucket(_ context.Context, in *s3.CreateBucketInput, _ ...func(*s3.Options)) (*s3.CreateBucketOutput, error) {
	return &s3.CreateBucketOutput{Location: aws.String("/" + *in.Bucket)}, nil
}

func (f *fakeS3) HeadBucket(ctx context.Context, _ *s3.HeadBucketInput, _ ...func(*s3.Options)) (*s3.HeadBucketOutput, error) {
	if f.gate != nil {
		<-f.gate
	}
	select {
	case <-time.After(f.slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &s3.HeadBucketOutput{BucketRegion: aws.String("us-east-1")}, nil
}

func (f *fakeS3) GetBucketLocation(context.Context, *s3.GetBucketLocationInput, ...func(*s3.Options)) (*s3.GetBucketLocationOutput, error) {
	return &s3.GetBucketLocationOutput{LocationConstraint: "eu-west-1"}, nil
}

func (f *fakeS3) GetBucketEncryption(context.Context, *s3.GetBucketEncryptionInput, ...func(*s3.Options)) (*s3.GetBucketEncryptionOutput, error) {
	return nil, cloister.Errorf("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")
}

func (f *fakeS3) PutObject(_ context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	if in.ContentLength == nil || *in.ContentLength != int64(len(data)) {
		return nil, fmt.Errorf("Content-Length is %v, the body %d", in.ContentLength, len(data))
	}
	o := object{data: data, metadata: in.Metadata}
	if c, ok := in.Body.(interface{ Checksums() map[string]string }); ok {
		o.sums = c.Checksums()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[*in.Key] = o
	return &s3.PutObjectOutput{ETag: etag(data), ServerSideEncryption: s3types.ServerSideEncryptionAes256}, nil
}

func etag(data []byte) *string {
	sum := md5.Sum(data)
	return aws.String(`"` + hex.EncodeToString(sum[:]) + `"`)
}

func (f *fakeS3) find(key string) (object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	if !ok {
		e := cloister.Errorf("NoSuchKey", "The specified key does not exist.")
		e.Fields = map[string]string{"BucketName": "bucket", "Key": key}
		return o, e
	}
	return o, nil
}

// failingReader breaks off after its data.
type failingReader struct{ io.Reader }

func (r failingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("segment 3 does not authenticate")
	}
	return n, err
}

func (f *fakeS3) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	o, err := f.find(*in.Key)
	if err != nil {
		return nil, err
	}
	out := &s3.GetObjectOutput{
		ContentLength: aws.Int64(int64(len(o.data))), ETag: etag(o.data), Metadata: o.metadata, AcceptRanges: aws.String("bytes"),
		LastModified: aws.Time(time.Unix(1700000000, 0)), ContentType: aws.String("binary/octet-stream"),
	}
	data := o.data
	if in.Range != nil {
		var from, to int
		if _, err := fmt.Sscanf(*in.Range, "bytes=%d-%d", &from, &to); err != nil || to >= len(data) {
			return nil, cloister.Errorf("InvalidRange", "The requested range is not satisfiable")
		}
		out.ContentRange = aws.String(fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
		data = data[from : to+1]
		out.ContentLength = aws.Int64(int64(len(data)))
	}
	out.Body = io.NopCloser(bytes.NewReader(data))
	switch *in.Key {
	case "damaged-at-once":
		out.Body = io.NopCloser(failingReader{strings.NewReader("")})
	case "damaged-later":
		out.Body = io.NopCloser(failingReader{bytes.NewReader(data[:len(data)/2])})
	}
	return out, nil
}

func (f *fakeS3) HeadObject(_ context.Context, in *s3.HeadObjectInput, _ ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	o, err := f.find(*in.Key)
	if err != nil {
		return nil, err
	}
	return &s3.HeadObjectOutput{ContentLength: aws.Int64(int64(len(o.data))), ETag: etag(o.data), Metadata: o.metadata, LastModified: aws.Time(time.Unix(1700000000, 0))}, nil
}

func (f *fakeS3) DeleteObject(_ context.Context, in *s3.DeleteObjectInput, _ ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.objects, *in.Key)
	return &s3.DeleteObjectOutput{}, nil
}

func (f *fakeS3) DeleteObjects(_ context.Context, in *s3.DeleteObjectsInput, _ ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &s3.DeleteObjectsOutput{}
	for _, o := range in.Delete.Objects {
		delete(f.objects, *o.Key)
		out.Deleted = append(out.Deleted, s3types.DeletedObject{Key: o.Key})
	}
	return out, nil
}

func (f *fakeS3) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &s3.ListObjectsV2Output{Name: in.Bucket, EncodingType: in.EncodingType, KeyCount: aws.Int32(int32(len(f.objects))), IsTruncated: aws.Bool(false), MaxKeys: aws.Int32(1000)}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		o := f.objects[key]
		if in.EncodingType == s3types.EncodingTypeUrl {
			key = url.QueryEscape(key)
		}
		out.Contents = append(out.Contents, s3types.Object{Key: &key, Size: aws.Int64(int64(len(o.data))), ETag: etag(o.data), LastModified: aws.Time(time.Unix(1700000000, 0))})
	}
	return out, nil
}

func (f *fakeS3) CreateMultipartUpload(_ context.Context, in *s3.CreateMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error) {
	return &s3.CreateMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, UploadId: aws.String("u1")}, nil
}

func (f *fakeS3) UploadPart(_ context.Context, in *s3.UploadPartInput, _ ...func(*s3.Options)) (*s3.UploadPartOutput, error) {
	data, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts[*in.PartNumber] = data
	return &s3.UploadPartOutput{ETag: etag(data)}, nil
}

func (f *fakeS3) CompleteMultipartUpload(_ context.Context, in *s3.CompleteMultipartUploadInput, _ ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []byte
	for _, p := range in.MultipartUpload.Parts {
		all = append(all, f.parts[*p.PartNumber]...)
	}
	f.objects[*in.Key] = object{data: all}
	return &s3.CompleteMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, ETag: aws.String(`"multi-2"`)}, nil
}
