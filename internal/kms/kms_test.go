package kms_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/kms"
	"example.com/cloister/internal/policy"
	"example.com/cloister/internal/rootseal"
	"example.com/cloister/internal/store"
)

const account cloister.AccountID = "123456789012"

// bundle is a KMS on a real database with the real authorizer and a clock that the test moves.
type bundle struct {
	*kms.Service
	now  time.Time
	root context.Context //nolint:containedctx // one caller per test
}

func setup(t *testing.T) *bundle {
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
	b := &bundle{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	now := func() time.Time { return b.now }
	auth := iam.New(iam.Config{Account: account, Store: db.IAM(), Seal: seal, Now: now})
	b.Service = kms.New(kms.Config{Account: account, Store: db.KMS(), Auth: auth, Seal: seal, Now: now})
	b.root = as(t.Context(), cloister.RootPrincipal(account))
	return b
}

func as(ctx context.Context, p cloister.Principal) context.Context {
	return cloister.WithCall(ctx, cloister.Call{Principal: p, Region: "us-east-1", Secure: true})
}

func (b *bundle) createKey(t *testing.T) *types.KeyMetadata {
	t.Helper()
	out, err := b.CreateKey(b.root, &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if got := cloister.Code(err); got != code {
		t.Errorf("%s: %v, want code %q", what, err, code)
	}
}

func TestEncryptDecrypt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	encContext := map[string]string{"b": "2", "a": "1"}
	enc, err := b.Encrypt(b.root, &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("attack at dawn"), EncryptionContext: encContext})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(enc.CiphertextBlob, []byte("attack")) {
		t.Error("the ciphertext shows the plaintext")
	}
	dec, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: map[string]string{"a": "1", "b": "2"}})
	if err != nil || string(dec.Plaintext) != "attack at dawn" || *dec.KeyId != *key.Arn {
		t.Fatalf("Decrypt = %v, %v", dec, err)
	}
	for name, wrong := range map[string]map[string]string{
		"none": nil, "less": {"a": "1"}, "other value": {"a": "1", "b": "3"}, "other case": {"A": "1", "b": "2"}, "shifted": {"a": "1b", "": "2"},
	} {
		_, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: wrong})
		wantCode(t, "context "+name, err, "InvalidCiphertextException")
	}
	for i := range enc.CiphertextBlob {
		bad := bytes.Clone(enc.CiphertextBlob)
		bad[i] ^= 0x40
		if _, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: bad, EncryptionContext: encContext}); err == nil {
			t.Fatalf("byte %d changed: decrypted all the same", i)
		}
	}
	other := b.createKey(t)
	_, err = b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: encContext, KeyId: other.KeyId})
	wantCode(t, "other KeyId", err, "IncorrectKeyException")
	elsewhere := cloister.WithCall(t.Context(), cloister.Call{Principal: cloister.RootPrincipal(account), Region: "eu-west-1"})
	_, err = b.Decrypt(elsewhere, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: encContext})
	wantCode(t, "other region", err, "AccessDeniedException")
	_, err = b.Encrypt(b.root, &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), DryRun: aws.Bool(true)})
	wantCode(t, "dry run", err, "DryRunOperationException")
}

func TestDataKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	tests := []struct {
		name string
		in   awskms.GenerateDataKeyInput
		size int
		code string
	}{
		{"AES_256", awskms.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes256}, 32, ""},
		{"AES_128", awskms.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes128}, 16, ""},
		{"bytes", awskms.GenerateDataKeyInput{NumberOfBytes: aws.Int32(1024)}, 1024, ""},
		{"neither", awskms.GenerateDataKeyInput{}, 0, "ValidationException"},
		{"both", awskms.GenerateDataKeyInput{KeySpec: types.DataKeySpecAes256, NumberOfBytes: aws.Int32(32)}, 0, "ValidationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.KeyId = key.KeyId
			out, err := b.GenerateDataKey(b.root, &tt.in)
			if tt.code != "" {
				wantCode(t, tt.name, err, tt.code)
				return
			}
			if err != nil || len(out.Plaintext) != tt.size {
				t.Fatalf("GenerateDataKey = %d bytes, %v, want %d", len(out.Plaintext), err, tt.size)
			}
			dec, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: out.CiphertextBlob})
			if err != nil || !bytes.Equal(dec.Plaintext, out.Plaintext) {
				t.Errorf("Decrypt gives another key: %v", err)
			}
		})
	}
}

