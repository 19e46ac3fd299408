// Package audit runs one audit: it collects, judges, proves successions, applies mutes, accepted gaps and the baseline, and
// makes the report. The command line and tests call it; it decides nothing by itself.
package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

// Options say what to audit.
type Options struct {
	Collect collect.Options
	// Pack is the whole rule pack, under the rule profiles; Rules are the chosen ones of it.
	Pack  *posture.Pack
	Rules []*posture.Rule
	// Also are operations to read besides those of the rules.
	Also []string
	// Selection is of results. Its statuses choose what is shown; they change neither coverage nor the exit code.
	Selection posture.Selection
	Mutes     *posture.Mutes  // nil for none
	Gaps      *posture.Gaps   // nil for none
	Baseline  *posture.Report // nil for none
	Tool      posture.Tool
	// FailOn is the least severity of a FAIL that makes exit code 3; "" for none.
	FailOn posture.Severity
}

// Outcome is a finished audit.
type Outcome struct {
	Report *posture.Report
	// ExitCode is 0, 3 or 4, as posture.ExitCode says.
	ExitCode int
	// Throttled is how many calls were refused as too many.
	Throttled int
	// Read is what was read, for those who plan changes to it.
	Read *collect.Collection
}

// Run audits. It fails only if nothing could be read at all.
func Run(ctx context.Context, o Options) (*Outcome, error) {
	began := o.Collect.Now()
	o.Collect.Wanted = posture.Wanted(o.Rules)
	for _, operation := range o.Also {
		o.Collect.Wanted[operation] = true
	}
	if len(o.Selection.Tags) > 0 {
		o.Collect.Wanted["bedrock:ListTagsForResource"] = true
	}
	o.Collect.Trusted = trusted(o.Pack)
	c, err := collect.Run(ctx, o.Collect)
	if err != nil {
		return nil, err
	}
	all, err := o.Pack.Select()
	if err != nil {
		return nil, err
	}
	judged := withUses(o.Pack, o.Rules) // what became of the used rules' FAILs decides MC-LIF-005
	results := posture.Evaluate(c.Inventory, all, judged)
	for range 2 { // the failing jobs' tags, then those of the successors that they name
		if jobs := posture.ProofJobs(c.Inventory, results, all); len(jobs) > 0 {
			c.Prove(ctx, jobs)
		}
	}
	results = posture.Supersede(c.Inventory, results, all)
	notes := unprovable(c.Inventory, results)
	if ctx.Err() != nil {
		notes = append(notes, "the audit was stopped: what had not been read by then is an ERROR")
	}
	now := c.Inventory.Time
	if o.Mutes != nil {
		var more []string
		results, more = o.Mutes.Apply(results, now)
		notes = append(notes, more...)
	}
	results = posture.Settle(results)
	results = slices.DeleteFunc(results, func(r posture.Result) bool {
		return !slices.ContainsFunc(o.Rules, func(rule *posture.Rule) bool { return rule.ID == r.Rule })
	})
	gaps := o.Gaps
	if gaps == nil {
		gaps = &posture.Gaps{}
	}
	results, more := gaps.Apply(results, now)
	notes = append(notes, more...)
	if o.Baseline != nil {
		results = posture.Baseline(results, o.Baseline)
	}
	shown := o.Selection
	shown.Statuses = nil
	results = shown.Apply(results)
	took := o.Collect.Now().Sub(began)
	if o.Collect.Player != nil {
		took = 0 // a replay gives the same bytes each time
	}
	r := posture.Assemble(c.Inventory, results, o.Rules, o.Tool, c.Calls, took.Round(time.Millisecond), notes)
	code := posture.ExitCode(r.Results, o.FailOn)
	r.Show(o.Selection.Statuses)
	return &Outcome{r, code, c.Throttled, c}, nil
}

// withUses are the chosen rules and those that they use.
func withUses(pack *posture.Pack, chosen []*posture.Rule) []*posture.Rule {
	all := slices.Clone(chosen)
	for i := 0; i < len(all); i++ {
		for _, id := range all[i].Uses {
			if used, ok := pack.Rule(id); ok && !slices.ContainsFunc(all, func(r *posture.Rule) bool { return r.ID == id }) {
				all = append(all, used)
			}
		}
	}
	return all
}

// trusted are the accounts that any rule trusts buckets of.
func trusted(pack *posture.Pack) []string {
	var accounts []string
	for i := range pack.Rules {
		if list, ok := pack.Rules[i].Effective()["trusted_accounts"].([]string); ok {
			accounts = append(accounts, list...)
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// unprovable are notes about FAILs that may have a successor, if one could read their tags.
func unprovable(inventory *posture.Inventory, results []posture.Result) []string {
	failing := map[string]bool{}
	for i := range results {
		if results[i].Status == posture.Fail {
			failing[results[i].Resource] = true
		}
	}
	codes := map[string]int{}
	for _, a := range inventory.Accounts {
		for _, r := range a.Regions {
			for _, j := range r.Jobs.Items {
				if why := j.Told().Why(); why != nil && failing[j.ARN] {
					codes[why.Code]++
				}
			}
		}
	}
	var notes []string
	for code, n := range codes {
		notes = append(notes, fmt.Sprintf("whether %d failing jobs have a successor is not known: bedrock:ListTagsForResource was not read (%s)", n, code))
	}
	slices.Sort(notes)
	return notes
}
