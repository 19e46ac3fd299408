package policy_test

import (
	"strings"
	"testing"

	"example.com/cloister/internal/policy"
)

// seedPolicy is the key policy of the Bedrock User Guide with real ARNs in place of its placeholders
// and its missing bracket added.
const seedPolicy = `{ "Version": "2012-10-17", "Id": "KMS Key Policy", "Statement": [ { "Sid": "Permissions for custom model builders", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:role/builder" }, "Action": [ "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant" ], "Resource": "*" }, { "Sid": "Permissions for custom model users", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:role/user" }, "Action": "kms:Decrypt", "Resource": "*" } ] }`

func TestParse(t *testing.T) {
	t.Parallel()
	allow := `{"Statement":{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}}`
	tests := []struct {
		name, text string
		kind       policy.Kind
		want       string // part of the error; empty means accepted
	}{
		{"seed's policy", seedPolicy, policy.Key, ""},
		{"seed's policy as printed", strings.Replace(seedPolicy, `"*" } ] }`, `"*" } }`, 1), policy.Key, "not valid JSON"},
		{"cut off", seedPolicy[:len(seedPolicy)-2], policy.Key, "bracket"},
		{"single statement", allow, policy.Trust, ""},
		{"placeholder principal", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::account-id:user/role"},"Action":"kms:*","Resource":"*"}}`, policy.Key, "invalid principal"},
		{"lower-case element", `{"Statement":{"effect":"Allow"}}`, policy.Key, "not an element"},
		{"unknown top element", `{"Statements":[]}`, policy.Key, "not an element"},
		{"duplicate element", `{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}`, policy.Key, "twice"},
		{"no statement", `{"Version":"2012-10-17"}`, policy.Key, "no Statement"},
		{"empty statement list", `{"Statement":[]}`, policy.Key, "empty"},
		{"bad version", `{"Version":"2012","Statement":[]}`, policy.Key, "2012-10-17"},
		{"text after", allow + "x", policy.Trust, "after"},
		{"trust with resource", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"}}`, policy.Trust, "Resource"},
		{"identity with principal", allow, policy.Identity, "Principal"},
		{"identity", `{"Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"*"}]}`, policy.Identity, ""},
		{"both actions", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"a:b","NotAction":"a:c"}}`, policy.Key, "both"},
		{"bad operator", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Condition":{"StringIs":{"a":"b"}}}}`, policy.Key, "StringIs"},
		{"allow with not-principal", `{"Statement":{"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"kms:*"}}`, policy.Key, "NotPrincipal"},
		{"key statement without action", `{"Statement":{"Effect":"Allow","Principal":"*"}}`, policy.Key, ""},
		{"deep", strings.Repeat("[", 40), policy.Key, "nested"},
		{"too long", `{"Statement":"` + strings.Repeat("x", 131072), policy.Key, "longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := policy.Parse(tt.kind, tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Parse = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func trust(effect, principal, action, condition string) string {
	return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"` + action + `"` + condition + `}`
}

func TestEvaluateServiceTrust(t *testing.T) {
	t.Parallel()
	const bedrock = `{"Service":"bedrock.amazonaws.com"}`
	documented := `,"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"},"ArnEquals":{"aws:SourceArn":"arn:aws:bedrock:us-east-1:123456789012:model-customization-job/*"}}`
	tests := []struct{ name, statements, want string }{
		{"plain", trust("Allow", bedrock, "sts:AssumeRole", ""), ""},
		{"documented conditions", trust("Allow", bedrock, "sts:AssumeRole", documented), ""},
		{"wildcard action", trust("Allow", bedrock, "sts:*", ""), ""},
		{"everybody", trust("Allow", `"*"`, "sts:AssumeRole", ""), ""},
		{"other service", trust("Allow", `{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole", ""), "does not allow"},
		{"other action", trust("Allow", bedrock, "sts:TagSession", ""), "does not allow"},
		{"other account", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"StringEquals":{"aws:SourceAccount":"999999999999"}}`), "aws:SourceAccount"},
		{"other arn", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:bedrock:eu-west-1:*:*"}}`), "aws:SourceArn"},
		{"negated and true", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"StringNotEquals":{"aws:SourceAccount":"999999999999"}}`), ""},
		{"negated and false", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"StringNotEquals":{"aws:SourceAccount":"123456789012"}}`), "does not hold"},
		{"unknown key", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"StringEquals":{"aws:PrincipalTag/x":"y"}}`), "aws:PrincipalTag/x is not evaluated"},
		{"unknown operator", trust("Allow", bedrock, "sts:AssumeRole", `,"Condition":{"NumericEquals":{"aws:SourceAccount":"1"}}`), "NumericEquals is not evaluated"},
		{"deny wins", trust("Allow", bedrock, "sts:AssumeRole", "") + "," + trust("Deny", `"*"`, "sts:*", ""), "denies"},
		{"deny elsewhere", trust("Allow", bedrock, "sts:AssumeRole", "") + "," + trust("Deny", `{"Service":"ec2.amazonaws.com"}`, "sts:*", ""), ""},
		{"not-action", `{"Effect":"Deny","Principal":"*","NotAction":"sts:TagSession"}`, "NotAction is not evaluated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc, err := policy.Parse(policy.Trust, `{"Statement":[`+tt.statements+`]}`)
			if err != nil {
				t.Fatal(err)
			}
			err = policy.EvaluateServiceTrust(doc, policy.ServiceRequest{
				Service: "bedrock.amazonaws.com", SourceAccount: "123456789012",
				SourceARN: "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd",
			})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("EvaluateServiceTrust = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestCheckLockout(t *testing.T) {
	t.Parallel()
	root := `{"AWS":"arn:aws:iam::123456789012:root"}`
	statement := func(effect, principal, action, more string) string {
		return `{"Effect":"` + effect + `","Principal":` + principal + `,"Action":"` + action + `","Resource":"*"` + more + `}`
	}
	tests := []struct {
		name, statements string
		ok               bool
	}{
		{"root has all", statement("Allow", root, "kms:*", ""), true},
		{"root by number", statement("Allow", `{"AWS":"123456789012"}`, "kms:PutKeyPolicy", ""), true},
		{"everybody", statement("Allow", `"*"`, "kms:*", ""), true},
		{"only a role", statement("Allow", `{"AWS":"arn:aws:iam::123456789012:role/x"}`, "kms:*", ""), false},
		{"other account", statement("Allow", `{"AWS":"arn:aws:iam::999999999999:root"}`, "kms:*", ""), false},
		{"other action", statement("Allow", root, "kms:Decrypt", ""), false},
		{"with a condition", statement("Allow", root, "kms:*", `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`), false},
		{"denied", statement("Allow", root, "kms:*", "") + "," + statement("Deny", `"*"`, "kms:Put*", ""), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc, err := policy.Parse(policy.Key, `{"Statement":[`+tt.statements+`]}`)
			if err != nil {
				t.Fatal(err)
			}
			if err := policy.CheckLockout(doc, "123456789012"); (err == nil) != tt.ok {
				t.Errorf("CheckLockout = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true},
		{"a*c", "abc", true},
		{"a*c", "ac", true},
		{"a*c", "abd", false},
		{"?", "", false},
		{"a?c", "abc", true},
		{"**x", "aax", true},
		{"*a*b*", "xxaxxbxx", true},
		{"", "a", false},
		{"a", "", false},
	} {
		if got := policy.Glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Glob(%q, %q) = %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(seedPolicy)
	f.Add(`{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["*"]},"NotAction":["*"],"Condition":{"Null":{"x":[true,1,"a"]}}}}`)
	f.Add(`{"Statement":[[`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []policy.Kind{policy.Identity, policy.Trust, policy.Key} {
			doc, err := policy.Parse(kind, text)
			if err != nil {
				continue
			}
			if len(doc.Statements) == 0 {
				t.Errorf("Parse(%q) accepted a policy without statements", text)
			}
			_ = policy.CheckLockout(doc, "123456789012")
			if kind == policy.Trust {
				_ = policy.EvaluateServiceTrust(doc, policy.ServiceRequest{Service: "bedrock.amazonaws.com"})
			}
		}
	})
}
