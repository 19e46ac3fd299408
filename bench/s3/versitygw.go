package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"example.com/cloister/bench/harness"
)

// The yardstick's credentials; it listens on loopback only.
const (
	peerAccessKey = "benchaccess"
	peerSecret    = "benchsecretbenchsecret"
)

// patience bounds the start of the yardstick.
const patience = 20 * time.Second

// startVersitygw runs versitygw over TLS, connections kept alive. Its certificate is that of Cloister's local CA: the
// same kind of key, and nothing here verifies it.
func startVersitygw(ctx context.Context, bin, dir, certificates string) (*target, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	objects := filepath.Join(dir, "versitygw")
	if err := os.Mkdir(objects, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "--port", address, "--keep-alive", "--quiet", "--cert", filepath.Join(certificates, "ca.pem"), //nolint:gosec // the yardstick
		"--key", filepath.Join(certificates, "ca-key.pem"), "posix", objects)
	cmd.Env = []string{"ROOT_ACCESS_KEY_ID=" + peerAccessKey, "ROOT_SECRET_ACCESS_KEY=" + peerSecret, "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &target{name: "versitygw, plaintext", pid: cmd.Process.Pid, stop: func() error { return stop(cmd) }}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // loopback; the certificate is not in question
		MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, ReadBufferSize: 256 << 10, WriteBufferSize: 256 << 10,
	}
	if err := waitFor(ctx, address); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	if err := t.connect(ctx, harness.ClientConfig("https://"+address, peerAccessKey, peerSecret, transport)); err != nil {
		return nil, errors.Join(err, t.stop())
	}
	return t, nil
}

func stop(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = cmd.Wait() // how the yardstick ends is its own affair
	return nil
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s after %v: %w", address, patience, err)
		}
	}
}
