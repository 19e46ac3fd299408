package remedy

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

// ShowOptions are what a plan's text may use.
type ShowOptions struct {
	Color bool
	Width int // columns; 0 is 100
	// File is the plan's name, for the commands at the end.
	File string
}

// sheet writes a plan for people. Names from an account are made visible.
type sheet struct {
	ansi.Printer
	width int
}

func (s *sheet) line(indent int, style, text string) {
	hang := indent
	for _, part := range ansi.Wrap(ansi.Visible(text), max(20, s.width-indent-2)) {
		s.Print(strings.Repeat(" ", hang))
		s.Styled(style, part)
		s.Blank()
		hang = indent + 2
	}
}

// Show writes a plan as text: what is done, the old beside the new, what the checks found, and how to approve it.
func Show(w io.Writer, p *Plan, hash string, o ShowOptions) error {
	if o.Width == 0 {
		o.Width = 100
	}
	out := bufio.NewWriter(w)
	s := &sheet{Printer: ansi.Printer{W: out, Color: o.Color}, width: o.Width}
	s.head(p)
	for i := range p.Changes {
		s.change(p, &p.Changes[i])
	}
	s.left(p)
	s.checks(p)
	s.end(p, hash, o.File)
	if s.Err != nil {
		return s.Err
	}
	return out.Flush()
}

func (s *sheet) head(p *Plan) {
	s.line(0, ansi.Bold, fmt.Sprintf("Remediation plan: %s, %s", count(len(p.Changes), "change"), count(len(p.Steps), "step")))
	s.line(2, ansi.Dim, "made "+p.Created.Format(time.RFC3339)+" by "+p.Tool.Name+" "+p.Tool.Version)
	for _, a := range p.Accounts {
		where := "AWS (" + a.Partition + ")"
		if a.Endpoint != "" {
			where = a.Endpoint
		}
		s.line(2, ansi.Dim, "account "+a.ID+" at "+where)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (s *sheet) change(p *Plan, c *Change) {
	s.Blank()
	s.line(0, ansi.Bold, c.ID+"  "+c.Title)
	s.line(3, ansi.Plain, c.Resource)
	s.line(3, ansi.Plain, fmt.Sprintf("account %s, %s; class %s: %s", c.Account, c.Region, c.Class, c.Class.meaning()))
	var rules []string
	for _, f := range c.Findings {
		rules = append(rules, f.Rule)
	}
	s.line(3, ansi.Plain, "mends "+strings.Join(rules, ", "))
	if c.Seconds > 0 {
		s.line(3, ansi.Plain, "takes about as long as the old job did: "+(time.Duration(c.Seconds)*time.Second).String())
	}
	if members := p.compared(c); len(members) > 0 {
		s.Blank()
		s.beside(members)
	}
	s.steps(p, c.ID)
	s.list("The next audit will say", predictions(c.Predicted))
	s.list("Reaches", c.Reaches)
	s.list("Hazards", c.Hazards)
	s.list("A rollback leaves", c.Lasting)
}

func (c Class) meaning() string {
	switch c {
	case Reversible:
		return "can be undone, no effect on running work"
	case Careful:
		return "can be undone, may break something"
	case Recreate:
		return "makes something new, which AWS bills"
	default:
		return "cannot be undone"
	}
}

// steps writes the calls of a change, and what those that change something are made with. A new job stands beside the old one.
func (s *sheet) steps(p *Plan, change string) {
	s.Blank()
	s.line(3, ansi.Bold, "Steps")
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Change != change {
			continue
		}
		s.line(5, ansi.Plain, fmt.Sprintf("%s  %s (%s, class %s)", step.ID, step.Text, step.Call, step.Class))
		var in map[string]any
		if step.Losses != nil {
			s.line(8, ansi.Dim, fmt.Sprintf("at most %g %% higher than before", 100*step.Losses.Most))
		}
		if step.Call == createJob || json.Unmarshal(step.Parameters, &in) != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(in)) {
			s.line(8, ansi.Dim, shown(name+": "+text(in[name])))
		}
	}
	s.conditions(p, change)
	s.undos(p, change)
}

