package envelope

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// AppendSeal seals plain and appends the stream to dst, which it grows if it must. Nothing is copied on
// the way: workers encrypt straight from plain into dst, which may not overlap.
func AppendSeal(dst, plain []byte, key DataKey, context []byte, opts Options) ([]byte, error) {
	defer key.Zero()
	segLog2, err := opts.segLog2()
	if err != nil {
		return nil, err
	}
	header, aead, err := newHeader(&key, context, segLog2)
	if err != nil {
		return nil, err
	}
	size := int64(len(plain))
	count := segments(size, segLog2)
	start := len(dst)
	dst = slices.Grow(dst, int(SealedSize(size, segLog2)))
	copy(dst[start:cap(dst)], header)
	dst = dst[:start+int(SealedSize(size, segLog2))]
	body := dst[start+HeaderSize:]
	parallel(count, opts.Workers, func(index int64) bool {
		from := index << segLog2
		to := min(from+1<<segLog2, size)
		at := from + index*SegmentOverhead
		var aad [9]byte
		aead.Seal(body[at:at:at+to-from+SegmentOverhead], nil, plain[from:to], bind(&aad, index, index == count-1)) //nolint:gosec // nil: the cipher draws the nonce itself
		return true
	})
	return dst, nil
}

// OpenBytes is Open for a stream in memory, which the Reader keeps and which may not change: segments
// are decrypted straight from it.
func OpenBytes(sealed []byte, key DataKey, context []byte) (*Reader, error) {
	defer key.Zero()
	return Open(inMemory(sealed), int64(len(sealed)), key, context)
}

// ReadRange fills p with the plaintext from off on, with workers goroutines (0 and 1: the caller's alone)
// that decrypt whole segments straight into p. A range beyond the plaintext is an error. After an error
// the contents of p are not to be used.
func (r *Reader) ReadRange(p []byte, off int64, workers int) error {
	n := int64(len(p))
	if off < 0 || off > r.size-n {
		return fmt.Errorf("envelope: range %d+%d is outside the plaintext of %d bytes", off, n, r.size)
	}
	if n == 0 {
		return nil
	}
	first, last := off>>r.segLog2, (off+n-1)>>r.segLog2
	var once sync.Once
	var failure error
	parallel(last-first+1, workers, func(i int64) bool {
		from := max((first+i)<<r.segLog2, off)
		to := min((first+i+1)<<r.segLog2, off+n)
		if _, err := r.ReadAt(p[from-off:to-off:to-off], from); err != nil {
			once.Do(func() { failure = err })
			return false
		}
		return true
	})
	return failure
}

// parallel calls f for 0 to n-1 on workers goroutines, the caller's included, until one call returns false.
func parallel(n int64, workers int, f func(int64) bool) {
	var next atomic.Int64
	run := func() {
		for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
			if !f(i) {
				next.Store(n)
			}
		}
	}
	var others sync.WaitGroup
	for range min(int64(workers), n) - 1 {
		others.Go(run)
	}
	run()
	others.Wait()
}

// inMemory is a source whose bytes are used where they are.
type inMemory []byte

// ReadAt follows io.ReaderAt.
func (m inMemory) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
