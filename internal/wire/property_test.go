package wire

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func newClient(tb testing.TB, name, endpoint string) any {
	tb.Helper()
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials:                credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		RetryMaxAttempts:           1,
	}
	switch name {
	case "bedrock":
		return bedrock.NewFromConfig(cfg)
	case "iam":
		return iam.NewFromConfig(cfg)
	case "kms":
		return kms.NewFromConfig(cfg)
	case "sts":
		return sts.NewFromConfig(cfg)
	case "s3":
		return s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	}
	tb.Fatalf("no client of %s", name)
	return nil
}

// notRandom says which members the SDK itself decides or refuses.
func notRandom(r *ref) bool {
	switch r.Name {
	case "SSECustomerKey", "SSECustomerAlgorithm", "SSECustomerKeyMD5", // need TLS; computed by the SDK
		"ContentMD5", "ContentLength", // computed from the body
		"ChecksumAlgorithm", "ChecksumMode", "ContentEncoding", // switch the SDK's checksums on
		"ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256",
		"ChecksumSHA512", "ChecksumMD5", "ChecksumXXHASH64", "ChecksumXXHASH3", "ChecksumXXHASH128",
		"MpuObjectSize", "CopySource":
		return r.Location != ""
	}
	return false
}

// TestSDKRoundTrip sends a random valid input of every served operation with the real SDK client, answers
// with a random output, and wants both to arrive as they were sent.
func TestSDKRoundTrip(t *testing.T) {
	t.Parallel()
	for name := range clients() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(15) {
				roundTrip(t, name, seed)
			}
		})
	}
}

func roundTrip(t *testing.T, name string, seed uint64) {
	t.Helper()
	var got, answer any
	var gotBody []byte
	s := bindAll(t, name, func(_ context.Context, _ string, in any) (any, error) {
		got = in
		if body := reflect.ValueOf(in).Elem().FieldByName("Body"); body.IsValid() {
			data, err := io.ReadAll(body.Interface().(io.Reader))
			if err != nil {
				return nil, err
			}
			gotBody = data
			body.SetZero()
		}
		return answer, nil
	})
	server := httptest.NewServer(s)
	defer server.Close()
	client := reflect.ValueOf(newClient(t, name, server.URL))
	g := newGenerator(t, seed, s)
	keep := func(r *ref) bool { return !notRandom(r) }
	for _, opName := range s.Operations() {
		op := s.model.byName[opName]
		in, out := reflect.New(s.ops[opName].in), reflect.New(s.ops[opName].out)
		if op.Input != nil {
			g.structure(op.Input.shape, in.Elem(), keep)
		}
		if op.Output != nil {
			g.structure(op.Output.shape, out.Elem(), keep)
		}
		body := []byte(g.alphabet("some bytes", 0, 50))
		prepare(in, out, body)
		answer, got, gotBody = out.Interface(), nil, nil
		results := client.MethodByName(opName).Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
		if err, _ := reflect.TypeAssert[error](results[1]); err != nil {
			t.Fatalf("%s seed %d: %v", opName, seed, err)
		}
		received := results[0].Elem()
		if field := received.FieldByName("Body"); field.IsValid() {
			data, err := io.ReadAll(field.Interface().(io.Reader))
			if err != nil || !bytes.Equal(data, body) {
				t.Errorf("%s: body = %q, %v, want %q", opName, data, err, body)
			}
			field.SetZero()
			out.Elem().FieldByName("Body").SetZero()
		}
		if field := in.Elem().FieldByName("Body"); field.IsValid() {
			if !bytes.Equal(gotBody, body) {
				t.Errorf("%s: handler read %q, want %q", opName, gotBody, body)
			}
			field.SetZero()
		}
		options := cmp.Options{
			ignoreMetadata(),
			cmpopts.IgnoreFields(s3.GetObjectOutput{}, "Expires"), cmpopts.IgnoreFields(s3.HeadObjectOutput{}, "Expires"),
			cmpopts.IgnoreFields(s3.DeleteObjectsInput{}, "ChecksumAlgorithm"), // the SDK's choice
			cmpopts.IgnoreFields(s3.PutBucketEncryptionInput{}, "ChecksumAlgorithm"),
			cmpopts.IgnoreFields(s3.PutBucketPolicyInput{}, "ChecksumAlgorithm"),
			cmpopts.IgnoreFields(s3.PutPublicAccessBlockInput{}, "ChecksumAlgorithm"),
		}
		if diff := cmp.Diff(in.Interface(), got, options); diff != "" {
			t.Errorf("%s seed %d: the handler got another input (-sent +got):\n%s", opName, seed, diff)
		}
		if diff := cmp.Diff(answer, received.Addr().Interface(), options); diff != "" {
			t.Errorf("%s seed %d: the client got another output (-sent +got):\n%s", opName, seed, diff)
		}
	}
}

// prepare sets what random values cannot: bucket names that the SDK accepts, bodies, their lengths.
func prepare(in, out reflect.Value, body []byte) {
	if f := in.Elem().FieldByName("ClientRequestToken"); f.IsValid() && f.IsNil() { // the SDK fills it
		f.Set(reflect.ValueOf(aws.String("token")))
	}
	if f := in.Elem().FieldByName("ContentType"); f.IsValid() && f.IsNil() { // the SDK fills it
		f.Set(reflect.ValueOf(aws.String("text/plain")))
	}
	if f := in.Elem().FieldByName("Bucket"); f.IsValid() {
		f.Set(reflect.ValueOf(aws.String("bucket")))
	}
	if f := in.Elem().FieldByName("Key"); f.IsValid() && f.Type() == reflect.TypeFor[*string]() && !f.IsNil() {
		// The SDK's own signer and URL parser refuse nothing here; a leading slash is another key.
		f.Elem().SetString("k" + strings.TrimSpace(f.Elem().String()))
	}
	if f := in.Elem().FieldByName("Body"); f.IsValid() {
		f.Set(reflect.ValueOf(bytes.NewReader(body)))
		in.Elem().FieldByName("ContentLength").Set(reflect.ValueOf(aws.Int64(int64(len(body)))))
	}
	if f := out.Elem().FieldByName("Body"); f.IsValid() {
		f.Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(body))))
	}
	if f := out.Elem().FieldByName("ContentLength"); f.IsValid() {
		f.Set(reflect.ValueOf(aws.Int64(int64(len(body)))))
	}
}

// ignoreMetadata leaves out what is no data of an SDK structure.
func ignoreMetadata() cmp.Option {
	return cmp.Options{
		cmp.FilterPath(func(p cmp.Path) bool {
			last := p.Last().String()
			return last == ".ResultMetadata" || last == ".noSmithyDocumentSerde"
		}, cmp.Ignore()),
		cmp.Exporter(func(reflect.Type) bool { return true }),
	}
}
