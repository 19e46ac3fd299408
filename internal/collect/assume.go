package collect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister/internal/posture"
)

// What follows is for those who plan changes to what was read: they read more with the same credentials, and ask what the
// rules would say of jobs that do not exist yet.

// Config is the configuration for the client of a service in a region of an account that was read.
func (c *Collection) Config(account, region, service string) (aws.Config, error) {
	a, ok := c.accounts[account]
	if !ok {
		return aws.Config{}, fmt.Errorf("account %s is none of those that the credentials reach", account)
	}
	cfg := a.reach(region).config(service)
	cfg.Retryer = a.plainRetryer
	if u := a.endpoint(service); u != "" {
		cfg.BaseEndpoint = &u
	}
	return cfg, nil
}

// CallTimeout is the deadline of one attempt of a call.
func (c *Collection) CallTimeout() time.Duration { return c.collector.CallTimeout }

// Serves says whether the account's endpoint serves an operation, as far as it says so: an endpoint that names nothing may
// serve everything.
func (c *Collection) Serves(account, operation string) bool {
	a, ok := c.accounts[account]
	return ok && !a.unserved(operation)
}

// Cloister says that the account's endpoint is a Cloister server.
func (c *Collection) Cloister(account string) bool {
	a, ok := c.accounts[account]
	return ok && a.capabilities != nil
}

// want lets the readers read more operations. No reader runs meanwhile.
func (c *Collection) want(operations ...string) {
	more := maps.Clone(c.collector.Wanted)
	for _, operation := range operations {
		more[operation] = true
	}
	c.collector.Wanted = more
}

// Network lists the subnets and groups of a VPC; none if the region does not have it.
func (c *Collection) Network(ctx context.Context, account, region, vpc string) (subnets posture.List[*posture.Subnet], groups posture.List[*posture.SecurityGroup], err error) {
	g, err := c.region(account, region)
	if err != nil {
		return subnets, groups, err
	}
	c.want("ec2:DescribeSubnets", "ec2:DescribeSecurityGroups")
	in := []types.Filter{filter("vpc-id", vpc)}
	all(func() { subnets = g.listSubnets(ctx, in) }, func() { groups = g.listGroups(ctx, in) })
	return subnets, groups, nil
}

// Assume puts jobs that do not exist into the inventory of a region, in place of those that were assumed before, and reads
// what they refer to, as far as rules with these reads look at it.
func (c *Collection) Assume(ctx context.Context, account, region string, jobs []*posture.Job, reads []string) error {
	g, err := c.region(account, region)
	if err != nil {
		return err
	}
	c.want(reads...)
	existing := slices.DeleteFunc(slices.Clone(g.inv.Jobs.Items), func(j *posture.Job) bool { return j.Assumed })
	for _, j := range jobs {
		j.Assumed = true
	}
	g.inv.Jobs.Items = append(existing, jobs...)
	g.inv.Jobs.Collected = true
	if len(jobs) == 0 {
		return nil
	}
	clear(g.inv.Subnets)
	clear(g.inv.Keys) // with more reads they may say more
	all(func() { g.readNetwork(ctx) }, func() { g.readKeys(ctx) }, func() { g.readBases(ctx) })
	return nil
}

// ReadServing reads what copies and serves models, in all regions that were read, where that was not wanted before.
func (c *Collection) ReadServing(ctx context.Context) {
	c.want("bedrock:ListModelCopyJobs", "bedrock:ListCustomModelDeployments", "bedrock:ListProvisionedModelThroughputs")
	for _, a := range c.accounts {
		each(a.regions, func(g *region) { g.readServing(ctx) })
	}
}

func (c *Collection) region(account, region string) (*region, error) {
	a, ok := c.accounts[account]
	if !ok {
		return nil, fmt.Errorf("account %s is none of those that the credentials reach", account)
	}
	for _, g := range a.regions {
		if g.name == region {
			return g, nil
		}
	}
	return nil, fmt.Errorf("region %s of account %s was not read", region, account)
}
