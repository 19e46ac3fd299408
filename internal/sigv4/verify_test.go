package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"example.com/cloister"
)

func newBytes(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func clock() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func kindOf(err error) Kind {
	if p, ok := errors.AsType[*SignatureError](err); ok {
		return p.Kind
	}
	return -1
}

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// signed makes a request and signs it with the SDK's signer.
func signed(tb testing.TB, service, method, target, body string, headers map[string]string) *http.Request {
	tb.Helper()
	r := httptest.NewRequest(method, "https://localhost:8700"+target, strings.NewReader(body))
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		sum := sha256.Sum256([]byte(body))
		payload = hex.EncodeToString(sum[:])
		if service == serviceS3 {
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
	}
	err := signer.NewSigner(func(o *signer.SignerOptions) { o.DisableURIPathEscaping = service == serviceS3 }).SignHTTP(
		context.WithoutCancel(tb.Context()), aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}, r, payload, service, "eu-central-1", clock())
	if err != nil {
		tb.Fatal(err)
	}
	r.RequestURI = r.URL.RequestURI()
	return r
}

func verify(r *http.Request) error {
	s, err := ParseScope(r)
	if err != nil {
		return err
	}
	return verifyAt(clock(), r, s, Key{Secret: testSecret})
}

func TestSDKSignatures(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/", "/a/b", "/a%2Fb%3Ac", "/model-customization-jobs/arn%3Aaws%3Abedrock%3A%3A%2Fx", "/x?b=2&a=1&a=0&c",
		"/x?q=a%20b%2Bc", "/%C3%A9", "/a%20b",
	} {
		for _, service := range []string{"bedrock", "s3"} {
			r := signed(t, service, http.MethodPost, target, "body", nil)
			if err := verify(r); err != nil {
				t.Errorf("%s %s: %v", service, target, err)
				continue
			}
			if data, err := io.ReadAll(r.Body); string(data) != "body" || err != nil {
				t.Errorf("%s %s: body = %q, %v", service, target, data, err)
			}
		}
	}
}

