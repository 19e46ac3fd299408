//go:build linux

package main

import (
	"context"
	"errors"
	"log/slog"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
)

// newExecutor makes the executor of this host, for commands that run the engine without a server.
func newExecutor(ctx context.Context) (executor.Executor, error) {
	e := local.New(ctx, local.Config{Log: slog.New(slog.DiscardHandler)})
	if why := e.Report().Unavailable; why != "" {
		return nil, errors.New("this host cannot isolate the engine: " + why + " ('cloister doctor' tells more)")
	}
	return e, nil
}
