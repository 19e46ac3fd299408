package collect

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	tagging "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"example.com/cloister/internal/posture"
)

// region reads one region of an account.
type region struct {
	*account
	name string
	inv  *posture.Region
	gaps atomic.Int64 // calls that were not answered

	bedrock *bedrock.Client
	ec2     *ec2.Client
	kms     *kms.Client
	trails  *cloudtrail.Client
	logs    *cloudwatchlogs.Client
	tag     *tagging.Client

	s3once   sync.Once
	s3client *s3.Client

	mu sync.Mutex // guards the inventory's maps while readers fill them
}

func (a *account) region(name string) *region {
	g := &region{account: a, name: name, inv: &posture.Region{
		Account: a.inv, Name: name,
		Subnets: map[string]posture.Datum[*posture.Subnet]{}, Groups: map[string]posture.Datum[*posture.SecurityGroup]{},
		VPCs: map[string]*posture.VPC{}, Keys: map[string]*posture.Key{},
		Bases: map[string]posture.Datum[*posture.FoundationModel]{}, LogGroups: map[string]posture.Datum[*posture.LogGroup]{},
		PrefixLists: map[string]posture.Datum[*posture.PrefixList]{},
	}}
	cfg := g.config("bedrock")
	g.bedrock = bedrock.NewFromConfig(cfg, func(o *bedrock.Options) { o.BaseEndpoint = g.base("bedrock", o.BaseEndpoint) })
	g.ec2 = ec2.NewFromConfig(g.config("ec2"), a.ec2Options)
	g.kms = kms.NewFromConfig(g.config("kms"), func(o *kms.Options) { o.BaseEndpoint = g.base("kms", o.BaseEndpoint) })
	g.trails = cloudtrail.NewFromConfig(g.config("cloudtrail"), func(o *cloudtrail.Options) { o.BaseEndpoint = g.base("cloudtrail", o.BaseEndpoint) })
	g.logs = cloudwatchlogs.NewFromConfig(g.config("logs"), func(o *cloudwatchlogs.Options) { o.BaseEndpoint = g.base("logs", o.BaseEndpoint) })
	g.tag = tagging.NewFromConfig(g.config("tag"), func(o *tagging.Options) { o.BaseEndpoint = g.base("tag", o.BaseEndpoint) })
	return g
}

// config is the account's configuration for one service in this region; it does not retry by itself.
func (g *region) config(service string) aws.Config {
	cfg := g.cfg.Copy()
	cfg.Region = g.name
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.HTTPClient = g.doer(cfg.HTTPClient, g.account.inv.ID+"/"+g.name+"/"+service)
	return cfg
}

// base is the endpoint of --endpoint for a service, else the one that the SDK found.
func (c *collector) base(service string, found *string) *string {
	if u := c.endpoint(service); u != "" {
		return &u
	}
	return found
}

func (a *account) ec2Options(o *ec2.Options) { o.BaseEndpoint = a.base("ec2", o.BaseEndpoint) }

// read fills the region.
func (g *region) read(ctx context.Context) {
	g.readLists(ctx)
	if g.inv.NoBedrock {
		return
	}
	g.readRecords(ctx)
	g.readReferences(ctx)
}

// all runs readers at once.
func all(readers ...func()) {
	var group errgroup.Group
	for _, read := range readers {
		group.Go(func() error { read(); return nil })
	}
	_ = group.Wait() // readers leave their errors in the inventory
}

// each runs a reader for each item, some at once.
func each[T any](items []T, read func(T)) {
	var group errgroup.Group
	group.SetLimit(listsAtOnce)
	for _, item := range items {
		group.Go(func() error { read(item); return nil })
	}
	_ = group.Wait() // as above
}

func (g *region) readLists(ctx context.Context) {
	all(
		func() { g.inv.Jobs = g.listJobs(ctx) },
		func() { g.inv.Models = g.listModels(ctx) },
		func() { g.inv.Deployments = g.listDeployments(ctx) },
		func() { g.inv.Throughputs = g.listThroughputs(ctx) },
		func() { g.inv.ImportJobs = g.listImportJobs(ctx) },
		func() { g.inv.ImportedModels = g.listImportedModels(ctx) },
		func() { g.inv.Copies = g.listCopies(ctx) },
		func() { g.inv.Logging = g.logging(ctx) },
	)
	g.inv.NoBedrock = g.absent()
}

// absent says that Amazon Bedrock does not exist in this region: it is one of those that never had it, and its host does
// not exist. Either alone is not enough: a region may have got Bedrock, and a broken resolver knows no host.
func (g *region) absent() bool {
	if g.foreign != "" || !slices.Contains(neverHadBedrock(), g.name) {
		return false
	}
	for _, why := range []*posture.Unread{g.inv.Jobs.Why, g.inv.Models.Why, g.inv.Logging.Why()} {
		if why != nil && why.Code == posture.CodeNoSuchHost {
			return true
		}
	}
	return false
}

// neverHadBedrock are the regions for which AWS publishes no endpoint of Amazon Bedrock.
// Source: endpoints.json of botocore 1.43.11, service "bedrock".
func neverHadBedrock() []string {
	return []string{"ap-east-1", "cn-north-1", "cn-northwest-1", "us-iso-west-1", "us-isob-west-1", "eu-isoe-west-1"}
}

func (g *region) readRecords(ctx context.Context) {
	cached := g.openCache()
	all(
		func() { g.readTags(ctx) },
		func() {
			each(g.inv.Jobs.Items, func(j *posture.Job) {
				j.Detail = cached.job(g, j, func() posture.Datum[*posture.JobDetail] { return g.job(ctx, j.ARN) })
			})
		},
		func() {
			each(g.inv.Models.Items, func(m *posture.Model) {
				m.Detail = cached.model(m, func() posture.Datum[*posture.ModelDetail] { return g.model(ctx, m.ARN) })
			})
		},
		func() {
			each(g.inv.ImportJobs.Items, func(j *posture.ImportJob) { j.Detail = g.importJob(ctx, j.ARN) })
		},
		func() {
			each(g.inv.ImportedModels.Items, func(m *posture.ImportedModel) { m.Detail = g.importedModel(ctx, m.ARN) })
		},
	)
	cached.save()
}

// readReferences reads what the region's jobs and models refer to, buckets aside.
func (g *region) readReferences(ctx context.Context) {
	all(
		func() { g.readNetwork(ctx) },
		func() { g.readKeys(ctx) },
		func() { g.readBases(ctx) },
		func() {
			if len(g.inv.Jobs.Items) > 0 || len(g.inv.Models.Items) > 0 {
				g.readTrails(ctx)
			}
		},
	)
}
