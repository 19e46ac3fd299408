package collect

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"example.com/cloister/internal/posture"
)

// account reads one account.
type account struct {
	*collector
	inv          *posture.Account
	cfg          aws.Config
	slots        *semaphore.Weighted // calls in flight
	foreign      string              // the endpoint, when it is not AWS's
	capabilities *Capabilities       // of a foreign endpoint that names them
	covered      []string            // services that the capabilities speak for
	noIndex      bool                // of tags
	regions      []*region
	words        *words
	flights      singleflight.Group // equal calls that are under way

	mu     sync.Mutex // guards what follows
	trail  map[string]*trailReads
	beyond []*region
}

// open gets credentials for a target and learns which account they are of and which regions it has.
func (c *collector) open(ctx context.Context, t Target, inv *posture.Account) (*account, *posture.Unread) {
	a := &account{collector: c, inv: inv, slots: semaphore.NewWeighted(callsInFlight), words: newWords(), trail: map[string]*trailReads{}}
	source := posture.Source{Operation: "sts:GetCallerIdentity", Account: t.ID, Time: c.started}
	cfg, err := c.load(ctx, t.Profile)
	if err != nil {
		return nil, &posture.Unread{Source: source, Code: codeCredentials, Message: plain(err.Error(), 400)}
	}
	if t.recorded != nil {
		a.cfg, a.foreign, a.capabilities, a.covered, a.noIndex = cfg, t.recorded.Foreign, t.recorded.Capabilities, t.recorded.Covered, t.recorded.NoIndex
		names := slices.DeleteFunc(slices.Clone(t.Regions), func(r string) bool {
			return len(a.Regions) > 0 && !slices.Contains(a.Regions, r) || slices.Contains(a.Exclude, r)
		})
		if len(names) == 0 {
			return nil, &posture.Unread{Source: source, Code: codeNoRegions, Message: "the recording has none of the regions that were asked for: it has " + strings.Join(t.Regions, ", ")}
		}
		a.addRegions(names)
		return a, nil
	}
	hops := c.hops(t)
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, &posture.Unread{Source: source, Code: codeCredentials, Message: plain(explain(ctx, err, profileOf(c, t)).Error(), 400)}
	}
	a.cfg = c.assume(cfg, hops)
	if len(hops) > 0 {
		source.Operation, source.Resource = "sts:AssumeRole", hops[len(hops)-1].role
	}
	if _, err := a.cfg.Credentials.Retrieve(ctx); err != nil {
		why := unread(source, err)
		if why.Code == codeNetwork {
			why.Code = codeCredentials
		}
		return nil, why
	}
	client := sts.NewFromConfig(a.cfg, c.stsOptions)
	self, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		source.Operation, source.Resource = "sts:GetCallerIdentity", ""
		return nil, unread(source, err)
	}
	caller, err := arn.Parse(aws.ToString(self.Arn))
	if err != nil || !accountID.MatchString(caller.AccountID) || !slices.Contains(partitions(), caller.Partition) {
		return nil, malformed(source, errNoIdentity)
	}
	if t.ID != "" && t.ID != caller.AccountID {
		return nil, &posture.Unread{Source: source, Code: codeCredentials, Message: "the credentials are of account " + caller.AccountID + ", not of " + t.ID + ": name a role_arn or profile of that account"}
	}
	inv.ID, inv.Partition = caller.AccountID, caller.Partition
	if why := a.capable(ctx); why != nil {
		return nil, why
	}
	a.noIndex = a.FreshTags || a.withoutIndex()
	names, why := a.enabled(ctx, t)
	if why != nil {
		return nil, why
	}
	a.addRegions(names)
	return a, nil
}

func profileOf(c *collector, t Target) string {
	if t.Profile != "" {
		return t.Profile
	}
	return c.Session.Profile
}

