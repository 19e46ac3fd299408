package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
)

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func sum64(data string) string {
	return base64.StdEncoding.EncodeToString(binary64(crc64.Checksum([]byte(data), crc64.MakeTable(0x9A6C9329AC4BC9B5))))
}

func sum32(data string) string {
	v := crc32.ChecksumIEEE([]byte(data))
	return base64.StdEncoding.EncodeToString([]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func binary64(v uint64) []byte {
	b := make([]byte, 8)
	for i := range b {
		b[i] = byte(v >> (56 - 8*i))
	}
	return b
}

// repeat makes n bytes that do not repeat with the size of a segment.
func repeat(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

func TestPutAndGet(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	for _, n := range []int{0, 1, 65535, 65536, 65537, 300000} {
		data := repeat(n)
		expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
		put, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("a/ü %"), Body: strings.NewReader(data), ContentLength: aws.Int64(int64(n)),
			ContentType: aws.String("application/jsonl"), CacheControl: aws.String("no-store"), ContentEncoding: aws.String("identity"),
			ContentDisposition: aws.String("attachment"), ContentLanguage: aws.String("de"), Expires: &expires,
			Metadata: map[string]string{"purpose": "training"}, ContentMD5: aws.String(b64MD5(data)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if *put.ETag != `"`+hexMD5(data)+`"` || put.ServerSideEncryption != types.ServerSideEncryptionAes256 || aws.ToString(put.ChecksumCRC64NVME) != sum64(data) {
			t.Errorf("PutObject = ETag %s, %s, CRC64NVME %s", *put.ETag, put.ServerSideEncryption, aws.ToString(put.ChecksumCRC64NVME))
		}
		got, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/ü %"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		if err != nil || string(body) != data {
			t.Errorf("%d bytes: got %d, %v", n, len(body), err)
		}
		if err := got.Body.Close(); err != nil {
			t.Error(err)
		}
		head, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/ü %"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		for name, h := range map[string][2]string{
			"content type": {*got.ContentType, *head.ContentType}, "cache": {*got.CacheControl, *head.CacheControl},
			"encoding": {*got.ContentEncoding, *head.ContentEncoding}, "disposition": {*got.ContentDisposition, *head.ContentDisposition},
			"language": {*got.ContentLanguage, *head.ContentLanguage}, "metadata": {got.Metadata["purpose"], head.Metadata["purpose"]},
			"checksum": {*got.ChecksumCRC64NVME, *head.ChecksumCRC64NVME}, "etag": {*got.ETag, *head.ETag},
			"length": {fmt.Sprint(*got.ContentLength), fmt.Sprint(*head.ContentLength)}, "modified": {got.LastModified.String(), head.LastModified.String()},
		} {
			if h[0] != h[1] || h[0] == "" {
				t.Errorf("%s: GET says %q and HEAD %q", name, h[0], h[1])
			}
		}
		if !got.Expires.Equal(expires) || //nolint:staticcheck // the member that the wire format has
			*got.ContentLength != int64(n) || *got.ContentType != "application/jsonl" {
			t.Errorf("GetObject = %d, %s", *got.ContentLength, *got.ContentType)
		}
	}
	if n := f.blobCount(t); n != 1 {
		t.Errorf("%d blobs after six puts of one key, want 1", n)
	}
}

func b64MD5(s string) string {
	sum := md5.Sum([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestWriteTo covers the path by which the HTTP edge sends bodies.
func TestWriteTo(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	data := repeat(500000)
	f.put(t, "k", data)
	out, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: aws.String("bytes=70000-400000")})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if n, err := out.Body.(io.WriterTo).WriteTo(&got); err != nil || n != 330001 || got.String() != data[70000:400001] {
		t.Errorf("WriteTo = %d, %v", n, err)
	}
	if err := out.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestRange(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	data := repeat(100000)
	f.put(t, "k", data)
	f.put(t, "empty", "")
	for _, tt := range []struct{ key, header, want, contentRange, code string }{
		{"k", "bytes=0-9", data[:10], "bytes 0-9/100000", ""},
		{"k", "bytes=65530-65540", data[65530:65541], "bytes 65530-65540/100000", ""},
		{"k", "bytes=99990-", data[99990:], "bytes 99990-99999/100000", ""},
		{"k", "bytes=99990-200000", data[99990:], "bytes 99990-99999/100000", ""},
		{"k", "bytes=-5", data[99995:], "bytes 99995-99999/100000", ""},
		{"k", "bytes=-200000", data, "bytes 0-99999/100000", ""},
		{"k", "bytes=0-99999999999999999999", data, "bytes 0-99999/100000", ""},
		{"k", "bytes=0-1,5-6", data, "", ""},
		{"k", "bytes=9-5", data, "", ""},
		{"k", "bytes=a-b", data, "", ""},
		{"k", "bytes=-", data, "", ""},
		{"k", "lines=1-2", data, "", ""},
		{"k", "bytes=100000-", "", "", "InvalidRange"},
		{"k", "bytes=100000-100001", "", "", "InvalidRange"},
		{"k", "bytes=-0", "", "", "InvalidRange"},
		{"k", "bytes=99999999999999999999-", "", "", "InvalidRange"},
		{"empty", "bytes=0-0", "", "", "InvalidRange"},
		{"empty", "bytes=-1", "", "", "InvalidRange"},
	} {
		out, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(tt.key), Range: aws.String(tt.header)})
		wantCode(t, tt.header, err, tt.code, 416)
		if err != nil {
			continue
		}
		got, err := io.ReadAll(out.Body)
		if err != nil || string(got) != tt.want || aws.ToString(out.ContentRange) != tt.contentRange || *out.ContentLength != int64(len(tt.want)) {
			t.Errorf("%s: %d bytes, Content-Range %q, Content-Length %d, %v", tt.header, len(got), aws.ToString(out.ContentRange), *out.ContentLength, err)
		}
		if err := out.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

// edgeBody stands for the edge's body: it has verified checksums and knows them at its end.
type edgeBody struct {
	io.Reader
	sums map[string]string
	end  error
}

func (b *edgeBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) && b.end != nil {
		err = b.end
	}
	return n, err
}

func (b *edgeBody) Checksums() map[string]string { return b.sums }

func TestChecksums(t *testing.T) {
	const data = "some training data"
	sha := sha256.Sum256([]byte(data))
	sha64 := base64.StdEncoding.EncodeToString(sha[:])
	tests := map[string]struct {
		in     awss3.PutObjectInput
		want   map[string]string
		code   string
		status int
	}{
		"none, CRC64NVME is computed":      {awss3.PutObjectInput{Body: strings.NewReader(data)}, map[string]string{"crc64": sum64(data)}, "", 0},
		"verified by the edge":             {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), map[string]string{"crc32": sum32(data)}, nil}, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}, map[string]string{"crc32": sum32(data)}, "", 0},
		"a trailer that was not announced": {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), map[string]string{"sha256": sha64}, nil}}, map[string]string{"sha256": sha64}, "", 0},
		"an edge body without any":         {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), nil, nil}}, map[string]string{"crc64": sum64(data)}, "", 0},
		"announced and not sent":           {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), nil, nil}, ChecksumAlgorithm: types.ChecksumAlgorithmSha1}, nil, "InvalidRequest", 400},
		"member, checked here":             {awss3.PutObjectInput{Body: strings.NewReader(data), ChecksumSHA256: &sha64}, map[string]string{"sha256": sha64}, "", 0},
		"member, wrong":                    {awss3.PutObjectInput{Body: strings.NewReader(data + "!"), ChecksumSHA256: &sha64}, nil, "BadDigest", 400},
		"Content-MD5, wrong":               {awss3.PutObjectInput{Body: strings.NewReader(data), ContentMD5: aws.String(b64MD5("other"))}, nil, "BadDigest", 400},
		"Content-MD5, malformed":           {awss3.PutObjectInput{Body: strings.NewReader(data), ContentMD5: aws.String("abc")}, nil, "InvalidDigest", 400},
		"Content-Length too large":         {awss3.PutObjectInput{Body: strings.NewReader(data), ContentLength: aws.Int64(100)}, nil, "IncompleteBody", 400},
		"Content-Length too small":         {awss3.PutObjectInput{Body: strings.NewReader(data), ContentLength: aws.Int64(3)}, nil, "IncompleteBody", 400},
		"Content-Length beyond 5 GiB":      {awss3.PutObjectInput{Body: strings.NewReader(data), ContentLength: aws.Int64(5<<30 + 1)}, nil, "EntityTooLarge", 400},
		"a body that breaks off":           {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), nil, io.ErrUnexpectedEOF}}, nil, "IncompleteBody", 400},
		"a body with a wrong signature":    {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), nil, cloister.Errorf("XAmzContentSHA256Mismatch", "no").WithStatus(400)}}, nil, "XAmzContentSHA256Mismatch", 400},
		"a request that is over":           {awss3.PutObjectInput{Body: &edgeBody{strings.NewReader(data), nil, context.Canceled}}, nil, "RequestTimeout", 400},
		"an algorithm that is not served":  {awss3.PutObjectInput{Body: strings.NewReader(data), ChecksumAlgorithm: "XXHASH3"}, nil, "NotImplemented", 501},
		"a checksum that is not served":    {awss3.PutObjectInput{Body: strings.NewReader(data), ChecksumSHA512: aws.String("x")}, nil, "NotImplemented", 501},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.createBucket(t)
			tt.in.Bucket, tt.in.Key = aws.String(bucket), aws.String("k")
			put, err := f.PutObject(asRoot(t), &tt.in)
			wantCode(t, name, err, tt.code, tt.status)
			if tt.code != "" {
				if n := f.blobCount(t); n != 0 {
					t.Errorf("%d blobs are left", n)
				}
				if files, err := os.ReadDir(filepath.Join(f.dir, "blobs", "tmp")); err != nil || len(files) > 0 {
					t.Errorf("temporaries are left: %v, %v", files, err)
				}
				return
			}
			if err != nil {
				return
			}
			head, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []map[string]string{
				sums(put.ChecksumCRC32, put.ChecksumCRC64NVME, put.ChecksumSHA256), sums(head.ChecksumCRC32, head.ChecksumCRC64NVME, head.ChecksumSHA256),
			} {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("checksums (-want +got):\n%s", diff)
				}
			}
			if head.ChecksumType != types.ChecksumTypeFullObject {
				t.Errorf("type %q", head.ChecksumType)
			}
			plain, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
			if err != nil || plain.ChecksumCRC64NVME != nil || plain.ChecksumType != "" {
				t.Errorf("checksums are shown without being asked for: %v", err)
			}
		})
	}
}

