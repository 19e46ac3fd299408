//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"example.com/cloister/bench/harness"
)

const (
	// clientName is the first argument of this program as the client; the address and the authority's certificate follow.
	clientName = "client"
	// host is the endpoint's name.
	host = "s3.us-east-1.amazonaws.com"
	// readBytes is how much is read at once.
	readBytes = 256 << 10
	// getPatience bounds one read of the object.
	getPatience = 2 * time.Minute
)

// got is what the client prints.
type got struct {
	Bytes   int64
	Seconds float64 // from before the connection is made to the last byte
}

// clientArgs are the command line of the client, after its name.
func clientArgs(address string, ca []byte) []string { return []string{clientName, address, string(ca)} }

// clientStage reads the object once, if this process was started for that, and says how long it took.
func clientStage(ctx context.Context) (code int, staged bool) {
	if len(os.Args) != 4 || os.Args[1] != clientName {
		return 0, false
	}
	result, err := get(ctx, os.Args[2], []byte(os.Args[3]))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "client:", err)
		return 1, true
	}
	return 0, true
}

// get reads the object from an address, and lets nobody be the endpoint but who has a certificate of the authority.
func get(ctx context.Context, address string, ca []byte) (g got, err error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return g, errors.New("no certificate")
	}
	start := harness.Now()
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: getPatience}, Config: &tls.Config{RootCAs: pool, ServerName: host, MinVersion: tls.VersionTLS13}}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	client := &http.Client{Timeout: getPatience, Transport: &http.Transport{DialTLSContext: dial}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", http.NoBody)
	if err != nil {
		return g, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return g, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return g, errors.New(resp.Status)
	}
	g.Bytes, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, readBytes))
	g.Seconds = harness.Now().Sub(start).Seconds()
	return g, err
}
