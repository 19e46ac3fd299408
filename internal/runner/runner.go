// Package runner executes long jobs that are lists of named steps, durably: every step is logged before
// it begins and after it ends, a crash at any point is resumed or cleaned up, and failure, stop and success
// let go of what was held through the same code. It knows nothing of what the steps do.
//
// What a reader must know: Undo and Release may be called when Do never ran, ran partly, or ran in a
// process that has died; they must be idempotent and find what they clean up without the memory of Do.
//
// The durable log and the derived state follow the saga log of Oxide's Steno.
package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Step is one step of a job. J is what the caller keeps in memory for a run of a job.
type Step[J any] struct {
	// Name is what the log says.
	Name string
	// Do does it. It must end soon after its context does.
	Do func(ctx context.Context, job J) error
	// Undo removes what Do made, for good: the job has failed or was stopped. Nil does nothing.
	Undo func(ctx context.Context, job J) error
	// Release lets go of what the step holds, after success and before another attempt. Nil: what the step
	// made stays after success; before another attempt Undo runs instead.
	Release func(ctx context.Context, job J) error
	// Stopped runs before Undo when the job was stopped and this step had begun. Nil does nothing.
	Stopped func(ctx context.Context, job J) error
	// SkipAfter names the step after whose success this one need not be repeated by a later attempt: itself
	// if what it makes is durable, a later step if this one only feeds that. Empty: always repeated.
	SkipAfter string
}

// Phase is a stage in the life of a step.
type Phase string

// The phases that the log records.
const (
	Started      Phase = "started"
	Succeeded    Phase = "succeeded"
	Failed       Phase = "failed"
	UndoStarted  Phase = "undo-started"
	UndoFinished Phase = "undo-finished"
	UndoFailed   Phase = "undo-failed"
	Released     Phase = "released"
)

// Event is one line of a job's log.
type Event struct {
	Step    string
	Phase   Phase
	Attempt int
	At      time.Time
}

// Claim is a job that this runner may work on until its lease ends.
type Claim struct {
	ID string
	// Attempt counts from 1.
	Attempt int
	// Log is what earlier attempts left.
	Log []Event
	// Parked says that the job has ended and only its clean-up is still to be done.
	Parked bool
}

// ErrLost says that another runner holds the job.
var ErrLost = errors.New("the lease of the job is lost")

// ErrStopped is the cause with which a job's context ends when it was asked to stop.
var ErrStopped = errors.New("the job was stopped")

// ErrInterrupted is the failure of a job that did not survive its attempts.
var ErrInterrupted = errors.New("interrupted")

// Store is the queue and the log. A row is the queue's entry and the job at once.
type Store interface {
	// Claim takes the next job that is due for owner until the given time, or returns ok false. A job is due
	// when it waits, or when the lease of another owner has ended: what an owner holds itself it gives up by
	// Leave only, so that a process that slept does not take its own running jobs for abandoned ones.
	Claim(ctx context.Context, owner string, now, until time.Time) (claim Claim, ok bool, err error)
	// Renew extends a lease, or returns ErrLost.
	Renew(ctx context.Context, id, owner string, until time.Time) error
	// Append adds to the log, or returns ErrLost.
	Append(ctx context.Context, id, owner string, event Event) error
	// NextAttempt raises the attempt, durably.
	NextAttempt(ctx context.Context, id, owner string) (attempt int, err error)
	// Leave gives up a job that is not finished; anybody may claim it from the given time on. It returns
	// ErrLost when the owner does not hold it.
	Leave(ctx context.Context, id, owner string, until time.Time) error
	// Park keeps a job whose clean-up failed, to be claimed again at the next start; Finish does not change that.
	Park(ctx context.Context, id, owner string) error
}

// Outcome is how a job ended.
type Outcome struct {
	// Err is nil for success, ErrStopped (by errors.Is) for a stop, else the failure.
	Err error
}

