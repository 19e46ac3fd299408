package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

func muteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "mute",
		Short: "Accept findings for a time: add, list, test and prune mutes",
		Long: `A mute turns a FAIL into MUTED until it expires. Mutes are a YAML file, to keep under version control:

  version: 1
  mutes:
    - rule: MC-JOB-001
      resource: legacy-*            # ARN or name; * and ? as wildcards, the whole must match
      account: "123456789012"       # region, finding and tags can be named as well; all must match
      reason: trained before the VPC existed; data is public
      owner: ml-platform@example.com
      expires: 2027-03-31           # the last day; at most a year ahead

A mute that is malformed or has expired mutes nothing; every audit reports it, and those that match nothing.`,
	}
	c.AddCommand(muteAddCommand(), muteListCommand(), muteTestCommand(), mutePruneCommand())
	return c
}

func readMutes(file string) (*posture.Mutes, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m, err := posture.ParseMutes(text, time.Now())
	if err != nil {
		return nil, mistakeIn(file, err)
	}
	return m, nil
}

func muteAddCommand() *cobra.Command {
	var m posture.Mute
	var tags []string
	c := &cobra.Command{
		Use:     "add FILE",
		Short:   "Add a mute to a file, which is made if it does not exist",
		Example: "  cloister mute add mutes.yaml --rule MC-JOB-001 --resource 'legacy-*' --reason 'public data' --owner me@example.com --expires 2027-03-31",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			m.Tags = map[string]string{}
			for _, tag := range tags {
				key, value, ok := strings.Cut(tag, "=")
				if !ok {
					return usageErrorf("--tag %s: write KEY=VALUE", tag)
				}
				m.Tags[key] = value
			}
			if pack, err := posture.Load(); err != nil {
				return err
			} else if rules, err := pack.Select(m.Rule); err == nil && len(rules) == 1 {
				m.Rule = rules[0].ID
			} else if !strings.ContainsAny(m.Rule, "*?") {
				return usageErrorf("no rule %q; see 'cloister rules list'", m.Rule)
			}
			return addMute(args[0], &m)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&m.Rule, "rule", "", "rule id, alias or pattern")
	fl.StringVar(&m.Resource, "resource", "", "ARN or name, or a pattern")
	fl.StringVar(&m.Finding, "finding", "", "id of one finding")
	fl.StringVar(&m.Account, "account", "", "account id")
	fl.StringVar(&m.Region, "region", "", "region")
	fl.StringArrayVar(&tags, "tag", nil, "KEY=VALUE of the resource; repeat for and")
	fl.BoolVar(&m.Everywhere, "everywhere", false, "mute the rule altogether")
	fl.StringVar(&m.Reason, "reason", "", "why it is acceptable")
	fl.StringVar(&m.Owner, "owner", "", "who answers for it")
	fl.StringVar(&m.Expires, "expires", "", "last day, yyyy-mm-dd, at most a year ahead")
	return c
}

// addMute appends to a file without touching what is in it, comments included, and refuses what would be malformed.
func addMute(file string, m *posture.Mute) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(text)) == 0 {
		text = []byte("version: 1\nmutes: []\n")
	} else if err != nil {
		return err
	}
	before, err := posture.ParseMutes(text, time.Now())
	if err != nil {
		return mistakeIn(file, err)
	}
	var doc, entry yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return mistakeIn(file, err)
	}
	if err := entry.Encode(m); err != nil {
		return err
	}
	list := child(&doc, "mutes")
	if list == nil {
		return usageErrorf("%s has no list 'mutes:'", file)
	}
	list.Kind, list.Tag, list.Value, list.Style = yaml.SequenceNode, "!!seq", "", 0
	list.Content = append(list.Content, &entry)
	out, err := encodeYAML(&doc)
	if err != nil {
		return err
	}
	after, err := posture.ParseMutes(out, time.Now())
	if err != nil {
		return err
	}
	last := after.Mutes[len(after.Mutes)-1]
	if state := last.State(time.Now()); len(after.Mutes) != len(before.Mutes)+1 || state != "active" {
		return usageErrorf("the mute would be %s: nothing was written", state)
	}
	return writeFile(file, func(w io.Writer) error { _, err := w.Write(out); return err })
}