func sums(crc32, crc64, sha256 *string) map[string]string {
	m := map[string]string{}
	for name, v := range map[string]*string{"crc32": crc32, "crc64": crc64, "sha256": sha256} {
		if v != nil {
			m[name] = *v
		}
	}
	return m
}

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "k", "data")
	now := time.Now()
	for name, in := range map[string]awss3.PutObjectInput{
		"acl": {ACL: types.ObjectCannedACLPublicRead}, "grant": {GrantRead: aws.String("id=1")}, "if-match": {IfMatch: aws.String("x")},
		"if-none-match": {IfNoneMatch: aws.String("*")}, "lock": {ObjectLockMode: types.ObjectLockModeCompliance}, "sse-c": {SSECustomerAlgorithm: aws.String("AES256")},
		"class": {StorageClass: types.StorageClassGlacier}, "tags": {Tagging: aws.String("a=b")}, "redirect": {WebsiteRedirectLocation: aws.String("/x")},
		"dsse": {ServerSideEncryption: types.ServerSideEncryptionAwsKmsDsse}, "append": {WriteOffsetBytes: aws.Int64(1)},
		"context": {SSEKMSEncryptionContext: aws.String("e30="), ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String(keyID)},
	} {
		in.Bucket, in.Key, in.Body = aws.String(bucket), aws.String("refused"), strings.NewReader("x")
		_, err := f.PutObject(asRoot(t), &in)
		wantCode(t, name, err, "NotImplemented", 501)
	}
	for name, in := range map[string]awss3.GetObjectInput{
		"if-none-match": {IfNoneMatch: aws.String("x")}, "if-modified-since": {IfModifiedSince: &now}, "if-unmodified-since": {IfUnmodifiedSince: &now},
		"version": {VersionId: aws.String("v")}, "sse-c": {SSECustomerKey: aws.String("x")},
	} {
		in.Bucket, in.Key = aws.String(bucket), aws.String("k")
		_, err := f.GetObject(asRoot(t), &in)
		wantCode(t, name, err, "NotImplemented", 501)
	}
	for name, tt := range map[string]struct {
		in   awss3.PutObjectInput
		code string
	}{
		"empty key":     {awss3.PutObjectInput{Key: aws.String("")}, "InvalidArgument"},
		"long key":      {awss3.PutObjectInput{Key: aws.String(strings.Repeat("x", 1025))}, "KeyTooLongError"},
		"bad UTF-8":     {awss3.PutObjectInput{Key: aws.String("\xff")}, "InvalidURI"},
		"much metadata": {awss3.PutObjectInput{Metadata: map[string]string{"a": strings.Repeat("x", 2048)}}, "MetadataTooLarge"},
		"key id alone":  {awss3.PutObjectInput{SSEKMSKeyId: aws.String(keyID)}, "InvalidArgument"},
		"no key id":     {awss3.PutObjectInput{ServerSideEncryption: types.ServerSideEncryptionAwsKms}, "InvalidArgument"},
		"other sse":     {awss3.PutObjectInput{ServerSideEncryption: "rot13"}, "InvalidArgument"},
	} {
		tt.in.Bucket, tt.in.Body = aws.String(bucket), strings.NewReader("x")
		if tt.in.Key == nil {
			tt.in.Key = aws.String("refused")
		}
		_, err := f.PutObject(asRoot(t), &tt.in)
		wantCode(t, name, err, tt.code, 400)
	}
	_, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("refused"), Body: strings.NewReader("x"), ExpectedBucketOwner: aws.String("999999999999")})
	wantCode(t, "other owner", err, "AccessDenied", 403)
	_, err = f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("k"), Body: strings.NewReader("x")})
	wantCode(t, "no bucket", err, "NoSuchBucket", 404)
	if n := f.blobCount(t); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
}

