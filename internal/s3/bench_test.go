package s3_test

import (
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/blob"
)

// noSync is a file system that does not wait for the disk, to tell what fsync costs.
type noSync struct{ blob.FileSystem }

func (noSync) SyncDir(string) error { return nil }

func (n noSync) Create(name string) (blob.File, error) {
	f, err := n.FileSystem.Create(name)
	return noSyncFile{f}, err
}

type noSyncFile struct{ blob.File }

func (noSyncFile) Sync() error { return nil }

// BenchmarkPut prints the CPU seconds, of this process and the kernel for it, that a GB of PUT costs
// without the HTTP edge: sealing, hashing, database and disk.
//
//	go test ./internal/s3 -run '^$' -bench Put -benchtime 10x
func BenchmarkPut(b *testing.B) {
	for _, encrypted := range []string{"SSE-KMS", "SSE-S3"} {
		for _, sync := range []string{"fsync", "no fsync"} {
			for _, size := range []int64{4 << 10, 16 << 20, 64 << 20} {
				b.Run(fmt.Sprintf("%s/%s/%d KiB", encrypted, sync, size>>10), func(b *testing.B) {
					dir := b.TempDir()
					fsys := directory(b, dir+"/blobs")
					if sync == "no fsync" {
						fsys = noSync{fsys}
					}
					f := newFixtureOn(b, dir, fsys)
					f.createBucket(b)
					if encrypted == "SSE-KMS" {
						f.encryptBucket(b, false)
					}
					ctx := asRoot(b)
					b.SetBytes(size)
					var n int64
					before := cpu(b)
					for b.Loop() {
						// The edge has verified a CRC32, as with every SDK over TLS.
						body := &edgeBody{io.LimitReader(zeros{}, size), map[string]string{"crc32": "AAAAAA=="}, nil}
						in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: body, ChecksumAlgorithm: "CRC32", ContentLength: aws.Int64(size)}
						if _, err := f.PutObject(ctx, in); err != nil {
							b.Fatal(err)
						}
						n += size
					}
					b.ReportMetric((cpu(b)-before).Seconds()/(float64(n)/1e9), "cpu-s/GB")
				})
			}
		}
	}
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkSmall measures the fixed cost of requests: database, key, one segment.
func BenchmarkSmall(b *testing.B) {
	f := newFixture(b)
	f.createBucket(b)
	f.encryptBucket(b, false)
	f.put(b, "k", repeat(4096))
	ctx := asRoot(b)
	b.Run("PutObject", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.put(b, "k", "small")
		}
	})
	b.Run("GetObject", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out, err := f.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, out.Body); err != nil {
				b.Fatal(err)
			}
			if err := out.Body.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("HeadObject", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
