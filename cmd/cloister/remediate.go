package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

func remediateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "remediate",
		Short: "Mend findings: plan, show, apply, verify, resume, roll back",
		Long: `Mend findings of the auditor, in AWS accounts, Cloister or an emulator.

'plan' reads and writes a file that holds every call, 'show' prints it, 'apply' makes exactly these calls once the file's
hash is approved. A journal beside the plan says what was done: 'resume' goes on after a stop or a crash, 'verify' audits
again what was touched, 'rollback' takes back what can be taken back.

Exit codes: 0 done; 1 failed; 2 wrong usage, or an approval that lacks something; 5 stopped part-way; 6 the plan no longer
matches what it was made for, or what was approved.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(remediatePlanCommand(), remediateShowCommand(), remediateApplyCommand(), remediateResumeCommand(),
		remediateVerifyCommand(), remediateRollbackCommand(), remediatePolicyCommand())
	return c
}

// remediateServices are the services that a remediation calls.
func remediateServices() []string {
	services := append(collect.Services(), "iam", "service-quotas")
	slices.Sort(services)
	return services
}

// planFile is a plan that was read from its file.
type planFile struct {
	name string
	hash string
	plan *remedy.Plan
}

func readPlan(name string) (*planFile, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usageErrorf("plan: %v", err)
	}
	plan, err := remedy.Parse(text)
	if err != nil {
		return nil, &exitError{6, fmt.Sprintf("%s: %v", name, err)}
	}
	return &planFile{name, remedy.Hash(text), plan}, nil
}

func remediateShowCommand() *cobra.Command {
	var emit string
	c := &cobra.Command{
		Use:   "show PLAN",
		Short: "Print a plan: the old beside the new, the calls, the checks and the hash",
		Example: "  cloister remediate show plan.json\n  cloister remediate show plan.json --emit cli\n" +
			"  cloister remediate show plan.json --emit json",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := readPlan(args[0])
			if err != nil {
				return err
			}
			switch emit {
			case "":
				o := terminal(c.OutOrStdout())
				return remedy.Show(c.OutOrStdout(), f.plan, f.hash, remedy.ShowOptions{Color: o.Color, Width: o.Width, File: f.name})
			case "cli":
				return remedy.EmitCLI(c.OutOrStdout(), f.plan, f.hash)
			case "json":
				return writeJSON(c.OutOrStdout(), f.plan)
			}
			return usageErrorf("--emit %s: it is cli or json", emit)
		},
	}
	c.Flags().StringVar(&emit, "emit", "", "print instead: 'cli', the commands of the aws CLI, or 'json', the plan indented")
	return c
}

func remediatePolicyCommand() *cobra.Command {
	var plan string
	var o remedy.PolicyOptions
	c := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the write permissions of a plan, for its resources only",
		Long: `Print the IAM policy with the write permissions that a plan needs, for these resources only; one for each account. What it
