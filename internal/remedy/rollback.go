package remedy

import (
	"context"
	"errors"
	"fmt"
)

// Rollback takes back what was done of a plan, last step first. deleteCreated also deletes what the plan made.
//
// It can be stopped and called again. What cannot be taken back is said in the plan's changes (Lasting).
func (r *Runner) Rollback(ctx context.Context, deleteCreated bool) error {
	if err := r.mine(); err != nil {
		return err
	}
	r.why = nil
	if err := r.settleOpen(ctx); err != nil {
		return err
	}
	if !RollbackBegun(r.Journal.Records) {
		if err := r.add(Record{Record: recordRollback}); err != nil {
			return &StoppedError{[]string{err.Error()}}
		}
	}
	for i := len(r.Plan.Steps) - 1; i >= 0; i-- {
		s := &r.Plan.Steps[i]
		state := StateOf(r.Journal.Records, s.ID)
		if !state.Done {
			continue
		}
		if s.Call == createJob { // its undos go by the journal's results
			if err := r.same(ctx, s, state); err != nil {
				r.why = append(r.why, err.Error())
				r.tell(s, "failed", err.Error())
				continue
			}
		}
		for n := range s.Undo {
			if err := ctx.Err(); err != nil {
				r.why = append(r.why, "stopped before step "+s.ID+" was taken back")
				return &StoppedError{r.why}
			}
			if err := r.undo(ctx, s, n, deleteCreated); err != nil {
				if journal, ok := errors.AsType[*journalError](err); ok {
					return &StoppedError{append(r.why, journal.Error())}
				}
				r.why = append(r.why, fmt.Sprintf("step %s: %s: %v", s.ID, s.Undo[n].Text, err))
				r.tell(s, "failed", err.Error())
			}
		}
	}
	if len(r.why) > 0 {
		return &StoppedError{r.why}
	}
	if err := r.add(Record{Record: recordRolledBack}); err != nil {
		return &StoppedError{[]string{err.Error()}}
	}
	return nil
}

// settleOpen finds out what became of what was being done when the plan was stopped.
func (r *Runner) settleOpen(ctx context.Context) error {
	for i := range r.Plan.Steps {
		s := &r.Plan.Steps[i]
		if s.Kind != KindCall || !StateOf(r.Journal.Records, s.ID).Open {
			continue
		}
		done, err := r.late(ctx, s)
		if _, taken := errors.AsType[*DriftError](err); taken { // what stands there is not the plan's: there is nothing to take back
			err = nil
		}
		if err == nil && !done {
			err = r.add(Record{Record: recordFailed, Step: s.ID, Message: "it was not done, as a read shows"})
		}
		if err != nil {
			return &StoppedError{[]string{fmt.Sprintf("step %s: %v", s.ID, err)}}
		}
	}
	return nil
}

func (r *Runner) undo(ctx context.Context, s *Step, n int, deleteCreated bool) error {
	u := &s.Undo[n]
	if undone(r.Journal.Records, s.ID, n+1) {
		return nil
	}
	if u.Created && !deleteCreated {
		r.tell(s, "kept", u.Text+": left out without --delete-created")
		return nil
	}
	caller, err := r.Clients(s.Account, s.Region)
	if err != nil {
		return err
	}
	if u.When != nil {
		reader, err := r.Clients(s.Account, u.When.Region)
		if err != nil {
			return err
		}
		holds, _, err := r.holds(ctx, reader, u.When, s, r.recent(s.ID) && !u.Only)
		if err != nil {
			return err
		}
		if !holds && u.Only && r.unchanged(ctx, s, false) == nil { // it is as it was before the step: the answer of an undo was lost
			r.tell(s, "kept", u.Text+": it is taken back already")
			return r.add(Record{Record: recordNotNeeded, Step: s.ID, Undo: n + 1})
		}
		if !holds && u.Only {
			return fmt.Errorf("%s: it is no longer as the plan left it: nothing was changed, take it back by hand", u.When.Text)
		}
		if !holds {
			r.tell(s, "kept", u.Text+": there is nothing to take back")
			return r.add(Record{Record: recordNotNeeded, Step: s.ID, Undo: n + 1})
		}
	}
	parameters, err := fillJSON(u.Parameters, r.value(s))
	if err != nil {
		return err
	}
	if err := r.add(Record{Record: recordUndoIntent, Step: s.ID, Undo: n + 1, Call: u.Call, Parameters: parameters}); err != nil {
		return err
	}
	r.seam("before", u.Call)
	answer, err := r.make(ctx, caller, u.Call, parameters)
	r.seam("after", u.Call)
	if err != nil {
		return errors.Join(err, r.add(Record{Record: recordUndoFailed, Step: s.ID, Undo: n + 1, Code: code(err), Message: err.Error()}))
	}
	r.tell(s, "undone", u.Text)
	return r.add(Record{Record: recordUndone, Step: s.ID, Undo: n + 1, RequestID: answer.RequestID})
}

// undone says that an undo was made, or had nothing to take back.
func undone(records []Record, step string, n int) bool {
	for _, r := range records {
		if r.Step == step && r.Undo == n && (r.Record == recordUndone || r.Record == recordNotNeeded) {
			return true
		}
	}
	return false
}
