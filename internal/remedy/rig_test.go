package remedy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/posture"
)

const (
	here   = "111122223333"
	there  = "444455556666"
	east   = "us-east-1"
	oldJob = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/b4ndb4ndb4nd"
	newJob = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/m00000000001"
	model  = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/c00000000001"
	key    = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
	theirs = "arn:aws:kms:us-east-1:444455556666:key/5e6f1a2b-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
)

func clock() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// js is a value as a step's parameters.
func js(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

type object = map[string]any

// sample is a plan of two changes in two accounts: a job is made again, and a key rotates.
func sample() *Plan {
	old := 1.0625
	byName, byARN := js(object{"jobIdentifier": "support-r1"}), js(object{"jobIdentifier": "${1.1.jobArn}"})
	tags, successor := js(object{"resourceARN": oldJob}), "tags[?key == `\"cloister:superseded-by\"`].value"
	rotates := func(text string, is bool) *Condition {
		return &Condition{Text: text, Call: "kms:GetKeyRotationStatus", Region: east, Parameters: js(object{"KeyId": theirs}), Query: "KeyRotationEnabled", Expect: is}
	}
	return &Plan{
		Schema: PlanSchema, Tool: posture.Tool{Name: "cloister", Version: "1.2.3"}, Created: clock(),
		Accounts: []Account{{ID: here, Partition: "aws", Regions: []string{east}}, {ID: there, Partition: "aws", Endpoint: "http://127.0.0.1:4566", Regions: []string{east}}},
		Changes: []Change{
			{
				ID: "1", Title: "make job support again as support-r1", Class: Recreate, Account: here, Region: east, Resource: oldJob, Name: "support",
				Findings: []Finding{{"f-1", "MC-JOB-001"}, {"f-2", "MC-JOB-004"}},
				Compared: []Member{
					{Name: "baseModelIdentifier", Old: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", New: "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"},
					{Name: "customModelKmsKeyId", New: key, Why: "the old job has no customer managed key, or another was asked for"},
					{Name: "hyperParameters", Old: object{"batchSize": "1", "epochCount": "2"}, New: object{"batchSize": "1", "epochCount": "2"}},
					{Name: "jobName", Old: "support", New: "support-r1", Why: "the names of jobs cannot be used again"},
					{Name: "jobTags", Old: []any{object{"key": "owner", "value": "a"}}, New: []any{object{"key": "cloister:supersedes", "value": oldJob}, object{"key": "owner", "value": "a"}}, Why: "names the job that it replaces"},
				},
				Predicted: []Prediction{{"MC-JOB-001", "new job", posture.Pass, "the job runs in a VPC"}, {"MC-JOB-001", oldJob, posture.Superseded, ""}},
				Reaches:   []string{"nothing else: the old job and its model stay as they are"}, Hazards: []string{"a new job is a new run"},
				Lasting: []string{"the entry of the new job"}, Seconds: 7315,
			},
			{
				ID: "2", Title: "let a key rotate", Class: Reversible, Account: there, Region: east, Resource: theirs, Name: "5e6f1a2b",
				Findings: []Finding{{"f-3", "MC-KMS-002"}}, Predicted: []Prediction{{"MC-KMS-002", theirs, posture.Pass, ""}},
				Reaches: []string{"what is encrypted anew"}, Hazards: []string{}, Lasting: []string{},
			},
		},
		Checks: []Check{{"names", "1", CheckOK, "support-r1 is free"}, {"role-network", "1", NotChecked, "only AWS simulates policies"}, {"quota", "1", NotChecked, "only AWS names its quotas"}},
		Left:   []Left{{"f-4", "MC-JOB-002", oldJob, "it is ERROR now"}},
		Cost:   Cost{Text: "not known: AWS bills training by tokens"},
		Steps: []Step{
			{
				ID: "1.1", Change: "1", Kind: KindCall, Class: Recreate, Text: "create job support-r1", Call: createJob, Account: here, Region: east,
				Parameters: js(object{
					"jobName": "support-r1", "customModelName": "support-r1", "baseModelIdentifier": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
					"roleArn": "arn:aws:iam::111122223333:role/tune", "clientRequestToken": "${token}", "customModelKmsKeyId": key,
					"trainingDataConfig": object{"s3Uri": "s3://acme/train.jsonl"}, "outputDataConfig": object{"s3Uri": "s3://acme/out/"},
					"hyperParameters": object{"batchSize": "1", "epochCount": "2"},
					"vpcConfig":       object{"subnetIds": []any{"subnet-0a", "subnet-0b"}, "securityGroupIds": []any{"sg-0c"}},
					"jobTags":         []any{object{"key": "note", "value": "a$${1.1.jobArn}"}, object{"key": "cloister:supersedes", "value": oldJob}},
				}),
				Before: []Condition{{
					Text: "the name support-r1 is free", Call: "bedrock:ListModelCustomizationJobs", Region: east, Parameters: js(object{"nameContains": "support-r1"}),
					Query: "modelCustomizationJobSummaries[?jobName == `\"support-r1\"`].jobName", Expect: []any{},
				}},
				After: &Condition{
					Text: "job support-r1", Call: getJob, Region: east, Parameters: byName, Query: "clientRequestToken || 'another'", Expect: "${token}",
					Absent: []string{"ResourceNotFoundException"}, Results: map[string]string{"jobArn": "jobArn"},
				},
				Results: map[string]string{"jobArn": "jobArn"},
				Undo: []Undo{
					{
						Text: "stop job support-r1 if it runs", Call: "bedrock:StopModelCustomizationJob", Class: Destructive, Parameters: byName,
						When: &Condition{Text: "job support-r1 runs", Call: getJob, Region: east, Parameters: byName, Query: "status", Expect: "InProgress"},
					},
					{
						Text: "delete model support-r1", Call: "bedrock:DeleteCustomModel", Class: Destructive, Created: true, Parameters: js(object{"modelIdentifier": "support-r1"}),
						When: &Condition{
							Text: "model support-r1 is of the new job", Call: "bedrock:GetCustomModel", Region: east, Parameters: js(object{"modelIdentifier": "support-r1"}),
							Query: "jobArn", Expect: "${1.1.jobArn}", Absent: []string{"ResourceNotFoundException"},
						},
					},
				},
			},
			{
				ID: "2.1", Change: "2", Kind: KindCall, Class: Reversible, Text: "let the key rotate", Call: "kms:EnableKeyRotation", Account: there, Region: east,
				Parameters: js(object{"KeyId": theirs}), Before: []Condition{*rotates("the key does not rotate", false)}, After: rotates("the key rotates", true),
				Undo: []Undo{{Text: "let the key rotate no more", Call: "kms:DisableKeyRotation", Class: Reversible, Parameters: js(object{"KeyId": theirs}), When: rotates("the key rotates", true)}},
			},
			{
				ID: "1.2", Change: "1", Kind: KindWait, Class: Recreate, Text: "wait for job support-r1", Call: getJob, Account: here, Region: east,
				Parameters: byARN, Results: map[string]string{"modelArn": "outputModelArn"},
			},
			{
				ID: "1.3", Change: "1", Kind: KindCompare, Class: Recreate, Text: "compare the losses", Call: getJob, Account: here, Region: east,
				Parameters: byARN, Losses: &Bound{Old: Losses{Training: &old}, Most: 0.1},
			},
			{
				ID: "1.4", Change: "1", Kind: KindCall, Class: Reversible, Text: "say on job support that support-r1 replaces it", Call: "bedrock:TagResource", Account: here, Region: east,
				Parameters: js(object{"resourceARN": oldJob, "tags": []any{object{"key": "cloister:superseded-by", "value": "${1.1.jobArn}"}}}),
				Before:     []Condition{{Text: "job support names no successor", Call: "bedrock:ListTagsForResource", Region: east, Parameters: tags, Query: successor, Expect: []any{}}},
				After:      &Condition{Text: "job support names its successor", Call: "bedrock:ListTagsForResource", Region: east, Parameters: tags, Query: successor, Expect: []any{"${1.1.jobArn}"}},
				Undo: []Undo{{
					Text: "take the successor's name off job support", Call: "bedrock:UntagResource", Class: Reversible, Parameters: js(object{"resourceARN": oldJob, "tagKeys": []any{"cloister:superseded-by"}}),
					When: &Condition{Text: "job support names its successor", Call: "bedrock:ListTagsForResource", Region: east, Parameters: tags, Query: successor, Expect: []any{"${1.1.jobArn}"}},
				}},
			},
		},
	}
}

// encoded is a plan's file and its hash.
func encoded(tb testing.TB, p *Plan) (file []byte, hash string) {
	tb.Helper()
	file, err := p.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return file, Hash(file)
}

// cloud is what the sample plan changes: jobs, their tags and models, and the rotation of keys.
type cloud struct {
	jobs   map[string]*job              // by name
	tags   map[string]map[string]string // by ARN
	models map[string]string            // name to the ARN of its job
	rotate map[string]bool              // by key
	// polls is how often a job is found InProgress before it ends as end; loss is what it has learned.
	polls int
	end   string
	loss  float64
	// on, if not nil, is asked before a call. lost does the call, and then loses the answer.
	on func(n int, call string) (err error, lost bool)
	// calls are those that came; writes those that changed something.
	calls, writes []string
	tokens        map[string]string // token to the parameters that it came with
}

type job struct {
	token, arn, model, status string
	polls                     int
}

func newCloud() *cloud {
	return &cloud{
		jobs: map[string]*job{}, tags: map[string]map[string]string{oldJob: {"owner": "a"}}, models: map[string]string{}, rotate: map[string]bool{},
		end: "Completed", loss: 1.0, tokens: map[string]string{},
	}
}

// caller makes calls in one account.
type caller struct {
	c       *cloud
	account string
}

func (c *cloud) clients(account, region string) (Caller, error) {
	if region != east {
		return nil, fmt.Errorf("nothing is in %s", region)
	}
	return &caller{c, account}, nil
}

func (k *caller) Call(ctx context.Context, call string, parameters json.RawMessage) (*awscall.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		return nil, fmt.Errorf("%s: a call without an end", call)
	}
	if err := awscall.Check(call, parameters); err != nil {
		return nil, err
	}
	c := k.c
	c.calls = append(c.calls, call)
	var err error
	var lost bool
	if c.on != nil {
		err, lost = c.on(len(c.calls), call)
	}
	if err != nil && !lost {
		return nil, err
	}
	var in object
	_ = json.Unmarshal(parameters, &in) // it was checked
	members, refused := c.serve(k.account, call, in, string(parameters))
	if refused != nil {
		return nil, refused
	}
	if awscall.Changes(call) {
		c.writes = append(c.writes, call)
	}
	if err == nil {
		err = ctx.Err() // nobody waits for the answer any more
	}
	if err != nil {
		return nil, err
	}
	return &awscall.Answer{Members: plain(members).(object), RequestID: fmt.Sprintf("r-%d", len(c.calls))}, nil //nolint:forcetypeassert // members are a map
}

func (c *cloud) serve(account, call string, in object, text string) (object, error) {
	str := func(name string) string {
		s, _ := in[name].(string)
		return s
	}
	if want := map[bool]string{true: there, false: here}[strings.HasPrefix(call, "kms:")]; account != want {
		return nil, apiError("AccessDeniedException", 403)
	}
	switch call {
	case createJob:
		return c.create(str("jobName"), str("customModelName"), str("clientRequestToken"), text)
	case getJob:
		return c.get(str("jobIdentifier"))
	case "bedrock:ListModelCustomizationJobs":
		found := []any{}
		for _, name := range slices.Sorted(maps.Keys(c.jobs)) {
			if strings.Contains(name, str("nameContains")) {
				found = append(found, object{"jobName": name})
			}
		}
		return object{"modelCustomizationJobSummaries": found}, nil
	case "bedrock:StopModelCustomizationJob":
		if j := c.job(str("jobIdentifier")); j != nil && j.status == "InProgress" {
			j.status = "Stopping"
			return object{}, nil
		}
		return nil, apiError("ConflictException", 400)
	case "bedrock:GetCustomModel":
		if of := c.models[str("modelIdentifier")]; of != "" {
			return object{"jobArn": of, "modelName": str("modelIdentifier")}, nil
		}
		return nil, apiError("ResourceNotFoundException", 404)
	case "bedrock:DeleteCustomModel":
		if c.models[str("modelIdentifier")] == "" {
			return nil, apiError("ResourceNotFoundException", 404)
		}
		delete(c.models, str("modelIdentifier"))
	case "bedrock:ListTagsForResource":
		tags := []any{}
		for _, name := range slices.Sorted(maps.Keys(c.tags[str("resourceARN")])) {
			tags = append(tags, object{"key": name, "value": c.tags[str("resourceARN")][name]})
		}
		return object{"tags": tags}, nil
	case "bedrock:TagResource":
		for _, tag := range in["tags"].([]any) { //nolint:forcetypeassert // it was checked
			c.tags[str("resourceARN")][tag.(object)["key"].(string)] = tag.(object)["value"].(string) //nolint:forcetypeassert // likewise
		}
	case "bedrock:UntagResource":
		for _, name := range in["tagKeys"].([]any) { //nolint:forcetypeassert // it was checked
			delete(c.tags[str("resourceARN")], name.(string)) //nolint:forcetypeassert // likewise
		}
	case "kms:GetKeyRotationStatus":
		return object{"KeyRotationEnabled": c.rotate[str("KeyId")]}, nil
	case "kms:EnableKeyRotation", "kms:DisableKeyRotation":
		c.rotate[str("KeyId")] = call == "kms:EnableKeyRotation"
	default:
		return nil, fmt.Errorf("the cloud does not serve %s", call)
	}
	return object{}, nil
}

func (c *cloud) create(name, model, token, text string) (object, error) {
	if was, ok := c.tokens[token]; ok && was != text {
		return nil, apiError("ConflictException", 400)
	} else if ok {
		return object{"jobArn": c.jobs[name].arn}, nil
	}
	if c.jobs[name] != nil {
		return nil, apiError("ConflictException", 400)
	}
	c.tokens[token] = text
	c.jobs[name] = &job{token: token, model: model, status: "InProgress", arn: newJob[:len(newJob)-1] + fmt.Sprint(len(c.jobs)+1)}
	return object{"jobArn": c.jobs[name].arn}, nil
}

// job is the one with a name or ARN.
func (c *cloud) job(id string) *job {
	for name, j := range c.jobs {
		if name == id || j.arn == id {
			return j
		}
	}
	return nil
}

func (c *cloud) get(id string) (object, error) {
	j := c.job(id)
	if j == nil {
		return nil, apiError("ResourceNotFoundException", 404)
	}
	if j.status == "InProgress" {
		if j.polls++; j.polls > c.polls {
			j.status = c.end
			if c.end == "Completed" {
				c.models[j.model] = j.arn
			}
		}
	}
	out := object{"jobArn": j.arn, "status": j.status, "clientRequestToken": j.token}
	if j.token == "" {
		delete(out, "clientRequestToken")
	}
	switch j.status {
	case "Completed":
		out["outputModelArn"], out["trainingMetrics"] = model, object{"trainingLoss": c.loss}
	case "Failed":
		out["failureMessage"] = "the data is bad"
	}
	return out, nil
}

// apiError is an error that a service answers.
func apiError(code string, status int) error {
	return &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err:      &smithy.GenericAPIError{Code: code, Message: "no"},
		},
		RequestID: "r-refused",
	}
}

