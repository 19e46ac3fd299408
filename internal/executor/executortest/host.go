// Package executortest has what tests need of executors: Host, which runs processes without isolating
// them, a fake engine in Go that speaks the real one's protocol, and the suite that every executor passes.
// Only tests import it.
package executortest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/cloister/internal/executor"
)

// ScratchVariable tells a process of Host where its /scratch really is.
const ScratchVariable = "CLOISTER_TEST_SCRATCH"

// Host is an executor without isolation: a sandbox is a folder. It counts the sandboxes that are alive.
type Host struct {
	dir string

	mu    sync.Mutex // guards alive
	alive map[string]bool
}

// NewHost makes a Host whose scratches are in a temporary folder of the test.
func NewHost(t testing.TB) *Host {
	t.Helper()
	return &Host{dir: t.TempDir(), alive: map[string]bool{}}
}

// NewHostAt makes a Host whose scratches are in dir, which is emptied: a real scratch is memory, and dies
// with its process.
func NewHostAt(dir string) (*Host, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return &Host{dir: dir, alive: map[string]bool{}}, os.MkdirAll(dir, 0o700)
}

var _ executor.Executor = (*Host)(nil)

// Alive returns the number of sandboxes that are not destroyed.
func (h *Host) Alive() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.alive)
}

// Dir is the folder of all scratches.
func (h *Host) Dir() string { return h.dir }

// Create implements executor.Executor.
func (h *Host) Create(_ context.Context, spec executor.Spec) (executor.Sandbox, error) {
	dir := filepath.Join(h.dir, spec.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.alive[spec.ID] = true
	h.mu.Unlock()
	return &hostBox{host: h, id: spec.ID, dir: dir, root: root}, nil
}

// Report implements executor.Executor.
func (h *Host) Report() executor.Report {
	return executor.Report{Mode: "test", Limits: "none", Swap: "not looked at", Weaker: []string{"nothing is isolated: this is a test"}}
}

type hostBox struct {
	host    *Host
	id, dir string
	root    *os.Root
}

func (b *hostBox) Scratch() *os.Root { return b.root }

func (b *hostBox) Run(ctx context.Context, p executor.Process) (executor.Exit, error) {
	cmd := exec.Command(p.Argv[0], p.Argv[1:]...)
	cmd.Env = append(p.Env, ScratchVariable+"="+b.dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, p.Stdout, p.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.Control != nil {
		cmd.ExtraFiles = []*os.File{p.Control}
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return executor.Exit{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })()
	err := cmd.Wait()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return executor.Exit{}, err
	}
	if ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	state := cmd.ProcessState
	exit := executor.Exit{Code: state.ExitCode(), CPU: state.UserTime() + state.SystemTime(), Wall: time.Since(start)}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		exit.Code = 128 + int(ws.Signal())
	}
	return exit, nil
}

func (b *hostBox) Destroy(context.Context) error {
	b.host.mu.Lock()
	delete(b.host.alive, b.id)
	b.host.mu.Unlock()
	return errors.Join(b.root.Close(), os.RemoveAll(b.dir))
}
