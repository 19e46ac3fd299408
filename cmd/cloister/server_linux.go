package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/sandbox"
	"example.com/cloister/internal/stage/process"
)

// stage runs the helper or a stage of the sandbox, if this process was started as one.
func stage() (code int, staged bool) {
	if code, staged := netd.Stage(rootContext()); staged {
		return code, true
	}
	if code, staged := process.Stage(rootContext()); staged {
		return code, true
	}
	return sandbox.Stage()
}

// serverCommands are the server's: they run on Linux only. server_other.go has the same names for other systems.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{
		serveCommand(), envCommand(), doctorCommand(), engineCommand(), modelsCommand(), jobsCommand(), networkCommand(), dataCommand(), operationsCommand(),
	}
}

// hint is what to do about an error beyond what it says itself, or empty.
func hint(err error) string {
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" && errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Sprintf("AWS_ENDPOINT_URL is %s, where nobody answers: run 'eval \"$(cloister env)\"' again, or give --data", endpoint)
	}
	return ""
}
