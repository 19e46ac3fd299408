// Command cloister serves Amazon Bedrock's model-customization API on this machine and administers it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/ansi"
)

func main() {
	// The sandbox's stages are this same program, executed again: they take over here, before anything else.
	if code, staged := stage(); staged {
		os.Exit(code)
	}
	os.Exit(run())
}

func run() int {
	// Work that enters a namespace runs on other threads, which are thrown away afterwards.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(rootContext(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := rootCommand().ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		if exit.message != "" {
			fmt.Fprintln(os.Stderr, "cloister: "+visible(exit.message))
		}
		return exit.code
	}
	fmt.Fprintln(os.Stderr, "cloister:", visible(err.Error()))
	if strings.HasPrefix(err.Error(), "unknown command") { // cobra's own, without a type
		return 2
	}
	if more := hint(err); more != "" {
		fmt.Fprintln(os.Stderr, "cloister:", more)
	}
	return 1
}

// visible is an error's text, which may quote what a service or a file says, without control characters; its lines stay.
func visible(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = ansi.Visible(line)
	}
	return strings.Join(lines, "\n")
}

// exitError ends the program with a code of its own: 1 failed, 2 wrong usage, 124 time-out.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

// usageErrorf makes an error with exit code 2.
func usageErrorf(format string, args ...any) error {
	return &exitError{2, fmt.Sprintf(format, args...)}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "cloister",
		Short:         "Private model customization: Amazon Bedrock's customization API on your own machines",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageErrorf("%v; see '%s --help'", err, c.CommandPath())
	})
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error { // cobra's own checks have no exit code
		if err := errors.Join(c.ValidateRequiredFlags(), c.ValidateFlagGroups()); err != nil {
			return usageErrorf("%v; see '%s --help'", err, c.CommandPath())
		}
		return nil
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(versionCommand(), auditCommand(), remediateCommand(), rulesCommand(), muteCommand())
	root.AddCommand(serverCommands()...)
	return root
}

// usageArgs turns the errors of a check of arguments into wrong usage, exit code 2.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageErrorf("%v; see '%s --help'", err, c.CommandPath())
		}
		return nil
	}
}

// writeJSON prints v for machines: indented, with a final newline.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
