package report

import (
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

func textFails(t *terminal, r *posture.Report) {
	fails := byStatus(r, posture.Fail)
	if len(fails) == 0 {
		return
	}
	rules := rulesByID(r)
	t.heading(ansi.Red, "FAIL: "+plural(len(fails), "result"))
	for len(fails) > 0 {
		n := 1
		for n < len(fails) && fails[n].Rule == fails[0].Rule && fails[n].Severity == fails[0].Severity {
			n++
		}
		textRule(t, rules[fails[0].Rule], fails[:n])
		fails = fails[n:]
	}
}

// textRule writes the failures of one rule and severity.
func textRule(t *terminal, rule *posture.RuleReport, fails []*posture.Result) {
	t.Blank()
	head := severityLabel(fails[0].Severity) + "  " + ansi.Visible(fails[0].Rule)
	if rule != nil {
		head += "  " + ansi.Visible(rule.Title)
	}
	t.line(2, severityStyle(fails[0].Severity), head+" ("+thousands(len(fails))+")")
	if rule != nil {
		t.line(4, ansi.Dim, "fix: "+fixLine(rule.Fix))
		t.line(4, ansi.Dim, "how and why: cloister audit explain "+ansi.Visible(fails[0].Rule))
	}
	for _, one := range fails {
		t.line(4, ansi.Bold, ansi.Visible(resourceName(one))+"  "+ansi.Visible(one.ID)+changeNote(one))
		t.line(6, ansi.Dim, place(one))
		t.line(6, ansi.Plain, ansi.Visible(one.Message))
	}
}

// place is where a result's resource is.
func place(one *posture.Result) string {
	line := ansi.Visible(one.Account) + " " + ansi.Visible(one.Region) + " " + ansi.Visible(one.Type)
	if len(one.Jobs) > 0 && (len(one.Jobs) > 1 || one.Jobs[0] != one.Name) {
		line += ", jobs: " + few(one.Jobs)
	}
	return line
}

// few joins the first three of a list and says how many more there are.
func few(list []string) string {
	const most = 3
	if len(list) <= most {
		return strings.Join(visibleAll(list), ", ")
	}
	return strings.Join(visibleAll(list[:most]), ", ") + " and " + thousands(len(list)-most) + " more"
}

func changeNote(one *posture.Result) string {
	if one.Change == "" || one.Change == "same" {
		return ""
	}
	return "  (" + ansi.Visible(one.Change) + ")"
}

// fixLine says in words what the fix class of a rule means.
func fixLine(fix posture.FixInfo) string {
	words := map[string]string{
		"A0": "a reversible change without effect on running work",
		"A1": "a reversible change that may break something",
		"R":  "re-create the resource",
		"D":  "a destructive change",
		"M":  "by hand",
	}[fix.Class]
	return words
}

func severityLabel(s posture.Severity) string {
	return strings.ToUpper(ansi.Visible(strings.ReplaceAll(string(s), "-", " ")))
}

func severityStyle(s posture.Severity) string {
	if s.Rank() >= posture.High.Rank() {
		return ansi.Red
	}
	return ansi.Yellow
}

// textErrors groups what could not be judged by the call that is missing: that is what the operator can mend.
func textErrors(t *terminal, r *posture.Report) {
	list, rest := missing(r)
	n := countsOf(r)[posture.Error]
	if len(list) == 0 && n == 0 {
		return
	}
	t.heading(ansi.Yellow, "ERROR: "+plural(n, "result")+" could not be judged")
	for _, m := range list {
		t.Blank()
		head := ansi.Visible(m.Code) + "  " + ansi.Visible(m.Action)
		if m.Operation != m.Action {
			head += " (for " + ansi.Visible(m.Operation) + ")"
		}
		if m.Accepted {
			head += ", an accepted gap"
		}
		t.line(2, ansi.Yellow, head)
		where := ansi.Visible(m.Account)
		if m.Region != "" {
			where += " " + ansi.Visible(m.Region)
		}
		t.line(4, ansi.Plain, where+": "+plural(m.Calls, "call")+", "+plural(m.Results, "result"))
		if m.RequestID != "" {
			t.line(4, ansi.Dim, "request "+ansi.Visible(m.RequestID))
		}
		if m.Message != "" {
			t.line(4, ansi.Plain, ansi.Visible(m.Message))
		}
		if len(m.Rules) > 0 {
			t.line(4, ansi.Dim, "rules: "+strings.Join(visibleAll(m.Rules), ", "))
		}
	}
	for _, one := range rest {
		t.Blank()
		t.line(2, ansi.Yellow, ansi.Visible(one.Rule)+"  "+ansi.Visible(resourceName(one))+"  "+ansi.Visible(one.ID))
		t.line(4, ansi.Dim, place(one))
		t.line(4, ansi.Plain, ansi.Visible(one.Message))
	}
}

func textList(t *terminal, title string, list []string) {
	if len(list) == 0 {
		return
	}
	t.heading(ansi.Bold, title)
	for _, note := range list {
		t.line(2, ansi.Plain, "- "+ansi.Visible(note))
	}
}

// textTotals closes with what a reader of the last screen needs.
func textTotals(t *terminal, r *posture.Report) {
	c := countsOf(r)
	t.heading(ansi.Bold, "RESULTS")
	style := map[posture.Status]string{posture.Fail: ansi.Red, posture.Error: ansi.Yellow, posture.Pass: ansi.Green}
	for _, status := range posture.Statuses() {
		if n := c[status]; n > 0 {
			t.line(2, style[status], pad(string(status), len(posture.NotApplicable))+"  "+thousands(n))
		}
	}
	t.line(2, ansi.Plain, "Evaluated "+evaluated(r))
}

// pad fills s with no-break spaces, which wrap keeps, to a number of columns.
func pad(s string, columns int) string {
	return s + strings.Repeat("\u00a0", max(0, columns-ansi.Width(s)))
}
