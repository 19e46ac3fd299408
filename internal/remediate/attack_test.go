package remediate_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

// evil is a job that somebody made with another role and other data, and that passes the rules.
func evil() awsfake.Patch {
	return awsfake.Patch{Path: "~/jobs/-", Set: map[string]any{
		"jobArn": strings.Replace(oldJob, "q4ad8z8tioq8", "ev1lev1lev1l", 1), "jobName": "evil", "outputModelName": "evil", "status": "Completed",
		"outputModelArn": "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/ev1lev1lev1l",
		"roleArn":        "arn:aws:iam::111122223333:role/other", "creationTime": "2026-11-21T08:00:11.356Z", "lastModifiedTime": "2026-11-21T10:02:06.657Z", "endTime": "2026-11-21T10:02:06.657Z",
		"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", "customizationType": "FINE_TUNING", "outputModelKmsKeyArn": key,
		"vpcConfig":          map[string]any{"subnetIds": []any{"subnet-0a1f2e3d4c5b6a798"}, "securityGroupIds": []any{"sg-0c3d4e5f6a7b8c9d0"}},
		"trainingDataConfig": map[string]any{"s3Uri": "s3://acme-train/evil.jsonl"}, "outputDataConfig": map[string]any{"s3Uri": "s3://acme-output/support/"},
		"trainingMetrics": map[string]any{"trainingLoss": 99}, "tags": map[string]any{"owner": "a"},
	}}
}

// TestForgedSuccessor: a tag on the old job lets no plan serve what somebody else made.
func TestForgedSuccessor(t *testing.T) {
	t.Parallel()
	forged := strings.Replace(oldJob, "q4ad8z8tioq8", "ev1lev1lev1l", 1)
	for name, more := range map[string][]awsfake.Patch{
		"one tag":      {{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: forged}},
		"both tags":    {{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: forged}, {Path: "~/jobs/1/tags/" + posture.TagSupersedes, Set: oldJob}},
		"a model's":    {{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: strings.Replace(forged, "model-customization-job", "custom-model", 1)}},
		"not even one": {{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			patches := append(bare()[:2], evil())
			o := wants(t, writable(world(t, append(patches, more...)...)), "MC-JOB-001", "MC-JOB-004")
			o.SwitchServing = true
			if p, err := remediate.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "does not take for one") {
				t.Errorf("plan gave %+v, %v", p, err)
			}
		})
	}
}

// TestNoSecondJob: while a plan's job is there, no other plan makes one for the same old job; after a rollback one may.
func TestNoSecondJob(t *testing.T) {
	t.Parallel()
	server := awsfake.New(world(t, bare()...), awsfake.Options{Writable: true, Now: now, JobPolls: 1 << 20})
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	first, other := plan(t, o), plan(t, o)
	r := first.runner(t, o.Audit.Collect)
	r.Patience = 1
	if err := r.Apply(t.Context(), first.everything()); err == nil {
		t.Fatal("the job has ended")
	}
	if _, err := remediate.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "was made in its place already") {
		t.Errorf("a later plan gave %v", err)
	}
	err := other.runner(t, o.Audit.Collect).Apply(t.Context(), other.everything())
	if _, drift := errors.AsType[*remedy.DriftError](err); !drift {
		t.Errorf("a plan of before gave %v", err)
	}
	if err := r.Rollback(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if f := plan(t, o); !strings.Contains(f.plan.Changes[0].Title, "-r2") {
		t.Errorf("after the rollback: %s", f.plan.Changes[0].Title)
	}
}

// TestNextFreeName: job and model get one ending, which both have free.
func TestNextFreeName(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare(awsfake.Patch{Path: "~/models/0/modelName", Set: oldName + "-r1"})...))
	p := plan(t, wants(t, server, "MC-JOB-001")).plan
	in := tree(t, p.Steps[0].Parameters)
	if in["jobName"] != oldName+"-r2" || in["customModelName"] != oldName+"-r2" {
		t.Errorf("names are %v and %v", in["jobName"], in["customModelName"])
	}
}

