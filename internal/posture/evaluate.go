package posture

import (
	"cmp"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// allLogic is the whole rule pack: every rule's decision, by group.
func allLogic() []logic {
	return slices.Concat(jobLogic(), netLogic(), kmsLogic(), s3Logic(), modLogic(), impLogic(), logLogic(), lifLogic())
}

// judge evaluates rules over one inventory. One goroutine uses it.
type judge struct {
	*session
	memo map[verdictKey]verdict // of rules that other rules use, where the session does not have them
	buf  []*Source              // for the evidence of one verdict
}

// session is one evaluation, which judges share.
type session struct {
	inventory *Inventory
	seen      *Seen
	rules     map[string]*Rule
	work      []assignment
	results   []Result
	severe    []bool // the outcome of a result set its severity
	judged    bool   // the results of rules that use no others are there
}

// assignment is a rule with the subjects that it judges in one account; its results begin at a number.
type assignment struct {
	rule     *Rule
	subjects []Subject
	at       int
	// places are where the subjects stand, by record, for rules that others use.
	places map[any]int
}

// verdictKey is a rule and the record that it judges; records that used rules judge are pointers.
type verdictKey struct {
	rule  *Rule
	value any
}

type verdict struct {
	outcome  Outcome
	evidence []*Source
}

// Evaluate judges every subject of the chosen rules. all is the whole pack, for the rules that chosen ones use. Results
// are sorted as SortResults does. It works with as many goroutines as there are processors.
func Evaluate(inventory *Inventory, all, chosen []*Rule) []Result {
	s := &session{inventory: inventory, seen: &Seen{inventory.Time, inventory.Time}, rules: map[string]*Rule{}}
	for _, r := range slices.Concat(all, chosen) { // the chosen ones are as the profile sets them
		s.rules[r.ID] = r
	}
	n := s.assign(chosen)
	s.results, s.severe = make([]Result, n), make([]bool, n) // they are large: they must not grow
	s.run(n, func(r *Rule) bool { return !r.building() })
	s.judged = true
	s.run(n, (*Rule).building)
	SortResults(s.results)
	return s.results
}

// copiesRule follows copies of models to its own verdict on other models.
const copiesRule = "MC-MOD-002"

// building says that a rule builds on verdicts of other rules, or of itself on other records.
func (r *Rule) building() bool { return len(r.Uses) > 0 || r.ID == copiesRule }

// assign lists the subjects of each rule and account, and returns how many there are.
func (s *session) assign(chosen []*Rule) (n int) {
	used := map[string]bool{}
	for _, r := range s.rules {
		for _, id := range r.Uses {
			used[id] = true
		}
	}
	for _, a := range s.inventory.Accounts {
		a.index()
		if a.Status != "read" {
			continue
		}
		lists, places := map[string][]Subject{}, map[string]map[any]int{} // those that many rules share
		for _, r := range chosen {
			name := r.logic.list
			subjects, known := lists[name]
			if !known || name == "" {
				subjects = r.logic.subjects(a)
				slices.SortStableFunc(subjects, func(x, y Subject) int { // as SortResults does
					return cmp.Or(strings.Compare(x.Region, y.Region), strings.Compare(x.ARN, y.ARN))
				})
				for i := range subjects {
					subjects[i].identify()
				}
				lists[name] = subjects
			}
			one := assignment{rule: r, subjects: subjects, at: n}
			if name != "" && used[r.ID] {
				if places[name] == nil {
					places[name] = make(map[any]int, len(subjects))
					for i := range subjects {
						places[name][subjects[i].value] = i
					}
				}
				one.places = places[name]
			}
			s.work = append(s.work, one)
			n += len(subjects)
		}
	}
	return n
}

// leastShare is how many results are worth a goroutine.
const leastShare = 1000

// run judges the subjects of some of the rules.
func (s *session) run(n int, some func(*Rule) bool) {
	chunk := max(leastShare, n/(8*runtime.GOMAXPROCS(0)))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n/chunk+1) {
		group.Go(func() {
			j := &judge{session: s, memo: map[verdictKey]verdict{}}
			for from := int(next.Add(1)-1) * chunk; from < n; from = int(next.Add(1)-1) * chunk {
				j.some(from, min(n, from+chunk), some)
			}
		})
	}
	group.Wait()
}

// some judges the subjects from a number up to another, of some of the rules.
func (j *judge) some(from, to int, some func(*Rule) bool) {
	for _, w := range j.work {
		if w.at >= to || w.at+len(w.subjects) <= from || !some(w.rule) {
			continue
		}
		for i := max(0, from-w.at); i < min(len(w.subjects), to-w.at); i++ {
			j.result(w.rule, &w.subjects[i], w.at+i)
		}
	}
}

