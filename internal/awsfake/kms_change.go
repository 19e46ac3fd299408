package awsfake

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// The days that KMS waits before it deletes a key, and between rotations, if the request does not say.
// Source: KMS API Reference, ScheduleKeyDeletion, EnableKeyRotation.
const (
	usualWindow   = 30
	leastWindow   = 7
	usualRotation = 365
)

func enabledKeyARN(c *call, in *kms.EnableKeyInput) string { return keyARN(c, in.KeyId) }

func disabledKeyARN(c *call, in *kms.DisableKeyInput) string { return keyARN(c, in.KeyId) }

func scheduledKeyARN(c *call, in *kms.ScheduleKeyDeletionInput) string { return keyARN(c, in.KeyId) }

func cancelledKeyARN(c *call, in *kms.CancelKeyDeletionInput) string { return keyARN(c, in.KeyId) }

func rotatingKeyARN(c *call, in *kms.EnableKeyRotationInput) string { return keyARN(c, in.KeyId) }

func unrotatedKeyARN(c *call, in *kms.DisableKeyRotationInput) string { return keyARN(c, in.KeyId) }

func keyTagsARN(c *call, in *kms.ListResourceTagsInput) string { return keyARN(c, in.KeyId) }

// own finds a key of the caller's account by its id or ARN: what manages a key takes no alias.
func (c *call) own(id *string) (*key, error) {
	if name := aws.ToString(id); strings.HasPrefix(name, "alias/") || strings.Contains(name, ":alias/") {
		return nil, cloister.Errorf("NotFoundException", "Invalid keyId %s", name)
	}
	k, err := c.readable(id)
	if err == nil && k.account != c.Account {
		return nil, cloister.Errorf("AccessDeniedException", "%s", cloister.DeniedMessage(c.caller, c.Action, aws.ToString(k.metadata.Arn)))
	}
	return k, err
}

// alive is own for a key that is not about to be deleted.
func (c *call) alive(id *string) (*key, error) {
	k, err := c.own(id)
	if err == nil && k.metadata.KeyState == types.KeyStatePendingDeletion {
		return nil, cloister.Errorf("KMSInvalidStateException", "%s is pending deletion.", aws.ToString(k.metadata.Arn))
	}
	return k, err
}

// rotatable is alive for a key whose rotation can be set.
func (c *call) rotatable(id *string) (*key, error) {
	k, err := c.alive(id)
	switch {
	case err != nil:
		return nil, err
	case k.metadata.KeyState == types.KeyStateDisabled:
		return nil, cloister.Errorf("DisabledException", "%s is disabled.", aws.ToString(k.metadata.Arn))
	case k.metadata.KeySpec != "" && k.metadata.KeySpec != types.KeySpecSymmetricDefault, k.metadata.Origin == types.OriginTypeExternal:
		return nil, cloister.Errorf("UnsupportedOperationException", "%s cannot be rotated.", aws.ToString(k.metadata.Arn))
	}
	return k, nil
}

func (k *key) set(state types.KeyState) {
	k.metadata.KeyState, k.metadata.Enabled = state, state == types.KeyStateEnabled
}

func enableKey(c *call, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	k, err := c.alive(in.KeyId)
	if err != nil {
		return nil, err
	}
	k.set(types.KeyStateEnabled)
	return &kms.EnableKeyOutput{}, nil
}

func disableKey(c *call, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
	k, err := c.alive(in.KeyId)
	if err != nil {
		return nil, err
	}
	k.set(types.KeyStateDisabled)
	return &kms.DisableKeyOutput{}, nil
}

func scheduleKeyDeletion(c *call, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	k, err := c.alive(in.KeyId)
	if err != nil {
		return nil, err
	}
	days := int32(usualWindow)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < leastWindow || days > usualWindow {
		return nil, cloister.Errorf("ValidationException", "PendingWindowInDays must be between %d and %d", leastWindow, usualWindow)
	}
	k.set(types.KeyStatePendingDeletion)
	k.metadata.DeletionDate = aws.Time(c.now().AddDate(0, 0, int(days)))
	return &kms.ScheduleKeyDeletionOutput{
		KeyId: k.metadata.Arn, KeyState: k.metadata.KeyState, DeletionDate: k.metadata.DeletionDate, PendingWindowInDays: &days,
	}, nil
}

// cancelKeyDeletion leaves the key Disabled.
func cancelKeyDeletion(c *call, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	k, err := c.own(in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.metadata.KeyState != types.KeyStatePendingDeletion {
		return nil, cloister.Errorf("KMSInvalidStateException", "%s is not pending deletion.", aws.ToString(k.metadata.Arn))
	}
	k.set(types.KeyStateDisabled)
	k.metadata.DeletionDate = nil
	return &kms.CancelKeyDeletionOutput{KeyId: k.metadata.Arn}, nil
}

func enableKeyRotation(c *call, in *kms.EnableKeyRotationInput) (*kms.EnableKeyRotationOutput, error) {
	k, err := c.rotatable(in.KeyId)
	if err != nil {
		return nil, err
	}
	days := int32(usualRotation)
	if in.RotationPeriodInDays != nil {
		days = *in.RotationPeriodInDays
	}
	k.rotation = kms.GetKeyRotationStatusOutput{
		KeyId: k.metadata.Arn, KeyRotationEnabled: true, RotationPeriodInDays: &days,
		NextRotationDate: aws.Time(c.now().Add(time.Duration(days) * 24 * time.Hour)),
	}
	return &kms.EnableKeyRotationOutput{}, nil
}

func disableKeyRotation(c *call, in *kms.DisableKeyRotationInput) (*kms.DisableKeyRotationOutput, error) {
	k, err := c.rotatable(in.KeyId)
	if err != nil {
		return nil, err
	}
	k.rotation = kms.GetKeyRotationStatusOutput{KeyId: k.metadata.Arn}
	return &kms.DisableKeyRotationOutput{}, nil
}

func listResourceTags(c *call, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, error) {
	k, err := c.own(in.KeyId)
	if err != nil {
		return nil, err
	}
	tags, next := page(c, k.tags, in.Limit, usualGrants)
	return &kms.ListResourceTagsOutput{Tags: tags, NextMarker: next, Truncated: next != nil}, nil
}
