package posture

import (
	"slices"
	"strings"
	"testing"
)

func TestLintFinds(t *testing.T) {
	t.Parallel()
	five := 5
	for _, c := range []struct {
		want  string
		spoil func(r *Rule)
	}{
		{"the id is not MC-GROUP-NNN", func(r *Rule) { r.ID = "MC-JOB-2" }},
		{"unknown group FOO", func(r *Rule) { r.ID = "MC-FOO-002" }},
		{"the id is used twice", func(r *Rule) { r.ID = "MC-JOB-001" }},
		{"version must be at least 1", func(r *Rule) { r.Version = 0 }},
		{"title must have 1 to 80 characters", func(r *Rule) { r.Title = "" }},
		{"title must have 1 to 80 characters", func(r *Rule) { r.Title += "." }},
		{`unknown severity "bad"`, func(r *Rule) { r.Severity = "bad" }},
		{`severity extreme goes with obligation "act immediately"`, func(r *Rule) { r.Severity = Extreme }},
		{`unknown pillar "zeal"`, func(r *Rule) { r.Pillar = "zeal" }},
		{"is not in CloudFormation's notation", func(r *Rule) { r.Resource = "job" }},
		{`unknown needs "luck"`, func(r *Rule) { r.Needs = "luck" }},
		{"only jobs and models can be superseded", func(r *Rule) { r.ID, r.Supersedable = "MC-NET-999", true }},
		{"metadata without logic", func(r *Rule) { r.logic = logic{} }},
		{"reads is empty", func(r *Rule) { r.Reads = nil }},
		{`reads "bedrock:DeleteCustomModel", which the table of operations does not know`, func(r *Rule) { r.Reads = []string{"bedrock:DeleteCustomModel"} }},
		{"twice", func(r *Rule) { r.Reads = append(r.Reads, r.Reads[0]) }},
		{"uses MC-JOB-998, which does not exist", func(r *Rule) { r.Uses = []string{"MC-JOB-998"} }},
		{"uses itself", func(r *Rule) { r.Uses = []string{r.ID} }},
		{"bad or repeated name", func(r *Rule) { r.Settings = append(r.Settings, r.Settings[0]) }},
		{"has no description", func(r *Rule) { r.Settings[0].Description = "" }},
		{"only integers have limits", func(r *Rule) { r.Settings[0].Type = "string" }},
		{"minimum above maximum", func(r *Rule) { r.Settings[0].Minimum, r.Settings[0].Maximum = &five, new(int) }},
		{"default of setting extra: must be an integer", func(r *Rule) {
			r.Settings = append(r.Settings, Setting{Name: "extra", Type: "integer", Default: "x", Description: "x"})
		}},
		{"rationale must be whole sentences", func(r *Rule) { r.Rationale = " " }},
		{"pass_when must be whole sentences", func(r *Rule) { r.PassWhen = "" }},
		{"fail_when must be whole sentences", func(r *Rule) { r.FailWhen = "bad" }},
		{"audit needs console and cli steps", func(r *Rule) { r.Audit.Console = nil }},
		{"remediation needs console and cli steps", func(r *Rule) { r.Remediation.CLI = nil }},
		{"audit, console step 1 is empty", func(r *Rule) { r.Audit.Console[0] = "" }},
		{"audit, cli step 1 has no text", func(r *Rule) { r.Audit.CLI[0].Text = "" }},
		{"no cli step of audit runs anything", func(r *Rule) { r.Audit.CLI = []CLIStep{{Text: "Look."}} }},
		{`unknown fix class "Z"`, func(r *Rule) { r.Fix.Class = "Z" }},
		{"fix has no hazards", func(r *Rule) { r.Fix.Hazards = nil }},
		{"audit, cli step 1: unknown placeholder {jobname}", func(r *Rule) { r.Audit.CLI[0].Run = "aws {jobname}" }},
		{"write arn:{partition}", func(r *Rule) { r.Audit.CLI[0].Run = "aws arn:aws:s3:::b" }},
		{`unknown framework "iso"`, func(r *Rule) { r.Maps = map[string][]string{"iso": {"1"}} }},
		{"framework soc2: no control", func(r *Rule) { r.Maps = map[string][]string{"soc2": {}} }},
		{"no references", func(r *Rule) { r.References = nil }},
		{"needs a title and an https address", func(r *Rule) { r.References = []Reference{{"x", "http://docs.aws.amazon.com/"}} }},
		{`reviewed "today" is not a date`, func(r *Rule) { r.Reviewed = "today" }},
		{"reviewed 2026-11-26 lies in the future", func(r *Rule) { r.Reviewed = "2026-11-26" }},
	} {
		pack := loaded(t)
		rule, _ := pack.Rule("MC-JOB-002")
		c.spoil(rule)
		found := Lint(pack.Rules, lastReview())
		if !slices.ContainsFunc(found, func(p Problem) bool { return strings.Contains(p.String(), c.want) }) {
			t.Errorf("Lint found %v, want %q", found, c.want)
		}
	}
}

func TestLintFindsCircles(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	for from, to := range map[string]string{"MC-JOB-001": "MC-JOB-002", "MC-JOB-002": "MC-JOB-003", "MC-JOB-003": "MC-JOB-001"} {
		rule, _ := pack.Rule(from)
		rule.Uses = []string{to}
	}
	var ids []string
	for _, p := range Lint(pack.Rules, lastReview()) {
		if strings.Contains(p.Text, "uses itself") {
			ids = append(ids, p.Rule)
		}
	}
	if want := []string{"MC-JOB-001", "MC-JOB-002", "MC-JOB-003"}; !slices.Equal(ids, want) {
		t.Errorf("Lint found circles at %v, want %v", ids, want)
	}
}

func TestLintFindsLogicWithoutMetadata(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	pack.Rules = slices.DeleteFunc(pack.Rules, func(r Rule) bool { return r.ID == "MC-KMS-003" })
	want := Problem{"MC-KMS-003", "logic without metadata"}
	if found := pack.Lint(lastReview()); !slices.Contains(found, want) {
		t.Errorf("Lint = %v, want %v", found, want)
	}
}

func TestVocabularyIsComplete(t *testing.T) {
	t.Parallel()
	for _, s := range Severities() {
		if s.Obligation() == "" || s.Title() == string(s) {
			t.Errorf("severity %s lacks a title or an obligation", s)
		}
	}
	used := map[string]bool{}
	for _, r := range loaded(t).Rules {
		for _, steps := range []Steps{r.Audit, r.Remediation} {
			for _, step := range steps.CLI {
				for _, p := range placeholder.FindAllString(step.Text+step.Run+step.Output, -1) {
					used[strings.Trim(p, "{}")] = true
				}
			}
		}
	}
	for _, name := range placeholders() {
		if !used[name] {
			t.Errorf("no rule uses the placeholder {%s}", name)
		}
	}
}
