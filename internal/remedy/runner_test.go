package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/awscall"
)

// writes are what the sample plan changes, in order.
func writes() []string {
	return []string{createJob, "kms:EnableKeyRotation", "bedrock:TagResource"}
}

// wantMade fails unless the cloud is as the whole plan leaves it, with no write made twice.
func wantMade(t *testing.T, what string, c *cloud) {
	t.Helper()
	made := slices.Sorted(slices.Values(c.writes))
	if want := slices.Sorted(slices.Values(writes())); !slices.Equal(made, want) {
		t.Errorf("%s: the writes are %v, want each of %v once", what, made, want)
	}
	j := c.jobs["support-r1"]
	if len(c.jobs) != 1 || j == nil || j.status != "Completed" || len(c.tokens) != 1 {
		t.Errorf("%s: the jobs are %v, made with %d tokens", what, slices.Collect(maps.Keys(c.jobs)), len(c.tokens))
		return
	}
	if got := c.tags[oldJob]["cloister:superseded-by"]; got != j.arn || !c.rotate[theirs] {
		t.Errorf("%s: the old job names %q, the key rotates: %t", what, got, c.rotate[theirs])
	}
}

// TestApply: each call is announced, made and noted, in the plan's order, with the values of the steps before.
func TestApply(t *testing.T) {
	t.Parallel()
	c := newCloud()
	c.polls = 3
	r := start(t, sample(), c)
	if err := r.Apply(t.Context(), r.whole()); err != nil {
		t.Fatal(err)
	}
	wantMade(t, "apply", c)
	if !slices.Equal(c.writes, writes()) {
		t.Errorf("writes %v", c.writes)
	}
	events := []string{"1.1 begin", "1.1 done", "2.1 begin", "2.1 done", "1.2 begin", "1.2 done", "1.3 done", "1.4 begin", "1.4 done"}
	if diff := cmp.Diff(events, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	records := []string{"begin", "intent 1.1", "done 1.1", "intent 2.1", "done 2.1", "done 1.2", "done 1.3", "intent 1.4", "done 1.4"}
	if diff := cmp.Diff(records, r.records(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	all, err := ReadJournal(r.name)
	if err != nil {
		t.Fatal(err)
	}
	approval := r.whole()
	if all[0].Plan != r.Hash || cmp.Diff(&approval, all[0].Approval) != "" || !all[0].Time.Equal(clock()) {
		t.Errorf("the first record is %+v", all[0])
	}
	create := string(all[1].Parameters)
	if token := c.jobs["support-r1"].token; !strings.HasPrefix(token, "cloister-") || len(token) != 41 || !strings.Contains(create, `"clientRequestToken":"`+token+`"`) || !strings.Contains(create, `"value":"a${1.1.jobArn}"`) {
		t.Errorf("the new job was announced as %s", create)
	}
	if all[2].Results["jobArn"] != newJob || all[2].RequestID == "" || all[5].Results["modelArn"] != model {
		t.Errorf("results %+v, %+v", all[2], all[5])
	}
	if want := "training loss 1, before 1.062"; all[6].Message != want {
		t.Errorf("the comparison says %q, want %q", all[6].Message, want)
	}
	before := len(c.calls)
	if err := r.next(t).Resume(t.Context()); err != nil || len(c.calls) != before {
		t.Errorf("resuming what is done: %v, after %d calls", err, len(c.calls)-before)
	}
	n := r.next(t)
	if err := n.Apply(t.Context(), n.whole()); err == nil || !strings.Contains(err.Error(), "applied already") || len(c.calls) != before {
		t.Errorf("applying again: %v", err)
	}
}

// TestApplyRefuses: nothing is written, in the cloud or in the journal, unless all of the plan is approved and stands.
func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	drift := func(err error) bool { _, ok := errors.AsType[*DriftError](err); return ok }
	lacks := func(err error) bool { _, ok := errors.AsType[*ApprovalError](err); return ok }
	other := func(err error) bool {
		_, stopped := errors.AsType[*StoppedError](err)
		return !drift(err) && !lacks(err) && !stopped
	}
	fails := func(call string, err error) func(*rig, *Approval) {
		return func(r *rig, _ *Approval) {
			r.cloud.on = func(_ int, made string) (error, bool) {
				if made == call {
					return err, false
				}
				return nil, false
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func(*rig, *Approval)
		is   func(error) bool
		want string
	}{
		{"hash", func(_ *rig, a *Approval) { a.Hash = strings.Repeat("0", 64) }, drift, "not the one that was approved"},
		{"no hash", func(_ *rig, a *Approval) { a.Hash = "" }, drift, "not the one that was approved"},
		{"changed plan", func(r *rig, _ *Approval) { r.Hash = strings.Repeat("0", 64) }, drift, "not the one that was approved"},
		{"unchecked", func(_ *rig, a *Approval) { a.Unchecked = nil }, lacks, "--accept-unchecked quota,role-network"},
		{"cost", func(_ *rig, a *Approval) { a.Cost = false }, lacks, "--accept-unknown-cost"},
		{"class D", func(r *rig, _ *Approval) { r.Plan.Steps[4].Class = Destructive }, lacks, "--allow D"},
		{"refused check", func(r *rig, _ *Approval) { r.Plan.Checks[0].Status = CheckRefused }, other, "the plan is refused: names"},
		{"name taken", func(r *rig, _ *Approval) { r.cloud.jobs["support-r1"] = &job{status: "Completed", arn: "x"} }, drift, `step 1.1: the name support-r1 is free: it was [] when the plan was made, and is ["support-r1"]`},
		{"key rotates", func(r *rig, _ *Approval) { r.cloud.rotate[theirs] = true }, drift, "step 2.1: the key does not rotate: it was false when the plan was made, and is true"},
		{"has a successor", func(r *rig, _ *Approval) { r.cloud.tags[oldJob]["cloister:superseded-by"] = "x" }, drift, `step 1.4: job support names no successor: it was [] when the plan was made, and is ["x"]`},
		{"cannot be read", fails("kms:GetKeyRotationStatus", apiError("AccessDeniedException", 403)), other, "step 2.1: the key does not rotate: "},
		{"no answer", fails("bedrock:ListTagsForResource", io.ErrUnexpectedEOF), other, "unexpected EOF"},
		{"no credentials", func(r *rig, _ *Approval) {
			r.Clients = func(account, region string) (Caller, error) {
				if account == there {
					return nil, errors.New("no profile")
				}
				return r.cloud.clients(account, region)
			}
		}, other, "no profile"},
		{"Ctrl-C", nil, other, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, sample(), newCloud())
			a := r.whole()
			ctx := t.Context()
			if c.do == nil {
				stopped, stop := context.WithCancel(ctx)
				stop()
				ctx = stopped
			} else {
				c.do(r, &a)
			}
			err := r.Apply(ctx, a)
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Apply = %v (%T), want %s", err, err, c.want)
			}
			if len(r.cloud.writes) != 0 || len(r.records(t)) != 0 {
				t.Errorf("writes %v, records %v", r.cloud.writes, r.records(t))
			}
			if err := r.next(t).Resume(t.Context()); err == nil || !strings.Contains(err.Error(), "not applied yet") {
				t.Errorf("Resume = %v", err)
			}
			if err := r.next(t).Rollback(t.Context(), true); err == nil || !strings.Contains(err.Error(), "not applied yet") {
				t.Errorf("Rollback = %v", err)
			}
		})
	}
}

// TestAnotherPlan: a journal is that of one plan.
func TestAnotherPlan(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	if err := r.Apply(t.Context(), r.whole()); err != nil {
		t.Fatal(err)
	}
	r.Plan.Changes[0].Title = "another"
	for name, do := range map[string]func(*rig) error{
		"Resume":   func(r *rig) error { return r.Resume(t.Context()) },
		"Rollback": func(r *rig) error { return r.Rollback(t.Context(), true) },
	} {
		err := do(r.next(t))
		if _, drift := errors.AsType[*DriftError](err); !drift || !strings.Contains(err.Error(), "the journal is of the plan with hash") {
			t.Errorf("%s with another plan: %v", name, err)
		}
	}
}

// TestRefusedCall: what a service refuses was not done. It stops its own change; the other goes on; later it can go on.
func TestRefusedCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call, step string
		status     int
		others     []string // what is done all the same
	}{
		{createJob, "1.1", 400, []string{"kms:EnableKeyRotation"}},
		{createJob, "1.1", 429, []string{"kms:EnableKeyRotation"}},
		{"kms:EnableKeyRotation", "2.1", 403, []string{createJob, "bedrock:TagResource"}},
		{"bedrock:TagResource", "1.4", 404, []string{createJob, "kms:EnableKeyRotation"}},
		{"bedrock:TagResource", "1.4", 409, []string{createJob, "kms:EnableKeyRotation"}},
	} {
		t.Run(fmt.Sprintf("%s %d", c.call, c.status), func(t *testing.T) {
			t.Parallel()
			r := start(t, sample(), newCloud())
			refuse := func(_ int, call string) (error, bool) {
				if call == c.call {
					return apiError("No", c.status), false
				}
				return nil, false
			}
			r.cloud.on = refuse
			err := r.Apply(t.Context(), r.whole())
			stopped, ok := errors.AsType[*StoppedError](err)
			if !ok || len(stopped.Why) != 1 || !strings.HasPrefix(stopped.Why[0], "step "+c.step+": ") {
				t.Errorf("Apply = %v", err)
			}
			if !slices.Equal(r.cloud.writes, c.others) {
				t.Errorf("writes %v, want %v", r.cloud.writes, c.others)
			}
			records, _ := ReadJournal(r.name)
			if s := StateOf(records, c.step); !s.Failed || s.Open || s.Done || !strings.Contains(s.Message, "No") {
				t.Errorf("step %s is %+v", c.step, s)
			}
			if err := r.next(t).Resume(t.Context()); err == nil {
				t.Error("it is refused again, and Resume says nothing")
			}
			r.cloud.on = nil
			if err := r.next(t).Resume(t.Context()); err != nil {
				t.Errorf("Resume = %v", err)
			}
			wantMade(t, "resumed", r.cloud)
		})
	}
}

