//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// stage runs nothing: the sandbox is on Linux.
func stage() (code int, staged bool) { return 0, false }

// hint knows nothing: what it helps with is the server's.
func hint(error) string { return "" }

// serverCommands are those of server_linux.go by name. They say what they need.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{
		refusal("serve", "Serve the API and run jobs"),
		refusal("env", "Print the exports that point AWS's clients at the running server"),
		refusal("doctor", "Find out, by doing, what this host can isolate and what is missing"),
		refusal("engine", "Install and inspect the training engine's environment"),
		refusal("models", "Add and inspect base models"),
		refusal("jobs", "List, show, watch, wait for and stop customization jobs"),
		refusal("network", "Make a VPC for jobs, in one go"),
		refusal("data", "Check training data"),
		refusal("operations", "List the AWS operations that are served"),
	}
}

// refusal takes any flags and arguments, and fails with what the command needs.
func refusal(name, short string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              short + " (Linux only)",
		Args:               cobra.ArbitraryArgs,
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("'cloister %s' needs Linux 5.12 or later; this is %s/%s. The auditor (cloister audit, rules, mute) runs here",
				name, runtime.GOOS, runtime.GOARCH)
		},
	}
}
