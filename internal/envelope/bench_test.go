package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/sio"

	"example.com/cloister/internal/envelope"
)

// BenchmarkRatios compares the envelope, memory to memory, with the raw cipher on the same workers and
// segments and with minio/sio. Machines are shared, so what counts is the ratio: each iteration runs the
// three after one another, and the medians of the ratios of wall time are reported. Run it with
//
//	go test ./internal/envelope -run '^$' -bench Ratios -benchtime 15x
func BenchmarkRatios(b *testing.B) {
	const size = 128 << 20
	plain := plaintext(size)
	out := make([]byte, 0, size+size/64)
	opened := make([]byte, 0, size)
	key := testKey(1)
	for _, shape := range []struct {
		name    string
		segLog2 uint8
		workers int
	}{{"artifact 256KiB", envelope.ArtifactSegment, 2}, {"artifact 256KiB", envelope.ArtifactSegment, 1}, {"object 64KiB", envelope.ObjectSegment, 2}} {
		opts := envelope.Options{SegmentLog2: shape.segLog2, Workers: shape.workers}
		b.Run(fmt.Sprintf("seal %s/%d workers", shape.name, shape.workers), func(b *testing.B) {
			compare(b, size,
				func() {
					_, err := envelope.AppendSeal(out[:0], plain, key, nil, opts)
					must(b, err)
				},
				func() { rawSeal(b, out[:cap(out)], plain, opts) },
				func() {
					dst := memory{out[:0]}
					_, err := sio.Encrypt(&dst, bytes.NewReader(plain), sio.Config{Key: key[:], MinVersion: sio.Version20})
					must(b, err)
				})
		})
		b.Run(fmt.Sprintf("seal stream %s/%d workers", shape.name, shape.workers), func(b *testing.B) {
			compare(b, size,
				func() {
					dst := memory{out[:0]}
					_, err := envelope.Seal(&dst, bytes.NewReader(plain), key, nil, opts)
					must(b, err)
				},
				func() { rawSeal(b, out[:cap(out)], plain, opts) },
				func() {
					dst := memory{out[:0]}
					_, err := sio.Encrypt(&dst, bytes.NewReader(plain), sio.Config{Key: key[:], MinVersion: sio.Version20})
					must(b, err)
				})
		})
		b.Run(fmt.Sprintf("open %s/%d workers", shape.name, shape.workers), func(b *testing.B) {
			var sealed, foreign bytes.Buffer
			_, err := envelope.Seal(&sealed, bytes.NewReader(plain), key, nil, opts)
			must(b, err)
			_, err = sio.Encrypt(&foreign, bytes.NewReader(plain), sio.Config{Key: key[:], MinVersion: sio.Version20})
			must(b, err)
			raw := make([]byte, cap(out))
			rawSeal(b, raw, plain, opts)
			compare(b, size,
				func() {
					r, err := envelope.OpenBytes(sealed.Bytes(), key, nil)
					must(b, err)
					must(b, r.ReadRange(opened[:size], 0, shape.workers))
				},
				func() { rawOpen(b, opened[:size], raw, opts) },
				func() {
					dst := memory{opened[:0]}
					_, err := sio.Decrypt(&dst, bytes.NewReader(foreign.Bytes()), sio.Config{Key: key[:]})
					must(b, err)
				})
		})
	}
}

// memory appends to a slice that has the room already.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

var _ io.Writer = (*memory)(nil)

func compare(b *testing.B, size int64, ours, raw, foreign func()) {
	b.Helper()
	b.SetBytes(size)
	var toRaw, toSio []float64
	ours() // the first touch of memory is nobody's
	raw()
	for b.Loop() {
		a, r, s := elapsed(ours), elapsed(raw), elapsed(foreign)
		toRaw, toSio = append(toRaw, r/a), append(toSio, s/a)
	}
	b.ReportMetric(median(toRaw), "x_raw_gcm")
	b.ReportMetric(median(toSio), "x_sio")
}

func elapsed(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func rawAEAD(b *testing.B) cipher.AEAD {
	b.Helper()
	key := testKey(1)
	block, err := aes.NewCipher(key[:])
	must(b, err)
	gcm, err := cipher.NewGCM(block)
	must(b, err)
	return gcm
}

// rawSeal encrypts plain into out segment by segment, with counters as nonces and nothing else.
func rawSeal(b *testing.B, out, plain []byte, opts envelope.Options) {
	b.Helper()
	gcm := rawAEAD(b)
	eachSegment(opts, len(plain), func(i, from, to int) {
		at := from + i*gcm.Overhead()
		gcm.Seal(out[at:at], nonce(i), plain[from:to], nil)
	})
}

func rawOpen(b *testing.B, out, sealed []byte, opts envelope.Options) {
	b.Helper()
	gcm := rawAEAD(b)
	eachSegment(opts, len(out), func(i, from, to int) {
		at := from + i*gcm.Overhead()
		if _, err := gcm.Open(out[from:from], nonce(i), sealed[at:at+to-from+gcm.Overhead()], nil); err != nil {
			b.Error(err)
		}
	})
}

func nonce(i int) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n, uint64(i))
	return n
}

func eachSegment(opts envelope.Options, size int, f func(i, from, to int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range opts.Workers {
		workers.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				from := i << opts.SegmentLog2
				if from >= size {
					return
				}
				f(i, from, min(from+1<<opts.SegmentLog2, size))
			}
		})
	}
	workers.Wait()
}
