package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
)

// MaxLineBytes bounds one event. The largest real one has about 1.5 KiB.
const MaxLineBytes = 64 << 10

// ErrProtocol is in the chain of every error about what the engine sent, as against errors of reading.
var ErrProtocol = errors.New("engine event stream is broken")

// ErrCut is a kind of ErrProtocol: a stream that ends within a line, as that of a killed process may.
var ErrCut = fmt.Errorf("%w: it ends within a line", ErrProtocol)

// Decoder reads events. It holds at most one line in memory and is not safe for concurrent use.
type Decoder struct {
	in   *bufio.Reader
	seq  int64
	done bool
}

// NewDecoder reads events from r.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{in: bufio.NewReaderSize(r, MaxLineBytes)}
}

// Next returns the next event; io.EOF at the end of the stream. Every other error is final: the stream
// cannot be trusted any more. A line that the process was killed in the middle of is a protocol error.
func (d *Decoder) Next() (Event, error) {
	line, err := d.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: line longer than %d bytes", ErrProtocol, MaxLineBytes)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, ErrCut
	case err != nil:
		return nil, err
	}
	event, err := DecodeEvent(line)
	if err != nil {
		return nil, err
	}
	if head := event.Head(); d.done || head.Seq != d.seq+1 {
		return nil, fmt.Errorf("%w: event %d out of sequence", ErrProtocol, head.Seq)
	}
	d.seq++
	switch event.(type) {
	case *Completed, *Stopped, *Failed:
		d.done = true
	}
	return event, nil
}

// DecodeEvent decodes one line. Unknown types, missing and additional members, and numbers that make no
// sense are refused.
func DecodeEvent(line []byte) (Event, error) {
	if len(line) > MaxLineBytes {
		return nil, fmt.Errorf("%w: line longer than %d bytes", ErrProtocol, MaxLineBytes)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return nil, fmt.Errorf("%w: not a JSON object", ErrProtocol)
	}
	var kind string
	if err := json.Unmarshal(members["type"], &kind); err != nil {
		return nil, fmt.Errorf("%w: event without a type", ErrProtocol)
	}
	event := newEvent(kind)
	if event == nil {
		return nil, fmt.Errorf("%w: unknown event type", ErrProtocol)
	}
	wanted := memberNames(reflect.TypeOf(event).Elem())
	if len(members) != len(wanted) { // also stops names that differ by case, which encoding/json would take
		return nil, fmt.Errorf("%w: %s has %d members, want %d", ErrProtocol, kind, len(members), len(wanted))
	}
	for _, name := range wanted {
		value, ok := members[name]
		if !ok || bytes.Equal(value, []byte("null")) {
			return nil, fmt.Errorf("%w: %s without %s", ErrProtocol, kind, name)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(event); err != nil {
		return nil, fmt.Errorf("%w: %s has members that do not fit", ErrProtocol, kind)
	}
	if head := event.Head(); head.Seq < 1 || !number(head.Time) {
		return nil, fmt.Errorf("%w: %s without a sequence or time", ErrProtocol, kind)
	}
	if err := event.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrProtocol, kind, err)
	}
	return event, nil
}

func newEvent(kind string) Event {
	switch kind {
	case "preflight":
		return new(Preflight)
	case "started":
		return new(Started)
	case "step":
		return new(Step)
	case "evaluation":
		return new(Evaluation)
	case "heartbeat":
		return new(Heartbeat)
	case "progress":
		return new(Progress)
	case "measured":
		return new(Measured)
	case "imported":
		return new(Imported)
	case "completed":
		return new(Completed)
	case "stopped":
		return new(Stopped)
	case "failed":
		return new(Failed)
	default:
		return nil
	}
}

// memberNames lists the JSON names of a struct's fields, embedded ones included.
func memberNames(t reflect.Type) []string {
	var names []string
	for field := range t.Fields() {
		if field.Anonymous {
			names = append(names, memberNames(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// Limits of an event's texts and lists, so that what a process sends cannot grow a database row.
const (
	maxMessageBytes = 2048
	maxNameBytes    = 255
	maxFiles        = 64
)

func (e *Preflight) check() error {
	return errors.Join(counts(e.Records, e.Rows, e.Tokens, e.LabelTokens, e.Truncated, e.Dropped, e.Duplicates,
		e.LengthP50, e.LengthP95, e.LengthMax, e.Steps), names(e.File))
}

func (e *Started) check() error {
	if len(e.Versions) > maxFiles {
		return errors.New("too many versions")
	}
	for name, value := range e.Versions {
		if err := names(name, value); err != nil {
			return err
		}
	}
	return errors.Join(numbers(e.SetupSeconds),
		counts(e.MaxSteps, e.StepsPerEpoch, e.MicroBatch, e.Parameters, e.Trainable, e.Seed, e.Threads))
}

func (e *Step) check() error {
	return errors.Join(counts(e.Step, e.MaxSteps, e.Epoch, e.TokensTotal, e.PeakRSSMiB),
		numbers(e.Loss, e.LearningRate, e.GradNorm, e.TokensPerSecond, e.ETASeconds))
}

func (e *Evaluation) check() error {
	if len(e.Files) > MaxValidationFiles {
		return errors.New("too many files")
	}
	errs := []error{counts(e.Step, e.Epoch, e.LabelTokens), numbers(e.Loss, e.Seconds)}
	for _, file := range e.Files {
		errs = append(errs, counts(file.LabelTokens), numbers(file.Loss))
	}
	return errors.Join(errs...)
}

func (e *Heartbeat) check() error { return counts(e.PeakRSSMiB) }

func (e *Progress) check() error { return counts(e.Done, e.Total) }

func (e *Measured) check() error {
	return errors.Join(counts(e.LabelTokens, e.Records, e.Prompts), numbers(e.Loss))
}

func (e *Imported) check() error {
	if len(e.StopTokens) > maxFiles {
		return errors.New("too many stop tokens")
	}
	return errors.Join(counts(e.Parameters, e.ContextLength, e.Vocabulary), names(e.Architecture, e.TemplateSHA256),
		names(e.StopTokens...))
}

func (e *Completed) check() error {
	if len(e.Files) > maxFiles {
		return errors.New("too many files")
	}
	for name, size := range e.Files {
		if err := errors.Join(fileName(name), counts(size)); err != nil {
			return err
		}
	}
	return errors.Join(counts(e.Steps, e.Trainable, e.PeakRSSMiB), numbers(e.LossLast, e.LossMean, e.Seconds))
}

func (e *Stopped) check() error { return counts(e.Steps) }

func (e *Failed) check() error {
	switch e.Reason {
	case ReasonData, ReasonOOM, ReasonNonFinite, ReasonNoEffect, ReasonInternal:
	default:
		return errors.New("unknown reason")
	}
	if len(e.Message) > maxMessageBytes {
		return errors.New("message is too long")
	}
	return errors.Join(counts(e.Line), names(e.File))
}

func counts(values ...int64) error {
	for _, value := range values {
		if value < 0 {
			return errors.New("a count is negative")
		}
	}
	return nil
}

func numbers(values ...float64) error {
	for _, value := range values {
		if !number(value) {
			return errors.New("a value is not a number")
		}
	}
	return nil
}

func number(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

func names(values ...string) error {
	for _, value := range values {
		if len(value) > maxNameBytes {
			return errors.New("a name is too long")
		}
	}
	return nil
}

// fileName admits plain names only: they become paths below the output folder.
func fileName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > maxNameBytes || strings.ContainsAny(name, "/\\\x00") {
		return errors.New("a file's name is not plain")
	}
	return nil
}
