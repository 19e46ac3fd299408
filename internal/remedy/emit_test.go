package remedy

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/awscall"
)

func emitted(t *testing.T, p *Plan) string {
	t.Helper()
	var out strings.Builder
	if err := EmitCLI(&out, p, "hash"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// several is the sample plan with a step for each kind of call that a plan may have.
func several() *Plan {
	p := sample()
	arn := func(rest string) string { return "arn:aws:" + rest }
	add := func(id, call string, parameters object, undo ...Undo) {
		p.Steps = append(p.Steps, Step{
			ID: id, Change: "1", Kind: KindCall, Class: max(Careful, least(call)), Text: call, Call: call, Account: here, Region: east, Parameters: js(parameters), Undo: undo,
			After: &Condition{Text: "done", Call: "kms:DescribeKey", Region: east, Parameters: js(object{"KeyId": key}), Query: "a"},
		})
	}
	undo := func(call string, parameters object) Undo {
		return Undo{Text: call, Call: call, Class: Careful, Parameters: js(parameters)}
	}
	deployment, throughput := arn("bedrock:us-east-1:111122223333:custom-model-deployment/d1"), arn("bedrock:us-east-1:111122223333:provisioned-model/p1")
	add("1.5", "bedrock:UpdateCustomModelDeployment", object{"customModelDeploymentIdentifier": deployment, "modelArn": "${1.2.modelArn}"},
		undo("bedrock:UpdateCustomModelDeployment", object{"customModelDeploymentIdentifier": deployment, "modelArn": arn("bedrock:us-east-1:111122223333:custom-model/old")}))
	add("1.6", "bedrock:UpdateProvisionedModelThroughput", object{"provisionedModelId": throughput, "desiredModelId": "${1.2.modelArn}"})
	add("1.7", "bedrock:PutModelInvocationLoggingConfiguration", object{"loggingConfig": object{
		"cloudWatchConfig": object{"logGroupName": "g", "roleArn": arn("iam::111122223333:role/logs")}, "textDataDeliveryEnabled": true,
	}}, undo("bedrock:DeleteModelInvocationLoggingConfiguration", object{}))
	add("1.8", "ec2:CreateFlowLogs", object{
		"ResourceIds": []any{"vpc-0a"}, "ResourceType": "VPC", "TrafficType": "ALL", "ClientToken": "${token}", "MaxAggregationInterval": 60, "DryRun": false,
		"LogDestination": arn("logs:us-east-1:111122223333:log-group:flow"), "DeliverLogsPermissionArn": arn("iam::111122223333:role/flow"),
	}, undo("ec2:DeleteFlowLogs", object{"FlowLogIds": []any{"${1.8.flowLogId}"}}))
	p.Steps[len(p.Steps)-1].Results = map[string]string{"flowLogId": "FlowLogIds[0]"}
	p.Steps[len(p.Steps)-1].After.Results = map[string]string{"flowLogId": "a"}
	add("1.9", "s3:PutBucketVersioning", object{"Bucket": "acme", "VersioningConfiguration": object{"Status": "Enabled"}}, undo("s3:PutBucketVersioning", object{"Bucket": "acme", "VersioningConfiguration": object{"Status": "Suspended"}}))
	add("1.10", "s3:PutBucketLogging", object{"Bucket": "acme", "BucketLoggingStatus": object{"LoggingEnabled": object{"TargetBucket": "logs", "TargetPrefix": ""}}})
	add("1.11", "cloudtrail:UpdateTrail", object{"Name": arn("cloudtrail:us-east-1:111122223333:trail/t"), "EnableLogFileValidation": true})
	add("1.12", "cloudtrail:PutEventSelectors", object{"TrailName": arn("cloudtrail:us-east-1:111122223333:trail/t"), "AdvancedEventSelectors": []any{object{"Name": "n", "FieldSelectors": []any{object{"Field": "eventCategory", "Equals": []any{"Data"}}}}}})
	add("1.13", "kms:CancelKeyDeletion", object{"KeyId": "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"})
	add("1.14", "kms:EnableKey", object{"KeyId": key}, undo("kms:DisableKey", object{"KeyId": key}))
	add("1.15", "bedrock:StopModelCustomizationJob", object{"jobIdentifier": oldJob})
	add("1.16", "bedrock:TagResource", object{"resourceARN": model, "tags": []any{object{"key": "a", "value": "b"}}}, undo("bedrock:UntagResource", object{"resourceARN": model, "tagKeys": []any{"a"}}))
	return p
}

// TestEmitCLI: the commands, as a person would type them. The file is read by a person who changes it.
func TestEmitCLI(t *testing.T) {
	t.Parallel()
	p := several()
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.sh", emitted(t, p))
}

// TestEmitRefuses: what the commands could not say exactly is an error.
func TestEmitRefuses(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*Step){
		"a file":      func(s *Step) { s.Parameters = js(object{"resourceARN": "file:///etc/passwd"}) },
		"a bytes":     func(s *Step) { s.Parameters = js(object{"resourceARN": "fileb://x"}) },
		"no name":     func(s *Step) { s.Parameters = js(object{"resourceARN": "${x}"}) },
		"not ended":   func(s *Step) { s.Parameters = js(object{"resourceARN": "${x"}) },
		"two results": func(s *Step) { s.Results = map[string]string{"a": "a", "b": "b"} },
	} {
		p := sample()
		do(&p.Steps[4])
		if err := EmitCLI(&strings.Builder{}, p, "hash"); err == nil || !strings.HasPrefix(err.Error(), "step 1.4: ") {
			t.Errorf("%s: EmitCLI = %v", name, err)
		}
	}
}

// TestKebab: names as the aws CLI has them.
// Source: AWS CLI Command Reference.
func TestKebab(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"jobName": "job-name", "customModelKmsKeyId": "custom-model-kms-key-id", "resourceARN": "resource-arn", "KeyId": "key-id", "DeliverLogsPermissionArn": "deliver-logs-permission-arn",
		"ListObjectsV2": "list-objects-v2", "MFA": "mfa", "ContentMD5": "content-md5", "S3BucketName": "s3-bucket-name", "SnsTopicName": "sns-topic-name", "CreateModelCustomizationJob": "create-model-customization-job",
	} {
		if got := kebab(name); got != want {
			t.Errorf("kebab(%s) = %s, want %s", name, got, want)
		}
	}
}

