package awsfake

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestS3(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx, b, name := t.Context(), s.world.buckets["acme-train"], aws.String("acme-train")
	head, err := c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: name, ExpectedBucketOwner: aws.String(goodAccount)})
	if err != nil || aws.ToString(head.BucketRegion) != goodRegion {
		t.Errorf("HeadBucket = %+v, %v", head, err)
	}
	block, err := c.s3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
	wantSame(t, "block", &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: b.publicAccessBlock}, block, err)
	status, err := c.s3.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: name})
	wantSame(t, "policy status", &s3.GetBucketPolicyStatusOutput{PolicyStatus: b.policyStatus}, status, err)
	acl, err := c.s3.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: name})
	wantSame(t, "ACL", b.acl, acl, err)
	encryption, err := c.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
	wantSame(t, "encryption", &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: b.encryption}, encryption, err)
	versioning, err := c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name})
	wantSame(t, "versioning", b.versioning, versioning, err)
	logging, err := c.s3.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: name})
	wantSame(t, "logging", b.logging, logging, err)
	objects, err := c.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: name, Prefix: aws.String("support/")})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "objects", b.objects, objects.Contents, err)
	account, err := c.s3control.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(goodAccount)})
	wantSame(t, "account", &s3control.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: s.world.accounts[goodAccount].publicAccessBlock}, account, err)
	_, err = c.s3control.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String("444455556666")})
	wantCode(t, "another account", err, "AccessDenied", 403)
}

func TestS3VirtualHosts(t *testing.T) {
	t.Parallel()
	_, s := goodClients(t, Options{})
	c := s3.New(s3.Options{Region: goodRegion, HTTPClient: s.HTTPClient(), Credentials: Credentials(goodAccount)})
	if out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("acme-train")}); err != nil || len(out.Contents) != 1 {
		t.Errorf("ListObjectsV2 = %v, %v", out, err)
	}
}

func TestS3NotConfigured(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{},
		Patch{Path: "/accounts/111122223333/buckets/bare/region", Set: goodRegion},
		Patch{Path: "/accounts/111122223333/publicAccessBlock", Delete: true})
	ctx, name := t.Context(), aws.String("bare")
	_, err := c.s3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: name})
	wantCode(t, "block", err, "NoSuchPublicAccessBlockConfiguration", 404)
	_, err = c.s3.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: name})
	wantCode(t, "policy status", err, "NoSuchBucketPolicy", 404)
	_, err = c.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: name})
	wantCode(t, "encryption", err, "ServerSideEncryptionConfigurationNotFoundError", 404)
	versioning, err := c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name})
	wantSame(t, "versioning", &s3.GetBucketVersioningOutput{}, versioning, err)
	logging, err := c.s3.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: name})
	wantSame(t, "logging", &s3.GetBucketLoggingOutput{}, logging, err)
	acl, err := c.s3.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: name})
	if err != nil || len(acl.Grants) != 1 || acl.Grants[0].Permission != types.PermissionFullControl || *acl.Grants[0].Grantee.ID != *acl.Owner.ID || acl.Grants[0].Grantee.Type != types.TypeCanonicalUser {
		t.Errorf("ACL = %+v, %v, want the owner's", acl, err)
	}
	_, err = c.s3control.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(goodAccount)})
	wantCode(t, "account", err, "NoSuchPublicAccessBlockConfiguration", 404)
	_, err = c.s3.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: aws.String("nobody-has-this")})
	wantCode(t, "no bucket", err, "NoSuchBucket", 404)
	_, err = c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("nobody-has-this")})
	wantCode(t, "no bucket", err, "NotFound", 404)
	_, err = newClients(s, "eu-west-1", Credentials(goodAccount)).s3.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: name})
	wantCode(t, "another region", err, "PermanentRedirect", 301)
	_, err = newClients(s, "eu-west-1", Credentials(goodAccount)).s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: name})
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() != 301 || response.Response.Header.Get("X-Amz-Bucket-Region") != goodRegion {
		t.Errorf("another region: %v, want the status 301 and the region", err)
	}
}

func TestS3OtherAccounts(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{},
		Patch{Path: "/accounts/444455556666/buckets/closed/region", Set: goodRegion},
		Patch{Path: "/accounts/444455556666/buckets/open", Set: map[string]any{"region": goodRegion, "shared": true}})
	ctx := t.Context()
	_, err := c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("closed")})
	wantCode(t, "closed", err, "Forbidden", 403)
	_, err = c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("closed")})
	wantCode(t, "closed", err, "AccessDenied", 403)
	if _, err = c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("open")}); err != nil {
		t.Errorf("shared: %v", err)
	}
	_, err = c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("open"), ExpectedBucketOwner: aws.String(goodAccount)})
	wantCode(t, "another owner", err, "Forbidden", 403)
}
