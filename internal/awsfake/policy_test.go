package awsfake

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	c, _ := goodClients(t, Options{Policies: map[string][]string{goodAccount: {
		`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":["bedrock:List*","ec2:DescribeSubnets","s3:GetBucket*"],"Resource":"*"},
			{"Effect":"Allow","Action":"bedrock:GetCustomModel","Resource":"arn:aws:bedrock:*:111122223333:custom-model/*/w4vtut9aq95?"},
			{"Effect":"Deny","Action":"bedrock:ListTagsForResource","NotResource":"arn:aws:bedrock:*:*:custom-model/*"},
			{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::acme-output"}]}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","NotAction":["s3:*","bedrock:*","ec2:*","cloudtrail:*"],"Resource":"*"}}`,
	}}})
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"listing": func() error { _, err := c.bedrock.ListCustomModels(ctx, nil); return err },
		"model": func() error {
			_, err := c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("support-2026-11")})
			return err
		},
		"bucket": func() error {
			_, err := c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("acme-train")})
			return err
		},
		"not denied": func() error {
			_, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/bedrock-data")})
			return err
		},
		"no permission needed": func() error { _, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := c.bedrock.GetCustomModel(ctx, &bedrock.GetCustomModelInput{ModelIdentifier: aws.String("triage-2026-10")})
	wantCode(t, "another model", err, "AccessDeniedException", 403)
	if want := "User: arn:aws:iam::111122223333:user/auditor is not authorized to perform: bedrock:GetCustomModel on resource: arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/k7c2m9x4b1za because no identity-based policy allows the bedrock:GetCustomModel action"; !contains(err, want) {
		t.Errorf("another model: %v", err)
	}
	_, err = c.bedrock.ListTagsForResource(ctx, &bedrock.ListTagsForResourceInput{ResourceARN: aws.String("arn:aws:bedrock:us-east-1:111122223333:imported-model/t6y2u9i4o8pl")})
	wantCode(t, "denied", err, "AccessDeniedException", 403)
	_, err = c.ec2.DescribeFlowLogs(ctx, nil)
	wantCode(t, "EC2", err, "UnauthorizedOperation", 403)
	_, err = c.cloudtrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{})
	wantCode(t, "CloudTrail", err, "AccessDeniedException", 400)
	_, err = c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("acme-output")})
	wantCode(t, "S3", err, "AccessDenied", 403)
	_, err = c.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: aws.String("acme-train")})
	wantCode(t, "another action's name", err, "AccessDenied", 403)
	_, err = c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("acme-train")})
	wantCode(t, "HEAD", err, "Forbidden", 403)
}

func TestPoliciesAreChecked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{`, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}`} {
		if _, err := newIdentity([]string{text}); err == nil {
			t.Errorf("the policy %s was taken", text)
		}
	}
}
