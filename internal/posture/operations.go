package posture

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// Operation is one call that the auditor makes, and what it takes in IAM.
type Operation struct {
	// Name is service and operation, as rules name it in reads.
	Name string
	// Action is the IAM action; often not the operation's name.
	Action string
	// Resources are what the action can be limited to, with {partition}; "*" where AWS knows no limit.
	Resources []string
	// Sid is the statement of the policy that the action goes into: operations with equal Sids have equal resources.
	Sid string
}

// Operations lists every call that rules may read, by name. Actions and resources follow the Service Authorization
// Reference (read November 2026): an action that has a resource type there is limited to it.
func Operations() []Operation {
	const (
		bedrock = "arn:{partition}:bedrock:*:*:"
		bucket  = "arn:{partition}:s3:::*"
		key     = "arn:{partition}:kms:*:*:key/*"
		trail   = "arn:{partition}:cloudtrail:*:*:trail/*"
	)
	all := func(service, sid string, names ...string) []Operation {
		var ops []Operation
		for _, name := range names {
			ops = append(ops, Operation{service + ":" + name, service + ":" + name, []string{"*"}, sid})
		}
		return ops
	}
	one := func(name, action, sid string, resources ...string) []Operation {
		return []Operation{{name, action, resources, sid}}
	}
	same := func(name, sid string, resources ...string) []Operation { return one(name, name, sid, resources...) }
	ops := slices.Concat(
		all("bedrock", "BedrockLists",
			"GetModelInvocationLoggingConfiguration", "ListCustomModelDeployments", "ListCustomModels", "ListImportedModels",
			"ListModelCopyJobs", "ListModelCustomizationJobs", "ListModelImportJobs", "ListProvisionedModelThroughputs"),
		same("bedrock:GetCustomModel", "BedrockCustomModels", bedrock+"custom-model/*"),
		same("bedrock:GetFoundationModel", "BedrockFoundationModels", "arn:{partition}:bedrock:*::foundation-model/*"),
		same("bedrock:GetImportedModel", "BedrockImportedModels", bedrock+"imported-model/*"),
		same("bedrock:GetModelCustomizationJob", "BedrockCustomizationJobs", bedrock+"model-customization-job/*"),
		same("bedrock:GetModelImportJob", "BedrockImportJobs", bedrock+"model-import-job/*"),
		same("bedrock:ListTagsForResource", "BedrockTags", bedrock+"custom-model/*", bedrock+"model-customization-job/*"),
		all("cloudtrail", "CloudTrailLists", "DescribeTrails"),
		same("cloudtrail:GetEventSelectors", "CloudTrailTrails", trail),
		same("cloudtrail:GetTrailStatus", "CloudTrailTrails", trail),
		all("ec2", "EC2Lists",
			"DescribeFlowLogs", "DescribeManagedPrefixLists", "DescribeNetworkInterfaces", "DescribeRouteTables",
			"DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcEndpoints"),
		same("ec2:GetManagedPrefixListEntries", "EC2PrefixLists", "arn:{partition}:ec2:*:*:prefix-list/*"),
		same("ec2:DescribeVpcAttribute", "EC2VPCs", "arn:{partition}:ec2:*:*:vpc/*"),
		same("kms:DescribeKey", "KMSKeys", key),
		same("kms:GetKeyRotationStatus", "KMSKeys", key),
		same("kms:ListGrants", "KMSKeys", key),
		all("logs", "LogsLists", "DescribeLogGroups"),
		same("s3:GetBucketAcl", "S3Buckets", bucket),
		one("s3:GetBucketEncryption", "s3:GetEncryptionConfiguration", "S3Buckets", bucket),
		same("s3:GetBucketLogging", "S3Buckets", bucket),
		same("s3:GetBucketPolicyStatus", "S3Buckets", bucket),
		same("s3:GetBucketVersioning", "S3Buckets", bucket),
		one("s3:GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", "S3Buckets", bucket),
		one("s3:HeadBucket", "s3:ListBucket", "S3Buckets", bucket),
		one("s3:ListObjectsV2", "s3:ListBucket", "S3Buckets", bucket),
		one("s3control:GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock", "S3Account", "*"),
		all("tag", "TagLists", "GetResources"),
	)
	slices.SortFunc(ops, func(a, b Operation) int { return strings.Compare(a.Name, b.Name) })
	return ops
}

