package posture_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

func fault(call string, kind awsfake.Kind) awsfake.Fault {
	service, operation, _ := strings.Cut(call, ":")
	return awsfake.Fault{Service: service, Operation: operation, Kind: kind}
}

// TestFixtures runs each rule on a world that passes, one that fails, and one that cannot be read, and then without its
// decision, which must not pass for it.
func TestFixtures(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, rule := range rules(t) {
		f, ok := all[rule.ID]
		if !ok {
			t.Errorf("rule %s has no fixtures", rule.ID)
			continue
		}
		t.Run(rule.ID, func(t *testing.T) { t.Parallel(); testFixture(t, rule, f, "aws") })
	}
	if len(all) != len(rules(t)) {
		t.Errorf("%d fixtures for %d rules", len(all), len(rules(t)))
	}
}

// TestPartitions runs fixtures in the partitions of AWS that have Bedrock or S3: ARNs and regions come from the caller's.
func TestPartitions(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, partition := range []string{"aws", "aws-us-gov", "aws-cn"} {
		for _, rule := range rules(t, "MC-JOB-001", "MC-KMS-001", "MC-S3-007") {
			t.Run(partition+"/"+rule.ID, func(t *testing.T) {
				t.Parallel()
				testFixture(t, rule, all[rule.ID], partition)
			})
		}
	}
}

func testFixture(t *testing.T, rule *posture.Rule, f fixture, partition string) {
	t.Helper()
	chosen := []*posture.Rule{rule}
	audit := func(chosen []*posture.Rule, patches []awsfake.Patch, faults ...awsfake.Fault) []posture.Result {
		server := awsfake.New(world(t, partition, patches...), awsfake.Options{Faults: faults, Now: now})
		o := options(server, chosen)
		o.Session.Region, o.MaxAttempts = regionOf(partition), 2
		return evaluate(t, o, chosen)
	}
	expect := func(what string, results []posture.Result, want posture.Status, never ...posture.Status) {
		if count(results, rule.ID, want) == 0 || slices.ContainsFunc(never, func(s posture.Status) bool { return count(results, rule.ID, s) > 0 }) {
			show(t, results, rule.ID)
			t.Errorf("%s fixture: want %s and never %v", what, want, never)
		}
		for i := range results {
			if !strings.HasPrefix(results[i].Resource, "arn:"+partition+":") {
				t.Errorf("%s is not of the partition %s", results[i].Resource, partition)
			}
		}
	}
	expect("pass", audit(chosen, f.Pass), posture.Pass, posture.Fail, posture.Error)
	expect("fail", audit(chosen, f.Fail), posture.Fail, posture.Error)
	unreadable := audit(chosen, f.Unreadable.With, fault(f.Unreadable.Call, awsfake.AccessDenied))
	expect("unreadable", unreadable, posture.Error, posture.Fail)
	for i := range unreadable {
		if r := &unreadable[i]; r.Status == posture.Error && (len(r.Unread) == 0 || r.Unread[0].Code == "" || r.Unread[0].Operation == "") {
			t.Errorf("the ERROR of %s does not say what was not read: %+v", r.Name, r)
		}
	}
	mutant := audit([]*posture.Rule{posture.Mutant(rule)}, f.Fail)
	if count(mutant, rule.ID, posture.Fail) > 0 {
		t.Error("a rule that always passes fails: the fail fixture proves nothing about the rule")
	}
}

// TestReadsDeclared runs each rule with nothing collected but what it declares: its verdicts are those of the full
// collection. A rule that sees what it does not declare is an ERROR.
func TestReadsDeclared(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, rule := range rules(t) {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			chosen := []*posture.Rule{rule}
			for _, patches := range [][]awsfake.Patch{all[rule.ID].Pass, all[rule.ID].Fail} {
				w := world(t, "", patches...)
				full := evaluate(t, options(awsfake.New(w, awsfake.Options{Now: now}), rules(t)), chosen)
				narrow := evaluate(t, options(awsfake.New(w, awsfake.Options{Now: now}), chosen), chosen)
				compare(t, full, narrow)
			}
			for _, read := range rule.AllReads() {
				without := []*posture.Rule{posture.Without(rule, read)}
				o := options(awsfake.New(world(t, "", all[rule.ID].Pass...), awsfake.Options{Now: now}), rules(t))
				for _, r := range evaluate(t, o, without) {
					saw := slices.ContainsFunc(r.Evidence, func(s *posture.Source) bool { return s.Operation == read })
					if saw && r.Status != posture.Error {
						t.Errorf("%s sees %s, which it does not declare, and is %s", rule.ID, read, r.Status)
					}
				}
			}
		})
	}
}

func compare(t *testing.T, full, narrow []posture.Result) {
	t.Helper()
	by := map[string]posture.Result{}
	for _, r := range full {
		by[r.ID] = r
	}
	for _, r := range narrow {
		if was, ok := by[r.ID]; !ok || was.Status != r.Status {
			t.Errorf("%s %s: %s with its own reads (%s), %s with all", r.Rule, r.Name, r.Status, r.Message, was.Status)
		}
		delete(by, r.ID)
	}
	for _, r := range by {
		t.Errorf("%s %s: judged with all reads only", r.Rule, r.Name)
	}
}

// TestEveryReadMatters refuses each read of each rule in turn: the rule must have an ERROR for it, so that no rule declares,
// and no policy grants, what is not needed.
func TestEveryReadMatters(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, rule := range rules(t) {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			var worlds []*awsfake.World
			for _, patches := range append([][]awsfake.Patch{all[rule.ID].Pass, all[rule.ID].Fail, all[rule.ID].Unreadable.With}, all[rule.ID].Also...) {
				worlds = append(worlds, world(t, "", patches...))
			}
			for _, read := range rule.AllReads() {
				matters := false
				for _, w := range worlds {
					server := awsfake.New(w, awsfake.Options{Faults: []awsfake.Fault{fault(read, awsfake.AccessDenied)}, Now: now})
					o := options(server, []*posture.Rule{rule})
					o.MaxAttempts = 2
					if matters = count(evaluate(t, o, []*posture.Rule{rule}), rule.ID, posture.Error) > 0; matters {
						break
					}
				}
				if !matters {
					t.Errorf("%s declares %s, and does not miss it", rule.ID, read)
				}
			}
		})
	}
}
