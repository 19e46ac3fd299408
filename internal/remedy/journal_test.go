package remedy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// some are records as a plan's first steps leave them.
func some() []Record {
	return []Record{
		{Time: clock(), Record: recordBegin, Plan: strings.Repeat("a", 64), Approval: &Approval{Hash: strings.Repeat("a", 64), Unchecked: []string{"quota"}, Cost: true}},
		{Time: clock().Add(time.Nanosecond), Record: recordIntent, Step: "1.1", Call: createJob, Parameters: json.RawMessage(`{"jobName":"a\u003cb"}`)},
		{Time: clock(), Record: recordDone, Step: "1.1", RequestID: "r-1", Results: map[string]string{"jobArn": newJob}},
		{Time: clock(), Record: recordIntent, Step: "1.4", Call: "bedrock:TagResource", Parameters: json.RawMessage(`{}`)},
		{Time: clock(), Record: recordFailed, Step: "1.4", Code: "AccessDenied", Message: "no\nway é \u2028"},
	}
}

// written is the journal of some records: its name and its bytes.
func written(tb testing.TB, records []Record) (name string, text []byte) {
	tb.Helper()
	name = filepath.Join(tb.TempDir(), "plan.journal")
	j, err := OpenJournal(name)
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range records {
		if err := j.add(r); err != nil {
			tb.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		tb.Fatal(err)
	}
	text, err = os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return name, text
}

// bare are records without the chain.
func bare(records []Record) []Record {
	out := slices.Clone(records)
	for i := range out {
		out[i].Previous = ""
	}
	return out
}

// TestJournal: records come back, the file is only its owner's, and what is added follows what is there.
func TestJournal(t *testing.T) {
	t.Parallel()
	name, _ := written(t, some())
	for range 2 {
		records, err := ReadJournal(name)
		if diff := cmp.Diff(some(), bare(records)[:5]); diff != "" || err != nil {
			t.Fatalf("ReadJournal: %v (-want +got):\n%s", err, diff)
		}
		j, err := OpenJournal(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, j.Records); diff != "" {
			t.Errorf("OpenJournal and ReadJournal differ:\n%s", diff)
		}
		if err := j.add(Record{Record: recordRollback}); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, file := range []string{name, name + ".lock"} {
		info, err := os.Stat(file)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v, %v: others can read it", filepath.Base(file), info.Mode(), err)
		}
	}
	if records, err := ReadJournal(name + "x"); records != nil || err != nil {
		t.Errorf("a journal that is not there: %v, %v", records, err)
	}
	j, err := OpenJournal(name + "y")
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name + "y"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a journal without a record stays: %v", err)
	}
	if got := JournalName("a/plan.json"); got != "a/plan.json.journal" {
		t.Errorf("JournalName = %s", got)
	}
}

// TestTornLine: whatever part of the last line reached the disk, the lines before it are there, and writing goes on.
func TestTornLine(t *testing.T) {
	t.Parallel()
	_, text := written(t, some())
	lines := bytes.SplitAfter(text, []byte("\n"))
	last := len(text) - len(lines[4])
	for end := last; end <= len(text); end++ {
		name := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(name, text[:end], 0o600); err != nil {
			t.Fatal(err)
		}
		want := some()[:4]
		if end == len(text) {
			want = some()
		}
		records, err := ReadJournal(name)
		if diff := cmp.Diff(want, bare(records)); diff != "" || err != nil {
			t.Fatalf("%d bytes of the line: %v (-want +got):\n%s", end-last, err, diff)
		}
		if now, err := os.ReadFile(name); err != nil || len(now) != end {
			t.Fatalf("%d bytes of the line: ReadJournal changed the file", end-last)
		}
		j, err := OpenJournal(name)
		if err != nil {
			t.Fatalf("%d bytes of the line: %v", end-last, err)
		}
		if now, err := os.ReadFile(name); err != nil || len(now) != last && end != len(text) {
			t.Fatalf("%d bytes of the line: OpenJournal leaves %d bytes of it", end-last, len(now)-last)
		}
		if err := errors.Join(j.add(Record{Record: recordDone, Step: "1.4"}), j.Close()); err != nil {
			t.Fatal(err)
		}
		records, err = ReadJournal(name)
		if diff := cmp.Diff(append(want, Record{Record: recordDone, Step: "1.4"}), bare(records)); diff != "" || err != nil {
			t.Fatalf("%d bytes of the line: %v (-want +got):\n%s", end-last, err, diff)
		}
	}
}

