package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// policyName is the only name a key policy can have.
const policyName = "default"

// checkPolicy parses a policy and, unless bypassed, makes sure that the account can still change it.
func checkPolicy(account cloister.AccountID, text string, bypass bool) error {
	for _, r := range text {
		if r != '\t' && r != '\n' && r != '\r' && (r < 0x20 || r > 0xff) {
			return cloister.Errorf("MalformedPolicyDocumentException", "the policy contains the character %U, which is not allowed", r)
		}
	}
	doc, err := policy.Parse(policy.Key, text)
	if err != nil {
		return cloister.Errorf("MalformedPolicyDocumentException", "%v", err)
	}
	if bypass {
		return nil
	}
	if err := policy.CheckLockout(doc, string(account)); err != nil {
		return cloister.Errorf("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future. (%v)", err)
	}
	return nil
}

// PutKeyPolicy replaces a key's policy. It is checked, and kept byte for byte.
func (s *Service) PutKeyPolicy(ctx context.Context, in *awskms.PutKeyPolicyInput, _ ...func(*awskms.Options)) (*awskms.PutKeyPolicyOutput, error) {
	err := s.change(ctx, aws.ToString(in.KeyId), "kms:PutKeyPolicy", func(key *Key) error {
		if err := checkPolicyName(in.PolicyName); err != nil {
			return err
		}
		if err := checkPolicy(s.account, aws.ToString(in.Policy), in.BypassPolicyLockoutSafetyCheck); err != nil {
			return err
		}
		key.Policy = aws.ToString(in.Policy)
		return nil
	})
	return &awskms.PutKeyPolicyOutput{}, err
}

// GetKeyPolicy returns a key's policy as it was put.
func (s *Service) GetKeyPolicy(ctx context.Context, in *awskms.GetKeyPolicyInput, _ ...func(*awskms.Options)) (*awskms.GetKeyPolicyOutput, error) {
	key, err := s.key(ctx, aws.ToString(in.KeyId), use{action: "kms:GetKeyPolicy"})
	if err != nil {
		return nil, err
	}
	if err := checkPolicyName(in.PolicyName); err != nil {
		return nil, err
	}
	return &awskms.GetKeyPolicyOutput{Policy: aws.String(key.Policy), PolicyName: aws.String(policyName)}, nil
}

// ListKeyPolicies returns the one name "default".
func (s *Service) ListKeyPolicies(ctx context.Context, in *awskms.ListKeyPoliciesInput, _ ...func(*awskms.Options)) (*awskms.ListKeyPoliciesOutput, error) {
	if _, err := s.key(ctx, aws.ToString(in.KeyId), use{action: "kms:ListKeyPolicies"}); err != nil {
		return nil, err
	}
	return &awskms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, nil
}

func checkPolicyName(name *string) error {
	if name != nil && *name != policyName {
		return cloister.Errorf("NotFoundException", "No such policy exists: the only policy name is %q", policyName)
	}
	return nil
}
