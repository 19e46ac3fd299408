package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(tb testing.TB, format string, r *posture.Report, o report.Options) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := report.Write(&out, format, r, o); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			got := write(t, format, sample(), report.Options{})
			path := filepath.Join("testdata", "sample."+format)
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got (go test -update rewrites it):\n%s", diff)
			}
		})
	}
}

func TestEveryFormatIsTheSameAgain(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		first := write(t, format, sample(), report.Options{Color: true})
		for range 5 {
			if again := write(t, format, sample(), report.Options{Color: true}); !bytes.Equal(first, again) {
				t.Errorf("%s differs from one writing to the next", format)
			}
		}
	}
}

func TestNothingRawReachesAFile(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		if r, bad := raw(string(write(t, format, sample(), report.Options{})), true); bad {
			t.Errorf("%s has a raw %U", format, r)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	t.Parallel()
	for _, format := range report.Formats() {
		write(t, format, &posture.Report{Schema: posture.ReportSchema}, report.Options{})
	}
}

func TestUnknownFormat(t *testing.T) {
	t.Parallel()
	err := report.Write(&bytes.Buffer{}, "yaml", sample(), report.Options{})
	if err == nil {
		t.Fatal("Write(yaml) succeeded")
	}
	for _, format := range report.Formats() {
		if !strings.Contains(err.Error(), format) {
			t.Errorf("%v does not name %s", err, format)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	saved := write(t, report.JSON, sample(), report.Options{})
	loaded, err := report.Load(bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	if again := write(t, report.JSON, loaded, report.Options{}); !bytes.Equal(saved, again) {
		t.Errorf("the report changed:\n%s", cmp.Diff(string(saved), string(again)))
	}
	for _, format := range report.Formats() {
		if !bytes.Equal(write(t, format, sample(), report.Options{}), write(t, format, loaded, report.Options{})) {
			t.Errorf("%s of the loaded report differs", format)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	saved := string(write(t, report.JSON, sample(), report.Options{}))
	for name, c := range map[string]struct{ in, want string }{
		"another schema":   {strings.Replace(saved, "cloister.audit/1", "cloister.audit/2", 1), `"cloister.audit/2" is not "cloister.audit/1"`},
		"no schema":        {`{"tool": {"name": "x", "version": "1"}}`, "it has no schema"},
		"not JSON":         {"evaluated 3 of 4", "invalid character"},
		"nothing":          {"", "EOF"},
		"cut":              {saved[:len(saved)/2], "unexpected EOF"},
		"something after":  {saved + "{}", "something follows"},
		"unknown member":   {strings.Replace(saved, `"calls"`, `"colour"`, 1), `member "colour": unknown member`},
		"unknown in one":   {strings.Replace(saved, `"ruleVersion"`, `"ruleVersions"`, 1), "ruleVersions"},
		"unknown status":   {strings.Replace(saved, `"status":"FAIL"`, `"status":"OK"`, 1), `unknown status "OK"`},
		"unknown severity": {strings.Replace(saved, `"severity":"very-high","status"`, `"severity":"bad","status"`, 1), `unknown severity "bad"`},
		"a null call":      {`{"schema":"cloister.audit/1","results":[{"status":"ERROR","severity":"low","unread":[null]}]}`, "an unread call is null"},
		"a member twice":   {strings.Replace(saved, `"calls": 690`, `"seconds": 1`, 1), "twice"},
	} {
		_, err := report.Load(strings.NewReader(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Load = %v, want %q", name, err, c.want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	small := sample() // a seed that is quickly made smaller
	small.Results, small.Rules, small.Jobs, small.Accounts = small.Results[4:5], small.Rules[3:4], small.Jobs[:1], small.Accounts[:1]
	f.Add(write(f, report.JSON, small, report.Options{}))
	f.Add([]byte(`{"schema":"cloister.audit/1","results":[{"status":"FAIL","severity":"low"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := report.Load(bytes.NewReader(in))
		if err != nil {
			return
		}
		for _, format := range report.Formats() {
			if one, bad := raw(string(write(t, format, r, report.Options{})), true); bad {
				t.Errorf("%s has a raw %U", format, one)
			}
		}
	})
}

func TestSchema(t *testing.T) {
	t.Parallel()
	schema := compile(t, "urn:cloister:audit:1", report.Schema())
	for name, r := range map[string]*posture.Report{"sample": sample(), "large": large(500), "empty": {Schema: posture.ReportSchema}} {
		saved, err := jsonschema.UnmarshalJSON(bytes.NewReader(write(t, report.JSON, r, report.Options{})))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(saved); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := strings.Replace(string(write(t, report.JSON, sample(), report.Options{})), `"status":"FAIL"`, `"status":"OK"`, 1)
	saved, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
	if err != nil {
		t.Fatal(err)
	}
	if schema.Validate(saved) == nil {
		t.Error("the schema accepts an unknown status")
	}
}

func compile(t *testing.T, id, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(id, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestTextFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 20, 40, 80, 120} {
		columns := max(width, report.MinWidth)
		if width == 0 {
			columns = report.DefaultWidth
		}
		for line := range strings.SplitSeq(string(write(t, report.Text, sample(), report.Options{Width: width})), "\n") {
			if n := uniseg.StringWidth(line); n > columns {
				t.Errorf("width %d: %d columns: %q", width, n, line)
			}
		}
	}
}

func TestTextHasColourOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	if text := write(t, report.Text, sample(), report.Options{}); bytes.ContainsRune(text, 0x1b) {
		t.Error("text without colour has an escape")
	}
	colored := string(write(t, report.Text, sample(), report.Options{Color: true}))
	for _, code := range []string{"\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[0m"} {
		colored = strings.ReplaceAll(colored, code, "")
	}
	if want := string(write(t, report.Text, sample(), report.Options{})); colored != want {
		t.Errorf("text without its colours is not the text:\n%s", cmp.Diff(want, colored))
	}
}

func TestCSVHasNoFormula(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(bytes.NewReader(write(t, report.CSV, sample(), report.Options{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(sample().Results) + 1; len(rows) != want {
		t.Errorf("%d lines, want %d", len(rows), want)
	}
	for _, row := range rows {
		for _, cell := range row {
			for part := range strings.SplitSeq(cell, ";") {
				if begin := strings.TrimLeft(part, " \t\"\u00a0\u3000"); begin != "" && strings.ContainsAny(begin[:1], "=+-@\t\r") {
					t.Errorf("cell %q has a formula at %q", cell, part)
				}
			}
		}
	}
}

// TestCounts: every format that lists results lists as many of each verdict.
func TestCounts(t *testing.T) {
	t.Parallel()
	r := sample()
	want := map[posture.Status]int{}
	for _, one := range r.Results {
		want[one.Status]++
	}
	for format, count := range map[string]func([]byte) (map[posture.Status]int, error){
		report.NDJSON: countNDJSON, report.CSV: countCSV,
	} {
		got, err := count(write(t, format, r, report.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", format, diff)
		}
	}
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	if err := xml.Unmarshal(write(t, report.JUnit, r, report.Options{}), &suites); err != nil {
		t.Fatal(err)
	}
	accepted := 1 // an ERROR that is an accepted gap is skipped
	if suites.Tests != len(r.Results) || suites.Failures != want[posture.Fail] || suites.Errors != want[posture.Error]-accepted ||
		suites.Skipped != want[posture.Muted]+want[posture.Superseded]+want[posture.NotApplicable]+accepted {
		t.Errorf("junit counts %+v, want %v", suites, want)
	}
}

func TestTextAndMarkdownCounts(t *testing.T) {
	t.Parallel()
	fails := 0
	for _, one := range sample().Results {
		if one.Status == posture.Fail {
			fails++
		}
	}
	for width := 80; width <= 200; width += 120 {
		_, section, _ := strings.Cut(string(write(t, report.Text, sample(), report.Options{Width: width})), "\nFAIL: ")
		section, _, _ = strings.Cut(section, "\nERROR: ")
		if n := len(regexp.MustCompile(`mc-[0-9a-f]{16}`).FindAllString(section, -1)); n != fails {
			t.Errorf("text has %d failures, want %d", n, fails)
		}
	}
	comment := string(write(t, report.Markdown, sample(), report.Options{}))
	_, table, _ := strings.Cut(comment, "### FAIL")
	table, _, _ = strings.Cut(table, "###")
	if n := strings.Count(table, "\n| ") - 1; n != fails {
		t.Errorf("markdown has %d failures, want %d", n, fails)
	}
}

func TestMarkdownIsSafeAndFits(t *testing.T) {
	t.Parallel()
	comment := string(write(t, report.Markdown, sample(), report.Options{}))
	for _, active := range []string{"@team", "<script", "](java", "**b**", "https://evil", " #1"} {
		if strings.Contains(comment, active) {
			t.Errorf("markdown has %q", active)
		}
	}
	for line := range strings.Lines(comment) {
		if strings.HasPrefix(line, "| ") && strings.Count(line, "|") != 7 {
			t.Errorf("a row has other columns: %s", line)
		}
	}
	r := large(25_000)
	for range 500 {
		r.Notes = append(r.Notes, hostile)
		r.Assumptions = append(r.Assumptions, strings.Repeat(hostile, 9))
	}
	comment = string(write(t, report.Markdown, r, report.Options{}))
	if n := len([]rune(comment)); n > 65_536 {
		t.Errorf("a comment of %d characters", n)
	}
	if !strings.Contains(comment, "more failures, which do not fit here") {
		t.Error("nothing says that failures are left out")
	}
}

func countNDJSON(text []byte) (map[posture.Status]int, error) {
	got := map[posture.Status]int{}
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var one posture.Result
		if err := dec.Decode(&one); err != nil {
			return nil, err
		}
		got[one.Status]++
	}
	return got, nil
}

func countCSV(text []byte) (map[posture.Status]int, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	got := map[posture.Status]int{}
	for _, row := range rows[1:] {
		got[posture.Status(row[1])]++
	}
	return got, nil
}
