package awsfake

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/wire"
)

// call is a request while it is served.
type call struct {
	Call
	s         *Server
	ctx       context.Context //nolint:containedctx // a call is what one request is
	account   *account
	region    *region // never nil
	caller    string  // the caller's ARN
	userID    string
	path      string // path, query, body and expected bucket owner, for Fault.Resource
	offset    int    // where the page begins
	header    http.Header
	fault     *Fault // that happens to the answer
	throttled bool
	release   func() // lets others change the world; nil while they may
}

type callKey struct{}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// ServeHTTP serves over a connection what HTTPClient serves in process.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := s.serve(r)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	maps.Copy(w.Header(), out.header)
	if r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(out.body.Len()))
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body.Bytes()) // nobody is left to tell
}

type transport struct{ s *Server }

// RoundTrip serves r.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }() // the request's own; it was read
	}
	out, err := t.s.serve(r)
	if err != nil {
		return nil, err
	}
	body := io.NopCloser(&out.body)
	length := int64(out.body.Len())
	if r.Method == http.MethodHead {
		body, length = http.NoBody, -1
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", out.status, http.StatusText(out.status)), StatusCode: out.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.header, Body: body, ContentLength: length, Request: r,
	}, nil
}

// serve answers r. An error is that of its context.
func (s *Server) serve(r *http.Request) (*recorder, error) {
	ctx := r.Context()
	out := &recorder{header: http.Header{}}
	scope, ok := parseScope(r)
	if !ok {
		out.header.Set("Content-Type", "application/json")
		out.status = http.StatusForbidden
		out.body.WriteString(`{"message":"Missing Authentication Token"}`)
		return out, nil
	}
	c := &call{s: s, header: out.header, Call: Call{Region: scope.region, Service: serviceOf(scope.service, r)}}
	known := s.authenticate(c, scope)
	place := s.begin(c.Call)
	defer func() { s.end(place, c.Call, c.throttled) }()
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	service := s.services[c.Service]
	if service == nil {
		out.status = http.StatusNotFound
		_, _ = fmt.Fprintf(&out.body, "awsfake does not serve %q\n", scope.service)
		return out, nil
	}
	id := requestID(place)
	out.header.Set("X-Amzn-Requestid", id)
	if strings.HasPrefix(c.Service, "s3") {
		out.header.Set("X-Amz-Request-Id", id)
	}
	r, err := s.prepare(c, r)
	if err != nil {
		return nil, err
	}
	if known != nil {
		o := service.WriteError(out, r, id, known)
		c.Status = o.Status
		return out, nil
	}
	c.ctx = ctx
	defer func() {
		if c.release != nil {
			c.release()
		}
	}()
	ctx = cloister.WithCall(context.WithValue(ctx, callKey{}, c), cloister.Call{RequestID: id})
	var outcome wire.Outcome
	service.Serve(out, r.WithContext(ctx), func(o wire.Outcome) { outcome = o })
	c.Operation = outcome.Operation
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.damage(out)
	c.Status = out.status
	return out, nil
}

// prepare reads r's body, so that faults can look at it, and brings S3's virtual hosts into paths.
func (s *Server) prepare(c *call, r *http.Request) (*http.Request, error) {
	r = r.Clone(r.Context())
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, wire.DefaultMaxBody)); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if c.Service == "s3" {
		host := r.Host
		if host == "" {
			host = r.URL.Host
		}
		if bucket, _, ok := strings.Cut(host, ".s3."); ok {
			r.URL.Path, r.URL.RawPath = "/"+bucket+r.URL.Path, "/"+bucket+r.URL.EscapedPath()
		}
	}
	text := string(body)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		text = unescape(text)
	}
	c.path = r.URL.Path + "?" + unescape(r.URL.RawQuery) + "\n" + text + "\n" + r.Header.Get("X-Amz-Expected-Bucket-Owner")
	return r, nil
}

func unescape(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// wait lets the latency pass.
func (s *Server) wait(ctx context.Context) error {
	if s.options.Latency <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(s.options.Latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func requestID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n+1) }
