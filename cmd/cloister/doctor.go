//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/sandbox"
	"example.com/cloister/internal/server"
)

// diagnosis is what doctor finds.
type diagnosis struct {
	OK        bool              `json:"ok"`
	Isolation executor.Report   `json:"isolation"`
	Probe     []sandbox.Finding `json:"probe"`
	// Network is what was tried of VPCs.
	Network []netns.Finding `json:"network"`
	Engine  string          `json:"engine"`
	Models  []string        `json:"models"`
	GPU     string          `json:"gpu"`
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
			d, err := diagnose(c.Context(), config)
			if err != nil {
				return err
			}
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

// diagnose has the helper that a server would start try everything.
func diagnose(ctx context.Context, config server.Config) (_ diagnosis, err error) {
	rootless := os.Geteuid() != 0
	ready := netd.Ready{}
	if socket, err := netd.Start(netd.Options{Rootless: rootless}); err != nil {
		ready.Report.Unavailable = err.Error()
	} else {
		helper, err := netd.Connect(ctx, socket, netd.Setup{AllowSwap: config.Sandbox.AllowSwap, RequireCgroup: config.RequireCgroup(), Rootless: rootless})
		if err != nil {
			return diagnosis{}, err
		}
		defer func() { _ = helper.Close() }()
		ready = helper.Ready()
	}
	return describe(ready, config), nil
}

func describe(ready netd.Ready, config server.Config) diagnosis {
	d := diagnosis{
		OK: true, Isolation: ready.Report, Probe: ready.Findings, Network: ready.Network, GPU: "none", Models: []string{}, Engine: "not installed",
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
	if why := d.Isolation.NoNetwork; why != "" && why != d.Isolation.Unavailable {
		advise("jobs with a vpcConfig are refused: %s (it takes nf_tables and veth in the kernel: modprobe nf_tables veth; in a container: --cap-add NET_ADMIN)", why)
	}
	if os.Geteuid() == 0 {
		if _, err := lookUp(config.User); err != nil {
			advise("%v", err)
		}
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
	if d.Isolation.NoNetwork == "" {
		row("VPC", "jobs can be attached to VPCs")
	} else {
		row("VPC", "none: %s", d.Isolation.NoNetwork)
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
	for _, f := range d.Network {
		if f.OK {
			good++
			continue
		}
		row("  FAILED", "%s: %s", f.Name, f.Detail)
	}
	row("probe", "%d of %d checks in a sandbox and a VPC went as they must", good, len(d.Probe)+len(d.Network))
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
