package remediate_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

func writable(w *awsfake.World) *awsfake.Server {
	return awsfake.New(w, awsfake.Options{Writable: true, Now: now})
}

// TestChecks: every check says ok, refused or not checked, of worlds that differ in one thing.
func TestChecks(t *testing.T) {
	t.Parallel()
	quota := awsfake.Patch{Path: "~/customizationJobQuota", Set: 0}
	deny := func(operation string) []awsfake.Fault {
		return []awsfake.Fault{{Operation: operation, Kind: awsfake.AccessDenied}}
	}
	for _, c := range []struct {
		name, check, status, why string
		patches                  []awsfake.Patch
		faults                   []awsfake.Fault
		with                     func(*remediate.Options)
	}{
		{name: "names", check: "names", status: "ok", why: "support-2026-11-r1"},
		{name: "role", check: "role-network", status: "ok"},
		{name: "a role", check: "role", status: "ok"},
		{name: "no role", check: "role", status: "refused", why: "--role", with: func(o *remediate.Options) { o.Role = "arn:aws:iam::" + account + ":role/none" }},
		{name: "a role of others", check: "role", status: "refused", with: func(o *remediate.Options) { o.Role = "arn:aws:iam::999999999999:role/bedrock-customization" }},
		{name: "role itself unread", check: "role", status: "not checked", faults: deny("GetRole")},
		{name: "role may not", check: "role-network", status: "refused", why: "ec2:DescribeNetworkInterfaces", patches: []awsfake.Patch{{Path: "/accounts/" + account + "/roles/bedrock-customization/allowedActions", Set: []any{"ec2:DescribeVpcs"}}}},
		{name: "role may under conditions", check: "role-network", status: "not checked", why: "ec2:CreateTags", patches: []awsfake.Patch{{Path: "/accounts/" + account + "/roles/bedrock-customization/allowedActions", Set: []any{"ec2:Describe*", "ec2:CreateNetworkInterface"}}}},
		{name: "role unread", check: "role-network", status: "not checked", why: "SimulatePrincipalPolicy", faults: deny("SimulatePrincipalPolicy")},
		{name: "not AWS", check: "role-network", status: "not checked", why: "only AWS", with: foreign},
		{name: "S3", check: "s3-reachable", status: "ok", why: "vpce-"},
		{name: "no S3", check: "s3-reachable", status: "refused", why: "no S3 endpoint", patches: []awsfake.Patch{{Path: "~/vpcEndpoints", Delete: true}}},
		{name: "S3 unread", check: "s3-reachable", status: "not checked", faults: deny("DescribeVpcEndpoints")},
		{name: "key", check: "key", status: "ok"},
		{name: "key disabled", check: "key", status: "refused", why: "Disabled", patches: []awsfake.Patch{{Path: "~/keys/0/metadata/KeyState", Set: "Disabled"}, {Path: "~/keys/0/metadata/Enabled", Set: false}}},
		{name: "key unread", check: "key", status: "not checked", faults: deny("DescribeKey")},
		{name: "base", check: "base-model", status: "ok"},
		{name: "base legacy", check: "base-model", status: "refused", why: "LEGACY", patches: []awsfake.Patch{{Path: "~/foundationModels/0/modelLifecycle/status", Set: "LEGACY"}}},
		{name: "base unread", check: "base-model", status: "not checked", faults: deny("GetFoundationModel")},
		{name: "data", check: "data", status: "ok", why: "unchanged since the old job"},
		{name: "data changed", check: "data", status: "refused", why: "after the old job", patches: []awsfake.Patch{{Path: "~b/acme-train/objects/0/LastModified", Set: "2026-11-21T07:40:00Z"}}},
		{name: "data gone", check: "data", status: "refused", why: "no such object", patches: []awsfake.Patch{{Path: "~b/acme-train/objects", Delete: true}}},
		{name: "data unread", check: "data", status: "not checked", faults: deny("ListObjectsV2")},
		{name: "quota", check: "quota", status: "ok", why: "of 10"},
		{name: "no quota left", check: "quota", status: "refused", patches: []awsfake.Patch{quota}},
		{name: "quota unread", check: "quota", status: "not checked", faults: deny("ListServiceQuotas")},
		{name: "serving unread", check: "serving", status: "not checked", faults: deny("ListCustomModelDeployments")},
		{name: "the new job fails too", check: "mends", status: "refused", why: "MC-JOB-004", with: func(o *remediate.Options) { o.Keys, o.KeepServiceKey = nil, true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := awsfake.New(world(t, bare(c.patches...)...), awsfake.Options{Writable: true, Now: now, Faults: c.faults})
			o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
			if c.with != nil {
				c.with(&o)
			}
			p, err := remediate.Plan(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			status, why := check(p, c.check)
			if status != c.status || !strings.Contains(why, c.why) {
				t.Errorf("%s is %q: %s; want %q with %q", c.check, status, why, c.status, c.why)
			}
			f := save(t, p)
			approval := remedy.Approval{Hash: f.hash, Cost: true}
			err = f.runner(t, o.Audit.Collect).Apply(t.Context(), approval)
			if c.status != "ok" && (err == nil || len(server.Writes()) > 0) {
				t.Errorf("apply gave %v and wrote %v", err, server.Writes())
			}
		})
	}
}

// foreign makes the fake an endpoint that is not AWS's.
func foreign(o *remediate.Options) {
	o.Audit.Collect.Session.Endpoints = map[string]string{"": "http://aws.test"}
}

// TestTarget: the network is chosen as it is said, and never guessed.
func TestTarget(t *testing.T) {
	t.Parallel()
	second := awsfake.Patch{Path: "~/securityGroups/-", Set: map[string]any{"GroupId": "sg-0ffffffffffffffff", "GroupName": "other", "VpcId": vpc, "OwnerId": account}}
	internet := awsfake.Patch{Path: "~/routeTables/0/Routes/-", Set: map[string]any{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-0123456789abcdef0", "State": "active"}}
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
		with    func(*remediate.Options)
		refused string
		subnets []string
	}{
		{name: "one subnet of each zone", subnets: []string{"subnet-0a1f2e3d4c5b6a798", "subnet-0b2e3d4c5b6a79881"}},
		{name: "two of a zone", patches: []awsfake.Patch{{Path: "~/subnets/0/AvailabilityZoneId", Set: "use1-az2"}, {Path: "~/subnets/1/AvailabilityZoneId", Set: "use1-az2"}, {Path: "~/subnets/1/AvailableIpAddressCount", Set: 900}}, subnets: []string{"subnet-0b2e3d4c5b6a79881"}},
		{name: "no target", with: func(o *remediate.Options) { o.VPCs = nil }, refused: "NoTargetNetwork"},
		{name: "a VPC of nobody", with: func(o *remediate.Options) { o.VPCs = []string{"vpc-00000000000000000"} }, refused: "NoTargetNetwork"},
		{name: "a way out", patches: []awsfake.Patch{internet}, refused: "no private subnet"},
		{name: "two groups", patches: []awsfake.Patch{second}, refused: "name --security-groups"},
		{name: "a named group", patches: []awsfake.Patch{second}, with: func(o *remediate.Options) { o.Groups = []string{"bedrock-training"} }, subnets: []string{"subnet-0a1f2e3d4c5b6a798", "subnet-0b2e3d4c5b6a79881"}},
		{name: "a group that is not there", with: func(o *remediate.Options) { o.Groups = []string{"sg-00000000000000000"} }, refused: "none of the security groups"},
		{name: "subnets", with: func(o *remediate.Options) {
			o.VPCs, o.Subnets, o.Groups = nil, []string{"subnet-0a1f2e3d4c5b6a798"}, []string{"sg-0c3d4e5f6a7b8c9d0"}
		}, subnets: []string{"subnet-0a1f2e3d4c5b6a798"}},
		{name: "subnets of nobody", with: func(o *remediate.Options) {
			o.VPCs, o.Subnets, o.Groups = nil, []string{"subnet-00000000000000000"}, []string{"sg-0c3d4e5f6a7b8c9d0"}
		}, refused: "NoTargetNetwork"},
		{name: "no key", with: func(o *remediate.Options) { o.Keys = nil }, refused: "NoCustomerKey"},
		{name: "a key of another region", with: func(o *remediate.Options) { o.Keys = []string{"arn:aws:kms:eu-west-1:111122223333:key/x"} }, refused: "NoCustomerKey"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := writable(world(t, bare(c.patches...)...))
			o := wants(t, server, "MC-JOB-001")
			if c.with != nil {
				c.with(&o)
			}
			p, err := remediate.Plan(t.Context(), o)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("plan gave %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			network, _ := tree(t, p.Steps[0].Parameters)["vpcConfig"].(map[string]any)
			var subnets []string
			for _, s := range network["subnetIds"].([]any) { //nolint:forcetypeassert // a plan that was just made
				subnets = append(subnets, s.(string)) //nolint:forcetypeassert // as above
			}
			if !slices.Equal(subnets, c.subnets) {
				t.Errorf("subnets are %v, want %v", subnets, c.subnets)
			}
		})
	}
}

// TestWhichJobs: what runs, has failed, was replaced or is muted.
func TestWhichJobs(t *testing.T) {
	t.Parallel()
	status := func(s string) awsfake.Patch { return awsfake.Patch{Path: "~/jobs/0/status", Set: s} }
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
		with    func(*remediate.Options)
		call    string
		left    string
	}{
		{name: "completed", call: "bedrock:CreateModelCustomizationJob"},
		{name: "failed", patches: []awsfake.Patch{status("Failed")}, left: "--include-failed"},
		{name: "failed, included", patches: []awsfake.Patch{status("Failed")}, with: func(o *remediate.Options) { o.IncludeFailed = true }, call: "bedrock:CreateModelCustomizationJob"},
		{name: "stopped", patches: []awsfake.Patch{status("Stopped")}, left: "--include-failed"},
		{name: "running", patches: []awsfake.Patch{status("InProgress")}, left: "--action stop"},
		{name: "running, to stop", patches: []awsfake.Patch{status("InProgress")}, with: func(o *remediate.Options) { o.Stop = true }, call: "bedrock:StopModelCustomizationJob"},
		{name: "to stop, but ended", with: func(o *remediate.Options) { o.Stop = true }, left: "does not run"},
		{name: "replaced", patches: []awsfake.Patch{{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: "arn:x"}}, left: "does not take for one"},
		{name: "not chosen", with: func(o *remediate.Options) { o.Audit.Selection.Jobs = []string{"another"} }, left: "nothing to mend"},
		{name: "no longer failing", with: func(o *remediate.Options) {
			o.Findings = map[string]posture.Result{"mc-0": {Rule: "MC-JOB-001", Identity: &posture.Identity{Resource: "gone"}}}
		}, left: "has no such result"},
		{name: "a rule without a fix", with: func(o *remediate.Options) {
			o.Audit.Rules, _ = o.Audit.Pack.Select("MC-LIF-005")
		}, left: "audit explain MC-LIF-005"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := writable(world(t, bare(c.patches...)...))
			o := wants(t, server, "MC-JOB-001")
			if c.with != nil {
				c.with(&o)
			}
			p, err := remediate.Plan(t.Context(), o)
			if c.left != "" {
				if err == nil || !strings.Contains(err.Error(), c.left) {
					t.Fatalf("plan gave %v, want %q", err, c.left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Steps[0].Call != c.call {
				t.Errorf("the plan begins with %s", p.Steps[0].Call)
			}
			f := save(t, p)
			if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDriftAborts: whatever changes between plan and apply, nothing is written, and the answer is drift.
func TestDriftAborts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
	}{
		{"other data", []awsfake.Patch{{Path: "~b/acme-train/objects/0/ETag", Set: `"ffffffffffffffffffffffffffffffff"`}}},
		{"other validation data", []awsfake.Patch{{Path: "~b/acme-validation/objects/0/LastModified", Set: "2026-11-18T09:40:00Z"}}},
		{"the key", []awsfake.Patch{{Path: "~/keys/0/metadata/KeyState", Set: "PendingDeletion"}, {Path: "~/keys/0/metadata/Enabled", Set: false}}},
		{"the base model", []awsfake.Patch{{Path: "~/foundationModels/0/modelLifecycle/status", Set: "LEGACY"}}},
		{"the name", []awsfake.Patch{{Path: "~/jobs/0/jobName", Set: oldName + "-r1"}}},
		{"a subnet", []awsfake.Patch{{Path: "~/subnets/1/SubnetId", Set: "subnet-0ffffffffffffffff"}}},
		{"a group", []awsfake.Patch{{Path: "~/securityGroups/0/VpcId", Set: "vpc-0ffffffffffffffff"}}},
		{"a way out", []awsfake.Patch{{Path: "~/routeTables/0/Routes/-", Set: map[string]any{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-0123456789abcdef0", "State": "active"}}}},
		{"a group's rules", []awsfake.Patch{{Path: "~/securityGroups/0/IpPermissions", Set: []any{map[string]any{"IpProtocol": "-1", "IpRanges": []any{map[string]any{"CidrIp": "0.0.0.0/0"}}}}}}},
		{"the way to S3", []awsfake.Patch{{Path: "~/vpcEndpoints", Delete: true}}},
		{"the role", []awsfake.Patch{{Path: "/accounts/" + account + "/roles/bedrock-customization", Delete: true}}},
		{"a successor", []awsfake.Patch{{Path: "~/jobs/0/tags/" + posture.TagSupersededBy, Set: "arn:x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := plan(t, wants(t, writable(world(t, bare()...)), "MC-JOB-001", "MC-JOB-004"))
			server := writable(world(t, bare(c.patches...)...))
			err := f.runner(t, auditing(t, server).Collect).Apply(t.Context(), f.everything())
			if _, drift := errors.AsType[*remedy.DriftError](err); !drift || len(server.Writes()) > 0 {
				t.Errorf("apply gave %v and wrote %v", err, server.Writes())
			}
		})
	}
	t.Run("another endpoint", func(t *testing.T) {
		t.Parallel()
		server := writable(world(t, bare()...))
		o := wants(t, server, "MC-JOB-001")
		f := plan(t, o)
		foreign(&o)
		_, err := remediate.Connect(t.Context(), o.Audit.Collect, f.plan)
		if _, drift := errors.AsType[*remedy.DriftError](err); !drift {
			t.Errorf("connect gave %v", err)
		}
	})
}

// TestTagsSurvive: the tags of the job and those of the model, which differ, are those of the new job and model.
func TestTagsSurvive(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare(awsfake.Patch{Path: "~/models/0/tags", Set: map[string]any{"stage": "prod", "owner": "others"}})...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	made := remedy.StateOf(r.Journal.Records, "1.1").Results["jobArn"]
	model := remedy.StateOf(r.Journal.Records, "1.2").Results["modelArn"]
	for arn, want := range map[string]map[string]string{
		made:   {posture.TagSupersedes: oldJob, "owner": "ml-platform", "data-class": "internal", "purpose": "support-answers"},
		model:  {"stage": "prod", "owner": "others"},
		oldJob: {posture.TagSupersededBy: made, "owner": "ml-platform", "data-class": "internal", "purpose": "support-answers"},
	} {
		caller, err := r.Clients(account, "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := caller.Call(t.Context(), "bedrock:ListTagsForResource", []byte(`{"resourceARN":"`+arn+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		for _, tag := range answer.Members["tags"].([]any) { //nolint:forcetypeassert // the fake has tags
			one := tag.(map[string]any)                       //nolint:forcetypeassert // as above
			have[one["key"].(string)] = one["value"].(string) //nolint:forcetypeassert // as above
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("tags of %s (-want +got):\n%s", arn, d)
		}
	}
}

// TestSwitchServing: what serves the old model serves the new one, last, and the old one again after a rollback.
func TestSwitchServing(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()[:2]...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	if p := f.plan.Changes[0].Predicted; !slices.ContainsFunc(p, func(p remedy.Prediction) bool { return p.Status == posture.Fail && p.Resource == oldJob }) {
		t.Errorf("without a switch the old job is predicted as %+v", p)
	}
	if len(f.plan.Steps) != 4 {
		t.Errorf("without --switch-serving there are %d steps", len(f.plan.Steps))
	}
	o.SwitchServing = true
	f = plan(t, o)
	var calls []string
	for _, s := range f.plan.Steps {
		calls = append(calls, s.Call)
	}
	if !slices.Contains(calls[4:], "bedrock:UpdateCustomModelDeployment") {
		t.Fatalf("the plan's calls are %v", calls)
	}
	r := f.runner(t, o.Audit.Collect)
	if err := r.Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(t, auditing(t, server), "MC-JOB-001")[oldJob]; got != posture.Superseded {
		t.Errorf("the old job is %s", got)
	}
	if v := verified(t, server, f, true); len(v.Serving) > 0 {
		t.Errorf("still served: %v", v.Serving)
	}
	if err := r.Rollback(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(t, auditing(t, server), "MC-JOB-001")[oldJob]; got != posture.Fail {
		t.Errorf("after the rollback the old job is %s", got)
	}
	if v := verified(t, server, f, false); !v.RolledBack || v.RollbackOpen {
		t.Errorf("after the rollback: %+v", v)
	}
}

// TestVerifySaysWhatStillServes: without a switch the old model goes on being served, and verify says so.
func TestVerifySaysWhatStillServes(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()[:2]...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	if v := verified(t, server, f, true); len(v.Serving) == 0 || !strings.Contains(v.Losses[0], "validation loss 0.5, before 1.188") {
		t.Errorf("verification: %+v", v)
	}
}

// accounts is the good world with a second account like the first, whose job has another name; both without VPC and key.
func accounts(t *testing.T) *awsfake.World {
	t.Helper()
	var all map[string]any
	if err := yaml.Unmarshal(awsfake.Good(), &all); err != nil {
		t.Fatal(err)
	}
	first, err := yaml.Marshal(all["accounts"].(map[string]any)[account]) //nolint:forcetypeassert // the good world
	if err != nil {
		t.Fatal(err)
	}
	var second any
	text := strings.NewReplacer(account, "444455556666", "acme-", "beta-", oldName, "billing-2026-11").Replace(string(first))
	if err := yaml.Unmarshal([]byte(text), &second); err != nil {
		t.Fatal(err)
	}
	patches := append(bare(), awsfake.Patch{Path: "/accounts/444455556666", Set: second})
	for _, p := range bare() {
		p.Path = strings.Replace(p.Path, "~/", "/accounts/444455556666/regions/us-east-1/", 1)
		patches = append(patches, p)
	}
	return world(t, patches...)
}

// TestOneOfTwoAccounts: what fails in one account fails there alone; resume goes on with it, and rollback takes both back.
func TestOneOfTwoAccounts(t *testing.T) {
	t.Parallel()
	server := awsfake.New(accounts(t), awsfake.Options{Writable: true, Now: now, JobFails: func(name string) bool { return strings.HasPrefix(name, "billing") }})
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	o.Audit.Collect.Targets = []collect.Target{{ID: account}, {ID: "444455556666", RoleARN: "arn:aws:iam::444455556666:role/cloister-audit", ExternalID: "acme"}}
	o.Keys = append(o.Keys[:0:0], "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d")
	f := plan(t, o)
	if len(f.plan.Changes) != 2 || len(f.plan.Accounts) != 2 {
		t.Fatalf("the plan has %d changes in %d accounts", len(f.plan.Changes), len(f.plan.Accounts))
	}
	r := f.runner(t, o.Audit.Collect)
	err := r.Apply(t.Context(), f.everything())
	if stopped, ok := errors.AsType[*remedy.StoppedError](err); !ok || len(stopped.Why) != 1 || !strings.Contains(stopped.Why[0], "Failed") {
		t.Fatalf("apply gave %v", err)
	}
	states := map[string][]bool{}
	for _, s := range f.plan.Steps {
		states[s.Account] = append(states[s.Account], remedy.StateOf(r.Journal.Records, s.ID).Done)
	}
	if want := map[string][]bool{account: {true, true, true, true}, "444455556666": {true, false, false, false}}; !maps.EqualFunc(states, want, slices.Equal) {
		t.Errorf("done: %v, want %v", states, want)
	}
	outcome := auditing(t, server, "MC-JOB-001")
	outcome.Collect.Targets = o.Audit.Collect.Targets
	found := verdicts(t, outcome, "MC-JOB-001")
	if found[oldJob] != posture.Superseded || found[strings.Replace(oldJob, account, "444455556666", 1)] != posture.Fail {
		t.Errorf("verdicts: %v", found)
	}
	if err := r.Rollback(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if found := verdicts(t, outcome, "MC-JOB-001"); found[oldJob] != posture.Fail {
		t.Errorf("after the rollback: %v", found)
	}
}

// TestMostChanges: a plan does not become larger than it may.
func TestMostChanges(t *testing.T) {
	t.Parallel()
	server := writable(accounts(t))
	o := wants(t, server, "MC-JOB-001")
	o.Audit.Collect.Targets = []collect.Target{{ID: account}, {ID: "444455556666", RoleARN: "arn:aws:iam::444455556666:role/cloister-audit", ExternalID: "acme"}}
	o.Keys, o.MostChanges = []string{"1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"}, 1
	if _, err := remediate.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--max-changes") {
		t.Errorf("plan gave %v", err)
	}
}

// TestHeldKeysStay: a key that is off on purpose is left off.
func TestHeldKeysStay(t *testing.T) {
	t.Parallel()
	patches := append(failing(t, "MC-KMS-002"), awsfake.Patch{Path: "~/keys/0/tags", Set: map[string]any{"cloister:hold": "incident 12"}}, awsfake.Patch{Path: "~/keys/1/tags", Set: map[string]any{"cloister:hold": "incident 12"}})
	_, err := remediate.Plan(t.Context(), wants(t, writable(world(t, patches...)), "MC-KMS-002"))
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("plan gave %v", err)
	}
}

// TestStoppedPlanner: a plan that is given up half-way is none.
func TestStoppedPlanner(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if p, err := remediate.Plan(ctx, wants(t, writable(world(t, bare()...)), "MC-JOB-001")); err == nil {
		t.Errorf("plan gave %+v", p)
	}
}

// TestSwitchLater: a second plan lets what serves the old model serve that of the successor.
func TestSwitchLater(t *testing.T) {
	t.Parallel()
	server := writable(world(t, bare()[:2]...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	f := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	if _, err := remediate.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), "it was made again already") {
		t.Errorf("a second plan gave %v", err)
	}
	o.SwitchServing = true
	later := plan(t, o)
	if err := later.runner(t, o.Audit.Collect).Apply(t.Context(), later.everything()); err != nil {
		t.Fatal(err)
	}
	verified(t, server, later, true)
}

// TestRequiredTags: a job that is made again gets the tags that it lacks, if their rule is to be mended too.
func TestRequiredTags(t *testing.T) {
	t.Parallel()
	lacks := []awsfake.Patch{{Path: "~/jobs/0/tags/owner", Delete: true}, {Path: "~/models/0/tags/purpose", Delete: true}}
	server := writable(world(t, bare(lacks...)...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004", "MC-JOB-008", "MC-MOD-007")
	f := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{"MC-JOB-008", "MC-MOD-007", "MC-JOB-001"} {
		for resource, status := range verdicts(t, auditing(t, server, "MC-JOB-001", "MC-JOB-004", "MC-JOB-008", "MC-MOD-007"), rule) {
			if status != posture.Pass && status != posture.Superseded {
				t.Errorf("%s of %s is %s", rule, resource, status)
			}
		}
	}
	verified(t, server, f, true)
}

// TestTwoRegions: one plan mends jobs of two regions, each in its region's network and under its region's key.
func TestTwoRegions(t *testing.T) {
	t.Parallel()
	var all map[string]any
	if err := yaml.Unmarshal(awsfake.Good(), &all); err != nil {
		t.Fatal(err)
	}
	regions := all["accounts"].(map[string]any)[account].(map[string]any)["regions"].(map[string]any) //nolint:forcetypeassert // the good world
	first, err := yaml.Marshal(regions["us-east-1"])
	if err != nil {
		t.Fatal(err)
	}
	var second any
	if err := yaml.Unmarshal([]byte(strings.NewReplacer("us-east-1", "eu-west-1", "use1-", "euw1-").Replace(string(first))), &second); err != nil {
		t.Fatal(err)
	}
	patches := append(bare(), awsfake.Patch{Path: "/accounts/" + account + "/regions/eu-west-1", Set: second})
	for _, p := range bare() {
		p.Path = strings.Replace(p.Path, "~/", "/accounts/"+account+"/regions/eu-west-1/", 1)
		patches = append(patches, p)
	}
	server := writable(world(t, patches...))
	o := wants(t, server, "MC-JOB-001", "MC-JOB-004")
	o.Keys = []string{key, strings.Replace(key, "us-east-1", "eu-west-1", 1)}
	f := plan(t, o)
	if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
		t.Fatal(err)
	}
	found := verdicts(t, auditing(t, server, "MC-JOB-001", "MC-JOB-004"), "MC-JOB-004")
	for _, old := range []string{oldJob, strings.Replace(oldJob, "us-east-1", "eu-west-1", 1)} {
		if found[old] != posture.Superseded {
			t.Errorf("%s is %s", old, found[old])
		}
	}
	verified(t, server, f, true)
}
