package posture_test

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

// members are, for each call, a member with a few known values and a member that AWS's model requires, as the auditor
// reads them; "" for none.
func members() map[string][2]string {
	return map[string][2]string{
		"bedrock:ListModelCustomizationJobs":             {"modelCustomizationJobSummaries[].status", "modelCustomizationJobSummaries[].jobArn"},
		"bedrock:GetModelCustomizationJob":               {"status", "roleArn"},
		"bedrock:ListCustomModels":                       {"", "modelSummaries[].modelArn"},
		"bedrock:GetCustomModel":                         {"modelStatus", "modelName"},
		"bedrock:ListCustomModelDeployments":             {"modelDeploymentSummaries[].status", "modelDeploymentSummaries[].modelArn"},
		"bedrock:ListProvisionedModelThroughputs":        {"provisionedModelSummaries[].status", "provisionedModelSummaries[].modelArn"},
		"bedrock:ListModelImportJobs":                    {"modelImportJobSummaries[].status", "modelImportJobSummaries[].jobArn"},
		"bedrock:GetModelImportJob":                      {"status", "modelDataSource"},
		"bedrock:ListImportedModels":                     {"", "modelSummaries[].modelArn"},
		"bedrock:GetImportedModel":                       {"", "modelArn"},
		"bedrock:ListModelCopyJobs":                      {"modelCopyJobSummaries[].status", "modelCopyJobSummaries[].targetModelArn"},
		"bedrock:GetFoundationModel":                     {"modelDetails.modelLifecycle.status", "modelDetails.modelArn"},
		"bedrock:GetModelInvocationLoggingConfiguration": {"", "loggingConfig.s3Config.bucketName"},
		"bedrock:ListTagsForResource":                    {"", ""},
		"ec2:DescribeSubnets":                            {"", "Subnets[].VpcId"},
		"ec2:DescribeSecurityGroups":                     {"", "SecurityGroups[].GroupName"},
		"ec2:DescribeRouteTables":                        {"RouteTables[].Routes[].State", "RouteTables[].RouteTableId"},
		"ec2:DescribeVpcEndpoints":                       {"VpcEndpoints[].State", "VpcEndpoints[].VpcEndpointType"},
		"ec2:DescribeFlowLogs":                           {"FlowLogs[].TrafficType", "FlowLogs[].ResourceId"},
		"ec2:DescribeVpcAttribute":                       {"", ""},
		"ec2:DescribeNetworkInterfaces":                  {"NetworkInterfaces[].Status", "NetworkInterfaces[].NetworkInterfaceId"},
		"ec2:DescribeManagedPrefixLists":                 {"", "PrefixLists[].OwnerId"},
		"ec2:GetManagedPrefixListEntries":                {"", "Entries[].Cidr"},
		"kms:DescribeKey":                                {"KeyMetadata.KeyState", "KeyMetadata.Arn"},
		"kms:GetKeyRotationStatus":                       {"", ""},
		"kms:ListGrants":                                 {"", "Grants[].GrantId"},
		"s3:HeadBucket":                                  {"", ""},
		"s3:GetPublicAccessBlock":                        {"", "PublicAccessBlockConfiguration.RestrictPublicBuckets"},
		"s3:GetBucketPolicyStatus":                       {"", "PolicyStatus.IsPublic"},
		"s3:GetBucketAcl":                                {"Grants[].Grantee.Type", "Grants[].Grantee"},
		"s3:GetBucketEncryption":                         {"ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault.SSEAlgorithm", "ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault"},
		"s3:GetBucketVersioning":                         {"Status", ""},
		"s3:GetBucketLogging":                            {"", "LoggingEnabled.TargetBucket"},
		"s3:ListObjectsV2":                               {"", "Contents[].LastModified"},
		"s3control:GetPublicAccessBlock":                 {"", "PublicAccessBlockConfiguration.BlockPublicAcls"},
		"cloudtrail:DescribeTrails":                      {"", "trailList[].IsMultiRegionTrail"},
		"cloudtrail:GetTrailStatus":                      {"", "IsLogging"},
		"cloudtrail:GetEventSelectors":                   {"", ""},
		"logs:DescribeLogGroups":                         {"", "logGroups[].logGroupName"},
		"tag:GetResources":                               {"", "ResourceTagMappingList[].ResourceARN"},
	}
}

// mixed are patches that make some rules fail: a second job without network and key, a model without tags, and a bucket without
// encryption of its own.
func mixed() []awsfake.Patch {
	job := map[string]any{
		"jobArn": "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd", "jobName": "bare-2026-11",
		"outputModelName": "bare-2026-11", "roleArn": "arn:aws:iam::111122223333:role/bedrock-customization", "status": "Completed",
		"creationTime": "2026-11-21T08:00:11.356Z", "lastModifiedTime": "2026-11-21T10:02:06.657Z", "endTime": "2026-11-21T10:02:06.657Z",
		"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", "customizationType": "FINE_TUNING",
		"trainingDataConfig": map[string]any{"s3Uri": "s3://acme-train/support/train.jsonl"}, "outputDataConfig": map[string]any{"s3Uri": "s3://acme-output/bare/"},
		"hyperParameters": map[string]any{"epochCount": "2"}, "tags": map[string]any{"owner": "somebody"},
	}
	return []awsfake.Patch{
		{Path: "~/jobs/-", Set: job},
		{Path: "~/models/1/tags", Set: map[string]any{}},
		{Path: "~b/acme-output/encryption/Rules/0/ApplyServerSideEncryptionByDefault", Set: map[string]any{"SSEAlgorithm": "AES256"}},
	}
}

