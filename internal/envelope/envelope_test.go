package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/cloister/internal/envelope"
)

const (
	testLog2    = 12
	testSegment = 1 << testLog2
)

func testKey(seed byte) envelope.DataKey {
	return envelope.DataKey(sha256.Sum256([]byte{seed}))
}

func plaintext(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

func seal(t *testing.T, plain, context []byte, workers int) []byte {
	t.Helper()
	var out bytes.Buffer
	n, err := envelope.Seal(&out, bytes.NewReader(plain), testKey(1), context, envelope.Options{SegmentLog2: testLog2, Workers: workers})
	if err != nil || n != int64(len(plain)) {
		t.Fatalf("Seal = %d, %v, want %d", n, err, len(plain))
	}
	return out.Bytes()
}

// open reads a whole stream and returns its plaintext.
func open(sealed, context []byte, key envelope.DataKey) ([]byte, error) {
	r, err := envelope.Open(bytes.NewReader(sealed), int64(len(sealed)), key, context)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = r.WriteTo(&out)
	return out.Bytes(), err
}

func boundarySizes() []int {
	return []int{
		0, 1, testSegment - 1, testSegment, testSegment + 1, 2*testSegment - 1, 2 * testSegment, 2*testSegment + 1,
		7*testSegment + 123,
	}
}

func TestSealAndOpen(t *testing.T) {
	for _, n := range boundarySizes() {
		for _, workers := range []int{0, 1, 2, 5} {
			t.Run(fmt.Sprintf("%d bytes %d workers", n, workers), func(t *testing.T) {
				plain := plaintext(n)
				sealed := seal(t, plain, []byte("context"), workers)
				if got, want := int64(len(sealed)), envelope.SealedSize(int64(n), testLog2); got != want {
					t.Errorf("sealed size = %d, want %d", got, want)
				}
				if got, err := envelope.PlainSize(int64(len(sealed)), testLog2); got != int64(n) || err != nil {
					t.Errorf("PlainSize = %d, %v, want %d", got, err, n)
				}
				r, err := envelope.Open(bytes.NewReader(sealed), int64(len(sealed)), testKey(1), []byte("context"))
				if err != nil {
					t.Fatal(err)
				}
				if r.Size() != int64(n) {
					t.Errorf("Size = %d, want %d", r.Size(), n)
				}
				var out bytes.Buffer
				if m, err := r.WriteRange(&out, 0, int64(n), workers); err != nil || m != int64(n) || !bytes.Equal(out.Bytes(), plain) {
					t.Errorf("WriteRange = %d, %v; plaintext equal: %v", m, err, bytes.Equal(out.Bytes(), plain))
				}
			})
		}
	}
}

func TestMemory(t *testing.T) {
	for _, n := range boundarySizes() {
		for _, workers := range []int{1, 3} {
			plain := plaintext(n)
			prefix := []byte("prefix")
			sealed, err := envelope.AppendSeal(prefix, plain, testKey(1), []byte("m"), envelope.Options{SegmentLog2: testLog2, Workers: workers})
			if err != nil || !bytes.HasPrefix(sealed, prefix) {
				t.Fatalf("AppendSeal: %v", err)
			}
			sealed = sealed[len(prefix):]
			if got, err := open(sealed, []byte("m"), testKey(1)); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes: %v", n, err)
			}
			r, err := envelope.OpenBytes(sealed, testKey(1), []byte("m"))
			if err != nil {
				t.Fatal(err)
			}
			for off := 0; off <= n; off += 1000 {
				got := make([]byte, n-off)
				if err := r.ReadRange(got, int64(off), workers); err != nil || !bytes.Equal(got, plain[off:]) {
					t.Errorf("ReadRange from %d of %d: %v", off, n, err)
				}
			}
			if err := r.ReadRange(make([]byte, 1), int64(n), 1); err == nil {
				t.Error("ReadRange beyond the end succeeded")
			}
			sealed[len(sealed)-1] ^= 1
			if r, err := envelope.OpenBytes(sealed, testKey(1), []byte("m")); err == nil {
				if err := r.ReadRange(make([]byte, n), 0, workers); !errors.Is(err, envelope.ErrAuthentication) {
					t.Errorf("a flipped bit: %v", err)
				}
			}
		}
	}
	if _, err := envelope.OpenBytes(make([]byte, 10), testKey(1), nil); !errors.Is(err, envelope.ErrFormat) {
		t.Errorf("ten bytes: %v", err)
	}
}

