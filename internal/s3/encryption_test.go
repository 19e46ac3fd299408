package s3_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
)

func (f *fixture) encryptBucket(tb testing.TB, bucketKey bool) {
	tb.Helper()
	_, err := f.PutBucketEncryption(asRoot(tb), &awss3.PutBucketEncryptionInput{
		Bucket: aws.String(bucket),
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
				SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String(keyARN),
			},
			BucketKeyEnabled: aws.Bool(bucketKey),
		}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func TestSSEKMS(t *testing.T) {
	for name, byDefault := range map[string]bool{"by request": false, "by default": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.createBucket(t)
			in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("dir/k"), Body: strings.NewReader("secret")}
			wantKey := keyID
			if byDefault {
				f.encryptBucket(t, false)
				wantKey = keyARN
			} else {
				in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, aws.String(keyID)
			}
			put, err := f.PutObject(asRoot(t), in)
			if err != nil {
				t.Fatal(err)
			}
			if put.ServerSideEncryption != types.ServerSideEncryptionAwsKms || aws.ToString(put.SSEKMSKeyId) != keyARN || put.BucketKeyEnabled != nil {
				t.Errorf("PutObject = %s, %s", put.ServerSideEncryption, aws.ToString(put.SSEKMSKeyId))
			}
			if *put.ETag == `"`+hexMD5("secret")+`"` || len(*put.ETag) != 34 {
				t.Errorf("ETag = %s, want 128 random bits", *put.ETag)
			}
			if got, err := f.get(t, "dir/k"); err != nil || got != "secret" {
				t.Errorf("get = %q, %v", got, err)
			}
			head, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("dir/k")})
			if err != nil || aws.ToString(head.SSEKMSKeyId) != keyARN {
				t.Errorf("HeadObject: %v", err)
			}
			context := map[string]string{"aws:s3:arn": "arn:aws:s3:::data-bucket/dir/k"}
			root := cloister.RootPrincipal(account).ARN
			want := []kmsCall{
				{"GenerateDataKey", "s3.us-east-1.amazonaws.com", "us-east-1", root, context, wantKey},
				{"Decrypt", "s3.us-east-1.amazonaws.com", "us-east-1", root, context, keyARN},
			}
			if diff := cmp.Diff(want, f.kms.taken()); diff != "" {
				t.Errorf("calls of KMS (-want +got):\n%s", diff)
			}
			if calls := f.owned.taken(); len(calls) > 0 {
				t.Errorf("the service-owned key was used: %v", calls)
			}
		})
	}
}

func TestSSES3UsesTheOwnedKey(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "k", "x")
	if _, err := f.get(t, "k"); err != nil {
		t.Fatal(err)
	}
	if calls := f.kms.taken(); len(calls) > 0 {
		t.Errorf("the customer's KMS was used: %v", calls)
	}
	calls := f.owned.taken()
	if len(calls) != 2 || calls[0].Context["aws:s3:arn"] != "arn:aws:s3:::data-bucket/k" {
		t.Errorf("calls = %v", calls)
	}
}

func TestBucketKey(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.encryptBucket(t, true)
	for _, key := range []string{"a", "b", "c"} {
		out := f.put(t, key, "data of "+key)
		if !aws.ToBool(out.BucketKeyEnabled) || aws.ToString(out.SSEKMSKeyId) != keyARN {
			t.Errorf("PutObject = %v, %v", out.BucketKeyEnabled, out.SSEKMSKeyId)
		}
	}
	for range 2 {
		for _, key := range []string{"a", "b", "c"} {
			if got, err := f.get(t, key); err != nil || got != "data of "+key {
				t.Errorf("get(%s) = %q, %v", key, got, err)
			}
		}
	}
	operations := func() (names []string) {
		for _, c := range f.kms.taken() {
			if c.Context["aws:s3:arn"] != "arn:aws:s3:::data-bucket" {
				t.Errorf("encryption context = %v", c.Context)
			}
			names = append(names, c.Operation)
		}
		return names
	}
	if diff := cmp.Diff([]string{"GenerateDataKey", "Decrypt"}, operations()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	// Another principal does not use what root was given, and time ends what root has.
	session := cloister.WithCall(t.Context(), cloister.Call{
		Principal: cloister.Principal{Kind: cloister.KindRoot, Account: account, ARN: "arn:other", ID: "other"}, Region: "us-east-1", Secure: true,
	})
	out, err := f.GetObject(session, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Body.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"Decrypt"}, operations()); diff != "" {
		t.Errorf("calls for another principal (-want +got):\n%s", diff)
	}
	f.clock.advance(time.Minute)
	f.kms.setFailure(&kmstypes.DisabledException{Message: aws.String("disabled")})
	_, err = f.get(t, "a")
	wantCode(t, "a bucket key whose time is over", err, "KMS.DisabledException", 400)
}

func TestKMSFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		code   string
		status int
	}{
		"not found": {&kmstypes.NotFoundException{Message: aws.String("no key")}, "KMS.NotFoundException", 400},
		"disabled":  {cloister.Errorf("DisabledException", "is disabled"), "KMS.DisabledException", 400},
		"deletion":  {cloister.Errorf("KMSInvalidStateException", "is pending deletion"), "KMS.KMSInvalidStateException", 400},
		"denied":    {cloister.Errorf("AccessDeniedException", "not authorized").WithStatus(400), "AccessDenied", 403},
		"other":     {errors.New("connection refused"), "InternalError", 500},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.createBucket(t)
			f.encryptBucket(t, false)
			f.put(t, "k", "x")
			f.kms.setFailure(tt.err)
			_, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k2"), Body: strings.NewReader("x")})
			wantCode(t, "PutObject", err, tt.code, tt.status)
			_, err = f.get(t, "k")
			wantCode(t, "GetObject", err, tt.code, tt.status)
			_, err = f.CreateMultipartUpload(asRoot(t), &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("k2")})
			wantCode(t, "CreateMultipartUpload", err, tt.code, tt.status)
			if n := f.blobCount(t); n != 1 {
				t.Errorf("%d blobs, want 1", n)
			}
		})
	}
}

func TestSSEKMSNeedsTLS(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.encryptBucket(t, true)
	f.put(t, "k", "x")
	plain := cloister.CallFrom(asRoot(t))
	plain.Secure = false
	ctx := cloister.WithCall(t.Context(), plain)
	_, err := f.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x")})
	wantCode(t, "PutObject", err, "InvalidArgument", 400)
	_, err = f.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	wantCode(t, "GetObject", err, "InvalidArgument", 400)
	_, err = f.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAes256,
	})
	wantCode(t, "PutObject with SSE-S3", err, "", 0)
}

func TestKeyOfAnotherRegion(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	in := &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), ServerSideEncryption: types.ServerSideEncryptionAwsKms,
		SSEKMSKeyId: aws.String("arn:aws:kms:eu-west-1:123456789012:key/" + keyID),
	}
	_, err := f.PutObject(asRoot(t), in)
	wantCode(t, "PutObject", err, "KMS.NotFoundException", 400)
	in.SSEKMSKeyId = aws.String("arn:aws:s3:::x")
	_, err = f.PutObject(asRoot(t), in)
	wantCode(t, "PutObject", err, "InvalidArgument", 400)
	// The key of a bucket is looked up in the bucket's region, wherever the request was sent.
	in.SSEKMSKeyId = aws.String("alias/data")
	if _, err := f.PutObject(inRegion(asRoot(t), "ap-south-1"), in); err != nil {
		t.Fatal(err)
	}
	if calls := f.kms.taken(); len(calls) != 1 || calls[0].Region != "us-east-1" || calls[0].Via != "s3.us-east-1.amazonaws.com" {
		t.Errorf("calls = %v", calls)
	}
}

func TestBucketEncryptionConfiguration(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	show := func() string {
		out, err := f.GetBucketEncryption(asRoot(t), &awss3.GetBucketEncryptionInput{Bucket: aws.String(bucket)})
		if err != nil {
			t.Fatal(err)
		}
		rule := out.ServerSideEncryptionConfiguration.Rules[0]
		text := string(rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm) + " " + aws.ToString(rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID)
		if *rule.BucketKeyEnabled {
			text += " bucket key"
		}
		return text
	}
	if got := show(); got != "AES256 " {
		t.Errorf("a new bucket has %q", got)
	}
	f.encryptBucket(t, true)
	if got := show(); got != "aws:kms "+keyARN+" bucket key" {
		t.Errorf("after Put: %q", got)
	}
	if _, err := f.DeleteBucketEncryption(asRoot(t), &awss3.DeleteBucketEncryptionInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	if got := show(); got != "AES256 " {
		t.Errorf("after Delete: %q", got)
	}
	kms, aes := types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAes256
	for name, tt := range map[string]struct {
		rules  []types.ServerSideEncryptionRule
		code   string
		status int
	}{
		"no rules":      {nil, "MalformedXML", 400},
		"two rules":     {make([]types.ServerSideEncryptionRule, 2), "MalformedXML", 400},
		"empty rule":    {make([]types.ServerSideEncryptionRule, 1), "MalformedXML", 400},
		"kms, no key":   {[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: kms}}}, "InvalidArgument", 400},
		"aes and key":   {[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: aes, KMSMasterKeyID: aws.String(keyID)}}}, "InvalidArgument", 400},
		"dsse":          {[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKmsDsse}}}, "NotImplemented", 501},
		"foreign key":   {[]types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: kms, KMSMasterKeyID: aws.String("arn:aws:kms:eu-west-1:123456789012:key/x")}}}, "KMS.NotFoundException", 400},
		"blocking more": {[]types.ServerSideEncryptionRule{{BucketKeyEnabled: aws.Bool(true), BlockedEncryptionTypes: &types.BlockedEncryptionTypes{EncryptionType: []types.EncryptionType{"ALL"}}}}, "NotImplemented", 501},
	} {
		_, err := f.PutBucketEncryption(asRoot(t), &awss3.PutBucketEncryptionInput{
			Bucket: aws.String(bucket), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: tt.rules},
		})
		wantCode(t, name, err, tt.code, tt.status)
	}
}
