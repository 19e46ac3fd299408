// Package executor is the contract between a customization job and the place where its processes
// run: a sandbox with a scratch of its own, in which processes start one after another. It holds no
// implementation; internal/executor/local is the one for this host, and executortest has the suite
// that every implementation passes and the fake that tests use.
//
// What a reader must know: a sandbox exists before any process of the job does (step mount-scratch), its
// scratch lives in memory only, and nothing of it outlives Destroy or the death of this program.
package executor

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// ErrGone says that what made the sandboxes has ended, and they with it.
var ErrGone = errors.New("the helper that makes sandboxes and networks has ended")

// ErrEnded says that a sandbox has ended before it was destroyed.
var ErrEnded = errors.New("the sandbox has ended")

// Executor makes sandboxes. Implementations are safe for concurrent use.
type Executor interface {
	// Create makes a sandbox in which nothing runs yet. It fails rather than make one whose isolation is
	// weaker than Report says. The context bounds the creation, not the sandbox's life.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	// Report says what isolation the sandboxes of this host really have.
	Report() Report
}

// Spec describes a sandbox.
type Spec struct {
	// ID names the sandbox: lower-case letters, digits and '-', 1 to 40 bytes, unique among those alive.
	ID string
	// Mounts are the host's files that processes see, read-only, beside /usr and what the loader needs.
	Mounts []Mount
	// Network is the id of the network interface that the sandbox is born with; "" is a sandbox without any network. The
	// interface is attached before.
	Network string
	// Limits bound the sandbox as a whole.
	Limits Limits
}

// Mount is a read-only bind of a host path.
type Mount struct {
	// Source is an absolute path on the host; Target is the absolute path inside. Neither may be below /tmp.
	Source, Target string
}

// Limits bound a sandbox. Zero values are refused: an unlimited sandbox is a mistake.
type Limits struct {
	// MemoryBytes bounds process memory and scratch together: tmpfs pages count.
	MemoryBytes int64
	// ScratchBytes and ShmBytes are the sizes of the tmpfs at /scratch and /dev/shm.
	ScratchBytes, ShmBytes int64
	// CPUs is the number of processors, at least 1.
	CPUs int
	// Pids bounds processes and threads.
	Pids int
	// Wall bounds the time of one process.
	Wall time.Duration
}

// Sandbox is one isolated place. Its methods are safe for concurrent use, but one process runs at a time.
type Sandbox interface {
	// Scratch is the host's view of /scratch. What runs inside may plant links there: os.Root does not
	// follow them out. It is closed by Destroy.
	Scratch() *os.Root
	// Run starts p and waits for its end. When ctx ends first, every process of the sandbox is killed and
	// the error is the context's. An Exit with a non-zero code is not an error.
	Run(ctx context.Context, p Process) (Exit, error)
	// Destroy kills what is left, frees the scratch and verifies that both are gone. It is idempotent.
	Destroy(ctx context.Context) error
}

// Process is one program to run in a sandbox.
type Process struct {
	// Argv is the program, an absolute path inside the sandbox, and its arguments.
	Argv []string
	// Env is the whole environment, as KEY=VALUE. Nothing is inherited.
	Env []string
	// Dir is the working directory; empty means /scratch.
	Dir string
	// Stdout and Stderr receive the output; nil discards it.
	Stdout, Stderr io.Writer
	// Control becomes descriptor 3 of the process; nil leaves 3 closed. The caller closes its copy.
	Control *os.File
}

// Exit says how a process ended.
type Exit struct {
	// Code is the exit status, or 128 + the signal's number.
	Code int
	// OverLimit names the limit that ended the process ("memory", "wall", "scratch"), else "".
	OverLimit string
	// CPU is user plus system time of the process and its children; PeakRSSBytes their largest resident set.
	CPU          time.Duration
	PeakRSSBytes int64
	// Wall is the time from start to end.
	Wall time.Duration
}

// Report describes isolation for operators and for the job's record.
type Report struct {
	// Mode is "root" or "rootless".
	Mode string `json:"mode"`
	// Limits says what enforces memory: "cgroup v2", "cgroup v1" or "supervisor".
	Limits string `json:"limits"`
	// Swap says how scratch is kept out of swap: "noswap", "memory.swap.max=0", "swap is off", or
	// "allowed by configuration".
	Swap string `json:"swap"`
	// Unavailable says why this host makes no sandboxes at all; empty if it does. Create then fails.
	Unavailable string `json:"unavailable,omitempty"`
	// NoNetwork says why this host attaches no sandbox to a VPC; empty if it does.
	NoNetwork string `json:"noNetwork,omitempty"`
	// Weaker lists, in sentences, what is weaker here than as root with cgroup v2; empty if nothing is.
	Weaker []string `json:"weaker,omitempty"`
}