func TestReaderBehavesAsReaderAt(t *testing.T) {
	for _, n := range boundarySizes() {
		plain := plaintext(n)
		sealed := seal(t, plain, nil, 1)
		r, err := envelope.Open(bytes.NewReader(sealed), int64(len(sealed)), testKey(1), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), plain); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if err := iotest.TestReader(struct{ io.Reader }{r.Section(0, r.Size(), 1)}, plain); err != nil {
			t.Errorf("%d bytes, Section: %v", n, err)
		}
	}
}

func TestRanges(t *testing.T) {
	plain := plaintext(5*testSegment + 77)
	sealed := seal(t, plain, nil, 1)
	r, err := envelope.Open(bytes.NewReader(sealed), int64(len(sealed)), testKey(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		off := rng.IntN(len(plain))
		n := rng.IntN(len(plain) - off + 1)
		want := plain[off : off+n]
		var whole, parts bytes.Buffer
		if _, err := r.WriteRange(&whole, int64(off), int64(n), 3); err != nil || !bytes.Equal(whole.Bytes(), want) {
			t.Fatalf("WriteRange(%d, %d): %v", off, n, err)
		}
		s := r.Section(int64(off), int64(n), 2)
		if err := s.Prefetch(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(&parts, struct{ io.Reader }{s}, int64(n/3)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WriteTo(&parts); err != nil || !bytes.Equal(parts.Bytes(), want) {
			t.Fatalf("Section(%d, %d): %v", off, n, err)
		}
	}
	for _, bad := range [][2]int64{{-1, 1}, {0, -1}, {0, r.Size() + 1}, {r.Size(), 1}, {1 << 62, 1 << 62}} {
		if _, err := r.WriteRange(io.Discard, bad[0], bad[1], 1); err == nil {
			t.Errorf("WriteRange(%d, %d) succeeded", bad[0], bad[1])
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	plain := plaintext(2*testSegment + 50)
	sealed := seal(t, plain, []byte("context"), 1)
	full := testSegment + envelope.SegmentOverhead
	var places []int
	for i := range envelope.HeaderSize {
		places = append(places, i)
	}
	last := envelope.HeaderSize + 2*full
	for i := last; i < len(sealed); i++ { // the last segment whole
		places = append(places, i)
	}
	for i := envelope.HeaderSize; i < last; i += 97 { // a sample of the others
		places = append(places, i)
	}
	for _, i := range places {
		for bit := range 8 {
			sealed[i] ^= 1 << bit
			got, err := open(sealed, []byte("context"), testKey(1))
			sealed[i] ^= 1 << bit
			if err == nil {
				t.Fatalf("byte %d bit %d: flipped and not noticed", i, bit)
			}
			if !bytes.HasPrefix(plain, got) {
				t.Fatalf("byte %d bit %d: wrong bytes were handed out", i, bit)
			}
			if i >= 8 && i < envelope.HeaderSize && !errors.Is(err, envelope.ErrKey) {
				t.Fatalf("byte %d bit %d: error = %v, want ErrKey", i, bit, err)
			}
			if i >= envelope.HeaderSize && !errors.Is(err, envelope.ErrAuthentication) {
				t.Fatalf("byte %d bit %d: error = %v, want ErrAuthentication", i, bit, err)
			}
		}
	}
	if got, err := open(sealed, []byte("context"), testKey(1)); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("the stream itself does not open: %v", err)
	}
}

func TestFlippedBitInAnEmptyStream(t *testing.T) {
	sealed := seal(t, nil, nil, 1)
	for i := range sealed {
		sealed[i] ^= 4
		if _, err := envelope.Open(bytes.NewReader(sealed), int64(len(sealed)), testKey(1), nil); err == nil {
			t.Errorf("byte %d flipped and not noticed", i)
		}
		sealed[i] ^= 4
	}
}

func TestTruncationIsNoticed(t *testing.T) {
	sealed := seal(t, plaintext(4*testSegment), nil, 1)
	full := testSegment + envelope.SegmentOverhead
	for segments := range 4 {
		for _, extra := range []int{0, 1, envelope.SegmentOverhead, full - 1} {
			n := envelope.HeaderSize + segments*full + extra
			if _, err := open(sealed[:n], nil, testKey(1)); err == nil {
				t.Errorf("%d segments and %d bytes of 4 segments opened", segments, extra)
			}
		}
	}
	for n := range envelope.HeaderSize + envelope.SegmentOverhead {
		if _, err := open(sealed[:n], nil, testKey(1)); !errors.Is(err, envelope.ErrFormat) {
			t.Errorf("%d bytes: %v, want ErrFormat", n, err)
		}
	}
	longer := append(bytes.Clone(sealed), sealed[len(sealed)-full:]...)
	if _, err := open(longer, nil, testKey(1)); !errors.Is(err, envelope.ErrAuthentication) {
		t.Errorf("a repeated last segment: %v, want ErrAuthentication", err)
	}
	if _, err := envelope.Open(bytes.NewReader(sealed[:100]), int64(len(sealed)), testKey(1), nil); err != nil {
		t.Errorf("Open reads more than the header: %v", err)
	}
	r, err := envelope.Open(bytes.NewReader(sealed[:100]), int64(len(sealed)), testKey(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.WriteTo(io.Discard); !errors.Is(err, envelope.ErrFormat) {
		t.Errorf("a source shorter than its size: %v, want ErrFormat", err)
	}
}

func TestMovedSegmentsAreNoticed(t *testing.T) {
	plain := plaintext(4 * testSegment)
	a, b := seal(t, plain, nil, 1), seal(t, plain, nil, 1)
	full := testSegment + envelope.SegmentOverhead
	segment := func(s []byte, i int) []byte {
		return s[envelope.HeaderSize+i*full : envelope.HeaderSize+(i+1)*full]
	}
	for i := range 4 {
		for j := range 4 {
			if i == j {
				continue
			}
			swapped := bytes.Clone(a)
			copy(segment(swapped, i), segment(a, j))
			copy(segment(swapped, j), segment(a, i))
			if _, err := open(swapped, nil, testKey(1)); !errors.Is(err, envelope.ErrAuthentication) {
				t.Errorf("segments %d and %d swapped: %v", i, j, err)
			}
		}
		foreign := bytes.Clone(a)
		copy(segment(foreign, i), segment(b, i))
		if _, err := open(foreign, nil, testKey(1)); !errors.Is(err, envelope.ErrAuthentication) {
			t.Errorf("segment %d of another stream under the same key: %v", i, err)
		}
	}
}

func TestKeyAndContextBind(t *testing.T) {
	sealed := seal(t, plaintext(10), []byte("model/a"), 1)
	for name, tt := range map[string]struct {
		key     envelope.DataKey
		context string
		want    error
	}{
		"right":             {testKey(1), "model/a", nil},
		"other key":         {testKey(2), "model/a", envelope.ErrKey},
		"zero key":          {envelope.DataKey{}, "model/a", envelope.ErrKey},
		"other context":     {testKey(1), "model/b", envelope.ErrKey},
		"no context":        {testKey(1), "", envelope.ErrKey},
		"longer context":    {testKey(1), "model/ab", envelope.ErrKey},
		"context and a NUL": {testKey(1), "model/a\x00", envelope.ErrKey},
	} {
		if _, err := open(sealed, []byte(tt.context), tt.key); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestWriter(t *testing.T) {
	for _, n := range boundarySizes() {
		for _, chunk := range []int{1000, testSegment, 3*testSegment + 5, 1 << 20} {
			plain := plaintext(n)
			var out bytes.Buffer
			w, err := envelope.NewWriter(&out, testKey(1), []byte("w"), envelope.Options{SegmentLog2: testLog2})
			if err != nil {
				t.Fatal(err)
			}
			for rest := plain; len(rest) > 0; {
				m := min(chunk, len(rest))
				if k, err := w.Write(rest[:m]); err != nil || k != m {
					t.Fatalf("Write = %d, %v", k, err)
				}
				rest = rest[m:]
			}
			if _, err := open(out.Bytes(), []byte("w"), testKey(1)); err == nil {
				t.Errorf("%d bytes: an unfinished stream opened", n)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			size := out.Len()
			if err := w.Close(); err != nil || out.Len() != size {
				t.Errorf("second Close: %v, wrote %d bytes", err, out.Len()-size)
			}
			if _, err := w.Write([]byte("x")); err == nil {
				t.Error("Write after Close succeeded")
			}
			if got, err := open(out.Bytes(), []byte("w"), testKey(1)); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes in chunks of %d: %v", n, chunk, err)
			}
		}
	}
}

func TestSealStopsOnErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		src  error
		want string
	}{
		"a source that breaks off":          {io.ErrUnexpectedEOF, "unexpected EOF"},
		"a wrapped end is not an end":       {fmt.Errorf("reset: %w", io.EOF), "reset: EOF"},
		"a source that fails":               {broken, "broken"},
		"a source that makes no progress":   {nil, "multiple Read calls"},
		"a source that ends is no error":    {io.EOF, ""},
		"a failing checksum after all data": {errors.New("checksum mismatch"), "checksum mismatch"},
	} {
		for _, n := range []int{0, 10, testSegment, 3 * testSegment} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				src := io.MultiReader(bytes.NewReader(plaintext(n)), failing{tt.src})
				var out bytes.Buffer
				_, err := envelope.Seal(&out, src, testKey(1), nil, envelope.Options{SegmentLog2: testLog2, Workers: 3})
				if tt.want == "" {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error = %v, want %q", err, tt.want)
				}
				if _, err := open(out.Bytes(), nil, testKey(1)); err == nil {
					t.Error("what was written opens")
				}
			})
		}
	}
	for limit := range 4 {
		dst := &limitedWriter{left: limit}
		_, err := envelope.Seal(dst, bytes.NewReader(plaintext(9*testSegment)), testKey(1), nil, envelope.Options{SegmentLog2: testLog2, Workers: 3})
		if !errors.Is(err, errFull) {
			t.Errorf("destination that fails at write %d: %v", limit, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

var errFull = errors.New("full")

type limitedWriter struct{ left int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errFull
	}
	w.left--
	return len(p), nil
}

func TestOptionsAndSizes(t *testing.T) {
	for _, log2 := range []uint8{1, 11, 21, 255} {
		if _, err := envelope.Seal(io.Discard, bytes.NewReader(nil), testKey(1), nil, envelope.Options{SegmentLog2: log2}); err == nil {
			t.Errorf("segment size 2^%d accepted", log2)
		}
		if _, err := envelope.NewWriter(io.Discard, testKey(1), nil, envelope.Options{SegmentLog2: log2}); err == nil {
			t.Errorf("NewWriter: segment size 2^%d accepted", log2)
		}
	}
	for _, sealed := range []int64{
		-1, 0, envelope.HeaderSize, envelope.HeaderSize + 27, 1<<63 - 1,
		envelope.HeaderSize + testSegment + 28 + 1, envelope.HeaderSize + testSegment + 28 + 28,
	} {
		if n, err := envelope.PlainSize(sealed, testLog2); !errors.Is(err, envelope.ErrFormat) {
			t.Errorf("PlainSize(%d) = %d, %v, want ErrFormat", sealed, n, err)
		}
	}
	for n := range int64(3 * testSegment) {
		if got, err := envelope.PlainSize(envelope.SealedSize(n, testLog2), testLog2); got != n || err != nil {
			t.Fatalf("PlainSize(SealedSize(%d)) = %d, %v", n, got, err)
		}
	}
}

func TestDataKeyNeverShows(t *testing.T) {
	key := testKey(7)
	text, err := json.Marshal(map[string]any{"value": key, "pointer": &key})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(t.Context(), slog.LevelInfo, "m", slog.Any("key", key), slog.Any("p", &key))
	all := fmt.Sprintf("%v %+v %#v %s %x %d %q %v", key, key, key, key, key, key, key, &key) + string(text) + log.String()
	for _, form := range []string{"%x", "%X", "%d", "%q", "%v"} {
		if raw := fmt.Sprintf(form, key[:4]); strings.Contains(all, strings.Trim(raw, "[]\"")) {
			t.Errorf("the key shows as %s in %s", form, all)
		}
	}
	key.Zero()
	if key != (envelope.DataKey{}) {
		t.Error("Zero left something")
	}
	if _, err := envelope.ParseDataKey(make([]byte, 31)); err == nil {
		t.Error("a key of 31 bytes was accepted")
	}
}

// TestFIPS runs the round trip again in a process whose crypto accepts only what FIPS 140-3 approves.
func TestFIPS(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^(TestSealAndOpen|TestWriter|TestFrozenVectorsOpen)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSealAndOpen") || !strings.Contains(string(out), "--- PASS: TestFrozenVectorsOpen") {
		t.Errorf("under fips140=only: %v\n%s", err, out)
	}
}
