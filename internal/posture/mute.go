package posture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Mute says that a FAIL is accepted for a time. All of its conditions must hold; rule and at least one of the others or
// Everywhere are needed. Patterns are anchored: * is any text, ? one character.
type Mute struct {
	Rule     string            `yaml:"rule"`
	Finding  string            `yaml:"finding,omitempty"`
	Account  string            `yaml:"account,omitempty"`
	Region   string            `yaml:"region,omitempty"`
	Resource string            `yaml:"resource,omitempty"` // ARN or name
	Tags     map[string]string `yaml:"tags,omitempty"`
	// Everywhere is needed for a mute without any of the above.
	Everywhere bool   `yaml:"everywhere,omitempty"`
	Reason     string `yaml:"reason"`
	Owner      string `yaml:"owner"`
	// Expires is yyyy-mm-dd, the last day on which the mute holds; at most a year ahead of the audit.
	Expires string `yaml:"expires"`

	line   int
	broken string // why it is malformed; such a mute mutes nothing
	used   int
}

// Mutes is a file of mutes.
type Mutes struct {
	Mutes []*Mute
}

// muteYear is the longest that a mute may last.
const muteYear = 366 * 24 * time.Hour

// ParseMutes reads a mute file: YAML, `version: 1` and `mutes:` with a list. A malformed entry is kept as that: it mutes
// nothing and is reported. A file that is no YAML, or of another version, is an error.
func ParseMutes(text []byte, now time.Time) (*Mutes, error) {
	var file struct {
		Version int         `yaml:"version"`
		Mutes   []yaml.Node `yaml:"mutes"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document: take the second '---' out")
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version is %d; this program reads version 1: begin the file with 'version: 1'", file.Version)
	}
	m := &Mutes{}
	for i := range file.Mutes {
		m.Mutes = append(m.Mutes, parseMute(&file.Mutes[i], now))
	}
	return m, nil
}

func parseMute(node *yaml.Node, now time.Time) *Mute {
	one := &Mute{line: node.Line}
	body, err := yaml.Marshal(node)
	if err != nil {
		one.broken = err.Error()
		return one
	}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(one); err != nil {
		one.broken = strings.ReplaceAll(err.Error(), "\n", " ")
		return one
	}
	one.broken = one.check(now)
	return one
}

func (m *Mute) check(now time.Time) string {
	day, err := time.Parse(time.DateOnly, m.Expires)
	switch {
	case m.Rule == "":
		return "it names no rule"
	case strings.TrimSpace(m.Reason) == "":
		return "it gives no reason"
	case strings.TrimSpace(m.Owner) == "":
		return "it names no owner"
	case err != nil:
		return fmt.Sprintf("expires is %q: write a date such as %s", m.Expires, now.AddDate(0, 3, 0).Format(time.DateOnly))
	case day.Sub(now) > muteYear:
		return "it lasts longer than a year"
	case !m.Everywhere && (anything(m.Rule) || m.Finding == "" && anything(m.Account) && anything(m.Region) && anything(m.Resource) && !slices.ContainsFunc(slices.Collect(maps.Values(m.Tags)), func(p string) bool { return !anything(p) })):
		return "it names no rule, or no finding, account, region, resource or tag, but any: say 'everywhere: true' if that is meant"
	}
	return ""
}

// anything says that a pattern leaves nothing out.
func anything(pattern string) bool { return strings.Trim(pattern, "*?") == "" }

func (m *Mute) expired(now time.Time) bool {
	day, err := time.Parse(time.DateOnly, m.Expires)
	return err != nil || !now.Before(day.AddDate(0, 0, 1))
}

// Matches says whether the mute names a result; it does not ask whether it has expired.
func (m *Mute) Matches(r *Result) bool {
	if m.broken != "" || !matches(m.Rule, r.Rule) || m.Finding != "" && m.Finding != r.ID ||
		!matches(m.Account, r.Account) || !matches(m.Region, r.Region) {
		return false
	}
	if m.Resource != "" && !matches(m.Resource, r.Resource) && !matches(m.Resource, r.Name) {
		return false
	}
	for key, pattern := range m.Tags {
		if value, ok := r.Tags[key]; !ok || !matches(pattern, value) {
			return false
		}
	}
	return true
}

// Apply turns the FAILs that a mute names into MUTED, and returns notes about mutes that are expired, malformed or
// unused. It changes results, and returns them.
func (ms *Mutes) Apply(results []Result, now time.Time) ([]Result, []string) {
	for i := range results {
		if results[i].Status != Fail {
			continue
		}
		results[i].Mute = nil
		for _, m := range ms.Mutes {
			if !m.Matches(&results[i]) {
				continue
			}
			m.used++
			if results[i].Mute == nil && !m.expired(now) {
				results[i].Status = Muted
				results[i].Mute = &MuteNote{Reason: m.Reason, Owner: m.Owner, Expires: m.Expires}
			}
		}
	}
	return results, ms.notes(results, now)
}

func (ms *Mutes) notes(results []Result, now time.Time) []string {
	var notes []string
	for _, m := range ms.Mutes {
		switch {
		case m.broken != "":
			notes = append(notes, fmt.Sprintf("the mute on line %d is malformed and mutes nothing: %s", m.line, m.broken))
		case m.expired(now):
			notes = append(notes, fmt.Sprintf("the mute of %s on line %d expired on %s (owner %s): it mutes nothing", m.Rule, m.line, m.Expires, m.Owner))
		case m.used == 0 && slices.ContainsFunc(results, func(r Result) bool { return matches(m.Rule, r.Rule) }): // it was judged
			notes = append(notes, fmt.Sprintf("the mute of %s on line %d matches no finding (owner %s): 'cloister mute prune --from report.json' takes it out", m.Rule, m.line, m.Owner))
		}
	}
	return notes
}

// Line is the line of the file that the mute begins on; State says "active", "expired" or "malformed: why".
func (m *Mute) Line() int { return m.line }

// State says whether the mute holds at a time.
func (m *Mute) State(now time.Time) string {
	switch {
	case m.broken != "":
		return "malformed: " + m.broken
	case m.expired(now):
		return "expired"
	}
	return "active"
}
