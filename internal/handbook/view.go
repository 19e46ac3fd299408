package handbook

import (
	"maps"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
)

// row is a rule in a list.
type row struct {
	ID, Title, Severity, Risk, Level string
	Group, GroupTitle                string
	Frameworks                       string // ids, with spaces between
	Search                           string // lower case
	Pass                             string
}

// page is the name of the rule's page.
func (r *row) page() string { return r.ID + ".html" }

func rowOf(r *posture.Rule) row {
	frameworks := slices.Sorted(maps.Keys(r.Maps))
	words := []string{r.ID, r.Title, r.Resource, r.Pillar, r.Rationale, strings.Join(r.Aliases, " "), strings.Join(r.Reads, " ")}
	for _, f := range frameworks {
		words = append(words, strings.Join(r.Maps[f], " "))
	}
	return row{
		ID: r.ID, Title: r.Title, Severity: r.Severity.Title(), Risk: risk(&r.Metadata), Level: string(r.Severity),
		Group: r.Group(), GroupTitle: groupTitle(r.Group()), Frameworks: strings.Join(frameworks, " "),
		Search: strings.ToLower(flat(strings.Join(words, " "))), Pass: r.PassWhen,
	}
}

// groupView is a group with its rules.
type groupView struct {
	ID, Title string
	Rules     []row
}

// groups are the groups that have rules, in the order of the vocabulary.
func (s *site) groups() []groupView {
	var out []groupView
	for _, g := range posture.Groups() {
		view := groupView{ID: g.ID, Title: g.Title}
		for i := range s.pack.Rules {
			if s.pack.Rules[i].Group() == g.ID {
				view.Rules = append(view.Rules, rowOf(&s.pack.Rules[i]))
			}
		}
		if len(view.Rules) > 0 {
			out = append(out, view)
		}
	}
	return out
}

// controlView is a control of a framework with the rules that support it.
type controlView struct {
	ID    string
	Rules []row
}

type frameworkView struct {
	ID, Title string
	Controls  []controlView
}

// frameworks are those that rules name.
func (s *site) frameworks() []frameworkView {
	var out []frameworkView
	for _, f := range posture.Frameworks() {
		byControl := map[string][]row{}
		for i := range s.pack.Rules {
			for _, control := range s.pack.Rules[i].Maps[f.ID] {
				byControl[control] = append(byControl[control], rowOf(&s.pack.Rules[i]))
			}
		}
		if len(byControl) == 0 {
			continue
		}
		view := frameworkView{ID: f.ID, Title: f.Title}
		for _, control := range slices.SortedFunc(maps.Keys(byControl), natural) {
			view.Controls = append(view.Controls, controlView{control, byControl[control]})
		}
		out = append(out, view)
	}
	return out
}

// natural orders controls as people do: 3.9 before 3.10, A.5 before A.8.
func natural(a, b string) int {
	for a != "" && b != "" {
		m, n := digits(a), digits(b)
		if m > 0 && n > 0 {
			x, y := strings.TrimLeft(a[:m], "0"), strings.TrimLeft(b[:n], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if order := strings.Compare(x, y); order != 0 {
				return order
			}
			a, b = a[m:], b[n:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

type indexView struct {
	Count      int
	Severities []option
	Groups     []groupView
	Frameworks []frameworkView
}

// option is a choice of a filter.
type option struct{ ID, Title string }

func (s *site) index() indexView {
	view := indexView{Count: len(s.pack.Rules), Groups: s.groups(), Frameworks: s.frameworks()}
	for _, severity := range slices.Backward(posture.Severities()) {
		view.Severities = append(view.Severities, option{string(severity), severity.Title()})
	}
	return view
}

type settingView struct{ Name, Default, Limits, Description string }

type readView struct{ Operation, Action string }

// ruleView is a rule's page.
type ruleView struct {
	row
	posture.Metadata
	Reviewed, Pillar, FixClass string
	Settings                   []settingView
	Reads                      []readView
	Uses, UsedBy               []row
	Supports                   []frameworkView
	Previous, Next             *row
}

func (s *site) rule(i int) ruleView {
	r := &s.pack.Rules[i]
	view := ruleView{
		row: rowOf(r), Metadata: r.Metadata, Reviewed: date(r.Reviewed), Pillar: pillar(r.Pillar), FixClass: posture.FixClass(r.Fix.Class),
	}
	for _, one := range r.Settings {
		view.Settings = append(view.Settings, settingView{one.Name, setting(one.Default), limits(&one), one.Description})
	}
	for _, read := range r.AllReads() {
		action := posture.ActionOf(read)
		if action == read {
			action = ""
		}
		view.Reads = append(view.Reads, readView{read, action})
	}
	for j := range s.pack.Rules {
		other := &s.pack.Rules[j]
		if slices.Contains(r.Uses, other.ID) {
			view.Uses = append(view.Uses, rowOf(other))
		}
		if slices.Contains(other.Uses, r.ID) {
			view.UsedBy = append(view.UsedBy, rowOf(other))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.Maps)) {
		f := frameworkView{ID: id, Title: frameworkTitle(id)}
		for _, control := range r.Maps[id] {
			f.Controls = append(f.Controls, controlView{ID: control})
		}
		view.Supports = append(view.Supports, f)
	}
	if i > 0 {
		previous := rowOf(&s.pack.Rules[i-1])
		view.Previous = &previous
	}
	if i+1 < len(s.pack.Rules) {
		next := rowOf(&s.pack.Rules[i+1])
		view.Next = &next
	}
	return view
}

func limits(s *posture.Setting) string {
	switch {
	case s.Type == "strings":
		return "list"
	case s.Minimum != nil && s.Maximum != nil:
		return setting(*s.Minimum) + " to " + setting(*s.Maximum)
	default:
		return "text"
	}
}
