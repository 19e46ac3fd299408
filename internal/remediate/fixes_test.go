package remediate_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

// TestEveryFix: what fails a rule is mended by its plan and fails again after the rollback; nothing else changes the
// account, and the calls are what the printed policies allow, each of which is needed.
func TestEveryFix(t *testing.T) {
	t.Parallel()
	for _, rule := range remediate.Mends() {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			patches := failing(t, rule)
			if strings.HasPrefix(rule, "MC-JOB-00") && rule != "MC-JOB-008" || rule == "MC-MOD-001" {
				patches = append(patches, awsfake.Patch{Path: "~/deployments", Delete: true}, awsfake.Patch{Path: "~/throughputs", Delete: true})
			}
			if rule == "MC-JOB-002" {
				patches = append(bare(), awsfake.Patch{Path: "~/jobs/0/vpcConfig", Set: map[string]any{
					"subnetIds": []any{"subnet-0a1f2e3d4c5b6a798"}, "securityGroupIds": []any{"sg-0c3d4e5f6a7b8c9d0"},
				}})[1:]
			}
			w := world(t, patches...)
			server := awsfake.New(w, awsfake.Options{Writable: true, Now: now})
			o := wants(t, server, rule)
			before := verdicts(t, auditing(t, server, rule, "MC-JOB-001"), rule)
			f := plan(t, o)
			if writes := server.Writes(); len(writes) > 0 {
				t.Fatalf("planning made %v", writes)
			}
			if err := f.runner(t, o.Audit.Collect).Apply(t.Context(), f.everything()); err != nil {
				t.Fatal(err)
			}
			after := verdicts(t, auditing(t, server, rule, "MC-JOB-001"), rule)
			for resource, status := range before {
				if status == posture.Fail && after[resource] != posture.Pass && after[resource] != posture.Superseded {
					t.Errorf("%s of %s is still %s", rule, resource, after[resource])
				}
			}
			verified(t, server, f, true)
			policies(t, w, f)
			if err := f.reopen(t, server).Rollback(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			for resource, status := range verdicts(t, auditing(t, server, rule, "MC-JOB-001"), rule) {
				if was, known := before[resource]; known && status != was && rule != "MC-S3-005" {
					t.Errorf("after the rollback %s of %s is %s, not %s", rule, resource, status, was)
				}
			}
		})
	}
}

// verified wants the verification of an applied plan to hold, or not.
func verified(t *testing.T, server *awsfake.Server, f file, good bool) *remediate.Verification {
	t.Helper()
	records, err := remedy.ReadJournal(remedy.JournalName(f.name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := remediate.Verify(t.Context(), auditing(t, server), f.plan, f.hash, records)
	if err != nil {
		t.Fatal(err)
	}
	if v.Good() != good {
		t.Errorf("verification is good: %v, want %v: %+v", v.Good(), good, v)
	}
	return v
}

// reopen is a runner on the journal that another one left.
func (f file) reopen(t *testing.T, server *awsfake.Server) *remedy.Runner {
	t.Helper()
	records, err := remedy.ReadJournal(remedy.JournalName(f.name))
	if err != nil {
		t.Fatal(err)
	}
	copied := save(t, f.plan)
	r := copied.runner(t, auditing(t, server).Collect)
	r.Journal.Records = records
	return r
}

// policies applies the plan and rolls it back under the printed policies, and then without each of their write actions.
func policies(t *testing.T, w *awsfake.World, f file) {
	t.Helper()
	rules, err := pack(t).Select()
	if err != nil {
		t.Fatal(err)
	}
	reading := append(posture.IAMPolicies("aws", rules, true), unconditional(t, remedy.Policies(f.plan, remedy.PolicyOptions{Reads: true})[account])...)
	writing := unconditional(t, remedy.Policies(f.plan, remedy.PolicyOptions{Rollback: true, Delete: true})[account])
	run := func(documents []string) error {
		server := awsfake.New(w, awsfake.Options{Writable: true, Now: now, Policies: map[string][]string{account: documents}})
		copied := save(t, f.plan)
		r := copied.runner(t, auditing(t, server).Collect)
		if err := r.Apply(t.Context(), copied.everything()); err != nil {
			return err
		}
		return r.Rollback(t.Context(), true)
	}
	if err := run(slices.Concat(reading, writing)); err != nil {
		t.Errorf("under the printed policies: %v", err)
	}
	for _, action := range actions(t, writing) {
		if needless(action) {
			continue
		}
		if err := run(slices.Concat(reading, without(t, writing, action))); err == nil || !strings.Contains(err.Error(), "not authorized") {
			t.Errorf("without %s: %v, want that it is not authorized", action, err)
		}
	}
}

// needless are actions that AWS asks for and the fake does not: what Bedrock does with the caller's permissions on the key.
func needless(action string) bool {
	return slices.Contains([]string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "bedrock:StopModelCustomizationJob"}, action)
}

// unconditional takes the conditions off a policy: the fake does not evaluate them.
func unconditional(t *testing.T, document string) []string {
	t.Helper()
	if document == "" {
		return nil
	}
	var d map[string]any
	if err := json.Unmarshal([]byte(document), &d); err != nil {
		t.Fatal(err)
	}
	for _, s := range d["Statement"].([]any) { //nolint:forcetypeassert // a policy that this program wrote
		delete(s.(map[string]any), "Condition") //nolint:forcetypeassert // as above
	}
	return []string{encode(t, d)}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type policy struct {
	Version   string
	Statement []remedy.Statement
}

func actions(t *testing.T, documents []string) []string {
	t.Helper()
	var all []string
	for _, document := range documents {
		var p policy
		if err := json.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		for _, s := range p.Statement {
			all = append(all, s.Action...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func without(t *testing.T, documents []string, action string) []string {
	t.Helper()
	var out []string
	for _, document := range documents {
		var p policy
		if err := json.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		for i := range p.Statement {
			p.Statement[i].Action = slices.DeleteFunc(p.Statement[i].Action, func(a string) bool { return a == action })
		}
		p.Statement = slices.DeleteFunc(p.Statement, func(s remedy.Statement) bool { return len(s.Action) == 0 })
		if len(p.Statement) > 0 {
			out = append(out, encode(t, p))
		}
	}
	return out
}
