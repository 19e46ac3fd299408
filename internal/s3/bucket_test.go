package s3_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
)

func TestBucketNames(t *testing.T) {
	f := newFixture(t)
	for name, ok := range map[string]bool{
		"tm-bedrock-input-data": true, "a.b-c.1": true, "123": true, strings.Repeat("a", 63): true, "1.2.3": true, "0x7f.1.2.3": true,
		"ab": false, "": false, strings.Repeat("a", 64): false, "Upper": false, "under_score": false, "-a1": false, "a1-": false, ".ab": false, "ab.": false,
		"a..b": false, "192.168.5.4": false, "999.999.999.999": false, "xn--abc": false, "sthree-x": false, "amzn-s3-demo-x": false, "x-s3alias": false,
		"x--ol-s3": false, "x.mrap": false, "x--x-s3": false, "x--table-s3": false, "a/b": false, "_cloister": false, "ä-bucket": false,
	} {
		_, err := f.CreateBucket(asRoot(t), &awss3.CreateBucketInput{Bucket: aws.String(name)})
		if ok {
			wantCode(t, name, err, "", 0)
		} else {
			wantCode(t, name, err, "InvalidBucketName", 400)
		}
	}
}

func TestBucketRegions(t *testing.T) {
	for _, tt := range []struct {
		endpoint, constraint, region, location, code string
	}{
		{"us-east-1", "", "us-east-1", "", ""},
		{"us-east-1", "eu-west-1", "eu-west-1", "eu-west-1", ""},
		{"us-east-1", "EU", "eu-west-1", "eu-west-1", ""},
		{"eu-central-1", "eu-central-1", "eu-central-1", "eu-central-1", ""},
		{"us-east-1", "us-east-1", "", "", "InvalidLocationConstraint"},
		{"us-east-1", "nowhere", "", "", "InvalidLocationConstraint"},
		{"eu-central-1", "", "", "", "IllegalLocationConstraintException"},
		{"eu-central-1", "eu-west-1", "", "", "IllegalLocationConstraintException"},
	} {
		f := newFixture(t)
		in := &awss3.CreateBucketInput{Bucket: aws.String(bucket)}
		if tt.constraint != "" {
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(tt.constraint)}
		}
		what := tt.endpoint + " " + tt.constraint
		_, err := f.CreateBucket(inRegion(asRoot(t), cloister.Region(tt.endpoint)), in)
		wantCode(t, what, err, tt.code, 400)
		if tt.code != "" {
			continue
		}
		head, err := f.HeadBucket(asRoot(t), &awss3.HeadBucketInput{Bucket: aws.String(bucket)})
		if err != nil || *head.BucketRegion != tt.region {
			t.Errorf("%s: region %v, %v", what, head, err)
		}
		location, err := f.GetBucketLocation(asRoot(t), &awss3.GetBucketLocationInput{Bucket: aws.String(bucket)})
		if err != nil || string(location.LocationConstraint) != tt.location {
			t.Errorf("%s: location %v, %v", what, location, err)
		}
		_, err = f.CreateBucket(inRegion(asRoot(t), cloister.Region(tt.endpoint)), in)
		if tt.region == "us-east-1" {
			wantCode(t, what+" again", err, "", 0)
		} else {
			wantCode(t, what+" again", err, "BucketAlreadyOwnedByYou", 409)
		}
	}
}

