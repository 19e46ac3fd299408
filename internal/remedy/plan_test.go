package remedy

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gowebpki/jcs"
)

// TestParse: a plan comes back from its file, byte for byte, and its hash is that of the file.
func TestParse(t *testing.T) {
	t.Parallel()
	file, hash := encoded(t, sample())
	p, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	again, second := encoded(t, p)
	if !bytes.Equal(again, file) || second != hash {
		t.Errorf("the plan became another:\n%s", cmp.Diff(string(file), string(again)))
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(file)); hash != want {
		t.Errorf("Hash = %s, want %s", hash, want)
	}
	canonical, err := jcs.Transform(file)
	if err != nil || !bytes.Equal(canonical, file) {
		t.Errorf("the file is not canonical: %v", err)
	}
}

// TestParseRefuses: what was approved is what is read. Every other way to write the plan, and every addition, is refused.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	file, _ := encoded(t, sample())
	text := string(file)
	swap := func(old, is string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("the plan has no %s", old)
		}
		return strings.Replace(text, old, is, 1)
	}
	const changed = "the plan's file was changed"
	for _, c := range []struct{ name, file, want string }{
		{"nothing", "", "not a plan"},
		{"no object", "[]", "not a plan"},
		{"null", "null", "not a plan of this version"},
		{"empty", "{}", "not a plan of this version"},
		{"line at the end", text + "\n", changed},
		{"space before", " " + text, changed},
		{"space inside", swap(`{"accounts":`, `{"accounts": `), changed},
		{"byte order mark", "\xef\xbb\xbf" + text, "not a plan"},
		{"bytes behind", text + "x", "there is something after the plan"},
		{"zero behind", text + "\x00", "there is something after the plan"},
		{"a brace behind", text + "}", "there is something after the plan"},
		{"a plan behind", text + text, "there is something after the plan"},
		{"cut", text[:len(text)-1], "not a plan"},
		{"other schema", swap(PlanSchema, "cloister.plan/2"), "its schema is \"cloister.plan/2\""},
		{"unknown member", `{"a":1,` + text[1:], "unknown field \"a\""},
		{"unknown member of a step", swap(`"kind":"call"`, `"kind":"call","kinds":1`), "unknown field \"kinds\""},
		{"other order", func() string {
			schema := `,"schema":"` + PlanSchema + `"`
			return `{` + schema[1:] + `,` + strings.Replace(text, schema, "", 1)[1:]
		}(), changed},
		{"name twice", swap(`"schema":`, `"schema":"x","schema":`), changed},
		{"name twice in parameters", swap(`"jobName":"support-r1"`, `"jobName":"other","jobName":"support-r1"`), "Duplicate key"},
		{"name in other case", swap(`"schema":`, `"Schema":`), changed},
		{"escaped character", swap(`"jobName":"support-r1"`, `"jobName":"support\u002dr1"`), changed},
		{"number in other digits", swap(`"seconds":7315`, `"seconds":7315.0`), changed},
		{"number with an exponent", swap(`"seconds":7315`, `"seconds":7.315e3`), changed},
		{"number that is too large", swap(`"seconds":7315`, `"seconds":1e999`), "not a plan"},
		{"time with a fraction", swap(`"created":"2026-11-25T12:00:00Z"`, `"created":"2026-11-25T12:00:00.000Z"`), changed},
		{"text that is not UTF-8", swap("make job", "make \xff job"), changed},
		{"empty list that is left out", swap(`"cost":`, `"left_":0,"cost":`), "unknown field"},
		{"null for a list", swap(`"hazards":[]`, `"hazards":[],"lasting_":null`), "unknown field"},
		{"null for an optional member", swap(`"losses":{`, `"before":null,"losses":{`), changed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse([]byte(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse = %v, want %q", err, c.want)
			}
		})
	}
	other := strings.ReplaceAll(text, "s3://acme/train.jsonl", "s3://evil/train.jsonl")
	if _, err := Parse([]byte(other)); err != nil || Hash([]byte(other)) == Hash(file) {
		t.Errorf("a changed value is another plan, with another hash: %v", err)
	}
}

