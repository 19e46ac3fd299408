package local

import (
	"errors"
	"io"
	"os"
)

// Sink is the write end of a pipe whose other end is copied to a writer. A nil writer has no pipe: the
// process gets /dev/null. A file needs none.
type Sink struct {
	File *os.File
	done chan error // nil for a file that was there before
}

// NewSink makes a Sink of a writer.
func NewSink(w io.Writer) (*Sink, error) {
	if w == nil {
		return &Sink{}, nil
	}
	if file, ok := w.(*os.File); ok {
		return &Sink{File: file}, nil
	}
	r, file, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &Sink{File: file, done: make(chan error, 1)}
	go func() {
		_, err := io.Copy(w, r)
		if err != nil { // the process must not block on a pipe that nobody reads
			_, copyErr := io.Copy(io.Discard, r)
			err = errors.Join(err, copyErr)
		}
		s.done <- errors.Join(err, r.Close())
	}()
	return s, nil
}

// End closes the write end and waits until everything is copied; every process that had it has ended.
func (s *Sink) End() error {
	if s.done == nil {
		return nil
	}
	return errors.Join(s.File.Close(), <-s.done)
}
