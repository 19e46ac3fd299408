package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/cloister/internal/posture"
)

// TestAuditRefuses: what cannot work is wrong usage before anything is called.
func TestAuditRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	two := filepath.Join(dir, "two.yaml")
	if err := os.WriteFile(two, []byte("version: 1\nmutes: []\n---\nversion: 1\nmutes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--endpoint", "bedrok=http://127.0.0.1:1"}, `no service "bedrok"`},
		{[]string{"--endpoint", "127.0.0.1:1"}, "write [SERVICE=]http"},
		{[]string{"--report", "json=" + dir}, "is a folder"},
		{[]string{"--report", "json=" + filepath.Join(dir, "missing", "r.json")}, "no such file"},
		{[]string{"--mutes", two}, "more than one document"},
		{[]string{"--mutes", filepath.Join(dir, "none.yaml")}, "no such file"},
		{[]string{"--accepted-gaps", filepath.Join(dir, "none.yaml")}, "no such file"},
		{[]string{"--baseline", filepath.Join(dir, "none.json")}, "no such file"},
		{[]string{"--cache", two}, "--cache: mkdir"},
		{[]string{"--replay", dir, "--endpoint", "http://127.0.0.1:1"}, "--endpoint has no meaning"},
		{[]string{"--fail-on", "worse"}, "--fail-on worse"},
	} {
		if _, code, err := execute(t, append([]string{"audit", "--quiet"}, c.args...)...); code != 2 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("audit %v = %d, %v; want 2 and %q", c.args, code, err, c.want)
		}
	}
}

// TestOneReportDoesNotCostTheOthers: a report that cannot be written is an error, and the ones after it are there.
func TestOneReportDoesNotCostTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "r.json")
	var out strings.Builder
	err := writeOutputs(&out, []output{{"html", filepath.Join(dir, "gone", "r.html")}, {"json", good}, {"text", "-"}}, &posture.Report{Schema: posture.ReportSchema})
	if err == nil || !strings.Contains(err.Error(), "r.html") {
		t.Errorf("writeOutputs gave %v", err)
	}
	if _, err := os.Stat(good); err != nil || out.Len() == 0 {
		t.Errorf("the others were not written: %v, %d bytes of text", err, out.Len())
	}
}

// TestErrorsAreVisible: an error may quote what a service says; its lines stay, its control characters do not.
func TestErrorsAreVisible(t *testing.T) {
	t.Parallel()
	if got, want := visible("one\x1b[2J\ntwo\u202e"), "one\\u{1B}[2J\ntwo\\u{202E}"; got != want {
		t.Errorf("visible = %q, want %q", got, want)
	}
}