// call makes a call as somebody else in the account.
func call(t *testing.T, r *remedy.Runner, operation string, in map[string]any) {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := r.Clients(account, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Call(t.Context(), operation, text); err != nil {
		t.Fatal(err)
	}
}

// TestRollbackLeavesOthersAlone: what somebody else changed after the plan is not undone with it.
func TestRollbackLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	server := writable(world(t, failing(t, "MC-LOG-004")...))
	o := wants(t, server, "MC-LOG-004")
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	trail := f.plan.Changes[0].Resource
	call(t, r, "cloudtrail:PutEventSelectors", map[string]any{"TrailName": trail, "EventSelectors": []any{
		map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": []any{map[string]any{"Type": "AWS::Lambda::Function", "Values": []any{"arn:aws:lambda"}}}},
	}})
	before := len(server.Writes())
	err := r.Rollback(t.Context(), false)
	if _, stopped := errors.AsType[*remedy.StoppedError](err); !stopped || len(server.Writes()) != before {
		t.Errorf("rollback gave %v and wrote %v", err, server.Writes()[before:])
	}
	if v := verified(t, server, f, false); v.RolledBack || !v.RollbackOpen {
		t.Errorf("after half a rollback: %+v", v)
	}
}

// TestOthersModelStays: --delete-created deletes the plan's own model, not one that has its name.
func TestOthersModelStays(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	call(t, r, "bedrock:DeleteCustomModel", map[string]any{"modelIdentifier": oldName + "-r1"})
	mine := tree(t, f.plan.Steps[0].Parameters)
	mine["jobName"], mine["clientRequestToken"] = "mine", "mine"
	call(t, r, "bedrock:CreateModelCustomizationJob", mine)
	call(t, r, "bedrock:GetModelCustomizationJob", map[string]any{"jobIdentifier": "mine"}) // it ends
	if err := r.Rollback(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	call(t, r, "bedrock:GetCustomModel", map[string]any{"modelIdentifier": oldName + "-r1"})
}

// TestUnreadIsNotAsPredicted: what could not be read when a plan was made has to be accepted, and is never verified.
func TestUnreadIsNotAsPredicted(t *testing.T) {
	t.Parallel()
	server := awsfake.New(world(t, bare()...), awsfake.Options{Writable: true, Now: now, Faults: []awsfake.Fault{{Operation: "DescribeFlowLogs", Kind: awsfake.AccessDenied}}})
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	if status, _ := check(f.plan, "network-rules"); status != remedy.NotChecked {
		t.Errorf("the check says %q", status)
	}
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, server, f, false); len(v.Unread) == 0 {
		t.Errorf("nothing is unread: %+v", v)
	}
}

// TestVerifySeesTheNetwork: what became of the network after the plan is seen.
func TestVerifySeesTheNetwork(t *testing.T) {
	t.Parallel()
	f := plan(t, wants(t, writable(world(t, bare()...)), "MC-JOB-001", "MC-JOB-004"))
	for rule, resource := range map[string]string{"MC-NET-001": "sg-0c3d4e5f6a7b8c9d0", "MC-NET-004": "subnet-0a1f2e3d4c5b6a798", "MC-NET-005": "subnet-0b2e3d4c5b6a79881"} {
		if !slices.ContainsFunc(f.plan.Changes[0].Predicted, func(p remedy.Prediction) bool { return p.Rule == rule && strings.HasSuffix(p.Resource, resource) }) {
			t.Errorf("%s of %s is not predicted", rule, resource)
		}
	}
}

// TestLeftRegions: with regions left out nobody knows whether a copy is served there.
func TestLeftRegions(t *testing.T) {
	t.Parallel()
	o := wants(t, writable(world(t, bare()...)), "MC-JOB-001", "MC-JOB-004")
	o.Audit.Collect.Regions = []string{"us-east-1"}
	f := plan(t, o)
	if status, why := check(f.plan, "serving"); status != remedy.NotChecked || !strings.Contains(why, "not all regions") {
		t.Errorf("serving is %q: %s", status, why)
	}
	for _, p := range f.plan.Changes[0].Predicted {
		if p.Status == posture.Superseded {
			t.Errorf("predicted: %+v", p)
		}
	}
}

// TestJournalOfAnotherPlan: a journal verifies its own plan alone.
func TestJournalOfAnotherPlan(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	o.MostLoss = 0.2
	other := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	records, err := remedy.ReadJournal(remedy.JournalName(f.name))
	if err != nil {
		t.Fatal(err)
	}
	_, err = remediate.Verify(t.Context(), auditing(t, server), other.plan, other.hash, records)
	if _, drift := errors.AsType[*remedy.DriftError](err); !drift {
		t.Errorf("verify gave %v", err)
	}
}

// TestAlias: an alias is the key that it meant when the plan was made.
func TestAlias(t *testing.T) {
	t.Parallel()
	o := wants(t, writable(world(t, bare(awsfake.Patch{Path: "~/keys/0/aliases", Set: []any{"alias/bedrock-models"}})...)), "MC-JOB-001", "MC-JOB-004")
	o.Keys = []string{"alias/bedrock-models"}
	if in := tree(t, plan(t, o).plan.Steps[0].Parameters); in["customModelKmsKeyId"] != key {
		t.Errorf("the key is %v", in["customModelKmsKeyId"])
	}
}

