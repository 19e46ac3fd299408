// Package remedy is what mends findings: a plan that a person reads and approves by its hash, and the runner that makes
// exactly its calls, with a journal, so that it can be stopped, resumed and rolled back. What to plan is decided above, in
// package remediate; what a rule means, below, in package posture.
package remedy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/gowebpki/jcs"

	"example.com/cloister/internal/posture"
)

// PlanSchema names the format of a plan.
const PlanSchema = "cloister.plan/1"

// Class is what kind of change a step is.
type Class string

// The classes, as the rules name them in their fixes.
const (
	Reversible  Class = "A0" // can be undone, no effect on running work
	Careful     Class = "A1" // can be undone, may break something
	Recreate    Class = "R"  // makes a new, paid resource
	Destructive Class = "D"  // cannot be undone
)

// Plan is a remediation, whole: nothing is called that it does not hold. Its file is the canonical JSON of RFC 8785, whose
// SHA-256 approves it.
type Plan struct {
	Schema  string       `json:"schema"`
	Tool    posture.Tool `json:"tool"`
	Created time.Time    `json:"created"`
	// Accounts are where its calls go.
	Accounts []Account `json:"accounts"`
	// Changes are what is mended, one for each resource.
	Changes []Change `json:"changes"`
	// Checks were made before the plan was written.
	Checks []Check `json:"checks"`
	// Left are findings of the chosen rules that the plan does not mend.
	Left []Left `json:"left,omitempty"`
	Cost Cost   `json:"cost"`
	// Steps are the calls, in the order in which they are made.
	Steps []Step `json:"steps"`
}

// Account is an account of a plan.
type Account struct {
	ID        string `json:"id"`
	Partition string `json:"partition"`
	// Endpoint is the endpoint's URL when it is not AWS's: a plan is applied where it was made for.
	Endpoint string `json:"endpoint,omitempty"`
	// Endpoints are those of the services that the plan calls; "" is AWS's own.
	Endpoints map[string]string `json:"endpoints,omitempty"`
	// Regions are those that were read: what serves a model is looked for in all of them.
	Regions []string `json:"regions"`
}

// Change is what is done about one resource.
type Change struct {
	ID    string `json:"id"` // "1"
	Title string `json:"title"`
	Class Class  `json:"class"`
	// Account, Region, Resource and Name say of what.
	Account  string `json:"account"`
	Region   string `json:"region"`
	Resource string `json:"resource"` // ARN
	Name     string `json:"name"`
	// Findings are the ids of the results that it mends, by rule.
	Findings []Finding `json:"findings"`
	// Compared is the old beside the new.
	Compared []Member `json:"compared,omitempty"`
	// Predicted are the verdicts of the next audit. A resource that does not exist yet is "new job" or "new model".
	Predicted []Prediction `json:"predicted"`
	// Reaches is what else may feel the change; Hazards is what to know before.
	Reaches []string `json:"reaches"`
	Hazards []string `json:"hazards"`
	// Lasting is what a rollback leaves.
	Lasting []string `json:"lasting"`
	// Seconds is how long it takes, from how long the old job took; 0 is not known.
	Seconds float64 `json:"seconds,omitempty"`
}

// Finding is a result that a change mends.
type Finding struct {
	ID   string `json:"id"`
	Rule string `json:"rule"`
}

// Member is one member of the old beside the new.
type Member struct {
	Name string `json:"name"`
	Old  any    `json:"old"`
	New  any    `json:"new"`
	// Why says why it is not the same; "" if it is.
	Why string `json:"why,omitempty"`
}

// Prediction is a verdict to come.
type Prediction struct {
	Rule     string         `json:"rule"`
	Resource string         `json:"resource"`
	Status   posture.Status `json:"status"`
	Message  string         `json:"message,omitempty"`
}

// What a check may say.
const (
	CheckOK      = "ok"
	CheckRefused = "refused"
	NotChecked   = "not checked"
)

// Check is something that was looked at before any call.
type Check struct {
	Name   string `json:"name"`
	Change string `json:"change,omitempty"`
	// Status is "ok", "refused", which blocks the plan, or "not checked", which must be accepted by name.
	Status string `json:"status"`
	Why    string `json:"why"`
}

// Left is a finding that stays.
type Left struct {
	Finding  string `json:"finding"`
	Rule     string `json:"rule"`
	Resource string `json:"resource"`
	Why      string `json:"why"`
}

// Cost is what a plan costs.
type Cost struct {
	// Known says that Text is all of it.
	Known bool   `json:"known"`
	Text  string `json:"text"`
}

