package s3_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

const mebi = 1 << 20

func (f *fixture) createUpload(tb testing.TB, in awss3.CreateMultipartUploadInput) *string {
	tb.Helper()
	in.Bucket = aws.String(bucket)
	if in.Key == nil {
		in.Key = aws.String("multi")
	}
	out, err := f.CreateMultipartUpload(asRoot(tb), &in)
	if err != nil {
		tb.Fatal(err)
	}
	return out.UploadId
}

func (f *fixture) uploadPart(tb testing.TB, upload *string, number int32, data string) *awss3.UploadPartOutput {
	tb.Helper()
	out, err := f.UploadPart(asRoot(tb), &awss3.UploadPartInput{
		Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: upload, PartNumber: aws.Int32(number), Body: strings.NewReader(data),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func (f *fixture) complete(tb testing.TB, upload *string, parts ...types.CompletedPart) (*awss3.CompleteMultipartUploadOutput, error) {
	tb.Helper()
	return f.CompleteMultipartUpload(asRoot(tb), &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
}

func completedPart(number int32, out *awss3.UploadPartOutput) types.CompletedPart {
	return types.CompletedPart{PartNumber: aws.Int32(number), ETag: out.ETag}
}

func TestMultipart(t *testing.T) {
	for _, encrypted := range []string{"SSE-S3", "SSE-KMS", "SSE-KMS with a bucket key"} {
		t.Run(encrypted, func(t *testing.T) {
			f := newFixture(t)
			f.createBucket(t)
			if encrypted != "SSE-S3" {
				f.encryptBucket(t, strings.Contains(encrypted, "bucket key"))
			}
			f.put(t, "multi", "what the key had before")
			data := []string{repeat(5*mebi + 1), repeat(6 * mebi), "the end"}
			up := f.createUpload(t, awss3.CreateMultipartUploadInput{ContentType: aws.String("text/x"), Metadata: map[string]string{"a": "b"}})
			f.uploadPart(t, up, 7, data[0]) // is replaced
			f.uploadPart(t, up, 20, "not named at completion")
			var parts []types.CompletedPart
			hash := md5.New()
			for i, number := range []int32{2, 7, 10000} {
				out := f.uploadPart(t, up, number, data[i])
				parts = append(parts, completedPart(number, out))
				sum := md5.Sum([]byte(data[i]))
				hash.Write(sum[:])
				if encrypted == "SSE-S3" && *out.ETag != `"`+hex.EncodeToString(sum[:])+`"` {
					t.Errorf("part's ETag = %s", *out.ETag)
				}
			}
			done, err := f.complete(t, up, parts...)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted == "SSE-S3" && *done.ETag != `"`+hex.EncodeToString(hash.Sum(nil))+`-3"` || !strings.HasSuffix(*done.ETag, `-3"`) {
				t.Errorf("ETag = %s", *done.ETag)
			}
			whole := strings.Join(data, "")
			if aws.ToString(done.ChecksumCRC64NVME) != sum64(whole) || done.ChecksumType != types.ChecksumTypeFullObject {
				t.Errorf("CRC64NVME = %v, %s", done.ChecksumCRC64NVME, done.ChecksumType)
			}
			if got, err := f.get(t, "multi"); err != nil || got != whole {
				t.Errorf("get: %d bytes of %d, %v", len(got), len(whole), err)
			}
			if n := f.blobCount(t); n != 3 {
				t.Errorf("%d blobs, want the 3 parts", n)
			}
			again, err := f.complete(t, up, parts...)
			if err != nil || *again.ETag != *done.ETag {
				t.Errorf("completing again: %v, %v", again, err)
			}
			for _, r := range [][2]int{{0, 0}, {5*mebi - 5, 5*mebi + 5}, {5 * mebi, 5*mebi + 1}, {11 * mebi, len(whole) - 1}, {100, len(whole) - 2}} {
				out, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("multi"), Range: aws.String(fmt.Sprintf("bytes=%d-%d", r[0], r[1]))})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(struct{ io.Reader }{out.Body})
				if err != nil || string(got) != whole[r[0]:r[1]+1] {
					t.Errorf("range %v: %d bytes, %v", r, len(got), err)
				}
				if err := out.Body.Close(); err != nil {
					t.Error(err)
				}
			}
			head, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("multi"), PartNumber: aws.Int32(2)})
			if err != nil || *head.ContentLength != 6*mebi || *head.PartsCount != 3 || *head.ContentType != "text/x" || head.Metadata["a"] != "b" {
				t.Errorf("HeadObject of part 2: %v", err)
			}
			_, err = f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("multi"), PartNumber: aws.Int32(4)})
			wantCode(t, "part 4 of 3", err, "InvalidPartNumber", 416)
			if _, err := f.DeleteObject(asRoot(t), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("multi")}); err != nil {
				t.Fatal(err)
			}
			if n := f.blobCount(t); n != 0 {
				t.Errorf("%d blobs are left", n)
			}
		})
	}
}