func TestMissingObjects(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	_, err := f.get(t, "none")
	wantCode(t, "GetObject", err, "NoSuchKey", 404)
	_, err = f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	wantCode(t, "HeadObject", err, "NotFound", 404)
	_, err = f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("none")})
	wantCode(t, "HeadObject without a bucket", err, "NotFound", 404)
	_, err = f.DeleteObject(asRoot(t), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	wantCode(t, "DeleteObject", err, "", 0)
	f.gate.denied["s3:ListBucket"] = true
	_, err = f.get(t, "none")
	wantCode(t, "GetObject without s3:ListBucket", err, "AccessDenied", 403)
}

func TestIfMatchNoticesAChange(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	etag := f.put(t, "k", "one").ETag
	in := &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfMatch: etag, Range: aws.String("bytes=0-0")}
	out, err := f.GetObject(asRoot(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Body.Close(); err != nil {
		t.Error(err)
	}
	f.put(t, "k", "two")
	_, err = f.GetObject(asRoot(t), in)
	wantCode(t, "GetObject after a change", err, "PreconditionFailed", 412)
	_, err = f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfMatch: etag})
	wantCode(t, "HeadObject after a change", err, "PreconditionFailed", 412)
}

func TestOpenBodySurvivesOverwriteAndDelete(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	first, second := repeat(300000), repeat(200000)
	f.put(t, "k", first)
	open := func() io.ReadCloser {
		out, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		return out.Body
	}
	a := open()
	f.put(t, "k", second)
	b := open()
	if _, err := f.DeleteObject(asRoot(t), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if n := f.blobCount(t); n != 2 {
		t.Errorf("%d blobs while two bodies are open, want 2", n)
	}
	for body, want := range map[io.ReadCloser]string{a: first, b: second} {
		if got, err := io.ReadAll(body); err != nil || string(got) != want {
			t.Errorf("an open body gave %d bytes of %d, %v", len(got), len(want), err)
		}
		if err := errors.Join(body.Close(), body.Close()); err != nil {
			t.Error(err)
		}
	}
	if n := f.blobCount(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestDeleteObjects(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	for i := range 3 {
		f.put(t, fmt.Sprint("k", i), "x")
	}
	ids := []types.ObjectIdentifier{{Key: aws.String("k0")}, {Key: aws.String("missing")}, {Key: aws.String("k1"), VersionId: aws.String("v")}}
	out, err := f.DeleteObjects(asRoot(t), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: ids}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Deleted) != 2 || len(out.Errors) != 1 || *out.Errors[0].Code != "NotImplemented" || *out.Errors[0].Key != "k1" {
		t.Errorf("DeleteObjects = %v, %v", out.Deleted, out.Errors)
	}
	out, err = f.DeleteObjects(asRoot(t), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Quiet: aws.Bool(true), Objects: ids[:1]}})
	if err != nil || len(out.Deleted) != 0 {
		t.Errorf("quiet: %v, %v", out, err)
	}
	_, err = f.DeleteObjects(asRoot(t), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{}})
	wantCode(t, "nothing to delete", err, "MalformedXML", 400)
	_, err = f.DeleteObjects(asRoot(t), &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: make([]types.ObjectIdentifier, 1001)}})
	wantCode(t, "too many", err, "MalformedXML", 400)
	if n := f.blobCount(t); n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	data := repeat(200000)
	for _, at := range []int{0, 60, 100, 65536 + 72 + 28, 150000} {
		f := newFixture(t)
		f.createBucket(t)
		f.put(t, "k", data)
		flip(t, f, at)
		got, err := f.get(t, "k")
		if err == nil {
			t.Fatalf("byte %d flipped and not noticed", at)
		}
		if !strings.HasPrefix(data, got) {
			t.Errorf("byte %d: wrong bytes were handed out", at)
		}
		wantCode(t, fmt.Sprint("byte ", at), err, "InternalError", 500)
	}
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "empty", "")
	flip(t, f, 99)
	_, err := f.get(t, "empty")
	wantCode(t, "empty object", err, "InternalError", 500)
}