// conditions writes what is looked at before the calls of a change.
func (s *sheet) conditions(p *Plan, change string) {
	var lines []string
	for i := range p.Steps {
		for _, c := range p.Steps[i].Before {
			if p.Steps[i].Change == change {
				lines = append(lines, shown(p.Steps[i].ID+"  "+c.Text+" ("+c.Call+")"))
			}
		}
	}
	s.list("Only if these are as they were", lines)
}

// undos writes what a rollback calls.
func (s *sheet) undos(p *Plan, change string) {
	var lines []string
	for i := range p.Steps {
		for _, u := range p.Steps[i].Undo {
			if p.Steps[i].Change != change {
				continue
			}
			line := fmt.Sprintf("%s  %s (%s, class %s)", p.Steps[i].ID, u.Text, u.Call, u.Class)
			if u.Created {
				line += ", with --delete-created"
			}
			lines = append(lines, shown(line+": "+text(plain(u.Parameters))))
		}
	}
	s.list("A rollback calls", lines)
}

// compared is the old beside what is really sent.
func (p *Plan) compared(c *Change) []Member {
	members := slices.Clone(c.Compared)
	for i := range p.Steps {
		s := &p.Steps[i]
		var in map[string]any
		if s.Change != c.ID || s.Call != createJob || json.Unmarshal(s.Parameters, &in) != nil {
			continue
		}
		for n := range members {
			members[n].New = in[members[n].Name]
			delete(in, members[n].Name)
		}
		for _, name := range slices.Sorted(maps.Keys(in)) {
			members = append(members, Member{Name: name, New: in[name]})
		}
	}
	return members
}

// predictions are the verdicts to come; what passes beside what the change is about is put together.
func predictions(list []Prediction) []string {
	var lines, resources []string
	passes := map[string][]string{}
	for _, p := range list {
		if p.Status == posture.Pass && !strings.HasPrefix(p.Resource, "new ") && p.Message != "" {
			if passes[p.Resource] == nil {
				resources = append(resources, p.Resource)
			}
			passes[p.Resource] = append(passes[p.Resource], p.Rule)
			continue
		}
		line := fmt.Sprintf("%s  %s  %s", p.Rule, p.Status, p.Resource)
		if p.Message != "" {
			line += ": " + p.Message
		}
		lines = append(lines, line)
	}
	for _, resource := range resources {
		lines = append(lines, strings.Join(passes[resource], ", ")+"  "+string(posture.Pass)+"  "+resource)
	}
	return lines
}

func (s *sheet) list(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	s.Blank()
	s.line(3, ansi.Bold, title)
	for _, line := range lines {
		s.line(5, ansi.Plain, line)
	}
}

// beside writes the old and the new in two columns.
func (s *sheet) beside(members []Member) {
	const names = 22
	column := (s.width - 3 - names - 4) / 2
	if column < 20 {
		s.below(members)
		return
	}
	s.row(ansi.Bold, names, column, " ", "", []string{"old"}, []string{"new"})
	for _, m := range members {
		sign, style := " ", ansi.Plain
		if text(m.Old) != text(m.New) {
			sign, style = "~", ansi.Yellow
		}
		s.row(style, names, column, sign, m.Name, cell(m.Old), cell(m.New))
		if m.Why != "" && sign == "~" {
			s.line(5+names, ansi.Dim, "("+m.Why+")")
		}
	}
}

