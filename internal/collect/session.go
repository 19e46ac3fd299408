package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
)

// Session says whose credentials an audit uses: the SDK's default chain (environment, profiles with sso_session and
// credential_process, web identity, containers, IMDSv2), then roles that are assumed one after the other.
type Session struct {
	Profile string
	Region  string // where to begin; "" is the profile's, else the partition's first
	// Roles are assumed in this order, before a target's own. ExternalID goes with the last of them, SourceIdentity with that
	// and with a target's, MFASerial with the first.
	Roles          []string
	ExternalID     string
	MFASerial      string
	SourceIdentity string
	// MFAToken asks for the code of MFASerial.
	MFAToken func() (string, error)
	// Credentials, if not nil, stand in for the default chain.
	Credentials aws.CredentialsProvider
	// Endpoints are base URLs by service name, "" for all others, over those of the environment and the profile.
	Endpoints map[string]string
	FIPS      bool
}

// Services are the services that the auditor calls, as --endpoint names them.
func Services() []string {
	return []string{"bedrock", "cloudtrail", "ec2", "kms", "logs", "organizations", "s3", "s3control", "sts", "tag"}
}

// load makes the SDK's configuration. profile "" is the session's.
func (c *collector) load(ctx context.Context, profile string) (aws.Config, error) {
	if c.Player != nil {
		return aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKIARECORDING0000000", "recording", "")}, nil
	}
	s := &c.Session
	var load []func(*config.LoadOptions) error
	if profile == "" {
		profile = s.Profile
	}
	if profile != "" {
		load = append(load, config.WithSharedConfigProfile(profile))
	}
	if s.Region != "" {
		load = append(load, config.WithRegion(s.Region))
	}
	if s.FIPS {
		load = append(load, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	if s.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(s.Credentials))
	}
	if s.MFAToken != nil { // for profiles with an mfa_serial
		load = append(load, config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) { o.TokenProvider = s.MFAToken }))
	}
	// The auditor retries by itself, at the pace of all its calls.
	load = append(load, config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }))
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return cfg, fmt.Errorf("credentials: %w", err)
	}
	if c.HTTP != nil {
		cfg.HTTPClient = c.HTTP
	}
	if cfg.HTTPClient == nil { // what the SDK leaves to each service's client
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	if b, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		// Every call in flight may be to one host: its connection is kept for the next.
		cfg.HTTPClient = b.WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = callsInFlight }).Freeze()
	}
	cfg.HTTPClient = &bounded{cfg.HTTPClient}
	cfg.Logger = logging.Nop{}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	return cfg, nil
}

// hop is one role to assume.
type hop struct{ role, externalID, sourceIdentity string }

// hops are the session's roles, then the target's own.
func (c *collector) hops(t Target) []hop {
	var hops []hop
	for i, role := range c.Session.Roles {
		h := hop{role: role}
		if i == len(c.Session.Roles)-1 {
			h.externalID, h.sourceIdentity = c.Session.ExternalID, c.Session.SourceIdentity
		}
		hops = append(hops, h)
	}
	if t.RoleARN != "" {
		hops = append(hops, hop{t.RoleARN, t.ExternalID, c.Session.SourceIdentity})
	}
	return hops
}

// assume chains roles onto cfg.
func (c *collector) assume(cfg aws.Config, hops []hop) aws.Config {
	for i, h := range hops {
		provider := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg, c.stsOptions), h.role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "cloister-audit"
			if h.externalID != "" {
				o.ExternalID = &h.externalID
			}
			if h.sourceIdentity != "" {
				o.SourceIdentity = &h.sourceIdentity
			}
			if i == 0 && c.Session.MFASerial != "" {
				o.SerialNumber, o.TokenProvider = &c.Session.MFASerial, c.Session.MFAToken
			}
		})
		cfg = cfg.Copy()
		cfg.Credentials = aws.NewCredentialsCache(provider, func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = callsWindow // renewed before the calls of a scan see them expire
		})
	}
	return cfg
}

func (c *collector) stsOptions(o *sts.Options) {
	if u := c.endpoint("sts"); u != "" {
		o.BaseEndpoint = &u
	}
	o.Retryer = c.plainRetryer()
}

// endpoint is the base URL of --endpoint for a service, or "".
func (c *collector) endpoint(service string) string {
	if u := c.Session.Endpoints[service]; u != "" {
		return u
	}
	return c.Session.Endpoints[""]
}

// explain turns the SDK's errors about credentials into what to do. The SDK has a type only for some of those of an expired
// session of IAM Identity Center, so the profile is asked whether it uses one.
func explain(ctx context.Context, err error, profile string) error {
	_, expired := errors.AsType[*ssocreds.InvalidTokenError](err)
	if !expired && !usesIdentityCenter(ctx, profile) {
		return fmt.Errorf("%w; name a --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", err)
	}
	login := "aws sso login"
	if profile != "" {
		login += " --profile " + profile
	}
	return fmt.Errorf("the session of IAM Identity Center has expired or was never begun: run '%s' (%w)", login, err)
}

// usesIdentityCenter says whether a profile, or one that it takes credentials from, signs in through IAM Identity Center.
func usesIdentityCenter(ctx context.Context, profile string) bool {
	shared, err := config.LoadSharedConfigProfile(ctx, cmp.Or(profile, os.Getenv("AWS_PROFILE"), "default"), func(o *config.LoadSharedConfigOptions) {
		if file := os.Getenv("AWS_CONFIG_FILE"); file != "" {
			o.ConfigFiles = []string{file}
		}
		if file := os.Getenv("AWS_SHARED_CREDENTIALS_FILE"); file != "" {
			o.CredentialsFiles = []string{file}
		}
	})
	if err != nil {
		return false
	}
	for c := &shared; c != nil; c = c.Source {
		if c.SSOSession != nil || c.SSOSessionName != "" || c.SSOStartURL != "" {
			return true
		}
	}
	return false
}
