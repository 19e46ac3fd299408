package local

import (
	"errors"
	"io"
	"os"
)

// sink is the write end of a pipe whose other end is copied to a writer. A nil writer has no pipe: the
// process gets /dev/null.
type sink struct {
	file *os.File
	done chan error
}

func newSink(w io.Writer) (*sink, error) {
	if w == nil {
		return &sink{}, nil
	}
	r, file, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &sink{file: file, done: make(chan error, 1)}
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

// end closes the write end and waits until everything is copied; every process that had it has ended.
func (s *sink) end() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), <-s.done)
}
