package awsfake

import (
	"bytes"
	"strings"
	"testing"
)

func goodWorld(tb testing.TB, patches ...Patch) *World {
	tb.Helper()
	w, err := Load(bytes.NewReader(Good()), patches...)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestGoodLoads(t *testing.T) {
	t.Parallel()
	goodWorld(t)
}

// TestWorldIsChecked breaks one place of the good world and wants an error that names it.
func TestWorldIsChecked(t *testing.T) {
	t.Parallel()
	const here = "/accounts/111122223333/regions/us-east-1"
	tests := map[string]struct {
		patch Patch
		want  string
	}{
		"top-level name":   {Patch{Path: "/account", Set: 1}, "account: there is no such name here"},
		"member":           {Patch{Path: here + "/jobs/0/vpcConfig/subnets", Set: []string{}}, "jobs.0.vpcConfig.subnets: VpcConfig has no such member"},
		"type":             {Patch{Path: here + "/jobs/0/jobName", Set: 7}, `jobs.0.jobName: is the number 7, not a string`},
		"enumeration":      {Patch{Path: here + "/jobs/0/status", Set: "Done"}, `jobs.0.status: "Done" is not one of InProgress, Completed`},
		"list":             {Patch{Path: here + "/subnets/0/Tags", Set: "x"}, `subnets.0.Tags: is "x", not a list`},
		"number":           {Patch{Path: here + "/subnets/0/AvailableIpAddressCount", Set: 1.5}, "subnets.0.AvailableIpAddressCount: is the number 1.5, not a integer"},
		"date":             {Patch{Path: here + "/jobs/0/creationTime", Set: "yesterday"}, "jobs.0.creationTime"},
		"null":             {Patch{Path: here + "/jobs/0/jobName"}, "jobs.0.jobName: is null"},
		"union":            {Patch{Path: here + "/importJobs/0/modelDataSource", Set: map[string]any{}}, "importJobs.0.modelDataSource: is a union"},
		"twice":            {Patch{Path: here + "/subnets/1/SubnetId", Set: "subnet-0a1f2e3d4c5b6a798"}, `subnets.1: "subnet-0a1f2e3d4c5b6a798" is there twice`},
		"no id":            {Patch{Path: here + "/flowLogs/0/FlowLogId", Delete: true}, "flowLogs.0: it has no FlowLogId"},
		"region":           {Patch{Path: "/accounts/111122223333/regions/us-east-9", Set: map[string]any{}}, "us-east-9: the world's regions do not list it"},
		"bucket's region":  {Patch{Path: "/accounts/111122223333/buckets/acme-train/region", Set: "mars"}, "acme-train.region"},
		"account":          {Patch{Path: "/accounts/12", Set: map[string]any{}}, "accounts.12: an account is twelve digits"},
		"key's ARN":        {Patch{Path: here + "/keys/0/metadata/Arn", Set: "arn:aws:kms:eu-west-1:111122223333:key/x"}, "keys.0.metadata.Arn"},
		"parent":           {Patch{Path: "/organization/accounts/0/parent", Set: "ou-x"}, `organization.accounts.0.parent: no root or unit has the id "ou-x"`},
		"patch: nothing":   {Patch{Path: here + "/jobs/0/vpc", Delete: true}, `there is no "vpc" to delete`},
		"patch: element":   {Patch{Path: here + "/jobs/9/jobName", Set: "x"}, `"9" is not an element of a list of 1`},
		"patch: scalar":    {Patch{Path: "/partition/x", Set: "x"}, "has no parts"},
		"patch: both":      {Patch{Path: "/partition", Set: "x", Delete: true}, "both set and delete"},
		"patch: no slash":  {Patch{Path: "partition", Set: "x"}, "must begin with a slash"},
		"external id name": {Patch{Path: "/accounts/111122223333/roles/cloister-audit/externalID", Set: "x"}, "roles.cloister-audit.externalID"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(bytes.NewReader(Good()), tt.patch)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Load = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPatches(t *testing.T) {
	t.Parallel()
	const here = "/accounts/111122223333/regions/us-east-1"
	w := goodWorld(t,
		Patch{Path: here + "/jobs/0/vpcConfig", Delete: true},
		Patch{Path: here + "/jobs/0/tags/a~1b", Set: "c"},
		Patch{Path: here + "/jobs/-", Set: map[string]any{"jobArn": "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/x/y", "creationTime": "2026-01-01T00:00:00Z"}},
		Patch{Path: here + "/throughputs/-/modelUnits", Set: 2},
		Patch{Path: "/accounts/111122223333/regions/eu-west-1/subnets/-/SubnetId", Set: "subnet-1"},
		Patch{Path: "/accounts/444455556666/roles", Set: map[string]any{}},
	)
	r := w.accounts["111122223333"].regions["us-east-1"]
	if r.jobs.items[0].VpcConfig != nil || len(r.jobs.items) != 2 || *r.throughputs[0].ModelUnits != 2 {
		t.Errorf("the patches were not applied: %+v", r.jobs.items[0])
	}
	if tags := r.tags[*r.jobs.items[0].JobArn]; *tags[0].Key != "a/b" || *tags[0].Value != "c" {
		t.Errorf("tags = %v", tags)
	}
	if len(w.accounts["111122223333"].regions["eu-west-1"].subnets.items) != 1 || w.accounts["444455556666"] == nil {
		t.Error("maps and lists on a patch's way were not made")
	}
}

func TestYAMLIsStrict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1\na: 2":                "there twice",
		"a: 1\n---\nb: 1":           "more than one document",
		"x: &a {}\ny: {<<: *a}":     "a name is expected",
		"[]":                        "a map is expected",
		"partition: aws":            "regions: a world needs at least one",
		"regions: us-east-1":        "regions: a list is expected",
		"regions: [a]\naccounts: 1": "accounts: a map is expected",
	} {
		if _, err := Load(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q) = %v, want %q", text, err, want)
		}
	}
}