func TestTampering(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*http.Request)
		want   Kind
	}{
		"method":        {func(r *http.Request) { r.Method = http.MethodPut }, Mismatch},
		"path":          {func(r *http.Request) { r.RequestURI = "/b" }, Mismatch},
		"query":         {func(r *http.Request) { r.URL.RawQuery = "x=2" }, Mismatch},
		"host":          {func(r *http.Request) { r.Host = "other" }, Mismatch},
		"body":          {func(r *http.Request) { r.Body = newBytes("other") }, Mismatch},
		"signed header": {func(r *http.Request) { r.Header.Set("Content-Type", "other") }, Mismatch},
		"date":          {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260102T030406Z") }, Mismatch},
		"added header":  {func(r *http.Request) { r.Header.Set("X-Amz-Target", "x") }, NotSigned},
		"added token":   {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, NotSigned},
		"no date":       {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, NoDate},
		"two dates":     {func(r *http.Request) { r.Header.Add("X-Amz-Date", "20260102T030405Z") }, NoDate},
		"old date":      {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260102T024904Z") }, Skewed},
		"future date":   {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260102T031906Z") }, Skewed},
		"other day":     {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260101T030405Z") }, Malformed},
		"large body":    {func(r *http.Request) { r.Body = newBytes(strings.Repeat("x", 1<<20+1)) }, TooLarge},
		"nothing":       {func(*http.Request) {}, -1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, "kms", http.MethodPost, "/a?x=1", "body", map[string]string{"Content-Type": "text/plain"})
			tt.change(r)
			if err := verify(r); kindOf(err) != tt.want || (tt.want == -1 && err != nil) {
				t.Errorf("Verify = %v, want kind %d", err, tt.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	v := NewVerifier(clock, 100)
	for _, tt := range []struct {
		name string
		key  Key
		want Kind
	}{
		{"right", Key{Secret: testSecret}, -1},
		{"wrong secret under a cached id", Key{Secret: "other"}, Mismatch},
		{"right again", Key{Secret: testSecret}, -1},
		{"unknown", Key{Unknown: true}, UnknownKey},
		{"unknown beside a right secret", Key{Unknown: true, Secret: testSecret}, UnknownKey},
		{"token missing", Key{Secret: testSecret, SessionToken: "t"}, BadToken},
	} {
		r := signed(t, "kms", http.MethodPost, "/", "", nil)
		s, err := ParseScope(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(r, s, tt.key); kindOf(err) != tt.want || (tt.want == -1 && err != nil) {
			t.Errorf("%s: Verify = %v, want kind %d", tt.name, err, tt.want)
		}
	}
	// A token that a long-term key does not have.
	r := signed(t, "kms", http.MethodPost, "/", "", map[string]string{"X-Amz-Security-Token": "t"})
	if err := verify(r); kindOf(err) != BadToken {
		t.Errorf("Verify with a superfluous token = %v, want BadToken", err)
	}
	for i := range 3 * maxKeys {
		v.keys.signingKey(&Scope{AccessKeyID: fmt.Sprint(i)}, "x")
	}
	if len(v.keys.keys) > maxKeys {
		t.Errorf("the cache holds %d keys, more than %d", len(v.keys.keys), maxKeys)
	}
}

func TestParseScope(t *testing.T) {
	t.Parallel()
	sig := strings.Repeat("a", 64)
	good := "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + sig
	tests := map[string]struct {
		header, query string
		want          Kind
	}{
		"good":             {good, "", -1},
		"no spaces":        {strings.ReplaceAll(good, ", ", ","), "", -1},
		"none":             {"", "", Missing},
		"presigned":        {"", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=x", Later},
		"sigv2 query":      {"", "AWSAccessKeyId=a&Signature=b&Expires=1", Unsupported},
		"sigv2 header":     {"AWS AKID:sig", "", Unsupported},
		"sigv4a":           {strings.Replace(good, "HMAC", "ECDSA-P256", 1), "", Unsupported},
		"bearer":           {"Bearer x", "", Unsupported},
		"both":             {good, "X-Amz-Algorithm=AWS4-HMAC-SHA256", Unsupported},
		"no signature":     {strings.Split(good, ", Sig")[0], "", Malformed},
		"twice":            {good + ", Signature=" + sig, "", Malformed},
		"short signature":  {good[:len(good)-1], "", Malformed},
		"upper signature":  {strings.Replace(good, sig, strings.ToUpper(sig), 1), "", Malformed},
		"bad region":       {strings.Replace(good, "us-east-1", "US_EAST", 1), "", Malformed},
		"bad terminator":   {strings.Replace(good, "aws4_request", "aws4", 1), "", Malformed},
		"bad date":         {strings.Replace(good, "20260102", "2026", 1), "", Malformed},
		"header twice":     {strings.Replace(good, "host;", "host;host;", 1), "", Malformed},
		"upper header":     {strings.Replace(good, "host;", "Host;", 1), "", Malformed},
		"newline in names": {strings.Replace(good, "host;", "host\n;", 1), "", Malformed},
	}
	for name, tt := range tests {
		r := httptest.NewRequest(http.MethodGet, "/?"+tt.query, nil)
		if tt.header != "" {
			r.Header.Set("Authorization", tt.header)
		}
		if _, err := ParseScope(r); kindOf(err) != tt.want || (tt.want == -1 && err != nil) {
			t.Errorf("%s: ParseScope = %v, want kind %d", name, err, tt.want)
		}
	}
}

func TestDialects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind            Kind
		json, query, s3 string
		s3Status        int
	}{
		{UnknownKey, "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", 403},
		{Mismatch, "InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch", 403},
		{Missing, "MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied", 403},
		{Skewed, "InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", 403},
		{Unsupported, "InvalidRequest", "InvalidRequest", "InvalidRequest", 400},
		{Later, "NotImplemented", "NotImplemented", "NotImplemented", 501},
		{BadToken, "UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken", 400},
	} {
		p := problemf(tt.kind, "text")
		s3 := p.For(DialectS3)
		if j, q := p.For(DialectJSON), p.For(DialectQuery); j.Code != tt.json || q.Code != tt.query || s3.Code != tt.s3 || s3.Status != tt.s3Status {
			t.Errorf("kind %d: %s, %s, %s %d", tt.kind, j.Code, q.Code, s3.Code, s3.Status)
		}
	}
}

func TestRegionOfAnyShapeIsServed(t *testing.T) {
	t.Parallel()
	for region, want := range map[cloister.Region]bool{"mx-central-1": true, "us-gov-west-1": true, "local": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20260102/"+string(region)+"/s3/aws4_request,SignedHeaders=host,Signature="+strings.Repeat("a", 64))
		if _, err := ParseScope(r); (err == nil) != want {
			t.Errorf("region %s: %v", region, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	sig := strings.Repeat("a", 64)
	f.Add("AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, Signature="+sig, "/a%2Fb", "x=1&y", "20260102T030405Z", []byte("3\r\nabc\r\n0\r\n\r\n"))
	f.Add("AWS AKID:x", "/", "AWSAccessKeyId=1", "", []byte{})
	f.Fuzz(func(t *testing.T, authorization, path, query, date string, body []byte) {
		r := httptest.NewRequest(http.MethodPut, "/", bytes.NewReader(body))
		r.RequestURI, r.URL.RawQuery = path, query
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		s, err := ParseScope(r)
		if err != nil {
			var p *SignatureError
			if !errors.As(err, &p) {
				t.Fatalf("ParseScope: %T is not a *SignatureError", err)
			}
			_ = p.For(DialectS3)
			return
		}
		if err := verifyAt(clock(), r, s, Key{Secret: "secret"}); err == nil {
			t.Fatalf("a request with a made-up signature verified: %q", authorization)
		}
	})
}
