package server

import (
	"context"

	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/install"
)

// InstalledEngine is the engine of a data home, looked up at every use: it can be installed while the
// server runs.
type InstalledEngine struct {
	Home install.Home
	// Count is the number of threads of a run.
	Count int
}

var _ bedrock.Engine = InstalledEngine{}

// Threads implements bedrock.Engine.
func (e InstalledEngine) Threads() int { return e.Count }

// Mounts implements bedrock.Engine.
func (e InstalledEngine) Mounts() ([]executor.Mount, error) {
	found, err := e.Home.Engine()
	if err != nil {
		return nil, err
	}
	return found.Mounts(), nil
}

// Run implements bedrock.Engine.
func (e InstalledEngine) Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, onEvent func(engine.Event) error, stop <-chan struct{}) (bedrock.EngineResult, error) {
	found, err := e.Home.Engine()
	if err != nil {
		return bedrock.EngineResult{}, err
	}
	result, err := process.Command{Python: found.Python, Env: found.Env(e.Count)}.Run(ctx, box, spec, onEvent, stop)
	return bedrock.EngineResult{Exit: result.Exit, Final: result.Final}, err
}