// TestStates is the matrix of the KMS Developer Guide's page "Key states of AWS KMS keys".
func TestStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	disabled, pending := b.createKey(t), b.createKey(t)
	blob := func(id *string) []byte {
		out, err := b.Encrypt(b.root, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		return out.CiphertextBlob
	}
	blobs := map[*types.KeyMetadata][]byte{disabled: blob(disabled.KeyId), pending: blob(pending.KeyId)}
	if _, err := b.DisableKey(b.root, &awskms.DisableKeyInput{KeyId: disabled.KeyId}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.ScheduleKeyDeletion(b.root, &awskms.ScheduleKeyDeletionInput{KeyId: pending.KeyId, PendingWindowInDays: aws.Int32(7)}); err != nil {
		t.Fatal(err)
	}
	operations := []struct {
		name              string
		do                func(key *types.KeyMetadata) error
		disabled, pending string
	}{
		{"Encrypt", func(k *types.KeyMetadata) error {
			_, err := b.Encrypt(b.root, &awskms.EncryptInput{KeyId: k.KeyId, Plaintext: []byte("x")})
			return err
		}, "DisabledException", "KMSInvalidStateException"},
		{"Decrypt", func(k *types.KeyMetadata) error {
			_, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: blobs[k]})
			return err
		}, "DisabledException", "KMSInvalidStateException"},
		{"GenerateDataKey", func(k *types.KeyMetadata) error {
			_, err := b.GenerateDataKey(b.root, &awskms.GenerateDataKeyInput{KeyId: k.KeyId, KeySpec: types.DataKeySpecAes256})
			return err
		}, "DisabledException", "KMSInvalidStateException"},
		{"CreateGrant", func(k *types.KeyMetadata) error {
			_, err := b.CreateGrant(b.root, &awskms.CreateGrantInput{KeyId: k.KeyId, GranteePrincipal: aws.String("bedrock.amazonaws.com"), Operations: []types.GrantOperation{types.GrantOperationDecrypt}})
			return err
		}, "DisabledException", "KMSInvalidStateException"},
		{"DescribeKey", func(k *types.KeyMetadata) error {
			_, err := b.DescribeKey(b.root, &awskms.DescribeKeyInput{KeyId: k.KeyId})
			return err
		}, "", ""},
		{"GetKeyPolicy", func(k *types.KeyMetadata) error {
			_, err := b.GetKeyPolicy(b.root, &awskms.GetKeyPolicyInput{KeyId: k.KeyId})
			return err
		}, "", ""},
		{"ListGrants", func(k *types.KeyMetadata) error {
			_, err := b.ListGrants(b.root, &awskms.ListGrantsInput{KeyId: k.KeyId})
			return err
		}, "", ""},
		{"CreateAlias", func(k *types.KeyMetadata) error {
			_, err := b.CreateAlias(b.root, &awskms.CreateAliasInput{AliasName: aws.String("alias/" + *k.KeyId), TargetKeyId: k.KeyId})
			return err
		}, "", "KMSInvalidStateException"},
		{"DisableKey", func(k *types.KeyMetadata) error {
			_, err := b.DisableKey(b.root, &awskms.DisableKeyInput{KeyId: k.KeyId})
			return err
		}, "", "KMSInvalidStateException"},
		{"ScheduleKeyDeletion", func(k *types.KeyMetadata) error {
			if k == disabled {
				return nil // would change the state under test
			}
			_, err := b.ScheduleKeyDeletion(b.root, &awskms.ScheduleKeyDeletionInput{KeyId: k.KeyId})
			return err
		}, "", "KMSInvalidStateException"},
		{"EnableKey on the pending one", func(k *types.KeyMetadata) error {
			if k == disabled {
				return nil
			}
			_, err := b.EnableKey(b.root, &awskms.EnableKeyInput{KeyId: k.KeyId})
			return err
		}, "", "KMSInvalidStateException"},
	}
	for _, op := range operations {
		wantCode(t, op.name+" disabled", op.do(disabled), op.disabled)
		wantCode(t, op.name+" pending", op.do(pending), op.pending)
	}
	if _, err := b.CancelKeyDeletion(b.root, &awskms.CancelKeyDeletionInput{KeyId: pending.KeyId}); err != nil {
		t.Fatal(err)
	}
	out, err := b.DescribeKey(b.root, &awskms.DescribeKeyInput{KeyId: pending.KeyId})
	if err != nil || out.KeyMetadata.KeyState != types.KeyStateDisabled || out.KeyMetadata.DeletionDate != nil {
		t.Errorf("after cancelling: %v, %v, want Disabled without a date", out, err)
	}
	_, err = b.CancelKeyDeletion(b.root, &awskms.CancelKeyDeletionInput{KeyId: pending.KeyId})
	wantCode(t, "cancel twice", err, "KMSInvalidStateException")
}

