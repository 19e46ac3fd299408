package awsfake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{PageSize: 1, Faults: []Fault{
		{Service: "ec2", Operation: "DescribeSubnets", Kind: AccessDenied},
		{Service: "ec2", Operation: "DescribeFlowLogs", Resource: "vpc-bad", Kind: Throttle},
		{Service: "s3", Operation: "GetBucketVersioning", Resource: "acme-train", Kind: HTML500},
		{Service: "s3", Operation: "HeadBucket", Resource: "acme-output", Kind: HTML500},
		{Service: "bedrock", Operation: "ListCustomModels", Page: 2, Kind: Truncated},
		{Service: "kms", Account: "444455556666", Kind: HTML500},
		{Service: "kms", Region: "eu-west-1", Kind: HTML500},
	}})
	ctx := t.Context()
	_, err := c.ec2.DescribeSubnets(ctx, nil)
	wantCode(t, "denied", err, "UnauthorizedOperation", 403)
	_, err = c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", "vpc-bad")})
	wantCode(t, "throttled", err, "RequestLimitExceeded", 503)
	if _, err = c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", "vpc-good")}); err != nil {
		t.Errorf("another resource: %v", err)
	}
	_, err = c.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("acme-train")})
	if err == nil || !contains(err, "StatusCode: 500") {
		t.Errorf("HTML: %v", err)
	}
	if _, err = c.s3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("acme-output")}); !contains(err, "StatusCode: 500") {
		t.Errorf("HTML for HEAD: %v", err)
	}
	page1, err := c.bedrock.ListCustomModels(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{NextToken: page1.NextToken})
	if broken, ok := errors.AsType[*smithy.DeserializationError](err); !ok {
		t.Errorf("truncated: %v, %v", err, broken)
	}
	if _, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("alias/bedrock-data")}); err != nil {
		t.Errorf("faults of others: %v", err)
	}
	if _, throttled, _ := s.Stats(); throttled != 1 {
		t.Errorf("throttled = %d, want 1", throttled)
	}
}

func TestTimeoutFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := goodClients(t, Options{Faults: []Fault{{Operation: "ListCustomModels", Kind: Timeout}}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := c.bedrock.ListCustomModels(ctx, nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v: %v, want a deadline after 1m", time.Since(start), err)
		}
		if got := s.Calls(); len(got) != 1 || got[0].Status != 0 || got[0].Operation != "ListCustomModels" {
			t.Errorf("Calls = %+v", got)
		}
	})
}

func TestMemberFaults(t *testing.T) {
	t.Parallel()
	w := goodWorld(t)
	serve := func(f Fault) clients {
		return newClients(New(w, Options{Faults: []Fault{f}}), goodRegion, Credentials(goodAccount))
	}
	ctx := t.Context()
	c := serve(Fault{Operation: "ListModelCustomizationJobs", Kind: UnknownEnum, Member: "modelCustomizationJobSummaries[].status"})
	jobs, err := c.bedrock.ListModelCustomizationJobs(ctx, nil)
	if err != nil || jobs.ModelCustomizationJobSummaries[0].Status != "SOMETHING_NEW" {
		t.Errorf("jobs = %+v, %v", jobs, err)
	}
	c = serve(Fault{Operation: "DescribeVpcEndpoints", Kind: UnknownEnum, Member: "VpcEndpoints.0.State"})
	endpoints, err := c.ec2.DescribeVpcEndpoints(ctx, nil)
	if err != nil || endpoints.VpcEndpoints[0].State != "SOMETHING_NEW" {
		t.Errorf("endpoints = %+v, %v", endpoints, err)
	}
	c = serve(Fault{Operation: "GetModelCustomizationJob", Kind: MissingMember, Member: "vpcConfig.subnetIds"})
	in := bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("support-2026-11")}
	job, err := c.bedrock.GetModelCustomizationJob(ctx, &in)
	if err != nil || job.VpcConfig == nil || job.VpcConfig.SubnetIds != nil || job.VpcConfig.SecurityGroupIds == nil {
		t.Errorf("job = %+v, %v", job, err)
	}
	c = serve(Fault{Operation: "GetModelImportJob", Kind: MissingMember, Member: "modelDataSource.s3DataSource.s3Uri"})
	imp, err := c.bedrock.GetModelImportJob(ctx, &bedrock.GetModelImportJobInput{JobIdentifier: aws.String("summarizer-import")})
	if source, ok := imp.ModelDataSource.(*bedrocktypes.ModelDataSourceMemberS3DataSource); err != nil || !ok || source.Value.S3Uri != nil {
		t.Errorf("import job = %+v, %v", imp, err)
	}
	for _, member := range []string{"vpcConfig.subnets", "jobName.x", "creationTime"} {
		c = serve(Fault{Operation: "GetModelCustomizationJob", Kind: UnknownEnum, Member: member})
		_, err = c.bedrock.GetModelCustomizationJob(ctx, &in)
		wantCode(t, member, err, "BadFault", 400)
	}
	c = serve(Fault{Operation: "ListProvisionedModelThroughputs", Kind: UnknownEnum, Member: "provisionedModelSummaries[].status"})
	if _, err = c.bedrock.ListProvisionedModelThroughputs(ctx, nil); err != nil {
		t.Errorf("a member of an empty list: %v", err)
	}
	c = newClients(New(w, Options{}), goodRegion, Credentials(goodAccount))
	job, err = c.bedrock.GetModelCustomizationJob(ctx, &in)
	wantSame(t, "the world afterwards", w.accounts[goodAccount].regions[goodRegion].jobs.items[0], job, err)
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	for _, name := range kindNames() {
		var k Kind
		if err := k.UnmarshalText([]byte(name)); err != nil || k.String() != name {
			t.Errorf("kind %q reads as %v, %v", name, k, err)
		}
	}
	if err := new(Kind).UnmarshalText([]byte("Fire")); err == nil {
		t.Error("a kind that there is not was read")
	}
}
