package cloistertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	bedrockservice "example.com/cloister/internal/bedrock"
)

// Own sends a signed request to one of the server's own paths, given without /_cloister/. The caller closes
// the body of the answer.
func (s *Server) Own(t testing.TB, method, path string, body []byte, header http.Header) *http.Response {
	t.Helper()
	return s.Signed(t, method, "/_cloister/"+path, "cloister", body, header)
}

// Signed sends a request that the root has signed for a service. The caller closes the body of the answer.
func (s *Server) Signed(t testing.TB, method, path, service string, body []byte, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.Endpoint.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	creds := aws.Credentials{AccessKeyID: s.Credential.AccessKeyID, SecretAccessKey: s.Credential.Secret.Reveal()}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, req, hash, service, s.Endpoint.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Answer sends a signed request without a body and returns the status and text of the answer, as "200 text".
func (s *Server) Answer(t testing.TB, method, path, service string, header http.Header) string {
	t.Helper()
	resp := s.Signed(t, method, path, service, nil, header)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(resp.StatusCode) + " " + string(text)
}

// Show returns what the server knows of a job beyond AWS's answer.
func (s *Server) Show(t testing.TB, job string) bedrockservice.View {
	t.Helper()
	var view bedrockservice.View
	s.ask(t, http.MethodGet, "jobs/"+job, nil, &view)
	return view
}

// Compare asks the fake engine about a model: its answer to a prompt is the hash of the weights.
func (s *Server) Compare(t testing.TB, model string, prompts ...string) bedrockservice.Compared {
	t.Helper()
	body, err := json.Marshal(bedrockservice.Comparison{Prompts: prompts})
	if err != nil {
		t.Fatal(err)
	}
	var out bedrockservice.Compared
	s.ask(t, http.MethodPost, "models/"+model+"/compare", body, &out)
	return out
}

// ask decodes the answer of one of the server's own paths.
func (s *Server) ask(t testing.TB, method, path string, body []byte, out any) {
	t.Helper()
	resp := s.Own(t, method, path, body, nil)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", resp.Request.URL.Path, resp.Status, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
}

// Keys lists the objects of a bucket.
func (s *Server) Keys(t testing.TB, bucket string) []string {
	t.Helper()
	out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, o := range out.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}
