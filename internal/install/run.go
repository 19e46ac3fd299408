package install

import (
	"context"
	"errors"
	"fmt"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/executor"
)

// ErrStopped says that a run was asked to stop before its end.
var ErrStopped = errors.New("stopped")

// Run writes spec into the sandbox, runs it with e and passes every event to on, in order. An error of on
// ends the run. The returned event is the last: *engine.Completed for a run that succeeded. A run that
// stopped, failed or was killed is an error.
func (e Engine) Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, threads int, on func(engine.Event) error) (*engine.Completed, error) {
	log := &tail{} // no customer's data goes through these runs: what the engine prints may be shown
	c := process.Command{Python: e.Python, Env: e.Env(threads), Output: log}
	result, err := c.Run(ctx, box, spec, on, nil)
	if err != nil {
		return nil, fmt.Errorf("engine %s: %w", spec.Command(), err)
	}
	return ended(spec, result, log)
}

// ended judges how a run ended: the event and the exit code must agree.
func ended(spec engine.Spec, result process.Result, log *tail) (*engine.Completed, error) {
	if result.Exit.OverLimit != "" {
		return nil, fmt.Errorf("engine %s: the sandbox's limit on %s ended it", spec.Command(), result.Exit.OverLimit)
	}
	switch last := result.Final.(type) {
	case *engine.Completed:
		if result.Exit.Code == engine.ExitCompleted {
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
	return nil, fmt.Errorf("engine %s: ended with code %d and without a result\n%s", spec.Command(), result.Exit.Code, log.text())
}