// Config is what a Runner needs. All fields are required unless they say otherwise.
type Config[J any] struct {
	Store Store
	Steps []Step[J]
	// Open prepares the memory of a run; the job's row is there.
	Open func(ctx context.Context, id string) (J, error)
	// Ended reports whether a step has made the job's success durable: then nothing is undone any more,
	// whatever fails.
	Ended func(J) bool
	// Finish makes the outcome durable and takes the job out of the queue, unless it is parked. It is
	// idempotent: a job that has ended keeps its first outcome.
	Finish func(ctx context.Context, id string, job J, outcome Outcome) error
	// Owner names this process, uniquely.
	Owner string
	// Concurrent is the number of jobs at once, at least 1.
	Concurrent int
	// MaxAttempts is how often a job is begun from its first step, at least 1.
	MaxAttempts int
	Log         *slog.Logger
	Now         func() time.Time
}

// The lease is renewed three times before it ends; the queue is looked at every poll, and at once after Wake.
const (
	lease     = 60 * time.Second
	heartbeat = 20 * time.Second
	poll      = 5 * time.Second
	// cleanup bounds the clean-up of one step; a stuck clean-up parks the job.
	cleanup = 2 * time.Minute
	// undoTries is how often a failing undo is tried before the job is parked.
	undoTries = 3
	// maxClaims bounds how often one job is claimed at all, also after its artifact is sealed, so that a
	// job that kills the server does not do so for ever.
	maxClaims = 10
)

// Runner claims and runs jobs.
type Runner[J any] struct {
	c    Config[J]
	wake chan struct{}

	mu      sync.Mutex // guards running
	running map[string]context.CancelCauseFunc
}

// New makes a Runner.
func New[J any](c Config[J]) *Runner[J] {
	return &Runner[J]{c: c, wake: make(chan struct{}, 1), running: map[string]context.CancelCauseFunc{}}
}

// Wake makes the runner look at the queue now.
func (r *Runner[J]) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stop ends a job that runs in this process; its context's cause is then ErrStopped. It reports whether
// the job runs here.
func (r *Runner[J]) Stop(id string) bool {
	r.mu.Lock()
	cancel, ok := r.running[id]
	r.mu.Unlock()
	if ok {
		cancel(ErrStopped)
	}
	return ok
}

// Run works until ctx ends, then gives the running jobs no further time: they are taken up at the next
// start. It returns after every job's goroutine has ended.
func (r *Runner[J]) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, r.c.Concurrent)
	timer := time.NewTicker(poll)
	defer timer.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		claim, ok, err := r.c.Store.Claim(ctx, r.c.Owner, r.c.Now(), r.c.Now().Add(lease))
		if err != nil && ctx.Err() == nil {
			r.c.Log.ErrorContext(ctx, "cannot claim a job", slog.Any("error", err))
		}
		if err == nil && ok {
			wg.Go(func() {
				defer func() { <-slots; r.Wake() }()
				r.work(ctx, claim)
			})
			continue
		}
		<-slots
		select {
		case <-r.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// work runs one claimed job with its heartbeat.
func (r *Runner[J]) work(process context.Context, claim Claim) {
	ctx, cancel := context.WithCancelCause(process)
	defer cancel(nil)
	r.mu.Lock()
	r.running[claim.ID] = cancel
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.running, claim.ID)
		r.mu.Unlock()
	}()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.beat(ctx, claim.ID, done, cancel) })
	err := r.run(ctx, claim)
	close(done)
	wg.Wait()
	if err != nil {
		r.c.Log.ErrorContext(ctx, "job left for another attempt", slog.String("job", claim.ID), slog.Any("error", err))
		r.leave(process, claim.ID)
	}
}

// leave gives a job up, trying until the store takes it or the process ends.
func (r *Runner[J]) leave(ctx context.Context, id string) {
	for ctx.Err() == nil {
		err := r.c.Store.Leave(ctx, id, r.c.Owner, r.c.Now().Add(lease))
		if err == nil || errors.Is(err, ErrLost) {
			return
		}
		r.c.Log.ErrorContext(ctx, "cannot leave a job", slog.String("job", id), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(poll):
		}
	}
}

func (r *Runner[J]) beat(ctx context.Context, id string, done <-chan struct{}, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			err := r.c.Store.Renew(context.WithoutCancel(ctx), id, r.c.Owner, r.c.Now().Add(lease))
			if errors.Is(err, ErrLost) {
				cancel(ErrLost)
				return
			}
		}
	}
}

