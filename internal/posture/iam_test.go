package posture_test

import (
	"encoding/json"
	"slices"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

// TestIAMPolicyIsExact audits as a principal that may do exactly what 'audit iam-policy' prints: nothing is unread. Without
// any one action, something is.
func TestIAMPolicyIsExact(t *testing.T) {
	t.Parallel()
	chosen := rules(t)
	var patches []awsfake.Patch
	for _, f := range fixtures(t) {
		patches = append(patches, f.Pass...)
	}
	w := world(t, "", append(patches, mixed()...)...)
	unread := func(policies []string) int {
		o := options(awsfake.New(w, awsfake.Options{Now: now, Policies: map[string][]string{account: policies}}), chosen)
		o.MaxAttempts = 1
		n := 0
		for _, r := range evaluate(t, o, chosen) {
			if r.Status == posture.Error && !r.Accepted {
				n++
			}
		}
		return n
	}
	policies := posture.IAMPolicies("aws", chosen, true)
	if n := unread(policies); n > 0 {
		t.Fatalf("%d results are ERROR under the printed policy", n)
	}
	actions := 0
	for i, policy := range policies {
		for _, action := range actionsOf(t, policy) {
			if action == "ec2:DescribeRegions" { // without it no account is read at all
				continue
			}
			actions++
			reduced := slices.Clone(policies)
			reduced[i] = withoutAction(t, policy, action)
			if unread(reduced) == 0 {
				t.Errorf("the printed policy allows %s, and nothing is unread without it", action)
			}
		}
	}
	if actions < 30 {
		t.Errorf("the policy has only %d actions", actions)
	}
}

// TestIAMPolicyOfOneRule: the policy of MC-JOB-001 alone shows the VPC and proves a succession, and without any one action
// something is unread, not shown or not proved.
func TestIAMPolicyOfOneRule(t *testing.T) {
	t.Parallel()
	chosen := rules(t, "MC-JOB-001")
	w := world(t, "", succession()...)
	audit := func(policies []string) (unread bool, old posture.Status, vpc any) {
		results := prove(t, options(awsfake.New(w, awsfake.Options{Now: now, Policies: map[string][]string{account: policies}}), chosen), chosen)
		for _, r := range results {
			unread = unread || r.Status == posture.Error
			switch r.Resource {
			case oldJob:
				old = r.Status
			case newJob:
				vpc = r.Facts.Get("vpcId")
			}
		}
		return unread, old, vpc
	}
	policies := posture.IAMPolicies("aws", chosen, true)
	unread, old, vpc := audit(policies)
	if unread || old != posture.Superseded || vpc != "vpc-0d4c3b2a19f8e7d65" {
		t.Fatalf("under the printed policy: unread %t, the old job %s, the VPC %v", unread, old, vpc)
	}
	actions := actionsOf(t, policies[0])
	if len(policies) != 1 || len(actions) != 8 {
		t.Errorf("%d policies with the actions %v", len(policies), actions)
	}
	for _, action := range actions {
		if action == "ec2:DescribeRegions" {
			continue
		}
		unread, old, vpc := audit([]string{withoutAction(t, policies[0], action)})
		if !unread && old == posture.Superseded && vpc != nil {
			t.Errorf("the printed policy allows %s, and nothing is lost without it", action)
		}
	}
}

type document struct {
	Version   string
	Statement []map[string]any
}

func parse(t *testing.T, policy string) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(policy), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func list(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

func actionsOf(t *testing.T, policy string) []string {
	t.Helper()
	var actions []string
	for _, s := range parse(t, policy).Statement {
		actions = append(actions, list(s["Action"])...)
	}
	slices.Sort(actions)
	return slices.Compact(actions)
}

func withoutAction(t *testing.T, policy, action string) string {
	t.Helper()
	d := parse(t, policy)
	var kept []map[string]any
	for _, s := range d.Statement {
		s["Action"] = slices.DeleteFunc(list(s["Action"]), func(a string) bool { return a == action })
		if len(list(s["Action"])) > 0 || len(s["Action"].([]string)) > 0 {
			kept = append(kept, s)
		}
	}
	d.Statement = kept
	out, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
