package s3_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
	"example.com/cloister/internal/s3"
)

// operations are the methods that serve requests, with the IAM action that each must ask for first.
func operations() map[string]string {
	return map[string]string{
		"CreateBucket": "s3:CreateBucket", "HeadBucket": "s3:ListBucket", "ListBuckets": "s3:ListAllMyBuckets", "DeleteBucket": "s3:DeleteBucket",
		"GetBucketLocation": "s3:GetBucketLocation", "PutBucketEncryption": "s3:PutEncryptionConfiguration",
		"GetBucketEncryption": "s3:GetEncryptionConfiguration", "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
		"PutObject": "s3:PutObject", "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "DeleteObject": "s3:DeleteObject",
		"DeleteObjects": "s3:DeleteObject", "ListObjects": "s3:ListBucket", "ListObjectsV2": "s3:ListBucket",
		"CreateMultipartUpload": "s3:PutObject", "UploadPart": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
		"AbortMultipartUpload": "s3:AbortMultipartUpload", "ListParts": "s3:ListMultipartUploadParts",
		"ListMultipartUploads": "s3:ListBucketMultipartUploads", "GetBucketPolicy": "s3:GetBucketPolicy", "PutBucketPolicy": "s3:PutBucketPolicy",
		"DeleteBucketPolicy": "s3:DeleteBucketPolicy", "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
		"PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock", "DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	}
}

// client is what the SDK's client and this service have in common: the compiler checks every signature.
type client interface {
	CreateBucket(context.Context, *awss3.CreateBucketInput, ...func(*awss3.Options)) (*awss3.CreateBucketOutput, error)
	HeadBucket(context.Context, *awss3.HeadBucketInput, ...func(*awss3.Options)) (*awss3.HeadBucketOutput, error)
	ListBuckets(context.Context, *awss3.ListBucketsInput, ...func(*awss3.Options)) (*awss3.ListBucketsOutput, error)
	DeleteBucket(context.Context, *awss3.DeleteBucketInput, ...func(*awss3.Options)) (*awss3.DeleteBucketOutput, error)
	GetBucketLocation(context.Context, *awss3.GetBucketLocationInput, ...func(*awss3.Options)) (*awss3.GetBucketLocationOutput, error)
	PutBucketEncryption(context.Context, *awss3.PutBucketEncryptionInput, ...func(*awss3.Options)) (*awss3.PutBucketEncryptionOutput, error)
	GetBucketEncryption(context.Context, *awss3.GetBucketEncryptionInput, ...func(*awss3.Options)) (*awss3.GetBucketEncryptionOutput, error)
	DeleteBucketEncryption(context.Context, *awss3.DeleteBucketEncryptionInput, ...func(*awss3.Options)) (*awss3.DeleteBucketEncryptionOutput, error)
	PutObject(context.Context, *awss3.PutObjectInput, ...func(*awss3.Options)) (*awss3.PutObjectOutput, error)
	GetObject(context.Context, *awss3.GetObjectInput, ...func(*awss3.Options)) (*awss3.GetObjectOutput, error)
	HeadObject(context.Context, *awss3.HeadObjectInput, ...func(*awss3.Options)) (*awss3.HeadObjectOutput, error)
	DeleteObject(context.Context, *awss3.DeleteObjectInput, ...func(*awss3.Options)) (*awss3.DeleteObjectOutput, error)
	DeleteObjects(context.Context, *awss3.DeleteObjectsInput, ...func(*awss3.Options)) (*awss3.DeleteObjectsOutput, error)
	ListObjects(context.Context, *awss3.ListObjectsInput, ...func(*awss3.Options)) (*awss3.ListObjectsOutput, error)
	ListObjectsV2(context.Context, *awss3.ListObjectsV2Input, ...func(*awss3.Options)) (*awss3.ListObjectsV2Output, error)
	CreateMultipartUpload(context.Context, *awss3.CreateMultipartUploadInput, ...func(*awss3.Options)) (*awss3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *awss3.UploadPartInput, ...func(*awss3.Options)) (*awss3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *awss3.CompleteMultipartUploadInput, ...func(*awss3.Options)) (*awss3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *awss3.AbortMultipartUploadInput, ...func(*awss3.Options)) (*awss3.AbortMultipartUploadOutput, error)
	ListParts(context.Context, *awss3.ListPartsInput, ...func(*awss3.Options)) (*awss3.ListPartsOutput, error)
	ListMultipartUploads(context.Context, *awss3.ListMultipartUploadsInput, ...func(*awss3.Options)) (*awss3.ListMultipartUploadsOutput, error)
	GetBucketPolicy(context.Context, *awss3.GetBucketPolicyInput, ...func(*awss3.Options)) (*awss3.GetBucketPolicyOutput, error)
	PutBucketPolicy(context.Context, *awss3.PutBucketPolicyInput, ...func(*awss3.Options)) (*awss3.PutBucketPolicyOutput, error)
	DeleteBucketPolicy(context.Context, *awss3.DeleteBucketPolicyInput, ...func(*awss3.Options)) (*awss3.DeleteBucketPolicyOutput, error)
	GetPublicAccessBlock(context.Context, *awss3.GetPublicAccessBlockInput, ...func(*awss3.Options)) (*awss3.GetPublicAccessBlockOutput, error)
	PutPublicAccessBlock(context.Context, *awss3.PutPublicAccessBlockInput, ...func(*awss3.Options)) (*awss3.PutPublicAccessBlockOutput, error)
	DeletePublicAccessBlock(context.Context, *awss3.DeletePublicAccessBlockInput, ...func(*awss3.Options)) (*awss3.DeletePublicAccessBlockOutput, error)
}

var (
	_ client = (*s3.Service)(nil)
	_ client = (*awss3.Client)(nil)
)

// call invokes an operation by name, with bucket and key set where the input has them.
func call(ctx context.Context, s *s3.Service, name string) error {
	method := reflect.ValueOf(s).MethodByName(name)
	in := reflect.New(method.Type().In(1).Elem())
	for field, value := range map[string]string{"Bucket": bucket, "Key": "k", "UploadId": "u"} {
		if f := in.Elem().FieldByName(field); f.IsValid() {
			f.Set(reflect.ValueOf(aws.String(value)))
		}
	}
	if f := in.Elem().FieldByName("PartNumber"); f.IsValid() && name == "UploadPart" {
		f.Set(reflect.ValueOf(aws.Int32(1)))
	}
	if f := in.Elem().FieldByName("Delete"); f.IsValid() {
		f.Set(reflect.ValueOf(&types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}}))
	}
	err, _ := reflect.TypeAssert[error](method.Call([]reflect.Value{reflect.ValueOf(ctx), in})[1])
	return err
}

