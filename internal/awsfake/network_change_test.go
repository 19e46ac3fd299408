package awsfake

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const goodVPC = "vpc-0d4c3b2a19f8e7d65"

func flowLogsTo(bucket, vpc, token string) *ec2.CreateFlowLogsInput {
	return &ec2.CreateFlowLogsInput{
		ResourceIds: []string{vpc}, ResourceType: types.FlowLogsResourceTypeVpc, TrafficType: types.TrafficTypeAll, ClientToken: &token,
		LogDestinationType: types.LogDestinationTypeS3, LogDestination: aws.String("arn:aws:s3:::" + bucket + "/flows/"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpcFlowLog, Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("ml")}}}},
	}
}

func TestFlowLogs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c, _ := goodClients(t, Options{Writable: true, Now: func() time.Time { return now }})
	ctx := t.Context()
	create := func(in *ec2.CreateFlowLogsInput) *ec2.CreateFlowLogsOutput {
		t.Helper()
		out, err := c.ec2.CreateFlowLogs(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	made := create(flowLogsTo("acme-trail", goodVPC, "once"))
	if len(made.FlowLogIds) != 1 || len(made.Unsuccessful) != 0 || *made.ClientToken != "once" {
		t.Fatalf("made = %+v", made)
	}
	if again := create(flowLogsTo("acme-trail", goodVPC, "once")); !slices.Equal(again.FlowLogIds, made.FlowLogIds) {
		t.Errorf("again = %+v, want %v", again, made.FlowLogIds)
	}
	_, err := c.ec2.CreateFlowLogs(ctx, flowLogsTo("acme-output", goodVPC, "once"))
	wantCode(t, "another request", err, "IdempotentParameterMismatch", 400)
	for name, tt := range map[string]struct {
		in   *ec2.CreateFlowLogsInput
		code string
	}{
		"there already": {flowLogsTo("acme-trail", goodVPC, "twice"), "FlowLogAlreadyExists"},
		"no VPC":        {flowLogsTo("acme-trail", "vpc-1", "vpc"), "InvalidVpcId.NotFound"},
		"no bucket":     {flowLogsTo("nobody-has-this", goodVPC, "bucket"), "400"},
	} {
		if out := create(tt.in); len(out.FlowLogIds) != 0 || len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != tt.code {
			t.Errorf("%s: %+v, want %s", name, out, tt.code)
		}
	}
	seen, err := c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{FlowLogIds: made.FlowLogIds})
	wantSame(t, "described", []types.FlowLog{{
		FlowLogId: &made.FlowLogIds[0], ResourceId: aws.String(goodVPC), FlowLogStatus: aws.String("ACTIVE"), DeliverLogsStatus: aws.String("SUCCESS"),
		TrafficType: types.TrafficTypeAll, LogDestinationType: types.LogDestinationTypeS3, LogDestination: aws.String("arn:aws:s3:::acme-trail/flows/"),
		LogFormat: aws.String(usualFormat), MaxAggregationInterval: aws.Int32(600), CreationTime: &now,
		Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("ml")}},
	}}, seen.FlowLogs, err)
	all, err := c.ec2.DescribeFlowLogs(ctx, &ec2.DescribeFlowLogsInput{Filter: filter("resource-id", goodVPC)})
	if err != nil || len(all.FlowLogs) != 2 {
		t.Errorf("of the VPC: %+v, %v, want 2", all, err)
	}
	deleted, err := c.ec2.DeleteFlowLogs(ctx, &ec2.DeleteFlowLogsInput{FlowLogIds: append(made.FlowLogIds, "fl-1")})
	if err != nil || len(deleted.Unsuccessful) != 1 || *deleted.Unsuccessful[0].Error.Code != "InvalidFlowLogId.NotFound" {
		t.Errorf("deleted = %+v, %v", deleted, err)
	}
	if all, err = c.ec2.DescribeFlowLogs(ctx, nil); err != nil || len(all.FlowLogs) != 1 {
		t.Errorf("left: %+v, %v, want 1", all, err)
	}
	logs := flowLogsTo("", goodVPC, "logs")
	logs.LogDestinationType, logs.LogDestination, logs.LogGroupName = "", nil, aws.String("new-group")
	_, err = c.ec2.CreateFlowLogs(ctx, logs)
	wantCode(t, "no role", err, "InvalidParameter", 400)
	logs.DeliverLogsPermissionArn = aws.String("arn:aws:iam::111122223333:role/flow-logs")
	if out := create(logs); len(out.FlowLogIds) != 1 {
		t.Errorf("to a log group: %+v", out)
	}
	logs.DryRun = aws.Bool(true)
	_, err = c.ec2.CreateFlowLogs(ctx, logs)
	wantCode(t, "dry run", err, "DryRunOperation", 412)
	logs.DryRun, logs.TrafficType = nil, ""
	logs.ClientToken = nil
	_, err = c.ec2.CreateFlowLogs(ctx, logs)
	wantCode(t, "no traffic type", err, "MissingParameter", 400)
}

