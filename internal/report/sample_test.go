package report_test

import (
	"fmt"
	"slices"
	"time"

	"example.com/cloister/internal/posture"
)

// hostile is a name with what names should not have: markup of every format, control and bidi characters, a formula.
const hostile = "=cmd|' /C calc'!A0 <script>alert(1)</script> `x` |--| [a](javascript:b) **b** @team #1 \x1b[2J\u009b31m\u202egnp.\u2066 \x00\r\nx\t\ufeff\U000e0041 \xff \u65e5\u672c\u8a9e ]]> https://evil.example/"

func at(minutes int) time.Time {
	return time.Date(2026, time.November, 25, 10, minutes, 0, 0, time.UTC)
}

func source(operation, region, resource string) *posture.Source {
	return &posture.Source{
		Operation: operation, Account: "111122223333", Region: region, RequestID: "7f1c0c9e-5a55-4a6e-9a6c-0d2d9b1f7a11",
		Resource: resource, Time: at(1),
	}
}

func metadata(id, title string, severity posture.Severity, class string) posture.RuleReport {
	return posture.RuleReport{
		Metadata: posture.Metadata{
			ID: id, Version: 3, Aliases: []string{"Bedrock-014"}, Title: title, Severity: severity, Obligation: "should be achieved",
			Pillar: "security", Resource: "AWS::Bedrock::ModelCustomizationJob", Needs: "api",
			Reads:     []string{"bedrock:ListModelCustomizationJobs", "bedrock:GetModelCustomizationJob"},
			Settings:  []posture.Setting{{Name: "min_azs", Type: "integer", Default: 2, Description: "How many zones"}},
			Rationale: "Training data is often the most sensitive data that a team has. A job outside a VPC reads it over paths that nobody watches.\n\nA VPC lets flow logs and endpoint policies say who read what.",
			PassWhen:  "The job names at least one subnet.", FailWhen: "The job's vpcConfig is empty.",
			Audit: posture.Steps{
				Console: []string{"Open Amazon Bedrock, Custom models, Jobs.", "Choose the job and look at VPC settings."},
				CLI:     []posture.CLIStep{{Text: "Describe the job", Run: "aws bedrock get-model-customization-job --job-identifier {job_name} --region {region} --query vpcConfig", Output: "null"}},
			},
			Remediation: posture.Steps{
				Console: []string{"Create the job again with VPC settings."},
				CLI:     []posture.CLIStep{{Text: "Create the job again", Run: "aws bedrock create-model-customization-job \\\n  --vpc-config subnetIds={subnet_ids},securityGroupIds={group_id}"}},
			},
			Fix:          posture.FixInfo{Class: class, Hazards: []string{"a new job costs money"}},
			Supersedable: class == "R", Maps: map[string][]string{"nist80053": {"SC-7", "AC-4"}, "iso27001": {"A.8.20"}},
			References: []posture.Reference{{Title: "Protect your model customization jobs using a VPC", URL: "https://docs.aws.amazon.com/bedrock/latest/userguide/vpc-model-customization.html"}},
			Reviewed:   "2026-11-20",
		},
		Effective: map[string]any{"min_azs": 2},
	}
}

// result makes one result of a job; name is also the job's.
func result(rule string, severity posture.Severity, status posture.Status, region, name, message string) posture.Result {
	arn := "arn:aws:bedrock:" + region + ":111122223333:model-customization-job/amazon.titan-text-lite-v1:0:4k/" + name
	return posture.Result{
		ID: posture.ResultID(rule, "aws", "111122223333", region, arn, ""), Rule: rule, Version: 3, Severity: severity,
		Status: status, Message: message,
		Identity: &posture.Identity{
			Partition: "aws", Account: "111122223333", Region: region, Resource: arn, Name: name,
			Type: "AWS::Bedrock::ModelCustomizationJob", Jobs: []string{name},
			Tags: map[string]string{"owner": "ml-platform", "data-class": "internal"},
		},
		Evidence: []*posture.Source{source("bedrock:GetModelCustomizationJob", region, arn)},
		Facts:    posture.MakeFacts(map[string]any{"vpcConfig": nil, "status": "Completed"}),
		Commands: []string{"aws bedrock get-model-customization-job --job-identifier " + arn + " --region " + region + " --query vpcConfig"},
		Seen:     &posture.Seen{FirstSeen: at(-600), LastChanged: at(-60)}, Change: "same",
	}
}

