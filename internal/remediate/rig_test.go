package remediate_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

// The good world's account, job and what it could be given.
const (
	account = "111122223333"
	oldJob  = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/q4ad8z8tioq8"
	oldName = "support-2026-11"
	vpc     = "vpc-0d4c3b2a19f8e7d65"
	key     = "arn:aws:kms:us-east-1:111122223333:key/1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"
)

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// world is the all-compliant world with patches; "~/" is the first region of the account, "~b/" its buckets.
func world(t *testing.T, patches ...awsfake.Patch) *awsfake.World {
	t.Helper()
	for i, p := range patches {
		if rest, ok := strings.CutPrefix(p.Path, "~b/"); ok {
			patches[i].Path = "/accounts/" + account + "/buckets/" + rest
		} else if rest, ok := strings.CutPrefix(p.Path, "~/"); ok {
			patches[i].Path = "/accounts/" + account + "/regions/us-east-1/" + rest
		}
	}
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()), patches...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// bare is the good world's job without a VPC and a key, that nothing serves.
func bare(more ...awsfake.Patch) []awsfake.Patch {
	return append([]awsfake.Patch{
		{Path: "~/jobs/0/vpcConfig", Delete: true},
		{Path: "~/jobs/0/outputModelKmsKeyArn", Delete: true},
		{Path: "~/deployments", Delete: true},
		{Path: "~/throughputs", Delete: true},
	}, more...)
}

// failing are the patches with which a rule fails, of the rules' own fixtures.
func failing(t *testing.T, rule string) []awsfake.Patch {
	t.Helper()
	text, err := os.ReadFile("../posture/testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Fail []awsfake.Patch `yaml:"fail"`
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all[rule].Fail) == 0 {
		t.Fatalf("no fixture of %s", rule)
	}
	return all[rule].Fail
}

var loadPack = sync.OnceValues(posture.Load)

func pack(t *testing.T) *posture.Pack {
	t.Helper()
	p, err := loadPack()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// auditing are the options of an audit of a fake, which looks like AWS: it has no endpoint of its own.
func auditing(t *testing.T, server *awsfake.Server, rules ...string) audit.Options {
	t.Helper()
	chosen, err := pack(t).Select(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Options{
		Pack: pack(t), Rules: chosen, Tool: posture.Tool{Name: "cloister", Version: "test"},
		Collect: collect.Options{
			Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account)}, HTTP: server.HTTPClient(), Now: now, MaxAttempts: 2,
		},
	}
}

// wants are options for a plan that mends rules of the good world.
func wants(t *testing.T, server *awsfake.Server, rules ...string) remediate.Options {
	t.Helper()
	return remediate.Options{
		Audit: auditing(t, server, rules...), MostChanges: 10, VPCs: []string{vpc}, Keys: []string{key}, MostLoss: 0.1,
		Tags:      map[string]string{"owner": "ml platform", "data-class": "internal", "purpose": "support"},
		LogBucket: "acme-access-logs", FlowLogDestination: "arn:aws:s3:::acme-access-logs", InvocationBucket: "acme-access-logs",
	}
}

// file is a plan on disk.
type file struct {
	name, hash string
	plan       *remedy.Plan
}

func save(t *testing.T, p *remedy.Plan) file {
	t.Helper()
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := remedy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	f := file{filepath.Join(t.TempDir(), "plan.json"), remedy.Hash(text), again}
	if err := os.WriteFile(f.name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// everything accepts all that a plan may want accepted.
func (f file) everything() remedy.Approval {
	return remedy.Approval{Hash: f.hash, Unchecked: f.plan.Unchecked(), Cost: true, Destructive: true}
}

// runner works on the plan at a fake.
func (f file) runner(t *testing.T, o collect.Options) *remedy.Runner {
	t.Helper()
	read, err := remediate.Connect(t.Context(), o, f.plan)
	if err != nil {
		t.Fatal(err)
	}
	journal, err := remedy.OpenJournal(remedy.JournalName(f.name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = journal.Close() }) // every record is on disk
	return &remedy.Runner{
		Plan: f.plan, Hash: f.hash, Journal: journal, Now: time.Now, Poll: time.Millisecond, Settle: time.Nanosecond, Lag: time.Nanosecond,
		Clients: func(account, region string) (remedy.Caller, error) {
			return remediate.Client(read, account, region), nil
		},
	}
}

// plan plans or fails the test.
func plan(t *testing.T, o remediate.Options) file {
	t.Helper()
	p, err := remediate.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return save(t, p)
}

// verdicts are the statuses of a rule, by resource.
func verdicts(t *testing.T, o audit.Options, rule string) map[string]posture.Status {
	t.Helper()
	outcome, err := audit.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]posture.Status{}
	for _, r := range outcome.Report.Results {
		if r.Rule == rule {
			found[r.Resource] = r.Status
		}
	}
	return found
}

// tree is a JSON text as a map.
func tree(t *testing.T, text json.RawMessage) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// check is what a plan's check of a name says.
func check(p *remedy.Plan, name string) (status, why string) {
	for _, c := range p.Checks {
		if c.Name == name {
			return c.Status, c.Why
		}
	}
	return "", ""
}
