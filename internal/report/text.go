package report

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// terminal writes wrapped lines. After an error it writes nothing; err has it.
type terminal struct {
	ansi.Printer
	width int
}

// line writes text at an indentation, in a style, wrapped with a hanging indentation of two more columns.
func (t *terminal) line(indent int, style, text string) {
	hang := indent
	for _, part := range ansi.Wrap(text, t.width-indent-2) {
		if !t.Color || style == ansi.Plain {
			t.Print(strings.Repeat(" ", hang), part, "\n")
		} else {
			t.Print(strings.Repeat(" ", hang), style, part, ansi.Reset, "\n")
		}
		hang = indent + 2
	}
}

// heading opens a section.
func (t *terminal) heading(style, text string) {
	t.Blank()
	t.line(0, style, text)
}

func writeText(w *bufio.Writer, r *posture.Report, o Options) error {
	t := &terminal{Printer: ansi.Printer{W: w, Color: o.Color}, width: o.Width}
	if t.width == 0 {
		t.width = DefaultWidth
	}
	t.width = max(t.width, MinWidth)

	t.line(0, ansi.Bold, fmt.Sprintf("%s audit %s, started %s, %s, %s", ansi.Visible(r.Tool.Name), ansi.Visible(r.Tool.Version),
		stamp(r.Started), duration(r.Seconds), plural(r.Calls, "call")))
	textCoverage(t, r)
	textAccounts(t, r)
	textFails(t, r)
	textErrors(t, r)
	textList(t, "NOTES", r.Notes)
	textList(t, "ASSUMPTIONS", r.Assumptions)
	textTotals(t, r)
	return t.Err
}

func textCoverage(t *terminal, r *posture.Report) {
	t.Blank()
	style, unread := ansi.Green, "; everything was read"
	operations := unreadOperations(r)
	switch {
	case len(operations) > 0:
		style, unread = ansi.Yellow, "; unread: "+few(operations)
	case !allRead(r):
		style, unread = ansi.Yellow, "; not everything was read"
	}
	t.line(0, style, "Evaluated "+evaluated(r)+unread)
}

// allRead says that every account and region was read whole.
func allRead(r *posture.Report) bool {
	for _, a := range r.Accounts {
		if a.Status == "error" || slices.ContainsFunc(a.Regions, func(region posture.RegionReport) bool { return region.Unread > 0 }) {
			return false
		}
	}
	return true
}

// unreadOperations lists the operations that failed somewhere, those that are no accepted gaps first.
func unreadOperations(r *posture.Report) []string {
	var list []string
	for _, accepted := range []bool{false, true} {
		for _, u := range r.Coverage.Unread {
			if u.Accepted == accepted && !slices.Contains(list, u.Operation) {
				list = append(list, u.Operation)
			}
		}
	}
	return list
}

// evaluated is the sentence that every report opens with: how much was really looked at.
func evaluated(r *posture.Report) string {
	c := r.Coverage
	return thousands(c.Evaluated) + " of " + thousands(c.Total) + " (" + percent(c.Evaluated, c.Total) + ")"
}

func textAccounts(t *terminal, r *posture.Report) {
	t.heading(ansi.Bold, "ACCOUNTS")
	for i := range r.Accounts {
		a := &r.Accounts[i]
		t.line(2, ansi.Plain, accountLine(a))
		if a.Error != nil {
			t.line(4, ansi.Yellow, unreadLine(a.Error))
		}
		var empty, absent []string
		for _, region := range a.Regions {
			name := ansi.Visible(region.Name)
			switch {
			case region.Status == "not-applicable":
				absent = append(absent, name)
			case region.Status == "read" && region.Jobs == 0 && region.Models == 0 && region.Unread == 0:
				empty = append(empty, name)
			default:
				t.line(4, regionStyle(region), regionLine(region))
			}
		}
		if len(empty) > 0 {
			t.line(4, ansi.Dim, "no jobs, no models: "+strings.Join(empty, ", "))
		}
		if len(absent) > 0 {
			t.line(4, ansi.Dim, "without Bedrock: "+strings.Join(absent, ", "))
		}
	}
}

func accountLine(a *posture.AccountReport) string {
	line := ansi.Visible(a.ID)
	if a.Name != "" {
		line += " " + ansi.Visible(a.Name)
	}
	line += " (" + ansi.Visible(a.Partition) + ")"
	if a.Status != "read" {
		line += ": " + ansi.Visible(a.Status)
	}
	return line
}

func regionLine(region posture.RegionReport) string {
	line := ansi.Visible(region.Name) + ": " + plural(region.Jobs, "job") + ", " + plural(region.Models, "model")
	if region.Status != "read" {
		line += ", " + ansi.Visible(region.Status)
	}
	if region.Unread > 0 {
		line += ", " + plural(region.Unread, "call") + " unread"
	}
	return line
}

func regionStyle(region posture.RegionReport) string {
	if region.Unread > 0 || region.Status != "read" {
		return ansi.Yellow
	}
	return ansi.Plain
}

// unreadLine is one failed read on one line, without the message.
func unreadLine(u *posture.Unread) string {
	parts := []string{ansi.Visible(u.Operation), ansi.Visible(u.Code)}
	if u.Region != "" {
		parts = append(parts, "in "+ansi.Visible(u.Region))
	}
	if u.RequestID != "" {
		parts = append(parts, "request "+ansi.Visible(u.RequestID))
	}
	if u.Message != "" {
		parts = append(parts, "- "+ansi.Visible(u.Message))
	}
	return strings.Join(parts, " ")
}

// stamp is a time to the second, in UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func duration(seconds float64) string { return fmt.Sprintf("%.1f s", seconds) }
