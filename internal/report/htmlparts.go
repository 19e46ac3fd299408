package report

import (
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

type accountView struct {
	ID, Name, Note, Empty, Absent string
	Regions                       []regionView
}

type regionView struct{ Name, Note, Class string }

func accountViews(r *posture.Report) []accountView {
	views := make([]accountView, len(r.Accounts))
	for i := range r.Accounts {
		a := &r.Accounts[i]
		view := accountView{ID: ansi.Visible(a.ID), Name: ansi.Visible(a.Name), Note: ansi.Visible(a.Partition + ", " + a.Status)}
		if a.Error != nil {
			view.Note += ": " + unreadLine(a.Error)
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
				view.Regions = append(view.Regions, regionViewOf(region))
			}
		}
		view.Empty, view.Absent = strings.Join(empty, ", "), strings.Join(absent, ", ")
		views[i] = view
	}
	return views
}

func regionViewOf(region posture.RegionReport) regionView {
	name, note, _ := strings.Cut(regionLine(region), ": ")
	view := regionView{Name: name, Note: note}
	if region.Unread > 0 || region.Status != "read" {
		view.Class = "warn"
	}
	return view
}

type ruleView struct {
	ID, Title, Severity, PassWhen, FailWhen, About string
	Rationale                                      []string
	Steps                                          []stepsView
	References                                     []posture.Reference
}

type stepsView struct {
	Title   string
	Console []string
	CLI     []posture.CLIStep
}

func ruleViews(r *posture.Report) []ruleView {
	views := make([]ruleView, len(r.Rules))
	for i := range r.Rules {
		rule := &r.Rules[i]
		view := ruleView{
			ID: ansi.Visible(rule.ID), Title: ansi.Visible(rule.Title), PassWhen: ansi.Visible(rule.PassWhen), FailWhen: ansi.Visible(rule.FailWhen),
			Severity: ansi.Visible(strings.ReplaceAll(string(rule.Severity), "-", " ") + ", " + rule.Obligation), About: aboutRule(rule),
			Steps: []stepsView{stepsViewOf("Audit", rule.Audit), stepsViewOf("Remediation", rule.Remediation)},
		}
		for paragraph := range strings.SplitSeq(visibleLines(rule.Rationale), "\n\n") {
			view.Rationale = append(view.Rationale, strings.ReplaceAll(paragraph, "\n", " "))
		}
		for _, ref := range rule.References {
			one := posture.Reference{Title: ansi.Visible(ref.Title)}
			if webAddress(ref.URL) && strings.HasPrefix(ref.URL, "https://") {
				one.URL = ref.URL
			}
			view.References = append(view.References, one)
		}
		views[i] = view
	}
	return views
}

// aboutRule is the small print: the kind of change, the calls that the rule reads, the controls that it supports.
func aboutRule(rule *posture.RuleReport) string {
	var parts []string
	if fix := fixLine(rule.Fix); fix != "" {
		parts = append(parts, "Kind of change: "+fix+".")
	}
	if len(rule.Reads) > 0 {
		parts = append(parts, "Reads "+strings.Join(visibleAll(rule.Reads), ", ")+".")
	}
	if list := controls(rule); len(list) > 0 {
		parts = append(parts, "Supports "+strings.Join(list, ", ")+".")
	}
	if len(rule.Aliases) > 0 {
		parts = append(parts, "Elsewhere: "+strings.Join(visibleAll(rule.Aliases), ", ")+".")
	}
	if rule.Reviewed != "" {
		parts = append(parts, "Reviewed "+ansi.Visible(rule.Reviewed)+".")
	}
	return strings.Join(parts, " ")
}

func stepsViewOf(title string, steps posture.Steps) stepsView {
	view := stepsView{Title: title, Console: visibleAll(steps.Console)}
	for _, step := range steps.CLI {
		view.CLI = append(view.CLI, posture.CLIStep{Text: ansi.Visible(step.Text), Run: visibleLines(step.Run), Output: visibleLines(step.Output)})
	}
	return view
}
