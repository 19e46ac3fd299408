package remedy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// wait looks at a job until it has ended.
func (r *Runner) wait(ctx context.Context, s *Step) error {
	caller, err := r.Clients(s.Account, s.Region)
	if err != nil {
		return err
	}
	parameters, err := fillJSON(s.Parameters, r.value(s))
	if err != nil {
		return err
	}
	r.tell(s, "begin", s.Text)
	began, pause, mistakes := r.Now(), r.poll(), 0
	for {
		answer, err := r.make(ctx, r.reader(caller), s.Call, parameters)
		if err != nil {
			if mistakes++; mistakes == mostMistakes {
				return err
			}
		} else {
			mistakes = 0
			status, _ := answer.Members["status"].(string)
			r.tell(s, "wait", fmt.Sprintf("%s for %s", status, r.Now().Sub(began).Round(time.Second)))
			switch status {
			case "Completed":
				found, err := results(s.Results, answer)
				if err != nil {
					return err
				}
				r.tell(s, "done", "")
				return r.add(Record{Record: recordDone, Step: s.ID, Results: found})
			case "Failed", "Stopped":
				reason, _ := answer.Members["failureMessage"].(string)
				return fmt.Errorf("the new job is %s%s", status, colon(reason))
			}
		}
		if r.Patience > 0 && r.Now().Sub(began) >= r.Patience {
			return fmt.Errorf("the job has not ended after %s; 'remediate resume' goes on waiting", r.Patience)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.New("stopped while waiting; 'remediate resume' goes on")
		}
		pause = min(pause*3/2, 30*r.poll())
	}
}

// mostMistakes is how many looks in a row may fail.
const mostMistakes = 5

func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// holds says whether a condition holds. One that an own call just made true is looked at again for a while: reads may lag.
func (r *Runner) holds(ctx context.Context, caller Caller, c *Condition, s *Step, soon bool) (holds bool, found any, err error) {
	left := cmp.Or(r.Lag, lagTime)
	for pause := r.poll(); ; pause = min(pause*3/2, 10*r.poll()) {
		holds, found, _, err = c.Holds(ctx, r.reader(caller), r.value(s))
		if holds || err != nil || !soon || left <= 0 {
			return holds, found, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, found, nil
		}
		left -= pause
	}
}

// lagTime is how long reads may lag behind writes. AWS names no bound.
const lagTime = 30 * time.Second

// recent says that a step was done so recently that reads may not see it.
func (r *Runner) recent(step string) bool {
	for _, record := range r.Journal.Records {
		if record.Step == step && record.Record == recordDone && r.Now().Sub(record.Time) < 10*cmp.Or(r.Lag, lagTime) {
			return true
		}
	}
	return false
}

// late looks again, until a call whose intent is in the journal can take effect no more, whether it was made.
func (r *Runner) late(ctx context.Context, s *Step) (done bool, err error) {
	most := cmp.Or(r.Settle, settleTime)
	left := most
	for _, record := range r.Journal.Records {
		if record.Step == s.ID && record.Record == recordIntent {
			left = min(most, most-r.Now().Sub(record.Time))
		}
	}
	for pause := r.poll(); ; pause = min(pause*3/2, 10*r.poll()) {
		if done, err = r.settle(ctx, s); done || err != nil || left <= 0 {
			return done, err
		}
		r.tell(s, "wait", "whether it takes effect yet")
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, errors.New("stopped before it was certain that the call takes no effect any more; call it again")
		}
		left -= pause
	}
}

// settleTime is how long after its intent a call may take effect: as long as one may take, and then some.
const settleTime = 3 * time.Minute

func (r *Runner) poll() time.Duration {
	if r.Poll > 0 {
		return r.Poll
	}
	return time.Second
}