// run is the life of a claimed job. An error means that the job is not finished: the process is ending,
// or the store fails; a later claim goes on from the log.
func (r *Runner[J]) run(ctx context.Context, claim Claim) error {
	// A stop that comes just now must not fail this: the job would be left until its lease ends.
	job, err := r.c.Open(context.WithoutCancel(ctx), claim.ID)
	if err != nil {
		return fmt.Errorf("open job: %w", err)
	}
	x := &execution[J]{r: r, claim: claim, job: job, done: succeeded(claim.Log)}
	switch {
	case claim.Parked:
		return x.fail(context.WithoutCancel(ctx), ErrInterrupted)
	case r.c.Ended(job): // and the process died before it could say so
		return x.succeed(context.WithoutCancel(ctx))
	}
	failure := x.recover(ctx)
	if failure == nil {
		failure = x.forward(ctx)
	}
	cause := context.Cause(ctx)
	switch {
	case failure == nil || r.c.Ended(job):
		return x.succeed(context.WithoutCancel(ctx))
	case errors.Is(cause, ErrStopped) || errors.Is(failure, ErrStopped):
		return x.fail(context.WithoutCancel(ctx), ErrStopped)
	case errors.Is(failure, ErrLost) || ctx.Err() != nil: // not ours any more, or the process is ending
		return errors.Join(failure, x.letGo(context.WithoutCancel(ctx)))
	}
	return x.fail(context.WithoutCancel(ctx), failure)
}

// execution is one attempt at one job.
type execution[J any] struct {
	r     *Runner[J]
	claim Claim
	job   J
	done  map[string]bool // steps that have succeeded and, if durable, need not be repeated
	begun []int           // steps of this process's attempt, in order
}

// recover cleans up what an interrupted attempt left. Nothing is left to do on a first attempt.
func (x *execution[J]) recover(ctx context.Context) error {
	steps := x.r.c.Steps
	last := ""
	for _, e := range x.claim.Log {
		last = e.Step
	}
	if last == "" {
		return nil
	}
	if claims(x.claim.Log) >= maxClaims {
		return ErrInterrupted
	}
	sealed := false // is anything kept?
	for _, s := range steps {
		sealed = sealed || s.SkipAfter == s.Name && x.done[s.Name]
	}
	for _, s := range slices.Backward(steps) {
		if !x.beganBefore(s.Name) || x.kept(s) {
			continue
		}
		if err := x.clean(ctx, s, x.retreat(s)); err != nil {
			return fmt.Errorf("clean up after an interruption: step %s: %w", s.Name, err)
		}
	}
	if sealed {
		return nil
	}
	x.done = map[string]bool{}
	if x.claim.Attempt >= x.r.c.MaxAttempts {
		return ErrInterrupted
	}
	attempt, err := x.r.c.Store.NextAttempt(ctx, x.claim.ID, x.r.c.Owner)
	x.claim.Attempt = attempt
	return err
}

// kept reports whether a step's result survives into this attempt.
func (x *execution[J]) kept(s Step[J]) bool { return s.SkipAfter == s.Name && x.done[s.Name] }

// retreat is what lets go of a step before another attempt.
func (x *execution[J]) retreat(s Step[J]) func(context.Context, J) error {
	if s.Release != nil {
		return s.Release
	}
	return s.Undo
}

func (x *execution[J]) beganBefore(step string) bool {
	return slices.ContainsFunc(x.claim.Log, func(e Event) bool { return e.Step == step && e.Phase == Started })
}

