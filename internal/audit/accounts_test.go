package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

// management audits the others: one has the role, one has not, one is suspended.
const (
	management = "111111111111"
	member     = "222222222222"
	locked     = "333333333333"
	suspended  = "444444444444"
)

// organization is a world of an organization whose accounts each have a job without a VPC.
func organization() string {
	var w strings.Builder
	w.WriteString("regions: [us-east-1]\norganization:\n  id: o-a1b2c3d4e5\n  management: \"" + management + "\"\n" +
		"  roots: [{Id: r-ab12, Arn: \"arn:aws:organizations::111111111111:root/o-a1b2c3d4e5/r-ab12\", Name: Root}]\n  accounts:\n")
	for _, id := range []string{management, member, locked, suspended} {
		status := "ACTIVE"
		if id == suspended {
			status = "SUSPENDED"
		}
		fmt.Fprintf(&w, "    - {Id: %q, Name: name-%s, Status: %s, parent: r-ab12}\n", id, id, status)
	}
	w.WriteString("accounts:\n")
	for _, id := range []string{management, member, locked, suspended} {
		role := "{Auditor: {}, OrganizationAccountAccessRole: {}}"
		if id == locked {
			role = "{}"
		}
		fmt.Fprintf(&w, `  %q:
    roles: %s
    regions:
      us-east-1:
        jobs:
          - jobArn: arn:aws:bedrock:us-east-1:%s:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl
            jobName: job-%s
            outputModelName: model
            roleArn: arn:aws:iam::%s:role/customization
            status: Completed
            creationTime: 2026-11-21T08:00:11Z
            lastModifiedTime: 2026-11-21T10:02:06Z
            endTime: 2026-11-21T10:02:06Z
            baseModelArn: arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k
            customizationType: FINE_TUNING
            trainingDataConfig: {s3Uri: s3://train/train.jsonl}
            outputDataConfig: {s3Uri: s3://output/}
            hyperParameters: {epochCount: "2"}
`, id, role, id, id, id)
	}
	return w.String()
}

// run audits the organization with the first rule.
func run(t *testing.T, change func(*collect.Options)) (*audit.Outcome, *awsfake.Server) {
	t.Helper()
	world, err := awsfake.Load(strings.NewReader(organization()))
	if err != nil {
		t.Fatal(err)
	}
	pack, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pack.Select("MC-JOB-001")
	if err != nil {
		t.Fatal(err)
	}
	server := awsfake.New(world, awsfake.Options{})
	o := collect.Options{
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(management)},
		HTTP:    server.HTTPClient(), Now: time.Now, MaxAttempts: 2,
	}
	change(&o)
	outcome, err := audit.Run(t.Context(), audit.Options{Collect: o, Pack: pack, Rules: rules, Tool: posture.Tool{Name: "test"}, FailOn: posture.Medium})
	if err != nil {
		t.Fatal(err)
	}
	return outcome, server
}

// lines are a report's accounts and results, one a line each.
func lines(r *posture.Report) []string {
	var out []string
	for _, a := range r.Accounts {
		code := ""
		if a.Error != nil {
			code = " " + a.Error.Operation + " " + a.Error.Code
		}
		out = append(out, a.ID+" "+a.Status+code)
	}
	for i := range r.Results {
		one := &r.Results[i]
		line := one.Account + " " + string(one.Status) + " " + one.Rule + " " + one.Name
		for _, why := range one.Unread {
			line += " " + why.Operation + " " + why.Code
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// TestLockedAccount: an account whose role cannot be assumed is one ERROR; the others are read.
func TestLockedAccount(t *testing.T) {
	t.Parallel()
	role := func(id string) string { return "arn:aws:iam::" + id + ":role/Auditor" }
	outcome, server := run(t, func(o *collect.Options) {
		o.Targets = []collect.Target{{ID: member, RoleARN: role(member)}, {ID: locked, RoleARN: role(locked)}}
	})
	want := []string{
		member + " FAIL MC-JOB-001 job-" + member,
		member + " read",
		locked + " ERROR MC-ACC-000 " + locked + " sts:AssumeRole AccessDenied",
		locked + " error sts:AssumeRole AccessDenied",
	}
	if diff := cmp.Diff(want, lines(outcome.Report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, c := range server.Calls() {
		if c.Operation == "ListCustomModelDeployments" {
			t.Error("what serves models was asked, though no job names a successor")
		}
	}
	if outcome.ExitCode != 3 {
		t.Errorf("exit code %d, want 3", outcome.ExitCode)
	}
}

// TestOrganization: a suspended account is listed and not read.
func TestOrganization(t *testing.T) {
	t.Parallel()
	outcome, _ := run(t, func(o *collect.Options) {
		o.Org = &collect.Org{Role: "OrganizationAccountAccessRole", Exclude: []string{locked}}
	})
	want := []string{
		management + " FAIL MC-JOB-001 job-" + management,
		management + " read",
		member + " FAIL MC-JOB-001 job-" + member,
		member + " read",
		suspended + " suspended",
	}
	if diff := cmp.Diff(want, lines(outcome.Report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	names := map[string]string{}
	for _, a := range outcome.Report.Accounts {
		names[a.ID] = a.Name
	}
	if names[member] != "name-"+member {
		t.Errorf("names %v, want those of the organization", names)
	}
}

// TestNothingReadable: an organization whose only account to read is locked is incomplete, not clean.
func TestNothingReadable(t *testing.T) {
	t.Parallel()
	outcome, _ := run(t, func(o *collect.Options) {
		o.Org = &collect.Org{Role: "OrganizationAccountAccessRole", Exclude: []string{management, member}}
	})
	if outcome.ExitCode != 4 {
		t.Errorf("exit code %d, want 4: %q", outcome.ExitCode, lines(outcome.Report))
	}
}
