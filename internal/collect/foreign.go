package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	endpoints "github.com/aws/smithy-go/endpoints"

	"example.com/cloister/internal/posture"
)

var (
	errNoIdentity = errors.New("the answer names no account")
	errNoRegions  = errors.New("the answer names no region of the caller's partition")
)

// Capabilities are what a Cloister server says that it serves, at /_cloister/capabilities.
type Capabilities struct {
	Version string `json:"version"`
	// Regions are the default one and those with resources.
	Regions []string `json:"regions"`
	// Operations are the operations that are served, by service.
	Operations map[string][]string `json:"operations"`
}

// unserved says that the endpoint of an operation's service named what it serves, and not this. Other endpoints are not
// spoken for: one that serves Bedrock says nothing about AWS's KMS.
func (a *account) unserved(operation string) bool {
	service, _, _ := strings.Cut(operation, ":")
	return a.capabilities != nil && slices.Contains(a.covered, service) && !a.capabilities.serves(operation)
}

// coverage are the services whose endpoint is the one that was asked.
func (a *account) coverage(asked string) []string {
	covered := []string{"bedrock"}
	for service, base := range map[string]*string{
		"ec2":        ec2.NewFromConfig(a.cfg, a.ec2Options).Options().BaseEndpoint,
		"kms":        a.base("kms", kms.NewFromConfig(a.cfg).Options().BaseEndpoint),
		"cloudtrail": a.base("cloudtrail", cloudtrail.NewFromConfig(a.cfg).Options().BaseEndpoint),
		"logs":       a.base("logs", cloudwatchlogs.NewFromConfig(a.cfg).Options().BaseEndpoint),
		"s3":         a.base("s3", s3.NewFromConfig(a.cfg).Options().BaseEndpoint),
		"s3control":  a.base("s3control", s3control.NewFromConfig(a.cfg).Options().BaseEndpoint),
		"tag":        a.base("tag", tagging.NewFromConfig(a.cfg).Options().BaseEndpoint),
	} {
		if base != nil && *base == asked {
			covered = append(covered, service)
		}
	}
	slices.Sort(covered)
	return covered
}

func (c *Capabilities) serves(operation string) bool {
	service, name, _ := strings.Cut(operation, ":")
	return slices.Contains(c.Operations[service], name)
}

// isAWS says that a URL is AWS's own. Only others are asked for capabilities.
func isAWS(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	host := u.Hostname()
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonwebservices.com.cn", ".amazonaws.eu", ".c2s.ic.gov", ".sc2s.sgov.gov", ".cloud.adc-e.uk", ".csp.hci.ic.gov"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// capable asks a foreign endpoint what it serves. One that does not answer the question is taken for an emulator: whatever
// it does not serve is then unread, never not applicable.
func (a *account) capable(ctx context.Context) *posture.Unread {
	client := bedrock.NewFromConfig(a.cfg, func(o *bedrock.Options) { o.BaseEndpoint = a.base("bedrock", o.BaseEndpoint) })
	base := client.Options().BaseEndpoint
	if base == nil || isAWS(*base) {
		return nil
	}
	a.foreign = *base
	source := posture.Source{Operation: "cloister:GetCapabilities", Account: a.inv.ID, Region: a.cfg.Region, Time: a.started}
	ctx, cancel := context.WithTimeout(ctx, a.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(*base, "/")+"/_cloister/capabilities", nil)
	if err != nil {
		return malformed(source, err)
	}
	creds, err := a.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return unread(source, err)
	}
	sum := sha256.Sum256(nil)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, hash, "cloister", a.cfg.Region, a.Now()); err != nil {
		return malformed(source, err)
	}
	resp, err := a.cfg.HTTPClient.Do(req)
	if err != nil {
		return unread(source, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	var found Capabilities
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&found); err != nil || found.Version == "" || len(found.Regions) == 0 || len(found.Operations) == 0 {
		return nil
	}
	a.capabilities, a.covered = &found, a.coverage(*base)
	return nil
}

func endpointOf(raw string) (endpoints.Endpoint, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return endpoints.Endpoint{}, err
	}
	return endpoints.Endpoint{URI: *u}, nil
}

// plainRetryer is for the few calls before the collection proper.
func (c *collector) plainRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = c.MaxAttempts })
}