// call is one call of a corpus.
type call struct {
	operation, region string
	page              int
}

// TestUnreadNeverPasses breaks each call of two corpora in each way. No verdict that rests on the call passes, unless it no
// longer rests on it; no other verdict moves, unless its subject is no longer found and the rule says so with an ERROR; and
// the audit says that it is incomplete.
func TestUnreadNeverPasses(t *testing.T) {
	t.Parallel()
	for _, corpus := range []struct {
		name    string
		patches []awsfake.Patch
		code    int
	}{{"compliant", nil, 4}, {"mixed", mixed(), 3}} {
		granted := awsfake.Patch{Path: "~/keys/1/grants", Set: []any{map[string]any{ // so that every key has one
			"GrantId": "1c237476b39f8bc44e45212e08498fbe3151305030726c0590dd8d3e9f3d6a60", "GranteePrincipal": "bedrock.amazonaws.com", "Operations": []any{"Decrypt"},
		}}}
		w := world(t, "", slices.Concat(corpus.patches, []awsfake.Patch{granted}, fixtures(t)["MC-NET-001"].Pass)...)
		server := awsfake.New(w, awsfake.Options{Now: now, PageSize: 1})
		o := options(server, rules(t))
		before := evaluate(t, o, rules(t))
		if code := posture.ExitCode(before, posture.Medium); corpus.code == 4 && code != 0 {
			t.Fatalf("the compliant corpus ends with %d", code)
		}
		var calls []call
		for _, c := range server.Calls() {
			one := call{c.Service + ":" + c.Operation, c.Region, c.Page}
			if c.Service != "sts" && c.Service != "cloister" && c.Operation != "DescribeRegions" && !slices.Contains(calls, one) {
				calls = append(calls, one)
			}
		}
		if len(calls) < 50 {
			t.Fatalf("the corpus has only %d calls", len(calls))
		}
		for _, c := range calls {
			t.Run(corpus.name+"/"+c.operation+"/"+c.region+"/"+strconv.Itoa(c.page), func(t *testing.T) {
				t.Parallel()
				for _, f := range faults(t, c) {
					synctest.Test(t, func(t *testing.T) { testFault(t, w, c, f, before, corpus.code) })
				}
			})
		}
	}
}

// faults are the ways in which a call breaks.
func faults(t *testing.T, c call) []awsfake.Fault {
	t.Helper()
	with := func(kind awsfake.Kind, member string) awsfake.Fault {
		f := fault(c.operation, kind)
		f.Region, f.Page, f.Member = c.region, c.page, member
		return f
	}
	all := []awsfake.Fault{with(awsfake.AccessDenied, ""), with(awsfake.Throttle, ""), with(awsfake.HTML500, ""), with(awsfake.Timeout, "")}
	known, ok := members()[c.operation]
	if !ok {
		t.Fatalf("%s is not in the table of members", c.operation)
	}
	if c.operation != "s3:HeadBucket" { // it has no body
		all = append(all, with(awsfake.Truncated, ""))
	}
	if known[0] != "" {
		all = append(all, with(awsfake.UnknownEnum, known[0]))
	}
	if known[1] != "" {
		all = append(all, with(awsfake.MissingMember, known[1]))
	}
	return all
}

func testFault(t *testing.T, w *awsfake.World, c call, f awsfake.Fault, before []posture.Result, code int) {
	t.Helper()
	o := options(awsfake.New(w, awsfake.Options{Now: now, PageSize: 1, Faults: []awsfake.Fault{f}}), rules(t))
	o.MaxAttempts = 2
	after := evaluate(t, o, rules(t))
	rests := func(r *posture.Result) bool {
		return slices.ContainsFunc(r.Evidence, func(s *posture.Source) bool {
			return s.Operation == c.operation && s.Region == c.region && (s.Page == c.page || c.page == 0)
		})
	}
	now, broken := map[string]*posture.Result{}, false
	for i := range after {
		now[after[i].ID] = &after[i]
		broken = broken || after[i].Status == posture.Error && !after[i].Accepted
	}
	if !broken && f.Member == "" {
		t.Errorf("%v: no ERROR at all", f.Kind)
	}
	for i := range after {
		// A member that an answer does not have breaks nothing.
		if broken && after[i].Status == posture.Pass && rests(&after[i]) {
			t.Errorf("%v %s: %s %s passes on the broken call: %s", f.Kind, f.Member, after[i].Rule, after[i].Name, after[i].Message)
		}
	}
	for i := range before {
		was := &before[i]
		is, ok := now[was.ID]
		switch {
		case ok && is.Status == was.Status:
		case !ok && count(after, was.Rule, posture.Error) > 0: // no longer found, and the rule says so
		case ok && rests(was) && is.Status == posture.Error:
		case ok && is.Status == posture.Error && slices.ContainsFunc(is.Unread, func(u *posture.Unread) bool { return u.Operation == c.operation }):
		default:
			status := posture.Status("gone")
			if ok {
				status = is.Status
			}
			t.Errorf("%v: %s %s was %s and is %s", f.Kind, was.Rule, was.Name, was.Status, status)
		}
	}
	want := code
	if !broken {
		want = posture.ExitCode(before, posture.Medium)
	}
	if got := posture.ExitCode(after, posture.Medium); got != want && broken {
		// Where every FAIL rests on the broken call, none is left to win over 4.
		if failing := slices.ContainsFunc(after, func(r posture.Result) bool {
			return r.Status == posture.Fail && r.Severity.Rank() >= posture.Medium.Rank()
		}); failing || got != 4 {
			t.Errorf("%v: exit code %d, want %d", f.Kind, got, want)
		}
	}
}