// stub is an aws that notes its arguments, and answers a query with what a careless script would run.
const stub = `#!/bin/sh
if [ "$1" = sts ]; then
	echo "$AWS_ACCOUNT"
	exit
fi
printf '%s\0' "$#" "$@" >>"$AWS_LOG"
while [ $# -gt 1 ]; do
	case "$1 $2" in
	"--query status") echo "$AWS_STATUS" ;;
	"--query "*) printf 'got %s $(touch pwned) *\n' "$2" ;;
	esac
	shift
done
`

// TestEmittedCommands: a shell gives the aws CLI exactly the parameters of the plan, whatever names and values say, and runs
// nothing else.
func TestEmittedCommands(t *testing.T) {
	t.Parallel()
	values := append(hostile(),
		"", " ", "'", `"`, `\`, `\\'"`, "$(touch pwned)", "`touch pwned`", "; touch pwned", "\n touch pwned\n", "a\n# touch pwned\ntouch pwned", "$HOME", "${HOME}", "${1.1.jobArn}", "$${1.1.jobArn}",
		`\u0000; touch pwned; \u0000`, `\u0000$(touch pwned)\u0000`, "Z0$(touch pwned)Z0", "z1Z0Z1Z2", "STEP_1_1_JOBARN", "-x", "--dry-run", "*", "?", "~", "!!", "a b", "a,b=c", "a=b", "[1]", `{"a":1}`, "%s", "\\n", "é", "true", "1", "@file", "#",
	)
	for _, shell := range []string{"sh", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Skipf("no %s", shell)
		}
		for _, value := range values {
			if strings.ToValidUTF8(value, "") != value {
				continue // a plan cannot hold it
			}
			runEmitted(t, path, value)
		}
	}
	_, err := exec.LookPath("bash")
	if err == nil {
		runEmittedPlan(t, "bash", several())
	}
}

// TestEmittedFailure: of a job that did not complete nothing more is said, and the commands end as a failure.
func TestEmittedFailure(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"aws": stub, "script": emitted(t, sample())} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "script")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "AWS_LOG=log", "AWS_STATUS=Failed", "AWS_ACCOUNT="+here)
	if out, err := cmd.CombinedOutput(); err == nil || string(out) != "the job is Failed\n" {
		t.Errorf("%v: %s", err, out)
	}
	if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || !bytes.Contains(log, []byte("create-model")) || bytes.Contains(log, []byte("tag-resource")) {
		t.Errorf("%v: %q", err, log)
	}
}

// TestEmittedStops: the commands stop at losses that nobody has compared, and at another account's credentials.
func TestEmittedStops(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	one := sample()
	one.Accounts = one.Accounts[:1]
	one.Steps = slices.DeleteFunc(one.Steps, func(s Step) bool { return s.Account != here })
	for account, want := range map[string]string{here: "compare these losses", there: "these commands are for account " + here} {
		dir := t.TempDir()
		for name, text := range map[string]string{"aws": stub, "script": emitted(t, one)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "sh", "script")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "AWS_LOG=log", "AWS_STATUS=Completed", "AWS_ACCOUNT="+account)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s", err, out)
		}
		if log, _ := os.ReadFile(filepath.Join(dir, "log")); bytes.Contains(log, []byte("tag-resource")) || account == there && len(log) > 0 {
			t.Errorf("as %s: %q", account, log)
		}
	}
}

