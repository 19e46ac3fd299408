package remediate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// Names of the checks, as --accept-unchecked takes them.
const (
	checkRole    = "role-network"
	checkExists  = "role"
	checkS3      = "s3-reachable"
	checkKey     = "key"
	checkBase    = "base-model"
	checkData    = "data"
	checkQuota   = "quota"
	checkServing = "serving"
	checkNames   = "names"
	checkMends   = "mends"
	checkNetwork = "network"
	checkRules   = "network-rules"
)

// preconditions makes the checks of a new job, and returns what must still hold when it is created.
func (p *planner) preconditions(ctx context.Context, c *remedy.Change, f *failing, d *posture.JobDetail, create map[string]any) []remedy.Condition {
	client := p.caller(c.Account, c.Region)
	conditions := p.free(c, create)
	conditions = append(conditions, p.roleExists(ctx, c, client, create)...)
	conditions = append(conditions, p.base(ctx, c, client, d)...)
	if key, _ := create["customModelKmsKeyId"].(string); key != "" {
		conditions = append(conditions, p.keyUsable(ctx, c, key)...)
	}
	conditions = append(conditions, p.data(ctx, c, f.region, d)...)
	if vpc, ok := create["vpcConfig"].(map[string]any); ok {
		conditions = append(conditions, p.networkStays(ctx, c, vpc)...)
		p.role(ctx, c, create)
	}
	p.quota(ctx, c, client)
	return conditions
}

// free wants the new names to be free: the planner has looked.
func (p *planner) free(c *remedy.Change, create map[string]any) []remedy.Condition {
	job, _ := create["jobName"].(string)
	model, _ := create["customModelName"].(string)
	p.check(checkNames, c.ID, remedy.CheckOK, "%s and %s are free", job, model)
	return []remedy.Condition{
		{
			Text: "the name " + job + " is free", Call: "bedrock:ListModelCustomizationJobs", Parameters: parameters(map[string]any{"nameContains": job}),
			Query: "modelCustomizationJobSummaries[?jobName == " + remedy.Quote(job) + "].jobName", Expect: []any{},
		},
		{
			Text: "the name " + model + " is free", Call: "bedrock:ListCustomModels", Parameters: parameters(map[string]any{"nameContains": model}),
			Query: "modelSummaries[?modelName == " + remedy.Quote(model) + "].modelName", Expect: []any{},
		},
	}
}

// hold looks at a condition as it is now and expects that later. It fails if that could not be read.
func (p *planner) hold(ctx context.Context, client remedy.Caller, c remedy.Condition) (remedy.Condition, error) {
	found, _, err := c.Look(ctx, client, func(string) (string, bool) { return "", false })
	c.Expect = remedy.Literal(found)
	return c, err
}

// base wants the base model to be offered still.
func (p *planner) base(ctx context.Context, c *remedy.Change, client *awscall.Client, d *posture.JobDetail) []remedy.Condition {
	want := remedy.Condition{
		Text: "base model " + d.Base, Call: "bedrock:GetFoundationModel", Parameters: parameters(map[string]any{"modelIdentifier": d.Base}),
		Query: "modelDetails.modelLifecycle.status", Absent: []string{"ResourceNotFoundException"},
	}
	good := "ACTIVE"
	if !strings.Contains(d.Base, ":foundation-model/") { // a custom model that is trained on
		want.Call, want.Query, good = "bedrock:GetCustomModel", "modelStatus || 'Active'", "Active"
	}
	held, err := p.hold(ctx, client, want)
	switch {
	case err != nil:
		p.check(checkBase, c.ID, remedy.NotChecked, "%v", err)
		return nil
	case held.Expect != good:
		p.check(checkBase, c.ID, remedy.CheckRefused, "base model %s is %s", d.Base, say(held.Expect))
		return nil
	}
	p.check(checkBase, c.ID, remedy.CheckOK, "%s is %s", d.Base, good)
	return []remedy.Condition{held}
}

func say(v any) string {
	if v == nil {
		return "no longer there"
	}
	return fmt.Sprint(v)
}