// TestEveryByte: whichever byte of the file is changed, the plan is refused or has another hash.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	file, hash := encoded(t, sample())
	for i := 0; i < len(file); i += 7 {
		changed := bytes.Clone(file)
		changed[i] ^= 0x01
		p, err := Parse(changed)
		if err != nil {
			continue
		}
		again, second := encoded(t, p)
		if !bytes.Equal(again, changed) || second == hash {
			t.Fatalf("byte %d: the plan is taken for another", i)
		}
	}
}

// TestCheck: each mistake in a plan, in itself.
func TestCheck(t *testing.T) {
	t.Parallel()
	step := func(change func(*Step)) func(*Plan) { return func(p *Plan) { change(&p.Steps[0]) } }
	condition := func(change func(*Condition)) func(*Plan) {
		return func(p *Plan) { change(&p.Steps[0].Before[0]) }
	}
	for _, c := range []struct {
		name string
		do   func(*Plan)
		want string
	}{
		{"unknown call", step(func(s *Step) { s.Call = "bedrock:CreateGuardrail" }), `step "1.1": bedrock:CreateGuardrail is none of the calls`},
		{"no call", step(func(s *Step) { s.Call = "" }), "is none of the calls"},
		{"read as a step", step(func(s *Step) { s.Call = getJob }), "bedrock:GetModelCustomizationJob changes nothing"},
		{"write as a wait", func(p *Plan) { p.Steps[2].Call = "bedrock:StopModelCustomizationJob" }, `step "1.2": bedrock:StopModelCustomizationJob is not bedrock:GetModelCustomizationJob`},
		{"another read as a comparison", func(p *Plan) { p.Steps[3].Call = "bedrock:GetCustomModel" }, "is not bedrock:GetModelCustomizationJob"},
		{"comparison without losses", func(p *Plan) { p.Steps[3].Losses = nil }, "there are no losses to compare with"},
		{"unknown parameter", step(func(s *Step) { s.Parameters = js(object{"jobname": "a"}) }), "jobname: there is no such parameter"},
		{"parameter of another type", step(func(s *Step) { s.Parameters = js(object{"jobName": 1}) }), "jobName: a text is expected"},
		{"no parameters", step(func(s *Step) { s.Parameters = json.RawMessage("null") }), "parameters: an object is expected"},
		{"write as a condition", condition(func(c *Condition) { c.Call = "bedrock:TagResource" }), "bedrock:TagResource is no read"},
		{"unknown call as a condition", condition(func(c *Condition) { c.Call = "bedrock:GetGuardrail" }), "bedrock:GetGuardrail is no read"},
		{"condition's parameters", condition(func(c *Condition) { c.Parameters = js(object{"a": 1}) }), "a: there is no such parameter"},
		{"query", condition(func(c *Condition) { c.Query = "a[" }), `query "a["`},
		{"no query", condition(func(c *Condition) { c.Query = "" }), `query ""`},
		{"query of a result", step(func(s *Step) { s.Results = map[string]string{"jobArn": "a[", "b": "b"} }), `query "a["`},
		{"query of a settled result", step(func(s *Step) { s.After.Results = map[string]string{"jobArn": "]"} }), `query "]"`},
		{"name of a result", step(func(s *Step) { s.Results = map[string]string{"x$(id)": "a"} }), `"x$(id)" is no name of a result`},
		{"after that writes", step(func(s *Step) { s.After.Call = "bedrock:DeleteCustomModel" }), "is no read"},
		{"without after", step(func(s *Step) { s.After = nil }), "nothing says how to find out that it was done"},
		{"undo that reads", step(func(s *Step) { s.Undo[0].Call = getJob }), "bedrock:GetModelCustomizationJob undoes nothing"},
		{"undo's parameters", step(func(s *Step) { s.Undo[0].Parameters = js(object{"a": 1}) }), "a: there is no such parameter"},
		{"undo's condition", step(func(s *Step) { s.Undo[0].When.Query = "[" }), `query "["`},
		{"undo's class", step(func(s *Step) { s.Undo[0].Class = "a1" }), `"a1" is no class`},
		{"id twice", func(p *Plan) { p.Steps[1].ID = "1.1" }, `step "1.1": its id is none, or is there twice`},
		{"no id", step(func(s *Step) { s.ID = "" }), `step "": its id is none`},
		{"id that is a command", step(func(s *Step) { s.ID = "1.1\nrm -r /" }), "its id is none"},
		{"account of another plan", step(func(s *Step) { s.Account = "777788889999" }), `account "777788889999" is none of the plan's`},
		{"account that is a command", func(p *Plan) { p.Accounts[0].ID = "1\n2" }, "is no account"},
		{"no region", step(func(s *Step) { s.Region = "" }), `"" is no region`},
		{"region that is a command", step(func(s *Step) { s.Region = "$(id)" }), "is no region"},
		{"class", step(func(s *Step) { s.Class = "A2" }), `"A2" is no class`},
		{"no class", step(func(s *Step) { s.Class = "" }), `"" is no class`},
		{"kind", step(func(s *Step) { s.Kind = "run" }), `"run" is no kind of step`},
		{"change of none", step(func(s *Step) { s.Change = "3" }), `there is no change "3"`},
		{"change twice", func(p *Plan) { p.Changes[1].ID = "1" }, `change "1": its id is none, or is there twice`},
		{"class of a change", func(p *Plan) { p.Changes[1].Class = "" }, `change "2": "" is no class`},
		{"unknown verdict of a check", func(p *Plan) { p.Checks[1].Status = "Refused" }, `check role-network: a check is not "Refused"`},
		{"name of a check", func(p *Plan) { p.Checks[1].Name = "a; rm -r /" }, "is no name of a check"},
		{"placeholder of nothing", step(func(s *Step) { s.Parameters = js(object{"jobName": "${9.9.jobArn}"}) }), "no step before it gives ${9.9.jobArn}"},
		{"placeholder of itself", step(func(s *Step) { s.Parameters = js(object{"jobName": "${1.1.jobArn}"}) }), "no step before it gives ${1.1.jobArn}"},
		{"placeholder of a later step", step(func(s *Step) { s.Parameters = js(object{"jobName": "${1.2.modelArn}"}) }), "no step before it gives ${1.2.modelArn}"},
		{"placeholder of another result", func(p *Plan) { p.Steps[2].Parameters = js(object{"jobIdentifier": "${1.1.jobName}"}) }, "it does not look at the job that the change makes"},
		{"placeholder that settling does not give", func(p *Plan) { p.Steps[0].After.Results = nil }, "no step before it gives ${1.1.jobArn}"},
		{"placeholder without a name", step(func(s *Step) { s.Parameters = js(object{"jobName": "${}"}) }), "no step before it gives ${}"},
		{"placeholder without an end", step(func(s *Step) { s.Parameters = js(object{"jobName": "${token"}) }), "a placeholder without an end"},
		{"placeholder in a query", condition(func(c *Condition) { c.Query = "a == `\"${1.2.modelArn}\"`" }), "no step before it gives ${1.2.modelArn}"},
		{"placeholder in what is expected", condition(func(c *Condition) { c.Expect = []any{"${x}"} }), "no step before it gives ${x}"},
		{"placeholder of an undo", step(func(s *Step) { s.Undo[1].When.Expect = "${1.2.modelArn}" }), "no step before it gives ${1.2.modelArn}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := sample()
			c.do(p)
			file, _ := encoded(t, p)
			if _, err := Parse(file); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse = %v, want %q", err, c.want)
			}
		})
	}
}

