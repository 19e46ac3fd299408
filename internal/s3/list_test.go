package s3_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/s3"
)

// fill stores rows of objects with the keys given; lists need no bytes.
func (f *fixture) fill(tb testing.TB, keys ...string) {
	tb.Helper()
	f.createBucket(tb)
	for i, key := range keys {
		id := fmt.Sprintf("%032x", i)
		o := s3.Object{Bucket: bucket, Key: key, ID: id, Size: int64(i), ETag: "e", Modified: f.clock.Now(), Sealing: s3.Sealing{Wrapped: []byte{1}}}
		if _, err := f.store.PutObject(tb.Context(), o, s3.Part{Number: 1, Blob: blob.ID(id)}); err != nil {
			tb.Fatal(err)
		}
	}
}

// listV2 reads all pages; common prefixes have an asterisk.
func (f *fixture) listV2(tb testing.TB, in awss3.ListObjectsV2Input) (all []string) {
	tb.Helper()
	in.Bucket = aws.String(bucket)
	for range 1000 {
		out, err := f.ListObjectsV2(asRoot(tb), &in)
		if err != nil {
			tb.Fatal(err)
		}
		if int(*out.KeyCount) != len(out.Contents)+len(out.CommonPrefixes) || *out.KeyCount > *out.MaxKeys {
			tb.Errorf("KeyCount = %d of %d", *out.KeyCount, *out.MaxKeys)
		}
		all = append(all, flatten(out.Contents, out.CommonPrefixes)...)
		if !*out.IsTruncated {
			return all
		}
		in.ContinuationToken = out.NextContinuationToken
	}
	tb.Fatal("the list does not end")
	return nil
}

func (f *fixture) listV1(tb testing.TB, in awss3.ListObjectsInput) (all []string) {
	tb.Helper()
	in.Bucket = aws.String(bucket)
	for range 1000 {
		out, err := f.ListObjects(asRoot(tb), &in)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, flatten(out.Contents, out.CommonPrefixes)...)
		if !*out.IsTruncated {
			return all
		}
		in.Marker = out.NextMarker
		if in.Marker == nil {
			in.Marker = out.Contents[len(out.Contents)-1].Key
		}
	}
	tb.Fatal("the list does not end")
	return nil
}

// flatten merges keys and prefixes of a page in their order.
func flatten(contents []types.Object, prefixes []types.CommonPrefix) (all []string) {
	for len(contents) > 0 || len(prefixes) > 0 {
		if len(prefixes) == 0 || (len(contents) > 0 && *contents[0].Key < *prefixes[0].Prefix) {
			all = append(all, *contents[0].Key)
			contents = contents[1:]
		} else {
			all = append(all, *prefixes[0].Prefix+"*")
			prefixes = prefixes[1:]
		}
	}
	return all
}

func TestLists(t *testing.T) {
	f := newFixture(t)
	f.fill(t, "b/2", "a", "b/1", "b/c/1", "b/c/2", "z", "b", "B", "ä/1", "ä/2", "b0", "b/", "x//y", "x/", "\U0010FFFF/1", "\U0010FFFF", "a b+c%", "\uD7FF/1", "\uE000/1")
	for _, tt := range []struct {
		name, prefix, delimiter, after string
		want                           []string
	}{
		{"all", "", "", "", []string{"B", "a", "a b+c%", "b", "b/", "b/1", "b/2", "b/c/1", "b/c/2", "b0", "x/", "x//y", "z", "ä/1", "ä/2", "\uD7FF/1", "\uE000/1", "\U0010FFFF", "\U0010FFFF/1"}},
		{"folders", "", "/", "", []string{"B", "a", "a b+c%", "b", "b/*", "b0", "x/*", "z", "ä/*", "\uD7FF/*", "\uE000/*", "\U0010FFFF", "\U0010FFFF/*"}},
		{"prefix", "b/", "", "", []string{"b/", "b/1", "b/2", "b/c/1", "b/c/2"}},
		{"in a folder", "b/", "/", "", []string{"b/", "b/1", "b/2", "b/c/*"}},
		{"prefix without slash", "b", "/", "", []string{"b", "b/*", "b0"}},
		{"empty folder name", "x/", "/", "", []string{"x/", "x//*"}},
		{"long delimiter", "", "/c/", "", []string{"B", "a", "a b+c%", "b", "b/", "b/1", "b/2", "b/c/*", "b0", "x/", "x//y", "z", "ä/1", "ä/2", "\uD7FF/1", "\uE000/1", "\U0010FFFF", "\U0010FFFF/1"}},
		{"after a key", "", "", "b/2", []string{"b/c/1", "b/c/2", "b0", "x/", "x//y", "z", "ä/1", "ä/2", "\uD7FF/1", "\uE000/1", "\U0010FFFF", "\U0010FFFF/1"}},
		{"after a folder", "", "/", "b/", []string{"b0", "x/*", "z", "ä/*", "\uD7FF/*", "\uE000/*", "\U0010FFFF", "\U0010FFFF/*"}},
		{"after a key in a folder", "", "/", "b/1", []string{"b/*", "b0", "x/*", "z", "ä/*", "\uD7FF/*", "\uE000/*", "\U0010FFFF", "\U0010FFFF/*"}},
		{"after, before the prefix", "b/", "", "a", []string{"b/", "b/1", "b/2", "b/c/1", "b/c/2"}},
		{"after, behind the prefix", "b/", "", "c", nil},
		{"after the last", "", "", "\U0010FFFF/1", nil},
		{"prefix of nothing", "q", "/", "", nil},
	} {
		for _, size := range []int32{1, 2, 3, 5, 1000} {
			v2 := f.listV2(t, awss3.ListObjectsV2Input{Prefix: &tt.prefix, Delimiter: &tt.delimiter, StartAfter: &tt.after, MaxKeys: &size})
			if diff := cmp.Diff(tt.want, v2); diff != "" {
				t.Errorf("%s, version 2, pages of %d (-want +got):\n%s", tt.name, size, diff)
			}
			v1 := f.listV1(t, awss3.ListObjectsInput{Prefix: &tt.prefix, Delimiter: &tt.delimiter, Marker: &tt.after, MaxKeys: &size})
			if diff := cmp.Diff(tt.want, v1); diff != "" {
				t.Errorf("%s, version 1, pages of %d (-want +got):\n%s", tt.name, size, diff)
			}
		}
	}
}

