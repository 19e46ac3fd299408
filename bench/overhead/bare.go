package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

// bare is a place to run the engine without any isolation: a folder in memory stands for /scratch. It is the
// yardstick, so it does as little as possible.
type bare struct {
	dir  string
	root *os.Root
}

var _ executor.Sandbox = (*bare)(nil)

// memoryDir is where the scratch is in memory, as a sandbox's is.
const memoryDir = "/dev/shm"

func newBare() (*bare, error) {
	dir, err := os.MkdirTemp(memoryDir, "cloister-bench-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &bare{dir, root}, nil
}

// host maps a path of the sandbox to where it is here.
func (b *bare) host(path string) string {
	return strings.ReplaceAll(path, engine.Scratch, b.dir)
}

// Scratch implements executor.Sandbox.
func (b *bare) Scratch() *os.Root { return b.root }

// Run implements executor.Sandbox. Every mention of the scratch in arguments and environment becomes the
// folder.
func (b *bare) Run(ctx context.Context, p executor.Process) (executor.Exit, error) {
	cmd := exec.CommandContext(ctx, p.Argv[0]) //nolint:gosec // the installed engine
	for _, arg := range p.Argv[1:] {
		cmd.Args = append(cmd.Args, b.host(arg))
	}
	for _, entry := range p.Env {
		cmd.Env = append(cmd.Env, b.host(entry))
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, p.Stdout, p.Stderr
	if cmd.Stderr == nil {
		cmd.Stderr = io.Discard
	}
	if p.Control != nil {
		cmd.ExtraFiles = []*os.File{p.Control}
	}
	start := harness.Now()
	err := cmd.Run()
	wall := harness.Now().Sub(start)
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		return executor.Exit{}, err
	}
	if ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	state := cmd.ProcessState
	return executor.Exit{Code: state.ExitCode(), CPU: state.UserTime() + state.SystemTime(), Wall: wall.Round(time.Millisecond)}, nil
}

// Destroy implements executor.Sandbox.
func (b *bare) Destroy(context.Context) error {
	return errors.Join(b.root.Close(), os.RemoveAll(b.dir))
}

// put writes a file below the scratch.
func (b *bare) put(path string, text []byte) error {
	name := strings.TrimPrefix(path, engine.Scratch+"/")
	if err := b.root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return b.root.WriteFile(name, text, 0o644)
}
