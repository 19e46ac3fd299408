package awscall_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/awsfake"
)

const (
	me   = "111122223333"
	arn  = "arn:aws:bedrock:us-east-1:111122223333:model-customization-job/amazon.nova-micro-v1:0:128k/q4ad8z8tioq8"
	here = "/accounts/111122223333/regions/us-east-1"
)

func at() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// fake is a writable AWS and a client of it, whose services were asked for in order.
func fake(t *testing.T, o awsfake.Options, patches ...awsfake.Patch) (*awscall.Client, *awsfake.Server, *[]string) {
	t.Helper()
	w, err := awsfake.Load(strings.NewReader(string(awsfake.Good())), patches...)
	if err != nil {
		t.Fatal(err)
	}
	o.Writable, o.Now = true, at
	server := awsfake.New(w, o)
	var asked []string
	return awscall.New(0, func(service string) aws.Config {
		asked = append(asked, service)
		return aws.Config{
			Region: "us-east-1", Credentials: awsfake.Credentials(me), HTTPClient: server.HTTPClient(),
			Retryer: func() aws.Retryer { return quick(3) },
		}
	}), server, &asked
}

// quick is the SDK's retryer without its pauses.
func quick(attempts int) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

// TestCall: members and request ids of the services, each in its own protocol.
func TestCall(t *testing.T) {
	t.Parallel()
	client, server, asked := fake(t, awsfake.Options{})
	for i, c := range []struct{ operation, parameters, service, member, want string }{
		{"bedrock:GetModelCustomizationJob", `{"jobIdentifier":"support-2026-11"}`, "bedrock", "jobArn", `"` + arn + `"`},
		{"bedrock:GetModelCustomizationJob", `{"jobIdentifier":"support-2026-11"}`, "bedrock", "trainingMetrics", `{"trainingLoss":1.0625}`},
		{"bedrock:GetModelCustomizationJob", `{"jobIdentifier":"support-2026-11"}`, "bedrock", "creationTime", `"2026-11-20T08:00:11.356Z"`},
		{"bedrock:ListTagsForResource", `{"resourceARN":"` + arn + `"}`, "bedrock", "tags", `[{"key":"data-class","value":"internal"},{"key":"owner","value":"ml-platform"},{"key":"purpose","value":"support-answers"}]`},
		{"bedrock:TagResource", `{"resourceARN":"` + arn + `","tags":[{"key":"a","value":"b"}]}`, "bedrock", "", ``},
		{"kms:DescribeKey", `{"KeyId":"1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d"}`, "kms", "KeyMetadata.KeyState", `"Enabled"`},
		{"s3:GetBucketVersioning", `{"Bucket":"acme-train"}`, "s3", "Status", `"Enabled"`},
		{"ec2:DescribeSubnets", `{"SubnetIds":["subnet-0a1f2e3d4c5b6a798"]}`, "ec2", "Subnets.0.SubnetId", `"subnet-0a1f2e3d4c5b6a798"`},
		{"service-quotas:ListServiceQuotas", `{"ServiceCode":"bedrock"}`, "service-quotas", "Quotas.0.Adjustable", `false`},
		{"cloudtrail:DescribeTrails", `{"trailNameList":[],"includeShadowTrails":false}`, "cloudtrail", "trailList.0.IsMultiRegionTrail", `true`},
	} {
		answer, err := client.Call(t.Context(), c.operation, json.RawMessage(c.parameters))
		if err != nil {
			t.Errorf("%s: %v", c.operation, err)
			continue
		}
		if got := (*asked)[len(*asked)-1]; got != c.service || len(*asked) != i+1 {
			t.Errorf("%s: the configuration of %s was asked for", c.operation, got)
		}
		if want := "00000000-0000-4000-8000-"; !strings.HasPrefix(answer.RequestID, want) {
			t.Errorf("%s: request id %q", c.operation, answer.RequestID)
		}
		if c.member == "" {
			if len(answer.Members) != 0 {
				t.Errorf("%s: members %v", c.operation, answer.Members)
			}
			continue
		}
		text, err := json.Marshal(below(answer.Members, c.member))
		if err != nil || string(text) != c.want {
			t.Errorf("%s: %s is %s, want %s", c.operation, c.member, text, c.want)
		}
	}
	if writes := server.Writes(); len(writes) != 1 || writes[0].Operation != "TagResource" {
		t.Errorf("writes %v", writes)
	}
	answer, err := client.Call(t.Context(), "bedrock:ListTagsForResource", json.RawMessage(`{"resourceARN":"`+arn+`"}`))
	if err != nil || !strings.Contains(string(mustJSON(t, answer.Members)), `{"key":"a","value":"b"}`) {
		t.Errorf("the new tag: %v, %v", answer, err)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// below is a member of members, by a dotted path; "0" is a list's first.
func below(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		if list, ok := v.([]any); ok && len(list) > 0 && part == "0" {
			v = list[0]
			continue
		}
		members, _ := v.(map[string]any)
		v = members[part]
	}
	return v
}

// TestCallErrors: what AWS says stays what it is; what is wrong here is not sent.
func TestCallErrors(t *testing.T) {
	t.Parallel()
	client, server, _ := fake(t, awsfake.Options{Policies: map[string][]string{me: {
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:Get*","Resource":"*"}]}`,
	}}})
	for _, c := range []struct {
		operation, parameters, code string
		status                      int
	}{
		{"bedrock:GetModelCustomizationJob", `{"jobIdentifier":"none"}`, "ResourceNotFoundException", 404},
		{"bedrock:TagResource", `{"resourceARN":"` + arn + `","tags":[{"key":"a","value":"b"}]}`, "AccessDeniedException", 403},
		{"s3:GetBucketVersioning", `{"Bucket":"acme-train"}`, "AccessDenied", 403},
		{"ec2:DescribeSubnets", `{}`, "UnauthorizedOperation", 403},
	} {
		_, err := client.Call(t.Context(), c.operation, json.RawMessage(c.parameters))
		api, ok := errors.AsType[smithy.APIError](err)
		response, sent := errors.AsType[*awshttp.ResponseError](err)
		if !ok || !sent || api.ErrorCode() != c.code || response.HTTPStatusCode() != c.status || !strings.HasPrefix(err.Error(), c.operation+": ") {
			t.Errorf("%s: %v, want %s with status %d", c.operation, err, c.code, c.status)
		}
	}
	sent := len(server.Calls())
	for _, c := range []struct{ operation, parameters, want string }{
		{"bedrock:DeleteEverything", `{}`, "bedrock:DeleteEverything is none of the calls that can be made"},
		{"BEDROCK:GetCustomModel", `{}`, "BEDROCK:GetCustomModel is none of the calls that can be made"},
		{"", `{}`, " is none of the calls that can be made"},
		{"bedrock:GetModelCustomizationJob", `{"JobIdentifier":"support-2026-11"}`, "bedrock:GetModelCustomizationJob: JobIdentifier: there is no such parameter"},
		{"bedrock:GetModelCustomizationJob", `{"jobIdentifier":"support-2026-11"}}`, "bedrock:GetModelCustomizationJob: parameters: more than one value"},
	} {
		if _, err := client.Call(t.Context(), c.operation, json.RawMessage(c.parameters)); err == nil || err.Error() != c.want {
			t.Errorf("Call(%s, %s) = %v, want %s", c.operation, c.parameters, err, c.want)
		}
		if err := awscall.Check(c.operation, json.RawMessage(c.parameters)); err == nil || err.Error() != c.want {
			t.Errorf("Check(%s, %s) = %v, want %s", c.operation, c.parameters, err, c.want)
		}
	}
	if _, err := client.Call(t.Context(), "bedrock:GetModelCustomizationJob", json.RawMessage(`{}`)); err == nil {
		t.Error("a required parameter that is missing is no error")
	}
	if now := len(server.Calls()); now != sent {
		t.Errorf("%d requests with wrong parameters were sent", now-sent)
	}
}

// TestNames: operations are named as the service and the API have them; reads and writes are told apart.
func TestNames(t *testing.T) {
	t.Parallel()
	names := awscall.Names()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names %v", names)
	}
	var reads []string
	for _, name := range names {
		_, operation, _ := strings.Cut(name, ":")
		if !awscall.Known(name) {
			t.Errorf("%s is not known", name)
		}
		if !awscall.Changes(name) {
			reads = append(reads, name)
		}
		looks := slices.ContainsFunc([]string{"Get", "List", "Describe", "Simulate"}, func(p string) bool { return strings.HasPrefix(operation, p) })
		if looks == awscall.Changes(name) {
			t.Errorf("Changes(%s) = %t", name, awscall.Changes(name))
		}
	}
	if len(reads) < 10 || awscall.Known("bedrock:CreateGuardrail") || !awscall.Changes("bedrock:CreateGuardrail") || !awscall.Changes("") {
		t.Error("what is not known must count as a change")
	}
	if got := awscall.Service("service-quotas:ListServiceQuotas"); got != "service-quotas" {
		t.Errorf("Service = %s", got)
	}
}

