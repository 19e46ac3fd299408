package remedy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Statement is one statement of an IAM policy.
type Statement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string]string `json:",omitempty"`
}

// PolicyOptions say what else a policy allows besides the calls of a plan.
type PolicyOptions struct {
	// Reads are the reads alone that applying and rolling back need, without the writes.
	Reads bool
	// Rollback adds what a rollback needs, Delete what one with --delete-created needs.
	Rollback, Delete bool
}

// Policies are, by account, IAM policies with the permissions that a plan needs; the writes are for its resources only.
func Policies(p *Plan, o PolicyOptions) map[string]string {
	byAccount := map[string][]Statement{}
	for i := range p.Steps {
		s := &p.Steps[i]
		account := p.account(s.Account)
		if o.Reads {
			byAccount[s.Account] = append(byAccount[s.Account], reading(s))
			continue
		}
		if s.Kind == KindCall {
			byAccount[s.Account] = append(byAccount[s.Account], permissions(p, account, s, s.Call, s.Parameters)...)
		}
		for _, u := range s.Undo {
			if o.Rollback && (o.Delete || !u.Created) {
				byAccount[s.Account] = append(byAccount[s.Account], permissions(p, account, s, u.Call, u.Parameters)...)
			}
		}
	}
	out := map[string]string{}
	for account, statements := range byAccount {
		out[account] = document(merge(statements))
	}
	return out
}

// reading are the reads of a step, its conditions and its undos.
func reading(s *Step) Statement {
	calls, _ := s.Calls()
	for i, call := range calls {
		if call == "s3:ListObjectsV2" { // its permission has another name
			calls[i] = "s3:ListBucket"
		}
	}
	return Statement{Effect: "Allow", Action: calls, Resource: []string{"*"}}
}

func (p *Plan) account(id string) *Account {
	for i := range p.Accounts {
		if p.Accounts[i].ID == id {
			return &p.Accounts[i]
		}
	}
	return &Account{ID: id, Partition: "aws"}
}

// permissions are what a call needs.
// Source: Service Authorization Reference, "Actions, resources, and condition keys" of each service.
func permissions(p *Plan, a *Account, s *Step, call string, parameters json.RawMessage) []Statement {
	var in map[string]any
	_ = json.Unmarshal(parameters, &in) // the plan was checked
	str := func(name string) string {
		text, _ := in[name].(string)
		return strings.ReplaceAll(text, "$${", "${")
	}
	arn := func(service, resource string) string {
		return strings.Join([]string{"arn", a.Partition, service, s.Region, a.ID, resource}, ":")
	}
	key := func(id string) string {
		if strings.HasPrefix(id, "arn:") {
			return id
		}
		return arn("kms", "key/"+id)
	}
	allow := func(resources ...string) []Statement {
		return []Statement{{Effect: "Allow", Action: []string{call}, Resource: resources}}
	}
	switch call {
	case createJob:
		return newJobPermissions(in, arn, key)
	case "bedrock:StopModelCustomizationJob", "bedrock:DeleteCustomModel":
		return allow(p.created(s, arn, call))
	case "bedrock:TagResource", "bedrock:UntagResource":
		if arn := str("resourceARN"); !strings.Contains(arn, "${") {
			return allow(arn)
		}
		return allow(p.created(s, arn, call)) // what the plan makes
	case "bedrock:UpdateCustomModelDeployment":
		return allow(append(p.models(s, in, arn), str("customModelDeploymentIdentifier"))...)
	case "bedrock:UpdateProvisionedModelThroughput":
		return allow(append(p.models(s, in, arn), str("provisionedModelId"))...)
	case "bedrock:PutModelInvocationLoggingConfiguration":
		statements := allow("*")
		if config, _ := in["loggingConfig"].(map[string]any); config["cloudWatchConfig"] != nil {
			watch, _ := config["cloudWatchConfig"].(map[string]any)
			role, _ := watch["roleArn"].(string)
			statements = append(statements, pass(role, "bedrock.amazonaws.com"))
		}
		return statements
	case "ec2:CreateFlowLogs":
		statements := allow(flowLogResources(in, arn)...)
		statements = append(statements,
			Statement{Effect: "Allow", Action: []string{"ec2:CreateTags"}, Resource: []string{arn("ec2", "vpc-flow-log/*")}},
			Statement{Effect: "Allow", Action: []string{"logs:CreateLogDelivery"}, Resource: []string{"*"}})
		if role := str("DeliverLogsPermissionArn"); role != "" {
			statements = append(statements, pass(role, "vpc-flow-logs.amazonaws.com"))
		}
		return statements
	case "ec2:DeleteFlowLogs":
		return append(allow(arn("ec2", "vpc-flow-log/*")), Statement{Effect: "Allow", Action: []string{"logs:DeleteLogDelivery"}, Resource: []string{"*"}})
	case "s3:PutBucketVersioning", "s3:PutBucketLogging":
		return allow("arn:" + a.Partition + ":s3:::" + str("Bucket"))
	}
	switch service, _, _ := strings.Cut(call, ":"); service {
	case "kms":
		return allow(key(str("KeyId")))
	case "cloudtrail":
		name := str("Name") + str("TrailName")
		return allow(name)
	}
	return allow("*") // the service has no resources for it
}