reads is printed with --reads. Making and verifying a plan needs the policy of 'cloister audit iam-policy', and for the checks
iam:GetRole, iam:SimulatePrincipalPolicy, servicequotas:ListServiceQuotas and kms:ListResourceTags.`,
		Example: "  cloister remediate iam-policy --plan plan.json",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case plan == "":
				return usageErrorf("--plan: name the plan's file")
			case o.Reads && (o.Rollback || o.Delete):
				return usageErrorf("--reads prints what is read, the others what is written: choose one")
			case o.Delete && !o.Rollback:
				return usageErrorf("--delete-created is a part of --rollback")
			}
			f, err := readPlan(plan)
			if err != nil {
				return err
			}
			policies := remedy.Policies(f.plan, o)
			for _, a := range f.plan.Accounts {
				if len(policies) > 1 {
					if _, err := fmt.Fprintf(c.OutOrStdout(), "# account %s\n", a.ID); err != nil {
						return err
					}
				}
				if _, err := io.WriteString(c.OutOrStdout(), policies[a.ID]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "the plan's file")
	c.Flags().BoolVar(&o.Rollback, "rollback", false, "with what a rollback needs")
	c.Flags().BoolVar(&o.Delete, "delete-created", false, "with --rollback: also with what --delete-created needs")
	c.Flags().BoolVar(&o.Reads, "reads", false, "instead: what applying the plan reads, to check, wait and settle")
	return c
}

// runFlags are what every command needs that makes a plan's calls.
type runFlags struct {
	accessFlags
	quiet bool
}

func (f *runFlags) register(c *cobra.Command) {
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&f.quiet, "quiet", false, "no progress")
	f.registerAccess(c.Flags(), remediateServices())
}

// with connects, takes the journal, and lets do work.
func (f *runFlags) with(c *cobra.Command, file string, do func(context.Context, *planFile, *remedy.Runner) error) error {
	plan, err := readPlan(file)
	if err != nil {
		return err
	}
	o, err := f.access(c)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	journal, err := remedy.OpenJournal(remedy.JournalName(file))
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }() // every record is on disk already
	read, err := remediate.Connect(ctx, o, plan.plan)
	if err != nil {
		return planError(err)
	}
	show := &steps{w: c.ErrOrStderr(), quiet: f.quiet}
	return planError(do(ctx, plan, &remedy.Runner{
		Plan: plan.plan, Hash: plan.hash, Journal: journal, Now: time.Now, Progress: show.event,
		Clients: func(account, region string) (remedy.Caller, error) {
			return remediate.Client(read, account, region), nil
		},
	}))
}

// planError gives an error its exit code.
func planError(err error) error {
	if drift, ok := errors.AsType[*remedy.DriftError](err); ok {
		return &exitError{6, drift.Error()}
	}
	if stopped, ok := errors.AsType[*remedy.StoppedError](err); ok {
		return &exitError{5, stopped.Error()}
	}
	if lacks, ok := errors.AsType[*remedy.ApprovalError](err); ok {
		return &exitError{2, lacks.Error()}
	}
	return err
}

func remediateApplyCommand() *cobra.Command {
	f := &runFlags{}
	var a remedy.Approval
	var allow []string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "apply PLAN --approve HASH",
		Short: "Make the calls of an approved plan",
		Long: `Make the calls of a plan, if HASH is the one that 'remediate show' prints, and nothing has changed since the plan was made.
Each call is written to the journal, PLAN.journal, before it is made. Ctrl-C stops between two steps.`,
		Example: "  cloister remediate apply plan.json --approve 0f1e…",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if a.Hash == "" {
				return usageErrorf("--approve: give the plan's hash, as 'cloister remediate show %s' prints it", args[0])
			}
			if wait < 0 {
				return usageErrorf("--wait must not be negative")
			}
			for _, class := range allow {
				if !strings.EqualFold(class, "D") {
					return usageErrorf("--allow %s: only class D has to be allowed besides the approval", class)
				}
				a.Destructive = true
			}
			return f.with(c, args[0], func(ctx context.Context, p *planFile, r *remedy.Runner) error {
				r.Patience = wait
				if err := r.Apply(ctx, a); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "Done. Now: cloister remediate verify %s\n", visible(args[0]))
				return err
			})
		},
	}
	c.Flags().StringVar(&a.Hash, "approve", "", "the hash of the plan")
	c.Flags().StringSliceVar(&a.Unchecked, "accept-unchecked", nil, "names of checks that were not made and are accepted so")
	c.Flags().BoolVar(&a.Cost, "accept-unknown-cost", false, "accept that the cost is not known")
	c.Flags().StringSliceVar(&allow, "allow", nil, "allow steps of this class: D, which cannot be undone")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for a job at most (default: until it ends)")
	f.register(c)
	return c
}

func remediateResumeCommand() *cobra.Command {
	f := &runFlags{}
	var worse bool
	var wait time.Duration
	c := &cobra.Command{
		Use:   "resume PLAN",
		Short: "Go on with a plan that was stopped",
		Long: `Go on with a plan that was stopped, by Ctrl-C, a crash or an error. A call of which nobody knows whether it was made is
looked for first: it is never made again unseen.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if wait < 0 {
				return usageErrorf("--wait must not be negative")
			}
			return f.with(c, args[0], func(ctx context.Context, p *planFile, r *remedy.Runner) error {
				r.AcceptLoss, r.Patience = worse, wait
				if err := r.Resume(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "Done. Now: cloister remediate verify %s\n", visible(args[0]))
				return err
			})
		},
	}
	c.Flags().BoolVar(&worse, "accept-loss", false, "go on although the new model is worse than the old one")
	c.Flags().DurationVar(&wait, "wait", 0, "how long to wait for a job at most (default: until it ends)")
	f.register(c)
	return c
}

