package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// reply is an answer that was read to its end.
type reply struct {
	StatusCode int
	Header     http.Header
}

// send signs (unless key is empty) and sends a request, and returns status, headers and body.
func (e *edge) send(t *testing.T, service, key, secret, method, target, body string, headers map[string]string) (reply, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, e.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	if host := headers["Host"]; host != "" {
		r.Host = host
	}
	if key != "" {
		sum := sha256.Sum256([]byte(body))
		payload := hex.EncodeToString(sum[:])
		if service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", payload)
		}
		err := signer.NewSigner(func(o *signer.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }).SignHTTP(
			t.Context(), aws.Credentials{AccessKeyID: key, SecretAccessKey: secret}, r, payload, service, "us-east-1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	response, err := e.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header}, string(data)
}

func headBucket(t *testing.T, e *edge) error {
	t.Helper()
	_, err := s3.NewFromConfig(e.config()).HeadBucket(context.WithoutCancel(t.Context()), &s3.HeadBucketInput{Bucket: aws.String("bucket")})
	return err
}

// TestAnswers sends raw requests and compares status and what the body must contain.
func TestAnswers(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	json11 := func(target string) map[string]string {
		return map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target}
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	tests := map[string]struct {
		service, key, secret   string
		method, target, body   string
		headers                map[string]string
		status                 int
		contains, errorTypeHas string
	}{
		"s3 unsigned":           {"s3", "", "", "GET", "/bucket/key", "", nil, 403, "<Code>AccessDenied</Code>", ""},
		"kms unsigned":          {"kms", "", "", "POST", "/", "{}", json11("TrentService.ListKeys"), 403, `"__type":"MissingAuthenticationTokenException"`, "MissingAuthenticationTokenException"},
		"bedrock unsigned":      {"bedrock", "", "", "GET", "/custom-models", "", nil, 403, `"message":`, "MissingAuthenticationTokenException"},
		"sts unsigned":          {"sts", "", "", "POST", "/", "Action=GetCallerIdentity", form, 403, "<Code>MissingAuthenticationToken</Code>", ""},
		"own unsigned":          {"cloister", "", "", "GET", "/_cloister/x", "", nil, 403, "MissingAuthenticationTokenException", ""},
		"s3 sigv2":              {"s3", "", "", "GET", "/bucket/key?AWSAccessKeyId=a&Signature=b&Expires=1", "", nil, 400, "AWS4-HMAC-SHA256", ""},
		"s3 presigned":          {"s3", "", "", "GET", "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=b", "", nil, 501, "<Code>NotImplemented</Code>", ""},
		"s3 unknown key":        {"s3", "AKIANOBODY", "x", "GET", "/bucket/key", "", nil, 403, "<Code>InvalidAccessKeyId</Code>", ""},
		"s3 wrong secret":       {"s3", rootKey, "x", "GET", "/bucket/key", "", nil, 403, "<Code>SignatureDoesNotMatch</Code>", ""},
		"kms unknown key":       {"kms", "AKIANOBODY", "x", "POST", "/", "{}", json11("TrentService.ListKeys"), 403, "UnrecognizedClientException", ""},
		"kms wrong secret":      {"kms", rootKey, "x", "POST", "/", "{}", json11("TrentService.ListKeys"), 403, "InvalidSignatureException", ""},
		"bedrock wrong secret":  {"bedrock", rootKey, "x", "GET", "/custom-models", "", nil, 403, "message", "InvalidSignatureException"},
		"sts unknown key":       {"sts", "AKIANOBODY", "x", "POST", "/", "Action=GetCallerIdentity", form, 403, "<Code>InvalidClientTokenId</Code>", ""},
		"temporary, no token":   {"sts", tempKey, tempSecret, "POST", "/", "Action=GetCallerIdentity", form, 403, "InvalidClientTokenId", ""},
		"credential store down": {"sts", "AKIABROKEN", "x", "POST", "/", "Action=GetCallerIdentity", form, 500, "InternalFailure", ""},
		"bedrock unserved":      {"bedrock", rootKey, rootSecret, "GET", "/guardrails", "", nil, 400, "Unknown operation", "ValidationException"},
		"bedrock unknown":       {"bedrock", rootKey, rootSecret, "GET", "/model/x/invoke", "", nil, 400, "Unknown operation", "ValidationException"},
		"kms unserved":          {"kms", rootKey, rootSecret, "POST", "/", "{}", json11("TrentService.ReEncrypt"), 400, "UnknownOperationException", ""},
		"kms other service":     {"kms", rootKey, rootSecret, "POST", "/", "{}", json11("DynamoDB.ListKeys"), 400, "UnknownOperationException", ""},
		"iam unserved":          {"iam", rootKey, rootSecret, "POST", "/", "Action=CreateUser&Version=2010-05-08", form, 400, "<Code>InvalidAction</Code>", ""},
		"iam unknown":           {"iam", rootKey, rootSecret, "POST", "/", "Action=Nonsense&Version=2010-05-08", form, 400, "<Code>InvalidAction</Code>", ""},
		"s3 unserved":           {"s3", rootKey, rootSecret, "GET", "/bucket?acl", "", nil, 501, "<Code>NotImplemented</Code>", ""},
		"s3 copy":               {"s3", rootKey, rootSecret, "PUT", "/bucket/key", "", map[string]string{"X-Amz-Copy-Source": "/a/b"}, 501, "CopyObject", ""},
		"s3 subresource":        {"s3", rootKey, rootSecret, "DELETE", "/bucket/key?acl", "", nil, 405, "<Code>MethodNotAllowed</Code>", ""},
		"s3 lone partNumber":    {"s3", rootKey, rootSecret, "PUT", "/bucket/key?partNumber=1", "x", nil, 405, "<Code>MethodNotAllowed</Code>", ""},
		"s3 no such method":     {"s3", rootKey, rootSecret, "PATCH", "/bucket/key", "", nil, 405, "<Code>MethodNotAllowed</Code>", ""},
		"s3 error fields":       {"s3", rootKey, rootSecret, "GET", "/bucket/no%20key", "", nil, 404, "<BucketName>bucket</BucketName><Key>no key</Key>", ""},
		"s3 virtual host":       {"s3", rootKey, rootSecret, "GET", "/key", "", map[string]string{"Host": "bucket.localhost:8700"}, 400, "path-style", ""},
		"s3 bad xml":            {"s3", rootKey, rootSecret, "POST", "/bucket?delete", "<Delete><", nil, 400, "<Code>MalformedXML</Code>", ""},
		"s3 entity":             {"s3", rootKey, rootSecret, "POST", "/bucket?delete", `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Delete>&a;</Delete>`, nil, 400, "<Code>MalformedXML</Code>", ""},
		"unserved service":      {"dynamodb", rootKey, rootSecret, "POST", "/", "{}", json11("DynamoDB.ListTables"), 400, `dynamodb`, "UnknownOperationException"},
		"unserved form service": {"rds", rootKey, rootSecret, "POST", "/", "Action=DescribeDBInstances", form, 400, `&#34;rds&#34;`, ""},
		"ec2":                   {"ec2", rootKey, rootSecret, "POST", "/", "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1", form, 200, "<vpcId>vpc-1</vpcId>", ""},
		"ec2 bad key":           {"ec2", "AKIANOBODY", rootSecret, "POST", "/", "Action=DescribeVpcs&Version=2016-11-15", form, 401, "<Code>AuthFailure</Code>", ""},
		"ec2 bad secret":        {"ec2", rootKey, "x", "POST", "/", "Action=DescribeVpcs&Version=2016-11-15", form, 401, "<Code>AuthFailure</Code>", ""},
		"ec2 unserved":          {"ec2", rootKey, rootSecret, "POST", "/", "Action=RunInstances&Version=2016-11-15", form, 400, "<Errors><Error><Code>", ""},
		"own":                   {"cloister", rootKey, rootSecret, "GET", "/_cloister/x", "", nil, 200, "own arn:aws:iam::123456789012:root", ""},
		"own path as s3":        {"s3", rootKey, rootSecret, "GET", "/_cloister/x", "", nil, 400, "InvalidRequest", ""},
		"s3 as own":             {"cloister", rootKey, rootSecret, "GET", "/bucket/key", "", nil, 400, "InvalidRequest", ""},
		"kms large body":        {"kms", rootKey, rootSecret, "POST", "/", strings.Repeat(" ", 1<<20+1), json11("TrentService.ListKeys"), 413, "RequestEntityTooLarge", ""},
		"kms sdk exception":     {"kms", rootKey, rootSecret, "POST", "/", `{"KeyId":"k"}`, json11("TrentService.DescribeKey"), 400, "NotFoundException", ""},
		"kms unknown error":     {"kms", rootKey, rootSecret, "POST", "/", `{"KeyId":"error"}`, json11("TrentService.DescribeKey"), 500, "KMSInternalException", ""},
		"kms panic":             {"kms", rootKey, rootSecret, "POST", "/", `{"KeyId":"panic"}`, json11("TrentService.DescribeKey"), 500, "KMSInternalException", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := e.send(t, tt.service, tt.key, tt.secret, tt.method, tt.target, tt.body, tt.headers)
			if response.StatusCode != tt.status || !strings.Contains(body, tt.contains) || !strings.Contains(response.Header.Get("X-Amzn-Errortype"), tt.errorTypeHas) {
				t.Errorf("answer = %d %v\n%s\nwant %d and %q", response.StatusCode, response.Header, body, tt.status, tt.contains)
			}
			if response.Header.Get("X-Amzn-Requestid") == "" {
				t.Error("the answer has no request id")
			}
			if strings.HasPrefix(name, "s3 ") && tt.service == "s3" && (response.Header.Get("X-Amz-Request-Id") == "" || response.Header.Get("X-Amz-Id-2") == "") {
				t.Error("S3's answer lacks its ids")
			}
			for _, leak := range []string{"internal-detail", "secret-in-panic", "on fire"} {
				if strings.Contains(body, leak) {
					t.Errorf("the answer tells %q", leak)
				}
			}
		})
	}
	t.Cleanup(func() {
		log := e.log.String()
		for _, want := range []string{"internal-detail", "on fire", `"operation":"DescribeKey"`, `"principal":"arn:aws:iam::123456789012:root"`} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %q", want)
			}
		}
		for _, leak := range []string{rootSecret, "no key", "no%20key", "AWSAccessKeyId", "Signature="} {
			if strings.Contains(log, leak) {
				t.Errorf("the log tells %q", leak)
			}
		}
	})
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config, s *fakeS3) {
		c.MaxConcurrent = 1
		s.gate = make(chan struct{})
	})
	first := make(chan error, 1)
	go func() { first <- headBucket(t, e) }()
	for len(e.handler.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	if response, body := e.send(t, "s3", rootKey, rootSecret, "GET", "/bucket/key", "", nil); response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "SlowDown") {
		t.Errorf("a request above the limit = %d %s", response.StatusCode, body)
	}
	if response, body := e.send(t, "bedrock", rootKey, rootSecret, "GET", "/custom-models", "", nil); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("X-Amzn-Errortype") != "ThrottlingException" {
		t.Errorf("a request above the limit = %d %s", response.StatusCode, body)
	}
	if response, _ := e.send(t, "cloister", rootKey, rootSecret, "GET", "/_cloister/x", "", nil); response.StatusCode != http.StatusOK {
		t.Errorf("an own path above the limit = %d", response.StatusCode)
	}
	close(e.s3.gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// TestSlowStranger lets callers whom nobody knows yet send their bodies slowly: they take no slot, and not
// long.
func TestSlowStranger(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config, _ *fakeS3) {
		c.MaxConcurrent = 1
		c.Hurry = 300 * time.Millisecond
	})
	roots := e.client.Transport.(*http.Transport).TLSClientConfig
	conn, err := tls.Dial("tcp", strings.TrimPrefix(e.url, "https://"), roots)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	begin := time.Now()
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nX-Amz-Date: %s\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=%s/%s/us-east-1/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature=%064d\r\n\r\n",
		begin.UTC().Format("20060102T150405Z"), rootKey, begin.UTC().Format("20060102"), 0); err != nil {
		t.Fatal(err)
	}
	for len(e.handler.unknown) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := headBucket(t, e); err != nil {
		t.Errorf("a known caller beside a slow stranger: %v", err)
	}
	go func() { // a byte now and then
		for {
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("a slow stranger was borne for %v", took)
	}
	if len(e.handler.unknown) != 0 {
		t.Error("a slow stranger's slot is left")
	}
}

