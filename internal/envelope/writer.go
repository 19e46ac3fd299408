package envelope

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

// Writer seals what is written to it, on the caller's goroutine. Close writes the final segment; a
// stream without it does not open to its end, so abandoning a Writer never leaves a stream that looks
// whole. A Writer is not safe for concurrent use.
type Writer struct {
	dst    io.Writer
	aead   cipher.AEAD
	plain  []byte // pending plaintext, at most one segment
	sealed []byte
	index  int64
	err    error
}

var _ io.WriteCloser = (*Writer)(nil)

var errClosed = errors.New("envelope: write to a closed stream")

// NewWriter writes a header to dst and returns a Writer. Options.Workers is not used: use Seal for that.
func NewWriter(dst io.Writer, key DataKey, context []byte, opts Options) (*Writer, error) {
	defer key.Zero()
	segLog2, err := opts.segLog2()
	if err != nil {
		return nil, err
	}
	header, aead, err := newHeader(&key, context, segLog2)
	if err != nil {
		return nil, err
	}
	if _, err := dst.Write(header); err != nil {
		return nil, fmt.Errorf("write sealed stream: %w", err)
	}
	size := 1 << segLog2
	return &Writer{dst: dst, aead: aead, plain: make([]byte, 0, size), sealed: make([]byte, 0, size+SegmentOverhead)}, nil
}

// Write seals every segment that p completes. An error is final: every later call returns it.
func (w *Writer) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) && w.err == nil {
		if len(w.plain) == cap(w.plain) { // more follows, so this is not the last segment
			w.flush(w.plain, false)
			w.plain = w.plain[:0]
			continue
		}
		if rest := p[n:]; len(w.plain) == 0 && len(rest) > cap(w.plain) { // whole segments need no copy
			w.flush(rest[:cap(w.plain)], false)
			n += cap(w.plain)
			continue
		}
		m := copy(w.plain[len(w.plain):cap(w.plain)], p[n:])
		w.plain = w.plain[:len(w.plain)+m]
		n += m
	}
	return n, w.err
}

// Close seals the final segment. It does not close the underlying writer. A second Close does nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if w.err == nil {
		w.flush(w.plain, true)
	}
	clear(w.plain[:cap(w.plain)])
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

func (w *Writer) flush(plain []byte, final bool) {
	if w.index == maxSegments {
		w.err = ErrTooLong
		return
	}
	var aad [9]byte
	w.sealed = w.aead.Seal(w.sealed[:0], nil, plain, bind(&aad, w.index, final)) //nolint:gosec // nil: the cipher draws the nonce itself
	w.index++
	if _, err := w.dst.Write(w.sealed); err != nil {
		w.err = fmt.Errorf("write sealed stream: %w", err)
	}
}