func TestMultipartChecksums(t *testing.T) {
	data := []string{repeat(5 * mebi), "tail"}
	whole := data[0] + data[1]
	raw32 := func(s string) []byte {
		v := crc32.ChecksumIEEE([]byte(s))
		return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	raw32c := func(s string) []byte {
		v := crc32.Checksum([]byte(s), castagnoli)
		return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
	}
	b64 := base64.StdEncoding.EncodeToString
	sha := sha256.New()
	for _, d := range data {
		sum := sha256.Sum256([]byte(d))
		sha.Write(sum[:])
	}
	for name, tt := range map[string]struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
		want      string
		wantKind  types.ChecksumType
		code      string
	}{
		"CRC32":                {"CRC32", "", b64(raw32(string(raw32(data[0]))+string(raw32(data[1])))) + "-2", "COMPOSITE", ""},
		"CRC32 full":           {"CRC32", "FULL_OBJECT", b64(raw32(whole)), "FULL_OBJECT", ""},
		"CRC32C full":          {"CRC32C", "FULL_OBJECT", b64(raw32c(whole)), "FULL_OBJECT", ""},
		"CRC64NVME":            {"CRC64NVME", "", sum64(whole), "FULL_OBJECT", ""},
		"SHA256":               {"SHA256", "", b64(sha.Sum(nil)) + "-2", "COMPOSITE", ""},
		"SHA256 full":          {"SHA256", "FULL_OBJECT", "", "", "InvalidRequest"},
		"CRC64NVME composite":  {"CRC64NVME", "COMPOSITE", "", "", "InvalidRequest"},
		"type and nothing":     {"", "COMPOSITE", "", "", "InvalidRequest"},
		"type that is no type": {"CRC32", "HALF_OBJECT", "", "", "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.createBucket(t)
			in := &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("multi"), ChecksumAlgorithm: tt.algorithm, ChecksumType: tt.kind}
			created, err := f.CreateMultipartUpload(asRoot(t), in)
			wantCode(t, "CreateMultipartUpload", err, tt.code, 400)
			if tt.code != "" {
				return
			}
			a, b := f.uploadPart(t, created.UploadId, 1, data[0]), f.uploadPart(t, created.UploadId, 2, data[1])
			done, err := f.complete(t, created.UploadId, completedPart(1, a), completedPart(2, b))
			if err != nil {
				t.Fatal(err)
			}
			got := aws.ToString(done.ChecksumCRC32) + aws.ToString(done.ChecksumCRC32C) + aws.ToString(done.ChecksumCRC64NVME) + aws.ToString(done.ChecksumSHA256)
			if got != tt.want || done.ChecksumType != tt.wantKind {
				t.Errorf("checksum = %s %s, want %s %s", got, done.ChecksumType, tt.want, tt.wantKind)
			}
			head, err := f.HeadObject(asRoot(t), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("multi"), ChecksumMode: types.ChecksumModeEnabled})
			if err != nil || head.ChecksumType != tt.wantKind {
				t.Errorf("HeadObject: %v, %v", head, err)
			}
		})
	}
}

