package posture

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Problem is something wrong with what is written about a rule.
type Problem struct {
	// Rule is the id, or what stands in its place.
	Rule string `json:"rule"`
	Text string `json:"text"`
}

func (p Problem) String() string { return p.Rule + ": " + p.Text }

// Lint checks the whole pack: its rules, and that no logic is without metadata.
func (p *Pack) Lint(today time.Time) []Problem {
	problems := Lint(p.Rules, today)
	for _, l := range allLogic() {
		if _, ok := p.Rule(l.id); !ok {
			problems = append(problems, Problem{l.id, "logic without metadata"})
		}
	}
	return problems
}

// Lint checks rules against each other and against the tables of this package. today is the last day of a review.
func Lint(rules []Rule, today time.Time) []Problem {
	l := &linter{rules: rules, operations: map[string]bool{}, today: today}
	for _, op := range Operations() {
		l.operations[op.Name] = true
	}
	seen := map[string]bool{}
	for i := range rules {
		l.rule = &rules[i]
		if seen[l.rule.ID] {
			l.addf("the id is used twice")
		}
		seen[l.rule.ID] = true
		l.head()
		l.reads()
		l.settings()
		l.texts()
		l.commands()
		l.tables()
	}
	return l.problems
}

type linter struct {
	rules      []Rule
	operations map[string]bool
	today      time.Time
	rule       *Rule
	problems   []Problem
}

func (l *linter) addf(format string, args ...any) {
	id := l.rule.ID
	if id == "" {
		id = "(no id)"
	}
	l.problems = append(l.problems, Problem{id, fmt.Sprintf(format, args...)})
}