// keyUsable wants the key to be one that encrypts, and enabled. What its policy says is not evaluated.
func (p *planner) keyUsable(ctx context.Context, c *remedy.Change, key string) []remedy.Condition {
	region := c.Region
	if parts := strings.SplitN(key, ":", 6); len(parts) == 6 && parts[3] != "" {
		region = parts[3]
	}
	held, err := p.hold(ctx, p.caller(c.Account, region), remedy.Condition{
		Text: "key " + key, Call: "kms:DescribeKey", Region: region, Parameters: parameters(map[string]any{"KeyId": key}),
		Query: "KeyMetadata.[KeyState, KeyManager, KeyUsage, KeySpec, Arn]", Absent: []string{"NotFoundException"},
	})
	if err != nil {
		p.check(checkKey, c.ID, remedy.NotChecked, "%v", err)
		return nil
	}
	state, _ := held.Expect.([]any)
	if len(state) != 5 || !slices.Equal(state[:4], []any{"Enabled", "CUSTOMER", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"}) {
		p.check(checkKey, c.ID, remedy.CheckRefused, "key %s is %v: it must be Enabled, CUSTOMER, ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT", key, say(held.Expect))
		return nil
	}
	p.check(checkKey, c.ID, remedy.CheckOK, "key %s is enabled; its policy is not evaluated", key)
	return []remedy.Condition{held}
}

// data wants what the job learns from to be what the old one learned from: nothing was written since, and nothing is until
// the new job is created.
func (p *planner) data(ctx context.Context, c *remedy.Change, r *posture.Region, d *posture.JobDetail) []remedy.Condition {
	uris := append([]string{d.Training, d.LogsURI}, d.Validation...)
	uris = slices.DeleteFunc(uris, func(u string) bool { return u == "" })
	var conditions []remedy.Condition
	for _, uri := range uris {
		held, status, why := p.object(ctx, c, r, d, uri)
		p.check(checkData, c.ID, status, "%s: %s", uri, why)
		if status != remedy.CheckRefused && held.Expect != nil {
			conditions = append(conditions, held)
		}
	}
	return conditions
}

func (p *planner) object(ctx context.Context, c *remedy.Change, r *posture.Region, d *posture.JobDetail, uri string) (held remedy.Condition, status, why string) {
	bucket, key, ok := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	if !ok {
		key = ""
	}
	region := r.Name
	if b := r.Account.Buckets[bucket]; b != nil && b.Region != "" {
		region = b.Region
	}
	want := remedy.Condition{
		Text: "objects of " + uri, Call: "s3:ListObjectsV2", Region: region, Parameters: parameters(map[string]any{"Bucket": bucket, "Prefix": key}),
		Query: objectsQuery(key),
	}
	client := p.caller(c.Account, region)
	held, err := p.hold(ctx, client, want)
	if err != nil {
		if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchBucket" {
			return held, remedy.CheckRefused, "the bucket does not exist"
		}
		return held, remedy.NotChecked, err.Error()
	}
	objects, _ := held.Expect.([]any)
	if len(objects) == 0 {
		return held, remedy.CheckRefused, "there is no such object any more"
	}
	for _, one := range objects {
		fields, _ := one.([]any)
		if len(fields) != 3 {
			return held, remedy.NotChecked, "the answer has no date of an object"
		}
		text, _ := fields[2].(string)
		written, err := time.Parse(time.RFC3339Nano, text)
		switch {
		case err != nil:
			return held, remedy.NotChecked, "the answer has no date of an object"
		case written.Equal(d.Created.Truncate(time.Second)): // S3 tells whole seconds
			return held, remedy.NotChecked, fmt.Sprintf("%v was written %s, in the second in which the old job was created: before or after it", fields[0], text)
		case !written.Before(d.Created):
			return held, remedy.CheckRefused, fmt.Sprintf("%v was written %s, after the old job was created %s: the new model would learn something else", fields[0], text, d.Created.UTC().Format(time.RFC3339))
		}
	}
	return held, remedy.CheckOK, fmt.Sprintf("unchanged since the old job (objects: %d)", len(objects))
}

// objectsQuery picks name, ETag and date of the objects that a URI names: the one of that name, or all below the prefix.
func objectsQuery(key string) string {
	named := "(Contents || `[]`)[?Key == " + remedy.Quote(key) + "]"
	if key == "" || strings.HasSuffix(key, "/") {
		named = "(Contents || `[]`)"
	}
	return "sort_by(" + named + ", &Key)[*].[Key, ETag, LastModified]"
}