// sample is a small report that has everything: each verdict, each severity, hostile names, unread calls.
func sample() *posture.Report {
	denied := &posture.Unread{
		Source: *source("kms:GetKeyPolicy", "eu-west-1", "1234abcd-12ab-34cd-56ef-1234567890ab"), Code: "AccessDeniedException",
		Message: "User: arn:aws:sts::111122223333:assumed-role/audit/x is not authorized to perform: kms:GetKeyPolicy",
	}
	throttled := &posture.Unread{Source: *source("iam:GetRole", "", "trainer"), Code: "Throttling"}
	r := &posture.Report{
		Schema: posture.ReportSchema, Tool: posture.Tool{Name: "cloister", Version: "1.4.0"}, Started: at(0), Seconds: 12.345, Calls: 690,
		Accounts: []posture.AccountReport{
			{ID: "111122223333", Name: "research", Partition: "aws", Status: "read", Regions: []posture.RegionReport{
				{Name: "eu-west-1", Status: "incomplete", Jobs: 3, Models: 1, Unread: 2},
				{Name: "us-east-1", Status: "read", Jobs: 2, Models: 2},
				{Name: "ap-northeast-1", Status: "read"},
				{Name: "ap-south-1", Status: "read"},
				{Name: "sa-east-1", Status: "read"},
				{Name: "me-central-1", Status: "not-applicable"},
			}},
			{ID: "444455556666", Name: hostile, Partition: "aws", Status: "error", Error: &posture.Unread{Source: *source("sts:AssumeRole", "", ""), Code: "AccessDenied", Message: hostile}, Regions: []posture.RegionReport{}},
			{ID: "777788889999", Partition: "aws", Status: "suspended", Regions: []posture.RegionReport{}},
		},
		Assumptions: []string{"Service control policies of the organization were not read: they only restrict."},
		Notes:       []string{"The mute of MC-JOB-008 on " + hostile + " expired on 2026-11-01.", "Mute 3 matched nothing."},
		Rules: []posture.RuleReport{
			metadata("MC-JOB-001", "Model customization job runs inside a VPC", posture.Medium, "R"),
			metadata("MC-JOB-004", "Output model asks for a customer managed key", posture.High, "R"),
			metadata("MC-JOB-008", "Job has the required tags", posture.Low, "A0"),
			metadata("MC-KMS-002", "Key policy does not open the key to everyone", posture.Extreme, "A1"),
			metadata("MC-S3-001", "Training bucket is not public", posture.VeryHigh, "A0"),
			metadata("MC-ROL-002", "Service role has confused-deputy conditions", posture.High, "A1"),
			metadata("MC-LOG-001", "Invocation logging is on", posture.Medium, "A0"),
		},
	}
	public := result("MC-S3-001", posture.VeryHigh, posture.Fail, "global", "tuning-data", "the policy of bucket tuning-data lets everybody read it")
	public.Resource, public.Type, public.Jobs = "arn:aws:s3:::tuning-data", "AWS::S3::Bucket", []string{"support-tuner", "support-tuner-2", hostile, "d", "e"}
	public.Facts = posture.MakeFacts(map[string]any{"policyStatus": map[string]any{"isPublic": true}, "statement": "Allow * s3:GetObject"})
	public.Change = "new"
	evil := result("MC-JOB-001", posture.Medium, posture.Fail, "eu-west-1", hostile, "job "+hostile+" has no VPC configuration")
	evil.Tags = map[string]string{"=1+1": "@SUM(A1)", hostile: hostile, " \t-2": "\u202e+3"}
	evil.Facts = posture.MakeFacts(map[string]any{hostile: hostile, "count": 9007199254740993})
	evil.Commands = []string{"aws bedrock get-model-customization-job --job-identifier '" + hostile + "'"}
	evil.Discriminator = hostile
	key := result("MC-KMS-002", posture.Extreme, posture.Error, "eu-west-1", "1234abcd-12ab-34cd-56ef-1234567890ab", "kms:GetKeyPolicy in eu-west-1 was not read: AccessDeniedException")
	key.Type, key.Unread, key.Facts, key.Jobs = "AWS::KMS::Key", []*posture.Unread{denied}, nil, []string{"support-tuner"}
	role := result("MC-ROL-002", posture.High, posture.Error, "global", "trainer", "iam:GetRole was not read: Throttling")
	role.Type, role.Unread, role.Accepted, role.Jobs = "AWS::IAM::Role", []*posture.Unread{throttled}, true, []string{"support-tuner"}
	muted := result("MC-JOB-008", posture.Low, posture.Muted, "us-east-1", "nightly", "tags purpose, owner are missing")
	muted.Mute = &posture.MuteNote{Reason: "migrates in Q1 " + hostile, Owner: "ml-platform", Expires: "2027-01-31"}
	old := result("MC-JOB-001", posture.Medium, posture.Superseded, "us-east-1", "support-tuner-1", "job support-tuner-1 has no VPC configuration")
	old.SupersededBy = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.titan-text-lite-v1:0:4k/support-tuner-2"
	absent := result("MC-LOG-001", posture.Medium, posture.NotApplicable, "ap-south-1", "111122223333", "no job runs here")
	absent.Type, absent.Jobs, absent.Tags, absent.Facts, absent.Commands = "AWS::Account", nil, nil, nil, nil
	r.Results = []posture.Result{
		public,
		result("MC-JOB-004", posture.High, posture.Fail, "eu-west-1", "support-tuner", "job support-tuner names no key for its output model"),
		evil,
		result("MC-JOB-008", posture.Low, posture.Fail, "eu-west-1", "support-tuner", "tag purpose is missing"),
		key, role, old, muted,
		result("MC-JOB-001", posture.Medium, posture.Pass, "eu-west-1", "support-tuner", "job support-tuner runs in vpc-0a1b2c3d"),
		result("MC-JOB-001", posture.Medium, posture.Pass, "us-east-1", "support-tuner-2", "job support-tuner-2 runs in vpc-0d4e5f60"),
		absent,
	}
	r.Coverage = posture.Coverage{Evaluated: 9, Total: 11, Unread: []posture.UnreadReport{
		{Operation: "iam:GetRole", Action: "iam:GetRole", Account: "111122223333", Code: "Throttling", Calls: 1, Results: 1, Accepted: true},
		{Operation: "kms:GetKeyPolicy", Action: "kms:GetKeyPolicy", Account: "111122223333", Region: "eu-west-1", Code: "AccessDeniedException", Message: denied.Message, RequestID: denied.RequestID, Calls: 2, Results: 1},
	}}
	r.Jobs = []posture.JobReport{
		{
			ARN: r.Results[1].Resource, Name: "support-tuner", Account: "111122223333", Region: "eu-west-1", Status: "Completed", VPC: "vpc-0a1b2c3d",
			Subnets: []string{"subnet-0aa11bb2", "subnet-0cc33dd4"}, Groups: []string{"sg-0123abcd"}, Key: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
			Training: "s3://tuning-data/train.jsonl", Validation: []string{"s3://tuning-data/validation.jsonl"}, Output: "s3://tuning-output/", Role: "arn:aws:iam::111122223333:role/trainer",
			Base: "amazon.titan-text-lite-v1:0:4k", Model: "arn:aws:bedrock:eu-west-1:111122223333:custom-model/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd", ServedBy: []string{"arn:aws:bedrock:eu-west-1:111122223333:provisioned-model/efgh"},
		},
		{ARN: evil.Resource, Name: hostile, Account: "111122223333", Region: "eu-west-1", Status: "InProgress", Training: "s3://" + hostile, Output: "s3://tuning-output/", Role: hostile, Base: "amazon.titan-text-lite-v1:0:4k"},
		{ARN: "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/x", Name: "support-tuner-2", Account: "111122223333", Region: "us-east-1", Status: "Completed", VPC: "vpc-0d4e5f60", Subnets: []string{"subnet-1"}, Training: "s3://tuning-data/b.jsonl", Output: "s3://tuning-output/b/", Role: "arn:aws:iam::111122223333:role/trainer", Base: "amazon.titan-text-lite-v1:0:4k", Model: "arn:aws:bedrock:us-east-1:111122223333:custom-model/m"},
		{ARN: "arn:aws:bedrock:eu-west-1:111122223333:model-customization-job/unread", Name: "unread", Account: "111122223333", Region: "eu-west-1", Status: "", Unread: &posture.Unread{Source: *source("bedrock:GetModelCustomizationJob", "eu-west-1", "unread"), Code: "AccessDeniedException"}},
	}
	return r
}