// TestHeldLater: a key that is held after the plan was made stays off.
func TestHeldLater(t *testing.T) {
	t.Parallel()
	f := plan(t, wants(t, writable(world(t, failing(t, "MC-KMS-002")...)), "MC-KMS-002"))
	held := append(failing(t, "MC-KMS-002"), awsfake.Patch{Path: "~/keys/0/tags", Set: map[string]any{"cloister:hold": "x"}}, awsfake.Patch{Path: "~/keys/1/tags", Set: map[string]any{"cloister:hold": "x"}})
	server := writable(world(t, held...))
	err := f.runner(t, auditing(t, server).Collect).Apply(t.Context(), f.everything())
	if _, drift := errors.AsType[*remedy.DriftError](err); !drift || len(server.Writes()) > 0 {
		t.Errorf("apply gave %v", err)
	}
}

// TestOtherEndpoint: the endpoint of one service alone makes it another place.
func TestOtherEndpoint(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	o.Audit.Collect.Session.Endpoints = map[string]string{"kms": "http://127.0.0.1:1"}
	_, err := remediate.Connect(t.Context(), o.Audit.Collect, f.plan)
	if _, drift := errors.AsType[*remedy.DriftError](err); !drift {
		t.Errorf("connect gave %v", err)
	}
}

// TestNamedIDs: an id that no region has is a mistake, not left out.
func TestNamedIDs(t *testing.T) {
	t.Parallel()
	for _, with := range []func(*remediate.Options){
		func(o *remediate.Options) {
			o.VPCs, o.Subnets, o.Groups = nil, []string{"subnet-0a1f2e3d4c5b6a798", "subnet-0typotypotypotyp"}, []string{"sg-0c3d4e5f6a7b8c9d0"}
		},
		func(o *remediate.Options) {
			o.VPCs, o.Subnets, o.Groups = nil, []string{"subnet-0a1f2e3d4c5b6a798"}, []string{"sg-0c3d4e5f6a7b8c9d0", "sg-0typotypotypotyp0"}
		},
		func(o *remediate.Options) { o.Groups = []string{"bedrock-training", "sg-0typotypotypotyp0"} },
	} {
		o := wants(t, writable(world(t, bare()...)), "MC-JOB-001")
		with(&o)
		if _, err := remediate.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "typo") {
			t.Errorf("plan gave %v", err)
		}
	}
}

