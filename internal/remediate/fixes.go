package remediate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// fix plans what mends one result, or says why not.
type fix func(p *planner, ctx context.Context, r *posture.Result) error

// fixes are the reversible ones, by rule. Those of trails are planned together: see trailFixes.
func fixes() map[string]fix {
	return map[string]fix{
		"MC-KMS-002": (*planner).keyState,
		"MC-KMS-003": (*planner).keyRotation,
		"MC-S3-005":  (*planner).versioning,
		"MC-S3-006":  (*planner).accessLogs,
		"MC-NET-007": (*planner).flowLogs,
		"MC-LOG-001": (*planner).invocationLogs,
		"MC-JOB-008": (*planner).tags,
		"MC-MOD-007": (*planner).tags,
	}
}

// trailFixes are the rules that are mended by changing a trail.
func trailFixes() []string { return []string{"MC-LOG-003", "MC-LOG-004"} }

// Mends are the rules that a plan can mend, sorted.
func Mends() []string {
	rules := slices.Concat(recreates(), trailFixes())
	for rule := range fixes() {
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	return rules
}

// others plans what is no re-creation.
func (p *planner) others(ctx context.Context, found []posture.Result) error {
	var trails []posture.Result
	for i := range found {
		r := &found[i]
		switch mend := fixes()[r.Rule]; {
		case slices.Contains(recreates(), r.Rule):
			if !p.planned(r) {
				p.leave(r, "the job that made it was not read, or is of another account")
			}
		case slices.Contains(trailFixes(), r.Rule):
			trails = append(trails, *r)
		case mend == nil:
			p.leave(r, "there is no automatic fix: see 'cloister audit explain %s'", r.Rule)
		default:
			if err := mend(p, ctx, r); err != nil {
				return fmt.Errorf("%s %s: %w", r.Rule, r.Resource, err)
			}
		}
	}
	return p.trails(ctx, trails)
}

// planned says that a result is mended, or left with a reason.
func (p *planner) planned(r *posture.Result) bool {
	for _, c := range p.plan.Changes {
		if slices.ContainsFunc(c.Findings, func(f remedy.Finding) bool { return f.ID == r.ID }) {
			return true
		}
	}
	return len(p.refusals) > 0 || slices.ContainsFunc(p.plan.Left, func(l remedy.Left) bool { return l.Finding == r.ID })
}

// begin begins a reversible change of a result.
func (p *planner) begin(r *posture.Result, region, title string) *remedy.Change {
	c := p.change(remedy.Change{
		Title: title, Class: remedy.Reversible, Account: r.Account, Region: region, Resource: r.Resource, Name: r.Name, Findings: findings([]posture.Result{*r}),
		Predicted: []remedy.Prediction{{Rule: r.Rule, Resource: r.Resource, Status: posture.Pass}},
		Hazards:   []string{}, Lasting: []string{}, Reaches: []string{},
	})
	if len(r.Jobs) > 0 && r.Type != posture.TypeJob {
		c.Reaches = append(c.Reaches, "jobs that use it: "+strings.Join(r.Jobs, ", "))
	}
	return c
}

// step of one call, with what it finds before and what must hold after.
func (p *planner) simple(c *remedy.Change, text, call string, in map[string]any, before, after remedy.Condition, undo ...remedy.Undo) {
	p.step(c, phaseGround, remedy.Step{
		Kind: remedy.KindCall, Class: c.Class, Text: text, Call: call, Parameters: parameters(in), Before: []remedy.Condition{before}, After: &after, Undo: undo,
	})
}

func keyCondition(key, query string, expect any) remedy.Condition {
	return remedy.Condition{Text: "state of key " + key, Call: "kms:DescribeKey", Parameters: parameters(map[string]any{"KeyId": key}), Query: query, Expect: expect}
}

// holdTag marks what is disabled on purpose, such as a key that is a kill switch: no plan touches it.
const holdTag = "cloister:hold"

// keyState brings a key back that is disabled or waits for its deletion.
func (p *planner) keyState(ctx context.Context, r *posture.Result) error {
	client := p.caller(r.Account, r.Region)
	members, err := get(ctx, client, "kms:DescribeKey", map[string]any{"KeyId": r.Resource})
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	metadata, _ := members["KeyMetadata"].(map[string]any)
	state, _ := metadata["KeyState"].(string)
	if state != "Disabled" && state != "PendingDeletion" {
		p.leave(r, "the key is %s: no call brings it back", state)
		return nil
	}
	if p.read.Serves(r.Account, "kms:ListResourceTags") {
		tags, err := get(ctx, client, "kms:ListResourceTags", map[string]any{"KeyId": r.Resource})
		if err != nil {
			p.leave(r, "whether the key is held by a tag %s is not known: %v", holdTag, err)
			return nil
		}
		list, _ := tags["Tags"].([]any)
		for _, one := range list {
			if tag, _ := one.(map[string]any); tag["TagKey"] == holdTag {
				p.leave(r, "the key has the tag %s: it is %s on purpose", holdTag, state)
				return nil
			}
		}
	}
	c := p.begin(r, r.Region, "make key "+r.Name+" usable again")
	c.Hazards = append(c.Hazards, "a key may be disabled on purpose, to lock its data: whoever did it should agree")
	in := map[string]any{"KeyId": r.Resource}
	if state == "PendingDeletion" {
		c.Lasting = append(c.Lasting, "the deletion of the key is not scheduled again: schedule it by hand if it is still wanted")
		p.simple(c, "cancel the deletion of key "+r.Name, "kms:CancelKeyDeletion", in,
			keyCondition(r.Resource, "KeyMetadata.KeyState", "PendingDeletion"),
			keyCondition(r.Resource, "KeyMetadata.KeyState == 'Disabled' || KeyMetadata.KeyState == 'Enabled'", true))
	}
	before := keyCondition(r.Resource, "KeyMetadata.KeyState", "Disabled")
	before.Later = state == "PendingDeletion"
	enabled := keyCondition(r.Resource, "KeyMetadata.KeyState", "Enabled")
	enabled.Region = r.Region
	p.simple(c, "enable key "+r.Name, "kms:EnableKey", in, before, enabled, remedy.Undo{
		Text: "disable key " + r.Name + " again", Call: "kms:DisableKey", Class: remedy.Careful, Parameters: parameters(in), When: &enabled,
	})
	if p.read.Serves(r.Account, "kms:ListResourceTags") { // whoever holds it may begin to later
		for i := range p.steps {
			if s := &p.steps[i].step; s.Change == c.ID {
				s.Before = append(s.Before, notHeld(r.Resource, r.Region))
			}
		}
	}
	return nil
}

// notHeld wants a key to have no tag that holds it.
func notHeld(key, region string) remedy.Condition {
	return remedy.Condition{
		Text: "key " + key + " is not held by a tag " + holdTag, Call: "kms:ListResourceTags", Region: region, Parameters: parameters(map[string]any{"KeyId": key}),
		Query: "(Tags || `[]`)[?TagKey == '" + holdTag + "'].TagKey", Expect: []any{},
	}
}

func (p *planner) keyRotation(ctx context.Context, r *posture.Result) error {
	members, err := get(ctx, p.caller(r.Account, r.Region), "kms:DescribeKey", map[string]any{"KeyId": r.Resource})
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	metadata, _ := members["KeyMetadata"].(map[string]any)
	if state := metadata["KeyState"]; state == "PendingDeletion" { // KMS says that it does not rotate, until the deletion is canceled
		p.leave(r, "the key is %v: mend MC-KMS-002 first, then see whether it rotates", state)
		return nil
	}
	c := p.begin(r, r.Region, "rotate key "+r.Name+" every year")
	c.Hazards = append(c.Hazards, "each rotation adds key material, which AWS bills by the month for the first two")
	in := map[string]any{"KeyId": r.Resource}
	rotates := func(expect bool) remedy.Condition {
		return remedy.Condition{Text: "rotation of key " + r.Name, Call: "kms:GetKeyRotationStatus", Parameters: parameters(in), Query: "KeyRotationEnabled", Expect: expect}
	}
	p.costs(c.Account, "key material of each rotation is billed by the month")
	after := rotates(true)
	after.Region = r.Region
	p.simple(c, "enable rotation of key "+r.Name, "kms:EnableKeyRotation", in, rotates(false), after, remedy.Undo{
		Text: "disable rotation of key " + r.Name + " again", Call: "kms:DisableKeyRotation", Class: remedy.Reversible, Parameters: parameters(in), When: &after,
	})
	return nil
}

// bucketRegion is where a bucket lies; "" if it is not known.
func (p *planner) bucketRegion(r *posture.Result) string {
	if a := p.account(r.Account); a != nil && a.Buckets[r.Name] != nil {
		return a.Buckets[r.Name].Region
	}
	return ""
}

func (p *planner) versioning(ctx context.Context, r *posture.Result) error {
	region := p.bucketRegion(r)
	if region == "" {
		p.leave(r, "the bucket's region is not known")
		return nil
	}
	in := map[string]any{"Bucket": r.Name, "ExpectedBucketOwner": r.Account}
	state := remedy.Condition{Text: "versioning of bucket " + r.Name, Call: "s3:GetBucketVersioning", Region: region, Parameters: parameters(in), Query: "Status || 'Never'"}
	held, err := p.hold(ctx, p.caller(r.Account, region), state)
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	c := p.begin(r, region, "keep versions of the objects of bucket "+r.Name)
	c.Hazards = append(c.Hazards, "old versions are kept and billed until a lifecycle rule or somebody deletes them")
	c.Lasting = append(c.Lasting, "versioning can only be suspended, never taken off: versions that were made meanwhile stay")
	p.costs(c.Account, "versions of objects are billed as storage")
	after := state
	after.Expect = "Enabled"
	put := func(status string) map[string]any {
		return map[string]any{"Bucket": r.Name, "ExpectedBucketOwner": r.Account, "VersioningConfiguration": map[string]any{"Status": status}}
	}
	p.simple(c, "enable versioning of bucket "+r.Name, "s3:PutBucketVersioning", put("Enabled"), held, after, remedy.Undo{
		Text: "suspend versioning of bucket " + r.Name, Call: "s3:PutBucketVersioning", Class: remedy.Reversible, Parameters: parameters(put("Suspended")), When: &after,
	})
	return nil
}

func (p *planner) accessLogs(ctx context.Context, r *posture.Result) error {
	region := p.bucketRegion(r)
	switch {
	case p.LogBucket == "":
		p.leave(r, "NoLogBucket: name the bucket for access logs with --log-bucket")
		return nil
	case p.LogBucket == r.Name:
		p.leave(r, "a bucket that logs into itself never comes to rest: name another --log-bucket")
		return nil
	case region == "":
		p.leave(r, "the bucket's region is not known")
		return nil
	}
	owner := map[string]any{"Bucket": p.LogBucket, "ExpectedBucketOwner": r.Account}
	if _, err := get(ctx, p.caller(r.Account, region), "s3:GetBucketVersioning", owner); err != nil {
		p.leave(r, "--log-bucket %s is not there for account %s in %s: %v", p.LogBucket, r.Account, region, err)
		return nil
	}
	in := map[string]any{"Bucket": r.Name, "ExpectedBucketOwner": r.Account}
	state := remedy.Condition{Text: "access logs of bucket " + r.Name, Call: "s3:GetBucketLogging", Region: region, Parameters: parameters(in), Query: "LoggingEnabled.TargetBucket || ''"}
	held, err := p.hold(ctx, p.caller(r.Account, region), state)
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	c := p.begin(r, region, "record who reads bucket "+r.Name+" in "+p.LogBucket)
	c.Hazards = append(c.Hazards,
		"S3 delivers only if the policy of "+p.LogBucket+" lets logging.s3.amazonaws.com write: that is not checked",
		"logs come within hours, best effort, and are billed as storage")
	p.costs(c.Account, "access logs are billed as storage")
	after := state
	after.Expect = p.LogBucket
	put := func(status map[string]any) map[string]any {
		return map[string]any{"Bucket": r.Name, "ExpectedBucketOwner": r.Account, "BucketLoggingStatus": status}
	}
	p.simple(c, "log the accesses to bucket "+r.Name, "s3:PutBucketLogging",
		put(map[string]any{"LoggingEnabled": map[string]any{"TargetBucket": p.LogBucket, "TargetPrefix": r.Name + "/"}}), held, after, remedy.Undo{
			Text: "log the accesses to bucket " + r.Name + " no more", Call: "s3:PutBucketLogging", Class: remedy.Reversible, Parameters: parameters(put(map[string]any{})), When: &after,
		})
	return nil
}

// flowTag marks the flow logs that a plan made.
const flowTag = "cloister:remediation"

func (p *planner) flowLogs(_ context.Context, r *posture.Result) error {
	if p.FlowLogDestination == "" {
		p.leave(r, "NoFlowLogDestination: name a bucket or log group by ARN with --flow-log-destination")
		return nil
	}
	in := map[string]any{
		"ResourceIds": []any{r.Name}, "ResourceType": "VPC", "TrafficType": "ALL", "LogDestination": p.FlowLogDestination, "LogDestinationType": "s3",
		"TagSpecifications": []any{map[string]any{"ResourceType": "vpc-flow-log", "Tags": []any{map[string]any{"Key": flowTag, "Value": "${token}"}}}},
		"ClientToken":       "${token}",
	}
	if strings.Contains(p.FlowLogDestination, ":logs:") {
		in["LogDestinationType"] = "cloud-watch-logs"
		if p.FlowLogRole == "" {
			p.leave(r, "a log group needs the role that may write to it: --flow-log-role")
			return nil
		}
		in["DeliverLogsPermissionArn"] = p.FlowLogRole
	}
	c := p.begin(r, r.Region, "record the traffic of "+r.Name)
	c.Hazards = append(c.Hazards, "flow logs are billed by what they deliver; the destination's policy must let them in: that is not checked")
	c.Lasting = append(c.Lasting, "what was delivered meanwhile stays where it is")
	c.Reaches = append(c.Reaches, "every interface of "+r.Name+" is recorded, not only those of jobs")
	p.costs(c.Account, "flow logs are billed by what they deliver")
	look := parameters(map[string]any{"Filter": []any{map[string]any{"Name": "resource-id", "Values": []any{r.Name}}}})
	full := "(FlowLogs || `[]`)[?FlowLogStatus == 'ACTIVE' && TrafficType == 'ALL' && DeliverLogsStatus != 'FAILED'].FlowLogId"
	own := "(FlowLogs || `[]`)[?contains((Tags || `[]`)[?Key == '" + flowTag + "'].Value, '${token}')].FlowLogId"
	p.step(c, phaseGround, remedy.Step{
		Kind: remedy.KindCall, Class: c.Class, Text: "create a flow log of " + r.Name, Call: "ec2:CreateFlowLogs", Parameters: filled(in),
		Before:  []remedy.Condition{{Text: "flow logs of " + r.Name, Call: "ec2:DescribeFlowLogs", Parameters: look, Query: full, Expect: []any{}}},
		After:   &remedy.Condition{Text: "the flow log of this plan", Call: "ec2:DescribeFlowLogs", Parameters: look, Query: "length(" + own + ")", Expect: 1.0, Results: map[string]string{"flowLogId": own + " | [0]"}},
		Results: map[string]string{"flowLogId": "FlowLogIds[0]"},
	})
	step := &p.steps[len(p.steps)-1].step
	mine := *step.After
	mine.Query, mine.Expect, mine.Results = own, []any{"${" + step.ID + ".flowLogId}"}, nil
	step.Undo = []remedy.Undo{{
		Text: "delete the flow log of " + r.Name, Call: "ec2:DeleteFlowLogs", Class: remedy.Reversible,
		Parameters: filled(map[string]any{"FlowLogIds": []any{"${" + step.ID + ".flowLogId}"}}), When: &mine,
	}}
	return nil
}

func (p *planner) invocationLogs(ctx context.Context, r *posture.Result) error {
	config := map[string]any{"textDataDeliveryEnabled": true, "imageDataDeliveryEnabled": true, "embeddingDataDeliveryEnabled": true}
	switch {
	case p.InvocationBucket == "" && p.InvocationGroup == "":
		p.leave(r, "NoLogDestination: name --invocation-log-bucket, or --invocation-log-group with --invocation-log-role")
		return nil
	case p.InvocationGroup != "" && p.InvocationRole == "":
		p.leave(r, "a log group needs the role that may write to it: --invocation-log-role")
		return nil
	}
	if p.InvocationGroup != "" {
		config["cloudWatchConfig"] = map[string]any{"logGroupName": p.InvocationGroup, "roleArn": p.InvocationRole}
	}
	if p.InvocationBucket != "" {
		config["s3Config"] = map[string]any{"bucketName": p.InvocationBucket}
	}
	state := remedy.Condition{
		Text: "invocation logging of " + r.Region, Call: "bedrock:GetModelInvocationLoggingConfiguration", Parameters: parameters(map[string]any{}),
		Query: "loggingConfig.cloudWatchConfig.logGroupName || loggingConfig.s3Config.bucketName || ''",
	}
	held, err := p.hold(ctx, p.caller(r.Account, r.Region), state)
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	c := p.begin(r, r.Region, "log the invocations of models in "+r.Region)
	c.Hazards = append(c.Hazards, "the logs hold prompts and answers: they need the care that the data needs", "logs are billed; the bucket's policy or the role must let Bedrock write: that is not checked")
	c.Reaches = append(c.Reaches, "every invocation in "+r.Region+" of the account, of all models")
	c.Lasting = append(c.Lasting, "what was logged meanwhile stays where it is")
	p.costs(c.Account, "logs are billed by what they hold")
	after := state
	after.Expect = p.InvocationBucket
	if p.InvocationGroup != "" {
		after.Expect = p.InvocationGroup
	}
	p.simple(c, "log invocations in "+r.Region, "bedrock:PutModelInvocationLoggingConfiguration", map[string]any{"loggingConfig": config}, held, after, remedy.Undo{
		Text: "log no invocations in " + r.Region, Call: "bedrock:DeleteModelInvocationLoggingConfiguration", Class: remedy.Reversible, Parameters: parameters(map[string]any{}), When: &after,
	})
	return nil
}

// tags gives a job or model the tags that a rule requires.
func (p *planner) tags(ctx context.Context, r *posture.Result) error {
	rule, ok := p.Audit.Pack.Rule(r.Rule)
	if !ok {
		return fmt.Errorf("no rule %s", r.Rule)
	}
	required, _ := rule.Effective()["required_tags"].([]string)
	have, err := tagsOf(ctx, p.caller(r.Account, r.Region), r.Resource)
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	added := map[string]string{}
	var keys, unknown []string
	for _, key := range required {
		if value, there := have[key]; value != "" {
			continue
		} else if there {
			p.leave(r, "its tag %s has no value: give it one by hand", key)
			return nil
		}
		keys = append(keys, key)
		if added[key] = p.Tags[key]; added[key] == "" {
			unknown = append(unknown, "--set-tag "+key+"=…")
		}
	}
	if len(unknown) > 0 {
		p.leave(r, "NoTagValue: say %s", strings.Join(unknown, " "))
		return nil
	}
	slices.Sort(keys)
	look := parameters(map[string]any{"resourceARN": r.Resource})
	query := "sort_by(tags[?contains(" + remedy.Quote(texts(keys)) + ", key)], &key)"
	state := remedy.Condition{Text: "tags of " + r.Name, Call: listTags, Parameters: look, Query: query}
	held, err := p.hold(ctx, p.caller(r.Account, r.Region), state)
	if err != nil {
		p.leave(r, "%v", err)
		return nil
	}
	c := p.begin(r, r.Region, "tag "+r.Name+" with "+strings.Join(keys, ", "))
	c.Hazards = append(c.Hazards, "tags may decide who may do what, where policies look at them")
	after := state
	after.Expect = tagList(added)
	p.step(c, phaseGround, remedy.Step{
		Kind: remedy.KindCall, Class: c.Class, Text: "tag " + r.Name, Call: "bedrock:TagResource",
		Parameters: filled(map[string]any{"resourceARN": r.Resource, "tags": tagList(added)}), Before: []remedy.Condition{held}, After: &after,
		Undo: []remedy.Undo{{
			Text: "take the tags off " + r.Name, Call: "bedrock:UntagResource", Class: remedy.Reversible,
			Parameters: parameters(map[string]any{"resourceARN": r.Resource, "tagKeys": texts(keys)}), When: &after,
		}},
	})
	return nil
}