func TestBucketRefusals(t *testing.T) {
	f := newFixture(t)
	for name, in := range map[string]awss3.CreateBucketInput{
		"acl": {ACL: types.BucketCannedACLPublicRead}, "grant": {GrantWrite: aws.String("x")}, "lock": {ObjectLockEnabledForBucket: aws.Bool(true)},
		"ownership": {ObjectOwnership: types.ObjectOwnershipObjectWriter},
		"tags":      {CreateBucketConfiguration: &types.CreateBucketConfiguration{Tags: []types.Tag{{Key: aws.String("a")}}}},
		"directory": {CreateBucketConfiguration: &types.CreateBucketConfiguration{Location: &types.LocationInfo{}}},
	} {
		in.Bucket = aws.String(bucket)
		_, err := f.CreateBucket(asRoot(t), &in)
		wantCode(t, name, err, "NotImplemented", 501)
	}
	_, err := f.HeadBucket(asRoot(t), &awss3.HeadBucketInput{Bucket: aws.String(bucket)})
	wantCode(t, "HeadBucket", err, "NotFound", 404)
	_, err = f.DeleteBucket(asRoot(t), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantCode(t, "DeleteBucket", err, "NoSuchBucket", 404)
}

func TestDeleteBucket(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "k", "x")
	_, err := f.DeleteBucket(asRoot(t), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantCode(t, "with an object", err, "BucketNotEmpty", 409)
	if _, err := f.DeleteObject(asRoot(t), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	up := f.createUpload(t, awss3.CreateMultipartUploadInput{})
	f.uploadPart(t, up, 1, "half")
	_, err = f.DeleteBucket(asRoot(t), &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantCode(t, "with an upload", err, "", 0)
	_, err = f.HeadBucket(asRoot(t), &awss3.HeadBucketInput{Bucket: aws.String(bucket)})
	wantCode(t, "HeadBucket", err, "NotFound", 404)
	if n := f.blobCount(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestListBuckets(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"b-two", "a-one", "b-three"} {
		if _, err := f.CreateBucket(asRoot(t), &awss3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
	}
	names := func(in awss3.ListBucketsInput) (all []string, token *string) {
		out, err := f.ListBuckets(asRoot(t), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range out.Buckets {
			all = append(all, *b.Name)
		}
		return all, out.ContinuationToken
	}
	all, token := names(awss3.ListBucketsInput{})
	if diff := cmp.Diff([]string{"a-one", "b-three", "b-two"}, all); diff != "" || token != nil {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	first, token := names(awss3.ListBucketsInput{MaxBuckets: aws.Int32(2)})
	if len(first) != 2 || token == nil {
		t.Fatalf("first page = %v, %v", first, token)
	}
	rest, token := names(awss3.ListBucketsInput{MaxBuckets: aws.Int32(2), ContinuationToken: token})
	if diff := cmp.Diff([]string{"b-two"}, rest); diff != "" || token != nil {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	if b, _ := names(awss3.ListBucketsInput{Prefix: aws.String("b-")}); len(b) != 2 {
		t.Errorf("with a prefix: %v", b)
	}
	if b, _ := names(awss3.ListBucketsInput{BucketRegion: aws.String("eu-west-1")}); len(b) != 0 {
		t.Errorf("of another region: %v", b)
	}
	_, err := f.ListBuckets(asRoot(t), &awss3.ListBucketsInput{ContinuationToken: aws.String("!")})
	wantCode(t, "bad token", err, "InvalidArgument", 400)
	_, err = f.ListBuckets(asRoot(t), &awss3.ListBucketsInput{MaxBuckets: aws.Int32(0)})
	wantCode(t, "no buckets asked for", err, "InvalidArgument", 400)
}

func TestNothingIsStoredUnenforced(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	b := aws.String(bucket)
	_, err := f.GetBucketPolicy(asRoot(t), &awss3.GetBucketPolicyInput{Bucket: b})
	wantCode(t, "GetBucketPolicy", err, "NoSuchBucketPolicy", 404)
	_, err = f.PutBucketPolicy(asRoot(t), &awss3.PutBucketPolicyInput{Bucket: b, Policy: aws.String("{}")})
	wantCode(t, "PutBucketPolicy", err, "NotImplemented", 501)
	_, err = f.DeleteBucketPolicy(asRoot(t), &awss3.DeleteBucketPolicyInput{Bucket: b})
	wantCode(t, "DeleteBucketPolicy", err, "", 0)
	_, err = f.GetPublicAccessBlock(asRoot(t), &awss3.GetPublicAccessBlockInput{Bucket: b})
	wantCode(t, "GetPublicAccessBlock", err, "NoSuchPublicAccessBlockConfiguration", 404)
	_, err = f.PutPublicAccessBlock(asRoot(t), &awss3.PutPublicAccessBlockInput{Bucket: b})
	wantCode(t, "PutPublicAccessBlock", err, "NotImplemented", 501)
	_, err = f.DeletePublicAccessBlock(asRoot(t), &awss3.DeletePublicAccessBlockInput{Bucket: b})
	wantCode(t, "DeletePublicAccessBlock", err, "", 0)
	_, err = f.GetBucketPolicy(asRoot(t), &awss3.GetBucketPolicyInput{Bucket: aws.String("no-such-bucket")})
	wantCode(t, "GetBucketPolicy of no bucket", err, "NoSuchBucket", 404)
}