// large is a report of n results in 10 accounts and 30 regions, as an audit of a large organization gives it: every tenth
// result is a FAIL, every hundredth an ERROR.
func large(n int) *posture.Report {
	r := sample()
	small, shape := r.Results, r.Jobs[0]
	r.Accounts, r.Jobs, r.Results = nil, nil, make([]posture.Result, 0, n)
	for a := range 10 {
		account := posture.AccountReport{ID: fmt.Sprintf("%012d", 111122223333+a), Name: fmt.Sprintf("team-%d", a), Partition: "aws", Status: "read"}
		for g := range 30 {
			account.Regions = append(account.Regions, posture.RegionReport{Name: fmt.Sprintf("xx-region-%d", g+1), Status: "read", Jobs: g % 3})
		}
		r.Accounts = append(r.Accounts, account)
	}
	for i := range n {
		one := small[8]
		switch {
		case i < n/10:
			one = small[i%4]
		case i < n/10+n/100:
			one = small[4]
		}
		account, identity := r.Accounts[i%10], *one.Identity
		one.Identity = &identity
		one.Account, one.Region = account.ID, account.Regions[i/10%30].Name
		one.Name = fmt.Sprintf("tuning-job-%d", i/7)
		one.Jobs = []string{one.Name}
		for _, operation := range []string{"ec2:DescribeSubnets", "kms:GetKeyPolicy", "s3:GetBucketPolicy"} {
			one.Evidence = append(slices.Clip(one.Evidence), source(operation, one.Region, one.Name))
		}
		one.Resource = "arn:aws:bedrock:" + one.Region + ":" + one.Account + ":model-customization-job/amazon.titan-text-lite-v1:0:4k/" + one.Name
		one.ID = posture.ResultID(one.Rule, "aws", one.Account, one.Region, one.Resource, fmt.Sprint(i))
		r.Results = append(r.Results, one)
		if i%25 == 0 {
			job := shape
			job.ARN, job.Name, job.Account, job.Region = one.Resource, one.Name, one.Account, one.Region
			r.Jobs = append(r.Jobs, job)
		}
	}
	r.Coverage.Evaluated, r.Coverage.Total = n-n/100, n
	return r
}
