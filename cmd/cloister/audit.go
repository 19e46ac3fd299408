package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
	"example.com/cloister/internal/tape"
)

// auditFlags are the flags of 'cloister audit'.
type auditFlags struct {
	accessFlags
	regions, exclude []string

	cache  string
	record string
	redact bool
	replay string

	rules, excluded, groups, frameworks []string
	severities, statuses, jobs, tags    []string
	settings                            []string
	mutes, gaps, baseline               string
	failOn                              string

	reports []string
	quiet   bool
}

func auditCommand() *cobra.Command {
	f := &auditFlags{}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Audit what model customization touches in AWS accounts, Cloister or an emulator",
		Long: `Audit model customization: every job, and the network, key, buckets, base model, custom model and deployments
that it refers to, in every enabled region of the account of the default credential chain. Read calls only.

Nothing that could not be read counts as good: it is an ERROR that names the call, and the audit is incomplete.

Exit codes: 0 done; 1 failed; 2 wrong usage; 3 a FAIL at or above --fail-on that is not muted; 4 the audit is
incomplete (3 wins over 4).`,
		Example: `  cloister audit
  cloister audit --profile prod --report html=report.html --report sarif=report.sarif
  cloister audit --accounts accounts.yaml --fail-on high
  cloister audit --rule MC-JOB-001 --regions us-east-1,eu-west-1`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c)
	c.AddCommand(auditReportCommand(), auditDiffCommand(), auditExplainCommand(), iamPolicyCommand())
	return c
}

func (f *auditFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.SortFlags = false
	f.registerAccess(fl, collect.Services())
	fl.StringSliceVar(&f.regions, "regions", nil, "regions to read (default: every enabled one)")
	fl.StringSliceVar(&f.exclude, "exclude-regions", nil, "regions to leave out")
	fl.StringVar(&f.cache, "cache", "", "directory that keeps the records of ended jobs, and of models, between audits")
	fl.StringVar(&f.record, "record", "", "record what AWS answers in a new directory")
	fl.BoolVar(&f.redact, "redact", false, "with --record: other account ids in place of the real ones")
	fl.StringVar(&f.replay, "replay", "", "audit a recording, offline")
	fl.StringSliceVar(&f.rules, "rule", nil, "only these rules, by id or alias")
	fl.StringSliceVar(&f.excluded, "exclude-rule", nil, "not these rules")
	fl.StringSliceVar(&f.groups, "group", nil, "only these groups: job, net, kms, s3, mod, imp, log, lif")
	fl.StringSliceVar(&f.frameworks, "framework", nil, "only rules that support these frameworks, such as nist-800-53r5")
	fl.StringSliceVar(&f.severities, "severity", nil, "only results of these severities")
	fl.StringSliceVar(&f.statuses, "status", nil, "show only results of these statuses; coverage and exit code stay those of all")
	fl.StringSliceVar(&f.jobs, "job", nil, "only results of these jobs, by name or ARN")
	fl.StringArrayVar(&f.tags, "tag", nil, "only results of resources with this tag, KEY=VALUE or KEY; repeat for and")
	fl.StringArrayVar(&f.settings, "settings", nil, "rule profile: YAML file of severities and settings; repeat, later wins")
	fl.StringVar(&f.mutes, "mutes", "", "file of mutes; see 'cloister mute --help'")
	fl.StringVar(&f.gaps, "accepted-gaps", "", "file of reads that are known to fail; they make no audit incomplete")
	fl.StringVar(&f.baseline, "baseline", "", "earlier report (JSON) to compare with")
	fl.StringVar(&f.failOn, "fail-on", "medium", "least severity that makes exit code 3: low, medium, high, very-high, extreme or none")
	fl.StringArrayVar(&f.reports, "report", nil, "FORMAT=FILE, '-' for standard output; repeat. Formats: "+strings.Join(report.Formats(), ", "))
	fl.BoolVar(&f.quiet, "quiet", false, "no progress")
}

func (f *auditFlags) run(c *cobra.Command) error {
	o, err := f.options(c)
	if err != nil {
		return err
	}
	outputs, err := parseOutputs(f.reports)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // small memory is worth a little time: audits run beside other things
		debug.SetGCPercent(25)
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	shown := newProgress(c.ErrOrStderr(), f.quiet)
	o.Collect.Progress = shown.step
	outcome, err := audit.Run(ctx, *o)
	shown.end()
	if err != nil {
		if ctx.Err() != nil {
			return &exitError{1, "stopped before anything was read: no report was written"}
		}
		return err
	}
	if err := writeOutputs(c.OutOrStdout(), outputs, outcome.Report); err != nil {
		return err
	}
	if outcome.ExitCode != 0 {
		return &exitError{code: outcome.ExitCode}
	}
	return nil
}

