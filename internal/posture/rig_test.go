package posture_test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

// account is the one account of the fake's good world, now its time.
const account = "111122223333"

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// fixture is one rule's entry of testdata/fixtures.yaml.
type fixture struct {
	Pass []awsfake.Patch `yaml:"pass"`
	Fail []awsfake.Patch `yaml:"fail"`
	// Also are worlds in which reads matter that do not matter in the others.
	Also       [][]awsfake.Patch `yaml:"also"`
	Unreadable struct {
		Call string          `yaml:"call"`
		With []awsfake.Patch `yaml:"with"`
	} `yaml:"unreadable"`
}

func fixtures(t *testing.T) map[string]fixture {
	t.Helper()
	text, err := os.ReadFile("testdata/fixtures.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]fixture
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// world loads the all-compliant world with patches, in a partition ("" is aws).
func world(t *testing.T, partition string, patches ...awsfake.Patch) *awsfake.World {
	t.Helper()
	text, region := inPartition(string(awsfake.Good()), partition), regionOf(partition)
	expanded := make([]awsfake.Patch, len(patches))
	for i, p := range patches {
		if rest, ok := strings.CutPrefix(p.Path, "~b/"); ok {
			p.Path = "/accounts/" + account + "/buckets/" + rest
		} else if rest, ok := strings.CutPrefix(p.Path, "~/"); ok {
			p.Path = "/accounts/" + account + "/regions/" + region + "/" + rest
		}
		if partition != "" && p.Set != nil {
			value, err := yaml.Marshal(p.Set)
			if err != nil {
				t.Fatal(err)
			}
			p.Set = nil
			if err := yaml.Unmarshal([]byte(inPartition(string(value), partition)), &p.Set); err != nil {
				t.Fatal(err)
			}
		}
		expanded[i] = p
	}
	w, err := awsfake.Load(strings.NewReader(text), expanded...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func regionOf(partition string) string {
	switch partition {
	case "aws-us-gov":
		return "us-gov-west-1"
	case "aws-cn":
		return "cn-north-1"
	}
	return "us-east-1"
}

// inPartition moves text of the good world to another partition.
func inPartition(text, partition string) string {
	if partition == "" || partition == "aws" {
		return text
	}
	second := map[string]string{"aws-us-gov": "us-gov-east-1", "aws-cn": "cn-northwest-1"}[partition]
	return strings.NewReplacer("arn:aws:", "arn:"+partition+":", "partition: aws\n", "partition: "+partition+"\n",
		"us-east-1", regionOf(partition), "eu-west-1", second).Replace(text)
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

func rules(t *testing.T, names ...string) []*posture.Rule {
	t.Helper()
	chosen, err := pack(t).Select(names...)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// options are those of an audit of a fake.
func options(server *awsfake.Server, chosen []*posture.Rule) collect.Options {
	return collect.Options{
		Wanted:  posture.Wanted(chosen),
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account), Endpoints: map[string]string{"": "http://aws.test"}},
		HTTP:    server.HTTPClient(), Now: now,
	}
}

// evaluate audits a fake with the chosen rules; the others of the pack serve where a rule uses them.
func evaluate(t *testing.T, o collect.Options, chosen []*posture.Rule) []posture.Result {
	t.Helper()
	c, err := collect.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	results := posture.Evaluate(c.Inventory, rules(t), chosen)
	accepted, _ := (&posture.Gaps{}).Apply(results, now())
	return accepted
}

// count is how many results of a rule have a status.
func count(results []posture.Result, rule string, status posture.Status) int {
	n := 0
	for i := range results {
		if results[i].Rule == rule && results[i].Status == status {
			n++
		}
	}
	return n
}

func show(t *testing.T, results []posture.Result, rule string) {
	t.Helper()
	for i := range results {
		if r := &results[i]; r.Rule == rule {
			t.Logf("%s %s %s %s: %s", r.Status, r.Rule, r.Region, r.Name, r.Message)
		}
	}
}
