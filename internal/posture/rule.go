package posture

import (
	"slices"
)

// Rule is one rule: what people read about it, from the embedded YAML, and what decides it, from this package.
type Rule struct {
	Metadata
	// settings are the effective values: defaults, then the rule profile.
	settings map[string]any
	reads    []string // with those of the rules it uses
	logic    logic
}

// Metadata is what is written about a rule in rules/*.yaml. Lint checks it.
type Metadata struct {
	// ID is stable and never used again, such as "MC-JOB-001".
	ID string `yaml:"id" json:"id"`
	// Version counts changes of the logic, so that a diff can tell a changed rule from a changed resource.
	Version int `yaml:"version" json:"version"`
	// Aliases are ids of other products for the same check, such as "Bedrock-014".
	Aliases  []string `yaml:"aliases,omitempty" json:"aliases,omitempty"`
	Title    string   `yaml:"title" json:"title"`
	Severity Severity `yaml:"severity" json:"severity"`
	// Obligation is the knowledge base's wording of the severity, such as "should be achieved".
	Obligation string `yaml:"obligation" json:"obligation"`
	Pillar     string `yaml:"pillar" json:"pillar"`
	// Resource is the kind of resource that is judged, in CloudFormation's notation; jobs have no such type, the label is ours.
	Resource string `yaml:"resource" json:"resource"`
	// Needs is "api" for rules that API data decides; later "policy" and "data".
	Needs string `yaml:"needs" json:"needs"`
	// Reads are all calls that the rule's data comes from, such as "bedrock:GetModelCustomizationJob".
	Reads []string `yaml:"reads" json:"reads"`
	// Shows are calls whose answers the evidence shows where they were had; verdicts do not rest on them.
	Shows []string `yaml:"shows,omitempty" json:"shows,omitempty"`
	// Uses are ids of rules whose verdicts this rule builds on; their reads are added.
	Uses []string `yaml:"uses,omitempty" json:"uses,omitempty"`
	// Settings are what a rule profile may change.
	Settings  []Setting `yaml:"settings,omitempty" json:"settings,omitempty"`
	Rationale string    `yaml:"rationale" json:"rationale"`
	// PassWhen and FailWhen are one sentence each.
	PassWhen    string  `yaml:"pass_when" json:"passWhen"`
	FailWhen    string  `yaml:"fail_when" json:"failWhen"`
	Audit       Steps   `yaml:"audit" json:"audit"`
	Remediation Steps   `yaml:"remediation" json:"remediation"`
	Fix         FixInfo `yaml:"fix" json:"fix"`
	// Supersedable says that a FAIL can be superseded by a compliant successor (immutable objects).
	Supersedable bool `yaml:"supersedable,omitempty" json:"supersedable,omitempty"`
	// Maps are controls of frameworks that the rule supports: framework id to control ids.
	Maps       map[string][]string `yaml:"maps,omitempty" json:"maps,omitempty"`
	References []Reference         `yaml:"references" json:"references"`
	// Reviewed is the date of the last review, yyyy-mm-dd.
	Reviewed string `yaml:"reviewed" json:"reviewed"`
}

// Setting is a value that a rule profile may change.
type Setting struct {
	Name string `yaml:"name" json:"name"`
	// Type is "integer", "strings" (a list) or "string".
	Type        string `yaml:"type" json:"type"`
	Default     any    `yaml:"default" json:"default"`
	Minimum     *int   `yaml:"minimum,omitempty" json:"minimum,omitempty"`
	Maximum     *int   `yaml:"maximum,omitempty" json:"maximum,omitempty"`
	Description string `yaml:"description" json:"description"`
}

// Steps tells how to do something by hand.
type Steps struct {
	Console []string  `yaml:"console" json:"console"`
	CLI     []CLIStep `yaml:"cli" json:"cli"`
}

// CLIStep is one numbered step of a command line. Run may hold {placeholders}: {region}, {account}, {partition},
// {job_name}, {job_arn}, {model_arn}, {key_id}, {bucket}, {vpc_id}, {subnet_ids}, {group_id} and others; a finding's commands
// have them filled in.
type CLIStep struct {
	Text   string `yaml:"text" json:"text"`
	Run    string `yaml:"run,omitempty" json:"run,omitempty"`
	Output string `yaml:"output,omitempty" json:"output,omitempty"`
}

// FixInfo says what kind of change mends a FAIL.
type FixInfo struct {
	// Class is A0 (reversible, no effect on running work), A1 (reversible, may break something), R (re-create), D
	// (destructive) or M (by hand).
	Class   string   `yaml:"class" json:"class"`
	Hazards []string `yaml:"hazards,omitempty" json:"hazards,omitempty"`
}

// Reference is a page that the rule follows.
type Reference struct {
	Title string `yaml:"title" json:"title"`
	URL   string `yaml:"url" json:"url"`
}

// Group is the part of the id that names the group, such as "JOB" of "MC-JOB-001".
func (m *Metadata) Group() string {
	if len(m.ID) < 7 {
		return ""
	}
	return m.ID[3 : len(m.ID)-4]
}

// AllReads are the rule's reads with those of the rules it uses, sorted.
func (r *Rule) AllReads() []string { return slices.Clone(r.reads) }

func (r *Rule) declares(operation string) bool {
	return slices.Contains(r.reads, operation) || slices.Contains(r.Shows, operation)
}

func (r *Rule) integer(name string) int {
	n, ok := r.settings[name].(int)
	if !ok {
		panic("rule " + r.ID + " has no integer setting " + name) // a defect of the rule: the lint and every test see it
	}
	return n
}

func (r *Rule) list(name string) []string {
	l, ok := r.settings[name].([]string)
	if !ok {
		panic("rule " + r.ID + " has no list setting " + name) // as above
	}
	return l
}

func (r *Rule) text(name string) string {
	s, ok := r.settings[name].(string)
	if !ok {
		panic("rule " + r.ID + " has no text setting " + name) // as above
	}
	return s
}
