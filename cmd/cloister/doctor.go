//go:build linux

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
	"example.com/cloister/internal/sandbox"
)

// diagnosis is what doctor finds.
type diagnosis struct {
	OK        bool              `json:"ok"`
	Isolation executor.Report   `json:"isolation"`
	Probe     []sandbox.Finding `json:"probe"`
	Engine    string            `json:"engine"`
	Models    []string          `json:"models"`
	GPU       string            `json:"gpu"`
	// NotEnforced names what this version stores and does not enforce.
	NotEnforced []string `json:"notEnforced"`
	Advice      []string `json:"advice,omitempty"`
}

func doctorCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out, by doing, what this host can isolate and what is missing; exit 1 if jobs cannot run",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, config, err := flags.load()
			if err != nil {
				return err
			}
			e := local.New(c.Context(), local.Config{AllowSwap: config.Sandbox.AllowSwap, Log: slog.New(slog.DiscardHandler)})
			d := diagnose(e)
			if asJSON {
				err = writeJSON(c.OutOrStdout(), d)
			} else {
				err = printDiagnosis(c, d)
			}
			if err != nil {
				return err
			}
			if !d.OK {
				return &exitError{1, ""}
			}
			return nil
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func diagnose(e *local.Executor) diagnosis {
	d := diagnosis{
		OK: true, Isolation: e.Report(), Probe: e.Findings(), GPU: "none", Models: []string{}, Engine: "not installed",
		NotEnforced: []string{
			"key policies other than the default one (stored and returned; grants and the account root decide)",
			"policies of roles (stored and returned; a job's session may read and write the account's objects)",
		},
	}
	advise := func(format string, args ...any) {
		d.OK, d.Advice = false, append(d.Advice, fmt.Sprintf(format, args...))
	}
	if why := d.Isolation.Unavailable; why != "" {
		advise("jobs are refused: %s", why)
	}
	home, err := defaultHome()
	if err != nil {
		advise("%v", err)
		return d
	}
	if engine, err := home.Engine(); err != nil {
		advise("the training engine is not ready: %v", err)
	} else {
		d.Engine = engine.Root
	}
	if models, err := openModels(); err != nil {
		advise("base models: %v", err)
	} else {
		list, err := models.List()
		if err != nil {
			advise("base models: %v", err)
		}
		for _, m := range list {
			d.Models = append(d.Models, m.ID)
		}
		if len(d.Models) == 0 {
			advise("no base model is installed: run 'cloister models add smollm2'")
		}
	}
	if devices, _ := filepath.Glob("/dev/nvidia[0-9]*"); len(devices) > 0 { // the pattern is right
		d.GPU = "present, not used"
	}
	return d
}

func printDiagnosis(c *cobra.Command, d diagnosis) error {
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	} // Flush tells
	row("isolation", "%s, memory limits by %s, swap: %s", d.Isolation.Mode, d.Isolation.Limits, d.Isolation.Swap)
	if os.Geteuid() == 0 {
		row("", "the server stays root and starts sandboxes itself (docs/threat-model.md)")
	}
	for _, w := range d.Isolation.Weaker {
		row("  weaker", "%s", w)
	}
	good := 0
	for _, f := range d.Probe {
		if f.OK {
			good++
			continue
		}
		row("  FAILED", "%s: %s", f.Name, f.Detail)
	}
	row("probe", "%d of %d checks from inside a sandbox went as they must", good, len(d.Probe))
	row("engine", "%s", d.Engine)
	for _, m := range d.Models {
		row("base model", "%s", m)
	}
	row("GPU", "%s", d.GPU)
	for _, n := range d.NotEnforced {
		row("not enforced", "%s", n)
	}
	for _, a := range d.Advice {
		row("TO DO", "%s", a)
	}
	return t.Flush()
}
