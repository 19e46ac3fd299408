package kms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

// maxConstraintPairs is KMS's limit on the pairs of a grant constraint.
const maxConstraintPairs = 8

// grantOperations are the operations a grant on a symmetric key can allow and this service serves.
func grantOperations() []string {
	return []string{
		"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "CreateGrant", "RetireGrant", "DescribeKey",
	}
}

// CreateGrant lets a grantee use a key. A grantee that may itself create grants can only give what its own
// grant has, under equal or stricter constraints.
func (s *Service) CreateGrant(ctx context.Context, in *awskms.CreateGrantInput, _ ...func(*awskms.Options)) (*awskms.CreateGrantOutput, error) {
	call := cloister.CallFrom(ctx)
	grant := Grant{
		Name: aws.ToString(in.Name), Grantee: aws.ToString(in.GranteePrincipal), Retiring: aws.ToString(in.RetiringPrincipal),
		Issuer: call.Principal.ARN, Created: s.now(),
	}
	for _, op := range in.Operations {
		grant.Operations = append(grant.Operations, string(op))
	}
	slices.Sort(grant.Operations)
	grant.Operations = slices.Compact(grant.Operations)
	if in.Constraints != nil {
		grant.Equals, grant.Subset = in.Constraints.EncryptionContextEquals, in.Constraints.EncryptionContextSubset
	}
	key, err := s.forGrant(ctx, aws.ToString(in.KeyId), grant)
	if err != nil {
		return nil, err
	}
	if err := s.checkTokens(ctx, in.GrantTokens); err != nil {
		return nil, err
	}
	if err := grant.check(); err != nil {
		return nil, err
	}
	if err := key.usable(); err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	grant.ID, grant.KeyID = hex.EncodeToString(id), key.ID
	if grant, err = s.store.CreateGrant(ctx, grant); err != nil {
		return nil, err
	}
	token, err := s.grantToken(ctx, grant)
	if err != nil {
		return nil, err
	}
	return &awskms.CreateGrantOutput{GrantId: aws.String(grant.ID), GrantToken: aws.String(token)}, nil
}

// forGrant finds the key and authorizes the creation of a grant on it: by the authorizer, or by a grant of
// the caller's that covers the new one.
func (s *Service) forGrant(ctx context.Context, id string, grant Grant) (Key, error) {
	key, err := s.resolve(ctx, id)
	notFound := errors.Is(err, ErrNotFound)
	if err != nil && !notFound {
		return Key{}, err
	}
	resource := s.requested(ctx, id)
	if !notFound {
		resource = key.ARN()
	}
	denied := s.auth.Authorize(ctx, cloister.Access{Action: "kms:CreateGrant", Resource: resource})
	switch {
	case denied == nil && notFound:
		return Key{}, notFoundError(ctx, s.account, id)
	case denied == nil:
		return key, nil
	case notFound:
		return Key{}, denied
	}
	own, err := s.store.Grants(ctx, key.ID, cloister.CallFrom(ctx).Principal.ARN, "", maxGrants)
	if err != nil {
		return Key{}, err
	}
	if !slices.ContainsFunc(own, func(g Grant) bool { return g.covers(grant) }) {
		return Key{}, denied
	}
	return key, nil
}

// covers reports whether the holder of g may create sub.
func (g Grant) covers(sub Grant) bool {
	if !slices.Contains(g.Operations, "CreateGrant") {
		return false
	}
	for _, op := range sub.Operations {
		if !slices.Contains(g.Operations, op) {
			return false
		}
	}
	switch {
	case g.Equals != nil:
		return sub.Equals != nil && maps.Equal(lowerKeys(g.Equals), lowerKeys(sub.Equals))
	case g.Subset != nil:
		stricter := sub.Equals
		if stricter == nil {
			stricter = sub.Subset
		}
		return stricter != nil && Grant{Operations: []string{"Decrypt"}, Subset: g.Subset}.allows(use{"kms:Decrypt", stricter})
	}
	return true
}

func (g Grant) check() error {
	for _, op := range g.Operations {
		if !slices.Contains(grantOperations(), op) {
			return unsupported("the grant operation %s is not supported", op)
		}
	}
	if g.Equals != nil && g.Subset != nil {
		return invalid("Constraints: give EncryptionContextEquals or EncryptionContextSubset, not both")
	}
	if len(g.Equals) > maxConstraintPairs || len(g.Subset) > maxConstraintPairs {
		return invalid("Constraints: at most %d pairs", maxConstraintPairs)
	}
	for _, p := range []string{g.Grantee, g.Retiring} {
		if p != "" && !principalName(p) {
			return cloister.Errorf("InvalidArnException", "%s is not a principal: give an ARN of IAM or STS, or a service", p)
		}
	}
	return nil
}

func principalName(p string) bool {
	if strings.HasSuffix(p, ".amazonaws.com") {
		return true
	}
	arn, err := cloister.ParseARN(p)
	return err == nil && (arn.Service == "iam" || arn.Service == "sts")
}

// ListGrants lists the grants of a key in order of id.
func (s *Service) ListGrants(ctx context.Context, in *awskms.ListGrantsInput, _ ...func(*awskms.Options)) (*awskms.ListGrantsOutput, error) {
	key, err := s.key(ctx, aws.ToString(in.KeyId), use{action: "kms:ListGrants"})
	if err != nil {
		return nil, err
	}
	limit := page(in.Limit)
	var grants []Grant
	if in.GrantId != nil {
		grant, err := s.store.Grant(ctx, key.ID, *in.GrantId)
		if errors.Is(err, ErrNotFound) {
			return nil, cloister.Errorf("InvalidGrantIdException", "There is no grant %s on %s", *in.GrantId, key.ARN())
		}
		if err != nil {
			return nil, err
		}
		if in.GranteePrincipal == nil || grant.Grantee == *in.GranteePrincipal {
			grants = []Grant{grant}
		}
	} else if grants, err = s.store.Grants(ctx, key.ID, aws.ToString(in.GranteePrincipal), aws.ToString(in.Marker), limit+1); err != nil {
		return nil, err
	}
	out := &awskms.ListGrantsOutput{Grants: []types.GrantListEntry{}}
	if len(grants) > limit {
		grants = grants[:limit]
		out.Truncated = true
		out.NextMarker = aws.String(grants[limit-1].ID)
	}
	for _, g := range grants {
		out.Grants = append(out.Grants, g.entry(key))
	}
	return out, nil
}

