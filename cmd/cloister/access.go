package main

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/cloister/internal/collect"
)

// accessFlags say whose accounts to work on, and how.
type accessFlags struct {
	session   collect.Session
	endpoints []string

	accounts       string
	org            bool
	orgRole        string
	units, without []string

	maxRPS      float64
	maxAttempts int
	callTimeout time.Duration
	// services are those that --endpoint may name.
	services []string
}

func (f *accessFlags) registerAccess(fl *pflag.FlagSet, services []string) {
	f.services = services
	fl.StringVar(&f.session.Profile, "profile", "", "profile of the AWS configuration")
	fl.StringVar(&f.session.Region, "region", "", "region to begin in (default: the profile's, else us-east-1); needed in other partitions")
	fl.StringArrayVar(&f.session.Roles, "role-arn", nil, "role to assume; repeat for a chain")
	fl.StringVar(&f.session.ExternalID, "external-id", "", "external id for the last --role-arn")
	fl.StringVar(&f.session.MFASerial, "mfa-serial", "", "MFA device for the first --role-arn; asks for its code")
	fl.StringVar(&f.session.SourceIdentity, "source-identity", "", "source identity for the last --role-arn")
	fl.StringVar(&f.accounts, "accounts", "", "YAML file of accounts: id, role_arn, external_id, regions, profile")
	fl.BoolVar(&f.org, "org", false, "work on the accounts of the organization")
	fl.StringVar(&f.orgRole, "org-role", "OrganizationAccountAccessRole", "name of the role to assume in each account of --org")
	fl.StringSliceVar(&f.units, "ou", nil, "with --org: only these organizational units, and what is below them")
	fl.StringSliceVar(&f.without, "exclude-accounts", nil, "with --org: not these account ids")
	fl.StringArrayVar(&f.endpoints, "endpoint", nil, "[SERVICE=]URL of an endpoint, over AWS_ENDPOINT_URL[_SERVICE]; repeat")
	fl.BoolVar(&f.session.FIPS, "fips", false, "use FIPS endpoints")
	fl.Float64Var(&f.maxRPS, "max-rps", 0, "most requests a second for each account, region, service and action (default: adapts)")
	fl.IntVar(&f.maxAttempts, "max-attempts", 6, "how often a call is tried")
	fl.DurationVar(&f.callTimeout, "call-timeout", 30*time.Second, "deadline of one attempt")
}

// access turns the flags into a collection's options.
func (f *accessFlags) access(c *cobra.Command) (collect.Options, error) {
	o := collect.Options{
		Session: f.session, MaxRPS: f.maxRPS, MaxAttempts: f.maxAttempts, CallTimeout: f.callTimeout, Now: time.Now,
	}
	o.Session.MFAToken = func() (string, error) { return askMFA(c.InOrStdin(), c.ErrOrStderr()) }
	o.Session.Endpoints = map[string]string{}
	for _, e := range f.endpoints {
		service, url, ok := strings.Cut(e, "=")
		if !ok || strings.Contains(service, ":") {
			service, url = "", e
		}
		if service != "" && !slices.Contains(f.services, service) {
			return o, usageErrorf("--endpoint %s: no service %q is called here, only %s", e, service, strings.Join(f.services, ", "))
		}
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			return o, usageErrorf("--endpoint %s: write [SERVICE=]http(s)://HOST[:PORT]", e)
		}
		o.Session.Endpoints[service] = url
	}
	if f.accounts != "" && f.org {
		return o, usageErrorf("--accounts and --org exclude each other")
	}
	if !f.org && (len(f.units) > 0 || len(f.without) > 0) {
		return o, usageErrorf("--ou and --exclude-accounts need --org")
	}
	if f.maxAttempts < 1 || f.callTimeout <= 0 || f.maxRPS < 0 {
		return o, usageErrorf("--max-attempts, --call-timeout and --max-rps must be positive")
	}
	if f.org {
		o.Org = &collect.Org{Role: f.orgRole, Units: f.units, Exclude: f.without}
	}
	if f.accounts != "" {
		text, err := os.ReadFile(f.accounts)
		if err != nil {
			return o, usageErrorf("--accounts: %v", err)
		}
		var wrong error
		if o.Targets, wrong = collect.ParseTargets(text); wrong != nil {
			return o, mistakeIn(f.accounts, wrong)
		}
	}
	return o, nil
}
