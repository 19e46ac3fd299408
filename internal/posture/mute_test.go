package posture_test

import (
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/posture"
)

func failing() []posture.Result {
	return []posture.Result{
		{ID: "mc-1", Rule: "MC-JOB-001", Status: posture.Fail, Severity: posture.Medium, Identity: &posture.Identity{Account: account, Region: "us-east-1", Resource: oldJob, Name: "support-2026-10", Tags: map[string]string{"env": "dev"}}},
		{ID: "mc-2", Rule: "MC-S3-001", Status: posture.Fail, Severity: posture.Extreme, Identity: &posture.Identity{Account: account, Region: "global", Resource: "arn:aws:s3:::acme-train", Name: "acme-train"}},
		{ID: "mc-3", Rule: "MC-S3-001", Status: posture.Error, Severity: posture.Extreme, Identity: &posture.Identity{Account: account, Region: "global", Resource: "arn:aws:s3:::acme-output", Name: "acme-output"}},
	}
}

func TestMutes(t *testing.T) {
	t.Parallel()
	const rest = "reason: r, owner: o, expires: 2027-01-31"
	for _, c := range []struct {
		name, entry string
		muted       string // ids
		note        string
	}{
		{"resource by name", "{rule: MC-JOB-001, resource: support-2026-10, " + rest + "}", "mc-1", ""},
		{"resource by ARN and wildcard", "{rule: MC-JOB-001, resource: 'arn:*/b4ndb4ndb4nd', " + rest + "}", "mc-1", ""},
		{"anchored", "{rule: MC-JOB-001, resource: support, " + rest + "}", "", "matches no finding"},
		{"tag", "{rule: 'MC-*', tags: {env: 'd?v'}, " + rest + "}", "mc-1", ""},
		{"all conditions", "{rule: 'MC-*', tags: {env: dev}, region: eu-west-1, " + rest + "}", "", "matches no finding"},
		{"finding", "{rule: MC-S3-001, finding: mc-2, " + rest + "}", "mc-2", ""},
		{"errors are not muted", "{rule: MC-S3-001, everywhere: true, " + rest + "}", "mc-2", ""},
		{"nothing named", "{rule: MC-S3-001, " + rest + "}", "", "everywhere: true"},
		{"any account is none", "{rule: MC-S3-001, account: '*', region: '**', resource: '?*', " + rest + "}", "", "everywhere: true"},
		{"any rule", "{rule: '*', resource: acme-train, " + rest + "}", "", "everywhere: true"},
		{"last day", "{rule: MC-S3-001, everywhere: true, reason: r, owner: o, expires: 2026-11-25}", "mc-2", ""},
		{"expired", "{rule: MC-S3-001, everywhere: true, reason: r, owner: o, expires: 2026-11-24}", "", "expired on 2026-11-24"},
		{"no date", "{rule: MC-S3-001, everywhere: true, reason: r, owner: o}", "", "malformed"},
		{"bad date", "{rule: MC-S3-001, everywhere: true, reason: r, owner: o, expires: next year}", "", "write a date such as"},
		{"too long", "{rule: MC-S3-001, everywhere: true, reason: r, owner: o, expires: 2028-01-01}", "", "longer than a year"},
		{"no reason", "{rule: MC-S3-001, everywhere: true, owner: o, expires: 2027-01-31}", "", "gives no reason"},
		{"no owner", "{rule: MC-S3-001, everywhere: true, reason: r, expires: 2027-01-31}", "", "names no owner"},
		{"no rule", "{everywhere: true, " + rest + "}", "", "names no rule"},
		{"unknown key", "{rule: MC-S3-001, resorce: acme-train, " + rest + "}", "", "resorce"},
		{"brackets mean themselves", "{rule: MC-S3-001, resource: 'acme-[t]rain', " + rest + "}", "", "matches no finding"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := posture.ParseMutes([]byte("version: 1\nmutes:\n  - "+c.entry+"\n"), now())
			if err != nil {
				t.Fatal(err)
			}
			results, notes := m.Apply(failing(), now())
			var muted []string
			for _, r := range results {
				if r.Status == posture.Muted {
					muted = append(muted, r.ID)
					if r.Mute == nil || r.Mute.Owner != "o" {
						t.Errorf("%s does not say who muted it", r.ID)
					}
				}
			}
			if got := strings.Join(muted, " "); got != c.muted {
				t.Errorf("muted %q, want %q", got, c.muted)
			}
			if all := strings.Join(notes, "\n"); (c.note == "") != (all == "") || !strings.Contains(all, c.note) {
				t.Errorf("notes %q, want %q", all, c.note)
			}
		})
	}
	for _, text := range []string{"", "version: 2\nmutes: []", "mutes: []", "version: 1\nmute: []", "{"} {
		if _, err := posture.ParseMutes([]byte(text), now()); err == nil {
			t.Errorf("ParseMutes(%q) gave no error", text)
		}
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	unread := func(operation, code string) *posture.Unread {
		return &posture.Unread{Source: posture.Source{Operation: operation, Account: account, Region: "us-east-1"}, Code: code}
	}
	results := []posture.Result{
		{ID: "mc-1", Rule: "MC-S3-001", Status: posture.Error, Identity: &posture.Identity{}, Unread: []*posture.Unread{unread("s3:GetBucketAcl", "AccessDenied")}},
		{ID: "mc-2", Rule: "MC-S3-001", Status: posture.Error, Identity: &posture.Identity{}, Unread: []*posture.Unread{unread("s3:GetBucketAcl", "AccessDenied"), unread("s3:GetBucketPolicyStatus", "Timeout")}},
		{ID: "mc-3", Rule: "MC-NET-006", Status: posture.Error, Identity: &posture.Identity{}, Unread: []*posture.Unread{unread("ec2:DescribeVpcEndpoints", posture.CodeNeedsEvaluator)}},
	}
	for _, c := range []struct {
		name, entry, accepted, note string
	}{
		{"one call", "{operation: 's3:GetBucketAcl', reason: r, owner: o, expires: 2027-01-31}", "mc-1 mc-3", ""},
		{"all that is lacking", "{operation: 's3:*', reason: r, owner: o, expires: 2027-01-31}", "mc-1 mc-2 mc-3", ""},
		{"another code", "{operation: 's3:*', code: NoSuchHost, reason: r, owner: o, expires: 2027-01-31}", "mc-3", "matches nothing"},
		{"expired", "{operation: 's3:*', reason: r, owner: o, expires: 2026-11-24}", "mc-3", "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := posture.ParseGaps([]byte("version: 1\ngaps:\n  - "+c.entry+"\n"), now())
			if err != nil {
				t.Fatal(err)
			}
			out, notes := g.Apply(slices.Clone(results), now())
			var accepted []string
			for _, r := range out {
				if r.Accepted {
					accepted = append(accepted, r.ID)
				}
			}
			if got := strings.Join(accepted, " "); got != c.accepted {
				t.Errorf("accepted %q, want %q", got, c.accepted)
			}
			if all := strings.Join(notes, "\n"); (c.note == "") != (all == "") || !strings.Contains(all, c.note) {
				t.Errorf("notes %q, want %q", all, c.note)
			}
		})
	}
	for _, text := range []string{"", "version: 1\ngaps:\n  - {operation: x}", "version: 1\ngaps:\n  - null", "version: 1\ngaps:\n  - {operation: 's3:*', reason: r, owner: o, expires: soon}", "version: 1\ngaps:\n  - {operation: '*', reason: r, owner: o, expires: 2027-01-31}", "version: 1\ngaps:\n  - {operation: 's3:*', reason: r, owner: o, expires: 9999-12-31}", "version: 1\ngaps:\n  - {operaton: x}"} {
		if _, err := posture.ParseGaps([]byte(text), now()); err == nil {
			t.Errorf("ParseGaps(%q) gave no error", text)
		}
	}
}

