package main

import (
	"bytes"
	"errors"
	"testing"
)

// execute runs the program's command line and returns what it printed and its exit code.
func execute(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	var out bytes.Buffer
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return out.String(), exit.code, err
	case err != nil:
		return out.String(), 1, err
	default:
		return out.String(), 0, nil
	}
}