// options turns the flags into an audit's options.
func (f *auditFlags) options(c *cobra.Command) (*audit.Options, error) {
	o := &audit.Options{Tool: posture.Tool{Name: "cloister", Version: version}}
	var err error
	if o.Pack, err = loadPack(f.settings); err != nil {
		return nil, err
	}
	if o.Rules, err = o.Pack.Choose(f.rules, f.excluded, f.groups, f.frameworks); err != nil {
		return nil, usageErrorf("%v; see 'cloister rules list'", err)
	}
	if o.FailOn, err = parseFailOn(f.failOn); err != nil {
		return nil, err
	}
	if o.Selection, err = f.selection(); err != nil {
		return nil, err
	}
	if o.Collect, err = f.collection(c); err != nil {
		return nil, err
	}
	return o, f.files(o)
}

func (f *auditFlags) collection(c *cobra.Command) (collect.Options, error) {
	o, err := f.access(c)
	if err != nil {
		return o, err
	}
	o.Regions, o.Exclude, o.CacheDir = f.regions, f.exclude, f.cache
	if f.record != "" && f.replay != "" || f.redact && f.record == "" {
		return o, usageErrorf("--record and --replay exclude each other, and --redact needs --record")
	}
	for _, flag := range []string{"profile", "region", "role-arn", "accounts", "org", "endpoint", "cache"} {
		if f.replay != "" && c.Flags().Changed(flag) {
			return o, usageErrorf("--replay audits a recording, offline: --%s has no meaning with it", flag)
		}
	}
	if f.cache != "" {
		if err := makeWritable(f.cache); err != nil {
			return o, usageErrorf("--cache: %v", err)
		}
	}
	return o, f.tape(&o)
}

// makeWritable makes a directory and says whether files can be written there.
func makeWritable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (f *auditFlags) tape(o *collect.Options) error {
	var err error
	if f.record != "" {
		o.Recorder, err = tape.Record(f.record, f.redact)
		return err
	}
	if f.replay != "" {
		o.Manifest = &collect.Manifest{}
		o.Player, err = tape.Play(f.replay, o.Manifest)
	}
	return err
}

func (f *auditFlags) selection() (posture.Selection, error) {
	s := posture.Selection{Jobs: f.jobs, Tags: map[string]string{}}
	for _, name := range f.severities {
		severity := posture.Severity(strings.ToLower(name))
		if severity.Rank() == 0 {
			return s, usageErrorf("--severity %s: the severities are %s", name, join(posture.Severities()))
		}
		s.Severities = append(s.Severities, severity)
	}
	for _, name := range f.statuses {
		status := posture.Status(strings.ReplaceAll(strings.ToUpper(name), "-", "_"))
		if !strings.Contains(" "+join(posture.Statuses())+",", " "+string(status)+",") {
			return s, usageErrorf("--status %s: the statuses are %s", name, join(posture.Statuses()))
		}
		s.Statuses = append(s.Statuses, status)
	}
	for _, tag := range f.tags {
		key, value, _ := strings.Cut(tag, "=")
		if key == "" {
			return s, usageErrorf("--tag %s: write KEY=VALUE or KEY", tag)
		}
		s.Tags[key] = value
	}
	return s, nil
}

// files reads mutes, accepted gaps and baseline.
func (f *auditFlags) files(o *audit.Options) error {
	if f.mutes != "" {
		text, err := os.ReadFile(f.mutes)
		if err != nil {
			return usageErrorf("--mutes: %v", err)
		}
		if o.Mutes, err = posture.ParseMutes(text, o.Collect.Now()); err != nil {
			return mistakeIn(f.mutes, err)
		}
	}
	if f.gaps != "" {
		text, err := os.ReadFile(f.gaps)
		if err != nil {
			return usageErrorf("--accepted-gaps: %v", err)
		}
		if o.Gaps, err = posture.ParseGaps(text, o.Collect.Now()); err != nil {
			return mistakeIn(f.gaps, err)
		}
	}
	if f.baseline != "" {
		before, err := loadReport(f.baseline)
		if err != nil {
			return usageErrorf("--baseline: %v", err)
		}
		o.Baseline = before
	}
	return nil
}

// mistakeIn says in one line what is wrong with a YAML file; its errors have a line for each mistake, with names of types.
func mistakeIn(file string, err error) error {
	var words []string
	for line := range strings.Lines(err.Error()) {
		what, _, _ := strings.Cut(line, " in type ")
		words = append(words, strings.Fields(what)...)
	}
	return usageErrorf("%s: %s", file, strings.Join(words, " "))
}

func parseFailOn(name string) (posture.Severity, error) {
	severity := posture.Severity(strings.ToLower(name))
	switch {
	case severity == "none":
		return "", nil
	case severity.Rank() == 0:
		return "", usageErrorf("--fail-on %s: write %s or none", name, join(posture.Severities()))
	}
	return severity, nil
}

func join[S ~string](values []S) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}

// loadPack is the built-in pack under rule profiles.
func loadPack(profiles []string) (*posture.Pack, error) {
	pack, err := posture.Load()
	if err != nil {
		return nil, err
	}
	for _, file := range profiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usageErrorf("--settings: %v", err)
		}
		if pack, err = pack.WithProfile(file, text); err != nil {
			return nil, usageErrorf("%v", err)
		}
	}
	return pack, nil
}

// loadReport reads a saved report.
func loadReport(file string) (*posture.Report, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	r, err := report.Load(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

var errNoCode = errors.New("no MFA code was given")