// failing lets the first calls of an operation fail after they were served.
type failing struct {
	http.RoundTripper
	status int
	code   string
	left   int
	served int
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.served++
	if f.left == 0 {
		return f.RoundTripper.RoundTrip(r)
	}
	f.left--
	if f.status >= 500 { // it was done
		resp, err := f.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
	}
	return &http.Response{
		StatusCode: f.status, Header: http.Header{"X-Amzn-Errortype": {f.code}, "Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"message":"m"}`)), Request: r, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// TestWritesAreNotRepeated: the SDK repeats a read, and a write that was throttled; a write of which nobody knows whether it
// was made is left to whoever can look. Otherwise the second answer would say that a model that was just deleted is none.
func TestWritesAreNotRepeated(t *testing.T) {
	t.Parallel()
	const model = `{"modelIdentifier":"support-2026-11"}`
	for _, c := range []struct {
		name, operation, parameters string
		status                      int
		code, want                  string
		attempts                    int
	}{
		{"read, lost", "bedrock:GetCustomModel", model, 500, "InternalServerException", "", 2},
		{"read, throttled", "bedrock:GetCustomModel", model, 429, "ThrottlingException", "", 2},
		{"write, lost", "bedrock:DeleteCustomModel", model, 500, "InternalServerException", "InternalServerException", 1},
		{"write, unavailable", "bedrock:DeleteCustomModel", model, 503, "ServiceUnavailableException", "ServiceUnavailableException", 1},
		{"write, throttled", "bedrock:DeleteCustomModel", model, 429, "ThrottlingException", "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, err := awsfake.Load(strings.NewReader(string(awsfake.Good())), awsfake.Patch{Path: here + "/deployments", Delete: true}, awsfake.Patch{Path: here + "/throughputs", Delete: true})
			if err != nil {
				t.Fatal(err)
			}
			server := awsfake.New(w, awsfake.Options{Writable: true, Now: at})
			trip := &failing{RoundTripper: server.HTTPClient().Transport, status: c.status, code: c.code, left: 1}
			client := awscall.New(0, func(string) aws.Config {
				return aws.Config{Region: "us-east-1", Credentials: awsfake.Credentials(me), HTTPClient: &http.Client{Transport: trip}, Retryer: func() aws.Retryer { return quick(3) }}
			})
			_, err = client.Call(t.Context(), c.operation, json.RawMessage(c.parameters))
			api, _ := errors.AsType[smithy.APIError](err)
			if c.want == "" && err != nil || c.want != "" && (api == nil || api.ErrorCode() != c.want) || trip.served != c.attempts {
				t.Errorf("after %d attempts: %v, want %q after %d", trip.served, err, c.want, c.attempts)
			}
		})
	}
}

// TestParameters: what the SDK has is written with AWS's names, and nothing else.
func TestParameters(t *testing.T) {
	t.Parallel()
	if text, err := awscall.Parameters("kms:EnableKey", &struct{ KeyId *string }{aws.String("k")}); err != nil || string(text) != `{"KeyId":"k"}` { //nolint:revive // the SDK's name
		t.Errorf("Parameters = %s, %v", text, err)
	}
	for _, bad := range []any{7, "x", []string{}, (*struct{})(nil), &struct{ C chan int }{make(chan int)}} {
		if text, err := awscall.Parameters("kms:EnableKey", bad); err == nil {
			t.Errorf("Parameters(%T) = %s", bad, text)
		}
	}
}
