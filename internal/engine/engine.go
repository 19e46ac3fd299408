// Package engine is the contract with the Python training engine: job specifications go out as one JSON
// file, events come back as NDJSON on descriptor 3, and the exit code says how the run ended. It starts
// no process and touches no file; internal/executor runs what this package describes.
//
// What a reader must know: an event stream comes from a process that customers' data has gone through, so
// the decoder trusts nothing — lines are bounded, members and types are exact, and the text of a failure
// is the engine's own wording, never content of the data.
//
// The Python side is engine/cloister_engine (spec.py, events.py); both test themselves with the files in
// testdata.
package engine

import (
	"strconv"
)

// Version is the number of this contract. The engine refuses a specification of another version.
const Version = 1

// Paths inside the sandbox. Everything below Scratch lives in memory and goes with the sandbox.
const (
	// BasePath is where the base model's directory is mounted, read-only.
	BasePath = "/base"
	// ModelPath is where the weights of a custom model are placed for Evaluate.
	ModelPath = Scratch + "/model"
	// Scratch is the only writable folder beside /dev/shm.
	Scratch = "/scratch"
	// SpecPath is the specification of the running command.
	SpecPath = Scratch + "/spec.json"
	// DataPath holds the staged data: TrainFile and ValidationFile.
	DataPath = Scratch + "/data"
	// OutputPath is where Train leaves the weights and Evaluate its answers.
	OutputPath = Scratch + "/output"
	// TrainFile is the staged training data.
	TrainFile = DataPath + "/train.jsonl"
	// AnswersFile receives the answers of Evaluate.
	AnswersFile = OutputPath + "/answers.jsonl"
)

// EventFD is the descriptor on which the engine speaks.
const EventFD = 3

// ValidationFile is the path of the i-th staged validation file, from 0.
func ValidationFile(i int) string {
	return DataPath + "/validation-" + strconv.Itoa(i) + ".jsonl"
}

// Args is the command line that runs a specification placed at specPath with an environment's interpreter.
func Args(python string, spec Spec, specPath string) []string {
	return []string{python, "-m", "cloister_engine", spec.Command(), specPath}
}

// Env is the whole environment of an engine process: offline, no telemetry, every cache in the scratch.
// source is the folder that contains the package cloister_engine. OMP_WAIT_POLICY matters: with OpenMP's
// default, spinning threads cost three times the CPU when the host has other work (measured on 2 vCPU).
func Env(threads int, source string) []string {
	n := strconv.Itoa(threads)
	return []string{
		"PATH=/usr/bin:/bin",
		"LANG=C.UTF-8",
		"HOME=" + Scratch,
		"TMPDIR=" + Scratch,
		"HF_HOME=" + Scratch,
		"PYTHONPATH=" + source,
		"PYTHONNOUSERSITE=1",
		"PYTHONDONTWRITEBYTECODE=1",
		"HF_HUB_OFFLINE=1",
		"HF_DATASETS_OFFLINE=1",
		"HF_HUB_DISABLE_TELEMETRY=1",
		"HF_HUB_DISABLE_PROGRESS_BARS=1",
		"DO_NOT_TRACK=1",
		"USE_HUB_KERNELS=0",
		"TOKENIZERS_PARALLELISM=false",
		"TRANSFORMERS_VERBOSITY=error",
		"OMP_WAIT_POLICY=PASSIVE",
		"OMP_NUM_THREADS=" + n,
		"MKL_NUM_THREADS=" + n,
	}
}

// StopCommand is the line that asks a running engine to stop at the end of its step.
func StopCommand() []byte { return []byte("{\"cmd\":\"stop\"}\n") }

// Exit codes of the engine.
const (
	ExitCompleted = 0
	ExitInternal  = 1
	ExitData      = 2
	ExitOOM       = 3
	ExitNonFinite = 4
	ExitNoEffect  = 5
	ExitStopped   = 10
	ExitUsage     = 64
)

// Reason classes a failure.
type Reason string

// The reasons of a failed run.
const (
	ReasonData      Reason = "data"       // the customer's data cannot be trained on
	ReasonOOM       Reason = "oom"        // the job does not fit in its memory
	ReasonNonFinite Reason = "non_finite" // a loss or a weight is not a number
	ReasonNoEffect  Reason = "no_effect"  // no trainable tensor changed
	ReasonInternal  Reason = "internal"   // the operator or this program is at fault
)

// ExitCode is the exit status that goes with a failure of this reason.
func (r Reason) ExitCode() int {
	switch r {
	case ReasonData:
		return ExitData
	case ReasonOOM:
		return ExitOOM
	case ReasonNonFinite:
		return ExitNonFinite
	case ReasonNoEffect:
		return ExitNoEffect
	case ReasonInternal:
		return ExitInternal
	default:
		return ExitInternal
	}
}