// TestChangedJournal: a line that is not what was written, or not where, is refused. (The last line has none after it that
// would tell.)
func TestChangedJournal(t *testing.T) {
	t.Parallel()
	_, text := written(t, some())
	lines := bytes.SplitAfter(text, []byte("\n"))[:5]
	with := func(change func([][]byte) [][]byte) []byte {
		return bytes.Join(change(slices.Clone(lines)), nil)
	}
	type file struct {
		name string
		text []byte
		want string
	}
	files := []file{
		{"last two in the other order", with(func(l [][]byte) [][]byte { l[3], l[4] = l[4], l[3]; return l }), "line 4 does not follow"},
		{"a line twice", with(func(l [][]byte) [][]byte { return append(l, l[4]) }), "line 6 does not follow"},
		{"an empty line", with(func(l [][]byte) [][]byte { return append(l, []byte("\n")) }), "line 6"},
		{"null", with(func(l [][]byte) [][]byte { return append(l, []byte("null\n")) }), "line 6"},
		{"first null", []byte("null\n"), "line 1"},
		{"first without a record", []byte("{}\n"), "line 1"},
		{"two records on a line", with(func(l [][]byte) [][]byte { l[4] = append(l[4][:len(l[4])-1:len(l[4])-1], "{}\n"...); return l }), "line 5: it is not one record"},
		{"garbage on a line", with(func(l [][]byte) [][]byte { l[4] = append(l[4][:len(l[4])-1:len(l[4])-1], "]\n"...); return l }), "line 5: it is not one record"},
		{"unknown member", with(func(l [][]byte) [][]byte { l[4] = append([]byte(`{"a":1,`), l[4][1:]...); return l }), "line 5"},
		{"other bytes", []byte("\x00\x00\x00\n"), "line 1"},
	}
	for i := range 4 {
		files = append(files,
			file{fmt.Sprintf("without line %d", i+1), with(func(l [][]byte) [][]byte { return slices.Delete(l, i, i+1) }), fmt.Sprintf("line %d does not follow", i+1)},
			file{fmt.Sprintf("line %d changed", i+1), with(func(l [][]byte) [][]byte {
				l[i] = bytes.Replace(l[i], []byte("2026"), []byte("2027"), 1)
				return l
			}), fmt.Sprintf("line %d does not follow the one before it: the journal was changed", i+2)},
			file{fmt.Sprintf("line %d with a space", i+1), with(func(l [][]byte) [][]byte { l[i] = append([]byte(" "), l[i]...); return l }), fmt.Sprintf("line %d does not follow", i+2)})
	}
	for _, c := range files {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "journal")
			if err := os.WriteFile(name, c.text, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadJournal(name); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ReadJournal = %v, want %s", err, c.want)
			}
			for range 2 { // the lock is given back
				if j, err := OpenJournal(name); err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("OpenJournal = %v, %v, want %s", j, err, c.want)
				}
			}
			if now, err := os.ReadFile(name); err != nil || !bytes.Equal(now, c.text) {
				t.Errorf("a journal that was refused was changed: %v", err)
			}
		})
	}
}