func encodeYAML(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

// child is the value of a key of a document's mapping.
func child(doc *yaml.Node, key string) *yaml.Node {
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value == key {
			return pairs[i+1]
		}
	}
	return nil
}

func muteListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list FILE",
		Short: "List the mutes of a file with their state",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := readMutes(args[0])
			if err != nil {
				return err
			}
			return listMutes(c.OutOrStdout(), m, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listMutes(w io.Writer, m *posture.Mutes, asJSON bool) error {
	type row struct {
		Line    int    `json:"line"`
		Rule    string `json:"rule"`
		What    string `json:"what"`
		Owner   string `json:"owner"`
		Expires string `json:"expires"`
		State   string `json:"state"`
	}
	rows := []row{}
	for _, one := range m.Mutes {
		what := strings.Join(strings.Fields(strings.Join([]string{one.Finding, one.Account, one.Region, one.Resource}, " ")), " ")
		rows = append(rows, row{one.Line(), ansi.Visible(one.Rule), ansi.Visible(what), ansi.Visible(one.Owner), ansi.Visible(one.Expires), ansi.Visible(one.State(time.Now()))})
	}
	if asJSON {
		return writeJSON(w, rows)
	}
	tab := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(tab, "LINE\tRULE\tWHAT\tOWNER\tEXPIRES\tSTATE"); err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(tab, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Line, r.Rule, r.What, r.Owner, r.Expires, r.State); err != nil {
			return err
		}
	}
	return tab.Flush()
}

func muteTestCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "test FILE --from REPORT",
		Short: "Show which findings of a saved report each mute names",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := readMutes(args[0])
			if err != nil {
				return err
			}
			r, err := loadReport(from)
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			for _, one := range m.Mutes {
				if _, err := fmt.Fprintf(w, "line %d: %s, %s\n", one.Line(), ansi.Visible(one.Rule), ansi.Visible(one.State(time.Now()))); err != nil {
					return err
				}
				for i := range r.Results {
					res := &r.Results[i]
					if (res.Status == posture.Fail || res.Status == posture.Muted) && one.Matches(res) {
						if _, err := fmt.Fprintf(w, "  %s %s %s %s\n", ansi.Visible(res.ID), ansi.Visible(res.Rule), ansi.Visible(res.Region), ansi.Visible(res.Name)); err != nil {
							return err
						}
					}
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", "", "saved report (JSON)")
	_ = c.MarkFlagRequired("from") // the flag is there
	return c
}

func mutePruneCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "prune FILE",
		Short: "Take expired mutes out of a file, and with --from those that match nothing",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := readMutes(args[0])
			if err != nil {
				return err
			}
			var results []posture.Result
			if from != "" {
				r, err := loadReport(from)
				if err != nil {
					return err
				}
				results = r.Results
			}
			n, err := pruneMutes(args[0], m, results, from != "")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d of %d mutes taken out\n", n, len(m.Mutes))
			return err
		},
	}
	c.Flags().StringVar(&from, "from", "", "saved report (JSON): mutes that match none of its findings go as well")
	return c
}

func pruneMutes(file string, m *posture.Mutes, results []posture.Result, unused bool) (int, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return 0, mistakeIn(file, err)
	}
	list := child(&doc, "mutes")
	if list == nil || len(list.Content) != len(m.Mutes) {
		return 0, nil
	}
	var kept []*yaml.Node
	for i, one := range m.Mutes {
		used := !unused
		for k := range results {
			res := &results[k]
			used = used || (res.Status == posture.Fail || res.Status == posture.Muted) && one.Matches(res)
		}
		state := one.State(time.Now())
		if state != "expired" && (used || state != "active") {
			kept = append(kept, list.Content[i])
		}
	}
	n := len(list.Content) - len(kept)
	if n == 0 {
		return 0, nil
	}
	list.Content = kept
	out, err := encodeYAML(&doc)
	if err != nil {
		return 0, err
	}
	return n, writeFile(file, func(w io.Writer) error { _, err := w.Write(out); return err })
}