// TestLostAnswerOfTrail: a call that was not made is not taken for made because something like it was there.
func TestLostAnswerOfTrail(t *testing.T) {
	t.Parallel()
	lacks := awsfake.Patch{Path: "~/trails/0/eventSelectors", Set: map[string]any{"EventSelectors": []any{map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": false, "DataResources": []any{}}}}}
	server := awsfake.New(world(t, lacks), awsfake.Options{Writable: true, Now: now, Faults: []awsfake.Fault{{Operation: "PutEventSelectors", Kind: awsfake.Timeout}}})
	o := wants(t, server, "MC-LOG-003")
	f := plan(t, o)
	o.Audit.Collect.CallTimeout = 1e8
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err == nil {
		t.Error("apply says that it was made")
	}
	if s := remedy.StateOf(r.Journal.Records, "1.1"); s.Done {
		t.Errorf("the step is %+v", s)
	}
}

// TestForgedResults: what somebody writes into the journal is not called.
func TestForgedResults(t *testing.T) {
	t.Parallel()
	server := awsfake.New(world(t, append(bare()[:2], evil())...), awsfake.Options{Writable: true, Now: now, JobPolls: 1 << 20})
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	o.SwitchServing = true
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	r.Patience = 1
	if err := r.Apply(t.Context(), f.everything()); err == nil {
		t.Fatal("the job has ended")
	}
	r.Journal.Records = append(r.Journal.Records,
		remedy.Record{Record: "done", Step: "1.2", Results: map[string]string{"modelArn": "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/ev1lev1lev1l"}},
		remedy.Record{Record: "done", Step: "1.3"})
	before := len(server.Writes())
	err := r.Resume(context.WithoutCancel(t.Context()))
	if _, stopped := errors.AsType[*remedy.StoppedError](err); !stopped || !strings.Contains(err.Error(), "the journal says") || len(server.Writes()) != before {
		t.Errorf("resume gave %v and wrote %v", err, server.Writes()[before:])
	}
}

// TestNoJournal: a file that is no journal is not touched.
func TestNoJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, make := range map[string]func(name string) error{
		"link":   func(name string) error { return os.Symlink(dir+"/victim", name) },
		"letter": func(name string) error { return os.WriteFile(name, []byte("dear all"), 0o600) },
	} {
		if err := os.WriteFile(dir+"/victim", []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := make(dir + "/" + name); err != nil {
			t.Fatal(err)
		}
		if _, err := remedy.OpenJournal(dir + "/" + name); err == nil {
			t.Errorf("%s was opened", name)
		}
		if text, err := os.ReadFile(dir + "/" + name); err != nil || len(text) != 8 {
			t.Errorf("%s has %q", name, text)
		}
	}
}

// TestForgedFlowLog: a rollback deletes the plan's own flow log, whatever the journal names.
func TestForgedFlowLog(t *testing.T) {
	t.Parallel()
	server := writable(world(t, failing(t, "MC-NET-007")...))
	o := wants(t, server, "MC-NET-007")
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	r.Journal.Records = append(r.Journal.Records, remedy.Record{Record: "done", Step: "1.1", Results: map[string]string{"flowLogId": "fl-0someoneelses00"}})
	before := len(server.Writes())
	if err := r.Rollback(t.Context(), true); err != nil {
		t.Error(err)
	}
	if writes := server.Writes()[before:]; len(writes) > 0 {
		t.Errorf("rollback wrote %v", writes)
	}
}

// TestTrailTakenBackByHand: what somebody took back already ends a rollback, as a lost answer does.
func TestTrailTakenBackByHand(t *testing.T) {
	t.Parallel()
	server := writable(world(t, failing(t, "MC-LOG-004")...))
	o := wants(t, server, "MC-LOG-004")
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	call(t, r, "cloudtrail:PutEventSelectors", tree(t, f.plan.Steps[0].Undo[0].Parameters))
	if err := r.Rollback(t.Context(), false); err != nil {
		t.Error(err)
	}
}

// TestSwitchLaterByJob: the successor's verdict counts, whichever jobs were chosen.
func TestSwitchLaterByJob(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()[:2]...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	o.SwitchServing, o.Audit.Selection.Jobs = true, []string{oldName}
	if later := plan(t, o); later.plan.Steps[0].Call != "bedrock:UpdateCustomModelDeployment" {
		t.Errorf("the plan begins with %s", later.plan.Steps[0].Call)
	}
}

// TestPendingKeyRotates: KMS says that a key that waits for its deletion does not rotate. That is not mended.
func TestPendingKeyRotates(t *testing.T) {
	t.Parallel()
	var patches []awsfake.Patch
	for _, n := range []string{"0", "1"} {
		patches = append(patches, awsfake.Patch{Path: "~/keys/" + n + "/metadata/KeyState", Set: "PendingDeletion"}, awsfake.Patch{Path: "~/keys/" + n + "/metadata/Enabled", Set: false},
			awsfake.Patch{Path: "~/keys/" + n + "/rotation/KeyRotationEnabled", Set: false})
	}
	if p, err := remediate.Plan(t.Context(), wants(t, writable(world(t, patches...)), "MC-KMS-003")); err == nil || !strings.Contains(err.Error(), "mend MC-KMS-002 first") {
		t.Errorf("plan gave %+v, %v", p, err)
	}
}

// TestVerifyEachAccountsRegions: an account is verified in its own regions.
func TestVerifyEachAccountsRegions(t *testing.T) {
	t.Parallel()
	server := writable(accounts(t))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	o.Audit.Collect.Targets = []collect.Target{{ID: account}, {ID: "444455556666", RoleARN: "arn:aws:iam::444455556666:role/cloister-audit", ExternalID: "acme"}}
	o.Keys = []string{"1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"}
	p, err := remediate.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	p.Accounts[1].Regions = []string{"us-east-1"}
	f := save(t, p)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	check := auditing(t, server)
	check.Collect.Targets = o.Audit.Collect.Targets
	before := len(server.Calls())
	v, err := remediate.Verify(t.Context(), check, f.plan, f.hash, r.Journal.Records)
	if err != nil || !v.Good() {
		t.Fatalf("verify gave %+v, %v", v, err)
	}
	for _, c := range server.Calls()[before:] {
		if c.Account == "444455556666" && c.Region == "eu-west-1" && c.Service == "bedrock" {
			t.Errorf("%s was called in a region that is not the account's", c.Operation)
		}
	}
}
