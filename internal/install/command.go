package install

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// command is a program of the installation.
type command struct {
	argv []string
	env  []string // nil inherits: pip and uv find mirrors, proxies and certificates in it
	dir  string
	out  io.Writer    // nil: kept for the error only
	say  func(string) // receives the lines that tell progress
}

const (
	tailLines = 20
	killDelay = 5 * time.Second
	lineBytes = 4096
)

// run runs the command to its end. The error carries the last lines of its output.
func (c *command) run(ctx context.Context) error {
	tail := &tail{say: c.say}
	// The umask is the process's, so a shell sets it for the child: the jobs' user must read what is installed.
	argv := append([]string{"/bin/sh", "-c", `umask 022 && exec "$@"`, "sh"}, c.argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // G204: our own commands
	cmd.Env, cmd.Dir = c.env, c.dir
	if cmd.Env == nil {
		cmd.Env = append(os.Environ(), "PYTHONNOUSERSITE=1", "PIP_USER=0", "UV_PYTHON_DOWNLOADS=never")
	}
	cmd.Stdout, cmd.Stderr = io.Writer(tail), io.Writer(tail)
	if c.out != nil {
		cmd.Stdout = c.out
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("run %s: %w\n%s", strings.Join(c.argv[:min(4, len(c.argv))], " "), err, tail.text())
	}
	return nil
}

// tail keeps the last lines of an output and passes on those that tell progress.
type tail struct {
	say func(string)

	mu    sync.Mutex // guards what follows
	rest  []byte
	lines []string
}

// Write takes output in any pieces.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, p...)
	for {
		line, rest, ok := bytes.Cut(t.rest, []byte("\n"))
		if !ok {
			if len(t.rest) > lineBytes {
				t.rest = t.rest[len(t.rest)-lineBytes:]
			}
			return len(p), nil
		}
		t.line(strings.TrimRight(string(line), "\r "))
		t.rest = bytes.Clone(rest)
	}
}

func (t *tail) line(line string) {
	t.lines = append(t.lines, line[:min(len(line), lineBytes)])
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
	if t.say == nil {
		return
	}
	for _, start := range []string{"Downloading ", "Downloaded ", "Installing ", "Installed ", "Prepared ", "Bytecode "} {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, start) {
			t.say("  " + text[:min(len(text), 120)])
			return
		}
	}
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(append(t.lines, string(t.rest)), "\n")
}
