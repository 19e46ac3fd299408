package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"iter"
)

// stream writes JSON documents piece by piece, so that no more than one element is in memory twice. After an error it
// writes nothing; err has it. It is used by one goroutine.
type stream struct {
	w   *bufio.Writer
	buf []byte
	err error
}

// raw writes text as it is.
func (s *stream) raw(text string) {
	if s.err == nil {
		_, s.err = s.w.WriteString(text)
	}
}

// value writes a value as JSON on one line. Map keys are sorted by encoding/json, which also escapes <, > and &, so that
// the text may stand in a page.
func (s *stream) value(v any) {
	if s.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		s.err = fmt.Errorf("encode %T: %w", v, err)
		return
	}
	s.buf = escapeJSON(s.buf[:0], text)
	_, s.err = s.w.Write(s.buf)
}

// member writes a member of an object, not the last one, on its own line.
func (s *stream) member(name string, v any) {
	s.raw("  ")
	s.value(name)
	s.raw(": ")
	s.value(v)
	s.end(false)
}

// array writes a member that is a list, one element a line.
func array[T any](s *stream, indent, name string, items iter.Seq[T], last bool) {
	s.raw(indent)
	s.value(name)
	s.raw(": [")
	first := true
	for item := range items {
		if !first {
			s.raw(",")
		}
		first = false
		s.raw("\n" + indent + "  ")
		s.value(item)
		if s.err != nil {
			return
		}
	}
	if !first {
		s.raw("\n" + indent)
	}
	s.raw("]")
	s.end(last)
}

func (s *stream) end(last bool) {
	if last {
		s.raw("\n")
		return
	}
	s.raw(",\n")
}