// TestStall wants an upload that stands still ended, and a slow method left alone.
func TestStall(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config, s *fakeS3) {
		c.Stall = 150 * time.Millisecond
		s.slow = 500 * time.Millisecond
	})
	for range 2 { // the second on the same connection, after the first one's deadlines have passed
		if err := headBucket(t, e); err != nil {
			t.Errorf("a method slower than the stall limit: %v", err)
		}
	}
	reader, writer := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.url+"/bucket/key", reader)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 1 << 20
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if err := signer.NewSigner(func(o *signer.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(t.Context(),
		aws.Credentials{AccessKeyID: rootKey, SecretAccessKey: rootSecret}, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		// Slower in all than the limit, but never standing still; then still until the server has enough.
		for range 5 {
			time.Sleep(60 * time.Millisecond)
			if _, err := writer.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
				return
			}
		}
		for !strings.Contains(e.log.String(), "RequestTimeout") && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		_ = writer.CloseWithError(io.ErrClosedPipe)
	}()
	begin := time.Now()
	if response, err := e.client.Do(r); err == nil {
		_ = response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("an upload that stands still = %d", response.StatusCode)
		}
	}
	<-written
	if took := time.Since(begin); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("it was ended after %v", took)
	}
	if log := e.log.String(); !strings.Contains(log, `"bytes_in":5000`) {
		t.Errorf("the log has no 5000 bytes:\n%s", log)
	}
	if len(e.s3.objects) != 0 {
		t.Error("an object exists")
	}
}

