package posture

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWithProfile(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	first, err := pack.WithProfile("a.yaml", []byte(`
version: 1
rules:
  MC-JOB-002:
    severity: high
    settings: {min_azs: 3}
  MC-JOB-005:
    settings: {review_tag: "team:reviewed"}
  MC-KMS-001:
    settings:
      trusted_accounts: ["123456789012"]
`))
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.WithProfile("b.yaml", []byte("version: 1\nrules: {MC-JOB-002: {settings: {min_azs: 4}}}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pack     *Pack
		severity Severity
		azs      int
	}{{pack, Low, 2}, {first, High, 3}, {second, High, 4}} {
		rule, _ := c.pack.Rule("MC-JOB-002")
		if rule.Severity != c.severity || rule.Obligation != c.severity.Obligation() || rule.integer("min_azs") != c.azs {
			t.Errorf("MC-JOB-002 is %s (%s) with min_azs %d, want %s with %d",
				rule.Severity, rule.Obligation, rule.integer("min_azs"), c.severity, c.azs)
		}
	}
	tag, _ := second.Rule("MC-JOB-005")
	if got := tag.Effective()["review_tag"]; got != "team:reviewed" {
		t.Errorf("review_tag = %v", got)
	}
	keys, _ := second.Rule("MC-KMS-001")
	if got := keys.list("trusted_accounts"); !slices.Equal(got, []string{"123456789012"}) {
		t.Errorf("trusted_accounts = %v", got)
	}
	if found := second.Lint(lastReview()); len(found) > 0 {
		t.Errorf("a pack with profiles has problems: %v", found)
	}
}

func TestWithProfileRefuses(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "p.yaml:1: the profile is empty"},
		{"no version", "rules: {}\n", "begin the file with 'version: 1'"},
		{"only a comment", "# nothing\n", "p.yaml:1: the profile is empty"},
		{"not YAML", "rules: [", "p.yaml: "},
		{"list", "- rules\n", "p.yaml:1: a profile must be a mapping"},
		{"null", "~\n", "p.yaml:1: a profile must be a mapping"},
		{"unknown key", "rules: {}\nmutes: {}\n", `p.yaml:2: unknown key "mutes"`},
		{"second document", "rules: {}\n---\nrules: {}\n", "p.yaml:1: more than one document"},
		{"unknown rule", "rules:\n  MC-JOB-999: {}\n", `p.yaml:2: no rule "MC-JOB-999"`},
		{"alias as id", "rules:\n  Bedrock-014: {}\n", `p.yaml:2: no rule "Bedrock-014"`},
		{"rule twice", "rules:\n  MC-JOB-001: {}\n  MC-JOB-001: {}\n", `p.yaml:3: "MC-JOB-001" is already in line 2`},
		{"rule is a list", "rules:\n  MC-JOB-001: []\n", "p.yaml:2: MC-JOB-001 must be a mapping"},
		{"unknown member", "rules:\n  MC-JOB-001:\n    enabled: no\n", `p.yaml:3: unknown key "enabled"`},
		{"severity", "rules:\n  MC-JOB-001:\n    severity: HIGH\n", "p.yaml:3: severity must be low,"},
		{"severity list", "rules:\n  MC-JOB-001:\n    severity: [high]\n", "p.yaml:3: severity must be low,"},
		{"no settings", "rules:\n  MC-JOB-001:\n    settings: {min_azs: 3}\n", `p.yaml:3: MC-JOB-001 has no setting "min_azs"; it has none`},
		{"unknown setting", "rules:\n  MC-JOB-002:\n    settings: {azs: 3}\n", `p.yaml:3: MC-JOB-002 has no setting "azs"; it has min_azs`},
		{"below minimum", "rules:\n  MC-JOB-002:\n    settings:\n      min_azs: 0\n", "p.yaml:4: min_azs must be at least 1"},
		{"above maximum", "rules:\n  MC-JOB-002:\n    settings: {min_azs: 7}\n", "p.yaml:3: min_azs must be at most 6"},
		{"wrong type", "rules:\n  MC-JOB-002:\n    settings: {min_azs: two}\n", "p.yaml:3: min_azs must be an integer"},
		{"huge", "rules:\n  MC-JOB-002:\n    settings: {min_azs: 99999999999999999999}\n", "p.yaml:3: min_azs must be an integer"},
		{"account as number", "rules:\n  MC-KMS-001:\n    settings: {trusted_accounts: [123456789012]}\n", "put quotes around account ids"},
		{"not a list", "rules:\n  MC-KMS-001:\n    settings: {trusted_accounts: \"123456789012\"}\n", "must be a list of strings"},
		{"anchor", "rules:\n  MC-JOB-001: &a {}\n  MC-JOB-002: *a\n", "p.yaml:3: anchors"},
		{"too long", "#" + strings.Repeat("x", profileSize), "p.yaml:1: more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, err := pack.WithProfile("p.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
				t.Errorf("WithProfile(%.80q) = %v, %v, want the error %q", c.text, got, err, c.want)
			}
		})
	}
}

func TestWithProfileFindsAllMistakes(t *testing.T) {
	t.Parallel()
	_, err := loaded(t).WithProfile("p.yaml", []byte("rules:\n  MC-JOB-998: {}\n  MC-JOB-999: {}\n"))
	if err == nil {
		t.Fatal("no error")
	}
	if got, want := err.Error(), "p.yaml:2: no rule \"MC-JOB-998\"\np.yaml:3: no rule \"MC-JOB-999\""; got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if mistake, ok := errors.AsType[*ProfileError](err); !ok || mistake.Line != 2 {
		t.Errorf("error = %#v, want a *ProfileError of line 2", err)
	}
}

func FuzzWithProfile(f *testing.F) {
	for _, seed := range []string{
		"rules: {MC-JOB-002: {severity: high, settings: {min_azs: 3}}}", "rules:\n  MC-KMS-001: &a\n    settings: *a\n", "[", "~",
		"rules: {MC-KMS-001: {settings: {trusted_accounts: [a, b]}}}", "? [a]\n: b\n", "rules: !!binary aGk=\n", "a: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	pack, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		changed, err := pack.WithProfile("p.yaml", data)
		if err != nil {
			return
		}
		if found := changed.Lint(lastReview()); len(found) > 0 {
			t.Errorf("WithProfile(%q) gives a pack with problems: %v", data, found)
		}
		for _, r := range changed.Rules {
			for _, s := range r.Settings { // every setting keeps its type
				switch s.Type {
				case "integer":
					r.integer(s.Name)
				case "strings":
					r.list(s.Name)
				case "string":
					r.text(s.Name)
				}
			}
		}
	})
}
