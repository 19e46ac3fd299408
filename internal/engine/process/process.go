// Package process runs the training engine as a process in a sandbox: the specification goes into the
// scratch, events come back over descriptor 3, and the end is judged by exit status and last event
// together.
//
// What a reader must know: what the process prints is thrown away. A traceback can quote the customer's
// data; what operators and customers may read comes as events.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

// Command says how to start the engine.
type Command struct {
	// Python is the interpreter, an absolute path inside the sandbox.
	Python string
	// Env is the whole environment.
	Env []string
	// Output receives what the process prints; nil throws it away, which is what every run on customers'
	// data must do.
	Output io.Writer
}

// Result is how a run ended.
type Result struct {
	Exit executor.Exit
	// Final is the last event if it was one that ends a run, else nil: the process died without a word.
	Final engine.Event
}

// Run writes spec into the sandbox, runs the engine on it and passes every event to on, in order; an error
// of on, or a stream that breaks the protocol while the process lives, ends the run. When stop is closed
// the engine is asked to stop at the end of its step. When ctx ends everything in the sandbox is killed and
// the error is the context's cause.
func (c Command) Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, on func(engine.Event) error, stop <-chan struct{}) (Result, error) {
	text, err := engine.EncodeSpec(spec)
	if err != nil {
		return Result{}, err
	}
	name := path.Base(engine.SpecPath)
	if err := place(box.Scratch(), name, text); err != nil {
		return Result{}, fmt.Errorf("write specification: %w", err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = ours.Close() }()
	kill, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	read := make(chan error, 1)
	var final engine.Event
	go func() {
		var err error
		final, err = readEvents(ours, on)
		if err != nil {
			cancel(err)
		}
		read <- err
	}()
	ended := make(chan struct{})
	go func() {
		select {
		case <-stop:
			_, _ = ours.Write(engine.StopCommand()) // an engine that cannot hear is killed when ctx ends
		case <-ended:
		}
	}()
	exit, runErr := box.Run(kill, executor.Process{
		Argv: engine.Args(c.Python, spec, engine.SpecPath), Env: c.Env, Stdout: c.Output, Stderr: c.Output, Control: theirs,
	})
	close(ended)
	closeErr := theirs.Close()
	readErr := <-read
	switch {
	case ctx.Err() != nil:
		return Result{Exit: exit}, context.Cause(ctx)
	case readErr != nil && !errors.Is(readErr, engine.ErrCut):
		return Result{Exit: exit}, readErr
	case runErr != nil:
		return Result{Exit: exit}, runErr
	case readErr != nil: // the process ended in the middle of a line
		final = nil
	}
	if final != nil && exit.OverLimit == "" && exitOf(final) != exit.Code {
		return Result{Exit: exit}, fmt.Errorf("%w: exit status %d after %s", engine.ErrProtocol, exit.Code, final.Kind())
	}
	return Result{Exit: exit, Final: final}, closeErr
}

// place writes a file that an earlier process may have put something else in place of: a link, a pipe on
// which writing would wait for ever.
func place(root *os.Root, name string, text []byte) error {
	if err := root.RemoveAll(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// exitOf is the exit status that goes with an event that ends a run.
func exitOf(final engine.Event) int {
	switch e := final.(type) {
	case *engine.Failed:
		return e.Reason.ExitCode()
	case *engine.Stopped:
		return engine.ExitStopped
	default:
		return engine.ExitCompleted
	}
}

// readEvents passes events on until the stream ends and returns the one that ended the run, if any.
func readEvents(in io.Reader, on func(engine.Event) error) (engine.Event, error) {
	dec := engine.NewDecoder(in)
	var final engine.Event
	for {
		event, err := dec.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
			return final, nil
		}
		if err != nil {
			return final, err
		}
		switch event.(type) {
		case *engine.Completed, *engine.Stopped, *engine.Failed:
			final = event
		}
		if err := on(event); err != nil {
			return final, err
		}
	}
}

// socketPair makes a connected pair of Unix sockets; reading ours does not block a thread.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "engine events"), os.NewFile(uintptr(fds[1]), "engine control"), nil
}