// TestTwoProcesses: one process at a time has a journal. The other one is this test's binary.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	if os.Getenv("REMEDY_JOURNAL") != "" {
		j, err := OpenJournal("plan.journal")
		if err == nil {
			err = j.Close()
		}
		fmt.Printf("%v\n", err)
		return
	}
	name, _ := written(t, some())
	other := func() string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTwoProcesses$")
		cmd.Dir, cmd.Env = filepath.Dir(name), append(os.Environ(), "REMEDY_JOURNAL=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return line
	}
	j, err := OpenJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := other(); got != ErrBusy.Error() {
		t.Errorf("another process got %q", got)
	}
	if _, err := OpenJournal(name); !errors.Is(err, ErrBusy) {
		t.Errorf("the same process got %v", err)
	}
	if records, err := ReadJournal(name); err != nil || len(records) != 5 {
		t.Errorf("reading: %d records, %v", len(records), err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := other(); got != "<nil>" {
		t.Errorf("afterwards another process got %q", got)
	}
}

// TestJournalThatCannotBe: where nothing can be written nothing is begun.
func TestJournalThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := OpenJournal(filepath.Join(dir, "none", "journal")); err == nil {
		t.Error("a journal in a folder that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "journal"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := OpenJournal(filepath.Join(dir, "journal")); err == nil || errors.Is(err, ErrBusy) {
			t.Errorf("a journal that is a folder: %v", err)
		}
	}
	j, err := OpenJournal(filepath.Join(dir, "closed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.add(Record{Record: recordBegin}); err == nil || len(j.Records) != 0 {
		t.Errorf("a record that was not written: %v, %d records", err, len(j.Records))
	}
}

// TestStateOf: what the records say of a step, whatever other steps say.
func TestStateOf(t *testing.T) {
	t.Parallel()
	results := map[string]string{"a": "b"}
	all := map[string]Record{
		"intent": {Record: recordIntent}, "done": {Record: recordDone, RequestID: "r", Results: results, Message: "m"}, "failed": {Record: recordFailed, Message: "f"},
		"undo": {Record: recordUndoIntent, Undo: 1}, "undone": {Record: recordUndone, Undo: 1}, "kept": {Record: recordNotNeeded, Undo: 1}, "undo-failed": {Record: recordUndoFailed, Undo: 1},
	}
	open, done, failed := State{Open: true}, State{Done: true, RequestID: "r", Results: results, Message: "m"}, State{Failed: true, Message: "f"}
	for sequence, want := range map[string]State{
		"": {}, "intent": open, "intent done": done, "done": done, "intent failed": failed, "intent failed intent": open, "intent failed intent done": done,
		"intent done undo": done, "intent done undo undone": done, "intent done undo undo-failed": done, "intent done kept": done, "intent intent": open,
	} {
		records := []Record{{Record: recordBegin}, {Record: recordIntent, Step: "2"}}
		for name := range strings.FieldsSeq(sequence) {
			r := all[name]
			r.Step = "1"
			other := r
			other.Step = "1.1"
			records = append(records, r, other, Record{Record: recordFailed, Step: "2"})
		}
		if diff := cmp.Diff(want, StateOf(records, "1")); diff != "" {
			t.Errorf("StateOf(%s) (-want +got):\n%s", sequence, diff)
		}
	}
	if begun(nil) != nil || begun([]Record{{Record: recordIntent}}) != nil || begun([]Record{{Record: recordBegin}}) == nil {
		t.Error("begun")
	}
	if RollbackBegun([]Record{{Record: recordBegin}, {Record: recordDone}}) || !RollbackBegun([]Record{{Record: recordBegin}, {Record: recordRollback}}) {
		t.Error("RollbackBegun")
	}
	if half := []Record{{Record: recordBegin}, {Record: recordRollback}, {Record: recordUndone}}; RolledBack(half) || !RolledBack(append(half, Record{Record: recordRolledBack})) {
		t.Error("RolledBack")
	}
	touched := Touched(sample(), []Record{{Record: recordDone, Step: "2.1"}, {Record: recordIntent, Step: "1.1"}, {Record: recordDone, Step: "9"}})
	if len(touched) != 1 || touched[0].ID != "2.1" {
		t.Errorf("Touched = %v", touched)
	}
}

// FuzzJournal: nothing panics, and what is read can be gone on with.
func FuzzJournal(f *testing.F) {
	_, text := written(f, some())
	f.Add(text)
	f.Add(text[:len(text)-20])
	f.Add([]byte("{}\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		name := filepath.Join(t.TempDir(), "journal")
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		records, err := ReadJournal(name)
		j, err2 := OpenJournal(name)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("ReadJournal %v, OpenJournal %v", err, err2)
		}
		if err != nil {
			return
		}
		if err := errors.Join(j.add(Record{Record: recordIntent, Step: "1"}), j.Close()); err != nil {
			t.Fatal(err)
		}
		more, err := ReadJournal(name)
		if err != nil || len(more) != len(records)+1 || !StateOf(more, "1").Open {
			t.Fatalf("%d records, then %d, %v", len(records), len(more), err)
		}
	})
}
