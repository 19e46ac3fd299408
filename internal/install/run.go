package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

// ErrStopped says that a run was asked to stop before its end.
var ErrStopped = errors.New("stopped")

// Run writes spec into the sandbox, runs it with e and passes every event to on, in order. An error of on
// ends the run. The returned event is the last: *engine.Completed for a run that succeeded. A run that
// stopped, failed or was killed is an error.
func (e Engine) Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, threads int, on func(engine.Event) error) (*engine.Completed, error) {
	data, err := engine.EncodeSpec(spec)
	if err != nil {
		return nil, err
	}
	if err := box.Scratch().WriteFile(path.Base(engine.SpecPath), data, 0o644); err != nil {
		return nil, fmt.Errorf("write specification: %w", err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer ours.Close() //nolint:errcheck // nothing is written to it
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		end engine.Event
		err error
	}
	read := make(chan result, 1)
	go func() {
		end, err := readEvents(ours, on)
		if err != nil {
			cancel() // a stream that cannot be trusted ends the process
		}
		read <- result{end, err}
	}()
	log := &tail{}
	exit, err := box.Run(ctx, executor.Process{
		Argv: engine.Args(e.Python, spec, engine.SpecPath), Env: e.Env(threads), Stdout: log, Stderr: log, Control: theirs,
	})
	closed := theirs.Close()
	got := <-read
	switch {
	case got.err != nil:
		return nil, fmt.Errorf("engine %s: %w", spec.Command(), got.err)
	case err != nil:
		return nil, fmt.Errorf("engine %s: %w", spec.Command(), err)
	case closed != nil:
		return nil, closed
	}
	return ended(spec, got.end, exit, log)
}

// ended judges how a run ended: the event and the exit code must agree.
func ended(spec engine.Spec, end engine.Event, exit executor.Exit, log *tail) (*engine.Completed, error) {
	if exit.OverLimit != "" {
		return nil, fmt.Errorf("engine %s: the sandbox's limit on %s ended it", spec.Command(), exit.OverLimit)
	}
	switch last := end.(type) {
	case *engine.Completed:
		if exit.Code == engine.ExitCompleted {
			return last, nil
		}
	case *engine.Stopped:
		return nil, fmt.Errorf("engine %s: %w", spec.Command(), ErrStopped)
	case *engine.Failed:
		where := ""
		if last.Line > 0 {
			where = fmt.Sprintf("%s, line %d: ", last.File, last.Line)
		}
		return nil, fmt.Errorf("engine %s: %s%s (%s)", spec.Command(), where, last.Message, last.Reason)
	}
	return nil, fmt.Errorf("engine %s: ended with code %d and without a result\n%s", spec.Command(), exit.Code, log.text())
}

func readEvents(in io.Reader, on func(engine.Event) error) (engine.Event, error) {
	dec := engine.NewDecoder(in)
	var last engine.Event
	for {
		event, err := dec.Next()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = event
		if err := on(event); err != nil {
			return last, err
		}
	}
}

// socketPair makes a connected pair of Unix sockets; ours does not block a thread while it is read.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "engine events"), os.NewFile(uintptr(fds[1]), "engine control"), nil
}
