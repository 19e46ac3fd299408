package iam_test

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/rootseal"
	"example.com/cloister/internal/store"
)

const account cloister.AccountID = "123456789012"

const (
	trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"bedrock.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	job   = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.titan-text-lite-v1:0:4k/abcdabcdabcd"
)

func setup(t *testing.T) (*iam.Service, context.Context) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), filepath.Join(dir, "cloister.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	seal, err := rootseal.OpenFile(filepath.Join(dir, "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	service := iam.New(iam.Config{Account: account, Store: db.IAM(), Seal: seal, Now: time.Now})
	return service, as(t.Context(), cloister.RootPrincipal(account))
}

func as(ctx context.Context, p cloister.Principal) context.Context {
	return cloister.WithCall(ctx, cloister.Call{Principal: p, Region: "us-east-1", Secure: true})
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := cloister.Code(err); got != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
	}
}

func TestRootCredential(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	first, err := service.RootCredential(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := service.RootCredential(t.Context())
	if err != nil || again != first {
		t.Errorf("RootCredential changes: %v", err)
	}
	if !strings.HasPrefix(first.AccessKeyID, "AKIA") || len(first.AccessKeyID) != 20 || len(first.Secret.Reveal()) != 40 {
		t.Errorf("key %s has not AWS's form", first.AccessKeyID)
	}
	found, err := service.Credential(t.Context(), first.AccessKeyID)
	if err != nil || found.Principal.Kind != cloister.KindRoot || found.Secret != first.Secret {
		t.Errorf("Credential = %v, %v", found.Principal, err)
	}
	_, err = service.Credential(t.Context(), "AKIAAAAAAAAAAAAAAAAA")
	wantCode(t, "unknown key", err, "InvalidClientTokenId")
}

func TestRoles(t *testing.T) {
	t.Parallel()
	service, root := setup(t)
	created, err := service.CreateRole(root, &awsiam.CreateRoleInput{
		RoleName: aws.String("tm-bedrock-new-service-role"), Path: aws.String("/service-role/"), AssumeRolePolicyDocument: aws.String(trust),
	})
	if err != nil {
		t.Fatal(err)
	}
	const arn = "arn:aws:iam::123456789012:role/service-role/tm-bedrock-new-service-role"
	if *created.Role.Arn != arn || !strings.HasPrefix(*created.Role.RoleId, "AROA") {
		t.Errorf("CreateRole = %s, %s", *created.Role.Arn, *created.Role.RoleId)
	}
	if text, _ := url.PathUnescape(*created.Role.AssumeRolePolicyDocument); text != trust {
		t.Errorf("document = %s", text)
	}
	_, err = service.CreateRole(root, &awsiam.CreateRoleInput{RoleName: aws.String("TM-Bedrock-new-service-role"), AssumeRolePolicyDocument: aws.String(trust)})
	wantCode(t, "same name in another case", err, "EntityAlreadyExists")
	_, err = service.CreateRole(root, &awsiam.CreateRoleInput{RoleName: aws.String("x"), AssumeRolePolicyDocument: aws.String("{}")})
	wantCode(t, "bad trust policy", err, "MalformedPolicyDocument")
	_, err = service.CreateRole(root, &awsiam.CreateRoleInput{RoleName: aws.String("x"), AssumeRolePolicyDocument: aws.String(trust), PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/x")})
	wantCode(t, "boundary", err, "InvalidInput")
	_, err = service.GetRole(root, &awsiam.GetRoleInput{RoleName: aws.String("nobody")})
	wantCode(t, "unknown", err, "NoSuchEntity")

	document := `{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	name := created.Role.RoleName
	if _, err = service.PutRolePolicy(root, &awsiam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("data"), PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
	_, err = service.PutRolePolicy(root, &awsiam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("big"), PolicyDocument: aws.String(strings.Replace(document, "s3:*", `s3:*","s3:`+strings.Repeat("x", 10200), 1))})
	wantCode(t, "too big", err, "MalformedPolicyDocument")
	got, err := service.GetRolePolicy(root, &awsiam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("data")})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := url.PathUnescape(*got.PolicyDocument); text != document {
		t.Errorf("GetRolePolicy = %s", text)
	}
	names, err := service.ListRolePolicies(root, &awsiam.ListRolePoliciesInput{RoleName: name})
	if err != nil || len(names.PolicyNames) != 1 {
		t.Errorf("ListRolePolicies = %v, %v", names, err)
	}
	_, err = service.DeleteRole(root, &awsiam.DeleteRoleInput{RoleName: name})
	wantCode(t, "with policies", err, "DeleteConflict")
	if _, err = service.DeleteRolePolicy(root, &awsiam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("data")}); err != nil {
		t.Fatal(err)
	}
	if _, err = service.DeleteRole(root, &awsiam.DeleteRoleInput{RoleName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = service.GetRole(root, &awsiam.GetRoleInput{RoleName: name})
	wantCode(t, "deleted", err, "NoSuchEntity")
}

func TestListRolesPages(t *testing.T) {
	t.Parallel()
	service, root := setup(t)
	for _, name := range []string{"delta", "Alpha", "charlie", "bravo", "echo"} {
		if _, err := service.CreateRole(root, &awsiam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(trust)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	pages := awsiam.NewListRolesPaginator(service, &awsiam.ListRolesInput{MaxItems: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range out.Roles {
			got = append(got, *role.RoleName)
		}
	}
	if strings.Join(got, " ") != "Alpha bravo charlie delta echo" {
		t.Errorf("ListRoles = %v", got)
	}
}

func TestJobSession(t *testing.T) {
	t.Parallel()
	service, root := setup(t)
	other := strings.Replace(trust, "bedrock.", "ec2.", 1)
	for name, document := range map[string]string{"builder": trust, "vm": other} {
		if _, err := service.CreateRole(root, &awsiam.CreateRoleInput{RoleName: &name, Path: aws.String("/service-role/"), AssumeRolePolicyDocument: &document}); err != nil {
			t.Fatal(err)
		}
	}
	session, err := service.JobSession(t.Context(), "arn:aws:iam::123456789012:role/service-role/builder", "bedrock.amazonaws.com", job)
	if err != nil {
		t.Fatal(err)
	}
	if session.ARN != "arn:aws:sts::123456789012:assumed-role/builder/abcdabcdabcd" || session.JobARN != job {
		t.Errorf("JobSession = %+v", session)
	}
	for name, arn := range map[string]string{
		"missing":       "arn:aws:iam::123456789012:role/service-role/nobody",
		"other path":    "arn:aws:iam::123456789012:role/builder",
		"other account": "arn:aws:iam::999999999999:role/service-role/builder",
		"no trust":      "arn:aws:iam::123456789012:role/service-role/vm",
	} {
		_, err := service.JobSession(t.Context(), arn, "bedrock.amazonaws.com", job)
		wantCode(t, name, err, "AccessDenied")
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	service, root := setup(t)
	session := cloister.Principal{Kind: cloister.KindAssumedRole, Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/r/s", JobARN: job}
	plain := session
	plain.JobARN = ""
	tests := []struct {
		name   string
		ctx    context.Context //nolint:containedctx // the caller is what the case is about
		action string
		ok     bool
	}{
		{"root", root, "kms:CreateKey", true},
		{"nobody", t.Context(), "s3:GetObject", false},
		{"root of another account", as(t.Context(), cloister.RootPrincipal("999999999999")), "s3:GetObject", false},
		{"user", as(t.Context(), cloister.Principal{Kind: cloister.KindUser, Account: account, ARN: "arn:aws:iam::123456789012:user/u"}), "s3:GetObject", false},
		{"service", as(t.Context(), cloister.ServicePrincipal("bedrock.amazonaws.com", account)), "kms:Decrypt", false},
		{"job reads", as(t.Context(), session), "s3:GetObject", true},
		{"job writes", as(t.Context(), session), "s3:PutObject", true},
		{"job deletes a bucket", as(t.Context(), session), "s3:DeleteBucket", false},
		{"job uses a key", as(t.Context(), session), "kms:Decrypt", false},
		{"job uses a key via S3", cloister.Via(as(t.Context(), session), "s3.us-east-1.amazonaws.com"), "kms:Decrypt", true},
		{"job calls bedrock", as(t.Context(), session), "bedrock:GetCustomModel", false},
		{"job asks what is served", as(t.Context(), session), iam.ActionCapabilities, true},
		{"user asks what is served", as(t.Context(), cloister.Principal{Kind: cloister.KindUser, Account: account, ARN: "arn:aws:iam::123456789012:user/u"}), iam.ActionCapabilities, true},
		{"user of another account asks what is served", as(t.Context(), cloister.Principal{Kind: cloister.KindUser, Account: "999999999999", ARN: "arn:aws:iam::999999999999:user/u"}), iam.ActionCapabilities, false},
		{"service asks what is served", as(t.Context(), cloister.ServicePrincipal("bedrock.amazonaws.com", account)), iam.ActionCapabilities, false},
		{"session without a job", as(t.Context(), plain), "s3:GetObject", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := service.Authorize(tt.ctx, cloister.Access{Action: tt.action, Resource: "*"})
			if (err == nil) != tt.ok {
				t.Errorf("Authorize(%s) = %v, want ok %v", tt.action, err, tt.ok)
			}
		})
	}
	identity, err := service.GetCallerIdentity(root, &sts.GetCallerIdentityInput{})
	if err != nil || *identity.Arn != "arn:aws:iam::123456789012:root" {
		t.Errorf("GetCallerIdentity = %v, %v", identity, err)
	}
}
