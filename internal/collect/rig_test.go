package collect_test

import (
	"bytes"
	"testing"
	"time"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

// account is the one account of the fake's good world, now its time.
const account = "111122223333"

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// world loads the all-compliant world with patches.
func world(t *testing.T, patches ...awsfake.Patch) *awsfake.World {
	t.Helper()
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()), patches...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func pack(t *testing.T) *posture.Pack {
	t.Helper()
	p, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// options are those of an audit of a fake by the named rules, or all.
func options(t *testing.T, server *awsfake.Server, rules ...*posture.Rule) collect.Options {
	t.Helper()
	if len(rules) == 0 {
		var err error
		if rules, err = pack(t).Select(); err != nil {
			t.Fatal(err)
		}
	}
	return collect.Options{
		Wanted:  posture.Wanted(rules),
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account), Endpoints: map[string]string{"": "http://aws.test"}},
		HTTP:    server.HTTPClient(), Now: now,
	}
}

// run audits a fake with the named rules, or all.
func run(t *testing.T, o collect.Options, names ...string) []posture.Result {
	t.Helper()
	p := pack(t)
	all, err := p.Select()
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := p.Select(names...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := collect.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return posture.Evaluate(c.Inventory, all, chosen)
}

func TestGoodWorldPasses(t *testing.T) {
	t.Parallel()
	server := awsfake.New(world(t), awsfake.Options{Now: now})
	results := run(t, options(t, server))
	by := map[posture.Status]int{}
	for _, r := range results {
		by[r.Status]++
		if r.Status != posture.Pass && r.Status != posture.NotApplicable {
			t.Errorf("%s %s %s %s: %s", r.Status, r.Rule, r.Region, r.Name, r.Message)
			for _, u := range r.Unread {
				t.Logf("  %+v", u)
			}
		}
		if testing.Verbose() {
			t.Logf("%s %s %s %s: %s", r.Status, r.Rule, r.Region, r.Name, r.Message)
		}
	}
	rules := map[string]bool{}
	for _, r := range results {
		if r.Status == posture.Pass || r.Status == posture.NotApplicable || r.Status == posture.Error {
			rules[r.Rule] = true
		}
	}
	for _, r := range pack(t).Rules {
		if !rules[r.ID] {
			t.Errorf("rule %s judged nothing", r.ID)
		}
	}
	t.Log(by)
}
