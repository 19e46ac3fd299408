package report

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// row is one result in the page. The details are few elements with much text each: a browser holds 25,000 of them.
type row struct {
	Class, ID, Status, StatusText, Severity, SeverityText string
	Rule, Account, Region, Name, Message, Change          string
	Identity, Unread, Facts, Evidence, Commands, Explain  string
}

// rowsOf makes the rows one after the other.
func rowsOf(r *posture.Report) iter.Seq[row] {
	return func(yield func(row) bool) {
		for i := range r.Results {
			if !yield(rowOf(&r.Results[i])) {
				return
			}
		}
	}
}

func rowOf(one *posture.Result) row {
	change := one.Change
	if change == "same" {
		change = ""
	}
	return row{
		Class: statusClass(one.Status), ID: ansi.Visible(one.ID), Status: string(one.Status), StatusText: statusLabel(one.Status),
		Severity: string(one.Severity), SeverityText: strings.ReplaceAll(string(one.Severity), "-", " "), Rule: ansi.Visible(one.Rule),
		Account: ansi.Visible(one.Account), Region: ansi.Visible(one.Region), Name: ansi.Visible(resourceName(one)), Message: ansi.Visible(one.Message),
		Change: ansi.Visible(change), Identity: identity(one), Unread: unreadLines(one.Unread), Facts: factLines(one.Facts),
		Evidence: evidenceLines(one.Evidence), Commands: commandLines(one.Commands), Explain: explain(one),
	}
}

// identity is what a result is about, a line each, the values in one column.
func identity(one *posture.Result) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + strings.Repeat(" ", 14-len(name)) + ansi.Visible(value) + "\n")
		}
	}
	line("result", one.ID)
	line("resource", one.Resource)
	line("type", one.Type)
	line("part", one.Discriminator)
	line("jobs", strings.Join(one.Jobs, ", "))
	for _, key := range slices.Sorted(maps.Keys(one.Tags)) {
		line("tag", key+" = "+one.Tags[key])
	}
	if !one.FirstSeen.IsZero() {
		line("first seen", stamp(one.FirstSeen))
	}
	if !one.LastChanged.IsZero() {
		line("last changed", stamp(one.LastChanged))
	}
	if one.Mute != nil {
		line("muted", "until "+one.Mute.Expires+" by "+one.Mute.Owner+": "+one.Mute.Reason)
	}
	line("superseded by", one.SupersededBy)
	if one.Accepted {
		line("accepted", "the accepted-gaps file names what is missing")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func unreadLines(list []*posture.Unread) string {
	lines := make([]string, len(list))
	for i, u := range list {
		lines[i] = unreadLine(u)
	}
	return strings.Join(lines, "\n")
}

// factLines is the facts as indented JSON, a line for each member.
func factLines(facts posture.Facts) string {
	if len(facts) == 0 {
		return ""
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // markup does
	enc.SetIndent("", "  ")
	if err := enc.Encode(facts); err != nil {
		return "facts that are no JSON: " + ansi.Visible(err.Error())
	}
	return strings.TrimSpace(string(escapeJSON(nil, text.Bytes())))
}

func evidenceLines(list []*posture.Source) string {
	lines := make([]string, len(list))
	for i, s := range list {
		parts := []string{ansi.Visible(s.Operation), ansi.Visible(strings.TrimSpace(s.Account + " " + s.Region))}
		if s.Resource != "" {
			parts = append(parts, ansi.Visible(s.Resource))
		}
		if !s.Time.IsZero() {
			parts = append(parts, stamp(s.Time))
		}
		if s.RequestID != "" {
			parts = append(parts, "request "+ansi.Visible(s.RequestID))
		}
		lines[i] = strings.Join(parts, "  ")
	}
	return strings.Join(lines, "\n")
}

func commandLines(list []string) string {
	lines := make([]string, len(list))
	for i, command := range list {
		lines[i] = visibleLines(command)
	}
	return strings.Join(lines, "\n")
}

// filter is a choice of the page; a key is a data attribute of rows.
type filter struct {
	Key, Label string
	Options    []option
}

type option struct{ Value, Text string }

// filters offers the values that occur, with how often: verdicts and severities the worst first, others sorted.
func filters(r *posture.Report) []filter {
	n := [5]map[string]int{{}, {}, {}, {}, {}}
	for i := range r.Results {
		one := &r.Results[i]
		for k, value := range []string{string(one.Status), string(one.Severity), one.Rule, one.Account, one.Region} {
			n[k][value]++
		}
	}
	names := map[string]string{}
	for _, a := range r.Accounts {
		names[a.ID] = a.Name
	}
	var statuses, severities []string
	for _, status := range posture.Statuses() {
		statuses = append(statuses, string(status))
	}
	for _, severity := range slices.Backward(posture.Severities()) {
		severities = append(severities, string(severity))
	}
	return []filter{
		{"s", "Verdict", options(statuses, n[0], nil)},
		{"v", "Severity", options(severities, n[1], nil)},
		{"r", "Rule", options(slices.Sorted(maps.Keys(n[2])), n[2], nil)},
		{"a", "Account", options(slices.Sorted(maps.Keys(n[3])), n[3], names)},
		{"g", "Region", options(slices.Sorted(maps.Keys(n[4])), n[4], nil)},
	}
}

func options(values []string, n map[string]int, names map[string]string) []option {
	var list []option
	for _, value := range values {
		if n[value] == 0 {
			continue
		}
		text := value
		if names[value] != "" {
			text += " " + names[value]
		}
		list = append(list, option{ansi.Visible(value), ansi.Visible(text) + " (" + thousands(n[value]) + ")"})
	}
	return list
}
