package awsfake

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	cloudtrailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
)

// World is what an AWS holds: accounts with their resources. It does not change once it is loaded, so any
// number of servers may share it: a writable one makes a copy.
type World struct {
	tree      any // what it was made of
	partition string
	regions   []string
	accounts  map[string]*account
	buckets   map[string]*bucket // of all accounts: names are global
	keys      map[string]*key    // of all accounts, by ARN
	org       *organization
}

// Regions are the enabled regions of every account.
func (w *World) Regions() []string { return slices.Clone(w.regions) }

// copy makes the same world again, in which every account has all regions, so that there is a place for what is
// created.
func (w *World) copy() *World {
	out, err := build(w.tree)
	if err != nil {
		panic("awsfake: " + err.Error()) // the tree was built before
	}
	for _, a := range out.accounts {
		for _, name := range out.regions {
			if a.regions[name] == nil {
				a.regions[name] = newRegion(name)
			}
		}
	}
	return out
}

type account struct {
	id                string
	roles             map[string]role
	publicAccessBlock *controltypes.PublicAccessBlockConfiguration
	regions           map[string]*region
}

// role can be assumed by anybody who says the external id, if there is one.
type role struct {
	externalID string
	allowed    []string // the actions that a simulation finds allowed, with wildcards; nil means all
}

// bucket has nil where nothing is configured.
type bucket struct {
	name, account, region string
	shared                bool // readable from other accounts
	policyStatus          *s3types.PolicyStatus
	acl                   *s3.GetBucketAclOutput
	publicAccessBlock     *s3types.PublicAccessBlockConfiguration
	encryption            *s3types.ServerSideEncryptionConfiguration
	versioning            *s3.GetBucketVersioningOutput
	logging               *s3.GetBucketLoggingOutput
	objects               []s3types.Object // in order of their keys
}

// region is what one account has in one region.
type region struct {
	name string

	jobs            index[*bedrock.GetModelCustomizationJobOutput] // by ARN and name
	jobSummaries    []bedrocktypes.ModelCustomizationJobSummary
	models          index[*bedrock.GetCustomModelOutput] // by ARN and name
	modelSummaries  []bedrocktypes.CustomModelSummary
	deployments     []bedrocktypes.CustomModelDeploymentSummary
	throughputs     []bedrocktypes.ProvisionedModelSummary
	imports         index[*bedrock.GetModelImportJobOutput] // by ARN and name
	importSummaries []bedrocktypes.ModelImportJobSummary
	imported        index[*bedrock.GetImportedModelOutput] // by ARN and name
	importedModels  []bedrocktypes.ImportedModelSummary
	copies          []bedrocktypes.ModelCopyJobSummary
	foundations     index[*bedrocktypes.FoundationModelDetails] // by ARN and id
	logging         *bedrocktypes.LoggingConfig
	jobQuota        int                                                         // how many customization jobs may be in progress
	tags            map[string][]bedrocktypes.Tag                               // by ARN; of everything that can have tags
	made            map[string]*madeJob                                         // the created jobs, by ARN
	tokens          map[string]*madeJob                                         // and by client request token
	updates         map[string]*bedrocktypes.CustomModelDeploymentUpdateDetails // the last of a deployment, by ARN

	subnets           index[*ec2types.Subnet]
	securityGroups    index[*ec2types.SecurityGroup]
	routeTables       index[*ec2types.RouteTable]
	vpcEndpoints      index[*ec2types.VpcEndpoint]
	flowLogs          index[*ec2types.FlowLog]
	flowTokens        map[string]*madeFlowLogs // by client token
	networkInterfaces index[*ec2types.NetworkInterface]
	vpcs              index[vpc]
	prefixLists       index[*ec2types.ManagedPrefixList]
	entries           map[string][]ec2types.PrefixListEntry // by the list's id

	keys      index[*key] // by id, ARN, alias name and alias ARN
	trails    []*trail
	logGroups []logstypes.LogGroup // in order of their names
}

// usualJobQuota is how many customization jobs of a region may be scheduled.
// Source: AWS General Reference, "Amazon Bedrock endpoints and quotas".
const usualJobQuota = 10

func newRegion(name string) *region {
	return &region{
		name: name, jobQuota: usualJobQuota, tags: map[string][]bedrocktypes.Tag{}, made: map[string]*madeJob{}, tokens: map[string]*madeJob{},
		updates: map[string]*bedrocktypes.CustomModelDeploymentUpdateDetails{}, entries: map[string][]ec2types.PrefixListEntry{},
		flowTokens: map[string]*madeFlowLogs{},
	}
}

type vpc struct {
	id                      string
	dnsSupport, dnsHostname bool
}

type key struct {
	account  string
	shared   bool // readable from other accounts
	metadata kmstypes.KeyMetadata
	rotation kms.GetKeyRotationStatusOutput
	tags     []kmstypes.Tag // in order of their keys
	grants   []kmstypes.GrantListEntry
	aliases  []string
}

type trail struct {
	trail     cloudtrailtypes.Trail
	status    cloudtrail.GetTrailStatusOutput
	selectors cloudtrail.GetEventSelectorsOutput
}

type organization struct {
	id, management string
	roots          []orgtypes.Root
	units          []orgtypes.OrganizationalUnit
	accounts       []orgtypes.Account
	parent         map[string]string // of units and accounts
}

// index is a list of records that are found by name.
type index[T any] struct {
	items []T
	by    map[string]T
}

func (x *index[T]) find(name string) (T, bool) {
	v, ok := x.by[name]
	return v, ok
}

// add appends v under names; it returns the first one that is taken. Empty names are not kept.
func (x *index[T]) add(v T, names ...string) (taken string) {
	if x.by == nil {
		x.by = map[string]T{}
	}
	x.items = append(x.items, v)
	for _, name := range names {
		if _, twice := x.by[name]; twice && taken == "" {
			taken = name
		}
		if name != "" {
			x.by[name] = v
		}
	}
	return taken
}

// drop takes v out of x, with all its names.
func drop[T comparable](x *index[T], v T) {
	x.items = slices.DeleteFunc(x.items, func(w T) bool { return w == v })
	maps.DeleteFunc(x.by, func(_ string, w T) bool { return w == v })
}
