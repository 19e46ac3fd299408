// Package handbook explains rules to people: in a terminal, with what decided a finding, and as a set of static pages, one
// for each rule. It knows nothing that the rule pack does not say, and writes the same bytes for the same pack.
//
// A page has the structure of the knowledge base that the first rule comes from ("Protect Model Customization Jobs using
// a VPC"): risk level, rationale, audit and remediation by console and command line, references, publication date. The
// one thing to know: findings hold names from accounts, so everything goes through visible or markup.
package handbook

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"example.com/cloister/internal/posture"
)

// piece is a part of a text that is shown in its own way.
type piece struct {
	Text string
	// Kind is "" for plain text, "rule" for the id of a rule, "url", or "placeholder".
	Kind string
}

var special = regexp.MustCompile(`MC-[A-Z0-9]{2,3}-[0-9]{3}|https://[^\s<>"]+|\{[a-z_]+\}`)

// pieces takes a text apart. It loses nothing: the pieces' texts make up the text.
func pieces(text string) []piece {
	var out []piece
	plain := func(s string) {
		if s != "" {
			out = append(out, piece{Text: s})
		}
	}
	at := 0
	for _, found := range special.FindAllStringIndex(text, -1) {
		match := text[found[0]:found[1]]
		kind := "rule"
		switch {
		case strings.HasPrefix(match, "https://"):
			kind = "url"
			match = strings.TrimRight(match, ".,;:)")
		case match[0] == '{':
			kind = "placeholder"
		}
		plain(text[at:found[0]])
		out = append(out, piece{match, kind})
		at = found[0] + len(match)
	}
	plain(text[at:])
	return out
}

// date writes the day of a review in words, as the knowledge base does.
func date(reviewed string) string {
	day, err := time.Parse(time.DateOnly, reviewed)
	if err != nil {
		return reviewed
	}
	return day.Format("Jan 2, 2006")
}

// risk is the line that says how bad a FAIL is, such as "Medium (should be achieved)".
func risk(m *posture.Metadata) string { return m.Severity.Title() + " (" + m.Obligation + ")" }

// pillar is a pillar in words.
func pillar(id string) string {
	if id == "" {
		return ""
	}
	words := strings.ReplaceAll(id, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

func groupTitle(id string) string {
	for _, g := range posture.Groups() {
		if g.ID == id {
			return g.Title
		}
	}
	return id
}

func frameworkTitle(id string) string {
	for _, f := range posture.Frameworks() {
		if f.ID == id {
			return f.Title
		}
	}
	return id
}

// setting is a value of a setting as people write it.
func setting(value any) string {
	switch v := value.(type) {
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ", ")
	case []any: // of a saved report
		if len(v) == 0 {
			return "none"
		}
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = fmt.Sprint(one)
		}
		return strings.Join(parts, ", ")
	default:
		return fmt.Sprint(v)
	}
}
