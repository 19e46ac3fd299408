//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/dataset"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/executor"
)

func dataCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Check training data",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(dataCheckCommand())
	return c
}

// checked is the result of a check.
type checked struct {
	dataset.Report
	Preflight *engine.Preflight `json:"preflight,omitempty"`
}

func dataCheckCommand() *cobra.Command {
	var flags configFlags
	var base, kind string
	var epochs, batch, maxLength int
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a data file as a job would, without a server: form by line, then tokens; exit 1 with lines",
		Example: "  cloister data check train.jsonl --base amazon.titan-text-lite-v1:0:4k\n" +
			"  cloister data check corpus.jsonl --base cloister.tiny-v1:0 --type CONTINUED_PRE_TRAINING",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			_, config, err := flags.load()
			if err != nil {
				return err
			}
			if target, ok := config.AliasMap()[base]; ok {
				base = target
			}
			form := dataset.PromptCompletion
			switch kind {
			case basemodel.FineTuning:
			case basemodel.PreTraining:
				form = dataset.Input
			default:
				return usageErrorf("--type must be %s or %s", basemodel.FineTuning, basemodel.PreTraining)
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = file.Close() }() // only read from
			var result checked
			if result.Report, err = dataset.Check(c.Context(), file, form, nil); err != nil {
				return err
			}
			var refused *exitError
			if len(result.Problems) == 0 {
				p := preflight{base: base, file: file, form: form, epochs: epochs, batch: batch, maxLength: maxLength}
				if result.Preflight, err = p.run(c.Context()); err != nil && !errors.As(err, &refused) {
					return err
				}
			}
			if err := showChecked(c, result, asJSON); err != nil {
				return err
			}
			if len(result.Problems) > 0 {
				return &exitError{1, fmt.Sprintf("%s cannot be trained on", args[0])}
			}
			if refused != nil {
				return refused
			}
			return nil
		},
	}
	flags.register(c)
	c.Flags().StringVar(&base, "base", "", "base model or alias whose tokenizer counts (required)")
	c.Flags().StringVar(&kind, "type", basemodel.FineTuning, "customization type")
	c.Flags().IntVar(&epochs, "epochs", 5, "epochs, for the number of steps")
	c.Flags().IntVar(&batch, "batch-size", 1, "batch size, for the number of steps")
	c.Flags().IntVar(&maxLength, "max-sequence-length", basemodel.DefaultSequenceLength, "longer records are dropped, in tokens")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	if err := c.MarkFlagRequired("base"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}

func showChecked(c *cobra.Command, r checked, asJSON bool) error {
	if asJSON {
		return writeJSON(c.OutOrStdout(), r)
	}
	out := c.OutOrStdout()
	for _, p := range r.Problems {
		if _, err := fmt.Fprintln(out, p); err != nil {
			return err
		}
	}
	if r.Preflight == nil {
		return nil
	}
	p := r.Preflight
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "records\t%d, of which %d are used, %d dropped as too long or without a token to learn, %d duplicates\n", p.Records, p.Rows, p.Dropped, p.Duplicates) // Flush tells
	_, _ = fmt.Fprintf(t, "tokens\t%d, of which %d count towards the loss\nlength\tmedian %d, 95 %% %d, longest %d\nsteps\t%d\n", p.Tokens, p.LabelTokens, p.LengthP50, p.LengthP95, p.LengthMax, p.Steps)
	return t.Flush()
}

// preflight runs the engine's own check in a sandbox.
type preflight struct {
	base                     string
	file                     *os.File
	form                     dataset.Kind
	epochs, batch, maxLength int
}

// checkLimits are those of a tokenizer's work.
func checkLimits() executor.Limits {
	return executor.Limits{MemoryBytes: 6 << 30, ScratchBytes: 2 << 30, ShmBytes: 64 << 20, CPUs: runtime.NumCPU(), Pids: 256, Wall: time.Hour}
}

func (p preflight) run(ctx context.Context) (_ *engine.Preflight, err error) {
	home, err := defaultHome()
	if err != nil {
		return nil, err
	}
	installed, err := home.Engine()
	if err != nil {
		return nil, err
	}
	models, err := home.Models()
	if err != nil {
		return nil, err
	}
	if err := models.Verify(ctx, p.base); err != nil {
		return nil, modelHint(err)
	}
	exec, err := newExecutor(ctx)
	if err != nil {
		return nil, err
	}
	box, err := exec.Create(ctx, executor.Spec{
		ID: fmt.Sprintf("check-%d", os.Getpid()), Limits: checkLimits(),
		Mounts: append(installed.Mounts(), executor.Mount{Source: models.Dir(p.base), Target: engine.BasePath}),
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx))) }()
	if err := p.place(ctx, box); err != nil {
		return nil, err
	}
	spec := &engine.Check{
		Base: engine.BasePath, TrainFile: engine.TrainFile, Task: engine.FineTuning, Epochs: p.epochs, BatchSize: p.batch, MaxLength: p.maxLength,
		Threads: runtime.NumCPU(),
	}
	if p.form == dataset.Input {
		spec.Task = engine.PreTraining
	}
	var found *engine.Preflight
	result, err := process.Command{Python: installed.Python, Env: installed.Env(spec.Threads)}.Run(ctx, box, spec, func(e engine.Event) error {
		if f, ok := e.(*engine.Preflight); ok {
			found = f
		}
		return nil
	}, nil)
	if err != nil {
		return found, err
	}
	switch final := result.Final.(type) {
	case *engine.Completed:
		return found, nil
	case *engine.Failed:
		return found, &exitError{1, final.Message}
	}
	return found, fmt.Errorf("the engine ended with status %d and no result", result.Exit.Code)
}

// place copies the data into the sandbox, in the form in which a job would stage it.
func (p preflight) place(ctx context.Context, box executor.Sandbox) error {
	if _, err := p.file.Seek(0, 0); err != nil {
		return err
	}
	if err := box.Scratch().MkdirAll("data", 0o755); err != nil {
		return err
	}
	to, err := box.Scratch().Create("data/train.jsonl")
	if err != nil {
		return err
	}
	_, err = dataset.Check(ctx, p.file, p.form, to)
	return errors.Join(err, to.Chmod(0o644), to.Close())
}