// TestDriftPartWay: what changed while the plan was being made stops its change; as other calls were made, the plan stopped part-way.
func TestDriftPartWay(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == createJob { // somebody lets the key rotate meanwhile
			r.cloud.rotate[theirs] = true
		}
		return nil, false
	}
	err := r.Apply(t.Context(), r.whole())
	if stopped, ok := errors.AsType[*StoppedError](err); !ok || !strings.Contains(stopped.Why[0], "step 2.1: the key does not rotate: it was false") {
		t.Errorf("Apply = %v", err)
	}
	if !slices.Equal(r.cloud.writes, []string{createJob, "bedrock:TagResource"}) {
		t.Errorf("writes %v", r.cloud.writes)
	}
}

// faults are how a call may fail: before it was made, or after.
func faults() map[string]error {
	return map[string]error{
		"500": apiError("InternalServerException", 500), "503": apiError("ServiceUnavailable", 503), "408": apiError("RequestTimeout", 408),
		"timeout": context.DeadlineExceeded, "cut": io.ErrUnexpectedEOF, "4xx without an error of AWS": errors.New("proxy says 407"), "refused": apiError("AccessDenied", 403),
	}
}

// TestAnyCallFails: whichever call fails, in whichever way, once or for good: the plan can be resumed and is then made whole,
// and no write is made twice.
func TestAnyCallFails(t *testing.T) {
	t.Parallel()
	clean := start(t, sample(), newCloud())
	if err := clean.Apply(t.Context(), clean.whole()); err != nil {
		t.Fatal(err)
	}
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range len(clean.cloud.calls) {
				for _, lost := range []bool{false, true} {
					for _, forGood := range []bool{false, true} { // all calls after it fail as well
						if lost && name == "refused" {
							continue
						}
						failedOnce(t, fmt.Sprintf("call %d, done: %t, for good: %t", n+1, lost, forGood), func(i int, _ string) (error, bool) {
							if i == n+1 || forGood && i > n {
								return fault, lost && i == n+1
							}
							return nil, false
						})
					}
				}
			}
		})
	}
}

