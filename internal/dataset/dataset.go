// Package dataset checks training and validation data: JSON Lines in one of the two forms that Bedrock's
// text models take, {"prompt","completion"} for fine-tuning and {"input"} for continued pre-training. It
// reads a stream once, in memory that does not grow with it, and can copy what it reads.
//
// It does not tokenise: how many tokens a record has and whether it fits is the engine's to say.
//
// What a reader must know: no error carries any of the data. A problem is a line, a byte offset, a JSON
// path, and the type that was found.
//
// Source: Bedrock User Guide, "Prepare data for fine-tuning your models"; https://jsonlines.org.
package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Kind is the form of the records.
type Kind string

// The forms.
const (
	// PromptCompletion is {"prompt": "…", "completion": "…"}.
	PromptCompletion Kind = "prompt-completion"
	// Input is {"input": "…"}.
	Input Kind = "input"
)

// Form is how a record of the kind looks, in AWS's words.
func (k Kind) Form() string {
	if k == Input {
		return `{"input": "<input text>"}`
	}
	return `{"prompt": "<input text>", "completion": "<output text>"}`
}

func (k Kind) keys() []string {
	if k == Input {
		return []string{"input"}
	}
	return []string{"prompt", "completion"}
}

// maxLine bounds a line, in bytes: far above what any model of this service can take in.
const maxLine = 8 << 20

// MaxProblems bounds how many problems one check reports.
const MaxProblems = 20

// Problem is what is wrong with a line.
type Problem struct {
	// Line counts from 1; Offset is the byte, from 0, at which the line begins.
	Line   int   `json:"line"`
	Offset int64 `json:"offset"`
	// Path is the JSON path of the value, such as "$.prompt"; empty when the line as a whole is meant.
	Path string `json:"path,omitempty"`
	// Text says what is wrong, in terms of types and positions only.
	Text string `json:"problem"`
	// NotJSON says that the line is not JSON at all.
	NotJSON bool `json:"-"`
}

func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("line %d (byte %d): %s", p.Line, p.Offset, p.Text)
	}
	return fmt.Sprintf("line %d (byte %d), %s: %s", p.Line, p.Offset, p.Path, p.Text)
}

// Report is the result of a check.
type Report struct {
	Records  int       `json:"records"`
	Bytes    int64     `json:"bytes"`
	Problems []Problem `json:"problems,omitempty"`
}

// Check reads r to its end, or until MaxProblems problems are found, and copies it to w, without a byte
// order mark and with plain line ends; w may be nil. A byte order mark at the start, CRLF and a missing
// final newline are accepted; blank lines are not. The error is one of reading, writing or the context.
func Check(ctx context.Context, r io.Reader, kind Kind, w io.Writer) (Report, error) {
	var report Report
	in := bufio.NewReaderSize(r, 64<<10)
	if w == nil {
		w = io.Discard
	}
	out := bufio.NewWriterSize(w, 64<<10)
	for line := 1; ; line++ {
		if ctx.Err() != nil {
			return report, context.Cause(ctx)
		}
		text, size, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		at := report.Bytes
		report.Bytes += size
		if errors.Is(err, errLong) {
			report.Problems = append(report.Problems, Problem{Line: line, Offset: at, Text: fmt.Sprintf("the line is longer than %d bytes", maxLine)})
			return report, nil
		}
		if err != nil {
			return report, err
		}
		if line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if problem := checkLine(text, kind); problem != nil {
			problem.Line, problem.Offset = line, at
			report.Problems = append(report.Problems, *problem)
			if len(report.Problems) == MaxProblems {
				return report, nil
			}
			continue
		}
		report.Records++
		if _, err := out.Write(append(text, '\n')); err != nil {
			return report, err
		}
	}
	if report.Records == 0 && len(report.Problems) == 0 {
		report.Problems = []Problem{{Line: 1, Text: "the file has no records"}}
	}
	return report, out.Flush()
}

var errLong = errors.New("line too long")

