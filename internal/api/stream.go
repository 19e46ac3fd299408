package api

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Deadlines of connections are real time, whatever clock the services have.
func deadline(d time.Duration) time.Time {
	return time.Now().Add(d) //nolint:forbidigo // the kernel's timers follow the real clock
}

// meter counts a request's body. Every read gets a deadline of its own: an upload may take hours, but not
// stand still. What is read before the caller is known has one deadline in all.
type meter struct {
	source io.ReadCloser
	rc     *http.ResponseController
	stall  time.Duration
	until  time.Time // of all reads, or zero
	read   int64
	ended  bool
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	// A server that cannot set deadlines (a test's recorder) has none to miss.
	_ = m.rc.SetReadDeadline(m.deadline())
	n, err := m.source.Read(p)
	m.read += int64(n)
	if errors.Is(err, io.EOF) {
		m.ended = true
		// net/http now watches the connection for its end; a deadline would look like one.
		_ = m.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

func (m *meter) deadline() time.Time {
	next := deadline(m.stall)
	if !m.until.IsZero() && m.until.Before(next) {
		return m.until
	}
	return next
}

// finish bounds the time in which net/http reads the rest of a body that nobody wanted.
func (m *meter) finish() {
	if !m.ended {
		_ = m.rc.SetReadDeadline(m.deadline())
	}
}

// Close implements io.Closer.
func (m *meter) Close() error { return m.source.Close() }

// recorder remembers what was answered. Every write gets a deadline of its own.
type recorder struct {
	http.ResponseWriter
	stall   time.Duration
	status  int
	wrote   bool
	written int64
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.status, w.wrote = status, true
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if !w.wrote {
		w.status, w.wrote = http.StatusOK, true
	}
	w.extend()
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// extend sets the deadline of the next write. One of the connection's last request may have passed.
func (w *recorder) extend() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline(w.stall)) // see meter.Read
}

// Flush implements http.Flusher, for event streams.
func (w *recorder) Flush() {
	w.extend()
	_ = http.NewResponseController(w.ResponseWriter).Flush() // a writer that cannot flush does not buffer
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
