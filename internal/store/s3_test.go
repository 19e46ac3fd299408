package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/s3"
)

func openS3(tb testing.TB) *S3 {
	tb.Helper()
	db, err := Open(tb.Context(), filepath.Join(tb.TempDir(), "test.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	s := db.S3()
	if _, err := s.CreateBucket(tb.Context(), s3.Bucket{Name: "b", Account: "123456789012", Region: "us-east-1"}); err != nil {
		tb.Fatal(err)
	}
	return s
}

// naive lists keys as the text of ListQuery says, with none of the index's cleverness.
func naive(keys []string, q s3.ListQuery) (page []string, more bool) {
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		if !strings.HasPrefix(key, q.Prefix) {
			continue
		}
		entry := key
		if group := commonPrefix(q, key); group != "" {
			entry = group + "*"
			if group == q.After || (len(page) > 0 && page[len(page)-1] == entry) {
				continue
			}
		}
		if key <= q.After {
			continue
		}
		if len(page) == q.Limit {
			return page, true
		}
		page = append(page, entry)
	}
	return page, false
}

// FuzzObjects compares the list with the naive one.
func FuzzObjects(f *testing.F) {
	f.Add("a\na/b\na/c\nb\nb/\nb//c", "", "/", "", 3)
	f.Add("a/1\na/2\na/3\nb/1\nb/2\nc", "", "/", "a/", 1)
	f.Add("ä\näb\n\U0010FFFF\U0010FFFF\n\U0010FFFFx", "\U0010FFFF", "x", "", 2)
	f.Add("x--1\nx--2\nx-\ny", "x", "--", "x--", 5)
	f.Add("a/1\na/2\na/3\na/4\na/5\na/6", "", "/", "a/2", 1)
	s := openS3(f)
	n := 0
	f.Fuzz(func(t *testing.T, lines, prefix, delimiter, after string, limit int) {
		if !utf8.ValidString(lines) || !utf8.ValidString(prefix) || !utf8.ValidString(delimiter) || !utf8.ValidString(after) || len(lines) > 500 {
			return
		}
		n++
		bucket := fmt.Sprint("bucket-", n)
		if _, err := s.CreateBucket(t.Context(), s3.Bucket{Name: bucket}); err != nil {
			t.Fatal(err)
		}
		keys := strings.Split(lines, "\n")
		for i, key := range keys {
			id := fmt.Sprintf("%d-%d", n, i)
			if _, err := s.PutObject(t.Context(), s3.Object{Bucket: bucket, Key: key, ID: id, Sealing: s3.Sealing{Wrapped: []byte{1}}}, s3.Part{Blob: blob.ID(id)}); err != nil {
				t.Fatal(err)
			}
		}
		q := s3.ListQuery{Bucket: bucket, Prefix: prefix, Delimiter: delimiter, After: after, Limit: 1 + (limit&7+7)&7}
		entries, more, err := s.Objects(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			if e.Prefix != "" {
				got = append(got, e.Prefix+"*")
			} else {
				got = append(got, e.Item.Key)
			}
		}
		want, wantMore := naive(keys, q)
		if diff := cmp.Diff(want, got); diff != "" || more != wantMore {
			t.Errorf("Objects(%+v) of %q: more = %v, want %v (-want +got):\n%s", q, keys, more, wantMore, diff)
		}
	})
}

func FuzzSuccessor(f *testing.F) {
	for _, p := range []string{"", "a", "a/", "\U0010FFFF", "a\U0010FFFF", "\uD7FF", "\x7f", "ä"} {
		f.Add(p, "x")
		f.Add(p, "\U0010FFFF\U0010FFFF")
	}
	f.Fuzz(func(t *testing.T, prefix, rest string) {
		next := successor(prefix)
		if next == "" {
			return
		}
		if prefix+rest >= next && utf8.ValidString(rest) {
			t.Errorf("successor(%q) = %q does not sort behind %q", prefix, next, prefix+rest)
		}
		if next <= prefix || strings.HasPrefix(next, prefix) {
			t.Errorf("successor(%q) = %q", prefix, next)
		}
		if utf8.ValidString(prefix) && !utf8.ValidString(next) {
			t.Errorf("successor(%q) = %q is not UTF-8", prefix, next)
		}
	})
}

func TestS3RoundTrip(t *testing.T) {
	s := openS3(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	want := s3.Object{
		Bucket: "b", Key: "k", ID: "id", Size: 7, ETag: "e", Modified: at,
		Sealing:   s3.Sealing{KeyARN: "arn:k", BucketKey: true, Wrapped: []byte{1, 2}},
		Headers:   s3.Headers{ContentType: "t", CacheControl: "c", ContentDisposition: "d", ContentEncoding: "e", ContentLanguage: "l", Expires: &at, Metadata: map[string]string{"a": "b"}},
		Checksums: s3.Checksums{"crc32": "x"}, Composite: true, PartCount: 3,
	}
	part := s3.Part{Number: 1, Blob: "blob", Size: 7, ETag: "e", Checksums: s3.Checksums{"crc32": "x"}, Modified: at}
	if _, err := s.PutObject(t.Context(), want, part); err != nil {
		t.Fatal(err)
	}
	got, parts, err := s.ObjectParts(t.Context(), "b", "k")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("object (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]s3.Part{part}, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	upload := s3.Upload{Bucket: "b", Key: "u", ID: "up", Initiated: at, Sealing: want.Sealing, Headers: want.Headers, Algorithm: "sha1", Composite: true}
	if err := s.CreateUpload(t.Context(), upload); err != nil {
		t.Fatal(err)
	}
	stored, err := s.Upload(t.Context(), "b", "u", "up")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(upload, stored); diff != "" {
		t.Errorf("upload (-want +got):\n%s", diff)
	}
}

func TestS3RefusalsLeaveNothing(t *testing.T) {
	s := openS3(t)
	o := s3.Object{Bucket: "none", Key: "k", ID: "id", Sealing: s3.Sealing{Wrapped: []byte{1}}}
	if _, err := s.PutObject(t.Context(), o, s3.Part{Blob: "x"}); !errors.Is(err, s3.ErrNoBucket) {
		t.Errorf("PutObject: %v", err)
	}
	if _, err := s.PutPart(t.Context(), "none", s3.Part{Blob: "x"}); !errors.Is(err, s3.ErrNoUpload) {
		t.Errorf("PutPart: %v", err)
	}
	if err := s.CreateUpload(t.Context(), s3.Upload{Bucket: "b", Key: "k", ID: "up", Sealing: s3.Sealing{Wrapped: []byte{1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPart(t.Context(), "up", s3.Part{Number: 1, Blob: "one"}); err != nil {
		t.Fatal(err)
	}
	o.Bucket, o.ID = "b", "up"
	if _, err := s.CompleteUpload(t.Context(), o, []s3.Part{{Number: 1, Blob: "replaced"}}); !errors.Is(err, s3.ErrNoPart) {
		t.Errorf("CompleteUpload with a replaced part: %v", err)
	}
	if _, err := s.Upload(t.Context(), "b", "k", "up"); err != nil {
		t.Errorf("the refused completion took the upload: %v", err)
	}
	if used, err := s.HasBlob(t.Context(), "x"); used || err != nil {
		t.Errorf("HasBlob = %v, %v", used, err)
	}
	removed, err := s.AbortUpload(t.Context(), "b", "k", "up")
	if diff := cmp.Diff([]s3.Removed{{Object: "up", Blobs: []blob.ID{"one"}}}, removed); diff != "" || err != nil {
		t.Errorf("AbortUpload: %v (-want +got):\n%s", err, diff)
	}
}
