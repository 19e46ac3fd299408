package runner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/runner"
	"example.com/cloister/internal/store"
)

const jobName = "abcdefghijkl"

// world is what the steps of a test's job make: what is held dies with its process, what is kept does not.
type world struct {
	mu     sync.Mutex // guards all below
	held   map[string]bool
	kept   map[string]bool
	calls  []string
	fail   map[string]int // how often a call fails before it goes well
	inside func(call string)
	refuse func(runner.Event) error // what the log says to an event
	ended  []error                  // what Finish was told, in order
	dead   bool
}

var errDead = errors.New("the process is dead")

// call notes a call and says how it ends. A dead process calls nothing.
func (w *world) call(name string, change func()) error {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return errDead
	}
	w.calls = append(w.calls, name)
	inside := w.inside
	failing := w.fail[name] > 0
	if failing {
		w.fail[name]--
	} else {
		change()
	}
	w.mu.Unlock()
	if inside != nil {
		inside(name)
	}
	if failing {
		return errors.New(name + " failed")
	}
	return nil
}

func (w *world) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.calls {
		if c == name {
			n++
		}
	}
	return n
}

// succeeded is Config.Ended: the last step has made its result durable.
func (w *world) succeeded(int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kept["register"]
}

// crash kills the process: what it held is gone.
func (w *world) crash() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead, w.held = true, map[string]bool{}
}

// steps are like those of a customization job: two that hold, one that works, three that make.
func (w *world) steps() []runner.Step[int] {
	do := func(name string, where *map[string]bool) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			if err := w.call(name, func() {
				if where != nil {
					(*where)[name] = true
				}
			}); err != nil {
				return err
			}
			return context.Cause(ctx)
		}
	}
	drop := func(kind, name string, where *map[string]bool) func(context.Context, int) error {
		return func(context.Context, int) error { return w.call(kind+" "+name, func() { delete(*where, name) }) }
	}
	return []runner.Step[int]{
		{Name: "role", Do: do("role", &w.held), Release: drop("release", "role", &w.held), Undo: drop("undo", "role", &w.held)},
		{Name: "scratch", Do: do("scratch", &w.held), Release: drop("release", "scratch", &w.held), Undo: drop("undo", "scratch", &w.held), SkipAfter: "seal"},
		{Name: "train", Do: do("train", nil), Stopped: func(context.Context, int) error { return w.call("stopped train", func() {}) }, SkipAfter: "seal"},
		{Name: "seal", Do: do("seal", &w.kept), Undo: drop("undo", "seal", &w.kept), SkipAfter: "seal"},
		{Name: "output", Do: do("output", &w.kept), Undo: drop("undo", "output", &w.kept), SkipAfter: "output"},
		{Name: "register", Do: do("register", &w.kept), Undo: drop("undo", "register", &w.kept), SkipAfter: "register"},
	}
}

func everything() []string { return []string{"output", "register", "seal"} }

// crashing is a store that dies with its process at the n-th seam: before or after a write.
type crashing struct {
	*store.Bedrock
	w  *world
	at int

	mu     sync.Mutex // guards passed
	passed int
	died   chan struct{}
}

func (c *crashing) seam() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed++
	if c.passed == c.at {
		c.w.crash()
		close(c.died)
	}
	if c.at > 0 && c.passed >= c.at {
		return errDead
	}
	return nil
}

func (c *crashing) around(write func() error) error {
	if err := c.seam(); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	return c.seam()
}

func (c *crashing) Append(ctx context.Context, id, owner string, e runner.Event) error {
	return c.around(func() error {
		if c.w.refuse != nil {
			if err := c.w.refuse(e); err != nil {
				return err
			}
		}
		return c.Bedrock.Append(ctx, id, owner, e)
	})
}

func (c *crashing) NextAttempt(ctx context.Context, id, owner string) (n int, err error) {
	err = c.around(func() (err error) { n, err = c.Bedrock.NextAttempt(ctx, id, owner); return err })
	return n, err
}

func (c *crashing) Park(ctx context.Context, id, owner string) error {
	return c.around(func() error { return c.Bedrock.Park(ctx, id, owner) })
}

// rig is a database with one job in the queue.
type rig struct {
	t    *testing.T
	jobs *store.Bedrock
	w    *world
	runs int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "cloister.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, jobs: db.Bedrock(time.Now), w: &world{held: map[string]bool{}, kept: map[string]bool{}, fail: map[string]int{}}}
	job := bedrock.Job{
		ID: jobName, Account: cloister.DefaultAccount, Region: cloister.DefaultRegion, Name: "job", ARN: "arn:job", ModelName: "model",
		ModelARN: "arn:model", Status: bedrock.InProgress, Created: time.Now(),
	}
	if err := r.jobs.CreateJob(t.Context(), job, nil, nil, 10); err != nil {
		t.Fatal(err)
	}
	return r
}