// failedOnce applies the sample plan with faults, and resumes without.
func failedOnce(t *testing.T, what string, on func(int, string) (error, bool)) {
	t.Helper()
	r := start(t, sample(), newCloud())
	r.cloud.on = on
	err := r.Apply(t.Context(), r.whole())
	r.cloud.on = nil
	n := r.next(t)
	if begun(n.Journal.Records) == nil {
		if err == nil || len(r.cloud.writes) != 0 {
			t.Errorf("%s: Apply = %v, and wrote %v without a journal", what, err, r.cloud.writes)
		}
		err = n.Apply(t.Context(), n.whole())
	} else {
		err = n.Resume(t.Context())
	}
	if err != nil {
		t.Errorf("%s: Resume = %v", what, err)
	}
	wantMade(t, what, r.cloud)
	_ = n.Journal.Close() // thousands of them are open otherwise
}

// TestLostAnswers: a read finds out what became of a call whose answer was lost.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for step, call := range map[string]string{"1.1": createJob, "2.1": "kms:EnableKeyRotation", "1.4": "bedrock:TagResource"} {
		for _, done := range []bool{true, false} {
			r := start(t, sample(), newCloud())
			r.cloud.on = func(_ int, made string) (error, bool) {
				if made == call {
					return io.ErrUnexpectedEOF, done
				}
				return nil, false
			}
			err := r.Apply(t.Context(), r.whole())
			records, _ := ReadJournal(r.name)
			s := StateOf(records, step)
			switch {
			case done && (err != nil || !s.Done || s.RequestID != "" || !slices.Contains(r.records(t), "done "+step+" settled")):
				t.Errorf("%s was done, its answer lost: %v, %+v", call, err, s)
			case !done && (err == nil || !strings.Contains(err.Error(), "it was not done, as a read shows") || !s.Open):
				t.Errorf("%s was not done: %v, %+v", call, err, s)
			}
			if done {
				wantMade(t, call, r.cloud)
			}
		}
	}
}