func TestBaselineAndDiff(t *testing.T) {
	t.Parallel()
	earlier := now().AddDate(0, -1, 0)
	result := func(id string, status posture.Status, version int) posture.Result {
		return posture.Result{ID: id, Rule: "MC-JOB-001", Version: version, Status: status, Seen: &posture.Seen{FirstSeen: now(), LastChanged: now()}}
	}
	before := &posture.Report{Results: []posture.Result{
		result("same", posture.Fail, 1), result("fixed", posture.Fail, 1), result("regressed", posture.Pass, 1), result("ruled", posture.Pass, 1),
		result("unread", posture.Pass, 1), result("gone", posture.Fail, 1),
	}}
	for i := range before.Results {
		before.Results[i].FirstSeen, before.Results[i].LastChanged = earlier, earlier
	}
	after := []posture.Result{
		result("same", posture.Fail, 1), result("fixed", posture.Pass, 1), result("regressed", posture.Fail, 1), result("ruled", posture.Fail, 2),
		result("unread", posture.Error, 1), result("new", posture.Fail, 1),
	}
	want := map[string]string{
		"same": posture.ChangeSame, "fixed": posture.ChangeFixed, "regressed": posture.ChangeRegressed, "ruled": posture.ChangeRuleChanged,
		"unread": posture.ChangeChanged, "new": posture.ChangeNew,
	}
	for _, r := range posture.Baseline(after, before) {
		if r.Change != want[r.ID] {
			t.Errorf("%s is %q, want %q", r.ID, r.Change, want[r.ID])
		}
		if seen := r.FirstSeen.Equal(earlier); seen != (r.ID != "new") {
			t.Errorf("%s was first seen on %s", r.ID, r.FirstSeen)
		}
		if kept := r.LastChanged.Equal(earlier); kept != (r.ID == "same") {
			t.Errorf("%s last changed on %s", r.ID, r.LastChanged)
		}
	}
	got := map[string]string{}
	for _, d := range posture.Diff(before, &posture.Report{Results: after}) {
		if d.After != nil {
			got[d.After.ID] = d.Change
		} else {
			got[d.Before.ID] = d.Change
		}
	}
	delete(want, "same")
	want["gone"] = posture.ChangeFixed
	for id, change := range want {
		if got[id] != change {
			t.Errorf("diff of %s is %q, want %q", id, got[id], change)
		}
	}
	if len(got) != len(want) {
		t.Errorf("diff has %d entries, want %d: %v", len(got), len(want), got)
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	results := failing()
	results[1].Jobs = []string{"support-2026-10"}
	for _, c := range []struct {
		name string
		s    posture.Selection
		want int
	}{
		{"all", posture.Selection{}, 3},
		{"severity", posture.Selection{Severities: []posture.Severity{posture.Extreme}}, 2},
		{"status", posture.Selection{Statuses: []posture.Status{posture.Error}}, 1},
		{"job by name", posture.Selection{Jobs: []string{"support-2026-10"}}, 1},
		{"job by ARN", posture.Selection{Jobs: []string{oldJob}}, 1},
		{"tag", posture.Selection{Tags: map[string]string{"env": "dev"}}, 1},
		{"tag key", posture.Selection{Tags: map[string]string{"env": ""}}, 1},
		{"other tag", posture.Selection{Tags: map[string]string{"env": "prod"}}, 0},
	} {
		if got := len(c.s.Apply(results)); got != c.want {
			t.Errorf("%s: %d results, want %d", c.name, got, c.want)
		}
	}
}

func FuzzMutes(f *testing.F) {
	f.Add([]byte("version: 1\nmutes:\n  - {rule: MC-JOB-001, resource: a*, reason: r, owner: o, expires: 2027-01-31}\n"))
	f.Add([]byte("version: 1\nmutes: [null, 1, [], {}]"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if m, err := posture.ParseMutes(text, now()); err == nil {
			m.Apply(failing(), now())
		}
	})
}

func FuzzGaps(f *testing.F) {
	f.Add([]byte("version: 1\ngaps:\n  - {operation: 's3:*', reason: r, owner: o, expires: 2027-01-31}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if g, err := posture.ParseGaps(text, now()); err == nil {
			g.Apply(failing(), now())
		}
	})
}
