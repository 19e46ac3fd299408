package sigv4

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/cloister"
)

func sumOf(name, data string) string {
	h := newHash(name)
	h.Write([]byte(data))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// TestCheckValues compares every algorithm with its published check value, the digest of "123456789".
func TestCheckValues(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888",
		"sha1":   "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := newHash(name)
		h.Write([]byte("123456789"))
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const data = "hello, world"
	chunks := func(sizes, trailer string) string {
		return sizes + "0\r\n" + trailer + "\r\n"
	}
	whole := "c\r\n" + data + "\r\n"
	trailer := func(name, value string) string { return "x-amz-checksum-" + name + ":" + value + "\r\n" }
	type test struct {
		headers map[string]string
		body    string
		code    string            // of the error, from Verify or while reading
		sums    map[string]string // if there is none
	}
	streaming := func(h ...string) map[string]string {
		m := map[string]string{"X-Amz-Content-Sha256": unsignedTrailer, "X-Amz-Decoded-Content-Length": "12", "Content-Encoding": "aws-chunked"}
		for i := 0; i < len(h); i += 2 {
			m[h[i]] = h[i+1]
		}
		return m
	}
	tests := map[string]test{
		"hash":                   {nil, data, "", map[string]string{}},
		"wrong hash":             {map[string]string{"X-Amz-Content-Sha256": strings.Repeat("0", 64)}, data, "XAmzContentSHA256Mismatch", nil},
		"unsigned":               {map[string]string{"X-Amz-Content-Sha256": unsignedPayload}, data, "", map[string]string{}},
		"nonsense hash":          {map[string]string{"X-Amz-Content-Sha256": "x"}, data, "InvalidArgument", nil},
		"signed chunks":          {map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, data, "NotImplemented", nil},
		"signed chunks, trailer": {map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}, data, "NotImplemented", nil},
		"md5":                    {map[string]string{"Content-Md5": "5NfxtO0uQtFYmPSyewGdpA=="}, data, "", map[string]string{}},
		"wrong md5":              {map[string]string{"Content-Md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, data, "BadDigest", nil},
		"invalid md5":            {map[string]string{"Content-Md5": "AAAA"}, data, "InvalidDigest", nil},
		"unsupported checksum":   {map[string]string{"X-Amz-Checksum-Xxhash64": "AAAA"}, data, "InvalidRequest", nil},
		"invalid checksum":       {map[string]string{"X-Amz-Checksum-Crc32": "AAAA"}, data, "InvalidRequest", nil},
		"two checksums":          {map[string]string{"X-Amz-Checksum-Crc32": sumOf("crc32", data), "X-Amz-Checksum-Sha1": sumOf("sha1", data)}, data, "InvalidRequest", nil},
		"chunked, no trailer":    {streaming(), chunks(whole, ""), "", map[string]string{}},
		"two chunks":             {streaming(), chunks("5\r\nhello\r\n7\r\n, world\r\n", ""), "", map[string]string{}},
		"too few bytes":          {streaming(), chunks("5\r\nhello\r\n", ""), "IncompleteBody", nil},
		"too many bytes":         {streaming(), chunks("d\r\nhello, world!\r\n", ""), "IncompleteBody", nil},
		"cut in a chunk":         {streaming(), "c\r\nhello", "IncompleteBody", nil},
		"cut before the end":     {streaming(), whole, "IncompleteBody", nil},
		"cut in the trailer":     {streaming("X-Amz-Trailer", "x-amz-checksum-crc32"), whole + "0\r\nx-amz-che", "IncompleteBody", nil},
		"bad size":               {streaming(), "zz\r\n" + data, "InvalidRequest", nil},
		"huge size":              {streaming(), "ffffffffffffffffff\r\n" + data, "InvalidRequest", nil},
		"no CR":                  {streaming(), "c\n" + data + "\n0\n\n", "InvalidRequest", nil},
		"data after the end":     {streaming(), chunks(whole, "") + "x", "InvalidRequest", nil},
		"trailer not announced":  {streaming(), chunks(whole, trailer("crc32", sumOf("crc32", data))), "MalformedTrailerError", nil},
		"trailer missing":        {streaming("X-Amz-Trailer", "x-amz-checksum-crc32"), chunks(whole, ""), "MalformedTrailerError", nil},
		"other trailer":          {streaming("X-Amz-Trailer", "x-amz-checksum-crc32"), chunks(whole, trailer("sha1", sumOf("sha1", data))), "MalformedTrailerError", nil},
		"wrong trailer":          {streaming("X-Amz-Trailer", "x-amz-checksum-crc32"), chunks(whole, trailer("crc32", "AAAAAA==")), "BadDigest", nil},
		"unknown trailer":        {streaming("X-Amz-Trailer", "x-amz-meta-x"), chunks(whole, ""), "InvalidRequest", nil},
		"no decoded length":      {map[string]string{"X-Amz-Content-Sha256": unsignedTrailer}, chunks(whole, ""), "MissingContentLength", nil},
	}
	for _, name := range []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
		sum := sumOf(name, data)
		tests[name+" header"] = test{map[string]string{"X-Amz-Checksum-" + name: sum}, data, "", map[string]string{name: sum}}
		tests[name+" wrong header"] = test{map[string]string{"X-Amz-Checksum-" + name: sumOf(name, "x")}, data, "BadDigest", nil}
		tests[name+" trailer"] = test{streaming("X-Amz-Trailer", "x-amz-checksum-"+name), chunks(whole, trailer(name, sum)), "", map[string]string{name: sum}}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, "s3", http.MethodPut, "/bucket/key", tt.body, tt.headers)
			err := verify(r)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(iotest.OneByteReader(r.Body))
			}
			if p, ok := errors.AsType[*SignatureError](err); ok {
				err = p.For(DialectS3)
			}
			if code := cloister.Code(err); code != tt.code || (tt.code == "" && err != nil) {
				t.Fatalf("error = %v, want code %q", err, tt.code)
			}
			body, _ := r.Body.(interface{ Checksums() map[string]string })
			if tt.code != "" {
				if body != nil && body.Checksums() != nil {
					t.Errorf("Checksums of a bad body = %v", body.Checksums())
				}
				return
			}
			if string(got) != data || r.ContentLength != int64(len(data)) || r.Header.Get("Content-Encoding") != "" {
				t.Errorf("body = %q, length %d, encoding %q", got, r.ContentLength, r.Header.Get("Content-Encoding"))
			}
			if sums := body.Checksums(); fmt.Sprint(sums) != fmt.Sprint(tt.sums) {
				t.Errorf("Checksums = %v, want %v", sums, tt.sums)
			}
		})
	}
}