// TestForeignJob: a name that somebody else took between the announcement and the call is not taken for the plan's.
func TestForeignJob(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == createJob {
			return io.ErrUnexpectedEOF, false
		}
		return nil, false
	}
	if err := r.Apply(t.Context(), r.whole()); err == nil {
		t.Fatal("no error")
	}
	foreign := &job{status: "InProgress", arn: newJob, model: "m"} // without a token: somebody else's
	r.cloud.jobs["support-r1"], r.cloud.on, r.cloud.polls = foreign, nil, 1000
	err := r.next(t).Resume(t.Context())
	if _, stopped := errors.AsType[*StoppedError](err); !stopped || !strings.Contains(err.Error(), "the name is taken by what this plan did not make") {
		t.Errorf("Resume = %v", err)
	}
	n := r.next(t)
	if err := n.Rollback(t.Context(), true); err != nil {
		t.Errorf("Rollback = %v", err)
	}
	if foreign.status != "InProgress" || r.cloud.rotate[theirs] || !slices.Contains(n.records(t), "failed 1.1") {
		t.Errorf("the foreign job is %s; records %v", foreign.status, n.records(t))
	}
}

// killed is what stands for SIGKILL in this process; another test uses the real one.
type killed struct{}

// killAt lets do run until the n-th seam, and says whether it got there.
func (r *rig) killAt(n int, do func() error) (dead bool, err error) {
	seen := 0
	r.Seam = func(string) {
		if seen++; seen == n {
			panic(killed{})
		}
	}
	defer func() {
		if v := recover(); v != nil {
			if v != (killed{}) {
				panic(v)
			}
			dead = true
		}
		_ = r.Journal.Close() // as the end of a process does
	}()
	return false, do()
}

// goOn applies or resumes, as an operator would.
func (r *rig) goOn(ctx context.Context) error {
	if begun(r.Journal.Records) == nil {
		return r.Apply(ctx, r.whole())
	}
	return r.Resume(ctx)
}

