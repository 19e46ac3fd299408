package bedrock

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"example.com/cloister/internal/runner"
)

// eventPage is how many entries are read at once.
const eventPage = 500

// Watch hands the entries of a job's event stream after a sequence number to send, in order, and waits for
// more until the job has ended ("done"), ctx ends or send fails. Every idle interval it calls idle, so that
// connections stay open; an error of it ends the watch. Watching is authorized as
// GetModelCustomizationJob. The identifier is a name, an ARN or the 12 characters of the job's id.
func (s *Service) Watch(ctx context.Context, identifier string, after int64, send func(LogEntry) error, interval time.Duration, idle func() error) error {
	job, err := s.findJob(ctx, "GetModelCustomizationJob", identifier)
	if err != nil {
		return err
	}
	news, end := s.bell.listen(job.ID)
	defer end()
	timer := time.NewTicker(interval)
	defer timer.Stop()
	for {
		entries, err := s.Store.Events(ctx, job.ID, after, eventPage)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := send(e); err != nil {
				return err
			}
			after = e.Seq
			if e.Type == "done" {
				return nil
			}
		}
		if len(entries) == eventPage {
			continue
		}
		if len(entries) == 0 {
			if over, err := s.told(ctx, job.ID, after); err != nil || over {
				return err // the job ended before "after": there is nothing to wait for
			}
		}
		select {
		case <-news:
		case <-timer.C:
			if err := idle(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// told reports whether the end of a job was in its event stream up to a sequence number. Its status alone does
// not say so: a model may be registered, and what the job holds not be released yet.
func (s *Service) told(ctx context.Context, id string, until int64) (bool, error) {
	job, err := s.Store.JobByID(ctx, id)
	if err != nil || !job.Status.Terminal() {
		return false, err
	}
	for after := int64(0); ; {
		entries, err := s.Store.Events(ctx, id, after, eventPage)
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if after = e.Seq; e.Type == "done" {
				return e.Seq <= until, nil
			}
		}
		if len(entries) < eventPage {
			return false, nil
		}
	}
}

// View is what Cloister tells of a job beyond AWS's answer.
type View struct {
	JobID     string `json:"jobId"`
	JobARN    string `json:"jobArn"`
	JobName   string `json:"jobName"`
	Status    Status `json:"status"`
	Failure   string `json:"failureMessage,omitempty"`
	BaseModel string `json:"baseModel"`     // as asked for
	UsedBase  string `json:"usedBaseModel"` // the installed model that is trained
	Training  `json:"training"`
	Queue     *int       `json:"queuePosition,omitempty"`
	Attempt   int        `json:"attempt"`
	Created   time.Time  `json:"creationTime"`
	Ended     *time.Time `json:"endTime,omitempty"`
	Record
	Steps []ViewStep `json:"steps"`
	// Last is the engine's latest report of a training step, if any.
	Last json.RawMessage `json:"lastStep,omitempty"`
}

// ViewStep is one line of the step log.
type ViewStep struct {
	Step    string       `json:"step"`
	Phase   runner.Phase `json:"phase"`
	Attempt int          `json:"attempt"`
	At      time.Time    `json:"at"`
}

// Show describes a job as its record has it. It is authorized as GetModelCustomizationJob.
func (s *Service) Show(ctx context.Context, identifier string) (View, error) {
	job, err := s.findJob(ctx, "GetModelCustomizationJob", identifier)
	if err != nil {
		return View{}, err
	}
	logs, err := s.Store.StepLogs(ctx, []string{job.ID})
	if err != nil {
		return View{}, err
	}
	v := View{
		JobID: job.ID, JobARN: job.ARN, JobName: job.Name, Status: job.Status, Failure: job.FailureMessage, BaseModel: job.AskedBase,
		UsedBase: job.UsedBase, Training: job.Training, Attempt: job.Attempt, Created: job.Created, Record: job.Record, Steps: []ViewStep{},
	}
	if job.Queued {
		v.Queue = &job.Position
	}
	if !job.Ended.IsZero() {
		v.Ended = &job.Ended
	}
	for _, e := range logs[job.ID] {
		v.Steps = append(v.Steps, ViewStep{e.Step, e.Phase, e.Attempt, e.At})
	}
	last, err := s.Store.LastProgress(ctx, job.ID, "step")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return View{}, err
	}
	v.Last = last.Data
	preflights, err := s.Store.Progress(ctx, job.ID, "preflight")
	if err != nil {
		return View{}, err
	}
	for _, p := range preflights {
		v.Preflight = append(v.Preflight, p.Data)
	}
	return v, nil
}