// enabled are the regions to read: those that were asked for, else all that are enabled.
func (a *account) enabled(ctx context.Context, t Target) ([]string, *posture.Unread) {
	names := slices.Clone(a.Regions)
	if len(t.Regions) > 0 {
		names = slices.Clone(t.Regions)
	}
	if own := a.RegionsOf[a.inv.ID]; len(own) > 0 {
		names = slices.Clone(own)
	}
	switch {
	case len(names) > 0:
	case a.capabilities != nil:
		names = slices.Clone(a.capabilities.Regions)
	default:
		found, why := a.describeRegions(ctx)
		if why != nil {
			return nil, why
		}
		names = found
	}
	names = slices.DeleteFunc(names, func(r string) bool { return slices.Contains(a.Exclude, r) })
	if len(names) == 0 {
		source := posture.Source{Operation: "ec2:DescribeRegions", Account: a.inv.ID, Time: a.started}
		return nil, &posture.Unread{Source: source, Code: codeNoRegions, Message: "no region is left to read: --exclude-regions takes away all of --regions"}
	}
	if i := slices.IndexFunc(names, func(r string) bool { return !regionName.MatchString(r) }); i >= 0 {
		source := posture.Source{Operation: "ec2:DescribeRegions", Account: a.inv.ID, Time: a.started}
		return nil, malformed(source, fmt.Errorf("%q is not the name of a region", names[i]))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (a *account) describeRegions(ctx context.Context) ([]string, *posture.Unread) {
	source := posture.Source{Operation: "ec2:DescribeRegions", Account: a.inv.ID, Region: a.cfg.Region, Time: a.started}
	client := ec2.NewFromConfig(a.cfg, a.ec2Options, func(o *ec2.Options) { o.Retryer = a.plainRetryer() })
	out, err := client.DescribeRegions(ctx, &ec2.DescribeRegionsInput{})
	if err != nil {
		return nil, unread(source, err)
	}
	var names []string
	for _, r := range out.Regions {
		// An emulator names the regions of all partitions.
		if name := aws.ToString(r.RegionName); partitionOf(name) == a.inv.Partition {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, malformed(source, errNoRegions)
	}
	return names, nil
}

// regionName is the form of a region's name: it becomes part of host names and, with a cache, of file names.
var regionName = regexp.MustCompile(`^[a-z]{2,8}(-[a-z]{1,12}){1,3}-[0-9]{1,2}$`)

// partitions are the partitions of AWS.
func partitions() []string {
	return []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}
}

// partitionOf says which partition a region is in, by its name.
// Source: botocore's partitions.json, "regionRegex".
func partitionOf(region string) string {
	for _, p := range []struct{ prefix, partition string }{
		{"cn-", "aws-cn"},
		{"us-gov-", "aws-us-gov"},
		{"us-iso-", "aws-iso"},
		{"us-isob-", "aws-iso-b"},
		{"eu-isoe-", "aws-iso-e"},
		{"us-isof-", "aws-iso-f"},
		{"eusc-", "aws-eusc"},
	} {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

func (a *account) addRegions(names []string) {
	for _, name := range names {
		g := a.region(name)
		a.inv.Regions = append(a.inv.Regions, g.inv)
		a.regions = append(a.regions, g)
	}
}

// reach is the reader of a region that a key, a bucket or a trail lies in, chosen or not.
//
// A name that is none gives a reader that has nothing to read with: what it is asked for is unread.
func (a *account) reach(name string) *region {
	if !regionName.MatchString(name) {
		name = "invalid-region-0"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range slices.Concat(a.regions, a.beyond) {
		if r.name == name {
			return r
		}
	}
	g := a.region(name)
	a.beyond = append(a.beyond, g)
	return g
}

// read fills the account: its regions at once, then the buckets that they name, then what the buckets name.
func (a *account) read(ctx context.Context) {
	var g errgroup.Group
	for _, r := range a.regions {
		g.Go(func() error {
			a.progress(r, false)
			r.read(ctx)
			a.progress(r, true)
			return nil
		})
	}
	_ = g.Wait() // readers leave their errors in the inventory
	a.readBuckets(ctx)
	slices.SortFunc(a.beyond, func(x, y *region) int { return strings.Compare(x.name, y.name) })
	for _, r := range a.beyond {
		a.inv.Beyond = append(a.inv.Beyond, r.inv)
	}
}

func (a *account) progress(r *region, done bool) {
	if a.Progress == nil {
		return
	}
	a.Progress(Progress{
		Account: a.inv.ID, Region: r.name, Done: done, Regions: len(a.regions), Calls: int(a.calls.Load()),
		Jobs: len(r.inv.Jobs.Items), Models: len(r.inv.Models.Items), Unread: int(r.gaps.Load()), NoBedrock: r.inv.NoBedrock,
	})
}
