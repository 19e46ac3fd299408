package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	yaml "go.yaml.in/yaml/v3"

	"example.com/cloister/internal/posture"
)

// callsWindow is how long before their end credentials are renewed.
const callsWindow = 5 * time.Minute

// Target is an account to read.
type Target struct {
	ID         string   `yaml:"id"`
	Name       string   `yaml:"name"`
	RoleARN    string   `yaml:"role_arn"`
	ExternalID string   `yaml:"external_id"`
	Regions    []string `yaml:"regions"`
	Profile    string   `yaml:"profile"`
	// Suspended accounts are listed, not read.
	Suspended bool `yaml:"-"`

	partition string
	failed    *posture.Unread
	recorded  *ManifestAccount
}

// Org says which accounts of the organization to read.
type Org struct {
	// Role is the name of the role to assume in each account.
	Role string
	// Units are ids of organizational units (or roots) to read, with what is below; none is the whole organization.
	Units []string
	// Exclude are account ids.
	Exclude []string
}

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// ParseTargets reads an accounts file: YAML, `accounts:` with a list of id, name, role_arn, external_id, regions, profile.
func ParseTargets(text []byte) ([]Target, error) {
	var file struct {
		Accounts []Target `yaml:"accounts"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document: take the second '---' out")
	}
	if len(file.Accounts) == 0 {
		return nil, errors.New("it names no accounts: write 'accounts:' and a list of {id: …, role_arn: …}")
	}
	var nodes struct {
		Accounts []yaml.Node `yaml:"accounts"`
	}
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i, t := range file.Accounts {
		line := nodes.Accounts[i].Line
		switch {
		case !accountID.MatchString(t.ID):
			return nil, fmt.Errorf("line %d: the id %q is not twelve digits; quote it", line, t.ID)
		case seen[t.ID]:
			return nil, fmt.Errorf("line %d: the id %s is there twice", line, t.ID)
		case t.RoleARN != "" && !arn.IsARN(t.RoleARN):
			return nil, fmt.Errorf("line %d: role_arn %q is not an ARN", line, t.RoleARN)
		}
		seen[t.ID] = true
	}
	return file.Accounts, nil
}

// targets are the accounts to read.
func (c *collector) targets(ctx context.Context) ([]Target, error) {
	if c.Player != nil {
		return c.recorded()
	}
	targets := slices.Clone(c.Targets)
	if c.Org != nil {
		found, err := c.organization(ctx)
		if err != nil {
			return nil, err
		}
		targets = append(targets, found...)
		if len(targets) == 0 {
			return nil, errNoAccounts
		}
	}
	if len(targets) == 0 {
		targets = []Target{{}}
	}
	return targets, nil
}

func (c *collector) recorded() ([]Target, error) {
	if c.Manifest.Schema != ManifestSchema {
		return nil, fmt.Errorf("the recording is of format %q; this program reads %q", c.Manifest.Schema, ManifestSchema)
	}
	var targets []Target
	for i := range c.Manifest.Accounts {
		a := &c.Manifest.Accounts[i]
		t := Target{ID: a.ID, Name: a.Name, partition: a.Partition, Regions: a.Regions, Suspended: a.Status == "suspended", recorded: a}
		if a.Status == "error" {
			t.failed = a.Error
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// organization lists the accounts of the organization, or of some of its units.
func (c *collector) organization(ctx context.Context) ([]Target, error) {
	cfg, err := c.load(ctx, "")
	if err != nil {
		return nil, err
	}
	cfg = c.assume(cfg, c.hops(Target{}))
	client := organizations.NewFromConfig(cfg, func(o *organizations.Options) {
		if u := c.endpoint("organizations"); u != "" {
			o.BaseEndpoint = &u
		}
		o.Retryer = c.plainRetryer()
	})
	self, err := sts.NewFromConfig(cfg, c.stsOptions).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("sts:GetCallerIdentity: %w", explain(ctx, err, c.Session.Profile))
	}
	caller, err := arn.Parse(aws.ToString(self.Arn))
	if err != nil {
		return nil, fmt.Errorf("sts:GetCallerIdentity: %w", err)
	}
	accounts, err := listAccounts(ctx, client, c.Org.Units)
	if err != nil {
		return nil, fmt.Errorf("the accounts of the organization: %w", err)
	}
	var targets []Target
	for _, a := range accounts {
		id := aws.ToString(a.Id)
		if slices.Contains(c.Org.Exclude, id) {
			continue
		}
		t := Target{ID: id, Name: aws.ToString(a.Name), partition: caller.Partition, Suspended: !readable(a)}
		if id != caller.AccountID {
			t.RoleARN = "arn:" + caller.Partition + ":iam::" + id + ":role/" + c.Org.Role
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// readable says whether an account can be read: all but those that are certainly shut. AWS retired Status in favour of State
// in September 2026; an account that has neither is read, and says itself what it allows.
// Source: AWS Organizations API Reference, "Account".
func readable(a types.Account) bool {
	switch a.State {
	case types.AccountStateSuspended, types.AccountStateClosed, types.AccountStatePendingActivation:
		return false
	case "":
		return a.Status != types.AccountStatusSuspended
	default:
		return true
	}
}

func listAccounts(ctx context.Context, client *organizations.Client, units []string) ([]types.Account, error) {
	var found []types.Account
	if len(units) == 0 {
		pages := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			found = append(found, page.Accounts...)
		}
		return found, nil
	}
	seen := map[string]bool{}
	for queue := slices.Clone(units); len(queue) > 0; queue = queue[1:] {
		parent := queue[0]
		if seen[parent] {
			continue
		}
		seen[parent] = true
		accounts := organizations.NewListAccountsForParentPaginator(client, &organizations.ListAccountsForParentInput{ParentId: &parent})
		for accounts.HasMorePages() {
			page, err := accounts.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			found = append(found, page.Accounts...)
		}
		below := organizations.NewListOrganizationalUnitsForParentPaginator(client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &parent})
		for below.HasMorePages() {
			page, err := below.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, unit := range page.OrganizationalUnits {
				queue = append(queue, aws.ToString(unit.Id))
			}
		}
	}
	return found, nil
}
