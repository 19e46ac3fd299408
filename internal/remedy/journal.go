package remedy

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// What a record of the journal says.
const (
	recordBegin      = "begin"  // a plan is applied; Approval
	recordIntent     = "intent" // the next thing is the call
	recordDone       = "done"   // it was answered, or found done
	recordFailed     = "failed" // it was refused: it is not done
	recordRollback   = "rollback"
	recordUndoIntent = "undo-intent"
	recordUndone     = "undone"
	recordNotNeeded  = "nothing-to-undo"
	recordUndoFailed = "undo-failed"
	recordRolledBack = "rolled-back"
)

// Record is one line of the journal.
type Record struct {
	Time   time.Time `json:"time"`
	Record string    `json:"record"`
	// Plan is the plan's hash, in the first record.
	Plan     string    `json:"plan,omitempty"`
	Approval *Approval `json:"approval,omitempty"`
	Step     string    `json:"step,omitempty"`
	// Undo is the number of the step's undo, from 1.
	Undo       int               `json:"undo,omitempty"`
	Call       string            `json:"call,omitempty"`
	Parameters json.RawMessage   `json:"parameters,omitempty"`
	RequestID  string            `json:"requestId,omitempty"`
	Results    map[string]string `json:"results,omitempty"`
	// Settled says that the answer was lost, and a read found the call done.
	Settled bool   `json:"settled,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Previous is the SHA-256 of the line before: lines that are taken out or changed are noticed.
	Previous string `json:"previous,omitempty"`
}

// Journal is the record of what was done of a plan: NDJSON, beside it. Each line is on disk before what it announces. One
// process at a time has it.
type Journal struct {
	Records []Record

	file *os.File
	lock *flock.Flock
	last string
}

// JournalName is the journal of a plan's file.
func JournalName(plan string) string { return plan + ".journal" }

// ErrBusy is the answer to a journal that another process writes.
var ErrBusy = errors.New("another process is working on this plan")

// OpenJournal opens a journal, or begins one. A last line that is not whole was not finished when the process was killed:
// what it announces was not begun, and it is taken off.
func OpenJournal(name string) (*Journal, error) {
	lock := flock.New(name + ".lock")
	got, err := lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !got {
		return nil, ErrBusy
	}
	j := &Journal{lock: lock}
	if err := j.open(name); err != nil {
		_ = lock.Unlock() // err says more
		return nil, err
	}
	return j, nil
}

func (j *Journal) open(name string) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() { // a link may lead to what is somebody else's
		return fmt.Errorf("journal %s: it is no regular file", name)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	j.file = f
	whole, err := j.read()
	if err == nil && whole == 0 {
		err = j.blank()
	}
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, 0)
	}
	if err == nil {
		err = syncDir(filepath.Dir(name))
	}
	if err != nil {
		_ = f.Close() // err says more
		return fmt.Errorf("journal %s: %w", name, err)
	}
	return nil
}

// blank says that a file without a whole line is no journal: it is empty, or has the beginning of a first line.
func (j *Journal) blank() error {
	begin := []byte(`{"time":"`)
	have := make([]byte, len(begin))
	n, err := j.file.ReadAt(have, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.HasPrefix(begin, have[:n]) {
		return errors.New("it is no journal: nothing was changed in it")
	}
	return nil
}

// ReadJournal reads a journal without taking it. Without one there are no records: the plan was not applied.
func ReadJournal(name string) ([]Record, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	j := &Journal{file: f}
	if _, err := j.read(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", name, err)
	}
	return j.Records, nil
}

// read reads the whole lines and returns where they end.
func (j *Journal) read() (whole int64, err error) {
	in := bufio.NewReader(j.file)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil // the end, or a line that was not finished
		}
		if err != nil {
			return 0, err
		}
		r, err := parseRecord(line)
		if err != nil {
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		if r.Previous != j.last {
			return 0, fmt.Errorf("line %d does not follow the one before it: the journal was changed", number)
		}
		j.Records = append(j.Records, r)
		j.last = digest(line)
		whole += int64(len(line))
	}
}

func parseRecord(line []byte) (r Record, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || r.Record == "" {
		return r, errors.New("it is not one record")
	}
	return r, nil
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// add writes a record and waits until it is on disk.
func (j *Journal) add(r Record) error {
	r.Previous = j.last
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := j.file.Write(line); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.last = digest(line)
	j.Records = append(j.Records, r)
	return nil
}

// Close gives the journal back. One without a record goes: nothing was applied. The lock's file stays: another process may
// have opened it already.
func (j *Journal) Close() error {
	err := j.file.Close()
	if len(j.Records) == 0 {
		err = errors.Join(err, os.Remove(j.file.Name()))
	}
	return errors.Join(err, j.lock.Unlock())
}

// begun is the first record; nil if nothing was applied.
func begun(records []Record) *Record {
	if len(records) == 0 || records[0].Record != recordBegin {
		return nil
	}
	return &records[0]
}

// State is what the records say of a step.
type State struct {
	Done, Open, Failed bool
	RequestID          string
	Results            map[string]string
	Message            string
}

// StateOf is the state of a step.
func StateOf(records []Record, step string) State {
	var s State
	for _, r := range records {
		if r.Step != step {
			continue
		}
		switch r.Record {
		case recordIntent:
			s = State{Open: true}
		case recordDone:
			s = State{Done: true, RequestID: r.RequestID, Results: r.Results, Message: r.Message}
		case recordFailed:
			s = State{Failed: true, Message: r.Message}
		}
	}
	return s
}

// RollbackBegun says that a rollback of the plan was begun: the plan cannot be resumed.
func RollbackBegun(records []Record) bool {
	return slices.ContainsFunc(records, func(r Record) bool { return r.Record == recordRollback })
}

// RolledBack says that a rollback of the plan came to its end.
func RolledBack(records []Record) bool {
	return slices.ContainsFunc(records, func(r Record) bool { return r.Record == recordRolledBack })
}
