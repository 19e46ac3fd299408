// Package cloistertest starts a whole Cloister in a test: the real server, database, crypto and TLS on a
// random port, with an executor that isolates nothing and a fake engine in Go in place of the training
// engine. Only tests import it.
//
// A test package that uses it calls Processes first in its TestMain.
package cloistertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	bedrockservice "example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/engine/process"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/server"
)

// Server is a running Cloister with clients of its root user.
type Server struct {
	Data       string
	Endpoint   server.Endpoint
	Credential iam.Credential
	Host       *executortest.Host
	HTTP       *http.Client

	Bedrock *bedrock.Client
	S3      *s3.Client
	KMS     *kms.Client
	IAM     *awsiam.Client
	STS     *sts.Client

	stop func()
}

// Options change what Start does.
type Options struct {
	// Data is an existing data directory; empty makes a new one.
	Data string
	// Config changes the configuration.
	Config func(*server.Config)
	// Log receives the server's log; nil throws it away.
	Log io.Writer
	// Now is the clock; nil is the real one.
	Now func() time.Time
	// Seams stand between the server's parts.
	Seams server.Seams
}

// Start runs a server until the test ends or Stop is called.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{Data: o.Data, Host: executortest.NewHost(t)}
	if s.Data == "" {
		s.Data = filepath.Join(t.TempDir(), "data")
	}
	config := server.Default()
	config.Listen, config.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	if o.Config != nil {
		o.Config(&config)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	running, err := server.Open(t.Context(), server.Options{
		Data: s.Data, Config: config, Bases: Bases(t), Engine: FakeEngine{}, Executor: s.Host,
		Log: slog.New(slog.NewTextHandler(o.Log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: o.Now,
		Seams: o.Seams,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- errors.Join(running.Run(ctx), running.Close()) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
		s.stop = func() {}
	}
	t.Cleanup(func() { s.stop() })
	s.Endpoint = running.Endpoint()
	s.attach(t, config)
	return s
}

// attach reads the root's access key and makes clients.
func (s *Server) attach(t testing.TB, config server.Config) {
	t.Helper()
	var err error
	if s.Credential, err = server.ReadRootCredential(t.Context(), s.Data, cloister.AccountID(config.Account)); err != nil {
		t.Fatal(err)
	}
	s.clients(t)
}

// Stop stops the server and waits for its end.
func (s *Server) Stop() { s.stop() }

// Trusting is a transport that trusts a server's CA and nobody else.
func Trusting(t testing.TB, ca string) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// clients makes SDK clients that trust the server's CA.
func (s *Server) clients(t testing.TB) {
	t.Helper()
	transport := Trusting(t, s.Endpoint.CA)
	s.HTTP = &http.Client{Transport: transport}
	c := aws.Config{
		Region: s.Endpoint.Region, BaseEndpoint: aws.String(s.Endpoint.URL), HTTPClient: s.HTTP,
		Credentials:      credentials.NewStaticCredentialsProvider(s.Credential.AccessKeyID, s.Credential.Secret.Reveal(), ""),
		RetryMaxAttempts: 1,
	}
	s.Bedrock, s.KMS, s.IAM, s.STS = bedrock.NewFromConfig(c), kms.NewFromConfig(c), awsiam.NewFromConfig(c), sts.NewFromConfig(c)
	s.S3 = s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
}

// Bases is a registry with one model, whose weights nobody reads, under the ids of both known models.
func Bases(t testing.TB) *basemodel.Registry {
	t.Helper()
	return BasesAt(t, filepath.Join(t.TempDir(), "models"))
}

// BasesAt makes such a registry in a folder.
func BasesAt(t testing.TB, dir string) *basemodel.Registry {
	t.Helper()
	from := t.TempDir()
	for name, text := range map[string]string{"config.json": "{}", "model.safetensors": "weights"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	registry, err := basemodel.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range map[string]string{basemodel.SmolLM2: "SmolLM2-135M", basemodel.Tiny: "Cloister-Tiny"} {
		_, err := registry.Add(t.Context(), basemodel.Manifest{
			ID: id, Name: name, Provider: "Test", Parameters: 1, ContextLength: 8192, MaxSequenceLength: 1024,
			Profile: basemodel.TitanTextLite, DefaultMethod: basemodel.MethodFull, LoRAScale: basemodel.DefaultLoRAScale,
			Customizations: []string{basemodel.FineTuning, basemodel.PreTraining},
		}, root)
		if err != nil {
			t.Fatal(err)
		}
	}
	return registry
}

// FakeEngine runs executortest's fake engine: this test binary, executed again.
type FakeEngine struct{}

var _ bedrockservice.Engine = FakeEngine{}

// Threads implements bedrock.Engine.
func (FakeEngine) Threads() int { return 1 }

// Mounts implements bedrock.Engine.
func (FakeEngine) Mounts() ([]executor.Mount, error) { return nil, nil }

// Run implements bedrock.Engine.
func (FakeEngine) Run(ctx context.Context, box executor.Sandbox, spec engine.Spec, onEvent func(engine.Event) error, stop <-chan struct{}) (bedrockservice.EngineResult, error) {
	self, err := os.Executable()
	if err != nil {
		return bedrockservice.EngineResult{}, err
	}
	c := process.Command{Python: self, Env: []string{executortest.FakeEngineVariable + "=1"}}
	result, err := c.Run(ctx, box, spec, onEvent, stop)
	return bedrockservice.EngineResult{Exit: result.Exit, Final: result.Final}, err
}
