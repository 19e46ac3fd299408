package handbook

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func loaded(t *testing.T) *posture.Pack {
	t.Helper()
	pack, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

func report(t *testing.T, id string) posture.RuleReport {
	t.Helper()
	rule, ok := loaded(t).Rule(id)
	if !ok {
		t.Fatalf("no rule %s", id)
	}
	return rule.Report()
}

func finding() *posture.Result {
	read := posture.Source{
		Operation: "bedrock:GetModelCustomizationJob", Account: "123456789012", Region: "us-east-1", RequestID: "req-1",
		Resource: "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.titan-text-lite-v1:0:4k/abcdefghij12",
		Time:     time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC),
	}
	return &posture.Result{
		ID: "mc-0011223344556677", Rule: "MC-JOB-001", Status: posture.Fail, Message: "job claims-classifier-run-7 has no VPC configuration",
		Identity: &posture.Identity{Account: "123456789012", Region: "us-east-1", Resource: read.Resource, Jobs: []string{"claims-classifier-run-7"}},
		Facts:    posture.Facts{{Name: "vpcConfig"}}, Evidence: []*posture.Source{&read},
		Commands: []string{"aws bedrock get-model-customization-job \\\n  --region us-east-1 \\\n  --job-identifier claims-classifier-run-7"},
	}
}

func explain(t *testing.T, rule posture.RuleReport, result *posture.Result, width int, color bool) string {
	t.Helper()
	var b strings.Builder
	if err := Explain(&b, rule, result, width, color); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExplainGolden(t *testing.T) {
	t.Parallel()
	golden(t, "explain-rule.txt", explain(t, report(t, "MC-JOB-002"), nil, 80, false))
	golden(t, "explain-finding.txt", explain(t, report(t, "MC-JOB-001"), finding(), 80, false))
}

func TestExplainColor(t *testing.T) {
	t.Parallel()
	got := explain(t, report(t, "MC-JOB-001"), finding(), 80, true)
	if !strings.Contains(got, ansi.Red+"FAIL job claims-classifier-run-7 has no VPC configuration"+ansi.Reset) {
		t.Errorf("no ansi.Red verdict in %q", got)
	}
	if bare := explain(t, report(t, "MC-JOB-001"), finding(), 80, false); strings.Contains(bare, "\x1b") {
		t.Error("escape sequences without color")
	}
}

func TestExplainFitsTheWidth(t *testing.T) {
	t.Parallel()
	for _, rule := range loaded(t).Rules {
		r := rule.Report()
		r.Audit.CLI, r.Remediation.CLI, r.References = nil, nil, nil // what is copied is not wrapped
		for line := range strings.SplitSeq(explain(t, r, nil, 60, false), "\n") {
			if len(line) > 60 && !strings.Contains(line, "GetModelInvocationLoggingConfiguration") {
				t.Errorf("%s: line of %d columns: %q", r.ID, len(line), line)
			}
		}
	}
}

func TestExplainError(t *testing.T) {
	t.Parallel()
	result := finding()
	result.Status = posture.Error
	result.Unread = []*posture.Unread{{
		Source: posture.Source{Operation: "s3:HeadBucket", Resource: "data"}, Code: "AccessDenied", Message: "no",
	}}
	got := explain(t, report(t, "MC-S3-007"), result, 80, false)
	for _, want := range []string{"s3:HeadBucket of data: AccessDenied: no", "needs s3:ListBucket"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

// TestExplainObeysNobody stops names in an account from steering the terminal.
func TestExplainObeysNobody(t *testing.T) {
	t.Parallel()
	result := finding()
	result.Message = "job \x1b]0;owned\x07\u202e has no VPC"
	result.Facts = posture.Facts{{Name: "name", Value: "a\x1b[2Jb"}}
	result.Commands = []string{"aws x --y 'a\x9bb'"}
	got := explain(t, report(t, "MC-JOB-001"), result, 80, false)
	for _, r := range got {
		if r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e {
			t.Fatalf("%U in the output", r)
		}
	}
	if !strings.Contains(got, `\u{1B}]0;owned\u{7}\u{202E}`) {
		t.Errorf("the name is not shown:\n%s", got)
	}
}

func TestPieces(t *testing.T) {
	t.Parallel()
	got := pieces("See MC-NET-005 at https://console.aws.amazon.com/s3/, with {bucket}.")
	want := []piece{
		{Text: "See "},
		{"MC-NET-005", "rule"},
		{Text: " at "},
		{"https://console.aws.amazon.com/s3/", "url"},
		{Text: ", with "},
		{"{bucket}", "placeholder"},
		{Text: "."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pieces (-want +got):\n%s", diff)
	}
}