// discovery are the calls that find regions, which no rule declares. sts:GetCallerIdentity needs no permission.
func discovery() []Operation {
	return []Operation{{"ec2:DescribeRegions", "ec2:DescribeRegions", []string{"*"}, "EC2Lists"}}
}

// ActionOf is the IAM action of a call, "" for calls that the auditor does not make or that need no permission.
func ActionOf(operation string) string {
	for _, op := range slices.Concat(Operations(), discovery(), organization("*")) {
		if op.Name == operation {
			return op.Action
		}
	}
	return ""
}

// organization are the calls that find the accounts of an organization and take on a role in each.
func organization(role string) []Operation {
	parents := []string{"arn:{partition}:organizations::*:ou/*", "arn:{partition}:organizations::*:root/*"}
	return []Operation{
		{"organizations:ListAccounts", "organizations:ListAccounts", []string{"*"}, "OrganizationAccounts"},
		{"organizations:ListAccountsForParent", "organizations:ListAccountsForParent", parents, "OrganizationUnits"},
		{"organizations:ListOrganizationalUnitsForParent", "organizations:ListOrganizationalUnitsForParent", parents, "OrganizationUnits"},
		{"sts:AssumeRole", "sts:AssumeRole", []string{"arn:{partition}:iam::*:role/" + role}, "OrganizationRole"},
	}
}

// PolicySize is how many characters that are not white space a managed policy may have.
// Source: IAM guide, "IAM and AWS STS quotas".
const PolicySize = 6144

// Proofs are the operations that a proof of succession needs; see Supersede.
func Proofs() []string {
	return []string{"bedrock:ListTagsForResource", "bedrock:ListModelCopyJobs", "bedrock:ListCustomModelDeployments", "bedrock:ListProvisionedModelThroughputs"}
}

// IAMPolicies writes the policies that let the auditor evaluate rules, as JSON: exactly the permissions of their reads, of
// what their evidence shows and of the proofs that a FAIL is superseded, and with discovery that of finding regions. There are several if they do not fit one managed policy.
func IAMPolicies(partition string, rules []*Rule, withDiscovery bool) []string {
	wanted := Wanted(rules)
	if slices.ContainsFunc(rules, func(r *Rule) bool { return r.Supersedable }) {
		for _, operation := range Proofs() {
			wanted[operation] = true
		}
	}
	ops := slices.DeleteFunc(Operations(), func(op Operation) bool { return !wanted[op.Name] })
	if withDiscovery {
		ops = append(ops, discovery()...)
	}
	return policies(partition, ops, PolicySize)
}

// OrganizationPolicy writes the policy that a management or delegated account needs besides, to list the organization's
// accounts and to take on the named role in each.
func OrganizationPolicy(partition, role string) string {
	return policies(partition, organization(role), PolicySize)[0]
}

type policyStatement struct {
	Sid, Effect      string
	Action, Resource []string
}

// policies puts operations into statements, and these into documents of at most limit characters.
func policies(partition string, ops []Operation, limit int) []string {
	var statements []policyStatement
	for _, op := range ops {
		i := slices.IndexFunc(statements, func(s policyStatement) bool { return s.Sid == op.Sid })
		if i < 0 {
			resources := make([]string, len(op.Resources))
			for n, r := range op.Resources {
				resources[n] = strings.ReplaceAll(r, "{partition}", partition)
			}
			statements = append(statements, policyStatement{op.Sid, "Allow", nil, resources})
			i = len(statements) - 1
		}
		if !slices.Contains(statements[i].Action, op.Action) {
			statements[i].Action = append(statements[i].Action, op.Action)
		}
	}
	for i := range statements {
		slices.Sort(statements[i].Action)
	}
	slices.SortFunc(statements, func(a, b policyStatement) int { return strings.Compare(a.Sid, b.Sid) })

	var documents []string
	var current []policyStatement
	for _, s := range statements {
		if len(current) > 0 && size(document(append(slices.Clone(current), s))) > limit {
			documents = append(documents, document(current))
			current = nil
		}
		current = append(current, s)
	}
	if len(current) > 0 {
		documents = append(documents, document(current))
	}
	return documents
}

func document(statements []policyStatement) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	// Encoding strings cannot fail.
	_ = enc.Encode(struct {
		Version   string
		Statement []policyStatement
	}{"2012-10-17", statements})
	return b.String()
}

// size counts as IAM does: everything but white space.
func size(document string) int {
	n := 0
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}
