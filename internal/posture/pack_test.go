package posture

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func loaded(t *testing.T) *Pack {
	t.Helper()
	pack, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// lastReview is the day against which tests hold the dates of reviews.
func lastReview() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }

func TestPackIsClean(t *testing.T) {
	t.Parallel()
	for _, problem := range loaded(t).Lint(lastReview()) {
		t.Error(problem)
	}
}

func TestPackHasTheRules(t *testing.T) {
	t.Parallel()
	want := map[string]int{"JOB": 7, "NET": 8, "KMS": 4, "S3": 7, "MOD": 7, "IMP": 3, "LOG": 4, "LIF": 3}
	got := map[string]int{}
	pack := loaded(t)
	for _, r := range pack.Rules {
		got[r.Group()]++
		if r.Needs != "api" {
			t.Errorf("%s needs %q", r.ID, r.Needs)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules by group (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(pack.Rules, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("rules are not sorted")
	}
}

func TestRuleOfTheKnowledgeBase(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	rule, ok := pack.Rule("MC-JOB-001")
	if !ok {
		t.Fatal("no MC-JOB-001")
	}
	if rule.Severity != Medium || rule.Obligation != "should be achieved" || !slices.Contains(rule.Aliases, "Bedrock-014") {
		t.Errorf("MC-JOB-001 is %s (%s), %v", rule.Severity, rule.Obligation, rule.Aliases)
	}
	var runs []string
	for _, step := range rule.Audit.CLI {
		if step.Run != "" {
			runs = append(runs, strings.Join(strings.Fields(strings.ReplaceAll(step.Run, "\\\n", " ")), " "))
		}
	}
	want := []string{
		"aws bedrock list-model-customization-jobs --region {region} --query 'modelCustomizationJobSummaries[*].jobName'",
		"aws bedrock get-model-customization-job --region {region} --job-identifier {job_name} --query 'vpcConfig'",
	}
	if diff := cmp.Diff(want, runs); diff != "" {
		t.Errorf("audit commands (-want +got):\n%s", diff)
	}
	var remedy strings.Builder
	for _, step := range rule.Remediation.CLI {
		remedy.WriteString(step.Run + step.Output)
	}
	for _, part := range []string{
		"create-model-customization-job", "--custom-model-kms-key-id", "--vpc-config", `"aws:SourceVpce"`, `"Deny"`,
		`"s3:GetObject", "s3:PutObject", "s3:ListBucket"`, "{break_glass_role}",
	} {
		if !strings.Contains(remedy.String(), part) {
			t.Errorf("the remediation lacks %s", part)
		}
	}
}

func TestReadsIncludeThoseOfUsedRules(t *testing.T) {
	t.Parallel()
	rule, _ := loaded(t).Rule("MC-LIF-005")
	want := []string{
		"bedrock:GetModelCustomizationJob", "bedrock:ListModelCustomizationJobs", "ec2:DescribeSecurityGroups",
		"ec2:DescribeSubnets",
	}
	if diff := cmp.Diff(want, rule.AllReads()); diff != "" {
		t.Errorf("reads of MC-LIF-005 (-want +got):\n%s", diff)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	for _, c := range []struct {
		names []string
		want  []string
	}{
		{[]string{"MC-NET-001"}, []string{"MC-NET-001"}},
		{[]string{"net-002", "mc-job-001", "NET-002"}, []string{"MC-JOB-001", "MC-NET-002"}},
		{[]string{"bedrock-014"}, []string{"MC-JOB-001"}},
		{[]string{"Bedrock-004"}, []string{"MC-JOB-004", "MC-MOD-001"}},
	} {
		rules, err := pack.Select(c.names...)
		if err != nil {
			t.Errorf("Select(%q): %v", c.names, err)
			continue
		}
		var ids []string
		for _, r := range rules {
			ids = append(ids, r.ID)
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("Select(%q) (-want +got):\n%s", c.names, diff)
		}
	}
	if rules, err := pack.Select(); err != nil || len(rules) != len(pack.Rules) {
		t.Errorf("Select() = %d rules, %v, want all", len(rules), err)
	}
	if _, err := pack.Select("MC-JOB-999"); err == nil {
		t.Error("Select of an unknown rule: no error")
	}
}

func TestReadRulesIsStrict(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown key":      "- id: MC-JOB-001\n  colour: red\n",
		"not a list":       "id: MC-JOB-001\n",
		"second document":  "- id: MC-JOB-001\n---\n- id: MC-JOB-002\n",
		"key twice":        "- id: MC-JOB-001\n  id: MC-JOB-002\n",
		"not a string":     "- id: [MC-JOB-001]\n",
		"version in words": "- id: MC-JOB-001\n  version: one\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{"rules/bad.yaml": {Data: []byte(text)}}
			if rules, err := readRules(files); err == nil {
				t.Errorf("readRules(%q) = %v, want an error", text, rules)
			}
		})
	}
}

func TestNewPackChecksDefaults(t *testing.T) {
	t.Parallel()
	least := 1
	for name, setting := range map[string]Setting{
		"below minimum": {Name: "n", Type: "integer", Default: 0, Minimum: &least},
		"wrong type":    {Name: "n", Type: "integer", Default: "7"},
		"no type":       {Name: "n", Default: 7},
		"empty string":  {Name: "n", Type: "string", Default: ""},
		"list of ints":  {Name: "n", Type: "strings", Default: []any{1}},
	} {
		if _, err := newPack([]Metadata{{ID: "MC-JOB-001", Settings: []Setting{setting}}}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEffectiveIsACopy(t *testing.T) {
	t.Parallel()
	rule, _ := loaded(t).Rule("MC-JOB-002")
	rule.Effective()["min_azs"] = 7
	if got := rule.integer("min_azs"); got != 2 {
		t.Errorf("min_azs = %d after a change to what Effective gave, want 2", got)
	}
	if got := rule.Report().Effective["min_azs"]; got != 2 {
		t.Errorf("Report().Effective[min_azs] = %v, want 2", got)
	}
}