// below writes the old and the new one below the other, where two columns have no room.
func (s *sheet) below(members []Member) {
	for _, m := range members {
		sign, style := "  ", ansi.Plain
		if text(m.Old) != text(m.New) {
			sign, style = "~ ", ansi.Yellow
		}
		s.line(3, style, sign+m.Name)
		for _, line := range cell(m.Old) {
			s.line(5, ansi.Plain, "old: "+line)
		}
		for _, line := range cell(m.New) {
			s.line(5, ansi.Plain, "new: "+line)
		}
		if m.Why != "" && sign == "~ " {
			s.line(5, ansi.Dim, "("+m.Why+")")
		}
	}
}

// row writes one row; its cells wrap.
func (s *sheet) row(style string, names, column int, sign, name string, old, is []string) {
	name = ansi.Visible(name)
	if ansi.Width(name) >= names { // no member of today's API has such a name
		s.line(3, style, sign+" "+name)
		sign, name = " ", ""
	}
	left, right := wrapAll(old, column), wrapAll(is, column)
	for i := range max(len(left), len(right)) {
		var a, b string
		if i < len(left) {
			a = left[i]
		}
		if i < len(right) {
			b = right[i]
		}
		if i > 0 {
			sign, name = " ", ""
		}
		s.Styled(style, strings.TrimRight("   "+sign+" "+pad(name, names)+pad(a, column)+"  "+b, " "))
		s.Blank()
	}
}

func wrapAll(lines []string, column int) []string {
	var out []string
	for _, line := range lines {
		out = append(out, ansi.Wrap(ansi.Visible(line), column)...)
	}
	return out
}

func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-ansi.Width(s)))
}

// cell is a value as a column shows it, line by line. A placeholder's escape is taken off: people see what is sent.
func cell(v any) []string {
	var lines []string
	switch v := v.(type) {
	case nil:
		return []string{"-"}
	case []any:
		for _, one := range v {
			lines = append(lines, cell(one)...)
		}
	case map[string]any:
		if key, ok := v["key"].(string); ok && len(v) == 2 { // a tag
			return []string{shown(key) + " = " + shown(text(v["value"]))}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			part := cell(v[name])
			if len(part) == 1 {
				lines = append(lines, shown(name)+": "+part[0])
				continue
			}
			lines = append(append(lines, shown(name)+":"), part...)
		}
	default:
		return []string{shown(text(v))}
	}
	if len(lines) == 0 {
		return []string{"-"}
	}
	return lines
}

func shown(s string) string { return strings.ReplaceAll(s, "$${", "${") }

func (s *sheet) left(p *Plan) {
	if len(p.Left) == 0 {
		return
	}
	s.Blank()
	s.line(0, ansi.Bold, "Not mended by this plan")
	for _, l := range p.Left {
		s.line(2, ansi.Plain, l.Rule+" "+l.Resource+": "+l.Why)
	}
}

func (s *sheet) checks(p *Plan) {
	if len(p.Checks) == 0 {
		return
	}
	s.Blank()
	s.line(0, ansi.Bold, "Checks")
	style := map[string]string{CheckOK: ansi.Green, CheckRefused: ansi.Red, NotChecked: ansi.Yellow}
	for _, status := range []string{CheckOK, CheckRefused, NotChecked} { // what was not checked stands right above the hash
		for _, c := range p.Checks {
			if c.Status == status {
				s.line(2, style[status], fmt.Sprintf("%s: %s (change %s): %s", status, c.Name, c.Change, c.Why))
			}
		}
	}
}

func (s *sheet) end(p *Plan, hash, file string) {
	s.Blank()
	s.line(0, ansi.Plain, "Cost: "+p.Cost.Text)
	s.line(0, ansi.Bold, "Plan "+hash)
	if len(p.Refused()) > 0 {
		s.line(0, ansi.Red, "The plan is refused: it cannot be applied.")
		return
	}
	if file == "" {
		return
	}
	s.Blank()
	s.line(0, ansi.Plain, "To make it:")
	s.Print("  cloister remediate apply ", posture.ShellQuote(ansi.Visible(file)), " --approve ", strings.Join(append([]string{hash}, Approval{}.lacks(p)...), " "), "\n")
}
