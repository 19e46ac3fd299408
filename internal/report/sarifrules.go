package report

import (
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// sarifRules describes each rule: code scanning shows help beside every alert.
func sarifRules(r *posture.Report) []any {
	rules := make([]any, len(r.Rules))
	for i := range r.Rules {
		rule := &r.Rules[i]
		one := map[string]any{
			"id":                   ansi.Visible(rule.ID),
			"shortDescription":     sarifText{Text: sarifMessage(rule.Title)},
			"fullDescription":      sarifText{Text: sarifMessage(oneLine(rule.Rationale))},
			"help":                 sarifText{Text: helpText(rule), Markdown: helpMarkdown(rule)},
			"defaultConfiguration": map[string]any{"level": sarifLevel(rule.Severity)},
			"properties": map[string]any{
				"tags": ruleTags(rule), "security-severity": securitySeverity(rule.Severity), "precision": "very-high",
				"version": rule.Version, "severity": string(rule.Severity), "fixClass": ansi.Visible(rule.Fix.Class),
			},
		}
		if len(rule.References) > 0 && webAddress(rule.References[0].URL) {
			one["helpUri"] = rule.References[0].URL
		}
		rules[i] = one
	}
	return rules
}

// ruleTags are the pillar, what other products call the rule, and the controls that it supports.
func ruleTags(rule *posture.RuleReport) []string {
	tags := []string{ansi.Visible(rule.Pillar)}
	tags = append(tags, visibleAll(rule.Aliases)...)
	tags = append(tags, controls(rule)...)
	slices.Sort(tags)
	return slices.DeleteFunc(slices.Compact(tags), func(s string) bool { return s == "" })
}

// controls are "FRAMEWORK/CONTROL", sorted by framework. The rule supports them; it does not prove that they are met.
func controls(rule *posture.RuleReport) []string {
	var list []string
	for _, framework := range slices.Sorted(maps.Keys(rule.Maps)) {
		for _, control := range rule.Maps[framework] {
			list = append(list, ansi.Visible(framework)+"/"+ansi.Visible(control))
		}
	}
	return list
}

func oneLine(s string) string { return ansi.Visible(strings.Join(strings.Fields(s), " ")) }

func helpText(rule *posture.RuleReport) string {
	lines := []string{
		oneLine(rule.Rationale), "", "PASS: " + ansi.Visible(rule.PassWhen), "FAIL: " + ansi.Visible(rule.FailWhen), "", "To mend it: " + fixLine(rule.Fix),
	}
	for _, step := range rule.Remediation.Console {
		lines = append(lines, "- "+ansi.Visible(step))
	}
	for _, step := range rule.Remediation.CLI {
		lines = append(lines, "- "+ansi.Visible(step.Text))
		if step.Run != "" {
			lines = append(lines, visibleLines(step.Run))
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "](", "] (")
}

func helpMarkdown(rule *posture.RuleReport) string {
	var b strings.Builder
	b.WriteString(mdParagraphs(rule.Rationale))
	b.WriteString("\n**PASS** " + mdText(rule.PassWhen) + "\n\n**FAIL** " + mdText(rule.FailWhen) + "\n")
	mdSteps(&b, "Audit", rule.Audit)
	mdSteps(&b, "Remediation", rule.Remediation)
	if fix := fixLine(rule.Fix); fix != "" {
		b.WriteString("\n" + mdText("Kind of change: "+fix) + "\n")
	}
	if list := controls(rule); len(list) > 0 {
		b.WriteString("\nSupports " + mdText(strings.Join(list, ", ")) + "\n")
	}
	if len(rule.References) > 0 {
		b.WriteString("\n### References\n\n")
		for _, ref := range rule.References {
			b.WriteString("- " + mdLink(ref.Title, ref.URL) + "\n")
		}
	}
	return b.String()
}

func mdSteps(b *strings.Builder, title string, steps posture.Steps) {
	if len(steps.Console) == 0 && len(steps.CLI) == 0 {
		return
	}
	b.WriteString("\n### " + title + "\n")
	if len(steps.Console) > 0 {
		b.WriteString("\nConsole:\n\n")
		for _, step := range steps.Console {
			b.WriteString("1. " + mdText(oneLine(step)) + "\n")
		}
	}
	if len(steps.CLI) > 0 {
		b.WriteString("\nCommand line:\n")
	}
	for _, step := range steps.CLI {
		b.WriteString("\n" + mdStart(mdText(oneLine(step.Text))) + "\n")
		if step.Run != "" {
			b.WriteString("\n" + mdBlock(step.Run))
		}
		if step.Output != "" {
			b.WriteString("\n" + mdBlock(step.Output))
		}
	}
}