// TestKilledAtEveryCall: the process ends before or after any call, once or twice: the next one makes the plan whole.
func TestKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	once := func(first, second int) (more bool) {
		r := start(t, sample(), newCloud())
		dead, err := r.killAt(first, func() error { return r.goOn(t.Context()) })
		if !dead {
			if err != nil {
				t.Errorf("without a kill: %v", err)
			}
			return false
		}
		if second > 0 {
			r = r.next(t)
			if dead, _ = r.killAt(second, func() error { return r.goOn(t.Context()) }); !dead {
				return false
			}
		}
		n := r.next(t)
		if err := n.goOn(t.Context()); err != nil {
			t.Errorf("killed at %d and %d: %v", first, second, err)
		}
		wantMade(t, fmt.Sprintf("killed at %d and %d", first, second), r.cloud)
		_ = n.Journal.Close() // as above
		return true
	}
	n := 1
	for ; once(n, 0); n++ {
		for m := 1; once(n, m); m++ {
		}
	}
	if n < 20 {
		t.Errorf("only %d seams", n-1)
	}
}

// TestStop: Ctrl-C at any call ends no call: the plan stops between two, and can go on.
func TestStop(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		r := start(t, sample(), newCloud())
		r.cloud.polls = 2
		seen := 0
		r.Seam = func(string) {
			if seen++; seen == n {
				cancel()
			}
		}
		err := r.Apply(ctx, r.whole())
		cancel()
		if seen < n {
			if err != nil {
				t.Errorf("without Ctrl-C: %v", err)
			}
			break
		}
		next := r.next(t)
		stopped, ok := errors.AsType[*StoppedError](err)
		switch {
		case begun(next.Journal.Records) == nil:
			if err == nil || ok {
				t.Errorf("Ctrl-C at %d, before the begin: %v", n, err)
			}
		case err != nil && (!ok || len(stopped.Why) == 0):
			t.Errorf("Ctrl-C at %d: %v", n, err)
		}
		if err := next.goOn(t.Context()); err != nil {
			t.Errorf("Ctrl-C at %d: Resume = %v", n, err)
		}
		wantMade(t, fmt.Sprintf("Ctrl-C at %d", n), r.cloud)
		_ = next.Journal.Close() // as above
	}
}

