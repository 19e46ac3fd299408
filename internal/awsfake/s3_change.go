package awsfake

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

func newVersioningARN(c *call, in *s3.PutBucketVersioningInput) string {
	return bucketARN(c, in.Bucket)
}

func newLoggingARN(c *call, in *s3.PutBucketLoggingInput) string { return bucketARN(c, in.Bucket) }

func locationARN(c *call, in *s3.GetBucketLocationInput) string { return bucketARN(c, in.Bucket) }

// ownBucket is bucket for what only the owner's account may do.
func (c *call) ownBucket(name, owner *string) (*bucket, error) {
	b, err := c.bucket(name, owner)
	if err == nil && b.account != c.Account {
		return nil, cloister.Errorf("AccessDenied", "Access Denied")
	}
	return b, err
}

// putBucketVersioning does not turn MFA delete on or off, which needs the device of the root user.
func putBucketVersioning(c *call, in *s3.PutBucketVersioningInput) (*s3.PutBucketVersioningOutput, error) {
	b, err := c.ownBucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	wanted, have := in.VersioningConfiguration, &s3.GetBucketVersioningOutput{}
	if b.versioning != nil {
		have = b.versioning
	}
	if wanted.Status == "" {
		return nil, cloister.Errorf("IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	if have.MFADelete == types.MFADeleteStatusEnabled || wanted.MFADelete == types.MFADeleteEnabled {
		return nil, cloister.Errorf("AccessDenied", "Mfa Authentication must be used for this request")
	}
	b.versioning = &s3.GetBucketVersioningOutput{Status: wanted.Status, MFADelete: have.MFADelete}
	return &s3.PutBucketVersioningOutput{}, nil
}

// putBucketLogging turns access logs on, or off without a target.
// Source: S3 API Reference, "Error responses".
func putBucketLogging(c *call, in *s3.PutBucketLoggingInput) (*s3.PutBucketLoggingOutput, error) {
	b, err := c.ownBucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	enabled := in.BucketLoggingStatus.LoggingEnabled
	if enabled == nil {
		b.logging = nil
		return &s3.PutBucketLoggingOutput{}, nil
	}
	target := c.s.world.buckets[aws.ToString(enabled.TargetBucket)]
	switch {
	case target == nil:
		return nil, cloister.Errorf("InvalidTargetBucketForLogging", "The target bucket for logging does not exist")
	case target.account != b.account:
		return nil, cloister.Errorf("InvalidTargetBucketForLogging", "The owner for the bucket to be logged and the target bucket must be the same.")
	case target.region != b.region:
		return nil, cloister.Errorf("CrossLocationLoggingProhibitted", "Cross S3 location logging not allowed.").WithStatus(http.StatusForbidden)
	}
	b.logging = &s3.GetBucketLoggingOutput{LoggingEnabled: enabled}
	return &s3.PutBucketLoggingOutput{}, nil
}

// getBucketLocation says nothing for us-east-1, as S3 does.
func getBucketLocation(c *call, in *s3.GetBucketLocationInput) (*s3.GetBucketLocationOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil || b.region == "us-east-1" {
		return &s3.GetBucketLocationOutput{}, err
	}
	return &s3.GetBucketLocationOutput{LocationConstraint: types.BucketLocationConstraint(b.region)}, nil
}
