package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"example.com/cloister/internal/awscall"
)

// Runner makes a plan's calls. One goroutine uses it.
type Runner struct {
	Plan *Plan
	// Hash is that of the plan's file.
	Hash    string
	Journal *Journal
	// Clients gives the caller of an account and region.
	Clients func(account, region string) (Caller, error)
	Now     func() time.Time
	// Progress, if not nil, is told what happens.
	Progress func(Event)
	// Poll is the first pause between two looks at a job; it grows to thirty times that. 0 is a second.
	Poll time.Duration
	// Patience bounds how long a job is waited for; 0 is without a bound.
	Patience time.Duration
	// Settle is for how long after its intent a call that got no answer may still take effect; 0 is three minutes.
	Settle time.Duration
	// Lag is how long what was just changed may not be seen by reads; 0 is half a minute.
	Lag time.Duration
	// AcceptLoss lets a comparison pass whose new losses are worse.
	AcceptLoss bool
	// Seam, if not nil, is called before and after each call, for tests that kill the process there.
	Seam func(where string)

	failed map[string]bool // changes
	why    []string
	drift  error
}

// Event is something that happened.
type Event struct {
	Step *Step
	// What is "begin", "wait", "done", "settled", "failed", "undone" or "kept".
	What string
	Text string
}

// callTimeout bounds one call: a Ctrl-C does not cut it.
const callTimeout = 2 * time.Minute

// Apply makes a plan from its beginning, if approval allows all of it and nothing has changed since it was made.
//
// It fails with a *DriftError or an *ApprovalError before any call that changes something, and with a *StoppedError after.
func (r *Runner) Apply(ctx context.Context, approval Approval) error {
	if begun(r.Journal.Records) != nil {
		return errors.New("the plan was applied already: 'remediate resume' goes on, 'remediate rollback' takes back")
	}
	if err := approval.Allows(r.Plan, r.Hash); err != nil {
		return err
	}
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		err := r.unchanged(ctx, s, true)
		if drift, ok := errors.AsType[*DriftError](err); ok {
			return &DriftError{"step " + s.ID + ": " + drift.What}
		}
		if err != nil {
			return fmt.Errorf("step %s: %w", s.ID, err)
		}
	}
	if err := r.add(Record{Record: recordBegin, Plan: r.Hash, Approval: &approval}); err != nil {
		return err
	}
	return r.run(ctx)
}

// Resume goes on with a plan that was stopped: what an open intent announced is looked for before anything else.
func (r *Runner) Resume(ctx context.Context) error {
	if err := r.mine(); err != nil {
		return err
	}
	if RollbackBegun(r.Journal.Records) {
		return errors.New("the plan was rolled back; make a new one")
	}
	return r.run(ctx)
}