// networkStays wants the network to be as the rules saw it: subnets, groups with their rules, routes and S3 endpoints.
func (p *planner) networkStays(ctx context.Context, c *remedy.Change, vpc map[string]any) []remedy.Condition {
	parts := func(list, part string) string { return "sort((" + list + " || `[]`)[*].to_string(" + part + "))" }
	permissions := func(list string) string { // AWS gives them, and what they have, in any order
		return parts(list, "[IpProtocol, FromPort, ToPort, "+parts("IpRanges", "CidrIp")+", "+parts("Ipv6Ranges", "CidrIpv6")+", "+parts("UserIdGroupPairs", "GroupId")+", "+parts("PrefixListIds", "PrefixListId")+"]")
	}
	ours := "[?(Associations || `[]`)[?Main || contains(" + remedy.Quote(vpc["subnetIds"]) + ", SubnetId || '')]]" // the tables of these subnets
	vpcs := map[string]bool{}
	var conditions []remedy.Condition
	for _, one := range []struct {
		what, call, filter, query string
		values                    any // each must be there; nil are the VPCs of the subnets
	}{
		{"subnets of the new job", "ec2:DescribeSubnets", "subnet-id", "sort_by(Subnets, &SubnetId)[*].[SubnetId, VpcId]", vpc["subnetIds"]},
		{
			"security groups of the new job", "ec2:DescribeSecurityGroups", "group-id",
			"sort_by(SecurityGroups, &GroupId)[*].[GroupId, VpcId, " + permissions("IpPermissions") + ", " + permissions("IpPermissionsEgress") + "]", vpc["securityGroupIds"],
		},
		{
			"routes of its VPC", "ec2:DescribeRouteTables", "vpc-id",
			"sort_by(RouteTables" + ours + ", &RouteTableId)[*].[RouteTableId, " + parts("Associations", "[SubnetId, Main]") + ", " +
				parts("Routes", "[DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId, GatewayId, NatGatewayId, TransitGatewayId, VpcPeeringConnectionId, NetworkInterfaceId, EgressOnlyInternetGatewayId, CarrierGatewayId]") + "]", nil,
		},
		{
			"S3 endpoints of its VPC", "ec2:DescribeVpcEndpoints", "vpc-id",
			"sort_by((VpcEndpoints || `[]`)[?ends_with(ServiceName, '.s3')], &VpcEndpointId)[*].[VpcEndpointId, ServiceName, State, PolicyDocument, sort(RouteTableIds || `[]`)]", nil,
		},
	} {
		ids, each := one.values.([]any)
		if !each {
			ids = texts(slices.Sorted(maps.Keys(vpcs)))
		}
		if len(ids) == 0 {
			continue
		}
		held, err := p.hold(ctx, p.caller(c.Account, c.Region), remedy.Condition{
			Text: one.what, Call: one.call, Region: c.Region, Query: one.query,
			Parameters: parameters(map[string]any{"Filters": []any{map[string]any{"Name": one.filter, "Values": ids}}}),
		})
		found, _ := held.Expect.([]any)
		switch {
		case err != nil:
			p.check(checkNetwork, c.ID, remedy.NotChecked, "%s: %v", one.what, err)
		case each && len(found) != len(ids):
			p.check(checkNetwork, c.ID, remedy.CheckRefused, "%s: of %v only %d exist", one.what, ids, len(found))
		default:
			conditions = append(conditions, held)
		}
		for _, record := range found {
			if fields, _ := record.([]any); one.call == "ec2:DescribeSubnets" && len(fields) == 2 {
				vpcs[fmt.Sprint(fields[1])] = true
			}
		}
	}
	return conditions
}

// roleExists wants the role to be there: AWS looks at it only once the job is asked for.
func (p *planner) roleExists(ctx context.Context, c *remedy.Change, client *awscall.Client, create map[string]any) []remedy.Condition {
	role, _ := create["roleArn"].(string)
	held, err := p.hold(ctx, client, remedy.Condition{
		Text: "role " + role, Call: "iam:GetRole", Parameters: parameters(map[string]any{"RoleName": role[strings.LastIndexByte(role, '/')+1:]}),
		Query: "Role.Arn", Absent: []string{"NoSuchEntity"},
	})
	switch {
	case err != nil:
		p.check(checkExists, c.ID, remedy.NotChecked, "%v", err)
		return nil
	case held.Expect != role:
		p.check(checkExists, c.ID, remedy.CheckRefused, "the account has no role %s: name another with --role", role)
		return nil
	}
	p.check(checkExists, c.ID, remedy.CheckOK, "%s exists; its policies are not evaluated", role)
	return []remedy.Condition{held}
}

// What a job's role needs to attach network interfaces: to look, and to make.
// Source: Amazon Bedrock User Guide, "Attach VPC permissions to a model customization role".
func roleLooks() []string {
	return []string{"ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"}
}

func roleMakes() []string {
	return []string{"ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission", "ec2:CreateTags"}
}

