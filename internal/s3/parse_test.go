package s3

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"example.com/cloister"
)

func FuzzParseRange(f *testing.F) {
	for _, header := range []string{"", "bytes=0-9", "bytes=-5", "bytes=5-", "bytes=1-2,4-5", "bytes=9-5", "bytes= 1-2", "bytes=18446744073709551616-", "bytes=--1", "lines=1-2"} {
		f.Add(header, int64(10))
		f.Add(header, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		size &= 1<<48 - 1
		v, err := parseRange(header, size)
		if err != nil {
			if cloister.Code(err) != "InvalidRange" {
				t.Errorf("parseRange(%q, %d): %v", header, size, err)
			}
			return
		}
		if v.off < 0 || v.n < 0 || v.off+v.n > size || (v.partial && v.n == 0) || (!v.partial && (v.off != 0 || v.n != size)) {
			t.Errorf("parseRange(%q, %d) = %+v", header, size, v)
		}
	})
}

func FuzzDecodeToken(f *testing.F) {
	for _, last := range []string{"", "a/b", "ä\x00", strings.Repeat("x", maxKey)} {
		f.Add(*encodeToken(last))
	}
	f.Add("2YWI")
	f.Fuzz(func(t *testing.T, token string) {
		last, err := decodeToken(&token)
		if err != nil {
			return
		}
		again, err := decodeToken(encodeToken(last))
		if err != nil || again != last {
			t.Errorf("decodeToken(%q) = %q, which encodes to %q, %v", token, last, again, err)
		}
	})
}

func FuzzBucketName(f *testing.F) {
	for _, name := range []string{"abc", "a.b-c", "192.168.0.1", "xn--a", "a..b", "", "ABC"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if badBucketName(name) != "" {
			return
		}
		// What is accepted fits an ARN, a path and a host name as it is.
		arn, err := cloister.ParseARN(objectARN(name, "key"))
		if err != nil || arn.Resource != name+"/key" || strings.ContainsAny(name, "/_:%?# \x00") || strings.ToLower(name) != name {
			t.Errorf("accepted bucket name %q: %v", name, err)
		}
	})
}

func FuzzEncoded(f *testing.F) {
	for _, key := range []string{"a b+c%/ü", "\x00\xff", ""} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got := *encoded(types.EncodingTypeUrl, &key)
		if back, err := unescape(got); err != nil || back != key {
			t.Errorf("encoded(%q) = %q, which decodes to %q, %v", key, got, back, err)
		}
	})
}

// unescape decodes percent-encoding and nothing else.
func unescape(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		if s[0] != '%' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if len(s) < 3 {
			return "", io.ErrUnexpectedEOF
		}
		hi, lo := strings.IndexByte("0123456789ABCDEF", s[1]), strings.IndexByte("0123456789ABCDEF", s[2])
		if hi < 0 || lo < 0 {
			return "", io.ErrUnexpectedEOF
		}
		b.WriteByte(byte(hi<<4 | lo))
		s = s[3:]
	}
	return b.String(), nil
}

// TestCombine compares combined CRCs with those of the whole, for lengths around powers of two.
func TestCombine(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	for _, algorithm := range []string{crc32Sum, crc32cSum, crc64nvmeSum} {
		for _, lengths := range [][]int{{0, 0}, {0, 5}, {5, 0}, {1, 1}, {7, 8, 9}, {255, 256, 257}, {4095, 65536, 1, 100000}} {
			whole := newHash(algorithm)
			var parts []Part
			for _, n := range lengths {
				data := make([]byte, n)
				_, _ = rng.Read(data)
				whole.Write(data)
				own := newHash(algorithm)
				own.Write(data)
				parts = append(parts, Part{Size: int64(n), Checksums: Checksums{algorithm: base64.StdEncoding.EncodeToString(own.Sum(nil))}})
			}
			want := base64.StdEncoding.EncodeToString(whole.Sum(nil))
			if got := partsChecksum(algorithm, false, parts)[algorithm]; got != want {
				t.Errorf("%s of %v = %s, want %s", algorithm, lengths, got, want)
			}
		}
	}
	if got := partsChecksum(crc32Sum, false, []Part{{Checksums: Checksums{}}}); got != nil {
		t.Errorf("the checksum of a part without one = %v", got)
	}
}

// TestCRC64NVMECheckValue pins the algorithm by the check value of the catalogue of CRCs.
func TestCRC64NVMECheckValue(t *testing.T) {
	h := newHash(crc64nvmeSum)
	h.Write([]byte("123456789"))
	if got := bigEndian(h.Sum(nil)); got != 0xae8b14860a799888 {
		t.Errorf("CRC-64/NVME of the check input = %x", got)
	}
}

func TestBodyBeyondFiveGiB(t *testing.T) {
	d := upload{body: bytes.NewReader(make([]byte, 10))}.digester(false)
	d.n = maxPart - 5
	_, err := io.ReadAll(d)
	if cloister.Code(err) != "EntityTooLarge" {
		t.Errorf("reading beyond 5 GiB: %v", err)
	}
}

func TestETagConditions(t *testing.T) {
	for condition, want := range map[string]bool{
		`"abc"`: true, "abc": true, "*": true, `"x", "abc"`: true, `"x"`: false, "": false, `"ab"`: false,
	} {
		if got := etagMatches(condition, "abc"); got != want {
			t.Errorf("etagMatches(%q) = %v, want %v", condition, got, want)
		}
	}
}

// TestKeyCacheIsBounded fills the cache and lets time pass.
func TestKeyCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	c := newKeyCache(func() time.Time { return now })
	for i := range 2 * bucketKeyCache {
		c.put(strings.Repeat("s", i+1), bucketKey{})
	}
	if len(c.held) != bucketKeyCache {
		t.Errorf("%d keys are held, want %d", len(c.held), bucketKeyCache)
	}
	now = now.Add(bucketKeyLifetime)
	if _, ok := c.get("s"); ok || len(c.held) != 0 {
		t.Errorf("after their time, %d keys are held", len(c.held))
	}
}
