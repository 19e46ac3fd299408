package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister/internal/wire"
)

// KMS is what serves the operations of AWS KMS: the methods of the SDK's *kms.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: AWS KMS API Reference.
type KMS interface {
	CreateKey(ctx context.Context, in *kms.CreateKeyInput, opts ...func(*kms.Options)) (*kms.CreateKeyOutput, error)
	DescribeKey(ctx context.Context, in *kms.DescribeKeyInput, opts ...func(*kms.Options)) (*kms.DescribeKeyOutput, error)
	ListKeys(ctx context.Context, in *kms.ListKeysInput, opts ...func(*kms.Options)) (*kms.ListKeysOutput, error)
	CreateAlias(ctx context.Context, in *kms.CreateAliasInput, opts ...func(*kms.Options)) (*kms.CreateAliasOutput, error)
	DeleteAlias(ctx context.Context, in *kms.DeleteAliasInput, opts ...func(*kms.Options)) (*kms.DeleteAliasOutput, error)
	ListAliases(ctx context.Context, in *kms.ListAliasesInput, opts ...func(*kms.Options)) (*kms.ListAliasesOutput, error)
	UpdateAlias(ctx context.Context, in *kms.UpdateAliasInput, opts ...func(*kms.Options)) (*kms.UpdateAliasOutput, error)
	Encrypt(ctx context.Context, in *kms.EncryptInput, opts ...func(*kms.Options)) (*kms.EncryptOutput, error)
	Decrypt(ctx context.Context, in *kms.DecryptInput, opts ...func(*kms.Options)) (*kms.DecryptOutput, error)
	GenerateDataKey(ctx context.Context, in *kms.GenerateDataKeyInput, opts ...func(*kms.Options)) (*kms.GenerateDataKeyOutput, error)
	GenerateDataKeyWithoutPlaintext(ctx context.Context, in *kms.GenerateDataKeyWithoutPlaintextInput, opts ...func(*kms.Options)) (*kms.GenerateDataKeyWithoutPlaintextOutput, error)
	GetKeyPolicy(ctx context.Context, in *kms.GetKeyPolicyInput, opts ...func(*kms.Options)) (*kms.GetKeyPolicyOutput, error)
	PutKeyPolicy(ctx context.Context, in *kms.PutKeyPolicyInput, opts ...func(*kms.Options)) (*kms.PutKeyPolicyOutput, error)
	ListKeyPolicies(ctx context.Context, in *kms.ListKeyPoliciesInput, opts ...func(*kms.Options)) (*kms.ListKeyPoliciesOutput, error)
	EnableKey(ctx context.Context, in *kms.EnableKeyInput, opts ...func(*kms.Options)) (*kms.EnableKeyOutput, error)
	DisableKey(ctx context.Context, in *kms.DisableKeyInput, opts ...func(*kms.Options)) (*kms.DisableKeyOutput, error)
	ScheduleKeyDeletion(ctx context.Context, in *kms.ScheduleKeyDeletionInput, opts ...func(*kms.Options)) (*kms.ScheduleKeyDeletionOutput, error)
	CancelKeyDeletion(ctx context.Context, in *kms.CancelKeyDeletionInput, opts ...func(*kms.Options)) (*kms.CancelKeyDeletionOutput, error)
	CreateGrant(ctx context.Context, in *kms.CreateGrantInput, opts ...func(*kms.Options)) (*kms.CreateGrantOutput, error)
	ListGrants(ctx context.Context, in *kms.ListGrantsInput, opts ...func(*kms.Options)) (*kms.ListGrantsOutput, error)
	RetireGrant(ctx context.Context, in *kms.RetireGrantInput, opts ...func(*kms.Options)) (*kms.RetireGrantOutput, error)
	RevokeGrant(ctx context.Context, in *kms.RevokeGrantInput, opts ...func(*kms.Options)) (*kms.RevokeGrantOutput, error)
}

var _ KMS = (*kms.Client)(nil)

// kmsOperations is the table of operations that are served of KMS.
func kmsOperations(svc KMS) []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateKey", svc.CreateKey),
		wire.Op("DescribeKey", svc.DescribeKey),
		wire.Op("ListKeys", svc.ListKeys),
		wire.Op("CreateAlias", svc.CreateAlias),
		wire.Op("DeleteAlias", svc.DeleteAlias),
		wire.Op("ListAliases", svc.ListAliases),
		wire.Op("UpdateAlias", svc.UpdateAlias),
		wire.Op("Encrypt", svc.Encrypt),
		wire.Op("Decrypt", svc.Decrypt),
		wire.Op("GenerateDataKey", svc.GenerateDataKey),
		wire.Op("GenerateDataKeyWithoutPlaintext", svc.GenerateDataKeyWithoutPlaintext),
		wire.Op("GetKeyPolicy", svc.GetKeyPolicy),
		wire.Op("PutKeyPolicy", svc.PutKeyPolicy),
		wire.Op("ListKeyPolicies", svc.ListKeyPolicies),
		wire.Op("EnableKey", svc.EnableKey),
		wire.Op("DisableKey", svc.DisableKey),
		wire.Op("ScheduleKeyDeletion", svc.ScheduleKeyDeletion),
		wire.Op("CancelKeyDeletion", svc.CancelKeyDeletion),
		wire.Op("CreateGrant", svc.CreateGrant),
		wire.Op("ListGrants", svc.ListGrants),
		wire.Op("RetireGrant", svc.RetireGrant),
		wire.Op("RevokeGrant", svc.RevokeGrant),
	}
}
