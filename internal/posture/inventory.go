package posture

import (
	"net/netip"
	"slices"
	"time"
)

// Inventory is everything that an audit read, in the parts that rules look at. It is filled by one writer and then only
// read; evaluation is safe for concurrent use.
type Inventory struct {
	// Time is when the audit began: ages are counted to it.
	Time     time.Time
	Accounts []*Account
}

// Account is one AWS account.
type Account struct {
	ID        string
	Name      string
	Partition string
	// Status is "read", "suspended" or "error", with Error.
	Status string
	Error  *Unread
	// Foreign is the endpoint's URL when it is not AWS's; Unserved are the wanted operations that it says not to serve.
	Foreign  string
	Unserved []string
	Regions  []*Region
	// Beyond are regions that were not chosen, read only for the keys and trails of buckets that lie there.
	Beyond []*Region
	// Buckets are those that the account's jobs and models name, by bucket name.
	Buckets map[string]*Bucket
	// PublicAccess is the account's own block of public access; nil if there is none.
	PublicAccess Datum[*PublicAccess]
}

// Region is one region of an account.
type Region struct {
	Account *Account
	Name    string
	// NoBedrock says that Amazon Bedrock does not exist in this region.
	NoBedrock bool

	Jobs           List[*Job]
	Models         List[*Model]
	Deployments    List[*Serving]
	Throughputs    List[*Serving]
	ImportJobs     List[*ImportJob]
	ImportedModels List[*ImportedModel]
	Copies         List[*Copy]
	Trails         List[*Trail]
	Interfaces     List[*Interface]
	Logging        Datum[*Logging]

	// What jobs refer to, by id or ARN.
	Subnets   map[string]Datum[*Subnet]
	Groups    map[string]Datum[*SecurityGroup]
	VPCs      map[string]*VPC
	Keys      map[string]*Key
	Bases     map[string]Datum[*FoundationModel]
	LogGroups map[string]Datum[*LogGroup]
	// PrefixLists are those that the groups and the VPCs' route tables name.
	PrefixLists map[string]Datum[*PrefixList]

	jobs   map[string]*Job
	models map[string]*Model
}

// index makes jobs and models findable by ARN.
func (a *Account) index() {
	for _, r := range slices.Concat(a.Regions, a.Beyond) {
		r.jobs, r.models = map[string]*Job{}, map[string]*Model{}
		for _, j := range r.Jobs.Items {
			r.jobs[j.ARN] = j
		}
		for _, m := range r.Models.Items {
			r.models[m.ARN] = m
		}
	}
}

// Job is a model customization job.
type Job struct {
	// ARN, Name and Status come from the listing.
	ARN, Name, Status string
	Created           time.Time
	Found             *Source
	Detail            Datum[*JobDetail]
	Tags              Datum[map[string]string]
	// Assumed says that the job does not exist: a plan asks what the rules would say of it.
	Assumed bool
	// Proof are the tags as Bedrock itself tells them, where a proof of succession asked; see Told.
	Proof Datum[map[string]string]
}

// Told are the job's tags from Bedrock itself, which alone prove a succession: those of the index may be older.
func (j *Job) Told() Datum[map[string]string] {
	if s := j.Tags.Source(); s == nil || s.Operation == "tag:GetResources" {
		return j.Proof
	}
	return j.Tags
}

// JobDetail is what GetModelCustomizationJob answers.
type JobDetail struct {
	ARN, Name, Status string
	Role, Base        string // the base model's ARN
	Teacher           string // of a distillation job
	CustomizationType string
	ModelName         string
	Model             string // the output model's ARN; "" until there is one
	Key               string // of the output model; "" for AWS's own
	Subnets, Groups   []string
	HasVPC            bool
	InvocationLogs    bool
	Training          string // S3 URI; "" with invocation logs
	LogsURI           string // where the invocation logs lie
	Validation        []string
	Output            string
	Created, Modified time.Time
	Ended             time.Time // zero while it runs
	VPC               any       // the vpcConfig as it came, for evidence: nil or an object
}

// Terminal says that the job has ended and never changes again.
func (d *JobDetail) Terminal() bool { return terminal(d.Status) }

func terminal(status string) bool {
	return status == "Completed" || status == "Failed" || status == "Stopped"
}

// Model is a custom model that the account owns.
type Model struct {
	ARN, Name string
	Created   time.Time
	Found     *Source
	Detail    Datum[*ModelDetail]
	Tags      Datum[map[string]string]
}

