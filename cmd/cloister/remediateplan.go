package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

// planFlags are the flags of 'cloister remediate plan'.
type planFlags struct {
	auditFlags
	o        remediate.Options
	findings string
	out      string
	action   string
	setTags  []string
}

func remediatePlanCommand() *cobra.Command {
	f := &planFlags{}
	c := &cobra.Command{
		Use:   "plan -o PLAN",
		Short: "Plan what mends findings; calls nothing that changes anything",
		Long: `Plan what mends the findings of rules, or of a saved report. A job without a VPC or a customer managed key is made again: with
its role, base model, data, output, hyperparameters and tags, in the VPC and under the key. Nothing is guessed: what is
not said is asked for.

The plan is a file of canonical JSON (RFC 8785). Its SHA-256 is the hash that 'remediate apply' wants.

Rules that a plan can mend: ` + strings.Join(remediate.Mends(), ", ") + `.`,
		Example: `  cloister remediate plan --rule MC-JOB-001 --vpc vpc-0abc… --kms-key arn:aws:kms:… -o plan.json
  cloister remediate plan --findings report.json --subnets subnet-0a…,subnet-0b… --security-groups sg-0c… -o plan.json
  cloister remediate plan --rule MC-JOB-001 --action stop -o stop.json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c)
	return c
}

func (f *planFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVarP(&f.out, "output", "o", "", "file for the plan")
	fl.StringSliceVar(&f.rules, "rule", nil, "findings of these rules, by id or alias")
	fl.StringSliceVar(&f.jobs, "job", nil, "only findings of these jobs, by name or ARN")
	fl.StringVar(&f.findings, "findings", "", "saved report (JSON): its findings, as far as they still fail")
	fl.IntVar(&f.o.MostChanges, "max-changes", 10, "most changes of a plan")
	fl.StringSliceVar(&f.o.VPCs, "vpc", nil, "VPC for new jobs: one private subnet of each zone; at most one in each region")
	fl.StringSliceVar(&f.o.Subnets, "subnets", nil, "subnets for new jobs, instead of --vpc")
	fl.StringSliceVar(&f.o.Groups, "security-groups", nil, "security groups for new jobs, by id, with --vpc also by name (default: the VPC's only one that is not its default)")
	fl.StringSliceVar(&f.o.Keys, "kms-key", nil, "customer managed key for jobs without one; one in each region")
	fl.BoolVar(&f.o.KeepServiceKey, "keep-service-key", false, "leave jobs that have no customer managed key without one")
	fl.StringVar(&f.o.Role, "role", "", "role for new jobs (default: the old job's)")
	fl.BoolVar(&f.o.IncludeFailed, "include-failed", false, "make Failed and Stopped jobs again too")
	fl.Float64Var(&f.o.MostLoss, "max-loss-increase", 0.1, "by which part of the old loss the new one may be higher")
	fl.BoolVar(&f.o.SwitchServing, "switch-serving", false, "let deployments and provisioned throughputs serve the new models, as the last steps")
	fl.StringVar(&f.action, "action", "", "'stop': stop running jobs that fail the rules, instead of mending")
	fl.StringArrayVar(&f.setTags, "set-tag", nil, "KEY=VALUE for tags that MC-JOB-008 and MC-MOD-007 miss; repeat")
	fl.StringVar(&f.o.LogBucket, "log-bucket", "", "bucket for access logs (MC-S3-006)")
	fl.StringVar(&f.o.FlowLogDestination, "flow-log-destination", "", "ARN of a bucket or log group for flow logs (MC-NET-007)")
	fl.StringVar(&f.o.FlowLogRole, "flow-log-role", "", "ARN of the role that writes flow logs to a log group")
	fl.StringVar(&f.o.InvocationBucket, "invocation-log-bucket", "", "bucket for invocation logs (MC-LOG-001)")
	fl.StringVar(&f.o.InvocationGroup, "invocation-log-group", "", "log group for invocation logs")
	fl.StringVar(&f.o.InvocationRole, "invocation-log-role", "", "ARN of the role that writes invocation logs to a log group")
	fl.StringVar(&f.o.Trail, "trail", "", "trail to change (MC-LOG-003, MC-LOG-004), where there are several")
	fl.StringSliceVar(&f.regions, "regions", nil, "regions to read (default: every enabled one)")
	fl.StringSliceVar(&f.exclude, "exclude-regions", nil, "regions to leave out")
	fl.StringArrayVar(&f.settings, "settings", nil, "rule profile: YAML file of severities and settings; repeat, later wins")
	fl.StringVar(&f.mutes, "mutes", "", "file of mutes: what is muted is not mended")
	fl.BoolVar(&f.quiet, "quiet", false, "no progress, and no text of the plan")
	f.failOn = "none"
	f.registerAccess(fl, remediateServices())
}

func (f *planFlags) run(c *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.findings != "" {
		r, err := loadReport(f.findings)
		if err != nil {
			return usageErrorf("--findings: %v", err)
		}
		f.o.Findings = map[string]posture.Result{}
		for i := range r.Results {
			if r.Results[i].Status == posture.Fail {
				f.o.Findings[r.Results[i].ID] = r.Results[i]
			}
		}
	}
	audit, err := f.options(c)
	if err != nil {
		return err
	}
	f.o.Audit = *audit
	shown := newProgress(c.ErrOrStderr(), f.quiet)
	f.o.Audit.Collect.Progress = shown.step
	plan, err := remediate.Plan(c.Context(), f.o)
	shown.end()
	if err != nil {
		return err
	}
	text, err := plan.Encode()
	if err != nil {
		return err
	}
	if _, err := remedy.Parse(text); err != nil { // what is written can be applied
		return err
	}
	if err := writeFile(f.out, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return fmt.Errorf("plan %s: %w", f.out, err)
	}
	if !f.quiet {
		o := terminal(c.OutOrStdout())
		if err := remedy.Show(c.OutOrStdout(), plan, remedy.Hash(text), remedy.ShowOptions{Color: o.Color, Width: o.Width, File: f.out}); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(c.OutOrStdout(), remedy.Hash(text)); err != nil {
		return err
	}
	if len(plan.Refused()) > 0 {
		return &exitError{1, "the plan is refused: see its checks"}
	}
	return nil
}

// check finds what cannot be meant.
func (f *planFlags) check() error {
	switch {
	case f.out == "":
		return usageErrorf("-o: name a file for the plan")
	case f.out == "-":
		return usageErrorf("-o -: a plan needs a file, beside which its journal is written; 'remediate show --emit json' prints it")
	case len(f.rules) == 0 && f.findings == "":
		return usageErrorf("name findings: --rule ID, or --findings REPORT")
	case len(f.o.VPCs) > 0 && len(f.o.Subnets) > 0:
		return usageErrorf("--vpc and --subnets exclude each other")
	case len(f.o.Subnets) > 0 && len(f.o.Groups) == 0:
		return usageErrorf("--subnets needs --security-groups")
	case len(f.o.Keys) > 0 && f.o.KeepServiceKey:
		return usageErrorf("--kms-key and --keep-service-key exclude each other")
	case f.o.MostChanges < 1:
		return usageErrorf("--max-changes must be positive")
	case !(f.o.MostLoss >= 0 && f.o.MostLoss < 1000):
		return usageErrorf("--max-loss-increase must be from 0 to 1000")
	case f.o.Role != "" && !roleARN.MatchString(f.o.Role):
		return usageErrorf("--role %s: give the ARN of a role", f.o.Role)
	case f.action != "" && f.action != "stop":
		return usageErrorf("--action %s: it can only be stop", f.action)
	}
	f.o.Stop = f.action == "stop"
	f.o.Tags = map[string]string{}
	for _, tag := range f.setTags {
		key, value, ok := strings.Cut(tag, "=")
		if f.o.Tags[key] != "" || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return usageErrorf("--set-tag %s: each key once, and none that begins with aws:", tag)
		}
		if !ok || !tagText.MatchString(key) || !tagText.MatchString(value) {
			return usageErrorf("--set-tag %s: write KEY=VALUE, with letters, digits, spaces and . _ : / = + @ -", tag)
		}
		f.o.Tags[key] = value
	}
	if info, err := os.Stat(remedy.JournalName(f.out)); err == nil && info.Size() > 0 {
		return usageErrorf("-o %s: a plan of that name was applied already, its journal %s is there; choose another name", f.out, remedy.JournalName(f.out))
	}
	if err := writable(f.out); err != nil {
		return usageErrorf("-o: %v", err)
	}
	return nil
}

// tagText is what keys and values of tags may be.
// Source: Amazon Bedrock API Reference, Tag.
var tagText = regexp.MustCompile(`^[a-zA-Z0-9\s._:/=+@-]+$`)

var roleARN = regexp.MustCompile(`^arn:[a-z-]+:iam::[0-9]{12}:role/.+$`)

// steps prints what a runner does: one line each, and on a terminal a line that follows a job that is waited for.
type steps struct {
	w     io.Writer
	quiet bool

	mu   sync.Mutex // guards what follows
	last time.Time
	open bool // a line without an end
}

// pausesBetween is how often a log is told that a job still runs.
const pausesBetween = time.Minute

func (s *steps) event(e remedy.Event) {
	if s.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := e.Step.ID + "  " + e.Step.Text
	f, ok := s.w.(*os.File)
	live := ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb"
	if s.open {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K") // progress is not worth failing for
		s.open = false
	}
	switch e.What {
	case "wait":
		if live {
			_, _ = fmt.Fprint(s.w, visible(text+": "+e.Text))
			s.open = true
		} else if now := time.Now(); now.Sub(s.last) >= pausesBetween {
			s.last = now
			_, _ = fmt.Fprintln(s.w, visible(text+": "+e.Text))
		}
	case "begin":
		_, _ = fmt.Fprintln(s.w, visible(text))
	default:
		line := text + ": " + e.What
		if e.Text != "" {
			line += " (" + e.Text + ")"
		}
		_, _ = fmt.Fprintln(s.w, visible(line))
	}
}