// newJobPermissions are those of a new job: on the base model, to give it its role and its tags, and to use the key.
// Source: Amazon Bedrock User Guide, "Encryption of custom models" and "Submit a model customization job".
func newJobPermissions(in map[string]any, arn func(service, resource string) string, key func(string) string) []Statement {
	text := func(name string) string {
		v, _ := in[name].(string)
		return strings.ReplaceAll(v, "$${", "${")
	}
	// The ARNs of the new job and model begin with the base model's id, and end with what AWS chooses.
	base := text("baseModelIdentifier")
	id := base[strings.Index(base, "/")+1:]
	if strings.Contains(base, ":custom-model/") { // a model that was made from another
		id = strings.SplitN(id, "/", 2)[0]
	}
	statements := []Statement{
		{Effect: "Allow", Action: []string{createJob}, Resource: []string{base}},
		{Effect: "Allow", Action: []string{"bedrock:TagResource"}, Resource: []string{
			arn("bedrock", "model-customization-job/"+id+"/*"), arn("bedrock", "custom-model/"+id+"/*"),
		}},
		pass(text("roleArn"), "bedrock.amazonaws.com"),
	}
	if k := text("customModelKmsKeyId"); k != "" {
		statements = append(statements, Statement{
			Effect: "Allow", Action: []string{"kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"}, Resource: []string{key(k)},
		})
	}
	return statements
}

// models are the new models of a change, as far as their ARNs are known.
func (p *Plan) models(s *Step, in map[string]any, arn func(service, resource string) string) []string {
	for _, member := range []string{"modelArn", "desiredModelId"} {
		if model, _ := in[member].(string); strings.HasPrefix(model, "arn:") {
			return []string{model}
		}
	}
	return []string{p.created(s, arn, "bedrock:DeleteCustomModel")}
}

// created is what a change makes: a job, or for a call on models its model.
func (p *Plan) created(s *Step, arn func(service, resource string) string, call string) string {
	kind := "model-customization-job/"
	if strings.HasSuffix(call, "Model") {
		kind = "custom-model/"
	}
	for i := range p.Steps {
		if other := &p.Steps[i]; other.Change == s.Change && other.Call == createJob {
			var in map[string]any
			_ = json.Unmarshal(other.Parameters, &in) // the plan was checked
			base, _ := in["baseModelIdentifier"].(string)
			id := base[strings.Index(base, "/")+1:]
			if strings.Contains(base, ":custom-model/") {
				id = strings.SplitN(id, "/", 2)[0]
			}
			return arn("bedrock", kind+id+"/*")
		}
	}
	var in map[string]any // a running job that is stopped
	_ = json.Unmarshal(s.Parameters, &in)
	job, _ := in["jobIdentifier"].(string)
	return job
}

func flowLogResources(in map[string]any, arn func(service, resource string) string) []string {
	resources := []string{arn("ec2", "vpc-flow-log/*")}
	ids, _ := in["ResourceIds"].([]any)
	for _, id := range ids {
		resources = append(resources, arn("ec2", "vpc/"+fmt.Sprint(id)))
	}
	return resources
}

func pass(role, service string) Statement {
	return Statement{
		Effect: "Allow", Action: []string{"iam:PassRole"}, Resource: []string{role},
		Condition: map[string]map[string]string{"StringEquals": {"iam:PassedToService": service}},
	}
}

// merge puts statements with the same resources and conditions together, and numbers them.
func merge(statements []Statement) []Statement {
	byWhat := map[string]*Statement{}
	for _, s := range statements {
		slices.Sort(s.Resource)
		s.Resource = slices.Compact(s.Resource)
		what := fmt.Sprint(s.Resource, s.Condition)
		if have, ok := byWhat[what]; ok {
			have.Action = append(have.Action, s.Action...)
			continue
		}
		byWhat[what] = &s
	}
	var out []Statement
	for _, what := range slices.Sorted(maps.Keys(byWhat)) {
		s := *byWhat[what]
		slices.Sort(s.Action)
		s.Action = slices.Compact(s.Action)
		s.Sid = fmt.Sprintf("Remediation%d", len(out)+1)
		out = append(out, s)
	}
	return out
}

func document(statements []Statement) string {
	text, _ := json.MarshalIndent(struct { // texts and lists always can be
		Version   string
		Statement []Statement
	}{"2012-10-17", statements}, "", "  ")
	return string(text) + "\n"
}