// TestStopBetween: Ctrl-C stops before the next step, whatever its change, and says where.
func TestStopBetween(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := start(t, sample(), newCloud())
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == createJob {
			cancel()
		}
		return nil, false
	}
	err := r.Apply(ctx, r.whole())
	if stopped, ok := errors.AsType[*StoppedError](err); !ok || !slices.Equal(stopped.Why, []string{"stopped before step 2.1"}) {
		t.Errorf("Apply = %v", err)
	}
	if diff := cmp.Diff([]string{"begin", "intent 1.1", "done 1.1"}, r.records(t)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// TestWorseLoss: a worse model stops its change before anything is said of it; --accept-loss goes on.
func TestWorseLoss(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	r.cloud.loss = 1.2
	for i := range 2 {
		n := r.next(t)
		err := n.goOn(t.Context())
		want := "step 1.3: the new model is not shown to be as good: training loss 1.2, before 1.062; nothing more is done for it"
		if _, ok := errors.AsType[*StoppedError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("time %d: %v, want %s", i+1, err, want)
		}
		if s := StateOf(n.Journal.Records, "1.3"); s.Done || slices.Contains(r.cloud.writes, "bedrock:TagResource") || !r.cloud.rotate[theirs] {
			t.Errorf("time %d: the comparison is %+v; writes %v", i+1, s, r.cloud.writes)
		}
	}
	n := r.next(t)
	n.AcceptLoss = true
	if err := n.Resume(t.Context()); err != nil {
		t.Error(err)
	}
	wantMade(t, "accepted", r.cloud)
}

// TestCompare: the validation losses decide where both have some, else the training losses; other kinds are not compared.
func TestCompare(t *testing.T) {
	t.Parallel()
	of := func(training float64, validation ...float64) Losses {
		l := Losses{Validation: validation}
		if training != 0 {
			l.Training = &training
		}
		return l
	}
	for _, c := range []struct {
		old, is Losses
		most    float64
		text    string
		worse   bool
	}{
		{of(1), of(1.1), 0.1, "training loss 1.1, before 1", false},
		{of(1), of(1.11), 0.1, "training loss 1.11, before 1", true},
		{of(1), of(0.5), 0, "training loss 0.5, before 1", false},
		{of(1), of(1), 0, "training loss 1, before 1", false},
		{of(1), of(1.0001), 0, "training loss 1, before 1", true},
		{of(1, 2), of(9, 2), 0.1, "validation loss 2, before 2; training loss 9, before 1", false},
		{of(9, 2), of(1, 3), 0.1, "validation loss 3, before 2; training loss 1, before 9", true},
		{of(1, 1, 3), of(1, 2, 2), 0, "validation loss 2, before 2; training loss 1, before 1", false},
		{of(-1), of(-0.95), 0.1, "training loss -0.95, before -1", false},
		{of(1), of(math.NaN()), 0.1, "training loss NaN, before 1", true},
		{of(1), of(math.Inf(1)), 0.1, "training loss +Inf, before 1", true},
		{of(math.NaN()), of(1), 0.1, "training loss 1, before NaN", true},
		{of(-1), of(-0.5), 0.1, "training loss -0.5, before -1", true},
		{of(1, 2), of(1), 0, "the losses cannot be compared: both jobs must name the same kind", true},
		{of(0), of(1), 0, "the losses cannot be compared: both jobs must name the same kind", true},
		{of(0), of(0), 0, "the losses cannot be compared: both jobs must name the same kind", true},
	} {
		if text, worse := Compare(c.old, c.is, c.most); text != c.text || worse != c.worse {
			t.Errorf("Compare(%v, %v, %g) = %q, %t, want %q, %t", c.old, c.is, c.most, text, worse, c.text, c.worse)
		}
	}
	got := LossesOf(object{"trainingMetrics": object{"trainingLoss": 1.5}, "validationMetrics": []any{object{"validationLoss": 2.0}, object{}, object{"validationLoss": "3"}}})
	if diff := cmp.Diff(of(1.5, 2), got); diff != "" {
		t.Errorf("LossesOf (-want +got):\n%s", diff)
	}
	for _, none := range []object{nil, {"trainingMetrics": nil}, {"trainingMetrics": "x", "validationMetrics": "y"}, {"validationMetrics": []any{nil}}} {
		if got := LossesOf(none); got.Training != nil || got.Validation != nil {
			t.Errorf("LossesOf(%v) = %v", none, got)
		}
	}
}

// TestWait: how a job ends, or does not.
func TestWait(t *testing.T) {
	t.Parallel()
	looks := func(n int, err error) func(int, string) (error, bool) { // the first n looks fail
		seen := 0
		return func(_ int, call string) (error, bool) {
			if call != getJob {
				return nil, false
			}
			if seen++; seen <= n {
				return err, false
			}
			return nil, false
		}
	}
	for _, c := range []struct {
		name     string
		end      string
		polls    int
		patience time.Duration
		on       func(int, string) (error, bool)
		want     string
		again    string // what the next process says
	}{
		{"long", "Completed", 300, 0, nil, "", ""},
		{"failed", "Failed", 2, 0, nil, "step 1.2: the new job is Failed: the data is bad", "step 1.2: the new job is Failed: the data is bad"},
		{"stopped", "Stopped", 2, 0, nil, "step 1.2: the new job is Stopped", "step 1.2: the new job is Stopped"},
		{"patience", "Completed", 30, 5 * time.Minute, nil, "step 1.2: the job has not ended after 5m0s; 'remediate resume' goes on waiting", ""},
		{"enough patience", "Completed", 30, time.Hour, nil, "", ""},
		{"four bad looks", "Completed", 2, 0, looks(4, io.ErrUnexpectedEOF), "", ""},
		{"four bad looks, again and again", "Completed", 4, 0, func() func(int, string) (error, bool) {
			seen := 0
			return func(_ int, call string) (error, bool) {
				if call != getJob {
					return nil, false
				}
				seen++
				return map[bool]error{true: io.ErrUnexpectedEOF}[seen%5 != 0 && seen < 25], false
			}
		}(), "", ""},
		{"five bad looks", "Completed", 2, 0, looks(5, apiError("Throttling", 429)), "step 1.2: https response error StatusCode: 429", ""},
		{"no model", "Gone", 2, time.Minute, nil, "step 1.2: the job has not ended", "step 1.2: the job has not ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := start(t, sample(), newCloud())
				r.cloud.end, r.cloud.polls, r.cloud.on = c.end, c.polls, c.on
				r.Now, r.Poll, r.Patience = time.Now, 0, c.patience
				check := func(what string, err error, want string) {
					if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
						t.Errorf("%s = %v, want %s", what, err, want)
					}
				}
				began := time.Now()
				check("Apply", r.Apply(t.Context(), r.whole()), c.want)
				if took := time.Since(began); c.name == "long" && took > 300*30*time.Second {
					t.Errorf("it took %s: a pause is longer than thirty seconds", took)
				}
				n := r.next(t)
				n.Now, n.Poll, n.Patience = time.Now, 0, time.Hour
				if c.want != "" {
					check("Resume", n.Resume(t.Context()), c.again)
				}
				if !r.cloud.rotate[theirs] {
					t.Error("the other change was not made")
				}
				if c.again == "" {
					wantMade(t, c.name, r.cloud)
				}
				_ = n.Journal.Close() // the bubble ends
			})
		})
	}
}

