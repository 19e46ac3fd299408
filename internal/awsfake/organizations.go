package awsfake

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"example.com/cloister"
)

// usualUnits is how many items a listing of Organizations has if the request does not say.
const usualUnits = 20

// organization is that of the caller, who must be in the management account if the world names one.
func (c *call) organization() (*organization, error) {
	o := c.s.world.org
	if o == nil {
		return nil, cloister.Errorf("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
	}
	if o.management != "" && o.management != c.Account {
		return nil, cloister.Errorf("AccessDeniedException", "You don't have permissions to access this resource.")
	}
	return o, nil
}

// below is a test for what is in a parent, which must be there.
func (o *organization) below(parent *string) (func(id *string) bool, error) {
	want := aws.ToString(parent)
	known := false
	for _, r := range o.roots {
		known = known || aws.ToString(r.Id) == want
	}
	for _, u := range o.units {
		known = known || aws.ToString(u.Id) == want
	}
	if !known {
		return nil, cloister.Errorf("ParentNotFoundException", "You specified parent that doesn't exist.")
	}
	return func(id *string) bool { return o.parent[aws.ToString(id)] == want }, nil
}

func listAccounts(c *call, in *organizations.ListAccountsInput) (*organizations.ListAccountsOutput, error) {
	o, err := c.organization()
	if err != nil {
		return nil, err
	}
	items, next := page(c, o.accounts, in.MaxResults, usualUnits)
	return &organizations.ListAccountsOutput{Accounts: items, NextToken: next}, nil
}

func listRoots(c *call, in *organizations.ListRootsInput) (*organizations.ListRootsOutput, error) {
	o, err := c.organization()
	if err != nil {
		return nil, err
	}
	items, next := page(c, o.roots, in.MaxResults, usualUnits)
	return &organizations.ListRootsOutput{Roots: items, NextToken: next}, nil
}

func listAccountsForParent(c *call, in *organizations.ListAccountsForParentInput) (*organizations.ListAccountsForParentOutput, error) {
	o, err := c.organization()
	if err != nil {
		return nil, err
	}
	inside, err := o.below(in.ParentId)
	if err != nil {
		return nil, err
	}
	all := keep(o.accounts, func(a types.Account) bool { return inside(a.Id) })
	items, next := page(c, all, in.MaxResults, usualUnits)
	return &organizations.ListAccountsForParentOutput{Accounts: items, NextToken: next}, nil
}

func listUnitsForParent(c *call, in *organizations.ListOrganizationalUnitsForParentInput) (*organizations.ListOrganizationalUnitsForParentOutput, error) {
	o, err := c.organization()
	if err != nil {
		return nil, err
	}
	inside, err := o.below(in.ParentId)
	if err != nil {
		return nil, err
	}
	all := keep(o.units, func(u types.OrganizationalUnit) bool { return inside(u.Id) })
	items, next := page(c, all, in.MaxResults, usualUnits)
	return &organizations.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: items, NextToken: next}, nil
}
