package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
)

func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	schema := compile(t, "urn:sarif", sarifSchema(t))
	for name, r := range map[string]*posture.Report{"sample": sample(), "large": large(500), "empty": {Schema: posture.ReportSchema}} {
		text := write(t, report.SARIF, r, report.Options{})
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sarifSchema is the schema inside go-sarif, which does not export it; its own Validate sees only what it parsed.
func sarifSchema(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var schema string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			schema, err = strconv.Unquote(lit.Value)
		}
		return true
	})
	if schema == "" || err != nil {
		t.Fatalf("go-sarif has no schema: %v", err)
	}
	return schema
}

func TestSARIFCounts(t *testing.T) {
	t.Parallel()
	r := sample()
	log, err := sarif.FromBytes(write(t, report.SARIF, r, report.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, one := range log.Runs[0].Results {
		switch {
		case len(one.Suppressions) > 0:
			got["suppressed"]++
		case one.Kind != "fail":
			got[one.Kind]++
		default:
			got[one.Level]++
		}
		if uri := *one.Locations[0].PhysicalLocation.ArtifactLocation.URI; strings.Count(uri, "/") != 4 || !strings.HasPrefix(uri, "aws/") {
			t.Errorf("location %q", uri)
		}
	}
	want := map[string]int{"error": 2, "warning": 1, "note": 1 + 2, "pass": 2, "notApplicable": 1, "suppressed": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSARIFHoldsTheWorst(t *testing.T) {
	t.Parallel()
	r := large(25_200)
	slicesReverse(r.Results) // the order is not taken on trust
	log, err := sarif.FromBytes(write(t, report.SARIF, r, report.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) != 25_000 {
		t.Errorf("%d results", len(run.Results))
	}
	if first, last := run.Results[0], run.Results[len(run.Results)-1]; first.Level != "error" || last.Kind != "pass" {
		t.Errorf("from %s to %s", first.Level, last.Kind)
	}
	found := false
	for _, note := range run.Invocations[0].ToolExecutionNotifications {
		found = found || strings.Contains(*note.Message.Text, "200 PASS")
	}
	if !found {
		t.Error("no note says that 200 results are left out")
	}
}

func slicesReverse(list []posture.Result) {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
}

// python runs a program of the stock clients' environment, which make setup installs.
func python(t *testing.T, program string, stdin []byte) []byte {
	t.Helper()
	dir := os.Getenv("CLOISTER_CLIENTS")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("CLOISTER_CLIENTS is not set (make setup installs the clients)")
		}
		t.Skip("SKIPPED: CLOISTER_CLIENTS is not set (make setup installs the clients)")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "python"), "-c", program)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		t.Fatalf("python: %v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOCSFIsValid(t *testing.T) {
	t.Parallel()
	const program = `
import json
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
print(json.dumps(OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.5.0")).get_class_schema("compliance_finding", ["cloud"])))`
	schema := compile(t, "https://schema.ocsf.io/schema/1.5.0/classes/compliance_finding?profiles=cloud", string(python(t, program, nil)))
	r := sample()
	r.Results = append(r.Results, large(300).Results...)
	got := map[posture.Status]int{}
	for line := range bytes.Lines(write(t, report.OCSF, r, report.Options{})) {
		event, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(event); err != nil {
			t.Fatalf("%s\n%v", line, err)
		}
		var one struct {
			Unmapped struct {
				Status posture.Status `json:"status"`
			} `json:"unmapped"`
		}
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		got[one.Unmapped.Status]++
	}
	want := map[posture.Status]int{}
	for i := range r.Results {
		want[r.Results[i].Status]++
	}
	if !maps.Equal(want, got) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
}

func TestJUnitIsRead(t *testing.T) {
	t.Parallel()
	const program = `
import json, sys
from junitparser import JUnitXml, Failure, Error, Skipped
xml = JUnitXml.fromstring(sys.stdin.buffer.read())
got = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0, "declared": [xml.tests, xml.failures, xml.errors, xml.skipped]}
for suite in xml:
    for case in suite:
        got["tests"] += 1
        for r in case.result:
            got[{Failure: "failures", Error: "errors", Skipped: "skipped"}[type(r)]] += 1
print(json.dumps(got))`
	var got struct {
		Tests, Failures, Errors, Skipped int
		Declared                         []int
	}
	if err := json.Unmarshal(python(t, program, write(t, report.JUnit, sample(), report.Options{})), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{got.Tests, got.Failures, got.Errors, got.Skipped}, got.Declared); diff != "" {
		t.Errorf("-counted +declared:\n%s", diff)
	}
	if want := len(sample().Results); got.Tests != want || got.Failures != 4 {
		t.Errorf("read %+v, want %d cases with 4 failures", got, want)
	}
}