// distrust looks whether what the journal has of a change, and steps to come use, is what the account says: the journal is a
// file that anybody may have written to.
func (r *Runner) distrust(ctx context.Context, change string) error {
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		state := StateOf(r.Journal.Records, s.ID)
		switch {
		case s.Change != change || !state.Done:
		case s.Kind == KindCompare && r.open(change):
			if text, worse, err := r.losses(ctx, s); err != nil {
				return err
			} else if worse && !r.AcceptLoss {
				return fmt.Errorf("step %s: the new model is not shown to be as good: %s; give --accept-loss again", s.ID, text)
			}
		case len(s.Results) > 0 && r.wanted(s):
			if err := r.same(ctx, s, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// same wants the results of a step that was done to be what the account says.
func (r *Runner) same(ctx context.Context, s *Step, state State) error {
	found, err := r.again(ctx, s)
	if err != nil {
		return fmt.Errorf("step %s: whether it is as the journal says: %w", s.ID, err)
	}
	if !maps.Equal(found, state.Results) {
		return &DriftError{fmt.Sprintf("step %s: the journal says %v, and the account says %v", s.ID, state.Results, found)}
	}
	return nil
}

// open says that a step of a change was not done yet.
func (r *Runner) open(change string) bool {
	return slices.ContainsFunc(r.Plan.Steps, func(s Step) bool { return s.Change == change && !StateOf(r.Journal.Records, s.ID).Done })
}

// wanted says that a step that was not done yet uses a result of s.
func (r *Runner) wanted(s *Step) bool {
	for i := range r.Plan.Steps {
		other := &r.Plan.Steps[i]
		if !StateOf(r.Journal.Records, other.ID).Done && strings.Contains(string(other.Parameters), "${"+s.ID+".") {
			return true
		}
	}
	return false
}

// again reads the results of a step that was done.
func (r *Runner) again(ctx context.Context, s *Step) (map[string]string, error) {
	if s.Kind == KindCall {
		caller, err := r.Clients(s.Account, s.After.Region)
		if err != nil {
			return nil, err
		}
		holds, _, answer, err := s.After.Holds(ctx, r.reader(caller), r.value(s))
		if err != nil || !holds {
			return nil, err
		}
		return results(s.After.Results, answer)
	}
	caller, err := r.Clients(s.Account, s.Region)
	if err != nil {
		return nil, err
	}
	parameters, err := fillJSON(s.Parameters, r.value(s))
	if err != nil {
		return nil, err
	}
	answer, err := r.make(ctx, r.reader(caller), s.Call, parameters)
	if err != nil || answer.Members["status"] != "Completed" {
		return nil, err
	}
	return results(s.Results, answer)
}

// mine says that the journal is of another plan, or of none.
func (r *Runner) mine() error {
	if begun(r.Journal.Records) == nil {
		return errors.New("the plan was not applied yet: 'remediate apply' begins")
	}
	return Belongs(r.Journal.Records, r.Hash)
}

// Belongs says that records are of another plan than the one with a hash.
func Belongs(records []Record, hash string) error {
	if first := begun(records); first != nil && first.Plan != hash {
		return &DriftError{"the journal is of the plan with hash " + first.Plan + ", not of this one with " + hash}
	}
	return nil
}

func (r *Runner) run(ctx context.Context) error {
	r.failed, r.why, r.drift = map[string]bool{}, nil, nil
	looked := map[string]bool{} // changes whose journal is trusted, or failed
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if StateOf(r.Journal.Records, s.ID).Done || r.failed[s.Change] {
			continue
		}
		if !looked[s.Change] {
			looked[s.Change] = true
			if err := r.distrust(ctx, s.Change); err != nil {
				r.fail(s, err)
				continue
			}
		}
		if err := ctx.Err(); err != nil {
			r.why = append(r.why, "stopped before step "+s.ID)
			break
		}
		if err := r.step(ctx, s); err != nil {
			if journal, ok := errors.AsType[*journalError](err); ok {
				return &StoppedError{append(r.why, journal.Error())}
			}
			r.fail(s, err)
		}
	}
	switch {
	case len(r.why) == 0:
		return nil
	case r.drift != nil && !slices.ContainsFunc(r.Journal.Records, func(one Record) bool { return one.Record == recordIntent }):
		return &DriftError{strings.Join(r.why, "; ")} // nothing was called
	default:
		return &StoppedError{r.why}
	}
}

// fail notes that a change stops at a step.
func (r *Runner) fail(s *Step, err error) {
	if drift, ok := errors.AsType[*DriftError](err); ok && r.drift == nil {
		r.drift = drift
	}
	r.failed[s.Change] = true
	r.why = append(r.why, "step "+s.ID+": "+err.Error())
	r.tell(s, "failed", err.Error())
}

func (r *Runner) step(ctx context.Context, s *Step) error {
	switch s.Kind {
	case KindWait:
		return r.wait(ctx, s)
	case KindCompare:
		return r.compare(ctx, s)
	default:
		return r.call(ctx, s)
	}
}

// call makes a step's call: the intent is on disk before it, what came of it after.
func (r *Runner) call(ctx context.Context, s *Step) error {
	caller, err := r.Clients(s.Account, s.Region)
	if err != nil {
		return err
	}
	if StateOf(r.Journal.Records, s.ID).Open {
		if done, err := r.settle(ctx, s); done || err != nil {
			return err
		}
	}
	if err := r.unchanged(ctx, s, false); err != nil {
		return err
	}
	parameters, err := fillJSON(s.Parameters, r.value(s))
	if err != nil {
		return err
	}
	if err := r.add(Record{Record: recordIntent, Step: s.ID, Call: s.Call, Parameters: parameters}); err != nil {
		return err
	}
	r.tell(s, "begin", s.Text)
	r.seam("before", s.Call)
	answer, err := r.make(ctx, caller, s.Call, parameters)
	r.seam("after", s.Call)
	switch {
	case err == nil:
		found, err := results(s.Results, answer)
		if err != nil {
			return err // the intent stays open: a read finds out
		}
		r.tell(s, "done", answer.RequestID)
		return r.add(Record{Record: recordDone, Step: s.ID, RequestID: answer.RequestID, Results: found})
	case refused(err):
		return errors.Join(err, r.add(Record{Record: recordFailed, Step: s.ID, Code: code(err), Message: err.Error()}))
	}
	// It may have been done: nobody answered.
	done, unsettled := r.settle(ctx, s)
	if done || unsettled != nil {
		return unsettled
	}
	return fmt.Errorf("%w; it was not done, as a read shows", err)
}

// settle finds out whether a call whose answer was lost was made.
func (r *Runner) settle(ctx context.Context, s *Step) (done bool, err error) {
	caller, err := r.Clients(s.Account, s.After.Region)
	if err != nil {
		return false, err
	}
	holds, found, answer, err := s.After.Holds(ctx, r.reader(caller), r.value(s))
	if err != nil {
		return false, fmt.Errorf("whether it was done is not known: %w", err)
	}
	if !holds {
		if s.Call == createJob && found != nil {
			return false, &DriftError{fmt.Sprintf("%s: the name is taken by what this plan did not make", s.After.Text)}
		}
		return false, nil
	}
	values, err := results(s.After.Results, answer)
	if err != nil {
		return false, err
	}
	r.tell(s, "settled", s.After.Text)
	return true, r.add(Record{Record: recordDone, Step: s.ID, Results: values, Settled: true})
}

const (
	// createJob is the call whose name, once taken, tells that somebody made it.
	createJob = "bedrock:CreateModelCustomizationJob"
	// getJob is the call that waits and comparisons make.
	getJob = "bedrock:GetModelCustomizationJob"
)

// unchanged looks at what must hold before a step. early leaves out what needs the results of other steps.
func (r *Runner) unchanged(ctx context.Context, s *Step, early bool) error {
	for i := range s.Before {
		c := &s.Before[i]
		if early && (c.Later || slices.ContainsFunc(c.texts(), waitsFor)) {
			continue
		}
		caller, err := r.Clients(s.Account, c.Region)
		if err != nil {
			return err
		}
		holds, found, err := r.holds(ctx, caller, c, s, !early && c.Later)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", c.Text, err)
		case !holds:
			want, _ := json.Marshal(c.Expect) // it was decoded from JSON
			have, _ := json.Marshal(found)    // as above
			return &DriftError{fmt.Sprintf("%s: it was %s when the plan was made, and is %s; make the plan again", c.Text, want, have)}
		}
	}
	return nil
}

// value gives the placeholders of a step.
func (r *Runner) value(s *Step) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if name == "token" {
			sum := sha256.Sum256([]byte(r.Hash + "/" + s.ID))
			return "cloister-" + hex.EncodeToString(sum[:16]), true
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return "", false
		}
		v, ok := StateOf(r.Journal.Records, name[:i]).Results[name[i+1:]]
		return v, ok
	}
}

