package posture

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func chosen(t *testing.T, names ...string) []*Rule {
	t.Helper()
	rules, err := loaded(t).Select(names...)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestIAMPoliciesGolden(t *testing.T) {
	t.Parallel()
	golden(t, "policy-all.json", strings.Join(IAMPolicies("aws", chosen(t), true), "\n"))
	golden(t, "policy-job-002.json", strings.Join(IAMPolicies("aws-us-gov", chosen(t, "MC-JOB-002"), false), "\n"))
	golden(t, "policy-organization.json", OrganizationPolicy("aws-cn", "Audit"))
}

func TestPoliciesAreSplit(t *testing.T) {
	t.Parallel()
	ops := slices.DeleteFunc(Operations(), func(op Operation) bool { return !Wanted(chosen(t))[op.Name] })
	whole := actionsOf(t, policies("aws", ops, PolicySize))
	const limit = 700
	parts := policies("aws", ops, limit)
	if len(parts) < 3 {
		t.Errorf("%d documents of at most %d characters, want several", len(parts), limit)
	}
	for i, part := range parts {
		if n := size(part); n > limit {
			t.Errorf("document %d has %d characters, more than %d", i+1, n, limit)
		}
	}
	if diff := cmp.Diff(whole, actionsOf(t, parts)); diff != "" {
		t.Errorf("actions of the parts (-whole +parts):\n%s", diff)
	}
	if diff := cmp.Diff(parts, policies("aws", ops, limit)); diff != "" {
		t.Errorf("a second time (-first +second):\n%s", diff)
	}
}

// actionsOf maps each action of the documents to its resources; an action must not occur twice.
func actionsOf(t *testing.T, documents []string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, text := range documents {
		var doc struct {
			Version   string
			Statement []policyStatement
		}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		for _, s := range doc.Statement {
			for _, action := range s.Action {
				if _, twice := found[action]; twice {
					t.Errorf("%s is allowed twice", action)
				}
				found[action] = strings.Join(s.Resource, " ")
			}
		}
	}
	return found
}

func TestPolicyHasExactlyTheReads(t *testing.T) {
	t.Parallel()
	for _, rule := range chosen(t) {
		want := map[string]bool{}
		reads := slices.Concat(rule.AllReads(), rule.Shows)
		if rule.Supersedable {
			reads = append(reads, Proofs()...)
		}
		for _, read := range reads {
			want[ActionOf(read)] = true
		}
		got := actionsOf(t, IAMPolicies("aws", []*Rule{rule}, false))
		for action := range got {
			if !want[action] {
				t.Errorf("%s: the policy allows %s, which no read needs", rule.ID, action)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: the policy allows %d actions, want %d", rule.ID, len(got), len(want))
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	read := Wanted(chosen(t))
	sids := map[string]string{}
	var names []string
	for _, op := range Operations() {
		names = append(names, op.Name)
		if !read[op.Name] {
			t.Errorf("no rule reads %s", op.Name)
		}
		service, action, _ := strings.Cut(op.Action, ":")
		if service == "" || !slices.ContainsFunc([]string{"Get", "List", "Describe"}, func(p string) bool { return strings.HasPrefix(action, p) }) {
			t.Errorf("%s: action %q does not look like a reading one", op.Name, op.Action)
		}
		resources := strings.Join(op.Resources, " ")
		if other, ok := sids[op.Sid]; ok && other != resources {
			t.Errorf("statement %s has operations with different resources: %s and %s", op.Sid, other, resources)
		}
		sids[op.Sid] = resources
		if resources == "" || strings.Contains(resources, "arn:aws") {
			t.Errorf("%s: resources %q", op.Name, resources)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("operations are not sorted, or twice: %v", names)
	}
}

func TestActionOf(t *testing.T) {
	t.Parallel()
	for operation, want := range map[string]string{
		"s3:HeadBucket":                      "s3:ListBucket",
		"s3:ListObjectsV2":                   "s3:ListBucket",
		"s3:GetBucketEncryption":             "s3:GetEncryptionConfiguration",
		"s3:GetPublicAccessBlock":            "s3:GetBucketPublicAccessBlock",
		"s3control:GetPublicAccessBlock":     "s3:GetAccountPublicAccessBlock",
		"bedrock:ListModelCustomizationJobs": "bedrock:ListModelCustomizationJobs",
		"ec2:DescribeRegions":                "ec2:DescribeRegions",
		"organizations:ListAccounts":         "organizations:ListAccounts",
		"sts:GetCallerIdentity":              "",
		"s3:PutObject":                       "",
	} {
		if got := ActionOf(operation); got != want {
			t.Errorf("ActionOf(%s) = %q, want %q", operation, got, want)
		}
	}
}