// judge runs one rule on one subject.
func (j *judge) judge(r *Rule, s *Subject) verdict {
	if s.why != nil {
		return verdict{Outcome{Status: Error, Message: unreadMessage(s.why), Unread: []*Unread{s.why}}, []*Source{&s.why.Source}}
	}
	t := &Trial{Now: j.inventory.Time, rule: r, judge: j, evidence: j.buf[:0]}
	j.buf = nil // rules that this one uses need their own
	out := run(func() Outcome {
		t.saw(s.Found)
		return r.logic.check(t, *s)
	})
	j.buf = t.evidence
	return verdict{out, slices.Clone(t.evidence)}
}

// verdict is what a rule says of a record, for a rule that builds on it.
func (j *judge) verdict(rule string, s Subject) (Outcome, []*Source) {
	r, ok := j.rules[rule]
	if !ok {
		panic("no rule " + rule) // a defect of the rule that asks
	}
	v, ok := j.found(r, &s)
	if !ok {
		v = j.remember(r, &s)
	}
	return v.outcome, v.evidence
}

// remember judges, or knows what it judged before.
func (j *judge) remember(r *Rule, s *Subject) verdict {
	key := verdictKey{r, s.value}
	if v, ok := j.memo[key]; ok {
		return v
	}
	circle := &Unread{Code: CodeMalformed, Message: "the verdict of " + r.ID + " on " + s.Name + " rests on itself: what was read goes in a circle"}
	if s.Found != nil {
		circle.Source = *s.Found
	}
	j.memo[key] = verdict{Outcome{Status: Error, Message: circle.Message, Unread: []*Unread{circle}}, nil} // until it is known
	v := j.judge(r, s)
	j.memo[key] = v
	return v
}

// found is a verdict that a result already has.
func (j *judge) found(r *Rule, s *Subject) (verdict, bool) {
	if !j.judged || r.building() {
		return verdict{}, false
	}
	for _, w := range j.work {
		if w.rule != r || w.places == nil {
			continue
		}
		i, ok := w.places[s.value]
		if !ok {
			continue
		}
		res := &j.results[w.at+i]
		out := Outcome{Status: res.Status, Message: res.Message, Unread: res.Unread, Facts: res.Facts}
		if j.severe[w.at+i] {
			out.Severity = res.Severity
		}
		return verdict{out, res.Evidence}, true
	}
	return verdict{}, false
}

// result judges a subject and leaves the result at its place.
func (j *judge) result(r *Rule, s *Subject, at int) {
	var v verdict
	if r.ID == copiesRule && s.why == nil {
		clear(j.memo) // a result is of its subject alone, whichever goroutine judges it after which other
		v = j.remember(r, s)
	} else {
		v = j.judge(r, s)
	}
	res := Result{
		Rule: r.ID, Version: r.Version, Severity: r.Severity, Status: v.outcome.Status, Identity: s.identity, Message: v.outcome.Message,
		Evidence: v.evidence, Facts: v.outcome.Facts, Unread: v.outcome.Unread, Seen: j.seen,
	}
	if v.outcome.Severity != "" {
		res.Severity, j.severe[at] = v.outcome.Severity, true
	}
	if s.Type == r.Resource && (res.Status == Fail || res.Status == Error) { // findings, which people look into
		res.Commands = commands(r, s)
	}
	res.ID = ResultID(res.Rule, res.Partition, res.Account, res.Region, res.Resource, res.Discriminator)
	j.results[at] = res
}

// commands are the CLI commands of the rule's audit steps that the subject has all values for.
func commands(r *Rule, s *Subject) []string {
	var out []string
	for _, step := range r.Audit.CLI {
		if line, complete := Fill(step.Run, s.placeholder); line != "" && complete {
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
	worst := func(r *Result) int { return rank[r.Status]*8 + 5 - r.Severity.Rank() }
	begins := make([]int, len(rank)*8+1)
	for i := range results {
		begins[worst(&results[i])+1]++
	}
	for i := 1; i < len(begins); i++ {
		begins[i] += begins[i-1]
	}
	type sortKey struct{ from int }
	keys := make([]sortKey, len(results))
	next := slices.Clone(begins)
	for i := range results {
		at := &next[worst(&results[i])]
		keys[*at].from = i
		*at++
	}
	for i := 1; i < len(begins); i++ { // those of one status and severity, which Evaluate leaves nearly in order
		slices.SortFunc(keys[begins[i-1]:begins[i]], func(x, y sortKey) int {
			a, b := &results[x.from], &results[y.from]
			return cmp.Or(
				strings.Compare(a.Rule, b.Rule), strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region),
				strings.Compare(a.Resource, b.Resource), strings.Compare(a.Discriminator, b.Discriminator), x.from-y.from,
			)
		})
	}
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

// Wanted is the set of operations that rules read, or show.
func Wanted(rules []*Rule) map[string]bool {
	wanted := map[string]bool{}
	for _, r := range rules {
		for _, operation := range slices.Concat(r.reads, r.Shows) {
			wanted[operation] = true
		}
	}
	return wanted
}

// keys of a map in order, for loops that must not depend on map order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
