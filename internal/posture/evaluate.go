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
	used      map[string]bool // ids of the rules that others use
	memo      map[verdictKey]verdict
}

// verdictKey is a rule and the record that it judges; records that used rules judge are pointers.
type verdictKey struct {
	rule  *Rule
	value any
}

type verdict struct {
	outcome  Outcome
	evidence []Source
}

// Evaluate judges every subject of the chosen rules. all is the whole pack, for the rules that chosen ones use. Results
// are sorted as SortResults does.
func Evaluate(inventory *Inventory, all, chosen []*Rule) []Result {
	j := &judge{inventory: inventory, rules: map[string]*Rule{}, used: map[string]bool{}, memo: map[verdictKey]verdict{}}
	for _, r := range slices.Concat(all, chosen) { // the chosen ones are as the profile sets them
		j.rules[r.ID] = r
	}
	for _, r := range j.rules {
		for _, id := range append(slices.Clone(r.Uses), "MC-MOD-002") { // which follows copies to itself
			j.used[id] = true
		}
	}
	var work []assignment
	n := 0
	for _, a := range inventory.Accounts {
		a.index()
		if a.Status != "read" {
			continue
		}
		lists := map[string][]Subject{} // those that many rules share
		for _, r := range chosen {
			subjects, known := lists[r.logic.list]
			if !known {
				subjects = r.logic.subjects(a)
				if r.logic.list != "" {
					lists[r.logic.list] = subjects
				}
			}
			work = append(work, assignment{r, subjects})
			n += len(subjects)
		}
	}
	results := make([]Result, 0, n) // it is large: it must not grow
	for _, w := range work {
		for i := range w.subjects {
			results = append(results, j.result(w.rule, &w.subjects[i]))
		}
	}
	SortResults(results)
	return results
}

// assignment is a rule with the subjects that it judges in one account.
type assignment struct {
	rule     *Rule
	subjects []Subject
}

// judge runs one rule on one subject, or remembers.
func (j *judge) judge(r *Rule, s *Subject) verdict {
	if s.why != nil {
		return verdict{Outcome{Status: Error, Message: unreadMessage(s.why), Unread: []*Unread{s.why}}, []Source{s.why.Source}}
	}
	if !j.used[r.ID] {
		return j.run(r, s)
	}
	key := verdictKey{r, s.value}
	if v, ok := j.memo[key]; ok {
		return v
	}
	circle := &Unread{Source: s.Found, Code: CodeMalformed, Message: "the verdict of " + r.ID + " on " + s.Name + " rests on itself: what was read goes in a circle"}
	j.memo[key] = verdict{Outcome{Status: Error, Message: circle.Message, Unread: []*Unread{circle}}, nil} // until it is known
	v := j.run(r, s)
	j.memo[key] = v
	return v
}

func (j *judge) run(r *Rule, s *Subject) verdict {
	t := &Trial{Now: j.inventory.Time, rule: r, judge: j}
	out := run(func() Outcome {
		t.saw(s.Found)
		return r.logic.check(t, *s)
	})
	return verdict{out, t.evidence}
}

func (j *judge) verdict(rule string, s Subject) (Outcome, []Source) {
	r, ok := j.rules[rule]
	if !ok {
		panic("no rule " + rule) // a defect of the rule that asks
	}
	v := j.judge(r, &s)
	v.outcome.Facts = maps.Clone(v.outcome.Facts) // the asking rule may add to them
	return v.outcome, v.evidence
}

func (j *judge) result(r *Rule, s *Subject) Result {
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
	if s.Type == r.Resource && (res.Status == Fail || res.Status == Error) { // findings, which people look into
		res.Commands = commands(r, s)
	}
	res.ID = ResultID(res.Rule, res.Partition, res.Account, res.Region, res.Resource, res.Discriminator)
	return res
}

// commands are the CLI commands of the rule's audit steps that the subject has all values for.
func commands(r *Rule, s *Subject) []string {
	var out []string
	for _, step := range r.Audit.CLI {
		line := Fill(step.Run, s.Values)
		if line != "" && !placeholder.MatchString(line) {
			out = append(out, line)
		}
	}
	return out
}

// SortResults orders results: worst status first, then the highest severity, rule, account, region, resource. Results are
// large: keys are sorted, and each result is moved once.
func SortResults(results []Result) {
	rank := map[Status]int{}
	for i, s := range Statuses() {
		rank[s] = i
	}
	type sortKey struct{ order, from int }
	keys := make([]sortKey, len(results))
	for i := range results {
		keys[i] = sortKey{rank[results[i].Status]*8 - results[i].Severity.Rank(), i}
	}
	slices.SortFunc(keys, func(x, y sortKey) int {
		if x.order != y.order {
			return x.order - y.order
		}
		a, b := &results[x.from], &results[y.from]
		return cmp.Or(
			strings.Compare(a.Rule, b.Rule), strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region),
			strings.Compare(a.Resource, b.Resource), strings.Compare(a.Discriminator, b.Discriminator), x.from-y.from,
		)
	})
	for i := range keys { // follow each circle of the permutation
		if keys[i].from == i {
			continue
		}
		first, at := results[i], i
		for keys[at].from != i {
			from := keys[at].from
			results[at], keys[at].from = results[from], at
			at = from
		}
		results[at], keys[at].from = first, at
	}
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
