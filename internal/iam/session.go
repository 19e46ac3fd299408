package iam

import (
	"context"
	"errors"
	"strings"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// JobSession opens a session of a customer's role for a customization job, as bedrock.amazonaws.com
// does: the role must exist and its trust policy must let the service assume it for this account and
// job (aws:SourceAccount, aws:SourceArn). The session is a Principal of this process; it has no keys and
// is worth nothing elsewhere.
//
// It returns an *Error with code AccessDenied and the reason when the role does not exist or does not
// trust the service.
func (s *Service) JobSession(ctx context.Context, roleARN, service, jobARN string) (cloister.Principal, error) {
	role, err := s.roleByARN(ctx, roleARN)
	if errors.Is(err, ErrNotFound) {
		return cloister.Principal{}, cloister.Errorf("AccessDenied", "Could not assume provided IAM role: %s does not exist", roleARN).WithStatus(403)
	}
	if err != nil {
		return cloister.Principal{}, err
	}
	doc, err := policy.Parse(policy.Trust, role.Trust)
	if err != nil {
		return cloister.Principal{}, err
	}
	err = policy.EvaluateServiceTrust(doc, policy.ServiceRequest{
		Service: service, SourceAccount: string(s.account), SourceARN: jobARN,
	})
	if err != nil {
		return cloister.Principal{}, cloister.Errorf("AccessDenied", "Could not assume provided IAM role %s: %v", roleARN, err).WithStatus(403)
	}
	session := jobARN[strings.LastIndexByte(jobARN, '/')+1:]
	return cloister.Principal{
		Kind: cloister.KindAssumedRole, Account: s.account, RoleARN: role.ARN(), JobARN: jobARN,
		ARN: cloister.NewARN("sts", "", s.account, "assumed-role/"+role.Name+"/"+session).String(),
		ID:  role.ID + ":" + session,
	}, nil
}

// roleByARN finds a role of this account by its whole ARN, path included.
func (s *Service) roleByARN(ctx context.Context, roleARN string) (Role, error) {
	arn, err := cloister.ParseARN(roleARN)
	if err != nil || arn.Service != "iam" || (arn.Account != s.account && arn.Account != "") {
		return Role{}, ErrNotFound
	}
	_, path := arn.Type()
	role, err := s.store.Role(ctx, s.account, path[strings.LastIndexByte(path, '/')+1:])
	if err == nil && role.Path+role.Name != "/"+path {
		return Role{}, ErrNotFound
	}
	return role, err
}

// Unevaluated names the inline policies of a role, which are stored and not evaluated yet. A role that
// does not exist has none.
func (s *Service) Unevaluated(ctx context.Context, roleARN string) ([]string, error) {
	role, err := s.roleByARN(ctx, roleARN)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.store.RolePolicies(ctx, role.ID, "", maxRolePolicies)
}