func TestDeletionDestroys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	enc, err := b.Encrypt(b.root, &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	for _, days := range []int32{6, 31} {
		_, err := b.ScheduleKeyDeletion(b.root, &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: &days})
		wantCode(t, "window", err, "ValidationException")
	}
	if _, err := b.ScheduleKeyDeletion(b.root, &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7)}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(7 * 24 * time.Hour)
	_, err = b.DescribeKey(b.root, &awskms.DescribeKeyInput{KeyId: key.KeyId})
	wantCode(t, "due, not swept", err, "NotFoundException")
	if err := b.Sweep(b.root); err != nil {
		t.Fatal(err)
	}
	_, err = b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob})
	wantCode(t, "swept", err, "AccessDeniedException")
	list, err := b.ListKeys(b.root, &awskms.ListKeysInput{})
	if err != nil || len(list.Keys) != 0 {
		t.Errorf("ListKeys = %v, %v, want none", list, err)
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	model := map[string]string{"aws:bedrock:custom-model-arn": "arn:model"}
	service := as(t.Context(), cloister.ServicePrincipal("bedrock.amazonaws.com", account))
	enc, err := b.Encrypt(b.root, &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: model})
	if err != nil {
		t.Fatal(err)
	}
	decrypt := func(c map[string]string) error {
		_, err := b.Decrypt(service, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: c})
		return err
	}
	wantCode(t, "without a grant", decrypt(model), "AccessDeniedException")
	in := &awskms.CreateGrantInput{
		KeyId: key.Arn, GranteePrincipal: aws.String("bedrock.amazonaws.com"), RetiringPrincipal: aws.String("bedrock.amazonaws.com"),
		Operations:  []types.GrantOperation{types.GrantOperationDecrypt, types.GrantOperationDescribeKey},
		Constraints: &types.GrantConstraints{EncryptionContextEquals: model}, Name: aws.String("job"),
	}
	first, err := b.CreateGrant(b.root, in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.CreateGrant(b.root, in)
	if err != nil || *again.GrantId != *first.GrantId || *again.GrantToken == *first.GrantToken {
		t.Errorf("same grant again: %v, %v, want the same id and a new token", again, err)
	}
	wantCode(t, "with the grant", decrypt(model), "")
	wantCode(t, "other context", decrypt(map[string]string{"aws:bedrock:custom-model-arn": "arn:other"}), "AccessDeniedException")
	_, err = b.GenerateDataKey(service, &awskms.GenerateDataKeyInput{KeyId: key.Arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: model})
	wantCode(t, "operation not granted", err, "AccessDeniedException")
	_, err = b.DescribeKey(service, &awskms.DescribeKeyInput{KeyId: key.Arn})
	wantCode(t, "DescribeKey ignores constraints", err, "")
	_, err = b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: enc.CiphertextBlob, EncryptionContext: model, GrantTokens: []string{"nonsense"}})
	wantCode(t, "bad token", err, "InvalidGrantTokenException")

	list, err := b.ListGrants(b.root, &awskms.ListGrantsInput{KeyId: key.KeyId})
	if err != nil || len(list.Grants) != 1 || list.Grants[0].Constraints.EncryptionContextEquals["aws:bedrock:custom-model-arn"] != "arn:model" {
		t.Errorf("ListGrants = %+v, %v", list, err)
	}
	stranger := as(t.Context(), cloister.ServicePrincipal("s3.amazonaws.com", account))
	_, err = b.RetireGrant(stranger, &awskms.RetireGrantInput{KeyId: key.Arn, GrantId: first.GrantId})
	wantCode(t, "retired by a stranger", err, "AccessDeniedException")
	if _, err = b.RetireGrant(service, &awskms.RetireGrantInput{GrantToken: first.GrantToken}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "after retirement", decrypt(model), "AccessDeniedException")
	_, err = b.RevokeGrant(b.root, &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: first.GrantId})
	wantCode(t, "revoke a retired one", err, "InvalidGrantIdException")
}

