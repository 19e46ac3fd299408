package envelope

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Seal reads src to its end and writes the sealed stream to dst; it returns the number of plaintext
// bytes. Only io.EOF from src is an end: any other error, io.ErrUnexpectedEOF included, is returned and
// leaves dst without a final segment, so that it can never be opened to its end. With several workers,
// src and dst are used by one goroutine at a time, not always the same. All goroutines have ended when Seal
// returns. Memory is bounded by two segments per worker.
func Seal(dst io.Writer, src io.Reader, key DataKey, context []byte, opts Options) (int64, error) {
	defer key.Zero()
	segLog2, err := opts.segLog2()
	if err != nil {
		return 0, err
	}
	header, aead, err := newHeader(&key, context, segLog2)
	if err != nil {
		return 0, err
	}
	if _, err := dst.Write(header); err != nil {
		return 0, fmt.Errorf("write sealed stream: %w", err)
	}
	s := &sealer{dst: dst, src: src, aead: aead, size: 1 << segLog2}
	s.turn.L = &s.writing

	// The first segment is sealed here: most streams have no second, and need no goroutines.
	b := newBuffers(s.size)
	if s.step(b) {
		var workers sync.WaitGroup
		for range opts.Workers - 1 {
			workers.Go(func() { s.run(newBuffers(s.size)) })
		}
		s.run(b)
		workers.Wait()
	}
	return s.plain, errors.Join(s.readErr, s.writeErr)
}

// sealer is the state that the workers of one Seal share. Each worker reads a segment in turn, seals it
// beside the others, and writes it in turn: its bytes stay in its processor's cache from read to write.
type sealer struct {
	dst  io.Writer
	src  io.Reader
	aead cipher.AEAD
	size int // of a segment's plaintext

	reading sync.Mutex // guards src and the next five
	next    int64      // index of the segment to read
	ahead   byte       // the byte read past the previous segment, if next > 0
	ended   bool
	plain   int64
	readErr error

	writing  sync.Mutex // guards dst and the next three
	turn     sync.Cond
	written  int64 // index of the segment to write
	writeErr error
}

type buffers struct{ plain, sealed []byte }

func newBuffers(size int) *buffers {
	return &buffers{make([]byte, size+1), make([]byte, 0, size+SegmentOverhead)}
}

func (s *sealer) run(b *buffers) {
	for s.step(b) {
	}
}

// step seals one segment and reports whether there may be another.
func (s *sealer) step(b *buffers) bool {
	index, n, final, ok := s.read(b.plain)
	if !ok {
		return false
	}
	var aad [9]byte
	b.sealed = s.aead.Seal(b.sealed[:0], nil, b.plain[:n], bind(&aad, index, final)) //nolint:gosec // nil: the cipher draws the nonce itself
	return s.write(index, b.sealed) && !final
}

// read fills buf with the next segment and one byte more, by which it knows whether the segment is final.
func (s *sealer) read(buf []byte) (index int64, n int, final, ok bool) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.ended {
		return 0, 0, false, false
	}
	if s.next == maxSegments {
		s.ended, s.readErr = true, ErrTooLong
		return 0, 0, false, false
	}
	if s.next > 0 {
		buf[0], n = s.ahead, 1
	}
	m, err := fill(s.src, buf[n:])
	n += m
	index = s.next
	s.next++
	switch {
	case err == nil: // full: the last byte belongs to the next segment
		n = s.size
		s.ahead = buf[s.size]
	case errors.Is(err, io.EOF):
		s.ended, final = true, true
	default:
		s.ended, s.readErr = true, err
		return 0, 0, false, false
	}
	s.plain += int64(n)
	return index, n, final, true
}

// write writes segment index after all before it, and reports whether writing still works.
func (s *sealer) write(index int64, sealed []byte) bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	for s.written != index {
		s.turn.Wait()
	}
	if s.writeErr == nil {
		if _, err := s.dst.Write(sealed); err != nil {
			s.writeErr = fmt.Errorf("write sealed stream: %w", err)
		}
	}
	s.written++
	s.turn.Broadcast()
	return s.writeErr == nil
}

// fill reads until buf is full. It returns io.EOF only if r itself did, never io.ErrUnexpectedEOF in its
// stead: a request body that breaks off reports the latter, and must not pass for one that ended.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if m > 0 {
			empty = 0
		} else if empty++; err == nil && empty == 100 {
			err = io.ErrNoProgress
		}
	}
	if n == len(buf) && errors.Is(err, io.EOF) {
		err = nil // the next read reports it again
	}
	if err != nil && err != io.EOF && errors.Is(err, io.EOF) { //nolint:errorlint // a wrapped io.EOF is not an end
		err = fmt.Errorf("read broke off: %v", err) //nolint:errorlint // must not match io.EOF any more
	}
	return n, err
}