// forward does the steps that are still to do.
func (x *execution[J]) forward(ctx context.Context) error {
	for i, s := range x.r.c.Steps {
		if s.SkipAfter != "" && x.done[s.SkipAfter] {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		x.begun = append(x.begun, i)
		if err := x.log(ctx, s.Name, Started); err != nil {
			return err
		}
		if err := s.Do(ctx, x.job); err != nil {
			if ctx.Err() == nil {
				err = errors.Join(err, x.log(ctx, s.Name, Failed))
			}
			return err
		}
		if err := x.log(context.WithoutCancel(ctx), s.Name, Succeeded); err != nil {
			return err
		}
	}
	return nil
}

// succeed releases what is held, backwards, and finishes the job. What cannot be released ends with the
// process.
func (x *execution[J]) succeed(ctx context.Context) error {
	for _, i := range slices.Backward(x.begun) {
		s := x.r.c.Steps[i]
		if s.Release == nil {
			continue
		}
		err := x.insist(ctx, s.Release)
		if err == nil {
			err = x.log(ctx, s.Name, Released)
		}
		if err != nil {
			x.r.c.Log.ErrorContext(ctx, "could not release what a step holds",
				slog.String("job", x.claim.ID), slog.String("step", s.Name), slog.Any("error", err))
		}
	}
	return x.r.c.Finish(ctx, x.claim.ID, x.job, Outcome{})
}

// fail undoes every step that any attempt began, backwards, and finishes the job.
func (x *execution[J]) fail(ctx context.Context, failure error) error {
	stopped := errors.Is(failure, ErrStopped)
	parked := false
	for i, s := range slices.Backward(x.r.c.Steps) {
		if !slices.Contains(x.begun, i) && !x.beganBefore(s.Name) {
			continue
		}
		if stopped && s.Stopped != nil {
			if err := x.bounded(ctx, s.Stopped); err != nil {
				x.r.c.Log.WarnContext(ctx, "could not keep what a stopped step had made",
					slog.String("job", x.claim.ID), slog.String("step", s.Name), slog.Any("error", err))
			}
		}
		if err := x.clean(ctx, s, s.Undo); err != nil {
			parked = true
			x.r.c.Log.ErrorContext(ctx, "clean-up failed; it is tried again at the next start",
				slog.String("job", x.claim.ID), slog.String("step", s.Name), slog.Any("error", err))
		}
	}
	if parked { // before the end, so that a crash in between does not forget what is left to do
		if err := x.r.c.Store.Park(ctx, x.claim.ID, x.r.c.Owner); err != nil {
			return err
		}
	}
	return x.r.c.Finish(ctx, x.claim.ID, x.job, Outcome{Err: failure})
}

// letGo releases what this process holds in memory when it is about to end; the log stays as it is, so
// that the next process treats the attempt as interrupted.
func (x *execution[J]) letGo(ctx context.Context) error {
	var failures []error
	for _, i := range slices.Backward(x.begun) {
		if release := x.r.c.Steps[i].Release; release != nil {
			failures = append(failures, x.bounded(ctx, release))
		}
	}
	return errors.Join(failures...)
}

// clean runs an undo, logged, and tries again when it fails.
func (x *execution[J]) clean(ctx context.Context, s Step[J], undo func(context.Context, J) error) error {
	// A log that cannot be written (a full disk) must not keep what the step holds: data, memory, a sandbox.
	logged := x.log(ctx, s.Name, UndoStarted)
	if undo != nil {
		if err := x.insist(ctx, undo); err != nil {
			return errors.Join(err, logged, x.log(ctx, s.Name, UndoFailed))
		}
	}
	return errors.Join(logged, x.log(ctx, s.Name, UndoFinished))
}

// insist tries a clean-up until it succeeds, at most undoTries times.
func (x *execution[J]) insist(ctx context.Context, f func(context.Context, J) error) error {
	var err error
	for range undoTries {
		if err = x.bounded(ctx, f); err == nil {
			return nil
		}
	}
	return err
}

func (x *execution[J]) bounded(ctx context.Context, f func(context.Context, J) error) error {
	ctx, cancel := context.WithTimeout(ctx, cleanup)
	defer cancel()
	return f(ctx, x.job)
}

func (x *execution[J]) log(ctx context.Context, step string, phase Phase) error {
	err := x.r.c.Store.Append(ctx, x.claim.ID, x.r.c.Owner, Event{Step: step, Phase: phase, Attempt: x.claim.Attempt, At: x.r.c.Now()})
	if err != nil {
		return fmt.Errorf("log %s %s: %w", step, phase, err)
	}
	return nil
}

// succeeded returns the steps that have succeeded and were not undone since.
func succeeded(log []Event) map[string]bool {
	done := map[string]bool{}
	for _, e := range log {
		switch e.Phase {
		case Succeeded:
			done[e.Step] = true
		case UndoStarted:
			delete(done, e.Step)
		case Started, Failed, UndoFinished, UndoFailed, Released:
		}
	}
	return done
}

// claims counts how often the log begins anew.
func claims(log []Event) int {
	n := 0
	for i, e := range log {
		if e.Phase == Started && (i == 0 || log[i-1].Phase != Succeeded) {
			n++
		}
	}
	return n
}