// TestFindsByVPC wants what a planner looks for in a VPC.
func TestFindsByVPC(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{}, Patch{Path: here + "/subnets/-", Set: map[string]any{"SubnetId": "subnet-9", "VpcId": "vpc-9"}})
	ctx, r, f := t.Context(), home(s), filter("vpc-id", goodVPC)
	subnets, err := c.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: f})
	if err != nil || len(subnets.Subnets) != len(r.subnets.items)-1 {
		t.Errorf("subnets = %+v, %v", subnets, err)
	}
	groups, err := c.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: f})
	if err != nil || len(groups.SecurityGroups) != len(r.securityGroups.items) {
		t.Errorf("groups = %+v, %v", groups, err)
	}
	tables, err := c.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: f})
	if err != nil || len(tables.RouteTables) != len(r.routeTables.items) {
		t.Errorf("tables = %+v, %v", tables, err)
	}
	endpoints, err := c.ec2.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{Filters: f})
	if err != nil || len(endpoints.VpcEndpoints) != len(r.vpcEndpoints.items) {
		t.Errorf("endpoints = %+v, %v", endpoints, err)
	}
}

func TestTrailChanges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	c, s := goodClients(t, Options{Writable: true, Now: func() time.Time { return now }})
	ctx, name := t.Context(), aws.String("acme-audit")
	arn := home(s).trails[0].trail.TrailARN
	status := func() *cloudtrail.GetTrailStatusOutput {
		t.Helper()
		out, err := c.cloudtrail.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := c.cloudtrail.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: name}); err != nil || *status().IsLogging || !status().StopLoggingTime.Equal(now) {
		t.Errorf("stopped: %v, %+v", err, status())
	}
	if _, err := c.cloudtrail.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: arn}); err != nil || !*status().IsLogging || !status().StartLoggingTime.Equal(now) {
		t.Errorf("started: %v, %+v", err, status())
	}
	advanced := []trailtypes.AdvancedEventSelector{{Name: aws.String("s3"), FieldSelectors: []trailtypes.AdvancedFieldSelector{{Field: aws.String("eventCategory"), Equals: []string{"Data"}}}}}
	simple := []trailtypes.EventSelector{{DataResources: []trailtypes.DataResource{{Type: aws.String("AWS::S3::Object"), Values: []string{"arn:aws:s3"}}}}}
	for name, in := range map[string]*cloudtrail.PutEventSelectorsInput{"advanced": {AdvancedEventSelectors: advanced}, "simple": {EventSelectors: simple}} {
		in.TrailName = aws.String("acme-audit")
		put, err := c.cloudtrail.PutEventSelectors(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.cloudtrail.GetEventSelectors(ctx, &cloudtrail.GetEventSelectorsInput{TrailName: arn})
		wantSame(t, name, &cloudtrail.GetEventSelectorsOutput{TrailARN: arn, EventSelectors: put.EventSelectors, AdvancedEventSelectors: in.AdvancedEventSelectors}, got, err)
		if len(got.EventSelectors) != len(in.EventSelectors) || (len(got.EventSelectors) > 0 && (got.EventSelectors[0].ReadWriteType != trailtypes.ReadWriteTypeAll || !*got.EventSelectors[0].IncludeManagementEvents)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	_, err := c.cloudtrail.PutEventSelectors(ctx, &cloudtrail.PutEventSelectorsInput{TrailName: name, EventSelectors: simple, AdvancedEventSelectors: advanced})
	wantCode(t, "both kinds", err, "InvalidEventSelectorsException", 400)

	out, err := c.cloudtrail.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: name, EnableLogFileValidation: aws.Bool(false), KmsKeyId: aws.String("alias/bedrock-models"), S3KeyPrefix: aws.String("x")})
	if err != nil || *out.LogFileValidationEnabled || *out.KmsKeyId != goodKey {
		t.Errorf("updated = %+v, %v", out, err)
	}
	if _, err = c.cloudtrail.UpdateTrail(ctx, &cloudtrail.UpdateTrailInput{Name: arn, EnableLogFileValidation: aws.Bool(true), KmsKeyId: aws.String("")}); err != nil {
		t.Error(err)
	}
	got, err := c.cloudtrail.GetTrail(ctx, &cloudtrail.GetTrailInput{Name: name})
	if err != nil || !*got.Trail.LogFileValidationEnabled || got.Trail.KmsKeyId != nil || *got.Trail.S3KeyPrefix != "x" || *got.Trail.S3BucketName != "acme-trail" {
		t.Errorf("the trail = %+v, %v", got, err)
	}
	for code, in := range map[string]cloudtrail.UpdateTrailInput{
		"S3BucketDoesNotExistException":        {S3BucketName: aws.String("nobody-has-this")},
		"KmsKeyNotFoundException":              {KmsKeyId: aws.String("alias/none")},
		"InvalidParameterCombinationException": {IncludeGlobalServiceEvents: aws.Bool(false)},
		"TrailNotFoundException":               {Name: aws.String("none")},
	} {
		if in.Name == nil {
			in.Name = name
		}
		_, err := c.cloudtrail.UpdateTrail(ctx, &in)
		wantCode(t, code, err, code, 400)
	}
	_, err = newClients(s, "eu-west-1", Credentials(goodAccount)).cloudtrail.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: arn})
	wantCode(t, "from another region", err, "InvalidHomeRegionException", 400)
}