// Kinds of steps.
const (
	KindCall    = "call"    // a call that changes something
	KindWait    = "wait"    // reads until a job has ended
	KindCompare = "compare" // compares the losses of two jobs
)

// Step is one step.
type Step struct {
	ID     string `json:"id"` // change and number: "1.2"
	Change string `json:"change"`
	Kind   string `json:"kind"`
	Class  Class  `json:"class"`
	Text   string `json:"text"`
	// Call is made in Account and Region with Parameters. A text in them may hold ${STEP.NAME}, a result of an earlier step, and
	// ${token}, which is made from the plan's hash and the step.
	Call       string          `json:"call"`
	Account    string          `json:"account"`
	Region     string          `json:"region"`
	Parameters json.RawMessage `json:"parameters"`
	// Before must hold, or the world is not as it was when the plan was made.
	Before []Condition `json:"before,omitempty"`
	// After holds once the step is done: it settles a call whose answer was lost.
	After *Condition `json:"after,omitempty"`
	// Results are what later steps use of the answer: name to JMESPath.
	Results map[string]string `json:"results,omitempty"`
	// Losses are what a comparison goes by.
	Losses *Bound `json:"losses,omitempty"`
	// Undo is made in a rollback, if the step was done.
	Undo []Undo `json:"undo,omitempty"`
}

// Bound is what the losses of a new job are compared with.
type Bound struct {
	Old Losses `json:"old"`
	// Most is by which part of the old loss the new one may be higher.
	Most float64 `json:"most"`
}

// Calls are the read calls that a step, its conditions and its undos make, and the others.
func (s *Step) Calls() (reads, writes []string) {
	for _, c := range s.Before {
		reads = append(reads, c.Call)
	}
	if s.After != nil {
		reads = append(reads, s.After.Call)
	}
	if s.Kind == KindCall {
		writes = append(writes, s.Call)
	} else {
		reads = append(reads, s.Call)
	}
	for _, u := range s.Undo {
		writes = append(writes, u.Call)
		if u.When != nil {
			reads = append(reads, u.When.Call)
		}
	}
	return reads, writes
}

// Condition is a read call, a JMESPath over its answer, and what that must give.
type Condition struct {
	Text       string          `json:"text"`
	Call       string          `json:"call"`
	Region     string          `json:"region"`
	Parameters json.RawMessage `json:"parameters"`
	Query      string          `json:"query"`
	Expect     any             `json:"expect"`
	// Later says that it holds only once the steps before were made.
	Later bool `json:"later,omitempty"`
	// Absent are the error codes that mean that there is nothing: the answer is then null.
	Absent []string `json:"absent,omitempty"`
	// Results are a step's results, of this answer.
	Results map[string]string `json:"results,omitempty"`
}

// Undo is a call that takes a step back.
type Undo struct {
	Text       string          `json:"text"`
	Call       string          `json:"call"`
	Parameters json.RawMessage `json:"parameters"`
	Class      Class           `json:"class"`
	// When, if there is one, must hold for the call to be made: otherwise there is nothing to undo.
	When *Condition `json:"when,omitempty"`
	// Only says that When failing does not mean that there is nothing to undo, but that somebody else changed it.
	Only bool `json:"only,omitempty"`
	// Created says that the call deletes what the plan made: only with --delete-created.
	Created bool `json:"created,omitempty"`
}

// Encode gives the bytes of the plan's file.
func (p *Plan) Encode() ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return jcs.Transform(text)
}

// Hash is what approves a plan: the SHA-256 of its file, in hexadecimal digits.
func Hash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// errTwo is a file with more than a plan in it.
var errTwo = errors.New("there is something after the plan")

// Parse reads a plan's file. It refuses a file that is not the canonical JSON of a plan, byte for byte: what was approved is
// what is read, with nothing in it that this version does not understand.
func Parse(file []byte) (*Plan, error) {
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	var p Plan
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("not a plan: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("not a plan: %w", errTwo)
	}
	if p.Schema != PlanSchema {
		return nil, fmt.Errorf("not a plan of this version: its schema is %q, not %q", p.Schema, PlanSchema)
	}
	again, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("not a plan: %w", err)
	}
	if !bytes.Equal(file, again) {
		return nil, errors.New("the plan's file was changed: it is not the canonical JSON that 'remediate plan' wrote; make the plan again")
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// What names may be: they stand in commands as they are.
var (
	plainID    = regexp.MustCompile(`^[0-9A-Za-z]+(\.[0-9A-Za-z]+)*$`)
	plainName  = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z]*$`)
	plainCheck = regexp.MustCompile(`^[0-9a-z][0-9a-z-]*$`)
	plainPlace = regexp.MustCompile(`^[0-9a-z-]+$`)
)