// TestShortBody wants an error, never EOF, for a body that ends before its announced length.
func TestShortBody(t *testing.T) {
	t.Parallel()
	r := signed(t, "s3", http.MethodPut, "/bucket/key", "data", map[string]string{"X-Amz-Content-Sha256": unsignedPayload})
	r.ContentLength = 5
	delete(r.Header, "Content-Length")
	b, err := newBody(r, unsignedPayload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(b); cloister.Code(err) != "IncompleteBody" {
		t.Errorf("reading a short body = %v, want IncompleteBody", err)
	}
	if _, err := b.Read(make([]byte, 1)); cloister.Code(err) != "IncompleteBody" {
		t.Errorf("reading on = %v, want the same error", err)
	}
}

func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n"), int64(3))
	f.Add([]byte("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"), int64(3))
	f.Add([]byte("ffffffffffffffff\r\n"), int64(1))
	f.Fuzz(func(t *testing.T, encoded []byte, n int64) {
		if n < 0 {
			return
		}
		d, err := newChecksum("crc32")
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(newChunked(bytes.NewReader(encoded), n, d))
		if err == nil && int64(len(data)) != n {
			t.Fatalf("a clean end after %d bytes, announced %d", len(data), n)
		}
		if int64(len(data)) > n {
			t.Fatalf("%d bytes, announced %d", len(data), n)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := signed(b, "kms", http.MethodPost, "/", "{}", nil)
	s, err := ParseScope(r)
	if err != nil {
		b.Fatal(err)
	}
	v := NewVerifier(clock, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		r.Body = newBytes("{}")
		if err := v.Verify(r, s, Key{Secret: testSecret}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBody decodes and verifies what the SDKs send over TLS: chunks of 64 KiB with a CRC32 trailer.
func BenchmarkBody(b *testing.B) {
	const size = 16 << 20
	data := strings.Repeat("x", 64<<10)
	var encoded strings.Builder
	h := newHash("crc32")
	for range size / len(data) {
		encoded.WriteString("10000\r\n" + data + "\r\n")
		_, _ = h.Write([]byte(data))
	}
	encoded.WriteString("0\r\nx-amz-checksum-crc32:" + base64.StdEncoding.EncodeToString(h.Sum(nil)) + "\r\n\r\n")
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, "/", strings.NewReader(encoded.String()))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(size))
		body, err := newBody(r, unsignedTrailer)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, body); err != nil || n != size {
			b.Fatalf("read %d bytes, %v", n, err)
		}
	}
}