// TestAllows: an approval has to accept every thing that a plan has to be accepted for.
func TestAllows(t *testing.T) {
	t.Parallel()
	destroys := func(p *Plan) { p.Steps[4].Class = Destructive }
	known := func(p *Plan) { p.Cost.Known = true }
	checked := func(p *Plan) {
		for i := range p.Checks {
			p.Checks[i].Status = CheckOK
		}
	}
	refused := func(p *Plan) { p.Checks[0].Status = CheckRefused }
	both := []string{"role-network", "quota"}
	for _, c := range []struct {
		name  string
		do    []func(*Plan)
		with  Approval
		lacks []string
		err   string
	}{
		{"all", nil, Approval{Unchecked: both, Cost: true}, nil, ""},
		{"more than all", []func(*Plan){known, checked}, Approval{Unchecked: []string{"x"}, Cost: true, Destructive: true}, nil, ""},
		{"nothing", nil, Approval{}, []string{"--accept-unchecked quota,role-network", "--accept-unknown-cost"}, ""},
		{"one of two", nil, Approval{Unchecked: []string{"quota"}, Cost: true}, []string{"--accept-unchecked role-network"}, ""},
		{"a part of a name", nil, Approval{Unchecked: []string{"quota", "role"}, Cost: true}, []string{"--accept-unchecked role-network"}, ""},
		{"without the cost", []func(*Plan){checked}, Approval{}, []string{"--accept-unknown-cost"}, ""},
		{"class D", []func(*Plan){checked, known, destroys}, Approval{}, []string{"--allow D"}, ""},
		{"class D allowed", []func(*Plan){checked, known, destroys}, Approval{Destructive: true}, nil, ""},
		{"refused", []func(*Plan){refused}, Approval{Unchecked: append(both, "names"), Cost: true, Destructive: true}, nil, "the plan is refused: names: support-r1 is free"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := sample()
			for _, do := range c.do {
				do(p)
			}
			_, hash := encoded(t, p)
			c.with.Hash = hash
			err := c.with.Allows(p, hash)
			lacks, _ := errors.AsType[*ApprovalError](err)
			switch {
			case c.err != "":
				if err == nil || err.Error() != c.err || lacks != nil {
					t.Errorf("Allows = %v, want %s", err, c.err)
				}
			case c.lacks == nil:
				if err != nil {
					t.Errorf("Allows = %v", err)
				}
			case lacks == nil || !slices.Equal(lacks.Lacks, c.lacks):
				t.Errorf("Allows = %v, want %q", err, c.lacks)
			}
			for _, wrong := range []string{"", hash[:63], strings.ToUpper(hash), hash + "0", strings.Repeat("0", 64)} {
				c.with.Hash = wrong
				err := c.with.Allows(p, hash)
				if _, drift := errors.AsType[*DriftError](err); drift == (c.err != "") || err == nil {
					t.Errorf("Allows with hash %q = %v", wrong, err)
				}
			}
		})
	}
}

// FuzzParse: what is taken is canonical and passes the checks again; nothing panics, also not what writes a plan.
func FuzzParse(f *testing.F) {
	file, _ := encoded(f, sample())
	f.Add(file)
	small := sample()
	small.Steps, small.Changes, small.Checks, small.Left = small.Steps[1:2], small.Changes[1:], nil, nil
	file, _ = encoded(f, small)
	f.Add(file)
	f.Add([]byte(`{"schema":"cloister.plan/1"}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := Parse(file)
		if err != nil {
			return
		}
		again, hash := encoded(t, p)
		if !bytes.Equal(file, again) {
			t.Fatalf("%s became %s", file, again)
		}
		var out bytes.Buffer
		for _, width := range []int{1, 40, 100} {
			if err := Show(&out, p, hash, ShowOptions{Width: width, File: "plan.json"}); err != nil {
				t.Fatal(err)
			}
		}
		_ = EmitCLI(&out, p, hash) // there are parameters that it refuses
		_ = Policies(p, PolicyOptions{Rollback: true, Delete: true})
		_ = Policies(p, PolicyOptions{Reads: true})
	})
}