// TestLeastPrivilege takes each permission of a policy away in turn: without any, the call that needs it is refused.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	const job = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/*"
	const models = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/"
	const deployment = "arn:aws:bedrock:us-east-1:111122223333:custom-model-deployment/d8f3k1m6p2wq"
	const logs, vpcs = "arn:aws:ec2:us-east-1:111122223333:vpc-flow-log/*", "arn:aws:ec2:us-east-1:111122223333:vpc/" + goodVPC
	statements := [][2]string{
		{"bedrock:CreateModelCustomizationJob", goodBase},
		{"iam:PassRole", goodRole},
		{"bedrock:TagResource", job},
		{"bedrock:TagResource", models + "*"},
		{"bedrock:UpdateCustomModelDeployment", deployment},
		{"bedrock:UpdateCustomModelDeployment", otherModel},
		{"ec2:CreateFlowLogs", logs},
		{"ec2:CreateFlowLogs", vpcs},
		{"ec2:CreateTags", logs},
		{"logs:CreateLogDelivery", "*"},
	}
	run := func(without int) error {
		var policies []string
		for i, s := range statements {
			if i != without {
				policies = append(policies, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"`+s[0]+`","Resource":"`+s[1]+`"}}`)
			}
		}
		c, _ := goodClients(t, Options{Writable: true, Policies: map[string][]string{goodAccount: policies}})
		if _, err := c.bedrock.CreateModelCustomizationJob(t.Context(), request("new")); err != nil {
			return err
		}
		if _, err := c.ec2.CreateFlowLogs(t.Context(), flowLogsTo("acme-trail", goodVPC, "once")); err != nil {
			return err
		}
		_, err := c.bedrock.UpdateCustomModelDeployment(t.Context(), &bedrock.UpdateCustomModelDeploymentInput{CustomModelDeploymentIdentifier: aws.String("support"), ModelArn: aws.String(otherModel)})
		return err
	}
	if err := run(-1); err != nil {
		t.Errorf("with all: %v", err)
	}
	for i, s := range statements {
		code, status := "AccessDeniedException", 403
		if slices.Contains([]int{6, 7, 8, 9}, i) {
			code = "UnauthorizedOperation"
		}
		err := run(i)
		wantCode(t, s[0]+" on "+s[1], err, code, status)
		if !contains(err, s[0]) {
			t.Errorf("without %s: %v", s[0], err)
		}
	}
}
