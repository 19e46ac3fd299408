package posture

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// allLogic is the whole rule pack: every rule's decision, by group.
func allLogic() []logic {
	return slices.Concat(jobLogic(), netLogic(), kmsLogic(), s3Logic(), modLogic(), impLogic(), logLogic(), lifLogic())
}

// judge evaluates rules over one inventory and remembers verdicts that other rules ask for.
type judge struct {
	inventory *Inventory
	rules     map[string]*Rule
	memo      map[verdictKey]verdict
}

type verdictKey struct{ rule, account, region, resource string }

type verdict struct {
	outcome  Outcome
	evidence []Source
}

// Evaluate judges every subject of the chosen rules. all is the whole pack, for the rules that chosen ones use. Results
// are sorted as SortResults does.
func Evaluate(inventory *Inventory, all, chosen []*Rule) []Result {
	j := &judge{inventory: inventory, rules: map[string]*Rule{}, memo: map[verdictKey]verdict{}}
	for _, r := range all {
		j.rules[r.ID] = r
	}
	for _, r := range chosen { // as the profile sets them
		j.rules[r.ID] = r
	}
	var results []Result
	for _, a := range inventory.Accounts {
		a.index()
		if a.Status != "read" {
			continue
		}
		for _, r := range chosen {
			for _, s := range r.logic.subjects(a) {
				results = append(results, j.result(r, s))
			}
		}
	}
	SortResults(results)
	return results
}

// judge runs one rule on one subject, or remembers.
func (j *judge) judge(r *Rule, s Subject) verdict {
	key := verdictKey{r.ID, s.Account.ID, s.Region, s.ARN}
	if s.why != nil {
		return verdict{Outcome{Status: Error, Message: unreadMessage(s.why), Unread: []*Unread{s.why}}, []Source{s.why.Source}}
	}
	if v, ok := j.memo[key]; ok {
		return v
	}
	circle := &Unread{Source: s.Found, Code: CodeMalformed, Message: "the verdict of " + r.ID + " on " + s.Name + " rests on itself: what was read goes in a circle"}
	j.memo[key] = verdict{Outcome{Status: Error, Message: circle.Message, Unread: []*Unread{circle}}, nil} // until it is known
	t := &Trial{Now: j.inventory.Time, rule: r, judge: j}
	out := run(func() Outcome {
		t.saw(s.Found)
		return r.logic.check(t, s)
	})
	v := verdict{out, t.evidence}
	j.memo[key] = v
	return v
}

func (j *judge) verdict(rule string, s Subject) (Outcome, []Source) {
	r, ok := j.rules[rule]
	if !ok {
		panic("no rule " + rule) // a defect of the rule that asks
	}
	v := j.judge(r, s)
	return v.outcome, v.evidence
}

func (j *judge) result(r *Rule, s Subject) Result {
	v := j.judge(r, s)
	res := Result{
		Rule: r.ID, Version: r.Version, Severity: r.Severity, Status: v.outcome.Status,
		Partition: s.Account.Partition, Account: s.Account.ID, Region: s.Region,
		Resource: s.ARN, Name: s.Name, Type: s.Type, Message: v.outcome.Message, Jobs: s.Jobs,
		Evidence: v.evidence, Facts: v.outcome.Facts, Unread: v.outcome.Unread,
		FirstSeen: j.inventory.Time, LastChanged: j.inventory.Time,
	}
	if v.outcome.Severity != "" {
		res.Severity = v.outcome.Severity
	}
	if s.why != nil { // several gaps of one region are several results
		res.Discriminator = strings.TrimSpace(s.why.Operation + " " + s.why.Resource)
	}
	res.Gap, res.TagsUnread = s.why != nil, s.Tags.Why() != nil
	if tags, ok := s.Tags.Read(); ok {
		res.Tags = tags
	}
	if s.Type == r.Resource {
		res.Commands = commands(r, s)
	}
	res.ID = ResultID(res.Rule, res.Partition, res.Account, res.Region, res.Resource, res.Discriminator)
	return res
}

// commands are the CLI commands of the rule's audit steps that the subject has all values for.
func commands(r *Rule, s Subject) []string {
	var out []string
	for _, step := range r.Audit.CLI {
		line := Fill(step.Run, s.Values)
		if line != "" && !placeholder.MatchString(line) {
			out = append(out, line)
		}
	}
	return out
}

// SortResults orders results: worst status first, then the highest severity, rule, account, region, resource.
func SortResults(results []Result) {
	rank := map[Status]int{}
	for i, s := range Statuses() {
		rank[s] = i
	}
	slices.SortStableFunc(results, func(a, b Result) int {
		return cmp.Or(
			cmp.Compare(rank[a.Status], rank[b.Status]),
			cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Account, b.Account),
			cmp.Compare(a.Region, b.Region),
			cmp.Compare(a.Resource, b.Resource),
			cmp.Compare(a.Discriminator, b.Discriminator),
		)
	})
}

// Wanted is the set of operations that rules read.
func Wanted(rules []*Rule) map[string]bool {
	wanted := map[string]bool{}
	for _, r := range rules {
		for _, operation := range r.reads {
			wanted[operation] = true
		}
	}
	return wanted
}

// keys of a map in order, for loops that must not depend on map order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
