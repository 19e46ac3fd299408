package remedy

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/ansi"
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

func shownAs(t *testing.T, p *Plan, o ShowOptions) string {
	t.Helper()
	_, hash := encoded(t, p)
	var out strings.Builder
	if err := Show(&out, p, hash, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// hostile are names that somebody in an account may give to make a plan say something else.
func hostile() []string {
	return []string{
		"\x1b[2J\x1b[1;1Hall is well", "a\nPlan 0000", "a\r\tb", "safe\u202etxt.exe", "zero\u200bwidth\u2066x", "日本語日本語日本語日本語日本語日本語日本語日本語", strings.Repeat("long", 60),
		"\u009b31mc1", "e\u0301\u0301\u0301", "\xff\xfe", "$${token}", "\U000e0041tag",
	}
}

// spoiled is the sample plan with a hostile name at every text that is shown.
func spoiled(name string) *Plan {
	p := sample()
	p.Steps = p.Steps[:1]
	spoil(reflect.ValueOf(p).Elem(), name, "")
	return p
}

// spoil appends name to the texts below v, but to those that the checks of a plan want to be plain.
func spoil(v reflect.Value, name, field string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() && field != "ID" && field != "Change" && field != "Status" && field != "Account" {
			v.SetString(v.String() + name)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type() != reflect.TypeFor[Check]() || v.Type().Field(i).Name == "Why" {
				spoil(v.Field(i), name, v.Type().Field(i).Name)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			spoil(v.Index(i), name, field)
		}
	case reflect.Interface: // an old or new value
		if !v.IsNil() {
			v.Set(reflect.ValueOf(any(object{"a" + name: []any{name, object{"key": name, "value": name}}, "b": name})))
		}
	default:
	}
}

// TestShow: the plan as people read it. The file is read by a person who changes it.
func TestShow(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 100} {
		golden(t, fmt.Sprintf("plan-%d.txt", width), shownAs(t, sample(), ShowOptions{Width: width, File: "plan.json"}))
	}
	if got, want := shownAs(t, sample(), ShowOptions{File: "plan.json"}), shownAs(t, sample(), ShowOptions{Width: 100, File: "plan.json"}); got != want {
		t.Error("the width that is not said is not 100")
	}
	p := sample()
	p.Checks[0].Status = CheckRefused
	if got := shownAs(t, p, ShowOptions{File: "plan.json"}); !strings.Contains(got, "The plan is refused: it cannot be applied.") || strings.Contains(got, "remediate apply") {
		t.Errorf("a refused plan says how to apply it:\n%s", got)
	}
	if got := shownAs(t, sample(), ShowOptions{}); strings.Contains(got, "remediate apply") {
		t.Error("a plan without a file says how to apply it")
	}
	if got := shownAs(t, sample(), ShowOptions{File: "my plan;id\n.json"}); !strings.Contains(got, `cloister remediate apply 'my plan;id\u{A}.json' --approve `) {
		t.Errorf("a file's name in the command:\n%s", got)
	}
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestShowHostile: whatever names say, at every width: no control goes to the terminal, no line is longer than the terminal,
// and each fact of the plan stands in a line of its own.
func TestShowHostile(t *testing.T) {
	t.Parallel()
	for _, name := range hostile() {
		p := spoiled(name)
		for _, width := range []int{20, 40, 69, 80, 100, 200} {
			text := shownAs(t, p, ShowOptions{Width: width, File: "plan.json" + name})
			for line := range strings.Lines(text) {
				line, ended := strings.CutSuffix(line, "\n")
				if !ended || strings.ContainsFunc(line, ansi.Unsafe) {
					t.Errorf("%q at width %d: line %q", name, width, line)
				}
				if !strings.HasPrefix(line, "  cloister remediate apply ") && ansi.Width(line) > max(width, 30) {
					t.Errorf("%q at width %d: a line of %d columns: %q", name, width, ansi.Width(line), line)
				}
			}
			if colored := shownAs(t, p, ShowOptions{Width: width, File: "plan.json" + name, Color: true}); sgr.ReplaceAllString(colored, "") != text || colored == text {
				t.Errorf("%q at width %d: in colour it says something else", name, width)
			}
		}
		wide := shownAs(t, p, ShowOptions{Width: 10000, File: "plan.json"})
		if n, clean := strings.Count(wide, "\nPlan "), shownAs(t, sample(), ShowOptions{Width: 10000, File: "plan.json"}); n != strings.Count(clean, "\nPlan ") {
			t.Errorf("%q makes %d lines that say Plan", name, n)
		}
	}
}

// TestShowPlaceholders: what is sent is shown, without the escapes of a plan.
func TestShowPlaceholders(t *testing.T) {
	t.Parallel()
	p := sample()
	p.Changes[0].Compared = []Member{
		{Name: "jobTags", Old: Literal([]any{object{"key": "a${k}", "value": "b${v}"}}), New: []any{}},
		{Name: "hyperParameters", Old: Literal(object{"n": "${x}", "list": []any{"1", "2"}, "none": nil}), New: Literal(object{"n": 1.5, "deep": object{"a": "b", "c": []any{}}})},
	}
	p.Steps[0].Parameters = js(object{"jobTags": []any{}, "hyperParameters": Literal(object{"n": "1.5", "deep": "${y}"})})
	text := shownAs(t, p, ShowOptions{Width: 120})
	for _, want := range []string{"deep: ${y}", "a${k} = b${v}", "n: ${x}", "n: 1.5", "none: -"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "$${") {
		t.Error("an escape is shown")
	}
}

// failingWriter fails after some bytes.
type failingWriter struct{ left int }

var errFull = errors.New("the disk is full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestShowFails: an output that ends is an error, wherever it ends.
func TestShowFails(t *testing.T) {
	t.Parallel()
	p := sample()
	for range 7 { // more than a buffer
		p.Changes = append(p.Changes, p.Changes[0])
	}
	text := shownAs(t, p, ShowOptions{File: "plan.json"})
	for n := 0; n < len(text)-200; n += 997 { // its hash is longer
		if err := Show(&failingWriter{n}, p, "hash", ShowOptions{File: "plan.json"}); !errors.Is(err, errFull) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if err := EmitCLI(&failingWriter{}, sample(), "hash"); !errors.Is(err, errFull) {
		t.Errorf("EmitCLI: %v", err)
	}
	var out bytes.Buffer
	if err := Show(&out, &Plan{}, "hash", ShowOptions{}); err != nil || !strings.Contains(out.String(), "0 changes, 0 steps") {
		t.Errorf("an empty plan: %v\n%s", err, out.String())
	}
}
