package handbook

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// Widths of a terminal in columns.
const (
	DefaultWidth = 80
	MinWidth     = 40
	maxWidth     = 110 // longer lines are hard to read
)

// Explain tells a rule in a terminal: why it exists, how to check and fix by hand, what can go wrong. With a result it
// opens with the verdict and the values that decided it. width is the terminal's, 0 for DefaultWidth.
func Explain(w io.Writer, rule posture.RuleReport, result *posture.Result, width int, color bool) error {
	if width == 0 {
		width = DefaultWidth
	}
	t := &terminal{Printer: ansi.Printer{W: bufio.NewWriter(w), Color: color}, width: min(max(width, MinWidth), maxWidth)}
	t.line(0, ansi.Bold, rule.ID+" "+rule.Title)
	t.facts(&rule)
	if result != nil {
		t.verdict(result)
	}
	t.heading("Why")
	t.line(2, ansi.Plain, rule.Rationale)
	t.heading("Verdict")
	t.hanging(5, "PASS", rule.PassWhen)
	t.hanging(5, "FAIL", rule.FailWhen)
	t.heading("How to check")
	if result != nil && len(result.Commands) > 0 {
		t.line(2, ansi.Dim, "With the names of this finding")
		for _, command := range result.Commands {
			t.code("$ ", command)
		}
		t.Blank()
	}
	t.steps(&rule.Audit)
	t.heading("How to fix")
	t.steps(&rule.Remediation)
	t.heading("Hazards")
	t.line(2, ansi.Plain, "Class "+rule.Fix.Class+": "+posture.FixClass(rule.Fix.Class)+".")
	for _, hazard := range rule.Fix.Hazards {
		t.hanging(2, "-", hazard)
	}
	if len(rule.Maps) > 0 {
		t.heading("Supports")
		for _, id := range slices.Sorted(maps.Keys(rule.Maps)) {
			t.line(2, ansi.Plain, frameworkTitle(id)+": "+strings.Join(rule.Maps[id], ", "))
		}
	}
	t.heading("References")
	for _, ref := range rule.References {
		t.line(2, ansi.Plain, ref.Title)
		t.raw("    ", ref.URL)
	}
	t.Blank()
	t.line(0, ansi.Dim, "Publication date "+date(rule.Reviewed))
	if t.Err != nil {
		return t.Err
	}
	return t.W.Flush()
}

// facts are the short fields of a rule.
func (t *terminal) facts(rule *posture.RuleReport) {
	rows := [][2]string{
		{"Risk level", risk(&rule.Metadata)},
		{"Pillar", pillar(rule.Pillar)},
		{"Resource", rule.Resource},
		{"Also known as", strings.Join(rule.Aliases, ", ")},
		{"Reads", strings.Join(rule.Reads, ", ")},
		{"Builds on", strings.Join(rule.Uses, ", ")},
	}
	for _, s := range rule.Settings {
		value, changed := s.Default, ""
		if v, ok := rule.Effective[s.Name]; ok {
			value = v
		}
		if setting(value) != setting(s.Default) {
			changed = ", default " + setting(s.Default)
		}
		rows = append(rows, [2]string{"Setting", s.Name + " = " + setting(value) + " (" + s.Description + changed + ")"})
	}
	for _, row := range rows {
		if row[1] != "" {
			t.hanging(15, row[0], row[1])
		}
	}
}

// verdict is what was found and the values, calls and gaps that it rests on.
func (t *terminal) verdict(r *posture.Result) {
	t.heading("Finding")
	style := ansi.Red
	switch r.Status {
	case posture.Pass:
		style = ansi.Green
	case posture.Error:
		style = ansi.Yellow
	case posture.Muted, posture.Superseded, posture.NotApplicable:
		style = ansi.Dim
	case posture.Fail:
	}
	t.line(2, style, string(r.Status)+" "+r.Message)
	rows := [][2]string{
		{"Resource", r.Resource},
		{"Where", "account " + r.Account + ", " + r.Region},
		{"Jobs", strings.Join(r.Jobs, ", ")},
		{"Superseded by", r.SupersededBy},
		{"Finding", r.ID},
	}
	if r.Mute != nil {
		rows = append(rows, [2]string{"Muted", r.Mute.Reason + " (" + r.Mute.Owner + ", until " + r.Mute.Expires + ")"})
	}
	for _, row := range rows {
		if row[1] != "" {
			t.hanging(15, row[0], row[1])
		}
	}
	if len(r.Facts) > 0 {
		t.Blank()
		t.line(2, ansi.Dim, "What decided")
		if text, err := json.MarshalIndent(r.Facts, "", "  "); err == nil {
			t.code("", string(text))
		}
	}
	if len(r.Evidence) > 0 {
		t.Blank()
		t.line(2, ansi.Dim, "Read from")
		for _, source := range r.Evidence {
			t.line(4, ansi.Plain, call(*source))
		}
	}
	if len(r.Unread) > 0 {
		t.Blank()
		t.line(2, ansi.Dim, "Not read")
		for _, why := range r.Unread {
			t.line(4, ansi.Yellow, call(why.Source)+": "+why.Code+": "+why.Message)
			if action := posture.ActionOf(why.Operation); action != "" {
				t.line(6, ansi.Plain, "needs "+action)
			}
		}
	}
}

// call is one call to an API, in a line.
func call(s posture.Source) string {
	parts := []string{s.Operation}
	if s.Region != "" {
		parts = append(parts, "in "+s.Region)
	}
	if s.Resource != "" {
		parts = append(parts, "of "+s.Resource)
	}
	if s.Page > 0 {
		parts = append(parts, fmt.Sprintf("page %d", s.Page))
	}
	if s.RequestID != "" {
		parts = append(parts, "request "+s.RequestID)
	}
	if !s.Time.IsZero() {
		parts = append(parts, "at "+s.Time.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, " ")
}

// steps are the console's and the command line's, numbered as in the knowledge base.
func (t *terminal) steps(s *posture.Steps) {
	t.line(2, ansi.Dim, "Using AWS Console")
	for i, step := range s.Console {
		t.hanging(3, fmt.Sprintf("%02d", i+1), step)
	}
	t.Blank()
	t.line(2, ansi.Dim, "Using AWS CLI")
	for i, step := range s.CLI {
		t.hanging(3, fmt.Sprintf("%02d", i+1), step.Text)
		if step.Run != "" {
			t.code("$ ", step.Run)
		}
		if step.Output != "" {
			t.code("", step.Output)
		}
	}
}
