//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/spf13/cobra"
)

// client calls a server: the one that AWS_ENDPOINT_URL names, with the default credential chain, else the
// one that runs on the data directory, with its root key.
type client struct {
	bedrock  *bedrock.Client
	http     *http.Client
	endpoint string
	region   string
	creds    aws.CredentialsProvider
	config   aws.Config
}

func newClient(c *cobra.Command, flags *configFlags) (*client, error) {
	if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" && flags.data == "" {
		return environmentClient(c.Context(), endpoint)
	}
	data, serverConfig, err := flags.load()
	if err != nil {
		return nil, err
	}
	a, err := readAccess(c, data, serverConfig)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", a.ca)
	}
	transport, _ := http.DefaultTransport.(*http.Transport)
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	transport.Proxy = nil // the server is on this machine
	return build(aws.Config{
		Region: a.endpoint.Region, BaseEndpoint: &a.endpoint.URL, HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider(a.keyID, a.secret, ""),
	}, a.endpoint.URL)
}

func environmentClient(ctx context.Context, endpoint string) (*client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	return build(cfg, endpoint)
}

func build(cfg aws.Config, endpoint string) (*client, error) {
	if cfg.Region == "" {
		return nil, errors.New("no region: set AWS_REGION")
	}
	plain, ok := cfg.HTTPClient.(*http.Client)
	if !ok { // the SDK's own client, with AWS_CA_BUNDLE taken into account
		buildable, isBuildable := cfg.HTTPClient.(interface{ GetTransport() *http.Transport })
		if !isBuildable {
			return nil, errors.New("unexpected HTTP client")
		}
		plain = &http.Client{Transport: buildable.GetTransport()}
	}
	return &client{bedrock: bedrock.NewFromConfig(cfg), http: plain, endpoint: endpoint, region: cfg.Region, creds: cfg.Credentials, config: cfg}, nil
}

// apiError is an error that a server answered on one of its own paths.
type apiError struct{ Code, Message string }

func (e *apiError) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// own sends a signed request to one of the server's own paths. The caller closes the body.
func (c *client) own(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	creds, err := c.creds.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hash, "cloister", c.region, time.Now()); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Message string `json:"message"`
		Code    string `json:"__type"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Code == "" {
		return nil, fmt.Errorf("%s: the server answered %s", path, resp.Status)
	}
	return nil, &apiError{answer.Code, answer.Message}
}

// fetch calls own and decodes the JSON answer into out.
func (c *client) fetch(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	resp, err := c.own(ctx, method, path, body, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(out)
}
