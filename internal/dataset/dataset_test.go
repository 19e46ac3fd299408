package dataset_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/cloister/internal/dataset"
)

const good = `{"prompt":"p","completion":"c"}`

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		kind       dataset.Kind
		records    int
		want       string // the first problem
	}{
		{"one", good + "\n", dataset.PromptCompletion, 1, ""},
		{"no final newline", good + "\n" + good, dataset.PromptCompletion, 2, ""},
		{"CRLF and mark", "\xef\xbb\xbf" + good + "\r\n" + good + "\r\n", dataset.PromptCompletion, 2, ""},
		{"any order, spaces", `  { "completion" : "c" , "prompt" : "" }  `, dataset.PromptCompletion, 1, ""},
		{"escapes", `{"prompt":"\ud83d\ude00 \\ud800 \n","completion":"é"}`, dataset.PromptCompletion, 1, ""},
		{"pre-training", `{"input":"x"}`, dataset.Input, 1, ""},
		{"empty file", "", dataset.PromptCompletion, 0, "no records"},
		{"blank line", good + "\n\n" + good, dataset.PromptCompletion, 2, "line 2 (byte 32): blank line"},
		{"spaces only", good + "\n  \n", dataset.PromptCompletion, 1, "line 2 (byte 32): blank line"},
		{"mark in the middle", good + "\n\xef\xbb\xbf" + good, dataset.PromptCompletion, 1, "not valid JSON"},
		{"malformed", good + "\n" + `{"prompt":"SECRET`, dataset.PromptCompletion, 1, "line 2 (byte 32): not valid JSON"},
		{"malformed inside", `{"prompt":SECRET,"completion":"c"}`, dataset.PromptCompletion, 0, "not valid JSON at byte 11"},
		{"two objects", good + good, dataset.PromptCompletion, 0, "not valid JSON at byte 32"},
		{"trailing comma", `{"prompt":"p","completion":"c",}`, dataset.PromptCompletion, 0, "not valid JSON"},
		{"array", `["SECRET"]`, dataset.PromptCompletion, 0, "$: want an object, found an array"},
		{"string", `"SECRET"`, dataset.PromptCompletion, 0, "$: want an object, found a string"},
		{"number", `{"prompt":7,"completion":"c"}`, dataset.PromptCompletion, 0, "$.prompt: want a string, found a number"},
		{"null", `{"prompt":"p","completion":null}`, dataset.PromptCompletion, 0, "$.completion: want a string, found null"},
		{"object", `{"prompt":{"SECRET":1},"completion":"c"}`, dataset.PromptCompletion, 0, "$.prompt: want a string, found an object"},
		{"wrong keys", `{"SECRET":"p","completion":"c"}`, dataset.PromptCompletion, 0, "unknown key at byte 9"},
		{"input for fine-tuning", `{"input":"p"}`, dataset.PromptCompletion, 0, `the keys are "prompt" and "completion"`},
		{"missing", `{"prompt":"p"}`, dataset.PromptCompletion, 0, "$.completion: missing"},
		{"twice", `{"prompt":"p","prompt":"q","completion":"c"}`, dataset.PromptCompletion, 0, "$.prompt: the key is given twice"},
		{"empty completion", `{"prompt":"p","completion":""}`, dataset.PromptCompletion, 0, "$.completion: the string is empty"},
		{"high surrogate", `{"prompt":"\ud83d","completion":"c"}`, dataset.PromptCompletion, 0, "surrogate"},
		{"low surrogate", `{"prompt":"\udc00","completion":"c"}`, dataset.PromptCompletion, 0, "surrogate"},
		{"UTF-16", "\xff\xfe{\x00}\x00", dataset.PromptCompletion, 0, "not UTF-8 at byte 0"},
		{"Latin-1", "{\"prompt\":\"caf\xe9\",\"completion\":\"c\"}", dataset.PromptCompletion, 0, "not UTF-8 at byte 14"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var copied bytes.Buffer
			report, err := dataset.Check(t.Context(), iotest.OneByteReader(strings.NewReader(tt.text)), tt.kind, &copied)
			if err != nil {
				t.Fatal(err)
			}
			first := ""
			if len(report.Problems) > 0 {
				first = report.Problems[0].String()
			}
			if report.Records != tt.records || (tt.want == "") != (first == "") || !strings.Contains(first, tt.want) {
				t.Errorf("Check = %d records, %q, want %d, %q", report.Records, first, tt.records, tt.want)
			}
			if strings.Contains(first, "SECRET") {
				t.Errorf("the problem shows the data: %s", first)
			}
			if n := bytes.Count(copied.Bytes(), []byte("\n")); n != tt.records {
				t.Errorf("copied %d lines, want %d", n, tt.records)
			}
		})
	}
}

func TestCheckStopsAfterManyProblems(t *testing.T) {
	t.Parallel()
	report, err := dataset.Check(t.Context(), strings.NewReader(strings.Repeat("x\n", 1000)), dataset.Input, nil)
	if err != nil || len(report.Problems) != dataset.MaxProblems || report.Problems[19].Line != 20 {
		t.Errorf("Check = %d problems, %v", len(report.Problems), err)
	}
}

func TestCheckLongLine(t *testing.T) {
	t.Parallel()
	report, err := dataset.Check(t.Context(), strings.NewReader(`{"input":"`+strings.Repeat("x", 9<<20)), dataset.Input, nil)
	if err != nil || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Text, "longer") {
		t.Errorf("Check = %+v, %v", report, err)
	}
}

func TestCheckEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dataset.Check(ctx, strings.NewReader(good), dataset.PromptCompletion, nil); err == nil {
		t.Error("Check went on after its context")
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{good, "\xef\xbb\xbf" + good + "\r\n", `{"prompt":"\ud83d\ude00","completion":"\\u"}`, `{"input":"x"}`, "{", "\n", `{"prompt":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []dataset.Kind{dataset.PromptCompletion, dataset.Input} {
			var copied bytes.Buffer
			report, err := dataset.Check(t.Context(), bytes.NewReader(text), kind, &copied)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Problems) > 0 {
				continue
			}
			// What is accepted must be what any JSON reader reads as a record.
			for line := range bytes.Lines(copied.Bytes()) {
				var record map[string]string
				if err := json.Unmarshal(line, &record); err != nil {
					t.Errorf("accepted %q: %v", line, err)
				}
			}
		}
	})
}
