package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/runner"
)

func TestSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.process(0, nil)
	r.want(bedrock.Completed, everything()...)
	want := []string{"role", "scratch", "train", "seal", "output", "register", "release scratch", "release role"}
	if diff := cmp.Diff(want, r.w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestFailureInEveryStep lets each step fail: all that was begun is undone, backwards, and nothing is left.
func TestFailureInEveryStep(t *testing.T) {
	t.Parallel()
	for i, s := range (&world{}).steps() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.w.fail[s.Name] = 1
			r.process(0, nil)
			r.want(bedrock.Failed)
			var want []string
			for _, begun := range (&world{}).steps()[:i+1] {
				want = append(want, begun.Name)
			}
			for _, begun := range slices.Backward((&world{}).steps()[:i+1]) {
				if begun.Undo != nil {
					want = append(want, "undo "+begun.Name)
				}
			}
			if diff := cmp.Diff(want, r.w.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if message := r.job().FailureMessage; message != s.Name+" failed" {
				t.Errorf("failure %q", message)
			}
			if !slices.ContainsFunc(r.log(), func(e runner.Event) bool { return e.Step == s.Name && e.Phase == runner.Failed }) {
				t.Error("the log does not say which step failed")
			}
		})
	}
}

// TestCrashAtEverySeam kills the process before and after every write to the log, and the next one brings the
// job to its end.
func TestCrashAtEverySeam(t *testing.T) {
	t.Parallel()
	seams := newRig(t).process(0, nil)
	if want := 2 * (2*6 + 2 + 1); seams != want {
		t.Fatalf("%d seams, want %d", seams, want)
	}
	for n := 1; n <= seams; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.process(n, nil)
			before := r.log()
			done := func(step string) bool {
				return slices.ContainsFunc(before, func(e runner.Event) bool { return e.Step == step && e.Phase == runner.Succeeded })
			}
			job := r.job()
			if job.Status == bedrock.Completed { // killed at the very end
				r.want(bedrock.Completed, everything()...)
				return
			}
			trained := r.w.count("train")
			sealed := r.w.count("seal")
			r.process(0, nil)
			r.want(bedrock.Completed, everything()...)
			attempt := 1
			if len(before) > 0 && !done("seal") {
				attempt = 2
			}
			if got := r.job().Attempt; got != attempt {
				t.Errorf("attempt %d, want %d", got, attempt)
			}
			if done("seal") && (r.w.count("train") != trained || r.w.count("seal") != sealed) {
				t.Error("work was done again although its result was kept")
			}
			if done("seal") && r.w.count("undo seal") != 0 {
				t.Error("what was sealed was undone")
			}
			if done("output") && r.w.count("output") != 1 {
				t.Error("what had succeeded was done again")
			}
		})
	}
}

// TestCrashWhileCleaning kills a job that has failed, at every seam of its clean-up.
func TestCrashWhileCleaning(t *testing.T) {
	t.Parallel()
	dry := newRig(t)
	dry.w.fail["output"] = 1
	seams := dry.process(0, nil)
	for n := 1; n <= seams; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.w.fail["output"] = 1
			r.process(n, nil)
			if r.job().Status.Terminal() {
				r.want(bedrock.Failed)
				return
			}
			r.w.fail["output"] = 0 // it goes well this time
			r.process(0, nil)
			r.want(bedrock.Completed, everything()...)
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for attempt := 1; attempt <= 3; attempt++ {
		r.crashIn("train")
		if got := r.job().Attempt; got != attempt {
			t.Errorf("attempt %d, want %d", got, attempt)
		}
	}
	r.process(0, nil)
	r.want(bedrock.Failed)
	if r.w.count("train") != 3 || !errors.Is(r.w.ended[0], runner.ErrInterrupted) {
		t.Errorf("begun %d times, ended with %v", r.w.count("train"), r.w.ended)
	}
}

// TestNotForEver kills a job whose artifact is sealed again and again: attempts do not count then, but there is
// an end to it.
func TestNotForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 12 {
		if r.job().Status.Terminal() {
			break
		}
		r.crashIn("output")
	}
	r.want(bedrock.Failed)
	if got := r.w.count("output"); got < 5 || got > 11 || r.w.count("train") != 1 {
		t.Errorf("output begun %d times, trained %d times", got, r.w.count("train"))
	}
}

// TestParked lets a clean-up fail three times: the job has ended all the same, and the next start cleans up.
func TestParked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.w.fail["output"], r.w.fail["undo seal"] = 1, 3
	r.process(0, nil)
	if job := r.job(); job.Status != bedrock.Failed || job.FailureMessage != "output failed" {
		t.Errorf("job %s, %q", job.Status, job.FailureMessage)
	}
	if !r.w.kept["seal"] || r.w.count("undo seal") != 3 {
		t.Fatalf("the undo of seal was to fail three times: %v", r.w.calls)
	}
	if !slices.ContainsFunc(r.log(), func(e runner.Event) bool { return e.Step == "seal" && e.Phase == runner.UndoFailed }) {
		t.Error("the log does not say that a clean-up failed")
	}
	again := r.w.count("undo seal")
	r.process(0, nil)
	r.want(bedrock.Failed)
	if r.w.count("undo seal") != again+1 || r.job().FailureMessage != "output failed" {
		t.Errorf("the next start: %d undos of seal, failure %q", r.w.count("undo seal")-again, r.job().FailureMessage)
	}
	if _, ok, err := r.jobs.Claim(t.Context(), "other", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)); ok || err != nil {
		t.Errorf("the job can still be claimed: %t, %v", ok, err)
	}
}

