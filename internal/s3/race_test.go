package s3_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
)

// TestConcurrentUseOfOneKey puts, gets, deletes and lists one key from many goroutines. A reader sees one
// value whole or none, and in the end there is one blob for each object.
func TestConcurrentUseOfOneKey(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.encryptBucket(t, true)
	value := func(i int) string { return strings.Repeat(fmt.Sprintf("%04d", i), 30000+i) } // two segments
	whole := func(s string) bool {
		var i int
		if len(s) < 4 {
			return false
		}
		_, err := fmt.Sscanf(s[:4], "%04d", &i)
		return err == nil && s == value(i)
	}
	ctx := asRoot(t)
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := range 12 {
				in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(value(worker*100 + i))}
				if _, err := f.PutObject(ctx, in); err != nil {
					t.Error("put:", err)
				}
			}
		})
		wg.Go(func() {
			for range 25 {
				out, err := f.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
				if cloister.Code(err) == "NoSuchKey" {
					continue
				}
				if err != nil {
					t.Error("get:", err)
					continue
				}
				got, err := io.ReadAll(out.Body)
				if err := errors.Join(err, out.Body.Close()); err != nil || !whole(string(got)) {
					t.Errorf("get: %d bytes that are no value, %v", len(got), err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 8 {
			if _, err := f.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
				t.Error("delete:", err)
			}
		}
	})
	wg.Go(func() {
		for range 20 {
			out, err := f.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)})
			if err != nil || len(out.Contents) > 1 {
				t.Error("list:", len(out.Contents), err)
			}
		}
	})
	wg.Wait()
	f.put(t, "k", "the end")
	if got, err := f.get(t, "k"); err != nil || got != "the end" {
		t.Errorf("get = %q, %v", got, err)
	}
	if n := f.blobCount(t); n != 1 {
		t.Errorf("%d blobs for one object", n)
	}
	if f.log.Len() > 0 {
		t.Errorf("log: %s", f.log)
	}
}

// TestConcurrentParts uploads the parts of one object at once, some of them twice.
func TestConcurrentParts(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	up := f.createUpload(t, awss3.CreateMultipartUploadInput{})
	ctx := asRoot(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := f.UploadPart(ctx, &awss3.UploadPartInput{
				Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up, PartNumber: aws.Int32(int32(i%4 + 1)), Body: strings.NewReader(fmt.Sprint(i)),
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	out, err := f.ListParts(ctx, &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("multi"), UploadId: up})
	if err != nil || len(out.Parts) != 4 || f.blobCount(t) != 4 {
		t.Errorf("%d parts, %d blobs, %v", len(out.Parts), f.blobCount(t), err)
	}
}
