package posture_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

const (
	oldJob = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd"
	newJob = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/q4ad8z8tioq8"
)

// succession is the old job without a VPC and its successor, the good world's job, which name each other.
func succession(more ...awsfake.Patch) []awsfake.Patch {
	return append([]awsfake.Patch{
		{Path: "~/jobs/-", Set: map[string]any{
			"jobArn": oldJob, "jobName": "support-2026-10", "outputModelName": "support-2026-10",
			"outputModelArn": "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/0ld0ld0ld0ld",
			"roleArn":        "arn:aws:iam::111122223333:role/bedrock-customization", "status": "Completed",
			"creationTime": "2026-11-01T08:00:11.356Z", "lastModifiedTime": "2026-11-01T10:02:06.657Z", "endTime": "2026-11-01T10:02:06.657Z",
			"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", "customizationType": "FINE_TUNING",
			"outputModelKmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d",
			"trainingDataConfig":   map[string]any{"s3Uri": "s3://acme-train/support/train.jsonl"},
			"validationDataConfig": map[string]any{"validators": []any{map[string]any{"s3Uri": "s3://acme-validation/support/validation.jsonl"}}},
			"outputDataConfig":     map[string]any{"s3Uri": "s3://acme-output/support"},
			"tags":                 map[string]any{posture.TagSupersededBy: newJob, "owner": "a", "data-class": "b", "purpose": "c"},
		}},
		{Path: "~/jobs/0/tags/" + posture.TagSupersedes, Set: oldJob},
	}, more...)
}

// TestModelSuccession: the model of a superseded job is superseded where its successor's model passes and nothing serves it.
func TestModelSuccession(t *testing.T) {
	t.Parallel()
	const oldModel = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/0ld0ld0ld0ld"
	model := awsfake.Patch{Path: "~/models/-", Set: map[string]any{
		"modelArn": oldModel, "modelName": "support-2026-10", "jobArn": oldJob, "creationTime": "2026-11-01T10:02:06.657Z", "modelStatus": "Active",
		"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
	}}
	served := awsfake.Patch{Path: "~/deployments/0/modelArn", Set: oldModel}
	weak := awsfake.Patch{Path: "~/models/0/modelKmsKeyArn", Delete: true}
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
		want    posture.Status
	}{
		{"proved", []awsfake.Patch{model}, posture.Superseded},
		{"still served", []awsfake.Patch{model, served}, posture.Fail},
		{"the successor's model fails as well", []awsfake.Patch{model, weak}, posture.Fail},
	} {
		results := prove(t, options(awsfake.New(world(t, "", succession(c.patches...)...), awsfake.Options{Now: now}), rules(t)), rules(t))
		if got := statusOf(results, "MC-MOD-001", oldModel); got != c.want {
			t.Errorf("%s: MC-MOD-001 is %s, want %s", c.name, got, c.want)
		}
	}
}