func TestListDetails(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "dir/a b+ü", "data")
	out, err := f.ListObjectsV2(asRoot(t), &awss3.ListObjectsV2Input{
		Bucket: aws.String(bucket), Prefix: aws.String("dir/a b"), EncodingType: types.EncodingTypeUrl, FetchOwner: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := out.Contents[0]
	if *o.Key != "dir/a%20b%2B%C3%BC" || *out.Prefix != "dir/a%20b" || *o.Size != 4 || *o.ETag != `"`+hexMD5("data")+`"` ||
		*o.Owner.ID != string(account) || o.StorageClass != "STANDARD" || o.ChecksumAlgorithm[0] != "CRC64NVME" || !o.LastModified.Equal(f.clock.Now().Truncate(1e9)) {
		t.Errorf("Contents[0] = %+v", o)
	}
	for name, in := range map[string]awss3.ListObjectsV2Input{
		"negative max-keys": {MaxKeys: aws.Int32(-1)}, "bad token": {ContinuationToken: aws.String("!")}, "bad encoding": {EncodingType: "rot13"},
	} {
		in.Bucket = aws.String(bucket)
		_, err := f.ListObjectsV2(asRoot(t), &in)
		wantCode(t, name, err, "InvalidArgument", 400)
	}
	none, err := f.ListObjectsV2(asRoot(t), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(0)})
	if err != nil || *none.KeyCount != 0 || *none.IsTruncated {
		t.Errorf("max-keys 0: %v", err)
	}
	many, err := f.ListObjectsV2(asRoot(t), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), MaxKeys: aws.Int32(5000)})
	if err != nil || *many.MaxKeys != 1000 {
		t.Errorf("max-keys 5000: %v", err)
	}
	_, err = f.ListObjectsV2(asRoot(t), &awss3.ListObjectsV2Input{Bucket: aws.String("no-such-bucket")})
	wantCode(t, "no bucket", err, "NoSuchBucket", 404)
}

// TestFolderOfManyKeys lists folders with more keys than a page has entries.
func TestFolderOfManyKeys(t *testing.T) {
	f := newFixture(t)
	var keys []string
	for folder := range 30 {
		for i := range 30 {
			keys = append(keys, fmt.Sprintf("f%02d/%04d", folder, i))
		}
	}
	f.fill(t, keys...)
	if got := f.listV2(t, awss3.ListObjectsV2Input{Delimiter: aws.String("/"), MaxKeys: aws.Int32(7)}); len(got) != 30 || got[29] != "f29/*" {
		t.Errorf("%d folders: %s", len(got), strings.Join(got, " "))
	}
	if got := f.listV2(t, awss3.ListObjectsV2Input{Prefix: aws.String("f03/")}); len(got) != 30 {
		t.Errorf("%d keys in a folder", len(got))
	}
}

func BenchmarkListFolders(b *testing.B) {
	f := newFixture(b)
	var keys []string
	for folder := range 100 {
		for i := range 100 {
			keys = append(keys, fmt.Sprintf("f%03d/%04d", folder, i))
		}
	}
	f.fill(b, keys...)
	ctx := asRoot(b)
	for b.Loop() {
		out, err := f.ListObjectsV2(context.WithoutCancel(ctx), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Delimiter: aws.String("/")})
		if err != nil || len(out.CommonPrefixes) != 100 {
			b.Fatal(err)
		}
	}
}
