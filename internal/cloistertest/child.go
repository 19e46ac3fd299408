package cloistertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/cloister/internal/basemodel"
	bedrockservice "example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/runner"
	"example.com/cloister/internal/server"
)

// childVariable makes a test binary whose TestMain calls Processes a server; its value is a ChildSpec.
const childVariable = "CLOISTER_TEST_SERVER"

// ChildSpec is what a server in a process of its own does.
type ChildSpec struct {
	// Data is the data directory, Models a folder that BasesAt made, Scratch the folder of the executor.
	Data, Models, Scratch string
	// KillAt is the seam, counted from 1, at which the process kills itself; 0 is none. Seams lie before and
	// after every write to a job's log and every change that begins or ends something.
	KillAt int
	// KillIn is a step at whose beginning the process kills itself, once it is logged.
	KillIn string
	// KillOn is a status of a job at which the process kills itself, once it is stored.
	KillOn bedrockservice.Status
	// Count is a file for the number of seams that were passed; then the process ends with its job.
	Count string
}

// Processes runs the process that this one was started as, if any, and never returns then: the fake engine,
// or a server.
func Processes() {
	executortest.FakeEngine()
	text := os.Getenv(childVariable)
	if text == "" {
		return
	}
	var spec ChildSpec
	err := json.Unmarshal([]byte(text), &spec)
	if err == nil {
		err = spec.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (spec ChildSpec) serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	host, err := executortest.NewHostAt(spec.Scratch)
	if err != nil {
		return err
	}
	bases, err := basemodel.Open(spec.Models)
	if err != nil {
		return err
	}
	config := server.Default()
	config.Listen, config.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	seams := &counter{killAt: int64(spec.KillAt)}
	if spec.Count != "" {
		seams.finished = stop
	}
	running, err := server.Open(ctx, server.Options{
		Data: spec.Data, Config: config, Bases: bases, Engine: FakeEngine{}, Executor: host, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Seams: server.Seams{Store: func(s bedrockservice.Store) bedrockservice.Store {
			return &seamStore{s, seams, spec}
		}},
	})
	if err != nil {
		return err
	}
	if err := errors.Join(running.Run(ctx), running.Close()); err != nil {
		return err
	}
	if spec.Count != "" {
		return os.WriteFile(spec.Count, []byte(strconv.FormatInt(seams.passed.Load(), 10)), 0o600)
	}
	return nil
}

// counter counts seams and kills the process at one.
type counter struct {
	passed   atomic.Int64
	killAt   int64
	finished func()
}

func (c *counter) seam() {
	if c.passed.Add(1) == c.killAt {
		die()
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

// seamStore has a seam before and after each write that a job's life depends on.
type seamStore struct {
	bedrockservice.Store
	c    *counter
	spec ChildSpec
}

func around(c *counter, write func() error) error {
	c.seam()
	err := write()
	c.seam()
	return err
}

func (s *seamStore) CreateJob(ctx context.Context, job bedrockservice.Job, tags, modelTags map[string]string, limit int) error {
	return around(s.c, func() error { return s.Store.CreateJob(ctx, job, tags, modelTags, limit) })
}

func (s *seamStore) Append(ctx context.Context, id, owner string, e runner.Event) error {
	err := around(s.c, func() error { return s.Store.Append(ctx, id, owner, e) })
	if s.spec.KillIn != "" && e.Step == s.spec.KillIn && e.Phase == runner.Started {
		die()
	}
	return err
}

func (s *seamStore) UpdateJob(ctx context.Context, id string, change func(*bedrockservice.Job) error) error {
	var status bedrockservice.Status
	err := s.Store.UpdateJob(ctx, id, func(j *bedrockservice.Job) error {
		err := change(j)
		status = j.Status
		return err
	})
	if err == nil && s.spec.KillOn != "" && status == s.spec.KillOn {
		die()
	}
	return err
}

func (s *seamStore) NextAttempt(ctx context.Context, id, owner string) (n int, err error) {
	err = around(s.c, func() (err error) { n, err = s.Store.NextAttempt(ctx, id, owner); return err })
	return n, err
}

func (s *seamStore) AddArtifact(ctx context.Context, arn string, a bedrockservice.Artifact) error {
	return around(s.c, func() error { return s.Store.AddArtifact(ctx, arn, a) })
}

func (s *seamStore) RegisterModel(ctx context.Context, m bedrockservice.Model, complete func(*bedrockservice.Job) error) error {
	return around(s.c, func() error { return s.Store.RegisterModel(ctx, m, complete) })
}

func (s *seamStore) FinishJob(ctx context.Context, id string, change func(*bedrockservice.Job) error) error {
	err := around(s.c, func() error { return s.Store.FinishJob(ctx, id, change) })
	if s.c.finished != nil {
		s.c.finished()
	}
	return err
}

// Child is a server in a process of its own.
type Child struct {
	cmd  *exec.Cmd
	done chan error
	spec ChildSpec
}

// StartChild starts a server of a spec. env is its whole environment beside the spec; its output goes to out.
// It is killed when the test ends.
func StartChild(t testing.TB, spec ChildSpec, env []string, out io.Writer) *Child {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self) //nolint:noctx // this test itself; Kill and Cleanup end it
	cmd.Env = append(env, childVariable+"="+string(text))
	cmd.Stdout, cmd.Stderr = out, out
	c := &Child{cmd: cmd, done: make(chan error, 1), spec: spec}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return c
}

// PID is the process's number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill kills the process and waits for its end.
func (c *Child) Kill(t testing.TB) {
	t.Helper()
	_ = c.cmd.Process.Kill() // it may have ended by itself
	_ = c.Wait(t)
}

// Stop ends the process in good order.
func (c *Child) Stop(t testing.TB) {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(t); err != nil {
		t.Fatalf("child server: %v", err)
	}
}

// Wait waits for the end of the process.
func (c *Child) Wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-c.done:
		c.done <- err
		return err
	case <-time.After(patience):
		t.Fatalf("the child server still runs after %v", patience)
		return nil
	}
}

// Killed reports whether the process ended by SIGKILL.
func Killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Attach waits until the child serves and makes clients of it.
func (c *Child) Attach(t testing.TB) *Server {
	t.Helper()
	s := &Server{Data: c.spec.Data, stop: func() {}}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		endpoint, err := server.ReadEndpoint(c.spec.Data)
		if err == nil && endpoint.PID == c.PID() {
			s.Endpoint = endpoint
			break
		}
		select {
		case ended := <-c.done:
			t.Fatalf("the child server ended: %v", ended)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child server is not ready after %v: %v", patience, err)
		}
	}
	s.attach(t, server.Default())
	return s
}

// Copy copies a data directory of which no server runs.
func Copy(t testing.TB, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