var (
	ruleID       = regexp.MustCompile(`^MC-([A-Z0-9]{2,3})-[0-9]{3}$`)
	resourceType = regexp.MustCompile(`^AWS(::[A-Za-z0-9]+){2}$`)
	settingName  = regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`)
)

// head checks the short fields.
func (l *linter) head() {
	r := l.rule
	if match := ruleID.FindStringSubmatch(r.ID); match == nil {
		l.addf("the id is not MC-GROUP-NNN")
	} else if !isGroup(match[1]) {
		l.addf("unknown group %s", match[1])
	}
	if r.Version < 1 {
		l.addf("version must be at least 1")
	}
	if n := len(r.Title); n == 0 || n > 80 || strings.HasSuffix(r.Title, ".") {
		l.addf("title must have 1 to 80 characters and no full stop")
	}
	switch want := r.Severity.Obligation(); want {
	case "":
		l.addf("unknown severity %q", r.Severity)
	case r.Obligation:
	default:
		l.addf("severity %s goes with obligation %q, not %q", r.Severity, want, r.Obligation)
	}
	if !slices.Contains(pillars(), r.Pillar) {
		l.addf("unknown pillar %q", r.Pillar)
	}
	if !resourceType.MatchString(r.Resource) {
		l.addf("resource %q is not in CloudFormation's notation", r.Resource)
	}
	if !slices.Contains([]string{"api", "policy", "data"}, r.Needs) {
		l.addf("unknown needs %q", r.Needs)
	}
	if r.Supersedable && r.Group() != "JOB" && r.Group() != "MOD" {
		l.addf("only jobs and models can be superseded")
	}
	if r.logic.check == nil || r.logic.subjects == nil {
		l.addf("metadata without logic")
	}
}

// reads checks reads and uses.
func (l *linter) reads() {
	r := l.rule
	if len(r.Reads) == 0 {
		l.addf("reads is empty")
	}
	for i, read := range r.Reads {
		if !l.operations[read] {
			l.addf("reads %q, which the table of operations does not know", read)
		}
		if slices.Contains(r.Reads[:i], read) {
			l.addf("reads %q twice", read)
		}
	}
	for _, read := range r.Shows {
		if !l.operations[read] || slices.Contains(r.reads, read) {
			l.addf("shows %q, which the table of operations does not know or the rule reads anyway", read)
		}
	}
	for _, id := range r.Uses {
		if l.find(id) == nil {
			l.addf("uses %s, which does not exist", id)
		}
	}
	if l.reaches(r, r.ID, map[string]bool{}) {
		l.addf("uses itself, directly or through others")
	}
}

func (l *linter) find(id string) *Rule {
	for i := range l.rules {
		if l.rules[i].ID == id {
			return &l.rules[i]
		}
	}
	return nil
}

// reaches says whether from's uses lead to the rule called id.
func (l *linter) reaches(from *Rule, id string, seen map[string]bool) bool {
	for _, next := range from.Uses {
		if next == id {
			return true
		}
		if used := l.find(next); used != nil && !seen[next] {
			seen[next] = true
			if l.reaches(used, id, seen) {
				return true
			}
		}
	}
	return false
}

func (l *linter) settings() {
	seen := map[string]bool{}
	for _, s := range l.rule.Settings {
		if !settingName.MatchString(s.Name) || seen[s.Name] {
			l.addf("setting %q: bad or repeated name", s.Name)
		}
		seen[s.Name] = true
		if s.Description == "" {
			l.addf("setting %s has no description", s.Name)
		}
		if s.Type != "integer" && (s.Minimum != nil || s.Maximum != nil) {
			l.addf("setting %s: only integers have limits", s.Name)
		}
		if s.Minimum != nil && s.Maximum != nil && *s.Minimum > *s.Maximum {
			l.addf("setting %s: minimum above maximum", s.Name)
		}
		if value := s.Default; l.rule.settings[s.Name] == nil {
			if _, err := s.plain(value); err != nil {
				l.addf("default of setting %s: %v", s.Name, err)
			}
		}
	}
}

// texts checks that everything that a page prints is there.
func (l *linter) texts() {
	r := l.rule
	for name, text := range map[string]string{"rationale": r.Rationale, "pass_when": r.PassWhen, "fail_when": r.FailWhen} {
		if !strings.HasSuffix(strings.TrimSpace(text), ".") {
			l.addf("%s must be whole sentences", name)
		}
	}
	for name, steps := range map[string]Steps{"audit": r.Audit, "remediation": r.Remediation} {
		if len(steps.Console) == 0 || len(steps.CLI) == 0 {
			l.addf("%s needs console and cli steps", name)
		}
		for i, step := range steps.Console {
			if strings.TrimSpace(step) == "" {
				l.addf("%s, console step %d is empty", name, i+1)
			}
		}
		for i, step := range steps.CLI {
			if strings.TrimSpace(step.Text) == "" {
				l.addf("%s, cli step %d has no text", name, i+1)
			}
		}
	}
	if FixClass(r.Fix.Class) == "" {
		l.addf("unknown fix class %q", r.Fix.Class)
	}
	if len(r.Fix.Hazards) == 0 {
		l.addf("fix has no hazards: every change has some")
	}
	if !slices.ContainsFunc(r.Audit.CLI, func(s CLIStep) bool { return s.Run != "" }) {
		l.addf("no cli step of audit runs anything")
	}
}

// commands checks what people will paste.
func (l *linter) commands() {
	known := placeholders()
	for name, steps := range map[string]Steps{"audit": l.rule.Audit, "remediation": l.rule.Remediation} {
		for i, step := range steps.CLI {
			for _, found := range placeholder.FindAllString(step.Text+step.Run+step.Output, -1) {
				if !slices.Contains(known, strings.Trim(found, "{}")) {
					l.addf("%s, cli step %d: unknown placeholder %s", name, i+1, found)
				}
			}
			document := step.Run
			if document == "" {
				document = step.Output // a document to save
			}
			if strings.Contains(document, "arn:aws") {
				l.addf("%s, cli step %d: write arn:{partition}", name, i+1)
			}
		}
	}
}

// tables checks mappings, references and the date.
func (l *linter) tables() {
	r := l.rule
	for _, framework := range slices.Sorted(maps.Keys(r.Maps)) {
		if !isFramework(framework) {
			l.addf("unknown framework %q", framework)
		}
		if len(r.Maps[framework]) == 0 || slices.Contains(r.Maps[framework], "") {
			l.addf("framework %s: no control", framework)
		}
	}
	if len(r.References) == 0 {
		l.addf("no references")
	}
	for _, ref := range r.References {
		if u, err := url.Parse(ref.URL); err != nil || u.Scheme != "https" || u.Host == "" || ref.Title == "" {
			l.addf("reference %q: needs a title and an https address", ref.URL)
		}
	}
	day, err := time.Parse(time.DateOnly, r.Reviewed)
	switch {
	case err != nil:
		l.addf("reviewed %q is not a date", r.Reviewed)
	case day.After(l.today):
		l.addf("reviewed %s lies in the future", r.Reviewed)
	}
}
