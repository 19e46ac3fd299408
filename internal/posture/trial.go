package posture

import (
	"slices"
	"strings"
	"time"
)

// Trial is one evaluation of one rule on one resource. It records what the rule read, and refuses reads that the rule's
// metadata does not declare. It is used by one goroutine.
type Trial struct {
	Now time.Time

	rule     *Rule
	evidence []*Source
	judge    *judge
}

// stopped ends a rule from within Need. Only run recovers it; it never leaves the package.
type stopped struct{ outcome Outcome }

// Need returns the value of d. If it was not read, the rule, or the part of it inside All or Any, ends as ERROR; if the
// endpoint does not serve the operation, as NOT_APPLICABLE.
//
// It ends the rule by a panic that run recovers, so that no rule can forget to look.
func Need[T any](t *Trial, d Datum[T]) T {
	there(t, d)
	t.saw(d.source)
	switch d.state {
	case known:
		return d.value
	case unserved:
		panic(stopped{Skipped("this endpoint does not serve %s", d.source.Operation)})
	case unread:
		panic(stopped{Outcome{Status: Error, Message: unreadMessage(d.why), Unread: []*Unread{d.why}}})
	default:
		why := &Unread{Code: CodeNotCollected, Message: "the rule reads what it does not declare"}
		panic(stopped{Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}})
	}
}

// there ends the rule, or the part of it inside All or Any, as NOT_APPLICABLE if d is of a thing that does not exist. Another
// call may have told that, which the rule need not declare.
func there[T any](t *Trial, d Datum[T]) {
	if d.state != gone {
		return
	}
	t.evidence = withSource(t.evidence, d.source)
	panic(stopped{Skipped("%s", d.why.Message)})
}

// Peek returns the value of d if it is known, for rules that can decide with a part of what they read.
func Peek[T any](t *Trial, d Datum[T]) (T, bool) {
	if d.state == known {
		t.saw(d.source)
	}
	return d.value, d.state == known
}

// NeedAll returns the items of a listing that must be complete: if it broke off, the rule ends as ERROR. A listing that
// the endpoint does not serve is empty.
func NeedAll[T any](t *Trial, l List[T]) []T {
	for _, page := range l.Pages {
		t.saw(page)
	}
	if l.Why != nil {
		t.saw(&l.Why.Source)
		panic(stopped{Outcome{Status: Error, Message: unreadMessage(l.Why), Unread: []*Unread{l.Why}}})
	}
	if !l.Collected {
		why := &Unread{Code: CodeNotCollected, Message: "the rule reads a listing that it does not declare"}
		panic(stopped{Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}})
	}
	return l.Items
}

// NeedServed is NeedAll for listings whose emptiness would decide: one that the endpoint does not serve ends the rule as
// NOT_APPLICABLE. operation is what it does not serve.
func NeedServed[T any](t *Trial, l List[T], operation string) []T {
	if l.NotServed {
		panic(stopped{Skipped("this endpoint does not serve %s", operation)})
	}
	return NeedAll(t, l)
}

func unreadMessage(u *Unread) string {
	where := ""
	if u.Region != "" {
		where = " in " + u.Region
	}
	return u.Operation + where + " was not read: " + u.Code
}

// saw records a read as evidence, and ends the rule if its metadata does not declare it.
func (t *Trial) saw(s *Source) {
	if s == nil || s.Operation == "" {
		return
	}
	t.evidence = withSource(t.evidence, s)
	if !t.rule.declares(s.Operation) {
		why := &Unread{Source: *s, Code: CodeNotCollected, Message: "rule " + t.rule.ID + " does not declare that it reads " + s.Operation}
		panic(stopped{Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}})
	}
}

// run evaluates one part of a rule and turns what Need stopped into its outcome.
func run(part func() Outcome) (out Outcome) {
	defer func() {
		if r := recover(); r != nil {
			s, ok := r.(stopped)
			if !ok {
				panic(r) // a defect of the rule: not ours to hide
			}
			out = s.outcome
		}
	}()
	return part()
}