// flip changes a bit of the only blob.
func flip(t *testing.T, f *fixture, at int) {
	t.Helper()
	for id, err := range f.blobs.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(f.dir, "blobs", string(id[:2]), string(id))
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[at] ^= 1
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoPlaintextOnDisk looks for a marker in every file of the data directory, database included.
func TestNoPlaintextOnDisk(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	const marker = "MARKER-of-training-data"
	f.put(t, "a", strings.Repeat(marker, 10000))
	f.put(t, "b", marker)
	err := filepath.WalkDir(f.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(raw, []byte(marker)) {
			t.Errorf("%s has the marker", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(f.log.String(), marker) {
		t.Error("the log has the marker")
	}
}

// TestObjectsCannotBeExchanged swaps the rows' blobs of two objects of the same bucket.
func TestObjectsCannotBeExchanged(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "a", "aaaa")
	f.put(t, "b", "bbbb")
	var paths []string
	for id, err := range f.blobs.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(f.dir, "blobs", string(id[:2]), string(id)))
	}
	tmp := filepath.Join(f.dir, "x")
	for _, move := range [][2]string{{paths[0], tmp}, {paths[1], paths[0]}, {tmp, paths[1]}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "b"} {
		_, err := f.get(t, key)
		wantCode(t, key, err, "InternalError", 500)
	}
}
