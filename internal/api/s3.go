package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/wire"
)

// S3 is what serves the operations of Amazon S3: the methods of the SDK's *s3.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: Amazon S3 API Reference.
type S3 interface {
	CreateBucket(ctx context.Context, in *s3.CreateBucketInput, opts ...func(*s3.Options)) (*s3.CreateBucketOutput, error)
	HeadBucket(ctx context.Context, in *s3.HeadBucketInput, opts ...func(*s3.Options)) (*s3.HeadBucketOutput, error)
	ListBuckets(ctx context.Context, in *s3.ListBucketsInput, opts ...func(*s3.Options)) (*s3.ListBucketsOutput, error)
	DeleteBucket(ctx context.Context, in *s3.DeleteBucketInput, opts ...func(*s3.Options)) (*s3.DeleteBucketOutput, error)
	GetBucketLocation(ctx context.Context, in *s3.GetBucketLocationInput, opts ...func(*s3.Options)) (*s3.GetBucketLocationOutput, error)
	GetBucketEncryption(ctx context.Context, in *s3.GetBucketEncryptionInput, opts ...func(*s3.Options)) (*s3.GetBucketEncryptionOutput, error)
	PutBucketEncryption(ctx context.Context, in *s3.PutBucketEncryptionInput, opts ...func(*s3.Options)) (*s3.PutBucketEncryptionOutput, error)
	DeleteBucketEncryption(ctx context.Context, in *s3.DeleteBucketEncryptionInput, opts ...func(*s3.Options)) (*s3.DeleteBucketEncryptionOutput, error)
	PutObject(ctx context.Context, in *s3.PutObjectInput, opts ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(ctx context.Context, in *s3.GetObjectInput, opts ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	HeadObject(ctx context.Context, in *s3.HeadObjectInput, opts ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	DeleteObject(ctx context.Context, in *s3.DeleteObjectInput, opts ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput, opts ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error)
	ListObjects(ctx context.Context, in *s3.ListObjectsInput, opts ...func(*s3.Options)) (*s3.ListObjectsOutput, error)
	ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, opts ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	CreateMultipartUpload(ctx context.Context, in *s3.CreateMultipartUploadInput, opts ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(ctx context.Context, in *s3.UploadPartInput, opts ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput, opts ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput, opts ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
	ListParts(ctx context.Context, in *s3.ListPartsInput, opts ...func(*s3.Options)) (*s3.ListPartsOutput, error)
	ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput, opts ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error)
	GetBucketPolicy(ctx context.Context, in *s3.GetBucketPolicyInput, opts ...func(*s3.Options)) (*s3.GetBucketPolicyOutput, error)
	PutBucketPolicy(ctx context.Context, in *s3.PutBucketPolicyInput, opts ...func(*s3.Options)) (*s3.PutBucketPolicyOutput, error)
	DeleteBucketPolicy(ctx context.Context, in *s3.DeleteBucketPolicyInput, opts ...func(*s3.Options)) (*s3.DeleteBucketPolicyOutput, error)
	GetPublicAccessBlock(ctx context.Context, in *s3.GetPublicAccessBlockInput, opts ...func(*s3.Options)) (*s3.GetPublicAccessBlockOutput, error)
	PutPublicAccessBlock(ctx context.Context, in *s3.PutPublicAccessBlockInput, opts ...func(*s3.Options)) (*s3.PutPublicAccessBlockOutput, error)
	DeletePublicAccessBlock(ctx context.Context, in *s3.DeletePublicAccessBlockInput, opts ...func(*s3.Options)) (*s3.DeletePublicAccessBlockOutput, error)
}

var _ S3 = (*s3.Client)(nil)

// s3Operations is the table of operations that are served of S3.
func s3Operations(svc S3) []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateBucket", svc.CreateBucket),
		wire.Op("HeadBucket", svc.HeadBucket),
		wire.Op("ListBuckets", svc.ListBuckets),
		wire.Op("DeleteBucket", svc.DeleteBucket),
		wire.Op("GetBucketLocation", svc.GetBucketLocation),
		wire.Op("GetBucketEncryption", svc.GetBucketEncryption),
		wire.Op("PutBucketEncryption", svc.PutBucketEncryption),
		wire.Op("DeleteBucketEncryption", svc.DeleteBucketEncryption),
		wire.Op("PutObject", svc.PutObject),
		wire.Op("GetObject", svc.GetObject),
		wire.Op("HeadObject", svc.HeadObject),
		wire.Op("DeleteObject", svc.DeleteObject),
		wire.Op("DeleteObjects", svc.DeleteObjects),
		wire.Op("ListObjects", svc.ListObjects),
		wire.Op("ListObjectsV2", svc.ListObjectsV2),
		wire.Op("CreateMultipartUpload", svc.CreateMultipartUpload),
		wire.Op("UploadPart", svc.UploadPart),
		wire.Op("CompleteMultipartUpload", svc.CompleteMultipartUpload),
		wire.Op("AbortMultipartUpload", svc.AbortMultipartUpload),
		wire.Op("ListParts", svc.ListParts),
		wire.Op("ListMultipartUploads", svc.ListMultipartUploads),
		wire.Op("GetBucketPolicy", svc.GetBucketPolicy),
		wire.Op("PutBucketPolicy", svc.PutBucketPolicy),
		wire.Op("DeleteBucketPolicy", svc.DeleteBucketPolicy),
		wire.Op("GetPublicAccessBlock", svc.GetPublicAccessBlock),
		wire.Op("PutPublicAccessBlock", svc.PutPublicAccessBlock),
		wire.Op("DeletePublicAccessBlock", svc.DeletePublicAccessBlock),
	}
}
