package remedy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// applied is the sample plan, made.
func applied(t *testing.T) *rig {
	t.Helper()
	r := start(t, sample(), newCloud())
	if err := r.Apply(t.Context(), r.whole()); err != nil {
		t.Fatal(err)
	}
	r.cloud.writes = nil
	return r.next(t)
}

// wantBack fails unless the cloud is as a rollback leaves it.
func wantBack(t *testing.T, what string, c *cloud, deleted bool) {
	t.Helper()
	if c.rotate[theirs] || c.tags[oldJob]["cloister:superseded-by"] != "" || c.tags[oldJob]["owner"] != "a" {
		t.Errorf("%s: the key rotates: %t, the old job's tags are %v", what, c.rotate[theirs], c.tags[oldJob])
	}
	if _, is := c.models["support-r1"]; is == deleted {
		t.Errorf("%s: the model is there: %t", what, is)
	}
}

// TestRollback: last step first; what a step's condition says is not there is not taken back; what the plan made is deleted
// only where that is asked for; and all of it can be called again.
func TestRollback(t *testing.T) {
	t.Parallel()
	for _, deleted := range []bool{false, true} {
		r := applied(t)
		if err := r.Rollback(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
		want := []string{"bedrock:UntagResource", "kms:DisableKeyRotation"}
		records := []string{"rollback", "undo-intent 1.4/1", "undone 1.4/1", "undo-intent 2.1/1", "undone 2.1/1", "nothing-to-undo 1.1/1", "rolled-back"}
		events := []string{"1.4 undone", "2.1 undone", "1.1 kept", "1.1 kept"}
		if deleted {
			want = append(want, "bedrock:DeleteCustomModel")
			records = slices.Insert(records, 6, "undo-intent 1.1/2", "undone 1.1/2")
			events[3] = "1.1 undone"
		}
		if !slices.Equal(r.cloud.writes, want) {
			t.Errorf("writes %v, want %v", r.cloud.writes, want)
		}
		if diff := cmp.Diff(records, r.records(t)[9:]); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(events, r.events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		wantBack(t, "rollback", r.cloud, deleted)
		if err := r.next(t).Resume(t.Context()); err == nil || err.Error() != "the plan was rolled back; make a new one" {
			t.Errorf("Resume = %v", err)
		}
		if n := r.next(t); n.Apply(t.Context(), n.whole()) == nil {
			t.Error("it can be applied again")
		}
		if err := r.next(t).Rollback(t.Context(), true); err != nil {
			t.Errorf("again: %v", err)
		}
		wantBack(t, "again", r.cloud, true)
		if n := len(r.cloud.writes); n != 3 {
			t.Errorf("in all %v", r.cloud.writes)
		}
	}
}

// TestRollbackOfAPart: what was not done is not taken back; a job that runs is stopped, and has made no model.
func TestRollbackOfAPart(t *testing.T) {
	t.Parallel()
	r := start(t, sample(), newCloud())
	r.cloud.polls = 1000
	ctx, cancel := context.WithCancel(t.Context())
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == getJob {
			cancel()
		}
		return nil, false
	}
	if err := r.Apply(ctx, r.whole()); err == nil {
		t.Fatal("no error")
	}
	r.cloud.on, r.cloud.writes = nil, nil
	n := r.next(t)
	if err := n.Rollback(t.Context(), true); err != nil {
		t.Error(err)
	}
	if want := []string{"kms:DisableKeyRotation", "bedrock:StopModelCustomizationJob"}; !slices.Equal(r.cloud.writes, want) {
		t.Errorf("writes %v, want %v", r.cloud.writes, want)
	}
	if diff := cmp.Diff("nothing-to-undo 1.1/2", n.records(t)[len(n.records(t))-2]); diff != "" {
		t.Error(diff)
	}
	if s := r.cloud.jobs["support-r1"].status; s != "Stopping" {
		t.Errorf("the job is %s", s)
	}
}

// TestRollbackOfAnotherModel: a model with the new one's name that another job made is not deleted.
func TestRollbackOfAnotherModel(t *testing.T) {
	t.Parallel()
	r := applied(t)
	r.cloud.models["support-r1"] = oldJob
	if err := r.Rollback(t.Context(), true); err != nil {
		t.Error(err)
	}
	if r.cloud.models["support-r1"] != oldJob {
		t.Error("the model of another job was deleted")
	}
}

// TestRollbackGoesOn: what cannot be taken back is said, the rest is taken back, and the next rollback tries again.
func TestRollbackGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call string
		err  error
		want string
	}{
		"refused":     {"bedrock:UntagResource", apiError("AccessDeniedException", 403), "step 1.4: take the successor's name off job support: "},
		"lost":        {"kms:DisableKeyRotation", io.ErrUnexpectedEOF, "step 2.1: let the key rotate no more: "},
		"unreadable":  {"kms:GetKeyRotationStatus", apiError("AccessDeniedException", 403), "step 2.1: let the key rotate no more: "},
		"first":       {"bedrock:DeleteCustomModel", apiError("ConflictException", 400), "step 1.1: delete model support-r1: "},
		"whole class": {getJob, io.ErrUnexpectedEOF, "step 1.1: whether it is as the journal says: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := applied(t)
			r.cloud.on = func(_ int, call string) (error, bool) {
				if call == c.call {
					return c.err, false
				}
				return nil, false
			}
			err := r.Rollback(t.Context(), true)
			stopped, ok := errors.AsType[*StoppedError](err)
			if !ok || len(stopped.Why) != 1 || !strings.HasPrefix(stopped.Why[0], c.want) {
				t.Errorf("Rollback = %v, want %s", err, c.want)
			}
			if slices.Contains(r.records(t), "rolled-back") {
				t.Error("it says that it is rolled back")
			}
			r.cloud.on = nil
			if err := r.next(t).Rollback(t.Context(), true); err != nil {
				t.Errorf("again: %v", err)
			}
			wantBack(t, name, r.cloud, true)
			if n := len(r.cloud.writes); n != 3 {
				t.Errorf("in all %v", r.cloud.writes)
			}
		})
	}
}