// ModelDetail is what GetCustomModel answers.
type ModelDetail struct {
	ARN, Name, Status string
	Job               string // ARN; "" if the service names none
	Base              string
	Key               string
	Created           time.Time
}

// Terminal says that the model is made, or failed to be, and never changes again.
func (d *ModelDetail) Terminal() bool { return d.Status == "Active" || d.Status == "Failed" }

// Serving is a custom model deployment or a provisioned throughput: what serves a model.
type Serving struct {
	ARN, Name, Status string
	// Model is the ARN of the model that is served; Desired the one that it is changing to, if any.
	Model, Desired string
	Kind           string // "deployment" or "throughput"
	Found          *Source
}

// ImportJob is a model import job.
type ImportJob struct {
	ARN, Name, Status string
	Found             *Source
	Detail            Datum[*ImportJobDetail]
}

// ImportJobDetail is what GetModelImportJob answers.
type ImportJobDetail struct {
	ARN, Name, Status string
	Source            string // S3 URI; "" for other sources
	HasVPC            bool
	Subnets, Groups   []string
	VPC               any
	Model             string
	Key               string
	Created, Ended    time.Time
	// Changed are the objects below Source that were changed after Since, of Seen in all; only names and dates.
	Changed List[Object]
	Seen    int
}

// Since is when the job had read its source: when it ended, or else when it was created.
func (d *ImportJobDetail) Since() time.Time {
	if d.Ended.IsZero() {
		return d.Created
	}
	return d.Ended
}

// Object is an S3 object's name and date.
type Object struct {
	Key      string
	Modified time.Time
}

// ImportedModel is a model that was imported.
type ImportedModel struct {
	ARN, Name string
	Found     *Source
	Detail    Datum[*ImportedDetail]
}

// ImportedDetail is what GetImportedModel answers.
type ImportedDetail struct {
	ARN, Name string
	Key       string
	Job       string
	Created   time.Time
}

// Copy is a model copy job into this region.
type Copy struct {
	ARN, Status, Name string // of the target model
	SourceAccount     string
	Source, Target    string // model ARNs
	TargetKey         string
	Found             *Source
}

// Logging is the region's model invocation logging; a nil *Logging is none.
type Logging struct {
	LogGroup string
	Bucket   string
	Prefix   string
	// LargeBucket gets what is too large for the log group.
	LargeBucket string
	// Text says that text bodies are delivered.
	Text bool
}

// Subnet is a subnet; a nil *Subnet does not exist.
type Subnet struct {
	ID, VPC, Zone string // Zone is the zone's id, such as use1-az1
	Owner         string // the account that owns it, and its VPC
	Free          int    // free IPv4 addresses
}

// SecurityGroup is a security group; a nil *SecurityGroup does not exist.
type SecurityGroup struct {
	ID, Name, VPC   string
	Ingress, Egress []GroupRule
}

// GroupRule is one permission of a security group.
type GroupRule struct {
	Protocol string // "-1" for all
	From, To int    // ports; -1 for all
	CIDRs    []netip.Prefix
	Prefixes []string // prefix lists
	Groups   []string
}

// PrefixList is a managed prefix list; a nil *PrefixList does not exist, or nobody shares it any more.
type PrefixList struct {
	ID, Owner string             // Owner is an account, or "AWS"
	Entries   List[netip.Prefix] // not collected for lists of AWS
}

// AWS says that the list holds the addresses of an AWS service.
func (p *PrefixList) AWS() bool { return p.Owner == "AWS" }

// VPC is a VPC that a job's subnets or groups are in.
type VPC struct {
	ID           string
	DNSSupport   Datum[bool]
	DNSHostnames Datum[bool]
	RouteTables  List[*RouteTable]
	Endpoints    List[*Endpoint]
	FlowLogs     List[*FlowLog] // of the VPC and its subnets
}

// RouteTable is a route table of a VPC.
type RouteTable struct {
	ID      string
	Main    bool
	Subnets []string
	Routes  []Route
}

// Route is one route.
type Route struct {
	Destination string // CIDR, or a prefix list
	Target      string // gateway, NAT, interface, instance…: its id
	State       string // "active" or "blackhole"
}

// Endpoint is a VPC endpoint for Amazon S3.
type Endpoint struct {
	ID, Type, State string // Type is "Gateway" or "Interface"
	Service         string
	RouteTables     []string
	Subnets         []string
	PrivateDNS      bool
	// InboundOnly says that the private DNS names are for resolvers' inbound endpoints only, not for the VPC.
	InboundOnly bool
	Policy      string // the document
}