func TestMultipartRefusals(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	up := f.createUpload(t, awss3.CreateMultipartUploadInput{ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
	a := f.uploadPart(t, up, 1, repeat(5*mebi))
	small := f.uploadPart(t, up, 2, "small")
	last := f.uploadPart(t, up, 3, "last")
	wrong := types.CompletedPart{PartNumber: aws.Int32(1), ETag: aws.String(`"0"`)}
	badSum := completedPart(1, a)
	badSum.ChecksumCRC32 = aws.String("AAAAAA==")
	for name, tt := range map[string]struct {
		parts []types.CompletedPart
		code  string
	}{
		"none":            {nil, "MalformedXML"},
		"wrong order":     {[]types.CompletedPart{completedPart(3, last), completedPart(1, a)}, "InvalidPartOrder"},
		"twice":           {[]types.CompletedPart{completedPart(1, a), completedPart(1, a)}, "InvalidPartOrder"},
		"missing":         {[]types.CompletedPart{completedPart(1, a), completedPart(4, last)}, "InvalidPart"},
		"wrong ETag":      {[]types.CompletedPart{wrong}, "InvalidPart"},
		"wrong checksum":  {[]types.CompletedPart{badSum}, "InvalidPart"},
		"small in middle": {[]types.CompletedPart{completedPart(1, a), completedPart(2, small), completedPart(3, last)}, "EntityTooSmall"},
	} {
		_, err := f.complete(t, up, tt.parts...)
		wantCode(t, name, err, tt.code, 400)
	}
	whole := &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{completedPart(1, a), completedPart(3, last)}},
	}
	whole.MpuObjectSize = aws.Int64(1)
	_, err := f.CompleteMultipartUpload(asRoot(t), whole)
	wantCode(t, "wrong size", err, "InvalidRequest", 400)
	whole.MpuObjectSize, whole.ChecksumCRC32 = nil, aws.String("AAAAAA==")
	_, err = f.CompleteMultipartUpload(asRoot(t), whole)
	wantCode(t, "wrong checksum of the whole", err, "BadDigest", 400)
	whole.ChecksumCRC32, whole.ChecksumType = nil, types.ChecksumTypeFullObject
	_, err = f.CompleteMultipartUpload(asRoot(t), whole)
	wantCode(t, "other type", err, "InvalidRequest", 400)
	whole.ChecksumType, whole.IfNoneMatch = "", aws.String("*")
	_, err = f.CompleteMultipartUpload(asRoot(t), whole)
	wantCode(t, "condition", err, "NotImplemented", 501)

	part := awss3.UploadPartInput{Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up, PartNumber: aws.Int32(1), Body: strings.NewReader("x")}
	for _, n := range []int32{0, -1, 10001} {
		part.PartNumber = aws.Int32(n)
		_, err = f.UploadPart(asRoot(t), &part)
		wantCode(t, fmt.Sprint("part ", n), err, "InvalidArgument", 400)
	}
	part.PartNumber, part.ChecksumAlgorithm = aws.Int32(1), types.ChecksumAlgorithmSha256
	_, err = f.UploadPart(asRoot(t), &part)
	wantCode(t, "other algorithm", err, "InvalidRequest", 400)
	part.ChecksumAlgorithm, part.Key = "", aws.String("other")
	_, err = f.UploadPart(asRoot(t), &part)
	wantCode(t, "other key", err, "NoSuchUpload", 404)
	part.Key, part.UploadId = aws.String("multi"), aws.String("none")
	_, err = f.UploadPart(asRoot(t), &part)
	wantCode(t, "no upload", err, "NoSuchUpload", 404)

	abort := &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up}
	_, err = f.AbortMultipartUpload(asRoot(t), abort)
	wantCode(t, "abort", err, "", 0)
	_, err = f.AbortMultipartUpload(asRoot(t), abort)
	wantCode(t, "abort again", err, "NoSuchUpload", 404)
	if n := f.blobCount(t); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestListParts(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	up := f.createUpload(t, awss3.CreateMultipartUploadInput{})
	for _, n := range []int32{5, 1, 3} {
		f.uploadPart(t, up, n, fmt.Sprint("part ", n))
	}
	var numbers []int32
	in := &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up, MaxParts: aws.Int32(2)}
	for {
		out, err := f.ListParts(asRoot(t), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.Parts {
			if *p.Size != 6 || *p.ETag != `"`+hexMD5(fmt.Sprint("part ", *p.PartNumber))+`"` {
				t.Errorf("part %d: %d bytes, %s", *p.PartNumber, *p.Size, *p.ETag)
			}
			numbers = append(numbers, *p.PartNumber)
		}
		if !*out.IsTruncated {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	if diff := cmp.Diff([]int32{1, 3, 5}, numbers); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	in.PartNumberMarker = aws.String("x")
	_, err := f.ListParts(asRoot(t), in)
	wantCode(t, "bad marker", err, "InvalidArgument", 400)
}

func TestListMultipartUploads(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	var want []string
	for _, key := range []string{"a", "b/1", "b/1", "b/2", "c"} {
		id := f.createUpload(t, awss3.CreateMultipartUploadInput{Key: aws.String(key)})
		want = append(want, key+" "+*id)
		f.clock.advance(time.Second)
	}
	list := func(in awss3.ListMultipartUploadsInput) (all []string) {
		in.Bucket = aws.String(bucket)
		for {
			out, err := f.ListMultipartUploads(asRoot(t), &in)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range out.Uploads {
				all = append(all, *u.Key+" "+*u.UploadId)
			}
			for _, p := range out.CommonPrefixes {
				all = append(all, *p.Prefix)
			}
			if !*out.IsTruncated {
				return all
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
	}
	for _, limit := range []int32{1, 2, 3, 1000} {
		if diff := cmp.Diff(want, list(awss3.ListMultipartUploadsInput{MaxUploads: aws.Int32(limit)})); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	if diff := cmp.Diff(want[1:4], list(awss3.ListMultipartUploadsInput{Prefix: aws.String("b/")})); diff != "" {
		t.Errorf("with a prefix (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{want[0], want[4], "b/"}, list(awss3.ListMultipartUploadsInput{Delimiter: aws.String("/")})); diff != "" {
		t.Errorf("with a delimiter (-want +got):\n%s", diff)
	}
}