// runEmitted runs the commands of the sample plan with value wherever an account's texts come in.
func runEmitted(t *testing.T, shell, value string) {
	t.Helper()
	p := sample()
	tags := []any{object{"key": "cloister:superseded-by", "value": "${1.1.jobArn}"}, Literal(object{"key": value, "value": value}), object{"key": "both", "value": Literal(value).(string) + "${1.1.jobArn}x" + Literal(value).(string)}} //nolint:forcetypeassert // texts
	p.Steps[0].Parameters = js(object{
		"jobName": Literal(value), "roleArn": Literal("x" + value), "clientRequestToken": "${token}", "hyperParameters": object{"a": Literal(value), "k" + strings.ReplaceAll(value, "${", ""): "v"},
		"vpcConfig": Literal(object{"subnetIds": []any{value, "b"}, "securityGroupIds": []any{}}), "trainingDataConfig": Literal(object{"s3Uri": value}), "jobTags": Literal([]any{object{"key": value, "value": value}}),
		"outputDataConfig": object{},
	})
	p.Steps[0].Text, p.Steps[1].Text = value, "\n"+value
	p.Steps[4].Parameters = js(object{"resourceARN": Literal(value).(string) + "${1.1.jobArn}", "tags": tags}) //nolint:forcetypeassert // a text
	runEmittedPlan(t, shell, p)
}

func runEmittedPlan(t *testing.T, shell string, p *Plan) {
	t.Helper()
	for _, a := range p.Accounts {
		runEmittedIn(t, shell, p, a.ID)
	}
}

// runEmittedIn runs the commands with the credentials of one account.
func runEmittedIn(t *testing.T, shell string, p *Plan, account string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"aws": stub, "script": emitted(t, p)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), shell, "-eu", "script")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "AWS_LOG=log", "AWS_STATUS=Completed", "AWS_ACCOUNT="+account, "LOSSES_ACCEPTED=yes")
	shown := ""
	if account == here {
		shown = "got [trainingMetrics, validationMetrics] $(touch pwned) *\n"
	}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != shown {
		script, _ := os.ReadFile(filepath.Join(dir, "script"))
		t.Fatalf("%v: %s\n%s", err, out, script)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Fatalf("the commands made files: %v, %v", files, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	made := invocations(t, log)
	token := &Runner{Hash: "hash", Plan: p, Journal: &Journal{}}
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Account != account {
			continue
		}
		if s.Kind == KindCompare {
			made = made[1:]
			continue
		}
		want, err := fill(plain(s.Parameters), func(name string) (string, bool) {
			if v, ok := token.value(s)(name); ok {
				return v, true
			}
			for j := range p.Steps {
				if query, ok := p.Steps[j].Results[strings.TrimPrefix(name, p.Steps[j].ID+".")]; ok && strings.HasPrefix(name, p.Steps[j].ID+".") {
					return "got " + query + " $(touch pwned) *", true
				}
			}
			return "", false
		})
		if err != nil || len(made) == 0 {
			t.Fatalf("step %s: %v; %d commands are left", s.ID, err, len(made))
		}
		got := parameters(t, made[0], s)
		if diff := cmp.Diff(want, any(got)); diff != "" {
			t.Errorf("step %s: the command has other parameters (-want +got):\n%s\n%q", s.ID, diff, made[0])
		}
		made = made[1:]
		for len(made) > 0 && (s.Kind == KindWait || s.Call == createJob) && made[0][1] == "get-model-customization-job" && strings.Contains(strings.Join(made[0], " "), "--query "+s.Results["jobArn"]+s.Results["modelArn"]) {
			made = made[1:] // what looks up the results
		}
	}
	if len(made) > 0 {
		t.Errorf("commands that are none of the plan: %q", made)
	}
}

// invocations are the arguments of each aws.
func invocations(t *testing.T, log []byte) (all [][]string) {
	t.Helper()
	words := strings.Split(strings.TrimSuffix(string(log), "\x00"), "\x00")
	for len(words) > 0 {
		n, err := strconv.Atoi(words[0])
		if err != nil || n > len(words)-1 || n < 4 {
			t.Fatalf("%q", words)
		}
		all = append(all, words[1:n+1])
		words = words[n+1:]
	}
	return all
}