// make makes one call, which a Ctrl-C does not cut.
func (r *Runner) make(ctx context.Context, caller Caller, call string, parameters json.RawMessage) (*answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	return caller.Call(ctx, call, parameters)
}

// refused says that a service answered that it did not do what it was asked.
func refused(err error) bool {
	if _, ok := errors.AsType[*awscall.RefusedError](err); ok {
		return true
	}
	if _, ok := errors.AsType[smithy.APIError](err); !ok {
		return false
	}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && response.HTTPStatusCode() >= 400 && response.HTTPStatusCode() < 500 && response.HTTPStatusCode() != 408
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// journalError is a journal that cannot be written: nothing may be done without it.
type journalError struct{ error }

func (e *journalError) Unwrap() error { return e.error }

func (r *Runner) add(record Record) error {
	record.Time = r.Now().UTC()
	if err := r.Journal.add(record); err != nil {
		return &journalError{err}
	}
	return nil
}

func (r *Runner) tell(s *Step, what, text string) {
	if r.Progress != nil {
		r.Progress(Event{s, what, text})
	}
}

func (r *Runner) seam(where, call string) {
	if r.Seam != nil {
		r.Seam(where + " " + call)
	}
}

// reader is a caller for reads, each of which has an end and seams.
func (r *Runner) reader(caller Caller) Caller { return &reader{caller, r} }

type reader struct {
	Caller
	r *Runner
}

func (s *reader) Call(ctx context.Context, operation string, parameters json.RawMessage) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s.r.seam("before", operation)
	defer s.r.seam("after", operation)
	return s.Caller.Call(ctx, operation, parameters)
}

// Touched are the steps that were done.
func Touched(p *Plan, records []Record) []*Step {
	var done []*Step
	for i := range p.Steps {
		if StateOf(records, p.Steps[i].ID).Done {
			done = append(done, &p.Steps[i])
		}
	}
	return slices.Clip(done)
}
