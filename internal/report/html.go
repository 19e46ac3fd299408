package report

import (
	"bufio"
	"embed"
	"fmt"
	"iter"
	"slices"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/markup"
	"example.com/cloister/internal/posture"
)

//go:embed page
var pageFiles embed.FS

// page is what the page shows. Every string in it has been through Visible; markup escapes them for their places. Rows are
// made one at a time while the page is written.
type page struct {
	Style, Script             markup.Asset
	Started, Duration, Calls  string
	Tool, Verdict             string
	Evaluated, Total, Percent string
	TotalText                 string
	Bar                       []barPart
	Tiles                     []tile
	Missing                   []missingRow
	JobCount                  string
	Jobs, RestJobs            []jobView
	MoreJobs                  string
	Filters                   []filter
	Rows                      iter.Seq[row]
	Accounts                  []accountView
	Notes, Assumptions        []string
	RuleCount                 string
	Rules                     []ruleView
}

// barPart is a verdict's share of the bar, in thousandths of its width.
type barPart struct {
	Class, Label string
	X, Width     string
}

type tile struct {
	Class, Status, Label, Number, Detail string
	Count                                int
}

type missingRow struct {
	Action, Operation, Code, Message, Request, Where string
	Calls, Results                                   string
	Other, Accepted                                  bool
	Rules                                            []string
}

// writeHTML writes one page that needs nothing else.
func writeHTML(w *bufio.Writer, r *posture.Report) error {
	p, err := pageOf(r)
	if err != nil {
		return fmt.Errorf("make the page: %w", err)
	}
	out := markup.New(w)
	putPage(out, p)
	return out.Err()
}

func pageOf(r *posture.Report) (*page, error) {
	style, err := markup.Style(pageFiles, "page/report.css")
	if err != nil {
		return nil, err
	}
	script, err := markup.Script(pageFiles, "page/report.js")
	if err != nil {
		return nil, err
	}
	c := countsOf(r)
	jobs, rest := jobViews(r)
	p := &page{
		Style: style, Script: script,
		Started: stamp(r.Started), Duration: duration(r.Seconds), Calls: plural(r.Calls, "call"),
		Tool: ansi.Visible(strings.TrimSpace(r.Tool.Name + " " + r.Tool.Version)), Verdict: verdictSentence(r, c),
		Evaluated: thousands(r.Coverage.Evaluated), Total: thousands(r.Coverage.Total),
		Percent: percent(r.Coverage.Evaluated, r.Coverage.Total), TotalText: thousands(len(r.Results)),
		Bar: bar(c, len(r.Results)), Tiles: tiles(r, c), Missing: missingRows(r),
		Jobs: jobs, RestJobs: rest, Filters: filters(r), Rows: rowsOf(r), Accounts: accountViews(r),
		Notes: visibleAll(r.Notes), Assumptions: visibleAll(r.Assumptions),
		RuleCount: thousands(len(r.Rules)), Rules: ruleViews(r),
	}
	if len(r.Jobs) > 0 {
		p.JobCount = plural(len(r.Jobs), "job")
	}
	if len(rest) > 0 {
		p.MoreJobs = thousands(len(rest)) + " more"
	}
	return p, nil
}

// verdictSentence says in words what the tiles say in numbers.
func verdictSentence(r *posture.Report, c counts) string {
	var sentence string
	switch {
	case r.Coverage.Total == 0:
		sentence = "There was nothing to judge."
	case c[posture.Fail] == 0 && c[posture.Error] == 0:
		sentence = "Nothing fails, and everything could be judged."
	case c[posture.Fail] == 0:
		sentence = "Nothing fails among what could be judged."
	case c[posture.Fail] == 1:
		sentence = "1 result fails."
	default:
		sentence = plural(c[posture.Fail], "result") + " fail."
	}
	if n := c[posture.Error]; n > 0 {
		sentence += " " + plural(n, "result") + " could not be judged, because something was not read."
	}
	return sentence
}

func bar(c counts, total int) []barPart {
	var parts []barPart
	x := 0.0
	for _, status := range posture.Statuses() {
		if n := c[status]; n > 0 {
			width := 1000 * float64(n) / float64(total)
			parts = append(parts, barPart{Class: statusClass(status), Label: statusLabel(status) + ": " + thousands(n), X: fmt.Sprint(x), Width: fmt.Sprint(width)})
			x += width
		}
	}
	return parts
}

func tiles(r *posture.Report, c counts) []tile {
	severities := map[posture.Severity]int{}
	accepted := 0
	for i := range r.Results {
		switch one := &r.Results[i]; {
		case one.Status == posture.Fail:
			severities[one.Severity]++
		case one.Status == posture.Error && one.Accepted:
			accepted++
		}
	}
	list := make([]tile, 0, len(posture.Statuses()))
	for _, status := range posture.Statuses() {
		one := tile{Class: statusClass(status), Status: string(status), Label: statusLabel(status), Number: thousands(c[status]), Count: c[status]}
		switch status {
		case posture.Fail:
			one.Detail = severityCounts(severities)
		case posture.Error:
			if accepted > 0 {
				one.Detail = thousands(accepted) + " accepted"
			}
		default:
		}
		list = append(list, one)
	}
	return list
}

// severityCounts is "1 very high, 2 medium", the worst first.
func severityCounts(n map[posture.Severity]int) string {
	var parts []string
	for _, severity := range slices.Backward(posture.Severities()) {
		if n[severity] > 0 {
			parts = append(parts, thousands(n[severity])+" "+strings.ReplaceAll(string(severity), "-", " "))
		}
	}
	return strings.Join(parts, ", ")
}

func missingRows(r *posture.Report) []missingRow {
	list, _ := missing(r)
	rows := make([]missingRow, len(list))
	for i, m := range list {
		rows[i] = missingRow{
			Action: ansi.Visible(m.Action), Operation: ansi.Visible(m.Operation), Other: m.Operation != m.Action, Code: ansi.Visible(m.Code),
			Message: ansi.Visible(m.Message), Request: ansi.Visible(m.RequestID), Where: ansi.Visible(strings.TrimSpace(m.Account + " " + m.Region)),
			Calls: thousands(m.Calls), Results: thousands(m.Results), Accepted: m.Accepted, Rules: visibleAll(m.Rules),
		}
	}
	return rows
}

// statusClass is the verdict's name in the style sheet.
func statusClass(s posture.Status) string {
	switch s {
	case posture.Fail:
		return "fail"
	case posture.Error:
		return "error"
	case posture.Superseded:
		return "superseded"
	case posture.Muted:
		return "muted"
	case posture.Pass:
		return "pass"
	default:
		return "na"
	}
}

func statusLabel(s posture.Status) string {
	return ansi.Visible(strings.ReplaceAll(string(s), "_", " "))
}