// TestCatalogue wants the table of each service to be what the model serves, and every row to fit its types.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	total := 0
	for service, names := range Catalogue() {
		total += len(names)
		bound := e.handler.services[service].Operations()
		slices.Sort(names)
		if !slices.Equal(names, bound) {
			t.Errorf("%s: Catalogue %v, bound %v", service, names, bound)
		}
		for _, gap := range e.handler.services[service].Audit() {
			t.Errorf("%s: %s", service, gap)
		}
	}
	if total < 60 {
		t.Errorf("the catalogue has %d operations", total)
	}
}

// TestWithoutEC2 wants a server that was given no EC2 to answer it as unserved.
func TestWithoutEC2(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config, _ *fakeS3) { c.Services.EC2 = nil })
	if _, served := e.handler.services[serviceEC2]; served {
		t.Error("EC2 is served without a service")
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}); err == nil {
		t.Error("New of an empty Config succeeded")
	}
}

func TestVirtualHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"127.0.0.1:8700": false, "localhost:8700": false, "localhost": false, "b.localhost": true, "b.LocalHost:1": true, "[::1]:8700": false, "cloister.example": false} {
		if got := virtualHost(host); got != want {
			t.Errorf("virtualHost(%s) = %v", host, got)
		}
	}
	if !strings.Contains(fmt.Sprint(unservedService("x")), `"x"`) {
		t.Error("an unserved service is not named")
	}
}