func TestGrantsOfGrantees(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	c := map[string]string{"k": "v"}
	_, err := b.CreateGrant(b.root, &awskms.CreateGrantInput{
		KeyId: key.Arn, GranteePrincipal: aws.String("bedrock.amazonaws.com"),
		Operations:  []types.GrantOperation{types.GrantOperationCreateGrant, types.GrantOperationDecrypt},
		Constraints: &types.GrantConstraints{EncryptionContextSubset: c},
	})
	if err != nil {
		t.Fatal(err)
	}
	service := as(t.Context(), cloister.ServicePrincipal("bedrock.amazonaws.com", account))
	tests := []struct {
		name       string
		operations []types.GrantOperation
		constraint *types.GrantConstraints
		code       string
	}{
		{"same", []types.GrantOperation{types.GrantOperationDecrypt}, &types.GrantConstraints{EncryptionContextSubset: c}, ""},
		{"stricter", []types.GrantOperation{types.GrantOperationDecrypt}, &types.GrantConstraints{EncryptionContextEquals: map[string]string{"K": "v", "x": "y"}}, ""},
		{"no constraint", []types.GrantOperation{types.GrantOperationDecrypt}, nil, "AccessDeniedException"},
		{"other constraint", []types.GrantOperation{types.GrantOperationDecrypt}, &types.GrantConstraints{EncryptionContextSubset: map[string]string{"k": "w"}}, "AccessDeniedException"},
		{"more operations", []types.GrantOperation{types.GrantOperationEncrypt}, &types.GrantConstraints{EncryptionContextSubset: c}, "AccessDeniedException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.CreateGrant(service, &awskms.CreateGrantInput{
				KeyId: key.Arn, GranteePrincipal: aws.String("arn:aws:iam::123456789012:role/x"), Operations: tt.operations, Constraints: tt.constraint,
			})
			wantCode(t, tt.name, err, tt.code)
		})
	}
}

