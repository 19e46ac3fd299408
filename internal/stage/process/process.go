//go:build linux

// Package process is `cloister stage`: it reads a plan, does what it says through a VPC's S3 endpoint, and prints the result.
package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"example.com/cloister/internal/dataset"
	"example.com/cloister/internal/stage"
)

// Stage runs the process if this is one. It must be called before flags are read.
func Stage(ctx context.Context) (code int, staged bool) {
	if len(os.Args) != 2 || os.Args[0] != stage.Path || os.Args[1] != stage.Argv()[1] {
		return 0, false
	}
	plan, err := stage.ReadPlan(os.NewFile(3, "plan"))
	if err != nil {
		return 1, true
	}
	if err := json.NewEncoder(os.Stdout).Encode(Do(ctx, plan)); err != nil {
		return 1, true
	}
	return 0, true
}

// Do does what the plan says. After the first failure nothing more is tried.
func Do(ctx context.Context, p stage.Plan) stage.Result {
	c := client(p)
	var r stage.Result
	for _, read := range p.Reads {
		one := fetch(ctx, c, read)
		r.Reads = append(r.Reads, one)
		if one.Failed() || one.Changed || one.Cut || one.TooLarge > 0 || hasProblems(one.Report) {
			return r
		}
	}
	for _, bucket := range p.Buckets {
		_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
		r.Buckets = append(r.Buckets, failure(err))
		if err != nil {
			return r
		}
	}
	for _, w := range p.Writes {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &w.Bucket, Key: &w.Key, ContentType: &w.ContentType, Body: bytes.NewReader(w.Body), ContentLength: aws.Int64(int64(len(w.Body))),
		})
		r.Writes = append(r.Writes, failure(err))
		if err != nil {
			return r
		}
	}
	return r
}

// dialTimeout bounds a connection and its handshake, answerTimeout the beginning of an answer; attempts is how often a call is made.
const (
	dialTimeout   = 5 * time.Second
	answerTimeout = time.Minute
	attempts      = 3
)

// client speaks to the endpoint, and to nothing else: names come from the VPC's resolver, trust from the plan.
func client(p stage.Plan) *s3.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CA)
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, p.Resolver)
	}}}
	return s3.New(s3.Options{
		Region: p.Region, BaseEndpoint: aws.String("https://" + p.Host), UsePathStyle: true, RetryMaxAttempts: attempts,
		Credentials: credentials.NewStaticCredentialsProvider(p.AccessKeyID, p.Secret, p.Token),
		HTTPClient: &http.Client{Transport: &http.Transport{
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: answerTimeout, DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13},
		}},
	})
}

func failure(err error) stage.Failure {
	if err == nil {
		return stage.Failure{}
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return stage.Failure{Code: api.ErrorCode(), Message: api.ErrorMessage()}
	}
	message := "no answer"
	if op, ok := errors.AsType[*net.OpError](err); ok {
		message = op.Err.Error()
	} else if dns, ok := errors.AsType[*net.DNSError](err); ok {
		message = dns.Err
	}
	return stage.Failure{Code: stage.CodeUnreachable, Message: message}
}

func hasProblems(report json.RawMessage) bool {
	var r dataset.Report
	return json.Unmarshal(report, &r) == nil && len(r.Problems) > 0
}

// makeDir makes a folder that the server may empty: it has the scratch's group.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // a job's own scratch
		return err
	}
	return os.Chmod(dir, 0o775|fs.ModeSetgid)
}

// fetch copies one object into the scratch. The object must not change while it is read.
func fetch(ctx context.Context, c *s3.Client, read stage.Read) (r stage.ReadResult) {
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &read.Bucket, Key: &read.Key})
	if err != nil {
		r.Failure = failure(err)
		return r
	}
	if size := aws.ToInt64(head.ContentLength); size > read.MaxBytes {
		r.TooLarge = size
		return r
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &read.Bucket, Key: &read.Key, IfMatch: head.ETag})
	if err != nil {
		r.Failure = failure(err)
		r.Changed = r.Code == "PreconditionFailed"
		return r
	}
	defer func() { _ = out.Body.Close() }()
	if err := makeDir(filepath.Dir(read.Target)); err != nil {
		r.Failure = stage.Failure{Code: "Scratch", Message: "the scratch cannot be written"}
		return r
	}
	file, err := os.OpenFile(read.Target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the engine is of the same user; the server empties the scratch
	if err != nil {
		r.Failure = stage.Failure{Code: "Scratch", Message: "the scratch cannot be written"}
		return r
	}
	report, err := dataset.Check(ctx, out.Body, dataset.Kind(read.Kind), file)
	if err = errors.Join(err, file.Close()); err != nil {
		r.Cut = true
		return r
	}
	r.NotJSON = len(report.Problems) > 0 && report.Problems[0].NotJSON
	if r.Report, err = json.Marshal(report); err != nil {
		r.Cut = true
		return r
	}
	again, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &read.Bucket, Key: &read.Key})
	if err != nil {
		r.Failure = failure(err)
		return r
	}
	r.Changed = aws.ToString(again.ETag) != aws.ToString(head.ETag)
	return r
}
