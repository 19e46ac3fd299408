package envelope

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Reader gives random access to the plaintext of a sealed stream. It hands out no byte that it has not
// authenticated. It is safe for concurrent use if its io.ReaderAt is.
type Reader struct {
	src     io.ReaderAt
	aead    cipher.AEAD
	segLog2 uint8
	size    int64 // of the plaintext
}

var (
	_ io.ReaderAt = (*Reader)(nil)
	_ io.WriterTo = (*Reader)(nil)
)

// Open checks the header of the stream of sealedSize bytes in r against key and context. It returns
// ErrFormat or ErrKey, and for an empty stream, which has no byte to read, ErrAuthentication too.
func Open(r io.ReaderAt, sealedSize int64, key DataKey, context []byte) (*Reader, error) {
	defer key.Zero()
	if sealedSize < HeaderSize+SegmentOverhead {
		return nil, ErrFormat
	}
	header := make([]byte, HeaderSize)
	if err := readFull(r, header, 0); err != nil {
		return nil, err
	}
	segLog2, aead, err := openHeader(header, &key, context)
	if err != nil {
		return nil, err
	}
	size, err := PlainSize(sealedSize, segLog2)
	if err != nil {
		return nil, err
	}
	reader := &Reader{r, aead, segLog2, size}
	if size == 0 {
		if _, err := reader.segment(newBuffers(0), 0); err != nil {
			return nil, err
		}
	}
	return reader, nil
}

// Size returns the length of the plaintext, in bytes.
func (r *Reader) Size() int64 { return r.size }

// ReadAt decrypts the segments that p touches. It follows io.ReaderAt; on damage it returns
// ErrAuthentication with the bytes before the damaged segment.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("envelope: negative offset")
	}
	var b *buffers // only for segments that do not fit p as a whole
	n := 0
	for n < len(p) && off < r.size {
		index := off >> r.segLog2
		start := off - index<<r.segLog2
		if length := r.length(index); start == 0 && int64(len(p)-n) >= length {
			if _, err := r.open(p[n:n:n+int(length)], index, &b); err != nil {
				return n, err
			}
			n += int(length)
			off += length
			continue
		}
		if b == nil {
			b = newBuffers(r.bufferSize())
		}
		plain, err := r.open(b.plain[:0], index, &b)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], plain[start:])
		n += m
		off += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteTo writes the whole plaintext to w, on the caller's goroutine.
func (r *Reader) WriteTo(w io.Writer) (int64, error) { return r.WriteRange(w, 0, r.size, 1) }

// WriteRange writes plaintext [off, off+n) to w and returns how many bytes it wrote. Workers goroutines
// (0 and 1: the caller's alone) decrypt beside each other; one at a time writes, in order. All have ended
// when WriteRange returns. A range beyond the plaintext is an error.
func (r *Reader) WriteRange(w io.Writer, off, n int64, workers int) (int64, error) {
	if off < 0 || n < 0 || off > r.size-n {
		return 0, fmt.Errorf("envelope: range %d+%d is outside the plaintext of %d bytes", off, n, r.size)
	}
	if n == 0 {
		return 0, nil
	}
	o := &opener{reader: r, dst: w, off: off, end: off + n, next: off >> r.segLog2, last: (off + n - 1) >> r.segLog2}
	o.written = o.next
	o.turn.L = &o.mu
	var others sync.WaitGroup
	for range min(int64(workers), o.last-o.next+1) - 1 {
		others.Go(o.run)
	}
	o.run()
	others.Wait()
	return o.n, o.err
}

// opener is the state that the workers of one WriteRange share.
type opener struct {
	reader   *Reader
	dst      io.Writer
	off, end int64

	mu         sync.Mutex // guards the rest, and dst
	turn       sync.Cond
	next, last int64 // segments to open
	written    int64 // segment to write
	n          int64 // bytes written
	err        error
}

func (o *opener) run() {
	b := newBuffers(o.reader.bufferSize())
	for {
		o.mu.Lock()
		index := o.next
		if index > o.last || o.err != nil {
			o.mu.Unlock()
			return
		}
		o.next++
		o.mu.Unlock()
		plain, err := o.reader.segment(b, index)
		o.write(index, plain, err)
	}
}

func (o *opener) write(index int64, plain []byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.written != index {
		o.turn.Wait()
	}
	o.written++
	defer o.turn.Broadcast()
	if o.err != nil {
		return
	}
	if err != nil {
		o.err = err
		return
	}
	base := index << o.reader.segLog2
	lo, hi := max(o.off-base, 0), min(o.end-base, int64(len(plain)))
	n, err := o.dst.Write(plain[lo:hi])
	o.n += int64(n)
	o.err = err
}

// segment decrypts segment index into b and returns its plaintext, which b owns.
func (r *Reader) segment(b *buffers, index int64) ([]byte, error) {
	return r.open(b.plain[:0], index, &b)
}

// open decrypts segment index, appending to dst. It reads into *b, which it makes when it needs one.
func (r *Reader) open(dst []byte, index int64, b **buffers) ([]byte, error) {
	at, n := HeaderSize+index*(int64(1)<<r.segLog2+SegmentOverhead), r.length(index)+SegmentOverhead
	var sealed []byte
	if m, ok := r.src.(inMemory); ok {
		sealed = m[at : at+n]
	} else {
		if *b == nil {
			*b = newBuffers(r.bufferSize())
		}
		sealed = (*b).sealed[:n]
		if err := readFull(r.src, sealed, at); err != nil {
			return nil, err
		}
	}
	var aad [9]byte
	plain, err := r.aead.Open(dst, nil, sealed, bind(&aad, index, index == segments(r.size, r.segLog2)-1))
	if err != nil {
		return nil, ErrAuthentication
	}
	return plain, nil
}

// length is the length of segment index's plaintext.
func (r *Reader) length(index int64) int64 { return min(int64(1)<<r.segLog2, r.size-index<<r.segLog2) }

// bufferSize is the largest plaintext of a segment of this stream: small streams take small buffers.
func (r *Reader) bufferSize() int { return int(min(int64(1)<<r.segLog2, r.size)) }

// readFull fills p from off. A stream that is shorter than it should be is ErrFormat.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return ErrFormat
	}
	return fmt.Errorf("read sealed stream: %w", err)
}
