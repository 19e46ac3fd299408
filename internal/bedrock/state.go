package bedrock

import (
	"fmt"
	"slices"

	"example.com/cloister/internal/runner"
)

// Status is the status of a customization job. Source: Bedrock API Reference, GetModelCustomizationJob.
type Status string

// The five statuses. A queued job is InProgress: AWS has no other word for it.
const (
	InProgress Status = "InProgress"
	Completed  Status = "Completed"
	Failed     Status = "Failed"
	Stopping   Status = "Stopping"
	Stopped    Status = "Stopped"
)

// moves has the legal changes of status; docs/states.md draws them, and a test compares the two.
// Stopping → Completed: the model may have been registered before the stop took effect. Stopping →
// Failed: the failure came first.
func moves() map[Status][]Status {
	return map[Status][]Status{
		InProgress: {Completed, Failed, Stopping},
		Stopping:   {Stopped, Failed, Completed},
		Completed:  nil,
		Failed:     nil,
		Stopped:    nil,
	}
}

// Terminal reports whether a job with this status has ended.
func (s Status) Terminal() bool { return len(moves()[s]) == 0 }

// move returns the new status, or an error that names both.
func (s Status) move(to Status) (Status, error) {
	if slices.Contains(moves()[s], to) {
		return to, nil
	}
	return s, fmt.Errorf("a job that is %s cannot become %s", s, to)
}

// SubTask is one of the three parts of a job that statusDetails reports.
type SubTask string

// The sub-tasks, in their order. Source: Bedrock User Guide, "Monitor your model customization job".
const (
	TaskValidation     SubTask = "validation"
	TaskDataProcessing SubTask = "dataProcessing"
	TaskTraining       SubTask = "training"
)

// subTaskOf says under which sub-task a step reports.
func subTaskOf(step string) SubTask {
	switch step {
	case stepAssumeRole, stepUseKey, stepAttachNetwork, stepMountScratch:
		return TaskValidation
	case stepStageData:
		return TaskDataProcessing
	default:
		return TaskTraining
	}
}

// Detail is the state of a sub-task, derived from the step log and never stored.
type Detail struct {
	Status            string // NotStarted, InProgress, Completed, Stopping, Stopped, Failed
	Created, Modified int64  // Unix milliseconds; 0 while NotStarted
}

// details derives the three sub-tasks from a job's status and its step log.
func details(status Status, log []runner.Event) map[SubTask]Detail {
	out := map[SubTask]Detail{}
	last := map[SubTask]string{TaskValidation: stepMountScratch, TaskDataProcessing: stepStageData, TaskTraining: stepRegisterModel}
	for _, task := range []SubTask{TaskValidation, TaskDataProcessing, TaskTraining} {
		d := Detail{Status: "NotStarted"}
		completedIn := 0 // a job that goes on after its artifact was sealed keeps its attempt
		for _, e := range log {
			if subTaskOf(e.Step) != task {
				continue
			}
			if d.Status == "Completed" && e.Attempt <= completedIn && e.Phase != runner.Failed {
				continue
			}
			at := e.At.UnixMilli()
			switch e.Phase {
			case runner.Started:
				if d.Created == 0 {
					d.Created = at
				}
				d.Status, d.Modified = "InProgress", at
			case runner.Succeeded:
				if e.Step == last[task] {
					d.Status, completedIn = "Completed", e.Attempt
				}
				d.Modified = at
			case runner.Failed:
				d.Status, d.Modified = "Failed", at
			case runner.UndoStarted, runner.UndoFinished, runner.UndoFailed, runner.Released:
			}
		}
		if d.Status == "InProgress" {
			switch status {
			case Stopping, Stopped, Failed, Completed:
				d.Status = string(status)
			case InProgress:
			}
		}
		out[task] = d
	}
	return out
}