func TestEveryOperationAuthorizesFirst(t *testing.T) {
	for served := range reflect.TypeFor[client]().Methods() {
		if _, ok := operations()[served.Name]; !ok {
			t.Errorf("%s has no action in the table", served.Name)
		}
	}
	stranger := cloister.WithCall(t.Context(), cloister.Call{
		Principal: cloister.Principal{Kind: cloister.KindUser, Account: account, ARN: "arn:aws:iam::123456789012:user/stranger"}, Region: "us-east-1", Secure: true,
	})
	f := newFixture(t)
	for name, action := range operations() {
		f.createBucket(t)
		f.put(t, "k", "x")
		f.gate.asked = nil
		err := call(stranger, f.Service, name)
		wantCode(t, name+" as a stranger", err, "AccessDenied", 403)
		if !strings.Contains(cloister.Message(err), "user/stranger is not authorized to perform: "+action) {
			t.Errorf("%s: message %q", name, cloister.Message(err))
		}
		if len(f.gate.asked) != 1 || f.gate.asked[0].Action != action {
			t.Errorf("%s asked for %v, want %s", name, f.gate.asked, action)
		}
		if err := call(asRoot(t), f.Service, name); cloister.Code(err) == "AccessDenied" {
			t.Errorf("%s as root: %v", name, err)
		}
		wantCode(t, name+" without a call", call(t.Context(), f.Service, name), "AccessDenied", 403)
	}
}

func TestResources(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "dir/k", "x")
	want := []cloister.Access{
		{Action: "s3:CreateBucket", Resource: "arn:aws:s3:::data-bucket"},
		{Action: "s3:PutObject", Resource: "arn:aws:s3:::data-bucket/dir/k"},
	}
	if !reflect.DeepEqual(f.gate.asked, want) {
		t.Errorf("asked for %v", f.gate.asked)
	}
}

// failingGate fails in a way of its own: that is a refusal too.
type failingGate struct{}

var errGate = errors.New("the policy store is down")

func (failingGate) Authorize(context.Context, cloister.Access) error { return errGate }

func TestFailingAuthorizerRefuses(t *testing.T) {
	s := s3.New(s3.Config{Account: account, Auth: failingGate{}})
	for name := range operations() {
		if err := call(asRoot(t), s, name); !errors.Is(err, errGate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
