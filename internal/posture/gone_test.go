package posture_test

import (
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

// TestGoneBucket: of a bucket that does not exist, one rule says so. No other has anything to judge, and none lacks
// anything, whether it is chosen alone or with all.
func TestGoneBucket(t *testing.T) {
	t.Parallel()
	w := world(t, "", awsfake.Patch{Path: "~b/acme-train", Delete: true})
	verify := func(t *testing.T, chosen []*posture.Rule) {
		t.Helper()
		for _, r := range evaluate(t, options(awsfake.New(w, awsfake.Options{Now: now}), chosen), chosen) {
			want := posture.NotApplicable
			if r.Rule == "MC-S3-015" {
				want = posture.Fail
			}
			needsEvaluator := len(r.Unread) > 0 && r.Unread[0].Code == posture.CodeNeedsEvaluator
			if r.Status == posture.Error && !needsEvaluator || r.Name == "acme-train" && r.Status != want {
				t.Errorf("%s %s %s: %s", r.Status, r.Rule, r.Name, r.Message)
			}
		}
	}
	verify(t, rules(t))
	for _, rule := range rules(t) {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			verify(t, []*posture.Rule{rule})
		})
	}
}