func (g Grant) entry(key Key) types.GrantListEntry {
	e := types.GrantListEntry{
		KeyId: aws.String(key.ARN()), GrantId: aws.String(g.ID), GranteePrincipal: aws.String(g.Grantee),
		IssuingAccount: aws.String(cloister.NewARN("iam", "", key.Account, "root").String()), CreationDate: aws.Time(g.Created),
	}
	if g.Name != "" {
		e.Name = aws.String(g.Name)
	}
	if g.Retiring != "" {
		e.RetiringPrincipal = aws.String(g.Retiring)
	}
	for _, op := range g.Operations {
		e.Operations = append(e.Operations, types.GrantOperation(op))
	}
	if g.Equals != nil || g.Subset != nil {
		e.Constraints = &types.GrantConstraints{EncryptionContextEquals: g.Equals, EncryptionContextSubset: g.Subset}
	}
	return e
}

// RevokeGrant ends a grant; the key's managers may.
func (s *Service) RevokeGrant(ctx context.Context, in *awskms.RevokeGrantInput, _ ...func(*awskms.Options)) (*awskms.RevokeGrantOutput, error) {
	key, err := s.key(ctx, aws.ToString(in.KeyId), use{action: "kms:RevokeGrant"})
	if err != nil {
		return nil, err
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &awskms.RevokeGrantOutput{}, s.endGrant(ctx, key, aws.ToString(in.GrantId))
}

// RetireGrant ends a grant; the retiring principal may, the grantee if the grant says so, and whoever the
// authorizer admits. It takes a token, or key ARN and grant id.
func (s *Service) RetireGrant(ctx context.Context, in *awskms.RetireGrantInput, _ ...func(*awskms.Options)) (*awskms.RetireGrantOutput, error) {
	keyID, grantID := aws.ToString(in.KeyId), aws.ToString(in.GrantId)
	var tokenErr error
	if in.GrantToken != nil {
		keyID, grantID, tokenErr = s.readToken(ctx, *in.GrantToken)
	}
	key, keyErr := s.resolve(ctx, keyID)
	if keyErr != nil && !errors.Is(keyErr, ErrNotFound) {
		return nil, keyErr
	}
	var grant Grant
	var grantErr error
	if keyErr == nil {
		if grant, grantErr = s.store.Grant(ctx, key.ID, grantID); grantErr != nil && !errors.Is(grantErr, ErrNotFound) {
			return nil, grantErr
		}
	}
	who := cloister.CallFrom(ctx).Principal
	retires := func(p string) bool { return p != "" && (p == who.ARN || p == who.RoleARN) }
	mayRetire := keyErr == nil && grantErr == nil &&
		(retires(grant.Retiring) || retires(grant.Grantee) && slices.Contains(grant.Operations, "RetireGrant"))
	if !mayRetire {
		if denied := s.auth.Authorize(ctx, cloister.Access{Action: "kms:RetireGrant", Resource: s.requested(ctx, keyID)}); denied != nil {
			return nil, denied
		}
	}
	switch {
	case tokenErr != nil:
		return nil, tokenErr
	case in.GrantToken == nil && (in.KeyId == nil || in.GrantId == nil):
		return nil, invalid("Give GrantToken, or both KeyId and GrantId")
	case keyErr != nil:
		return nil, notFoundError(ctx, s.account, keyID)
	}
	if err := dryRun(in.DryRun); err != nil {
		return nil, err
	}
	return &awskms.RetireGrantOutput{}, s.endGrant(ctx, key, grantID)
}

func (s *Service) endGrant(ctx context.Context, key Key, id string) error {
	err := s.store.DeleteGrant(ctx, key.ID, id)
	if errors.Is(err, ErrNotFound) {
		return cloister.Errorf("InvalidGrantIdException", "There is no grant %s on %s", id, key.ARN())
	}
	return err
}

// A grant token is the key's and the grant's id under the root seal: it needs no table, any number of them
// name one grant, and nobody can make one.
func (s *Service) grantToken(ctx context.Context, grant Grant) (string, error) {
	blob, err := s.seal.Wrap(ctx, []byte(grant.KeyID+" "+grant.ID), []byte(tokenAAD))
	return base64.RawURLEncoding.EncodeToString(blob), err
}

const tokenAAD = "cloister/kms/grant-token/v1" //nolint:gosec // a label, no secret

func (s *Service) readToken(ctx context.Context, token string) (keyID, grantID string, err error) {
	bad := cloister.Errorf("InvalidGrantTokenException", "The grant token is not valid.")
	blob, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", "", bad
	}
	text, err := s.seal.Unwrap(ctx, blob, []byte(tokenAAD))
	if err != nil {
		return "", "", bad
	}
	keyID, grantID, _ = strings.Cut(string(text), " ")
	return keyID, grantID, nil
}

// checkTokens refuses tokens that are not ours. Grants act at once here, so a token adds nothing.
func (s *Service) checkTokens(ctx context.Context, tokens []string) error {
	for _, token := range tokens {
		if _, _, err := s.readToken(ctx, token); err != nil {
			return err
		}
	}
	return nil
}