func remediateRollbackCommand() *cobra.Command {
	f := &runFlags{}
	var deleteCreated bool
	c := &cobra.Command{
		Use:   "rollback PLAN",
		Short: "Take back what was done of a plan, as far as it can be",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			return f.with(c, args[0], func(ctx context.Context, p *planFile, r *remedy.Runner) error {
				if err := r.Rollback(ctx, deleteCreated); err != nil {
					return err
				}
				return printLasting(c.OutOrStdout(), p.plan, r.Journal.Records, deleteCreated)
			})
		},
	}
	c.Flags().BoolVar(&deleteCreated, "delete-created", false, "delete the models that the plan's jobs made")
	f.register(c)
	return c
}

// printLasting says what a rollback leaves.
func printLasting(w io.Writer, p *remedy.Plan, records []remedy.Record, deleteCreated bool) error {
	var lines []string
	for _, c := range p.Changes {
		if !slices.ContainsFunc(remedy.Touched(p, records), func(s *remedy.Step) bool { return s.Change == c.ID }) {
			continue
		}
		for _, what := range c.Lasting {
			if !deleteCreated || !strings.Contains(what, "--delete-created") {
				lines = append(lines, "  "+visible(c.ID+"  "+what))
			}
		}
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(w, "Rolled back.")
		return err
	}
	_, err := fmt.Fprintf(w, "Rolled back. What cannot be taken back:\n%s\n", strings.Join(lines, "\n"))
	return err
}

func remediateVerifyCommand() *cobra.Command {
	f := &auditFlags{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify PLAN",
		Short: "Audit again exactly what a plan touched",
		Long: `Audit again what a plan touched, compare the losses of the new jobs with those of the old, and say what still serves old
models. Exit code 1 if something is not as predicted, was not read, was not done, or was rolled back.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := readPlan(args[0])
			if err != nil {
				return err
			}
			records, err := remedy.ReadJournal(remedy.JournalName(args[0]))
			if err != nil {
				return err
			}
			if len(records) == 0 {
				return fmt.Errorf("the plan was not applied yet, or its journal, %s, is not beside it", remedy.JournalName(args[0]))
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			shown := newProgress(c.ErrOrStderr(), f.quiet)
			o.Collect.Progress = shown.step
			v, err := remediate.Verify(c.Context(), *o, p.plan, p.hash, records)
			shown.end()
			if err != nil {
				return planError(err)
			}
			if asJSON {
				err = writeJSON(c.OutOrStdout(), v)
			} else {
				err = printVerification(c.OutOrStdout(), v)
			}
			if err == nil && !v.Good() {
				return &exitError{code: 1}
			}
			return err
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	fl.BoolVar(&f.quiet, "quiet", false, "no progress")
	fl.StringArrayVar(&f.settings, "settings", nil, "rule profile: YAML file of severities and settings; repeat, later wins")
	f.failOn = "none"
	f.registerAccess(fl, remediateServices())
	return c
}

func printVerification(w io.Writer, v *remediate.Verification) error {
	var lines []string
	for _, one := range v.Verdicts {
		sign := "ok  "
		switch {
		case !one.Good():
			sign = "NOT "
		case one.Now != one.Predicted:
			sign = "now "
		}
		lines = append(lines, fmt.Sprintf("%s %s  %-10s (predicted %s)  %s\n       %s", sign, one.Rule, one.Now, one.Predicted, one.Resource, one.Message))
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Losses", v.Losses}, {"Still served", v.Serving}, {"Not read", v.Unread}, {"Not done", v.Open}} {
		if len(part.lines) > 0 {
			lines = append(lines, part.title+":")
			for _, line := range part.lines {
				lines = append(lines, "  "+line)
			}
		}
	}
	switch {
	case v.RolledBack:
		lines = append(lines, "The plan was rolled back.")
	case v.RollbackOpen:
		lines = append(lines, "The plan was rolled back in part; 'cloister remediate rollback' says what is left.")
	case v.Good():
		lines = append(lines, "The plan holds.")
	default:
		lines = append(lines, "The plan does not hold yet.")
	}
	_, err := fmt.Fprintln(w, visible(strings.Join(lines, "\n")))
	return err
}
