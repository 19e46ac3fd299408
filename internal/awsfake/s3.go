package awsfake

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"

	"example.com/cloister"
)

// mostKeys is how many objects a page has at most, and if the request does not say.
const mostKeys = 1000

func bucketARN(c *call, name *string) string {
	return "arn:" + c.s.world.partition + ":s3:::" + aws.ToString(name)
}

func headARN(c *call, in *s3.HeadBucketInput) string            { return bucketARN(c, in.Bucket) }
func blockARN(c *call, in *s3.GetPublicAccessBlockInput) string { return bucketARN(c, in.Bucket) }
func policyStatusARN(c *call, in *s3.GetBucketPolicyStatusInput) string {
	return bucketARN(c, in.Bucket)
}

func aclARN(c *call, in *s3.GetBucketAclInput) string { return bucketARN(c, in.Bucket) }

func encryptionARN(c *call, in *s3.GetBucketEncryptionInput) string { return bucketARN(c, in.Bucket) }

func versioningARN(c *call, in *s3.GetBucketVersioningInput) string { return bucketARN(c, in.Bucket) }

func loggingARN(c *call, in *s3.GetBucketLoggingInput) string { return bucketARN(c, in.Bucket) }

func objectsARN(c *call, in *s3.ListObjectsV2Input) string { return bucketARN(c, in.Bucket) }

// bucket finds the bucket that the caller may read. Asked in another region than its own, S3 says where it is,
// with the status 301: the header x-amz-bucket-region is on every answer about a bucket that exists.
// Source: S3 API Reference, "Error responses"; HeadBucket.
func (c *call) bucket(name, owner *string) (*bucket, error) {
	b := c.s.world.buckets[aws.ToString(name)]
	if b == nil {
		return nil, notConfigured("NoSuchBucket", "The specified bucket does not exist", aws.ToString(name))
	}
	c.header.Set("X-Amz-Bucket-Region", b.region)
	if b.region != c.Region {
		e := cloister.Errorf("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
		e.Fields = map[string]string{"Bucket": b.name, "Endpoint": b.name + ".s3." + b.region + "." + c.s.world.suffix()}
		return nil, e.WithStatus(http.StatusMovedPermanently)
	}
	if (owner != nil && *owner != b.account) || (b.account != c.Account && !b.shared) {
		return nil, cloister.Errorf("AccessDenied", "Access Denied")
	}
	return b, nil
}

func notConfigured(code, text, bucket string) error {
	e := cloister.Errorf(code, "%s", text)
	e.Fields = map[string]string{"BucketName": bucket}
	return e.WithStatus(http.StatusNotFound)
}

func headBucket(c *call, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &s3.HeadBucketOutput{BucketRegion: aws.String(b.region), BucketArn: aws.String(bucketARN(c, in.Bucket)), AccessPointAlias: aws.Bool(false)}, nil
}

func getPublicAccessBlock(c *call, in *s3.GetPublicAccessBlockInput) (*s3.GetPublicAccessBlockOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.publicAccessBlock == nil {
		return nil, notConfigured("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", b.name)
	}
	return &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: b.publicAccessBlock}, nil
}

func getBucketPolicyStatus(c *call, in *s3.GetBucketPolicyStatusInput) (*s3.GetBucketPolicyStatusOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.policyStatus == nil {
		return nil, notConfigured("NoSuchBucketPolicy", "The bucket policy does not exist", b.name)
	}
	return &s3.GetBucketPolicyStatusOutput{PolicyStatus: b.policyStatus}, nil
}

// getBucketACL answers what every new bucket has where the world says nothing: the owner controls it.
func getBucketACL(c *call, in *s3.GetBucketAclInput) (*s3.GetBucketAclOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.acl != nil {
		return b.acl, nil
	}
	sum := sha256.Sum256([]byte(b.account))
	id := aws.String(hex.EncodeToString(sum[:]))
	return &s3.GetBucketAclOutput{
		Owner: &types.Owner{ID: id},
		Grants: []types.Grant{{
			Grantee: &types.Grantee{ID: id, Type: types.TypeCanonicalUser}, Permission: types.PermissionFullControl,
		}},
	}, nil
}

func getBucketEncryption(c *call, in *s3.GetBucketEncryptionInput) (*s3.GetBucketEncryptionOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.encryption == nil {
		return nil, notConfigured("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found", b.name)
	}
	return &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: b.encryption}, nil
}

func getBucketVersioning(c *call, in *s3.GetBucketVersioningInput) (*s3.GetBucketVersioningOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil || b.versioning == nil {
		return &s3.GetBucketVersioningOutput{}, err
	}
	return b.versioning, nil
}

func getBucketLogging(c *call, in *s3.GetBucketLoggingInput) (*s3.GetBucketLoggingOutput, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil || b.logging == nil {
		return &s3.GetBucketLoggingOutput{}, err
	}
	return b.logging, nil
}

// listObjects does not group by delimiter, which no audit asks for.
func listObjects(c *call, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	b, err := c.bucket(in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, cloister.Errorf("NotImplemented", "awsfake lists objects without a delimiter only")
	}
	prefix, after := aws.ToString(in.Prefix), aws.ToString(in.StartAfter)
	all := keep(b.objects, func(o types.Object) bool {
		key := aws.ToString(o.Key)
		return strings.HasPrefix(key, prefix) && (after == "" || key > after)
	})
	wanted := in.MaxKeys
	if wanted != nil {
		wanted = aws.Int32(min(*wanted, mostKeys))
	}
	items, next := page(c, all, wanted, mostKeys)
	return &s3.ListObjectsV2Output{
		Name: in.Bucket, Prefix: aws.String(prefix), MaxKeys: aws.Int32(mostKeys), Contents: items,
		KeyCount: aws.Int32(int32(len(items))), IsTruncated: aws.Bool(next != nil),
		ContinuationToken: in.ContinuationToken, NextContinuationToken: next,
	}, nil
}

func getAccountPublicAccessBlock(c *call, in *s3control.GetPublicAccessBlockInput) (*s3control.GetPublicAccessBlockOutput, error) {
	if aws.ToString(in.AccountId) != c.Account {
		return nil, cloister.Errorf("AccessDenied", "Access Denied")
	}
	if c.account.publicAccessBlock == nil {
		return nil, cloister.Errorf("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found").
			WithStatus(http.StatusNotFound)
	}
	return &s3control.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: c.account.publicAccessBlock}, nil
}
