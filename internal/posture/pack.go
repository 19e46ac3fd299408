package posture

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed rules/*.yaml
var ruleFiles embed.FS

// Pack is a set of rules, sorted by id. It is read only: WithProfile gives another one.
type Pack struct {
	Rules []Rule
}

// Load reads the built-in rules. An error is a defect of the program; Lint says more.
func Load() (*Pack, error) {
	metadata, err := readRules(ruleFiles)
	if err != nil {
		return nil, err
	}
	return newPack(metadata, allLogic())
}

// readRules reads all rules/*.yaml of a file system. Each file is a list of rules.
func readRules(files fs.FS) ([]Metadata, error) {
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []Metadata
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true)
		var some []Metadata
		if err := dec.Decode(&some); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: more than one document", name)
		}
		all = append(all, some...)
	}
	return all, nil
}

// newPack joins what is written about rules with what decides them. A rule without logic stays without; Lint reports it.
func newPack(metadata []Metadata, logics []logic) (*Pack, error) {
	byID := map[string]logic{}
	for _, l := range logics {
		byID[l.id] = l
	}
	pack := &Pack{Rules: make([]Rule, 0, len(metadata))}
	for _, m := range metadata {
		rule := Rule{Metadata: m, settings: map[string]any{}, logic: byID[m.ID]}
		for i, s := range m.Settings {
			value, err := s.plain(s.Default)
			if err != nil {
				return nil, fmt.Errorf("rule %s: default of %s: %w", m.ID, s.Name, err)
			}
			rule.settings[s.Name] = value
			rule.Settings[i].Default = value
		}
		pack.Rules = append(pack.Rules, rule)
	}
	slices.SortStableFunc(pack.Rules, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	for i := range pack.Rules {
		pack.Rules[i].reads = pack.closure(&pack.Rules[i])
	}
	return pack, nil
}

// closure is the reads of a rule with those of all rules that it uses, sorted. Circles end it; Lint reports them.
func (p *Pack) closure(rule *Rule) []string {
	seen, reads := map[string]bool{}, map[string]bool{}
	var visit func(r *Rule)
	visit = func(r *Rule) {
		if seen[r.ID] {
			return
		}
		seen[r.ID] = true
		for _, read := range r.Reads {
			reads[read] = true
		}
		for _, id := range r.Uses {
			if used, ok := p.Rule(id); ok {
				visit(used)
			}
		}
	}
	visit(rule)
	return slices.Sorted(maps.Keys(reads))
}

// Rule finds a rule by its id.
func (p *Pack) Rule(id string) (*Rule, bool) {
	for i := range p.Rules {
		if p.Rules[i].ID == id {
			return &p.Rules[i], true
		}
	}
	return nil, false
}

// Select finds rules by ids, ids without "MC-", or aliases, in the order of the pack and each once. Case does not matter.
// An alias may name several rules. No names select all rules.
func (p *Pack) Select(names ...string) ([]*Rule, error) {
	chosen := map[string]bool{}
	for _, name := range names {
		found := false
		for _, r := range p.Rules {
			if r.named(name) {
				chosen[r.ID], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no rule %q", name)
		}
	}
	var rules []*Rule
	for i := range p.Rules {
		if len(names) == 0 || chosen[p.Rules[i].ID] {
			rules = append(rules, &p.Rules[i])
		}
	}
	return rules, nil
}

func (r *Rule) named(name string) bool {
	same := func(s string) bool { return strings.EqualFold(s, name) }
	return same(r.ID) || same(strings.TrimPrefix(r.ID, "MC-")) || slices.ContainsFunc(r.Aliases, same)
}

// Effective are the rule's settings after all profiles: integers are int, lists []string.
func (r *Rule) Effective() map[string]any { return maps.Clone(r.settings) }

// Report is the rule as reports print it.
func (r *Rule) Report() RuleReport {
	report := RuleReport{Metadata: r.Metadata}
	if len(r.settings) > 0 {
		report.Effective = r.Effective()
	}
	return report
}

// plain holds a value that came from YAML against the setting and gives it as int, []string or string.
func (s *Setting) plain(value any) (any, error) {
	switch s.Type {
	case "integer":
		n, ok := value.(int)
		if !ok {
			return nil, errors.New("must be an integer")
		}
		if s.Minimum != nil && n < *s.Minimum {
			return nil, fmt.Errorf("must be at least %d", *s.Minimum)
		}
		if s.Maximum != nil && n > *s.Maximum {
			return nil, fmt.Errorf("must be at most %d", *s.Maximum)
		}
		return n, nil
	case "string":
		if text, ok := value.(string); ok && text != "" {
			return text, nil
		}
		return nil, errors.New("must be a string that is not empty")
	case "strings":
		items, ok := value.([]any)
		if !ok {
			return nil, errors.New("must be a list of strings")
		}
		list := make([]string, 0, len(items))
		for _, item := range items {
			text, ok := item.(string)
			if !ok || text == "" {
				return nil, errors.New("must be a list of strings that are not empty; put quotes around account ids")
			}
			list = append(list, text)
		}
		return list, nil
	default:
		return nil, fmt.Errorf("the setting has an unknown type %q", s.Type)
	}
}
