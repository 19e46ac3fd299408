package posture

import (
	"slices"
	"strings"
)

// Changes between two audits, as Result.Change has them.
const (
	ChangeNew         = "new"          // not in the earlier report
	ChangeFixed       = "fixed"        // FAIL before, PASS or not there now
	ChangeRegressed   = "regressed"    // not FAIL before, FAIL now
	ChangeChanged     = "changed"      // another status
	ChangeRuleChanged = "rule-changed" // another status, and another version of the rule
	ChangeSame        = "same"
)

// Difference is what became of one result between two reports.
type Difference struct {
	Change string `json:"change"`
	// Before and After are nil when the result is not in that report.
	Before *Result `json:"before,omitempty"`
	After  *Result `json:"after,omitempty"`
}

// Diff compares two reports, by the ids of results. What is the same is left out. Differences are sorted as results are,
// those that are gone last.
func Diff(before, after *Report) []Difference {
	old := map[string]*Result{}
	for i := range before.Results {
		old[before.Results[i].ID] = &before.Results[i]
	}
	var out []Difference
	for i := range after.Results {
		now := &after.Results[i]
		was := old[now.ID]
		delete(old, now.ID)
		if change := changed(was, now); change != ChangeSame {
			out = append(out, Difference{change, was, now})
		}
	}
	var gone []Difference
	for _, was := range old {
		change := ChangeChanged
		if was.Status == Fail {
			change = ChangeFixed
		}
		gone = append(gone, Difference{change, was, nil})
	}
	slices.SortFunc(gone, func(a, b Difference) int {
		return strings.Compare(a.Before.Rule+a.Before.Resource+a.Before.ID, b.Before.Rule+b.Before.Resource+b.Before.ID)
	})
	return append(out, gone...)
}

func changed(was, now *Result) string {
	switch {
	case was == nil:
		return ChangeNew
	case was.Status == now.Status:
		return ChangeSame
	case was.Version != now.Version:
		return ChangeRuleChanged
	case now.Status == Fail:
		return ChangeRegressed
	case was.Status == Fail && now.Status == Pass:
		return ChangeFixed
	}
	return ChangeChanged
}

// Baseline marks each result with what changed since an earlier report, and carries its dates over: FirstSeen from the
// earlier report, LastChanged unless the status is another. It changes results, and returns them.
func Baseline(results []Result, before *Report) []Result {
	old := map[string]*Result{}
	for i := range before.Results {
		old[before.Results[i].ID] = &before.Results[i]
	}
	for i := range results {
		was := old[results[i].ID]
		results[i].Change = changed(was, &results[i])
		if was == nil {
			continue
		}
		seen := Seen{was.FirstSeen, results[i].LastChanged}
		if results[i].Change == ChangeSame {
			seen.LastChanged = was.LastChanged
		}
		results[i].Seen = &seen
	}
	return results
}
