package wire

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"example.com/cloister"
)

// TestConstraints sends inputs that break one kind of constraint each, and wants AWS's words.
func TestConstraints(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 600)
	tests := map[string]struct {
		service, path, target, body string
		want                        string // "" means valid
	}{
		"valid":               {"kms", "/", "TrentService.DescribeKey", `{"KeyId":"k"}`, ""},
		"unknown member":      {"kms", "/", "TrentService.DescribeKey", `{"KeyId":"k","New":{"a":[1]}}`, ""},
		"null is absent":      {"kms", "/", "TrentService.DescribeKey", `{"KeyId":null}`, "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null"},
		"no body":             {"kms", "/", "TrentService.DescribeKey", ``, "Value null at 'keyId'"},
		"length of blob":      {"kms", "/", "TrentService.Encrypt", `{"KeyId":"k","Plaintext":""}`, "Value at 'plaintext' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		"range low":           {"kms", "/", "TrentService.ScheduleKeyDeletion", `{"KeyId":"k","PendingWindowInDays":0}`, "Value '0' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or equal to 1"},
		"range high":          {"kms", "/", "TrentService.ListKeys", `{"Limit":1001}`, "Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"},
		"element's enum":      {"kms", "/", "TrentService.CreateGrant", `{"KeyId":"k","GranteePrincipal":"p","Operations":["Decrypt","Magic"]}`, "Value '[Decrypt, Magic]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, "},
		"list too long":       {"kms", "/", "TrentService.CreateGrant", `{"KeyId":"k","GranteePrincipal":"p","Operations":["Decrypt"],"GrantTokens":[` + strings.TrimSuffix(strings.Repeat(`"t",`, 11), ",") + `]}`, "at 'grantTokens' failed to satisfy constraint: Member must have length less than or equal to 10"},
		"required in element": {"kms", "/", "TrentService.CreateKey", `{"Tags":[{"TagKey":"a","TagValue":"b"},{"TagKey":"c"}]}`, "Value null at 'tags.2.member.tagValue' failed to satisfy constraint: Member must not be null"},
		"null element":        {"kms", "/", "TrentService.CreateKey", `{"Tags":[null]}`, "Value null at 'tags.1.member' failed to satisfy constraint"},
		"long value clipped":  {"bedrock", "/model-customization-jobs", "", `{"jobName":"` + long + `"}`, "Value '" + long[:maxEcho] + "…' at 'jobName'"},
		"wrong type":          {"kms", "/", "TrentService.DescribeKey", `{"KeyId":7}`, "a string is expected at 'keyId'"},
		"string for number":   {"kms", "/", "TrentService.ListKeys", `{"Limit":"x"}`, "an integer is expected at 'limit'"},
		"fraction":            {"kms", "/", "TrentService.ListKeys", `{"Limit":1.5}`, "an integer is expected at 'limit'"},
		"overflow":            {"kms", "/", "TrentService.ListKeys", `{"Limit":4294967297}`, "an integer is expected at 'limit'"},
		"bad base64":          {"kms", "/", "TrentService.Encrypt", `{"KeyId":"k","Plaintext":"secret%"}`, "base64 is expected at 'plaintext'"},
		"object for list":     {"kms", "/", "TrentService.CreateKey", `{"Tags":{}}`, "a list is expected at 'tags'"},
		"trailing garbage":    {"kms", "/", "TrentService.DescribeKey", `{"KeyId":"k"}{}`, "goes on after the JSON object"},
		"too deep":            {"kms", "/", "TrentService.DescribeKey", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "nested deeper than 32"},
		"two union members":   {"bedrock", "/model-customization-jobs", "", `{"customizationConfig":{"rftConfig":{},"distillationConfig":{}}}`, "exactly one member"},
		"body sets no label":  {"bedrock", "/model-customization-jobs/a%20b/stop", "", `{"jobIdentifier":"job"}`, "Value 'a b' at 'jobIdentifier'"},
		"taggable name":       {"bedrock", "/listTagsForResource", "", `{"resourceARN":"arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd"}`, ""},
		"map value":           {"bedrock", "/model-customization-jobs", "", `{"trainingDataConfig":{"invocationLogsConfig":{"invocationLogSource":{"s3Uri":"s3://bucket/x"},"requestMetadataFilters":{"equals":{"k":"` + long + `"}}}}}`, "Value at 'trainingDataConfig.invocationLogsConfig.requestMetadataFilters.equals' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *Service
			called := false
			s = bindAll(t, tt.service, func(_ context.Context, operation string, _ any) (any, error) {
				called = true
				return reflect.New(s.ops[operation].out).Interface(), nil
			})
			r := httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body))
			r.Header.Set("X-Amz-Target", tt.target)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if tt.want == "" {
				if w.Code >= 300 || !called {
					t.Errorf("answer = %d %s, want success", w.Code, w.Body)
				}
				return
			}
			if w.Code != http.StatusBadRequest || called || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("answer = %d %s\nwant 400 and %q (method called: %v)", w.Code, w.Body, tt.want, called)
			}
			if strings.Contains(w.Body.String(), "secret") {
				t.Error("the answer echoes a sensitive value")
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		java, text string
		want       bool
	}{
		{`[a-z]+`, "abc", true},
		{`[a-z]+`, "abc1", false},
		{`a|b`, "xb", false},
		{`[\u0020-\u00FF]*`, "é ", true},
		{`[\u0020-\u00FF]*`, "日", false},
		{`.*(^[a-z]$)|(^arn:x$).*`, "arn:x", true},
		{`[a-z]+`, "abc\n", false},
	} {
		re, err := compilePattern(tt.java)
		if err != nil || re.MatchString(tt.text) != tt.want {
			t.Errorf("pattern %q, text %q: %v, want %v", tt.java, tt.text, err, tt.want)
		}
	}
}

