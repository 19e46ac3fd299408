package posture

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// profileSize bounds a rule profile: one line for each setting of each rule is a hundredth of it.
const profileSize = 1 << 20

// ProfileError is a mistake in a rule profile.
type ProfileError struct {
	File string
	Line int
	Text string
}

func (e *ProfileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// WithProfile gives the pack as a rule profile changes it. The profile is YAML:
//
//	version: 1
//	rules:
//	  MC-JOB-002:
//	    severity: medium
//	    settings: {min_azs: 3}
//
// file is its name, for errors; all mistakes are found, each a *ProfileError. Of several profiles the later ones win.
func (p *Pack) WithProfile(file string, data []byte) (*Pack, error) {
	pack := &Pack{Rules: slices.Clone(p.Rules)}
	for i := range pack.Rules {
		pack.Rules[i].settings = maps.Clone(pack.Rules[i].settings)
	}
	parser := &profileParser{pack: pack, file: file}
	if err := parser.parse(data); err != nil {
		return nil, err
	}
	return pack, nil
}

type profileParser struct {
	pack *Pack
	file string
	errs []error
}

func (p *profileParser) addf(at *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, &ProfileError{p.file, max(at.Line, 1), fmt.Sprintf(format, args...)})
}

func (p *profileParser) parse(data []byte) error {
	if len(data) > profileSize {
		return &ProfileError{p.file, 1, fmt.Sprintf("more than %d bytes", profileSize)}
	}
	var root yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	if err := dec.Decode(&root); errors.Is(err, io.EOF) || err == nil && len(root.Content) == 0 {
		return &ProfileError{p.file, 1, "the profile is empty"}
	} else if err != nil {
		return fmt.Errorf("%s: %w", p.file, err)
	}
	if err := dec.Decode(new(yaml.Node)); err == nil {
		return &ProfileError{p.file, 1, "more than one document"}
	}
	version := ""
	p.members(root.Content[0], "a profile", func(key, value *yaml.Node) {
		switch key.Value {
		case "version":
			version = value.Value
		case "rules":
			p.members(value, "rules", p.rule)
		default:
			p.addf(key, "unknown key %q; a profile has version and rules", key.Value)
		}
	})
	if len(p.errs) == 0 && version != "1" {
		p.addf(root.Content[0], "version is %q; this program reads version 1: begin the file with 'version: 1'", version)
	}
	return errors.Join(p.errs...)
}

// members calls f for each member of a mapping, and refuses what is none.
func (p *profileParser) members(node *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		p.addf(node, "%s must be a mapping", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode {
			p.addf(key, "anchors and keys that are not plain are not understood")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			p.addf(key, "%q is already in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value)
	}
}

func (p *profileParser) rule(key, value *yaml.Node) {
	rule, ok := p.pack.Rule(key.Value)
	if !ok {
		p.addf(key, "no rule %q", key.Value)
		return
	}
	p.members(value, key.Value, func(key, value *yaml.Node) {
		switch key.Value {
		case "severity":
			p.severity(rule, value)
		case "settings":
			p.members(value, "settings", func(key, value *yaml.Node) { p.setting(rule, key, value) })
		default:
			p.addf(key, "unknown key %q; a rule has severity and settings", key.Value)
		}
	})
}

func (p *profileParser) severity(rule *Rule, value *yaml.Node) {
	severity := Severity(value.Value)
	if value.Kind != yaml.ScalarNode || severity.Rank() == 0 {
		p.addf(value, "severity must be low, medium, high, very-high or extreme")
		return
	}
	rule.Severity, rule.Obligation = severity, severity.Obligation()
}

func (p *profileParser) setting(rule *Rule, key, value *yaml.Node) {
	i := slices.IndexFunc(rule.Settings, func(s Setting) bool { return s.Name == key.Value })
	if i < 0 {
		names := make([]string, len(rule.Settings))
		for n, s := range rule.Settings {
			names[n] = s.Name
		}
		if len(names) == 0 {
			names = []string{"none"}
		}
		p.addf(key, "%s has no setting %q; it has %s", rule.ID, key.Value, strings.Join(names, ", "))
		return
	}
	var raw any
	if err := value.Decode(&raw); err != nil {
		p.addf(value, "%s: %v", key.Value, err)
		return
	}
	plain, err := rule.Settings[i].plain(raw)
	if err != nil {
		p.addf(value, "%s %v", key.Value, err)
		return
	}
	rule.settings[key.Value] = plain
}