// parameters are the members that the arguments of an aws stand for.
func parameters(t *testing.T, args []string, s *Step) object {
	t.Helper()
	service, operation, _ := strings.Cut(s.Call, ":")
	if service == "s3" {
		service = "s3api"
	}
	if args[0] != service || args[1] != kebab(operation) || args[2] != "--region" || args[3] != s.Region {
		t.Fatalf("step %s: %q", s.ID, args)
	}
	var names object
	_ = json.Unmarshal(s.Parameters, &names) // it was checked
	out := object{}
	for args = args[4:]; len(args) > 0; {
		option, value, joined := strings.Cut(args[0], "=")
		args = args[1:]
		if option == "--query" || option == "--output" {
			args = args[1:]
			continue
		}
		name := ""
		for n := range names {
			if no := "--no-" + kebab(n); option == "--"+kebab(n) || option == no {
				name = n
			}
		}
		if b, ok := names[name].(bool); ok {
			if b == strings.HasPrefix(option, "--no-") {
				t.Errorf("step %s: %s", s.ID, option)
			}
			out[name] = b
			continue
		}
		if !joined {
			value, args = args[0], args[1:]
			if strings.HasPrefix(value, "-") {
				t.Errorf("step %s: %s is followed by %q, which is an option", s.ID, option, value)
			}
		}
		switch names[name].(type) {
		case string:
			out[name] = value
		case nil:
			t.Fatalf("step %s: there is no %s", s.ID, option)
		default:
			out[name] = valueOf(t, value)
		}
	}
	return out
}

// valueOf reads JSON, or the part of the CLI's shorthand that is used.
func valueOf(t *testing.T, text string) any {
	t.Helper()
	var v any
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&v); err == nil && !dec.More() {
		return v
	}
	out := object{}
	name := ""
	for part := range strings.SplitSeq(text, ",") {
		value := part
		if n, v, ok := strings.Cut(part, "="); ok {
			name, value = n, v
			out[name] = value
			if unquoted, ok := unquote(value); ok { // only lists are quoted where the CLI sees it
				out[name] = []any{unquoted}
			}
			continue
		}
		list, _ := out[name].([]any)
		unquoted, ok := unquote(value)
		if list == nil || !ok {
			t.Fatalf("%q is no shorthand", text)
		}
		out[name] = append(list, unquoted)
	}
	return out
}

func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s, false
	}
	return s[1 : len(s)-1], true
}

// TestPolicies: the write permissions of a plan, for its resources. The file is read by a person who changes it.
func TestPolicies(t *testing.T) {
	t.Parallel()
	p := several()
	var out bytes.Buffer
	for _, c := range []struct {
		title              string
		rollback, deletion bool
	}{{"apply", false, false}, {"apply and rollback", true, false}, {"apply and rollback --delete-created", true, true}} {
		policies := Policies(p, PolicyOptions{Rollback: c.rollback, Delete: c.deletion})
		if len(policies) != 2 {
			t.Errorf("%s: %d policies", c.title, len(policies))
		}
		for _, account := range []string{here, there} {
			out.WriteString("# " + c.title + ", account " + account + "\n" + policies[account])
			for _, s := range p.Steps { // each write is allowed
				if s.Kind == KindCall && s.Account == account && !strings.Contains(policies[account], `"`+s.Call+`"`) {
					t.Errorf("%s: %s is not allowed", c.title, s.Call)
				}
				for _, u := range s.Undo {
					if s.Account == account && strings.Contains(policies[account], `"`+u.Call+`"`) != (c.rollback && (c.deletion || !u.Created)) && !strings.Contains("StopModelCustomizationJob UpdateCustomModelDeployment PutBucketVersioning", strings.SplitN(u.Call, ":", 2)[1]) {
						t.Errorf("%s: %s", c.title, u.Call)
					}
				}
			}
			for line := range strings.Lines(policies[account]) { // and nothing else
				call := strings.Trim(strings.TrimSpace(line), `",`)
				if awscall.Known(call) && !awscall.Changes(call) && call != "kms:DescribeKey" {
					t.Errorf("%s: %s changes nothing", c.title, call)
				}
			}
		}
	}
	reads := Policies(p, PolicyOptions{Reads: true})
	for _, account := range []string{here, there} {
		out.WriteString("# reads, account " + account + "\n" + reads[account])
		for _, name := range awscall.Names() {
			if awscall.Changes(name) && strings.Contains(reads[account], `"`+name+`"`) {
				t.Errorf("reads: %s changes something", name)
			}
		}
	}
	golden(t, "policies.txt", out.String())
	p = sample()
	var in object
	_ = json.Unmarshal(p.Steps[0].Parameters, &in) // it was made above
	in["baseModelIdentifier"], in["customModelKmsKeyId"] = "arn:aws-us-gov:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/abc", nil
	delete(in, "customModelKmsKeyId")
	p.Steps[0].Parameters, p.Accounts[0].Partition = js(in), "aws-us-gov"
	text := Policies(p, PolicyOptions{Rollback: true, Delete: true})[here]
	for _, want := range []string{
		`"arn:aws-us-gov:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/abc"`, `"arn:aws-us-gov:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/*"`,
		`"arn:aws-us-gov:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/*"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "kms:") {
		t.Error("a job without a key needs no key")
	}
}
