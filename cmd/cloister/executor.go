package main

import (
	"context"
	"errors"

	"example.com/cloister/internal/executor"
)

// newExecutor makes the executor of this host, for commands that run the engine without a server.
func newExecutor() (executor.Executor, error) {
	e, err := serverExecutor(false)
	if err != nil {
		return nil, err
	}
	if why := e.Report().Unavailable; why != "" {
		return nil, errors.New(why)
	}
	return e, nil
}

// serverExecutor makes the executor of this host.
func serverExecutor(_ bool) (executor.Executor, error) { return none{}, nil }

// none makes no sandboxes.
type none struct{}

func (none) Create(context.Context, executor.Spec) (executor.Sandbox, error) {
	return nil, errors.New(none{}.Report().Unavailable)
}

func (none) Report() executor.Report {
	return executor.Report{Unavailable: "the sandbox is not built in yet"}
}