// role asks AWS whether the role may attach interfaces. Only AWS can say, and not all of it: what the role may make can depend on
// the interface that is not there yet, so that only an explicit deny is certain.
func (p *planner) role(ctx context.Context, c *remedy.Change, create map[string]any) {
	role, _ := create["roleArn"].(string)
	if account := p.account(c.Account); account != nil && account.Foreign != "" {
		p.check(checkRole, c.ID, remedy.NotChecked, "whether %s may attach network interfaces: only AWS simulates policies", role)
		return
	}
	decisions, err := p.simulate(ctx, c, role)
	if err != nil {
		p.check(checkRole, c.ID, remedy.NotChecked, "%v", err)
		return
	}
	var denied, unsure []string
	for _, action := range slices.Concat(roleLooks(), roleMakes()) {
		switch decision := decisions[action]; {
		case decision == "allowed":
		case decision == "explicitDeny", decision == "implicitDeny" && slices.Contains(roleLooks(), action): // "conditional" is neither
			denied = append(denied, action)
		default:
			unsure = append(unsure, action)
		}
	}
	switch {
	case len(denied) > 0:
		p.check(checkRole, c.ID, remedy.CheckRefused, "role %s may not %s: a job in a VPC needs it", role, strings.Join(denied, ", "))
	case len(unsure) > 0:
		p.check(checkRole, c.ID, remedy.NotChecked, "whether role %s may %s for the interfaces that there will be: the simulation does not allow it for all", role, strings.Join(unsure, ", "))
	default:
		p.check(checkRole, c.ID, remedy.CheckOK, "role %s may attach network interfaces", role)
	}
}

// simulate is AWS's decision on each action of a role.
func (p *planner) simulate(ctx context.Context, c *remedy.Change, role string) (map[string]string, error) {
	members, err := get(ctx, p.caller(c.Account, c.Region), "iam:SimulatePrincipalPolicy", map[string]any{
		"PolicySourceArn": role, "ActionNames": texts(slices.Concat(roleLooks(), roleMakes())), "ContextEntries": []any{
			map[string]any{"ContextKeyName": "aws:RequestTag/BedrockManaged", "ContextKeyType": "string", "ContextKeyValues": []any{"true"}},
			map[string]any{"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": []any{c.Region}},
			map[string]any{"ContextKeyName": "ec2:CreateAction", "ContextKeyType": "string", "ContextKeyValues": []any{"CreateNetworkInterface"}},
		},
	})
	if err != nil {
		return nil, err
	}
	decisions := map[string]string{}
	list, _ := members["EvaluationResults"].([]any)
	for _, one := range list {
		result, _ := one.(map[string]any)
		action, _ := result["EvalActionName"].(string)
		decisions[action], _ = result["EvalDecision"].(string)
		if missing, _ := result["MissingContextValues"].([]any); len(missing) > 0 && decisions[action] == "implicitDeny" {
			decisions[action] = "conditional"
		}
	}
	return decisions, nil
}

// quotaName is the quota of customization jobs that have not ended.
// Source: AWS General Reference, "Amazon Bedrock endpoints and quotas".
const quotaName = "Scheduled customization jobs"

// quota looks whether there is room for the plan's jobs beside those that run.
func (p *planner) quota(ctx context.Context, c *remedy.Change, client *awscall.Client) {
	if account := p.account(c.Account); account != nil && account.Foreign != "" {
		p.check(checkQuota, c.ID, remedy.NotChecked, "only AWS names its quotas")
		return
	}
	planned := 0
	for _, other := range p.plan.Changes {
		if other.Class == remedy.Recreate && other.Account == c.Account && other.Region == c.Region {
			planned++
		}
	}
	running := 0
	if r := p.inventory.Region(c.Account, c.Region); r != nil {
		for _, j := range r.Jobs.Items {
			if !j.Assumed && (j.Status == "InProgress" || j.Status == "Stopping") {
				running++
			}
		}
	}
	in := map[string]any{"ServiceCode": "bedrock"}
	for {
		members, err := get(ctx, client, "service-quotas:ListServiceQuotas", in)
		if err != nil {
			p.check(checkQuota, c.ID, remedy.NotChecked, "%v", err)
			return
		}
		list, _ := members["Quotas"].([]any)
		for _, one := range list {
			quota, _ := one.(map[string]any)
			name, _ := quota["QuotaName"].(string)
			if !strings.Contains(name, quotaName) {
				continue
			}
			if most, _ := quota["Value"].(float64); float64(planned+running) > most {
				p.check(checkQuota, c.ID, remedy.CheckRefused, "%d jobs of the plan and %d that run are more than the quota of %g", planned, running, most)
			} else {
				p.check(checkQuota, c.ID, remedy.CheckOK, "%d jobs of the plan and %d that run, of %g", planned, running, most)
			}
			return
		}
		next, _ := members["NextToken"].(string)
		if next == "" {
			p.check(checkQuota, c.ID, remedy.NotChecked, "the account has no quota %q", quotaName)
			return
		}
		in["NextToken"] = next
	}
}

func (p *planner) account(id string) *posture.Account {
	for _, a := range p.inventory.Accounts {
		if a.ID == id {
			return a
		}
	}
	return nil
}
