package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRulesList(t *testing.T) {
	t.Parallel()
	out, code, err := execute(t, "rules", "list")
	if code != 0 {
		t.Fatalf("rules list = %d, %v", code, err)
	}
	for line := range strings.SplitSeq(out, "\n") {
		if len(line) > 80 {
			t.Errorf("line of %d columns: %q", len(line), line)
		}
	}
	if want := "MC-JOB-001  medium     R    Model customization job runs in a VPC\n"; !strings.Contains(out, want) {
		t.Errorf("no %q in:\n%s", want, out)
	}
	if got := strings.Count(out, "MC-"); got != 43 {
		t.Errorf("%d rules, want 43", got)
	}
}

func TestRulesListJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string // ids
	}{
		{[]string{"--group", "job", "--severity", "high"}, "MC-JOB-004 MC-JOB-005"},
		{[]string{"--severity", "extreme,very-high"}, "MC-KMS-002 MC-S3-001 MC-S3-002 MC-S3-015"},
		{[]string{"--framework", "hipaa", "--group", "NET,LOG"}, "MC-LOG-003 MC-NET-007"},
		{[]string{"--framework", "eu-ai-act"}, ""},
	} {
		out, code, err := execute(t, append([]string{"rules", "list", "--json"}, c.args...)...)
		if code != 0 {
			t.Errorf("%v = %d, %v", c.args, code, err)
			continue
		}
		var list []ruleSummary
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, one := range list {
			ids = append(ids, one.ID)
			if one.Needs != "api" || len(one.Reads) == 0 || one.Severity == "" || one.Frameworks == nil {
				t.Errorf("%s lacks members: %+v", one.ID, one)
			}
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%v = %s, want %s", c.args, got, c.want)
		}
	}
}

func TestRulesShow(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"MC-JOB-001", "job-001", "Bedrock-014"} {
		out, code, err := execute(t, "rules", "show", name)
		if code != 0 || !strings.HasPrefix(out, "MC-JOB-001 Model customization job runs in a VPC\n") {
			t.Errorf("rules show %s = %d, %v:\n%s", name, code, err, out)
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("rules show %s writes colors to what is no terminal", name)
		}
	}
	out, _, _ := execute(t, "rules", "show", "Bedrock-004")
	if !strings.Contains(out, "MC-JOB-004") || !strings.Contains(out, "MC-MOD-001") {
		t.Error("rules show Bedrock-004 does not show both rules")
	}
	var reports []struct {
		ID        string
		Effective map[string]any `json:"effectiveSettings"`
	}
	profile := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(profile, []byte("version: 1\nrules: {MC-JOB-002: {settings: {min_azs: 3}}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code, err := execute(t, "rules", "show", "MC-JOB-002", "--json", "--settings", profile)
	if code != 0 {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || reports[0].ID != "MC-JOB-002" || reports[0].Effective["min_azs"] != 3.0 {
		t.Errorf("rules show --json --settings = %+v", reports)
	}
}

func TestRulesLint(t *testing.T) {
	t.Parallel()
	if out, code, err := execute(t, "rules", "lint"); code != 0 || out != "43 rules: ok\n" {
		t.Errorf("rules lint = %d, %v: %s", code, err, out)
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for file, text := range map[string]string{
		good: "version: 1\nrules: {MC-JOB-001: {severity: high}}\n",
		bad:  "rules:\n  MC-JOB-999: {}\n  MC-JOB-002: {settings: {min_azs: 0}}\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, code, _ := execute(t, "rules", "lint", good, bad)
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{good + ": ok\n", bad + ":2: no rule \"MC-JOB-999\"\n", bad + ":3: min_azs must be at least 1\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("no %q, or not once, in:\n%s", want, out)
		}
	}
}

func TestRulesSite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "handbook")
	out, code, err := execute(t, "rules", "site", dir)
	if code != 0 || !strings.Contains(out, " pages in "+dir) {
		t.Fatalf("rules site = %d, %v: %s", code, err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "MC-JOB-001.html")); err != nil {
		t.Error(err)
	}
}

func TestIAMPolicyCommand(t *testing.T) {
	t.Parallel()
	out, code, err := execute(t, "audit", "iam-policy", "--rule", "Bedrock-014", "--partition", "aws-us-gov")
	if code != 0 {
		t.Fatal(err)
	}
	var policy struct {
		Statement []struct{ Action, Resource []string }
	}
	if err := json.Unmarshal([]byte(out), &policy); err != nil {
		t.Fatalf("not one JSON document: %v\n%s", err, out)
	}
	if len(policy.Statement) != 4 || !strings.Contains(out, "arn:aws-us-gov:bedrock:*:*:model-customization-job/*") {
		t.Errorf("policy = %s", out)
	}
	out, code, err = execute(t, "audit", "iam-policy", "--org", "--org-role", "Auditor", "--group", "kms", "--group", "s3")
	if code != 0 {
		t.Fatal(err)
	}
	for _, want := range []string{"# policy 1 of 2\n{", "# policy 2 of 2\n{", "arn:aws:iam::*:role/Auditor", "kms:ListGrants"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestWrongUsageOfRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"rules"},
		{"rules", "dance"},
		{"rules", "list", "x"},
		{"rules", "list", "--group", "XYZ"},
		{"rules", "list", "--severity", "bad"},
		{"rules", "list", "--framework", "iso"},
		{"rules", "show"},
		{"rules", "show", "MC-JOB-999"},
		{"rules", "site"},
		{"audit", "iam-policy", "--rule", "MC-JOB-999"},
		{"audit", "iam-policy", "--partition", "moon"},
		{"audit", "iam-policy", "--group", "ROL"},
	} {
		if out, code, err := execute(t, args...); code != 2 {
			t.Errorf("cloister %s = %d, %v, want exit code 2\n%s", strings.Join(args, " "), code, err, out)
		}
	}
}
