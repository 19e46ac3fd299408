package harness

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"example.com/cloister"
	"example.com/cloister/internal/server"
)

// Server is `cloister serve` as a process of its own.
type Server struct {
	// Ready is the time from the start of the process to its ready line.
	Ready    time.Duration
	Endpoint server.Endpoint
	Data     string

	cmd *exec.Cmd
	log *os.File
}

// patience bounds a start and a stop of a server.
const patience = 30 * time.Second

// StartServer runs a cloister binary on a data directory and waits for its ready line. The log goes to
// DATA.log. Stop must be called.
func StartServer(ctx context.Context, bin, data string, args ...string) (_ *Server, err error) {
	log, err := os.OpenFile(data+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, log.Close())
		}
	}()
	argv := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	cmd := exec.CommandContext(ctx, bin, argv...) //nolint:gosec // the binary under test
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{Data: data, cmd: cmd, log: log}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	s.Ready = Now().Sub(start)
	if err != nil || !strings.HasPrefix(line, "ready ") {
		return nil, errors.Join(fmt.Errorf("the server is not ready (%q): see %s", line, log.Name()), s.kill())
	}
	if s.Endpoint, err = server.ReadEndpoint(data); err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// PID is the number of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Usage is what the server's process has used so far.
func (s *Server) Usage() (Usage, error) { return UsageOf(s.PID()) }

// HelperUsage is what the server's helper, `cloister netd`, has used so far.
func (s *Server) HelperUsage() (Usage, error) {
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return Usage{}, err
	}
	for _, path := range processes {
		if readAll(path) != "cloister\x00netd\x00" || statusNumber(readAll(filepath.Join(filepath.Dir(path), "status")), "PPid") != s.PID() {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return Usage{}, err
		}
		return UsageOf(pid)
	}
	return Usage{}, fmt.Errorf("server %d has no helper", s.PID())
}

// Stop ends the server in good order.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return errors.Join(err, s.log.Close())
	}
	return errors.Join(s.cmd.Wait(), s.log.Close())
}

func (s *Server) kill() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
	return err
}

// Client is the configuration of SDK clients that are the root of the server, with at most that many
// connections. Requests are not retried: a benchmark counts what it asks.
func (s *Server) Client(ctx context.Context, connections int) (aws.Config, error) {
	credential, err := server.ReadRootCredential(ctx, s.Data, cloister.DefaultAccount)
	if err != nil {
		return aws.Config{}, err
	}
	pem, err := os.ReadFile(s.Endpoint.CA)
	if err != nil {
		return aws.Config{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return aws.Config{}, fmt.Errorf("%s has no certificate", s.Endpoint.CA)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections,
		ReadBufferSize: bufferBytes, WriteBufferSize: bufferBytes,
	}
	return ClientConfig(s.Endpoint.URL, credential.AccessKeyID, credential.Secret.Reveal(), transport), nil
}

// bufferBytes keeps the client's own cost of large bodies low.
const bufferBytes = 256 << 10

// ClientConfig is the configuration of SDK clients of any endpoint.
func ClientConfig(url, accessKey, secret string, transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region: string(cloister.DefaultRegion), BaseEndpoint: aws.String(url), HTTPClient: &http.Client{Transport: transport},
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		RetryMaxAttempts: 1,
	}
}