func TestKeyPolicies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.createKey(t)
	got, err := b.GetKeyPolicy(b.root, &awskms.GetKeyPolicyInput{KeyId: key.KeyId, PolicyName: aws.String("default")})
	if err != nil || *got.Policy != policy.DefaultKeyPolicy(string(account)) || !strings.Contains(*got.Policy, "Enable IAM User Permissions") {
		t.Fatalf("GetKeyPolicy = %v, %v", got, err)
	}
	builders := `{ "Version": "2012-10-17", "Id": "KMS Key Policy", "Statement": [ { "Sid": "Permissions for custom model builders", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:role/b" }, "Action": [ "kms:Decrypt" ], "Resource": "*" } ]	}`
	tests := []struct {
		name, text string
		bypass     bool
		code       string
	}{
		{"seed's form locks out", builders, false, "MalformedPolicyDocumentException"},
		{"seed's form, bypassed", builders, true, ""},
		{"not JSON", builders[:len(builders)-3], true, "MalformedPolicyDocumentException"},
		{"odd character", strings.Replace(builders, "KMS Key", "KMS\u2014Key", 1), true, "MalformedPolicyDocumentException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.PutKeyPolicy(b.root, &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &tt.text, BypassPolicyLockoutSafetyCheck: tt.bypass})
			wantCode(t, tt.name, err, tt.code)
			if tt.code != "" {
				return
			}
			got, err := b.GetKeyPolicy(b.root, &awskms.GetKeyPolicyInput{KeyId: key.KeyId})
			if err != nil || *got.Policy != tt.text {
				t.Errorf("GetKeyPolicy = %q, %v, want it byte for byte", *got.Policy, err)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.createKey(t), b.createKey(t)
	create := func(name string, target *string) error {
		_, err := b.CreateAlias(b.root, &awskms.CreateAliasInput{AliasName: aws.String(name), TargetKeyId: target})
		return err
	}
	wantCode(t, "create", create("alias/app", one.KeyId), "")
	wantCode(t, "create again", create("alias/app", two.KeyId), "AlreadyExistsException")
	wantCode(t, "reserved", create("alias/aws/s3", one.KeyId), "NotAuthorizedException")
	wantCode(t, "alias of an alias", create("alias/x", aws.String("alias/app")), "ValidationException")
	wantCode(t, "unknown key", create("alias/x", aws.String("1234abcd-1234-abcd-1234-abcd1234abcd")), "NotFoundException")
	if _, err := b.UpdateAlias(b.root, &awskms.UpdateAliasInput{AliasName: aws.String("alias/app"), TargetKeyId: two.KeyId}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"alias/app", "arn:aws:kms:us-east-1:123456789012:alias/app", *two.KeyId, *two.Arn} {
		out, err := b.DescribeKey(b.root, &awskms.DescribeKeyInput{KeyId: &id})
		if err != nil || *out.KeyMetadata.KeyId != *two.KeyId {
			t.Errorf("DescribeKey(%s) = %v, %v", id, out, err)
		}
	}
	list, err := b.ListAliases(b.root, &awskms.ListAliasesInput{KeyId: two.KeyId})
	if err != nil || len(list.Aliases) != 1 || *list.Aliases[0].AliasName != "alias/app" {
		t.Errorf("ListAliases = %v, %v", list, err)
	}
	if _, err := b.DeleteAlias(b.root, &awskms.DeleteAliasInput{AliasName: aws.String("alias/app")}); err != nil {
		t.Fatal(err)
	}
	_, err = b.DescribeKey(b.root, &awskms.DescribeKeyInput{KeyId: aws.String("alias/app")})
	wantCode(t, "deleted", err, "NotFoundException")
}

func TestPaging(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := map[string]bool{}
	for range 7 {
		want[*b.createKey(t).KeyId] = true
	}
	pages := awskms.NewListKeysPaginator(b, &awskms.ListKeysInput{Limit: aws.Int32(3)})
	n := 0
	for pages.HasMorePages() {
		out, err := pages.NextPage(b.root)
		if err != nil {
			t.Fatal(err)
		}
		n++
		for _, key := range out.Keys {
			if !want[*key.KeyId] {
				t.Errorf("key %s listed twice or unknown", *key.KeyId)
			}
			delete(want, *key.KeyId)
		}
	}
	if len(want) != 0 || n != 3 {
		t.Errorf("%d keys missing after %d pages, want none after 3", len(want), n)
	}
}

func TestUnsupportedKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, in := range map[string]*awskms.CreateKeyInput{
		"RSA":          {KeySpec: types.KeySpecRsa2048},
		"HMAC":         {KeyUsage: types.KeyUsageTypeGenerateVerifyMac},
		"external":     {Origin: types.OriginTypeExternal},
		"multi-region": {MultiRegion: aws.Bool(true)},
	} {
		_, err := b.CreateKey(b.root, in)
		wantCode(t, name, err, "UnsupportedOperationException")
	}
}

func TestOwned(t *testing.T) {
	t.Parallel()
	seal, err := rootseal.OpenFile(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]string{"aws:s3:arn": "arn:aws:s3:::b/k"}
	made, err := kms.NewOwned(seal, "s3").GenerateDataKey(t.Context(), &awskms.GenerateDataKeyInput{EncryptionContext: c})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := kms.NewOwned(seal, "s3").Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: c})
	if err != nil || !bytes.Equal(opened.Plaintext, made.Plaintext) {
		t.Errorf("Decrypt = %v, want the key that was made", err)
	}
	_, err = kms.NewOwned(seal, "bedrock").Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: made.CiphertextBlob, EncryptionContext: c})
	wantCode(t, "another service", err, "InvalidCiphertextException")
	_, err = kms.NewOwned(seal, "s3").Decrypt(t.Context(), &awskms.DecryptInput{CiphertextBlob: made.CiphertextBlob})
	wantCode(t, "another context", err, "InvalidCiphertextException")
}

func FuzzDecrypt(f *testing.F) {
	f.Add([]byte{1})
	f.Add(bytes.Repeat([]byte{1}, 100))
	f.Fuzz(func(t *testing.T, blob []byte) {
		b := setup(t)
		if out, err := b.Decrypt(b.root, &awskms.DecryptInput{CiphertextBlob: blob}); err == nil {
			t.Errorf("Decrypt of noise = %x", out.Plaintext)
		}
	})
}