// readLine reads a line without its end. size counts the end too. It returns io.EOF only when nothing is left.
func readLine(in *bufio.Reader) (line []byte, size int64, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		size += int64(len(part))
		switch {
		case len(line) > maxLine:
			return nil, size, errLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && size > 0:
		case err != nil:
			return nil, size, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), size, nil
	}
}

// checkLine checks one record.
func checkLine(text []byte, kind Kind) *Problem {
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return &Problem{Text: "blank line", NotJSON: true}
	case !utf8.Valid(text):
		return &Problem{Text: fmt.Sprintf("not UTF-8 at byte %d of the line", invalidAt(text)), NotJSON: true}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	token, err := dec.Token()
	if err != nil {
		return notJSON(err, len(text))
	}
	if token != json.Delim('{') {
		if !json.Valid(text) {
			return &Problem{Text: "not valid JSON", NotJSON: true}
		}
		return &Problem{Path: "$", Text: "want an object, found " + typeName(token)}
	}
	if !json.Valid(text) {
		var any json.RawMessage
		return notJSON(json.Unmarshal(text, &any), len(text))
	}
	return checkObject(dec, text, kind)
}

// checkObject checks the members of a line that is known to be one valid JSON object.
func checkObject(dec *json.Decoder, text []byte, kind Kind) *Problem {
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return notJSON(err, len(text))
		}
		key, _ := name.(string)
		known := false
		for _, want := range kind.keys() {
			known = known || key == want
		}
		if !known { // the name is the customer's text: its position says enough
			return &Problem{Path: "$", Text: fmt.Sprintf("unknown key at byte %d of the line; the keys are %s", dec.InputOffset(), keyList(kind))}
		}
		path := "$." + key
		if seen[key] {
			return &Problem{Path: path, Text: "the key is given twice"}
		}
		seen[key] = true
		start := dec.InputOffset()
		value, err := dec.Token()
		if err != nil {
			return notJSON(err, len(text))
		}
		content, ok := value.(string)
		switch {
		case !ok:
			return &Problem{Path: path, Text: "want a string, found " + typeName(value)}
		case loneSurrogate(text[start:dec.InputOffset()]):
			return &Problem{Path: path, Text: "the string has half a surrogate pair (\\ud800 to \\udfff), which is not text"}
		case content == "" && key != "prompt":
			return &Problem{Path: path, Text: "the string is empty"}
		}
	}
	for _, key := range kind.keys() {
		if !seen[key] {
			return &Problem{Path: "$." + key, Text: "missing"}
		}
	}
	return nil
}

func keyList(kind Kind) string {
	if kind == Input {
		return `"input"`
	}
	return `"prompt" and "completion"`
}

// notJSON describes a syntax error by position only: encoding/json's own text quotes the data.
func notJSON(err error, length int) *Problem {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset < int64(length) {
		return &Problem{Text: fmt.Sprintf("not valid JSON at byte %d of the line", syntax.Offset), NotJSON: true}
	}
	return &Problem{Text: "not valid JSON: the line ends early", NotJSON: true}
}

func typeName(token json.Token) string {
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return "an array"
		}
		return "an object"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case nil:
		return "null"
	default:
		return "a number"
	}
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// loneSurrogate reports whether a JSON string has an escape of half a surrogate pair.
func loneSurrogate(raw []byte) bool {
	for i := 0; i+5 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if raw[i+1] != 'u' {
			i++ // an escaped character, perhaps a backslash
			continue
		}
		switch unit := hex4(raw[i+2:]); {
		case unit >= 0xdc00 && unit <= 0xdfff:
			return true
		case unit >= 0xd800 && unit <= 0xdbff:
			if i+11 >= len(raw) || raw[i+6] != '\\' || raw[i+7] != 'u' {
				return true
			}
			if low := hex4(raw[i+8:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		default:
			i += 5
		}
	}
	return false
}

// hex4 reads four hexadecimal digits of valid JSON.
func hex4(b []byte) (n int) {
	for _, c := range b[:4] {
		n <<= 4
		switch {
		case c >= 'a':
			n += int(c-'a') + 10
		case c >= 'A':
			n += int(c-'A') + 10
		default:
			n += int(c - '0')
		}
	}
	return n
}
