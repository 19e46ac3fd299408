package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Encoder writes events as the engine does. Only fake engines need it; it is here so that they keep to the
// contract. It is not safe for concurrent use.
type Encoder struct {
	out io.Writer
	now func() time.Time
	seq int64
}

// NewEncoder writes events to w, with times of now.
func NewEncoder(w io.Writer, now func() time.Time) *Encoder { return &Encoder{out: w, now: now} }

// Encode sets the header of event, which may be empty, and writes the event as one line.
func (e *Encoder) Encode(event Event) error {
	kind, head := headOf(event)
	if head == nil {
		return errors.New("encode event: not an event of this package")
	}
	*head = Header{Type: kind, Seq: e.seq + 1, Time: float64(e.now().UnixMilli()) / 1000}
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := DecodeEvent(line); err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if _, err := e.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	e.seq++
	return nil
}

func headOf(event Event) (string, *Header) {
	switch e := event.(type) {
	case *Preflight:
		return "preflight", &e.Header
	case *Started:
		return "started", &e.Header
	case *Step:
		return "step", &e.Header
	case *Evaluation:
		return "evaluation", &e.Header
	case *Heartbeat:
		return "heartbeat", &e.Header
	case *Progress:
		return "progress", &e.Header
	case *Measured:
		return "measured", &e.Header
	case *Imported:
		return "imported", &e.Header
	case *Completed:
		return "completed", &e.Header
	case *Stopped:
		return "stopped", &e.Header
	case *Failed:
		return "failed", &e.Header
	default:
		return "", nil
	}
}
