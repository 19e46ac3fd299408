package remediate

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// members are the members of an SDK structure, as the API names them.
func members(of reflect.Type) []string {
	var names []string
	for f := range of.Fields() {
		if f.IsExported() && f.Name != "ResultMetadata" {
			names = append(names, strings.ToLower(f.Name[:1])+f.Name[1:])
		}
	}
	return names
}

// TestEveryMemberDecided: what a newer SDK knows of jobs is decided on here, or this fails.
func TestEveryMemberDecided(t *testing.T) {
	t.Parallel()
	input, output := members(reflect.TypeFor[bedrock.CreateModelCustomizationJobInput]()), members(reflect.TypeFor[bedrock.GetModelCustomizationJobOutput]())
	for _, name := range input {
		if _, ok := decided()[name]; !ok {
			t.Errorf("nobody decided what becomes of %s", name)
		}
	}
	for name, d := range decided() {
		if !slices.Contains(input, name) || d[1] != "" && !slices.Contains(output, d[1]) {
			t.Errorf("%s from %s: there is no such member", name, d[1])
		}
	}
	for _, name := range output {
		if !known(name) {
			t.Errorf("nobody decided what %s of an old job is for", name)
		}
	}
	for _, name := range results() {
		if !slices.Contains(output, name) {
			t.Errorf("%s: there is no such member", name)
		}
	}
}

// TestNewNames: cut to fit, no sign at the cut. That the next free one is taken is TestNextFreeName.
func TestNewNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 59)
	for _, c := range []struct {
		old  string
		n    int
		want string
	}{
		{"claims", 1, "claims-r1"},
		{"claims", 3, "claims-r3"},
		{"claims-r1", 1, "claims-r1-r1"},
		{"claims-", 1, "claims-r1"},
		{"claims._-", 1, "claims-r1"},
		{long + "aaaa", 1, long + "a-r1"},
		{long + "-aaa", 1, long + "-r1"},
		{long[:58] + "._-aa", 1, long[:58] + "-r1"},
		{long + "aaaa", 10, long + "-r10"},
	} {
		if got := newName(c.old, c.n); got != c.want || len(got) > longestName {
			t.Errorf("newName(%q, %d) = %q of %d, want %q", c.old, c.n, got, len(got), c.want)
		}
	}
}

// whole is a job with every member that the API has for one.
func whole() source {
	return source{
		arn: "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/b/0ld0ld0ld0ld",
		record: map[string]any{
			"jobArn": "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/b/0ld0ld0ld0ld", "jobName": "claims", "outputModelName": "claims-model",
			"roleArn": "arn:aws:iam::111122223333:role/r", "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/b", "clientRequestToken": "of the old one",
			"customizationType": "DISTILLATION", "customizationConfig": map[string]any{"distillationConfig": map[string]any{"teacherModelConfig": map[string]any{"teacherModelIdentifier": "t"}}},
			"hyperParameters": map[string]any{"epochCount": "2", "odd": "${1.1.jobArn}"}, "trainingDataConfig": map[string]any{"s3Uri": "s3://b/${token}.jsonl"},
			"validationDataConfig": map[string]any{"validators": []any{map[string]any{"s3Uri": "s3://b/v.jsonl"}}}, "outputDataConfig": map[string]any{"s3Uri": "s3://b/out/"},
			"status": "Completed", "creationTime": "2026-11-01T08:00:11Z", "trainingMetrics": map[string]any{"trainingLoss": 1.5},
		},
		jobTags:    map[string]string{"owner": "a", "aws:cloudformation:stack": "s", posture.TagSupersededBy: "x"},
		customTags: map[string]string{"stage": "prod", "AWS:x": "y"},
	}
}

// TestRecreate: what is copied is the same, what is changed says why, and nothing of a user's is a placeholder.
func TestRecreate(t *testing.T) {
	t.Parallel()
	old := whole()
	create, compared, err := recreate(old, target{jobName: "claims-r1", modelName: "claims-model-r1", subnets: []string{"subnet-1"}, groups: []string{"sg-1"}, key: "k", vpc: "vpc-1"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"jobName": "claims-r1", "customModelName": "claims-model-r1", "roleArn": "arn:aws:iam::111122223333:role/r", "baseModelIdentifier": "arn:aws:bedrock:us-east-1::foundation-model/b",
		"clientRequestToken": "${token}", "customizationType": "DISTILLATION", "customizationConfig": old.record["customizationConfig"],
		"hyperParameters": map[string]any{"epochCount": "2", "odd": "$${1.1.jobArn}"}, "trainingDataConfig": map[string]any{"s3Uri": "s3://b/$${token}.jsonl"},
		"validationDataConfig": old.record["validationDataConfig"], "outputDataConfig": old.record["outputDataConfig"], "customModelKmsKeyId": "k",
		"vpcConfig":       map[string]any{"subnetIds": []any{"subnet-1"}, "securityGroupIds": []any{"sg-1"}},
		"jobTags":         []any{map[string]any{"key": posture.TagSupersedes, "value": old.arn}, map[string]any{"key": "owner", "value": "a"}},
		"customModelTags": []any{map[string]any{"key": "stage", "value": "prod"}},
	}
	if d := cmp.Diff(want, create); d != "" {
		t.Errorf("parameters (-want +got):\n%s", d)
	}
	for _, m := range compared {
		if same := cmp.Equal(m.Old, m.New); same != (m.Why == "") && m.Name != "customModelTags" {
			t.Errorf("%s: old %v, new %v, why %q", m.Name, m.Old, m.New, m.Why)
		}
	}
	for name, spoil := range map[string]func(*source){
		"does not know how": func(s *source) { s.record["quantumConfig"] = map[string]any{} },
		"cannot be made":    func(s *source) { s.record["customizationType"] = "IMPORTED" },
		"no room":           func(s *source) { s.jobTags = fifty() },
	} {
		s := whole()
		spoil(&s)
		if _, _, err := recreate(s, target{jobName: "n", modelName: "m"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("recreate gave %v, want %q", err, name)
		}
	}
}

func fifty() map[string]string {
	tags := map[string]string{}
	for i := range mostTags {
		tags[strings.Repeat("k", i+1)] = "v"
	}
	return tags
}

// TestRecreateKeeps: without a target the new job has the network, the key and the role of the old one.
func TestRecreateKeeps(t *testing.T) {
	t.Parallel()
	old := whole()
	old.record["vpcConfig"] = map[string]any{"subnetIds": []any{"subnet-0"}, "securityGroupIds": []any{"sg-0"}}
	old.record["outputModelKmsKeyArn"] = "old key"
	create, _, err := recreate(old, target{jobName: "n", modelName: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(create["vpcConfig"], old.record["vpcConfig"]) || create["customModelKmsKeyId"] != "old key" || create["roleArn"] != old.record["roleArn"] {
		t.Errorf("recreate gave %v", create)
	}
	create, compared, err := recreate(old, target{jobName: "n", modelName: "m", role: "another", key: "new key"})
	i := slices.IndexFunc(compared, func(m remedy.Member) bool { return m.Name == "roleArn" })
	if err != nil || create["roleArn"] != "another" || create["customModelKmsKeyId"] != "new key" || compared[i].Why != "--role" {
		t.Errorf("recreate gave %v, %v, %v", create, compared[i], err)
	}
}
