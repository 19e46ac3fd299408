package report

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

//go:embed schema/report.json
var schemaJSON string

// Schema returns the JSON Schema (2020-12) of a saved report.
func Schema() string { return schemaJSON }

// Save writes the report as JSON, complete. Each member has a line, and each account, rule, result and job: a diff of two
// reports shows what changed, and 25,000 results are read and written one at a time.
func Save(w io.Writer, r *posture.Report) error { return Write(w, JSON, r, Options{}) }

func writeJSON(w *bufio.Writer, r *posture.Report) error {
	s := &stream{w: w}
	s.raw("{\n")
	s.member("schema", r.Schema)
	s.member("tool", r.Tool)
	s.member("started", r.Started)
	s.member("seconds", r.Seconds)
	s.member("calls", r.Calls)
	s.member("coverage", r.Coverage)
	array(s, "  ", "accounts", slices.Values(r.Accounts), false)
	array(s, "  ", "assumptions", slices.Values(r.Assumptions), false)
	array(s, "  ", "notes", slices.Values(r.Notes), false)
	array(s, "  ", "rules", slices.Values(r.Rules), false)
	array(s, "  ", "results", slices.Values(r.Results), false)
	array(s, "  ", "jobs", slices.Values(r.Jobs), true)
	s.raw("}\n")
	return s.err
}

// Load reads a saved report. It refuses another schema, members that it does not know, unknown verdicts and severities,
// and anything after the report: what it does not understand it does not show. Numbers in facts stay as they were
// written. It reads results one at a time.
func Load(r io.Reader) (*posture.Report, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	dec.UseNumber()
	report := &posture.Report{}
	if err := loadMembers(dec, report); err != nil {
		return nil, fmt.Errorf("read the saved report: %w", err)
	}
	if report.Schema == "" {
		return nil, errors.New("read the saved report: it has no schema: it is not a report of `cloister audit`")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read the saved report: something follows it")
	}
	for i := range report.Results {
		if err := known(&report.Results[i]); err != nil {
			return nil, fmt.Errorf("read the saved report: result %d: %w", i+1, err)
		}
	}
	return report, nil
}

func loadMembers(dec *json.Decoder, r *posture.Report) error {
	if err := expect(dec, json.Delim('{')); err != nil {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("member %q stands there twice", name)
		}
		seen[name] = true
		if err := loadMember(dec, r, name); err != nil {
			return fmt.Errorf("member %q: %w", name, err)
		}
	}
	return expect(dec, json.Delim('}'))
}

func loadMember(dec *json.Decoder, r *posture.Report, name string) error {
	switch name {
	case "schema":
		if err := dec.Decode(&r.Schema); err != nil {
			return err
		}
		if r.Schema != posture.ReportSchema {
			return fmt.Errorf("%q is not %q: another version of the program wrote it", ansi.Visible(r.Schema), posture.ReportSchema)
		}
		return nil
	case "tool":
		return dec.Decode(&r.Tool)
	case "started":
		return dec.Decode(&r.Started)
	case "seconds":
		return dec.Decode(&r.Seconds)
	case "calls":
		return dec.Decode(&r.Calls)
	case "coverage":
		return dec.Decode(&r.Coverage)
	case "accounts":
		return loadArray(dec, &r.Accounts)
	case "assumptions":
		return loadArray(dec, &r.Assumptions)
	case "notes":
		return loadArray(dec, &r.Notes)
	case "rules":
		return loadArray(dec, &r.Rules)
	case "results":
		return loadArray(dec, &r.Results, names{}.result)
	case "jobs":
		return loadArray(dec, &r.Jobs)
	default:
		return errors.New("unknown member")
	}
}

// loadArray decodes an array element by element: a decoder holds the text of one value at a time. Each element goes
// through also.
func loadArray[T any](dec *json.Decoder, list *[]T, also ...func(*T)) error {
	if err := expect(dec, json.Delim('[')); err != nil {
		return err
	}
	*list = []T{}
	for dec.More() {
		var item T
		if err := dec.Decode(&item); err != nil {
			return fmt.Errorf("element %d: %w", len(*list)+1, err)
		}
		for _, do := range also {
			do(&item)
		}
		*list = append(*list, item)
	}
	return expect(dec, json.Delim(']'))
}

func expect(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%s is missing", want)
	}
	return nil
}

func known(one *posture.Result) error {
	if !slices.Contains(posture.Statuses(), one.Status) {
		return fmt.Errorf("unknown status %q", one.Status)
	}
	if !slices.Contains(posture.Severities(), one.Severity) {
		return fmt.Errorf("unknown severity %q", one.Severity)
	}
	if slices.Contains(one.Unread, nil) {
		return errors.New("an unread call is null")
	}
	if slices.Contains(one.Evidence, nil) {
		return errors.New("a call of the evidence is null")
	}
	if one.Identity == nil || one.Seen == nil {
		return errors.New("it does not say what was judged, or when")
	}
	return nil
}

func writeNDJSON(w *bufio.Writer, r *posture.Report) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	var out []byte
	for i := range r.Results {
		line.Reset()
		if err := enc.Encode(&r.Results[i]); err != nil {
			return err
		}
		out = escapeJSON(out[:0], line.Bytes())
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}
