// Command s3 measures what a GB uploaded to Cloister costs the server: real binary, TLS, SSE-KMS, fsync and
// authorization on, multipart upload over 4 connections with the Go SDK's default checksums. In the same run,
// interleaved, versitygw stores the same bytes without encrypting them.
//
// versitygw v1.8.0 is built from the Go module proxy into the cache by bench/versitygw.sh; without it the
// comparison is left out, and that counts as a missed bound.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	cpuBound  = 2.5 // server CPU seconds per GB
	peakBound = 120 // MB
)

const (
	bucket      = "bench-upload"
	partBytes   = 16 << 20
	connections = 4
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.StringVar(&b.versitygw, "versitygw", "", "versitygw to compare with")
	flag.IntVar(&b.rounds, "rounds", 3, "uploads to each server")
	flag.Int64Var(&b.size, "size", 1e9, "bytes of an upload")
	harness.Main(b.run)
}

type bench struct {
	bin, versitygw string
	rounds         int
	size           int64
}

func (b *bench) run(ctx context.Context, r *harness.Report) (err error) {
	dir, err := harness.TempDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ours, err := b.cloister(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	targets := []*target{ours}
	if b.versitygw != "" {
		theirs, err := startVersitygw(ctx, b.versitygw, dir, filepath.Join(dir, "data", "tls"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, theirs.stop()) }()
		targets = append(targets, theirs)
	}
	part := make([]byte, partBytes)
	_, _ = rand.Read(part) // never fails
	if err := b.measure(ctx, r, targets, part); err != nil {
		return err
	}
	return b.judge(r, targets)
}

func (b *bench) measure(ctx context.Context, r *harness.Report, targets []*target, part []byte) error {
	for i := range b.rounds {
		for _, t := range targets {
			before, err := harness.UsageOf(t.pid)
			if err != nil {
				return err
			}
			start := harness.Now()
			if err := t.upload(ctx, fmt.Sprintf("object-%d", i), part, b.size); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			wall := harness.Now().Sub(start).Seconds()
			after, err := harness.UsageOf(t.pid)
			if err != nil {
				return err
			}
			gb := float64(b.size) / 1e9
			t.cpu = append(t.cpu, (after.CPU-before.CPU).Seconds()/gb)
			r.Say("%s: %.2f GB in %.1f s, %.2f server CPU-seconds per GB, peak RSS so far %.0f MB", t.name, gb, wall, t.cpu[i], float64(after.PeakRSS)/1e6)
		}
	}
	return nil
}

func (b *bench) judge(r *harness.Report, targets []*target) error {
	usage, err := harness.UsageOf(targets[0].pid)
	if err != nil {
		return err
	}
	median := harness.Median(targets[0].cpu)
	r.AtMost("PUT, SSE-KMS, TLS, fsync: server CPU per GB, median", median, cpuBound, "s")
	if len(targets) < 2 {
		r.Missing("server CPU per GB, Cloister sealed / versitygw plaintext", "versitygw could not be built")
	} else {
		r.AtMost("server CPU per GB, Cloister sealed / versitygw plaintext", median/harness.Median(targets[1].cpu), 1, "x")
	}
	r.AtMost("server's peak RSS", float64(usage.PeakRSS)/1e6, peakBound, "MB")
	return nil
}

// target is a server that takes uploads.
type target struct {
	name   string
	pid    int
	client *s3.Client
	// keyARN makes uploads SSE-KMS; empty leaves encryption to the server.
	keyARN string
	cpu    []float64 // server CPU seconds per GB, one an upload
	stop   func() error
}

func (b *bench) cloister(ctx context.Context, dir string) (*target, error) {
	server, err := harness.StartServer(ctx, b.bin, filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	t := &target{name: "cloister, SSE-KMS", pid: server.PID(), stop: server.Stop}
	if err := t.prepare(ctx, server); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return t, nil
}

func (t *target) prepare(ctx context.Context, server *harness.Server) error {
	config, err := server.Client(ctx, connections)
	if err != nil {
		return err
	}
	key, err := kms.NewFromConfig(config).CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	t.keyARN = *key.KeyMetadata.Arn
	return t.connect(ctx, config)
}

// connect makes the client and the bucket.
func (t *target) connect(ctx context.Context, config aws.Config) error {
	t.client = s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := t.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
	return err
}

// upload puts an object of that many bytes, in parts of the same content, and looks whether it is there.
func (t *target) upload(ctx context.Context, key string, part []byte, size int64) error {
	in := &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32}
	if t.keyARN != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &t.keyARN
	}
	made, err := t.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return err
	}
	n := (size + partBytes - 1) / partBytes
	parts := make([]types.CompletedPart, n)
	g, uploading := errgroup.WithContext(ctx)
	g.SetLimit(connections)
	for i := range n {
		g.Go(func() error {
			number := aws.Int32(int32(i + 1)) //nolint:gosec // at most 10,000
			out, err := t.client.UploadPart(uploading, &s3.UploadPartInput{
				Bucket: aws.String(bucket), Key: &key, UploadId: made.UploadId, PartNumber: number, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
				Body: bytes.NewReader(part[:min(partBytes, size-i*partBytes)]),
			})
			if err != nil {
				return err
			}
			parts[i] = types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32: out.ChecksumCRC32}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err = t.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: made.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return err
	}
	head, err := t.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	if aws.ToInt64(head.ContentLength) != size || (t.keyARN != "" && aws.ToString(head.SSEKMSKeyId) != t.keyARN) {
		return fmt.Errorf("the object has %d bytes under key %q, want %d under %q", aws.ToInt64(head.ContentLength), aws.ToString(head.SSEKMSKeyId), size, t.keyARN)
	}
	return nil
}