// FlowLog is a flow log.
type FlowLog struct {
	ID, Resource, Status, Traffic string
	// Delivery is "SUCCESS", "FAILED", or "" if nothing was delivered yet.
	Delivery string
}

// Interface is a network interface that Bedrock manages.
type Interface struct {
	ID, Status, Job string // Job is the ARN in the interface's tag
	Found           *Source
}

// Key is a KMS key that something names.
type Key struct {
	// Ref is how it is named: an ARN, an id or an alias.
	Ref      string
	Detail   Datum[*KeyDetail] // nil: does not exist
	Rotation Datum[bool]
	Grants   List[Grant]
	// Jobs are the names of the jobs that name it; Found the first call that did.
	Jobs  []string
	Found *Source
}

// KeyDetail is what DescribeKey answers.
type KeyDetail struct {
	ARN, ID, Account    string
	Manager, State      string // "CUSTOMER" or "AWS"; "Enabled"…
	Spec, Usage, Origin string
	MultiRegion         bool
}

// Grant is a grant of a key.
type Grant struct {
	ID, Name, Grantee, Retiring string
	Operations                  []string
	// Context is the encryption context of its constraints.
	Context map[string]string
}

// FoundationModel is a base model; a nil *FoundationModel does not exist (any more).
type FoundationModel struct {
	ARN, ID   string
	Lifecycle string // "ACTIVE" or "LEGACY"
}

// LogGroup is a log group; a nil *LogGroup does not exist.
type LogGroup struct {
	ARN, Name, Key string
	RetentionDays  int // 0: for ever
}

// Trail is a CloudTrail trail that covers this region.
type Trail struct {
	ARN, Name, Home         string
	MultiRegion, Validation bool
	GlobalEvents            bool
	Status                  Datum[*TrailStatus]
	Selectors               Datum[*Selectors]
	Found                   *Source
}

// TrailStatus is whether a trail records, and what keeps it from delivering its files; "" is nothing.
type TrailStatus struct {
	Logging       bool
	DeliveryError string
}

// Selectors are what a trail records.
type Selectors struct {
	// Reads and Writes are the management events that read, and those that write.
	Reads, Writes Management
	// Data are the S3 objects whose events are recorded.
	Data []DataSelector
}

// Management is what a trail records of one kind of management events.
type Management struct {
	Recorded bool
	// Excluded are the event sources that are left out.
	Excluded []string
	// Uncertain says that a selector has conditions that are not understood: it may record what is lacking.
	Uncertain bool
}

// All says that the trail records all of them, for certain.
func (m Management) All() bool { return m.Recorded && len(m.Excluded) == 0 }

// DataSelector is the S3 objects whose events a trail records.
type DataSelector struct {
	// Prefixes are what an object's ARN begins with.
	Prefixes  []string
	ReadWrite string // "All", "ReadOnly" or "WriteOnly"
	// Certain is false when the selector has conditions that are not understood: it may or may not cover.
	Certain bool
}

// Bucket is a bucket that something names.
type Bucket struct {
	Name string
	// Uses say what it is for, with the first call that said so: "training", "validation", "output", "import",
	// "invocation-logs".
	Uses map[string]*Source
	// Exists is false when nobody has the bucket. Region is where it lies.
	Exists Datum[bool]
	// Region is where the bucket lies; "" if it is not known.
	Region string
	// Owner is the account that an ownership probe confirmed; "" when it is none of those asked for.
	Owner        Datum[string]
	PublicAccess Datum[*PublicAccess] // nil: none configured
	PolicyPublic Datum[bool]
	ACLPublic    Datum[[]string] // grantees that are everybody
	Encryption   Datum[*Encryption]
	Versioning   Datum[string] // "Enabled", "Suspended" or ""
	LogsTo       Datum[string] // target bucket of server access logs; "" for none
	// Jobs are the names of the jobs that name it.
	Jobs []string
}

// PublicAccess are the four flags of S3 Block Public Access.
type PublicAccess struct {
	BlockACLs, IgnoreACLs, BlockPolicy, RestrictBuckets bool
}

// All says that all four are on.
func (p *PublicAccess) All() bool {
	return p != nil && p.BlockACLs && p.IgnoreACLs && p.BlockPolicy && p.RestrictBuckets
}

// Encryption is a bucket's default encryption.
type Encryption struct {
	Algorithm string // "AES256", "aws:kms", "aws:kms:dsse"
	Key       string // "" is AWS's own key for S3
}
