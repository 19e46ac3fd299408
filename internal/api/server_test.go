package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/tlsca"
)

const (
	rootKey, rootSecret = "AKIAROOTROOTROOTROOT", "rootsecretrootsecretrootsecretrootsecret"
	tempKey, tempSecret = "ASIATEMPTEMPTEMPTEMP", "tempsecrettempsecrettempsecrettempsecret"
	tempToken           = "a/session+token=="
)

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// edge is a running server.
type edge struct {
	url, ca  string
	log      *syncBuffer
	client   *http.Client
	bedrock  *fakeBedrock
	s3       *fakeS3
	handler  *Handler
	registry *prometheus.Registry
	stop     func() error
}

// start runs the edge over TLS with fakes behind it.
func start(t *testing.T, change func(*Config, *fakeS3)) *edge {
	t.Helper()
	ca, err := tlsca.Load(t.TempDir(), nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{
		ca: ca.CAFile, log: &syncBuffer{}, registry: prometheus.NewRegistry(),
		bedrock: &fakeBedrock{jobs: map[string]*bedrock.GetModelCustomizationJobOutput{}},
		s3:      &fakeS3{objects: map[string]object{}, parts: map[int32][]byte{}},
	}
	log := slog.New(slog.NewJSONHandler(e.log, nil))
	c := Config{
		Services: Services{Bedrock: e.bedrock, EC2: fakeEC2{}, KMS: fakeKMS{}, IAM: fakeIAM{}, STS: fakeSTS{}, S3: e.s3},
		Credentials: fakeCredentials{
			rootKey: {AccessKeyID: rootKey, Secret: rootSecret, Principal: cloister.RootPrincipal(cloister.DefaultAccount)},
			tempKey: {AccessKeyID: tempKey, Secret: tempSecret, SessionToken: tempToken, Principal: cloister.Principal{
				Kind: cloister.KindAssumedRole, Account: cloister.DefaultAccount, ARN: "arn:aws:sts::123456789012:assumed-role/r/s", ID: "AROAX:s",
			}},
		},
		Own: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "own "+cloister.CallFrom(r.Context()).Principal.ARN)
		}),
		Log: log, Now: time.Now, Metrics: e.registry,
	}
	if change != nil {
		change(&c, e.s3)
	}
	if e.handler, err = New(c); err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", ca.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	e.url = "https://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, e.handler, log, 5*time.Second) }()
	e.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		if err := e.stop(); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	pem, err := os.ReadFile(e.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ExpectContinueTimeout: time.Second}}
	return e
}

func (e *edge) config() aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: &e.url, HTTPClient: e.client, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(rootKey, rootSecret, ""),
	}
}

func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	e := start(t, func(_ *Config, s *fakeS3) { s.gate = make(chan struct{}) })
	answered := make(chan error, 1)
	go func() { answered <- headBucket(t, e) }()
	for len(e.handler.slots) == 0 { // until the request is inside
		time.Sleep(time.Millisecond)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- e.stop() }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "https://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("the server stopped with a request in progress: %v", err)
	default:
	}
	close(e.s3.gate)
	if err := <-answered; err != nil {
		t.Errorf("a request in progress at the end: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// TestShutdownEndsStreams wants an event stream to end when the server begins to stop.
func TestShutdownEndsStreams(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{})
	e := start(t, func(c *Config, _ *fakeS3) {
		c.Own = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("Flush = %v", err)
			}
			close(inside)
			<-r.Context().Done()
		})
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.send(t, "cloister", rootKey, rootSecret, "GET", "/_cloister/events", "", nil)
	}()
	<-inside
	begin := time.Now()
	if err := e.stop(); err != nil {
		t.Errorf("Serve = %v", err)
	}
	<-done
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the stream held the server up for %v", took)
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	if err := headBucket(t, e); err != nil {
		t.Fatal(err)
	}
	var broken error
	admin := Admin(e.registry, func(context.Context) error { return broken })
	get := func(path string) (int, string) {
		w := &bytesWriter{header: http.Header{}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		admin.ServeHTTP(w, r)
		return w.status, w.buf.String()
	}
	if status, body := get("/metrics"); status != 200 || !strings.Contains(body, `cloister_requests_total{code="200",operation="HeadBucket",service="s3"} 1`) {
		t.Errorf("/metrics = %d %s", status, body)
	}
	if status, _ := get("/healthz"); status != 200 {
		t.Errorf("/healthz = %d", status)
	}
	if status, _ := get("/readyz"); status != 200 {
		t.Errorf("/readyz = %d", status)
	}
	broken = io.ErrUnexpectedEOF
	if status, body := get("/readyz"); status != 503 || !strings.Contains(body, "unexpected EOF") {
		t.Errorf("/readyz of a broken server = %d %s", status, body)
	}
	if status, _ := get("/bucket"); status != 404 {
		t.Errorf("/bucket on the admin listener = %d", status)
	}
}

type bytesWriter struct {
	header http.Header
	status int
	buf    bytes.Buffer
}

func (w *bytesWriter) Header() http.Header { return w.header }

func (w *bytesWriter) WriteHeader(status int) { w.status = status }

func (w *bytesWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	return w.buf.Write(p)
}

var _ iam.Credentials = fakeCredentials{}
