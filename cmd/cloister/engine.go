//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/install"
)

// defaultHome is the data home of the user who runs this program.
func defaultHome() (install.Home, error) { return install.DefaultHome(os.Geteuid(), os.Getenv) }

// newInstaller makes an installer for the default home that reports to w.
func newInstaller(w io.Writer) (*install.Installer, error) {
	home, err := defaultHome()
	if err != nil {
		return nil, err
	}
	say := func(line string) { _, _ = fmt.Fprintln(w, line) } // progress: a closed terminal ends nothing
	return &install.Installer{Home: home, Say: say, Now: time.Now, Euid: os.Geteuid()}, nil
}

func engineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "engine",
		Short: "Install and inspect the training engine's environment",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(engineInstallCommand(), engineStatusCommand(), enginePathCommand())
	return c
}

func engineInstallCommand() *cobra.Command {
	var python string
	c := &cobra.Command{
		Use:   "install",
		Short: "Make the engine's Python environment, once for each version of its locks",
		Long: `Make the engine's Python environment, once for each version of its locks.

It needs CPython 3.11 with venv, from this system's packages or named by --python; no
interpreter is downloaded. Packages come from wherever pip is configured to look, and each
must have the hash that is written in this program. An interrupted installation goes on
where it was.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			installer, err := newInstaller(c.ErrOrStderr())
			if err != nil {
				return err
			}
			e, err := installer.Engine(c.Context(), python)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), e.Root)
			return err
		},
	}
	c.Flags().StringVar(&python, "python", "", "CPython 3.11 to build on (default: the system's)")
	return c
}

func engineStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say whether the environment is installed; exit 1 if it is not",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			home, err := defaultHome()
			if err != nil {
				return err
			}
			e, err := home.Engine()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), map[string]any{
					"root": e.Root, "python": e.Python, "source": e.Source, "record": e.Record,
				})
			}
			r := e.Record
			_, err = fmt.Fprintf(c.OutOrStdout(), "root         %s\ninterpreter  %s (Python %s)\ntorch        %s\nsource       %s\ninstalled    %s with %s\n",
				e.Root, r.Interpreter, r.Python, r.Torch, e.Source, r.Created.Format(time.RFC3339), r.Installer)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func enginePathCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "path",
		Short: "Print the environment's folder, installed or not",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			home, err := defaultHome()
			if err != nil {
				return err
			}
			root, err := home.EngineRoot()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), root)
			return err
		},
	}
}