// process is one life of the program: it recovers and runs until the job has ended, the process has crashed at a
// seam (0 is never), or enough says so. It returns how many seams were passed.
func (r *rig) process(crashAt int, enough func(*runner.Runner[int]) bool) int {
	r.t.Helper()
	r.runs++
	r.w.mu.Lock()
	r.w.dead = false
	r.w.mu.Unlock()
	if err := r.jobs.Recover(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	st := &crashing{Bedrock: r.jobs, w: r.w, at: crashAt, died: make(chan struct{})}
	finished := make(chan struct{}, 16)
	run := runner.New(runner.Config[int]{
		Store: st, Steps: r.w.steps(), Concurrent: 1, MaxAttempts: 3, Owner: fmt.Sprint("process-", r.runs), Now: time.Now,
		Log:  slog.New(slog.DiscardHandler),
		Open: func(context.Context, string) (int, error) { return 0, nil }, Ended: r.w.succeeded,
		Finish: func(ctx context.Context, id string, _ int, o runner.Outcome) error {
			return st.around(func() error {
				err := r.jobs.FinishJob(ctx, id, func(j *bedrock.Job) error {
					if j.Status.Terminal() {
						return nil
					}
					j.Status = bedrock.Completed
					if o.Err != nil {
						j.Status, j.FailureMessage = bedrock.Failed, o.Err.Error()
					}
					return nil
				})
				r.w.mu.Lock()
				r.w.ended = append(r.w.ended, o.Err)
				r.w.mu.Unlock()
				finished <- struct{}{}
				return err
			})
		},
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run.Run(ctx); err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}()
	deadline := time.After(30 * time.Second)
	for waiting := true; waiting; {
		select {
		case <-st.died:
			waiting = false
		case <-finished:
			waiting = false
		case <-time.After(time.Millisecond):
			waiting = enough == nil || !enough(run)
		case <-deadline:
			r.t.Fatalf("the job has not ended; calls %v", r.w.calls)
		}
	}
	cancel()
	<-ended
	return st.passed
}

func (r *rig) job() bedrock.Job {
	r.t.Helper()
	job, err := r.jobs.JobByID(r.t.Context(), jobName)
	if err != nil {
		r.t.Fatal(err)
	}
	return job
}

func (r *rig) log() []runner.Event {
	r.t.Helper()
	logs, err := r.jobs.StepLogs(r.t.Context(), []string{jobName})
	if err != nil {
		r.t.Fatal(err)
	}
	return logs[jobName]
}

// want checks what is left in the world.
func (r *rig) want(status bedrock.Status, kept ...string) {
	r.t.Helper()
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if len(r.w.held) != 0 {
		r.t.Errorf("still held: %v", slices.Sorted(maps.Keys(r.w.held)))
	}
	if diff := cmp.Diff(kept, slices.Sorted(maps.Keys(r.w.kept))); diff != "" {
		r.t.Errorf("kept (-want +got):\n%s", diff)
	}
	if job := r.job(); job.Status != status {
		r.t.Errorf("job %s (%s), want %s", job.Status, job.FailureMessage, status)
	}
}

// crashIn runs a process that dies inside a step.
func (r *rig) crashIn(step string) {
	r.t.Helper()
	died := false
	r.w.inside = func(call string) {
		if call == step {
			r.w.crash()
			r.w.mu.Lock()
			died = true
			r.w.mu.Unlock()
		}
	}
	defer func() { r.w.inside = nil }()
	r.die(&died)
}

// die runs a process until it is dead; from then on its store answers nothing.
func (r *rig) die(died *bool) {
	r.t.Helper()
	st := &mortal{Bedrock: r.jobs, w: r.w}
	r.runs++
	r.w.mu.Lock()
	r.w.dead = false
	r.w.mu.Unlock()
	if err := r.jobs.Recover(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	finished := make(chan struct{}, 16)
	run := runner.New(runner.Config[int]{
		Store: st, Steps: r.w.steps(), Concurrent: 1, MaxAttempts: 3, Owner: fmt.Sprint("process-", r.runs), Now: time.Now,
		Log:  slog.New(slog.DiscardHandler),
		Open: func(context.Context, string) (int, error) { return 0, nil }, Ended: r.w.succeeded,
		Finish: func(ctx context.Context, id string, _ int, o runner.Outcome) error {
			if err := st.alive(); err != nil {
				return err
			}
			finished <- struct{}{}
			return r.jobs.FinishJob(ctx, id, func(j *bedrock.Job) error {
				j.Status, j.FailureMessage = bedrock.Failed, fmt.Sprint(o.Err)
				return nil
			})
		},
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run.Run(ctx)
	}()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		r.w.mu.Lock()
		over := *died
		r.w.mu.Unlock()
		if over || len(finished) > 0 {
			break
		}
		if time.Now().After(deadline) {
			r.t.Fatal("the process neither dies nor finishes its job")
		}
	}
	cancel()
	<-ended
}

// mortal is a store that answers nothing once the process is dead.
type mortal struct {
	*store.Bedrock
	w *world
}

func (m *mortal) alive() error {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if m.w.dead {
		return errDead
	}
	return nil
}

func (m *mortal) Append(ctx context.Context, id, owner string, e runner.Event) error {
	if err := m.alive(); err != nil {
		return err
	}
	return m.Bedrock.Append(ctx, id, owner, e)
}

func (m *mortal) NextAttempt(ctx context.Context, id, owner string) (int, error) {
	if err := m.alive(); err != nil {
		return 0, err
	}
	return m.Bedrock.NextAttempt(ctx, id, owner)
}

func (m *mortal) Park(ctx context.Context, id, owner string) error {
	if err := m.alive(); err != nil {
		return err
	}
	return m.Bedrock.Park(ctx, id, owner)
}