// TestRollbackOnce: what was taken back is not taken back again, also where no condition would say so.
func TestRollbackOnce(t *testing.T) {
	t.Parallel()
	p := sample()
	p.Steps[1].Undo[0].When = nil
	r := start(t, p, newCloud())
	if err := r.Apply(t.Context(), r.whole()); err != nil {
		t.Fatal(err)
	}
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == "bedrock:UntagResource" {
			return apiError("AccessDeniedException", 403), false
		}
		return nil, false
	}
	for range 2 {
		if err := r.next(t).Rollback(t.Context(), false); err == nil {
			t.Error("no error")
		}
	}
	r.cloud.on = nil
	if err := r.next(t).Rollback(t.Context(), false); err != nil {
		t.Error(err)
	}
	if want := append(writes(), "kms:DisableKeyRotation", "bedrock:UntagResource"); !slices.Equal(r.cloud.writes, want) {
		t.Errorf("writes %v, want %v", r.cloud.writes, want)
	}
}

// TestRollbackSettles: what the plan was doing when it was stopped is looked for first, and taken back if it was done.
func TestRollbackSettles(t *testing.T) {
	t.Parallel()
	for step, call := range map[string]string{"1.1": createJob, "2.1": "kms:EnableKeyRotation", "1.4": "bedrock:TagResource"} {
		for _, done := range []bool{true, false} {
			what := fmt.Sprintf("%s, done: %t", call, done)
			r := start(t, sample(), newCloud())
			after := false // the answer is lost, and no read is possible either
			r.cloud.on = func(_ int, made string) (error, bool) {
				if after {
					return io.ErrUnexpectedEOF, false
				}
				after = made == call
				if after {
					return io.ErrUnexpectedEOF, done
				}
				return nil, false
			}
			if err := r.Apply(t.Context(), r.whole()); err == nil || !strings.Contains(err.Error(), "whether it was done is not known") {
				t.Errorf("%s: Apply = %v", what, err)
			}
			if err := r.next(t).Rollback(t.Context(), true); err == nil || slices.Contains(r.records(t), "rollback") {
				t.Errorf("%s: without a read: %v, %v", what, err, r.records(t))
			}
			r.cloud.on = nil
			n := r.next(t)
			if err := n.Rollback(t.Context(), true); err != nil {
				t.Errorf("%s: Rollback = %v", what, err)
			}
			wantBack(t, what, r.cloud, true)
			verdict := map[bool]string{true: "done " + step + " settled", false: "failed " + step}[done]
			if !slices.Contains(n.records(t), verdict) {
				t.Errorf("%s: records %v", what, n.records(t))
			}
		}
	}
}

// TestRollbackKilledAtEveryCall: the rollback's process ends before or after any call: the next one ends what it began, and
// takes nothing back twice.
func TestRollbackKilledAtEveryCall(t *testing.T) {
	t.Parallel()
	n := 1
	for ; ; n++ {
		r := applied(t)
		dead, err := r.killAt(n, func() error { return r.Rollback(t.Context(), true) })
		if !dead {
			if err != nil {
				t.Errorf("without a kill: %v", err)
			}
			break
		}
		next := r.next(t)
		if err := next.Rollback(t.Context(), true); err != nil {
			t.Errorf("killed at %d: %v", n, err)
		}
		wantBack(t, fmt.Sprintf("killed at %d", n), r.cloud, true)
		if writes := len(r.cloud.writes); writes != 3 {
			t.Errorf("killed at %d: %v", n, r.cloud.writes)
		}
		_ = next.Journal.Close() // many would be open otherwise
	}
	if n < 15 {
		t.Errorf("only %d seams", n-1)
	}
}

// TestRollbackStops: Ctrl-C stops between two undos; a journal that cannot be written stops at once.
func TestRollbackStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := applied(t)
	r.cloud.on = func(_ int, call string) (error, bool) {
		if call == "bedrock:UntagResource" {
			cancel()
		}
		return nil, false
	}
	err := r.Rollback(ctx, true)
	if stopped, ok := errors.AsType[*StoppedError](err); !ok || !slices.Equal(stopped.Why, []string{"stopped before step 2.1 was taken back"}) {
		t.Errorf("Rollback = %v", err)
	}
	if err := r.next(t).Rollback(t.Context(), true); err != nil {
		t.Error(err)
	}
	wantBack(t, "Ctrl-C", r.cloud, true)

	for n := 1; ; n++ {
		r := applied(t)
		seen := 0
		r.Seam = func(string) {
			if seen++; seen == n {
				_ = r.Journal.file.Close()
				r.cloud.writes = nil
			}
		}
		err := r.Rollback(t.Context(), true)
		if seen < n {
			break
		}
		if _, ok := errors.AsType[*StoppedError](err); !ok || !strings.Contains(err.Error(), "journal: ") || len(r.cloud.writes) > 1 {
			t.Errorf("at seam %d: %v, then %v", n, err, r.cloud.writes)
		}
		_ = r.Journal.lock.Unlock() // as the end of the process does
		next := r.next(t)
		if err := next.Rollback(t.Context(), true); err != nil {
			t.Errorf("at seam %d: then %v", n, err)
		}
		wantBack(t, fmt.Sprintf("at seam %d", n), r.cloud, true)
		_ = next.Journal.Close() // as above
	}
}