// TestSuccession wants each part of the proof: without any one of them the FAIL stays.
func TestSuccession(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
		faults  []awsfake.Fault
		want    posture.Status
	}{
		{"proved", nil, nil, posture.Superseded},
		{"tag on the old job alone", []awsfake.Patch{{Path: "~/jobs/0/tags/" + posture.TagSupersedes, Delete: true}}, nil, posture.Fail},
		{"tag on the new job alone", []awsfake.Patch{{Path: "~/jobs/1/tags/" + posture.TagSupersededBy, Delete: true}}, nil, posture.Fail},
		{"a name for an ARN", []awsfake.Patch{{Path: "~/jobs/1/tags/" + posture.TagSupersededBy, Set: "support-2026-11"}}, nil, posture.Fail},
		{"the new one names another", []awsfake.Patch{{Path: "~/jobs/0/tags/" + posture.TagSupersedes, Set: newJob}}, nil, posture.Fail},
		{"itself", []awsfake.Patch{{Path: "~/jobs/1/tags/" + posture.TagSupersededBy, Set: oldJob}, {Path: "~/jobs/1/tags/" + posture.TagSupersedes, Set: oldJob}}, nil, posture.Fail},
		{"the successor fails as well", []awsfake.Patch{{Path: "~/jobs/0/vpcConfig", Delete: true}}, nil, posture.Fail},
		{"still running", []awsfake.Patch{{Path: "~/jobs/0/status", Set: "InProgress"}}, nil, posture.Fail},
		{"made before", []awsfake.Patch{{Path: "~/jobs/0/creationTime", Set: "2026-10-20T08:00:11.356Z"}}, nil, posture.Fail},
		{"another role", []awsfake.Patch{{Path: "~/jobs/0/roleArn", Set: "arn:aws:iam::111122223333:role/other"}}, nil, posture.Fail},
		{"another base", []awsfake.Patch{{Path: "~/jobs/0/baseModelArn", Set: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0:300k"}}, nil, posture.Fail},
		{"other data", []awsfake.Patch{{Path: "~/jobs/0/trainingDataConfig/s3Uri", Set: "s3://acme-train/other.jsonl"}}, nil, posture.Fail},
		{"no validation", []awsfake.Patch{{Path: "~/jobs/0/validationDataConfig", Delete: true}}, nil, posture.Fail},
		{"other output", []awsfake.Patch{{Path: "~/jobs/0/outputDataConfig/s3Uri", Set: "s3://acme-output/other"}}, nil, posture.Fail},
		{"still served", []awsfake.Patch{{Path: "~/deployments/0/modelArn", Set: "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/0ld0ld0ld0ld"}}, nil, posture.Fail},
		{"a copy is served", []awsfake.Patch{
			{Path: "~/copyJobs/0/sourceModelArn", Set: "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/0ld0ld0ld0ld"},
		}, nil, posture.Fail},
		{"copies unread", nil, []awsfake.Fault{fault("bedrock:ListModelCopyJobs", awsfake.AccessDenied)}, posture.Fail},
		{"tags unread", nil, []awsfake.Fault{fault("bedrock:ListTagsForResource", awsfake.AccessDenied)}, posture.Fail},
		{"the index of tags unread", nil, []awsfake.Fault{fault("tag:GetResources", awsfake.AccessDenied)}, posture.Superseded},
		{"deployments unread", nil, []awsfake.Fault{fault("bedrock:ListCustomModelDeployments", awsfake.AccessDenied)}, posture.Fail},
		{"throughputs unread", nil, []awsfake.Fault{fault("bedrock:ListProvisionedModelThroughputs", awsfake.AccessDenied)}, posture.Fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, chosen := range [][]*posture.Rule{rules(t), rules(t, "MC-JOB-001", "MC-LIF-005"), rules(t, "MC-JOB-001", "MC-LIF-005", "MC-JOB-008")} { // all, without what a proof needs, with its tags alone
				o := options(awsfake.New(world(t, "", succession(c.patches...)...), awsfake.Options{Now: now, Faults: c.faults}), chosen)
				o.MaxAttempts = 1
				results := prove(t, o, chosen)
				lif := posture.Pass
				if c.want == posture.Fail {
					lif = posture.Fail
				}
				for _, want := range []struct {
					rule   string
					status posture.Status
				}{{"MC-JOB-001", c.want}, {"MC-LIF-005", lif}} {
					if got := statusOf(results, want.rule, oldJob); got != want.status {
						show(t, results, want.rule)
						t.Errorf("%s is %s, want %s, with %d rules", want.rule, got, want.status, len(chosen))
					}
				}
			}
		})
	}
}

func statusOf(results []posture.Result, rule, resource string) posture.Status {
	for i := range results {
		if results[i].Rule == rule && results[i].Resource == resource {
			return results[i].Status
		}
	}
	return ""
}

// prove audits and proves successions as package audit does.
func prove(t *testing.T, o collect.Options, chosen []*posture.Rule) []posture.Result {
	t.Helper()
	c, err := collect.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	results := posture.Evaluate(c.Inventory, rules(t), chosen)
	for range 2 {
		if jobs := posture.ProofJobs(c.Inventory, results, rules(t)); len(jobs) > 0 {
			c.Prove(t.Context(), jobs)
		}
	}
	return posture.Settle(posture.Supersede(c.Inventory, results, rules(t)))
}

// TestIndexProvesNothing: the index of tags may be older than the tags. It chooses whom to ask; Bedrock itself proves.
func TestIndexProvesNothing(t *testing.T) {
	t.Parallel()
	untagged := []awsfake.Patch{{Path: "~/jobs/1/tags/" + posture.TagSupersededBy, Delete: true}}
	for _, c := range []struct {
		name           string
		bedrock, index []awsfake.Patch // besides the succession
		rules          []string
		want           posture.Status
	}{
		{"both know it", nil, nil, nil, posture.Superseded},
		{"the index alone, as it was before", untagged, nil, nil, posture.Fail},
		{"Bedrock alone, as it is since now", nil, untagged, nil, posture.Fail},
		{"Bedrock alone, without the index", nil, untagged, []string{"MC-JOB-001"}, posture.Superseded},
	} {
		chosen := rules(t, c.rules...)
		bedrock := awsfake.New(world(t, "", succession(c.bedrock...)...), awsfake.Options{Now: now}).HTTPClient()
		index := awsfake.New(world(t, "", succession(c.index...)...), awsfake.Options{Now: now}).HTTPClient()
		o := options(awsfake.New(world(t, ""), awsfake.Options{Now: now}), chosen)
		o.HTTP = doer(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".GetResources") {
				return index.Do(req)
			}
			return bedrock.Do(req)
		})
		if got := statusOf(prove(t, o, chosen), "MC-JOB-001", oldJob); got != c.want {
			t.Errorf("%s: MC-JOB-001 is %s, want %s", c.name, got, c.want)
		}
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }
