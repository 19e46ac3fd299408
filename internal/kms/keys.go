package kms

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/google/uuid"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// Waiting period of a deletion, in days. Source: KMS API Reference, ScheduleKeyDeletion.
const (
	minWindow     = 7
	maxWindow     = 30
	defaultWindow = 30
)

const (
	maxKeyTags  = 50
	maxGrants   = 50000 // per key; KMS quotas page
	defaultPage = 100
)

// CreateKey makes a symmetric key. Without a policy it gets AWS's default one.
func (s *Service) CreateKey(ctx context.Context, in *awskms.CreateKeyInput, _ ...func(*awskms.Options)) (*awskms.CreateKeyOutput, error) {
	region := cloister.CallFrom(ctx).Region
	if err := s.auth.Authorize(ctx, cloister.Access{Action: "kms:CreateKey", Resource: "*"}); err != nil {
		return nil, err
	}
	if err := servedKind(in); err != nil {
		return nil, err
	}
	key := Key{
		Account: s.account, Region: region, ID: uuid.NewString(), State: Enabled,
		Description: aws.ToString(in.Description), Policy: aws.ToString(in.Policy), Created: s.now(),
	}
	if in.Policy == nil {
		key.Policy = policy.DefaultKeyPolicy(string(s.account))
	} else if err := checkPolicy(s.account, key.Policy, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	if len(in.Tags) > maxKeyTags {
		return nil, cloister.Errorf("TagException", "A key has at most %d tags.", maxKeyTags)
	}
	for _, tag := range in.Tags {
		key.Tags = append(key.Tags, Tag{aws.ToString(tag.TagKey), aws.ToString(tag.TagValue)})
	}
	var err error
	if key.MaterialID, key.Material, err = s.newMaterial(ctx, key.ID); err != nil {
		return nil, err
	}
	if err := s.store.CreateKey(ctx, key); err != nil {
		return nil, err
	}
	return &awskms.CreateKeyOutput{KeyMetadata: key.metadata()}, nil
}

// servedKind refuses every kind of key but the symmetric one with material of our own.
func servedKind(in *awskms.CreateKeyInput) error {
	spec := in.KeySpec
	if spec == "" {
		spec = types.KeySpec(in.CustomerMasterKeySpec) //nolint:staticcheck // old clients still send it
	}
	switch {
	case spec != "" && spec != types.KeySpecSymmetricDefault:
		return unsupported("KeySpec %s is not supported: only SYMMETRIC_DEFAULT is", spec)
	case in.KeyUsage != "" && in.KeyUsage != types.KeyUsageTypeEncryptDecrypt:
		return unsupported("KeyUsage %s is not supported: only ENCRYPT_DECRYPT is", in.KeyUsage)
	case in.Origin != "" && in.Origin != types.OriginTypeAwsKms:
		return unsupported("Origin %s is not supported: only AWS_KMS is", in.Origin)
	case in.CustomKeyStoreId != nil || in.XksKeyId != nil:
		return unsupported("custom key stores are not supported")
	case aws.ToBool(in.MultiRegion):
		return unsupported("multi-Region keys are not supported")
	}
	return nil
}

// DescribeKey describes a key.
func (s *Service) DescribeKey(ctx context.Context, in *awskms.DescribeKeyInput, _ ...func(*awskms.Options)) (*awskms.DescribeKeyOutput, error) {
	key, err := s.key(ctx, aws.ToString(in.KeyId), use{action: "kms:DescribeKey"})
	if err != nil {
		return nil, err
	}
	if err := s.checkTokens(ctx, in.GrantTokens); err != nil {
		return nil, err
	}
	return &awskms.DescribeKeyOutput{KeyMetadata: key.metadata()}, nil
}

// ListKeys lists the customer's keys of the region, in order of id.
func (s *Service) ListKeys(ctx context.Context, in *awskms.ListKeysInput, _ ...func(*awskms.Options)) (*awskms.ListKeysOutput, error) {
	if err := s.auth.Authorize(ctx, cloister.Access{Action: "kms:ListKeys", Resource: "*"}); err != nil {
		return nil, err
	}
	limit := page(in.Limit)
	keys, err := s.store.Keys(ctx, s.account, cloister.CallFrom(ctx).Region, aws.ToString(in.Marker), limit+1)
	if err != nil {
		return nil, err
	}
	out := &awskms.ListKeysOutput{Keys: []types.KeyListEntry{}}
	if len(keys) > limit {
		keys = keys[:limit]
		out.Truncated = true
		out.NextMarker = aws.String(keys[limit-1].ID)
	}
	for _, key := range keys {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: aws.String(key.ID), KeyArn: aws.String(key.ARN())})
	}
	return out, nil
}

// EnableKey makes a disabled key usable again.
func (s *Service) EnableKey(ctx context.Context, in *awskms.EnableKeyInput, _ ...func(*awskms.Options)) (*awskms.EnableKeyOutput, error) {
	err := s.change(ctx, aws.ToString(in.KeyId), "kms:EnableKey", func(key *Key) error {
		if err := key.notPending(); err != nil {
			return err
		}
		key.State = Enabled
		return nil
	})
	return &awskms.EnableKeyOutput{}, err
}

// DisableKey makes a key unusable until it is enabled.
func (s *Service) DisableKey(ctx context.Context, in *awskms.DisableKeyInput, _ ...func(*awskms.Options)) (*awskms.DisableKeyOutput, error) {
	err := s.change(ctx, aws.ToString(in.KeyId), "kms:DisableKey", func(key *Key) error {
		if err := key.notPending(); err != nil {
			return err
		}
		key.State = Disabled
		return nil
	})
	return &awskms.DisableKeyOutput{}, err
}

// ScheduleKeyDeletion starts a waiting period of 7 to 30 days, after which the material is destroyed.
func (s *Service) ScheduleKeyDeletion(ctx context.Context, in *awskms.ScheduleKeyDeletionInput, _ ...func(*awskms.Options)) (*awskms.ScheduleKeyDeletionOutput, error) {
	window := defaultWindow
	if in.PendingWindowInDays != nil {
		window = int(*in.PendingWindowInDays)
	}
	var key Key
	err := s.change(ctx, aws.ToString(in.KeyId), "kms:ScheduleKeyDeletion", func(k *Key) error {
		if err := k.notPending(); err != nil {
			return err
		}
		if window < minWindow || window > maxWindow {
			return invalid("PendingWindowInDays must be between %d and %d", minWindow, maxWindow)
		}
		k.State = PendingDeletion
		k.Deletion = s.now().Add(time.Duration(window) * 24 * time.Hour)
		key = *k
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &awskms.ScheduleKeyDeletionOutput{
		KeyId: aws.String(key.ARN()), KeyState: types.KeyStatePendingDeletion, DeletionDate: aws.Time(key.Deletion),
		PendingWindowInDays: aws.Int32(int32(window)), //nolint:gosec // 7 to 30
	}, nil
}

// CancelKeyDeletion ends the waiting period; the key is then disabled.
func (s *Service) CancelKeyDeletion(ctx context.Context, in *awskms.CancelKeyDeletionInput, _ ...func(*awskms.Options)) (*awskms.CancelKeyDeletionOutput, error) {
	arn := ""
	err := s.change(ctx, aws.ToString(in.KeyId), "kms:CancelKeyDeletion", func(key *Key) error {
		if key.State != PendingDeletion {
			return cloister.Errorf("KMSInvalidStateException", "%s is not pending deletion.", key.ARN())
		}
		key.State, key.Deletion, arn = Disabled, time.Time{}, key.ARN()
		return nil
	})
	return &awskms.CancelKeyDeletionOutput{KeyId: aws.String(arn)}, err
}

// change authorizes an action on a key and changes the key in one transaction. Aliases are not accepted,
// as in KMS for every operation that manages a key.
func (s *Service) change(ctx context.Context, id, action string, change func(*Key) error) error {
	key, err := s.key(ctx, id, use{action: action})
	if err != nil {
		return err
	}
	err = s.store.UpdateKey(ctx, key.ID, change)
	if errors.Is(err, ErrNotFound) {
		return notFoundError(ctx, s.account, id)
	}
	return err
}

func (k Key) metadata() *types.KeyMetadata {
	m := &types.KeyMetadata{
		AWSAccountId: aws.String(string(k.Account)), KeyId: aws.String(k.ID), Arn: aws.String(k.ARN()),
		CreationDate: aws.Time(k.Created), Enabled: k.State == Enabled, Description: aws.String(k.Description),
		KeyUsage: types.KeyUsageTypeEncryptDecrypt, KeyState: types.KeyState(k.State), Origin: types.OriginTypeAwsKms,
		KeyManager: types.KeyManagerTypeCustomer, KeySpec: types.KeySpecSymmetricDefault,
		CustomerMasterKeySpec: types.CustomerMasterKeySpecSymmetricDefault, //nolint:staticcheck // old clients read it
		EncryptionAlgorithms:  []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault},
		MultiRegion:           aws.Bool(false), CurrentKeyMaterialId: aws.String(k.MaterialID),
	}
	if !k.Deletion.IsZero() {
		m.DeletionDate = aws.Time(k.Deletion)
	}
	return m
}

func page(limit *int32) int {
	if n := int(aws.ToInt32(limit)); n > 0 {
		return n
	}
	return defaultPage
}