// TestStopWhileWaiting: Ctrl-C ends the pause, not the job.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, sample(), newCloud())
		r.cloud.polls, r.Now, r.Poll = 1000, time.Now, time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour+time.Second)
		defer cancel()
		began := time.Now()
		err := r.Apply(ctx, r.whole())
		if took := time.Since(began); took != 10*time.Hour+time.Second {
			t.Errorf("it stopped after %s", took)
		}
		stopped, ok := errors.AsType[*StoppedError](err)
		if !ok || !slices.Equal(stopped.Why, []string{"step 1.2: stopped while waiting; 'remediate resume' goes on"}) {
			t.Errorf("Apply = %v", err)
		}
		r.cloud.polls = 0
		n := r.next(t)
		if err := n.Resume(t.Context()); err != nil {
			t.Error(err)
		}
		wantMade(t, "resumed", r.cloud)
		_ = n.Journal.Close() // the bubble ends
	})
}

// TestJournalFails: what cannot be noted is not done; what was done and could not be noted is found by the next process.
func TestJournalFails(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		r := start(t, sample(), newCloud())
		seen, calls := 0, 0
		r.Seam = func(string) {
			if seen++; seen == n {
				_ = r.Journal.file.Close() // the disk is full from here on
				calls = len(r.cloud.writes)
			}
		}
		err := r.Apply(t.Context(), r.whole())
		if seen < n {
			break
		}
		if begun(r.Journal.Records) != nil {
			if _, ok := errors.AsType[*StoppedError](err); !ok || strings.Count(err.Error(), "journal: write") != 1 {
				t.Errorf("at seam %d: %v", n, err)
			}
		}
		if err == nil || len(r.cloud.writes) > calls+1 {
			t.Errorf("at seam %d: %v, and then %d writes", n, err, len(r.cloud.writes)-calls)
		}
		_ = r.Journal.lock.Unlock() // as the end of the process does
		next := r.next(t)
		if err := next.goOn(t.Context()); err != nil {
			t.Errorf("at seam %d: then %v", n, err)
		}
		wantMade(t, fmt.Sprintf("at seam %d", n), r.cloud)
		_ = next.Journal.Close() // as above
	}
}

// TestNoResult: an answer without what later steps need is not taken for done; a read gets it.
func TestNoResult(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	r.Clients = func(account, region string) (Caller, error) {
		inner, err := r.cloud.clients(account, region)
		return empty{inner}, err
	}
	if err := r.Apply(t.Context(), r.whole()); err == nil || !strings.Contains(err.Error(), "step 1.1: the answer has no jobArn") {
		t.Errorf("Apply = %v", err)
	}
	if err := r.next(t).Resume(t.Context()); err != nil {
		t.Error(err)
	}
	wantMade(t, "resumed", r.cloud)
}

// empty answers a new job with nothing.
type empty struct{ Caller }

func (e empty) Call(ctx context.Context, call string, parameters json.RawMessage) (*awscall.Answer, error) {
	answer, err := e.Caller.Call(ctx, call, parameters)
	if err == nil && call == createJob {
		answer.Members = object{}
	}
	return answer, err
}
