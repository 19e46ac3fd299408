// Package tape records HTTP exchanges with AWS in a directory and plays them back, so that an audit can be repeated
// without the account: offline, in another place, in a test. It works below the SDK: what is played back goes through the
// same decoding as what came over the network.
//
// A recording holds what the account answered: names, ARNs, policies. Files are 0600. Requests' signatures, and every
// exchange that carries credentials (AWS STS, IAM Identity Center), are never recorded. Redact replaces account ids.
package tape

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxBody is the most that is kept of one answer, in bytes; no answer of the auditor's calls comes near.
const maxBody = 32 << 20

// Exchange is one recorded answer.
type Exchange struct {
	// Call says what was asked, for people who read the file.
	Call   string      `json:"call"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	// Error is set instead when no answer came: "Timeout", "NoSuchHost" or "Network".
	Error string `json:"error,omitempty"`
}

// ErrNotRecorded is what a player answers to a call that the recording lacks.
var ErrNotRecorded = errors.New("the recording does not have this call")

// key names an exchange by what was asked: not by endpoint, date or signature.
func key(scope string, req *http.Request, body []byte) string {
	query := req.URL.Query()
	for name := range query {
		if strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			query.Del(name)
		}
	}
	sum := sha256.New()
	for _, part := range []string{scope, req.Method, resource(req.URL), query.Encode(), req.Header.Get("X-Amz-Target"), req.Header.Get("X-Amz-Expected-Bucket-Owner"), req.Header.Get("X-Amz-Account-Id")} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	_, _ = sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// resource is a URL's path, with the bucket that Amazon S3 has in the host's name: another endpoint has it in the path.
func resource(u *url.URL) string {
	path := u.EscapedPath()
	for _, service := range []string{".s3.", ".s3-fips."} {
		if bucket, _, ok := strings.Cut(u.Host, service); ok {
			path = "/" + bucket + path
		}
	}
	return strings.TrimRight(path, "/")
}

// Recorder writes exchanges to a directory. It is safe for concurrent use.
type Recorder struct {
	dir    string
	redact *redactor // nil keeps account ids

	mu    sync.Mutex // guards wrote
	wrote error
}

// Record makes a recorder for a directory, which must be empty or not exist; it is made with mode 0700.
func Record(dir string, redact bool) (*Recorder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("the directory %s of the recording is not empty: name a new one", dir)
	}
	r := &Recorder{dir: dir}
	if redact {
		r.redact = newRedactor()
	}
	return r, nil
}

// Redact returns text as the recording holds it.
func (r *Recorder) Redact(text string) string {
	if r.redact == nil {
		return text
	}
	return r.redact.text(text)
}

// WriteManifest keeps what is needed to play back, as JSON.
func (r *Recorder) WriteManifest(manifest any) error {
	body, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	if err := r.write("manifest.json", []byte(r.Redact(string(body)))); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrote
}

func (r *Recorder) write(name string, body []byte) error {
	temporary, err := os.CreateTemp(r.dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	if _, err := temporary.Write(body); err != nil {
		_ = temporary.Close()
		return err
	}
	if err := temporary.Close(); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), filepath.Join(r.dir, name))
}

// Doer sends requests, as the SDK's HTTP clients do.
type Doer interface {
	Do(req *http.Request) (*http.Response, error)
}

// Client returns a Doer that sends with next and records under scope: account, service and region.
func (r *Recorder) Client(next Doer, scope string) Doer { return &recording{r, next, scope} }

type recording struct {
	recorder *Recorder
	next     Doer
	scope    string
}

func (c *recording) Do(req *http.Request) (*http.Response, error) {
	body, err := requestBody(req)
	if err != nil {
		return nil, err
	}
	resp, err := c.next.Do(req)
	e := Exchange{Call: c.scope + " " + req.Method + " " + resource(req.URL) + " " + req.Header.Get("X-Amz-Target")}
	switch {
	case err != nil:
		e.Error = kind(err)
	default:
		text, readErr := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		if readErr == nil && len(text) > maxBody {
			readErr = fmt.Errorf("the answer is larger than %d MiB", maxBody>>20)
		}
		_ = resp.Body.Close()
		if readErr != nil { // a body that breaks off is recorded as that
			e.Error, err = kind(readErr), readErr
			break
		}
		resp.Body = io.NopCloser(bytes.NewReader(text))
		e.Status, e.Header, e.Body = resp.StatusCode, kept(resp.Header), string(text)
	}
	if writeErr := c.recorder.keep(c.scope, req, body, e); writeErr != nil {
		return nil, writeErr
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (r *Recorder) keep(scope string, req *http.Request, body []byte, e Exchange) error {
	redacted := req.Clone(req.Context())
	redacted.URL, body = r.redactURL(req.URL), []byte(r.Redact(string(body)))
	for name, values := range redacted.Header {
		for i, value := range values {
			redacted.Header[name][i] = r.Redact(value)
		}
	}
	name := key(r.Redact(scope), redacted, body) + ".json"
	e.Call, e.Body = r.Redact(e.Call), r.Redact(e.Body)
	text, err := json.MarshalIndent(e, "", "  ")
	if err == nil {
		err = r.write(name, text)
	}
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wrote = fmt.Errorf("write the recording: %w", err)
	}
	return err
}

func (r *Recorder) redactURL(u *url.URL) *url.URL {
	c := *u
	c.Host = r.Redact(u.Host)
	c.Path, c.RawPath, c.RawQuery = r.Redact(u.Path), r.Redact(u.RawPath), r.Redact(u.RawQuery)
	return &c
}

// kept are the headers that decoding and evidence need.
func kept(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{"Content-Type", "X-Amzn-Requestid", "X-Amz-Request-Id", "X-Amz-Id-2", "X-Amzn-Errortype", "X-Amz-Bucket-Region"} {
		if v := h.Values(name); len(v) > 0 {
			out[name] = v
		}
	}
	return out
}

func requestBody(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := req.Body.Close(); err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}