// All is the conjunction of parts: FAIL if one fails, else ERROR if one is unread, else PASS, or NOT_APPLICABLE if none
// applies. Messages and evidence are those of the parts that decided.
func All(t *Trial, parts ...func() Outcome) Outcome {
	return combine(t, parts, Fail, Error, Pass, NotApplicable)
}

// Any is the disjunction of parts: PASS as soon as one passes, else ERROR if one is unread, else FAIL, or NOT_APPLICABLE if
// none applies.
func Any(t *Trial, parts ...func() Outcome) Outcome {
	return combine(t, parts, Pass, Error, Fail, NotApplicable)
}

// Either is Any with everything read: ERROR if one part is unread, even where another passes. Rules use it where the parts
// are kept by different people, and one that passes today says little about tomorrow.
func Either(t *Trial, parts ...func() Outcome) Outcome {
	return combine(t, parts, Error, Pass, Fail, NotApplicable)
}

// Each is All over items.
func Each[T any](t *Trial, items []T, part func(T) Outcome) Outcome {
	parts := make([]func() Outcome, len(items))
	for i, item := range items {
		parts[i] = func() Outcome { return part(item) }
	}
	return All(t, parts...)
}

// fewParts is how many parts most rules have at most.
const fewParts = 8

// combine runs parts until one is a PASS that wins, and lets the strongest status decide.
func combine(t *Trial, parts []func() Outcome, order ...Status) Outcome {
	type done struct {
		outcome  Outcome
		evidence []*Source
	}
	before := t.evidence
	all := make([]done, 0, fewParts) // on the stack
	for _, part := range parts {
		t.evidence = nil
		out := run(part)
		all = append(all, done{out, t.evidence})
		if out.Status == order[0] && order[0] == Pass {
			break
		}
	}
	t.evidence = before
	for _, status := range order {
		outcomes := make([]Outcome, 0, fewParts)
		for i := range all {
			if all[i].outcome.Status != status {
				continue
			}
			outcomes = append(outcomes, all[i].outcome)
			for _, source := range all[i].evidence {
				t.evidence = withSource(t.evidence, source)
			}
		}
		if len(outcomes) > 0 {
			return join(status, outcomes)
		}
	}
	return Skipped("nothing to look at")
}

// withSource adds a call to evidence that does not have it yet.
func withSource(evidence []*Source, s *Source) []*Source {
	for _, have := range evidence {
		if have == s || *have == *s {
			return evidence
		}
	}
	return append(evidence, s)
}

func join(status Status, outcomes []Outcome) Outcome {
	if len(outcomes) == 1 {
		return outcomes[0]
	}
	joined := Outcome{Status: status, Severity: outcomes[0].Severity}
	var messages []string
	for _, out := range outcomes {
		if out.Message != "" && !slices.Contains(messages, out.Message) {
			messages = append(messages, out.Message)
		}
		for _, why := range out.Unread {
			if !slices.Contains(joined.Unread, why) {
				joined.Unread = append(joined.Unread, why)
			}
		}
		for _, fact := range out.Facts {
			joined = joined.With(fact.Name, fact.Value)
		}
	}
	joined.Message = strings.Join(messages, "; ")
	return joined
}

// Verdict is the status of another rule, by id, on a resource: for rules that build on others. The other rule's reads
// count as this rule's, and must be declared through `uses`.
func (t *Trial) Verdict(rule string, s Subject) Outcome {
	out, evidence := t.judge.verdict(rule, s)
	for _, source := range evidence {
		if !slices.Contains(t.judge.rules[rule].Shows, source.Operation) {
			t.saw(source)
		}
	}
	return out
}

// Int is a setting of the rule, from the rule profile or the default of its metadata.
func (t *Trial) Int(name string) int { return t.rule.integer(name) }

// Strings is a setting of the rule that is a list.
func (t *Trial) Strings(name string) []string { return t.rule.list(name) }
