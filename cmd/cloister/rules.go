package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/handbook"
	"example.com/cloister/internal/posture"
)

func rulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Show the auditor's rules: why, how to check, how to fix",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(rulesListCommand(), rulesShowCommand(), rulesLintCommand(), rulesSiteCommand())
	return c
}

// ruleFilter chooses rules; what is empty chooses all.
type ruleFilter struct {
	groups, severities, frameworks []string
}

func (f *ruleFilter) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.groups, "group", nil, "only rules of these groups, such as JOB or NET")
	c.Flags().StringSliceVar(&f.severities, "severity", nil, "only rules of these severities: low, medium, high, very-high, extreme")
	c.Flags().StringSliceVar(&f.frameworks, "framework", nil, "only rules that support these frameworks, such as nist-800-53r5")
}

// choose gives the rules that every flag lets through.
func (f *ruleFilter) choose(rules []*posture.Rule) ([]*posture.Rule, error) {
	var groups, frameworks []string
	for _, g := range posture.Groups() {
		groups = append(groups, g.ID)
	}
	for _, one := range posture.Frameworks() {
		frameworks = append(frameworks, one.ID)
	}
	for i, g := range f.groups {
		f.groups[i] = strings.ToUpper(g)
	}
	var severities []string
	for _, s := range posture.Severities() {
		severities = append(severities, string(s))
	}
	for _, check := range []struct {
		flag         string
		given, known []string
	}{{"group", f.groups, groups}, {"severity", f.severities, severities}, {"framework", f.frameworks, frameworks}} {
		for _, value := range check.given {
			if !slices.Contains(check.known, value) {
				return nil, usageErrorf("--%s %q: it is one of %s", check.flag, value, strings.Join(check.known, ", "))
			}
		}
	}
	chosen := []*posture.Rule{}
	for _, r := range rules {
		supports := slices.ContainsFunc(f.frameworks, func(id string) bool { return len(r.Maps[id]) > 0 })
		if (len(f.groups) == 0 || slices.Contains(f.groups, r.Group())) &&
			(len(f.severities) == 0 || slices.Contains(f.severities, string(r.Severity))) &&
			(len(f.frameworks) == 0 || supports) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}

// ruleSummary is a rule in the JSON of lists.
type ruleSummary struct {
	ID           string           `json:"id"`
	Version      int              `json:"version"`
	Aliases      []string         `json:"aliases,omitempty"`
	Title        string           `json:"title"`
	Severity     posture.Severity `json:"severity"`
	Obligation   string           `json:"obligation"`
	Group        string           `json:"group"`
	Pillar       string           `json:"pillar"`
	Resource     string           `json:"resource"`
	Needs        string           `json:"needs"`
	Reads        []string         `json:"reads"` // with those of the rules it uses
	Uses         []string         `json:"uses,omitempty"`
	Settings     map[string]any   `json:"settings,omitempty"`
	Fix          string           `json:"fix"`
	Supersedable bool             `json:"supersedable"`
	Frameworks   []string         `json:"frameworks"`
}

func summary(r *posture.Rule) ruleSummary {
	frameworks := slices.Sorted(maps.Keys(r.Maps))
	if frameworks == nil {
		frameworks = []string{}
	}
	return ruleSummary{
		ID: r.ID, Version: r.Version, Aliases: r.Aliases, Title: r.Title, Severity: r.Severity, Obligation: r.Obligation,
		Group: r.Group(), Pillar: r.Pillar, Resource: r.Resource, Needs: r.Needs, Reads: r.AllReads(), Uses: r.Uses,
		Settings: r.Effective(), Fix: r.Fix.Class, Supersedable: r.Supersedable, Frameworks: frameworks,
	}
}

func rulesListCommand() *cobra.Command {
	var asJSON bool
	var filter ruleFilter
	c := &cobra.Command{
		Use:   "list",
		Short: "List the rules",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			pack, err := posture.Load()
			if err != nil {
				return err
			}
			all, err := pack.Select()
			if err != nil {
				return err
			}
			rules, err := filter.choose(all)
			if err != nil {
				return err
			}
			if asJSON {
				list := make([]ruleSummary, len(rules))
				for i, r := range rules {
					list[i] = summary(r)
				}
				return writeJSON(c.OutOrStdout(), list)
			}
			return ruleTable(c.OutOrStdout(), rules)
		},
	}
	filter.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// ruleTable prints rules within 80 columns; long titles go on below themselves.
func ruleTable(w io.Writer, rules []*posture.Rule) error {
	const columns = 80 - len("MC-JOB-001  very-high  FIX  ")
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s  %-9s  %-3s  %s\n", "ID", "SEVERITY", "FIX", "TITLE")
	for _, r := range rules {
		id, severity, class, line := r.ID, string(r.Severity), r.Fix.Class, ""
		for _, word := range append(strings.Fields(r.Title), "") { // the last word flushes
			if line != "" && (word == "" || len(line)+1+len(word) > columns) {
				fmt.Fprintf(&b, "%-10s  %-9s  %-3s  %s\n", id, severity, class, line)
				id, severity, class, line = "", "", "", ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func rulesShowCommand() *cobra.Command {
	var asJSON bool
	var profiles []string
	c := &cobra.Command{
		Use:   "show RULE",
		Short: "Show a rule: why, how to check and how to fix, by console and command line",
		Long: `Show a rule, by its id (MC-JOB-001), without MC-, or by an alias of another product (Bedrock-014). An alias of
several rules shows them all.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			pack, err := loadPack(profiles)
			if err != nil {
				return err
			}
			rules, err := pack.Select(args[0])
			if err != nil {
				return usageErrorf("%v: 'cloister rules list' shows them", err)
			}
			out := c.OutOrStdout()
			if asJSON {
				reports := make([]posture.RuleReport, len(rules))
				for i, r := range rules {
					reports[i] = r.Report()
				}
				return writeJSON(out, reports)
			}
			o := terminal(out)
			for i, r := range rules {
				if i > 0 {
					if _, err := fmt.Fprintln(out); err != nil {
						return err
					}
				}
				if err := handbook.Explain(out, r.Report(), nil, o.Width, o.Color); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list, since an alias may name several rules")
	c.Flags().StringArrayVar(&profiles, "settings", nil, "rule profile that changes severities and settings; of several the last wins")
	return c
}

func rulesLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint [FILE...]",
		Short: "Check rule profiles; without a file, the built-in rules",
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if len(args) == 0 {
				pack, err := posture.Load()
				if err != nil {
					return err
				}
				problems := pack.Lint(time.Now())
				for _, p := range problems {
					if _, err := fmt.Fprintln(out, p); err != nil {
						return err
					}
				}
				if len(problems) > 0 {
					return &exitError{1, fmt.Sprintf("%d problems in the built-in rules", len(problems))}
				}
				_, err = fmt.Fprintf(out, "%d rules: ok\n", len(pack.Rules))
				return err
			}
			broken := 0
			for _, file := range args {
				if _, err := loadPack([]string{file}); err != nil {
					broken++
					if _, err := fmt.Fprintln(out, err); err != nil {
						return err
					}
					continue
				}
				if _, err := fmt.Fprintln(out, file+": ok"); err != nil {
					return err
				}
			}
			if broken > 0 {
				return &exitError{1, fmt.Sprintf("%d of %d profiles have mistakes", broken, len(args))}
			}
			return nil
		},
	}
}

func rulesSiteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "site DIR",
		Short: "Write the rules as static web pages that load nothing",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			pack, err := posture.Load()
			if err != nil {
				return err
			}
			names, err := handbook.Site(args[0], pack)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d pages in %s; begin with index.html\n", len(names), args[0])
			return err
		},
	}
}
