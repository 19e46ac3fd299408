package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/handbook"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
)

func auditReportCommand() *cobra.Command {
	var reports []string
	c := &cobra.Command{
		Use:     "report FILE",
		Short:   "Make other formats of a saved report",
		Example: "  cloister audit report report.json --report html=report.html --report csv=report.csv",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			outputs, err := parseOutputs(reports)
			if err != nil {
				return err
			}
			r, err := loadReport(args[0])
			if err != nil {
				return err
			}
			if len(reports) > 0 && !strings.Contains(strings.Join(reports, " ")+" ", "=- ") {
				outputs = outputs[:len(outputs)-1] // files were asked for, not text
			}
			return writeOutputs(c.OutOrStdout(), outputs, r)
		},
	}
	c.Flags().StringArrayVar(&reports, "report", nil, "FORMAT=FILE, '-' for standard output; repeat. Formats: "+strings.Join(report.Formats(), ", "))
	return c
}

func auditDiffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "Compare two saved reports: new, fixed, regressed, changed, rule-changed",
		Args:  usageArgs(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			before, err := loadReport(args[0])
			if err != nil {
				return err
			}
			after, err := loadReport(args[1])
			if err != nil {
				return err
			}
			differences := posture.Diff(before, after)
			if asJSON {
				if differences == nil {
					differences = []posture.Difference{}
				}
				return writeJSON(c.OutOrStdout(), differences)
			}
			return printDiff(c.OutOrStdout(), differences)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printDiff(w io.Writer, differences []posture.Difference) error {
	if len(differences) == 0 {
		_, err := fmt.Fprintln(w, "nothing has changed")
		return err
	}
	for _, d := range differences {
		r := d.After
		was, is := "-", "gone"
		if d.Before != nil {
			was = string(d.Before.Status)
		}
		if r == nil {
			r = d.Before
		} else {
			is = string(r.Status)
		}
		_, err := fmt.Fprintf(w, "%-12s %s -> %s  %s %s  %s %s (%s)\n", d.Change, was, is, ansi.Visible(r.Rule), ansi.Visible(r.ID), ansi.Visible(r.Region), ansi.Visible(r.Name), ansi.Visible(r.Account))
		if err != nil {
			return err
		}
	}
	return nil
}

func auditExplainCommand() *cobra.Command {
	var finding, from string
	c := &cobra.Command{
		Use:   "explain RULE",
		Short: "Explain a rule, or one finding of a saved report: why, what decided, the fix, the hazards",
		Example: `  cloister audit explain MC-JOB-001
  cloister audit explain MC-JOB-001 --finding mc-0123456789abcdef --from report.json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			pack, err := posture.Load()
			if err != nil {
				return err
			}
			rules, err := pack.Select(args[0])
			if err != nil {
				return usageErrorf("%v; see 'cloister rules list'", err)
			}
			rule := rules[0].Report()
			var result *posture.Result
			if finding != "" {
				if from == "" {
					return usageErrorf("--finding needs --from FILE, the report that has it: save one with 'cloister audit --report json=report.json'")
				}
				if rule, result, err = findResult(from, rule, finding); err != nil {
					return err
				}
			}
			o := terminal(c.OutOrStdout())
			return handbook.Explain(c.OutOrStdout(), rule, result, o.Width, o.Color)
		},
	}
	c.Flags().StringVar(&finding, "finding", "", "id of a finding of --from")
	c.Flags().StringVar(&from, "from", "", "saved report (JSON)")
	return c
}

// findResult finds a finding, and the rule as the report's audit had it.
func findResult(file string, rule posture.RuleReport, finding string) (posture.RuleReport, *posture.Result, error) {
	r, err := loadReport(file)
	if err != nil {
		return rule, nil, err
	}
	for i := range r.Results {
		if r.Results[i].ID != finding || r.Results[i].Rule != rule.ID {
			continue
		}
		for _, one := range r.Rules {
			if one.ID == rule.ID {
				rule = one
			}
		}
		return rule, &r.Results[i], nil
	}
	return rule, nil, usageErrorf("%s has no finding %s of %s", file, finding, rule.ID)
}