func TestBindingIsChecked(t *testing.T) {
	t.Parallel()
	op := func(name string) Operation {
		return Op(name, func(context.Context, *struct{}, ...func(*struct{})) (*struct{}, error) { return nil, nil })
	}
	for name, ops := range map[string][]Operation{
		"unknown":  {op("MakeKey")},
		"unserved": {op("ReEncrypt")},
		"twice":    {op("CreateKey"), op("CreateKey")},
	} {
		if _, err := NewService("kms", 0, ops...); err == nil {
			t.Errorf("%s: NewService succeeded", name)
		}
	}
	if _, err := NewService("organizations", 0); err == nil {
		t.Error("NewService of a service without a model succeeded")
	}
}

// TestStatuses wants the statuses of the models, also for codes of other operations, and of the tables.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		service, code string
		want          int
	}{
		{"bedrock", "ConflictException", 400},
		{"bedrock", "ThrottlingException", 429},
		{"bedrock", "ServiceQuotaExceededException", 400},
		{"bedrock", "AccessDeniedException", 403},
		{"bedrock", "InternalServerException", 500},
		{"bedrock", "TooManyTagsException", 400},
		{"kms", "NotFoundException", 400},
		{"kms", "KMSInternalException", 500},
		{"kms", "KMSInvalidStateException", 400},
		{"kms", "ValidationException", 400},
		{"iam", "NoSuchEntity", 404},
		{"iam", "EntityAlreadyExists", 409},
		{"iam", "DeleteConflict", 409},
		{"iam", "AccessDenied", 403},
		{"ec2", "UnauthorizedOperation", 403},
		{"ec2", "AuthFailure", 401},
		{"ec2", "RequestLimitExceeded", 503},
		{"ec2", "InvalidSubnetID.NotFound", 400},
		{"s3", "NoSuchBucket", 404},
		{"s3", "BucketNotEmpty", 409},
		{"s3", "InvalidRange", 416},
		{"s3", "KMS.NotFoundException", 400},
		{"s3", "PreconditionFailed", 412},
	} {
		s := bindAll(t, tt.service, nil)
		if f := s.failure(cloister.Errorf(tt.code, "x")); f.status != tt.want {
			t.Errorf("%s: status of %s = %d, want %d", tt.service, tt.code, f.status, tt.want)
		}
	}
}

func BenchmarkNewService(b *testing.B) {
	for name := range clients() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewService(name, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGetModelCustomizationJob(b *testing.B) {
	var s *Service
	s = bindAll(b, "bedrock", func(_ context.Context, operation string, _ any) (any, error) {
		return reflect.New(s.ops[operation].out).Interface(), nil
	})
	r := httptest.NewRequest(http.MethodGet, "/model-customization-jobs/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Amodel-customization-job%2Fx.y%2Fabcdabcdabcd", nil)
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
}