// TestCrashWhileParking kills a job whose clean-up does not go well, at every seam: the next start cleans up, and
// the end is told once.
func TestCrashWhileParking(t *testing.T) {
	t.Parallel()
	fail := func(r *rig) { r.w.fail["output"], r.w.fail["undo seal"] = 1, 3 }
	dry := newRig(t)
	fail(dry)
	seams := dry.process(0, nil)
	for n := 1; n <= seams; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			fail(r)
			r.process(n, nil)
			r.w.fail = map[string]int{} // all goes well from here
			r.process(0, nil)
			if status := r.job().Status; status == bedrock.Completed {
				r.want(status, everything()...)
			} else {
				r.want(bedrock.Failed)
			}
			entries, err := r.jobs.Events(t.Context(), jobName, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			done := 0
			for _, e := range entries {
				if e.Type == "done" {
					done++
				}
			}
			if done != 1 {
				t.Errorf("the end was told %d times", done)
			}
			if _, ok, err := r.jobs.Claim(t.Context(), "other", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)); ok || err != nil {
				t.Errorf("the job can still be claimed: %t, %v", ok, err)
			}
		})
	}
}

// TestCleanupTriesAgain lets a clean-up fail twice: the third try does it.
func TestCleanupTriesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.w.fail["output"], r.w.fail["undo seal"] = 1, 2
	r.process(0, nil)
	r.want(bedrock.Failed)
	if _, ok, err := r.jobs.Claim(t.Context(), "other", time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)); ok || err != nil {
		t.Errorf("the job can still be claimed: %t, %v", ok, err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stopped := make(chan struct{})
	r.w.inside = func(call string) {
		if call == "train" {
			<-stopped
		}
	}
	asked := false
	r.process(0, func(run *runner.Runner[int]) bool {
		if !asked && r.w.count("train") == 1 {
			asked = true
			if !run.Stop(jobName) || run.Stop("somebody-else") {
				t.Error("Stop does not know what runs here")
			}
			close(stopped)
		}
		return false
	})
	r.want(bedrock.Failed) // as this test's Finish calls it
	if !errors.Is(r.w.ended[0], runner.ErrStopped) {
		t.Errorf("ended with %v", r.w.ended[0])
	}
	want := []string{"role", "scratch", "train", "stopped train", "undo scratch", "undo role"}
	if diff := cmp.Diff(want, r.w.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// TestShutdown ends the process in good order in the middle of a job: what is held is let go of, nothing is
// undone for good, and the next process begins a new attempt.
func TestShutdown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	release := make(chan struct{})
	r.w.inside = func(call string) {
		if call == "train" {
			<-release
		}
	}
	r.process(0, func(*runner.Runner[int]) bool {
		if r.w.count("train") == 1 {
			time.AfterFunc(50*time.Millisecond, func() { close(release) }) // after the shutdown has begun
			return true
		}
		return false
	})
	if len(r.w.held) != 0 || slices.ContainsFunc(r.w.calls, func(c string) bool { return strings.HasPrefix(c, "undo") }) || len(r.w.ended) != 0 {
		t.Errorf("after a shutdown: held %v, calls %v, ended %v", r.w.held, r.w.calls, r.w.ended)
	}
	r.w.inside = nil
	r.process(0, nil)
	r.want(bedrock.Completed, everything()...)
	if got := r.job().Attempt; got != 2 {
		t.Errorf("attempt %d, want 2", got)
	}
}

// TestSuccessIsFinal lets the log refuse the last step's success, which is durable already: nothing is undone.
func TestSuccessIsFinal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.w.refuse = func(e runner.Event) error {
		if e.Step == "register" && e.Phase == runner.Succeeded {
			return errors.New("no space left on device")
		}
		return nil
	}
	r.process(0, nil)
	r.want(bedrock.Completed, everything()...)
	if len(r.w.held) != 0 || slices.ContainsFunc(r.w.calls, func(c string) bool { return strings.HasPrefix(c, "undo") }) {
		t.Errorf("held %v, calls %v", r.w.held, r.w.calls)
	}
}

// TestReleaseIsRepeated lets a release fail twice.
func TestReleaseIsRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.w.fail = map[string]int{"release scratch": 2}
	r.process(0, nil)
	r.want(bedrock.Completed, everything()...)
	if len(r.w.held) != 0 {
		t.Errorf("held %v", r.w.held)
	}
}

// TestLeaseLost lets another process take the job: this one stops working, lets go of what it holds, and neither
// undoes nor finishes anything.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.w.inside = func(call string) {
		if call == "train" {
			later := time.Now().Add(time.Hour)
			// The machine slept; this process still runs the job.
			if claim, ok, err := r.jobs.Claim(context.WithoutCancel(t.Context()), fmt.Sprint("process-", r.runs), later, later.Add(time.Minute)); err != nil || ok {
				t.Errorf("claim of one's own running job: %v, %t, %v", claim, ok, err)
			}
			claim, ok, err := r.jobs.Claim(context.WithoutCancel(t.Context()), "thief", later, later.Add(time.Minute))
			if err != nil || !ok || claim.ID != jobName {
				t.Errorf("claim of an expired lease: %v, %t, %v", claim, ok, err)
			}
		}
	}
	r.process(0, func(*runner.Runner[int]) bool { return r.w.count("release role") > 0 })
	if len(r.w.held) != 0 || len(r.w.ended) != 0 || r.w.count("seal") != 0 || r.w.count("undo scratch") != 0 {
		t.Errorf("held %v, ended %v, calls %v", r.w.held, r.w.ended, r.w.calls)
	}
	if job := r.job(); job.Status != bedrock.InProgress {
		t.Errorf("job %s, want InProgress in the other's hands", job.Status)
	}
}