// rig is a plan that is being made in a cloud.
type rig struct {
	*Runner
	cloud *cloud
	name  string // of the journal
	// events are what was told, without the waiting.
	events []string
}

// start is a runner of a plan whose journal begins.
func start(t *testing.T, p *Plan, c *cloud) *rig {
	t.Helper()
	return again(t, p, c, filepath.Join(t.TempDir(), "plan.json.journal"))
}

// again is a runner of a plan as another process would have it, which opens the journal.
func again(t *testing.T, p *Plan, c *cloud, name string) *rig {
	t.Helper()
	journal, err := OpenJournal(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() })
	_, hash := encoded(t, p)
	r := &rig{cloud: c, name: name}
	r.Runner = &Runner{
		Plan: p, Hash: hash, Journal: journal, Clients: c.clients, Now: clock, Poll: time.Nanosecond, Settle: time.Nanosecond, Lag: time.Nanosecond,
		Progress: func(e Event) {
			if e.What != "wait" {
				r.events = append(r.events, e.Step.ID+" "+e.What)
			}
		},
	}
	return r
}

// next is the same plan in another process.
func (r *rig) next(t *testing.T) *rig {
	t.Helper()
	_ = r.Journal.Close() // it may be closed already
	n := again(t, r.Plan, r.cloud, r.name)
	r.Journal = n.Journal // for the next after it
	return n
}

// whole approves all of the sample plan.
func (r *rig) whole() Approval {
	return Approval{Hash: r.Hash, Unchecked: []string{"quota", "role-network"}, Cost: true}
}

// records are the journal's records, without what they hold.
func (r *rig) records(t *testing.T) []string {
	t.Helper()
	records, err := ReadJournal(r.name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, one := range records {
		line := one.Record
		if one.Step != "" {
			line += " " + one.Step
		}
		if one.Undo > 0 {
			line += fmt.Sprintf("/%d", one.Undo)
		}
		if one.Settled {
			line += " settled"
		}
		lines = append(lines, line)
	}
	return lines
}
