package iam

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// Limits of IAM. Source: IAM User Guide, "IAM and AWS STS quotas".
const (
	maxTags           = 50
	maxRolePolicies   = 10240 // characters of all inline policies of a role
	defaultMaxSession = 3600  // seconds
	defaultPage       = 100
)

// CreateRole makes a role. Permissions boundaries are refused: they would not be enforced.
func (s *Service) CreateRole(ctx context.Context, in *awsiam.CreateRoleInput, _ ...func(*awsiam.Options)) (*awsiam.CreateRoleOutput, error) {
	role := Role{
		Account: s.account, Name: aws.ToString(in.RoleName), ID: uniqueID("AROA", 17), Path: aws.ToString(in.Path),
		Trust: aws.ToString(in.AssumeRolePolicyDocument), Description: aws.ToString(in.Description),
		MaxSession: int(aws.ToInt32(in.MaxSessionDuration)), Created: s.now(),
	}
	if role.Path == "" {
		role.Path = "/"
	}
	if role.MaxSession == 0 {
		role.MaxSession = defaultMaxSession
	}
	if err := s.authorize(ctx, "iam:CreateRole", role.ARN()); err != nil {
		return nil, err
	}
	if in.PermissionsBoundary != nil {
		return nil, cloister.Errorf("InvalidInput", "PermissionsBoundary is not served yet: a boundary would be stored and not enforced")
	}
	if !strings.HasPrefix(role.Path, "/") || !strings.HasSuffix(role.Path, "/") {
		return nil, cloister.Errorf("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	if len(in.Tags) > maxTags {
		return nil, cloister.Errorf("LimitExceeded", "The number of tags has exceeded the limit of %d.", maxTags).WithStatus(409)
	}
	for _, tag := range in.Tags {
		role.Tags = append(role.Tags, Tag{aws.ToString(tag.Key), aws.ToString(tag.Value)})
	}
	if _, err := policy.Parse(policy.Trust, role.Trust); err != nil {
		return nil, malformed(err)
	}
	err := s.store.CreateRole(ctx, role)
	if errors.Is(err, ErrExists) {
		return nil, cloister.Errorf("EntityAlreadyExists", "Role with name %s already exists.", role.Name).WithStatus(409)
	}
	if err != nil {
		return nil, err
	}
	return &awsiam.CreateRoleOutput{Role: role.output()}, nil
}

// GetRole returns a role by name.
func (s *Service) GetRole(ctx context.Context, in *awsiam.GetRoleInput, _ ...func(*awsiam.Options)) (*awsiam.GetRoleOutput, error) {
	role, err := s.role(ctx, "iam:GetRole", in.RoleName)
	if err != nil {
		return nil, err
	}
	return &awsiam.GetRoleOutput{Role: role.output()}, nil
}

// ListRoles returns roles in order of name.
func (s *Service) ListRoles(ctx context.Context, in *awsiam.ListRolesInput, _ ...func(*awsiam.Options)) (*awsiam.ListRolesOutput, error) {
	if err := s.authorize(ctx, "iam:ListRoles", cloister.NewARN("iam", "", s.account, "role/").String()); err != nil {
		return nil, err
	}
	limit := page(in.MaxItems)
	roles, err := s.store.Roles(ctx, s.account, aws.ToString(in.PathPrefix), aws.ToString(in.Marker), limit+1)
	if err != nil {
		return nil, err
	}
	out := &awsiam.ListRolesOutput{Roles: []types.Role{}}
	if len(roles) > limit {
		roles = roles[:limit]
		out.IsTruncated = true
		out.Marker = aws.String(strings.ToLower(roles[limit-1].Name))
	}
	for _, role := range roles {
		r := role.output()
		r.Tags = nil // as AWS: list answers carry no tags
		out.Roles = append(out.Roles, *r)
	}
	return out, nil
}

// DeleteRole deletes a role that has no inline policies.
func (s *Service) DeleteRole(ctx context.Context, in *awsiam.DeleteRoleInput, _ ...func(*awsiam.Options)) (*awsiam.DeleteRoleOutput, error) {
	role, err := s.role(ctx, "iam:DeleteRole", in.RoleName)
	if err != nil {
		return nil, err
	}
	err = s.store.DeleteRole(ctx, s.account, role.Name)
	if errors.Is(err, ErrInUse) {
		return nil, cloister.Errorf("DeleteConflict", "Cannot delete entity, must delete policies first.").WithStatus(409)
	}
	if err != nil {
		return nil, noRole(err, role.Name)
	}
	return &awsiam.DeleteRoleOutput{}, nil
}

// PutRolePolicy stores an inline policy. It is validated and kept, and not evaluated yet.
func (s *Service) PutRolePolicy(ctx context.Context, in *awsiam.PutRolePolicyInput, _ ...func(*awsiam.Options)) (*awsiam.PutRolePolicyOutput, error) {
	role, err := s.role(ctx, "iam:PutRolePolicy", in.RoleName)
	if err != nil {
		return nil, err
	}
	text := aws.ToString(in.PolicyDocument)
	if _, err := policy.Parse(policy.Identity, text); err != nil {
		return nil, malformed(err)
	}
	err = s.store.PutRolePolicy(ctx, role.ID, aws.ToString(in.PolicyName), text, maxRolePolicies)
	if errors.Is(err, ErrLimit) {
		return nil, cloister.Errorf("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", maxRolePolicies, role.Name).WithStatus(409)
	}
	if err != nil {
		return nil, noRole(err, role.Name)
	}
	return &awsiam.PutRolePolicyOutput{}, nil
}

// GetRolePolicy returns an inline policy, URL-encoded as AWS sends it (RFC 3986).
func (s *Service) GetRolePolicy(ctx context.Context, in *awsiam.GetRolePolicyInput, _ ...func(*awsiam.Options)) (*awsiam.GetRolePolicyOutput, error) {
	role, err := s.role(ctx, "iam:GetRolePolicy", in.RoleName)
	if err != nil {
		return nil, err
	}
	text, err := s.store.RolePolicy(ctx, role.ID, aws.ToString(in.PolicyName))
	if err != nil {
		return nil, noPolicy(err, aws.ToString(in.PolicyName))
	}
	return &awsiam.GetRolePolicyOutput{
		RoleName: aws.String(role.Name), PolicyName: in.PolicyName, PolicyDocument: aws.String(encode(text)),
	}, nil
}

// ListRolePolicies returns the names of a role's inline policies in order.
func (s *Service) ListRolePolicies(ctx context.Context, in *awsiam.ListRolePoliciesInput, _ ...func(*awsiam.Options)) (*awsiam.ListRolePoliciesOutput, error) {
	role, err := s.role(ctx, "iam:ListRolePolicies", in.RoleName)
	if err != nil {
		return nil, err
	}
	limit := page(in.MaxItems)
	names, err := s.store.RolePolicies(ctx, role.ID, aws.ToString(in.Marker), limit+1)
	if err != nil {
		return nil, err
	}
	out := &awsiam.ListRolePoliciesOutput{PolicyNames: []string{}}
	if len(names) > limit {
		names = names[:limit]
		out.IsTruncated = true
		out.Marker = aws.String(names[limit-1])
	}
	out.PolicyNames = append(out.PolicyNames, names...)
	return out, nil
}

// DeleteRolePolicy deletes an inline policy.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *awsiam.DeleteRolePolicyInput, _ ...func(*awsiam.Options)) (*awsiam.DeleteRolePolicyOutput, error) {
	role, err := s.role(ctx, "iam:DeleteRolePolicy", in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := s.store.DeleteRolePolicy(ctx, role.ID, aws.ToString(in.PolicyName)); err != nil {
		return nil, noPolicy(err, aws.ToString(in.PolicyName))
	}
	return &awsiam.DeleteRolePolicyOutput{}, nil
}

// role authorizes an action on a role and loads it.
func (s *Service) role(ctx context.Context, action string, name *string) (Role, error) {
	role, err := s.store.Role(ctx, s.account, aws.ToString(name))
	resource := cloister.NewARN("iam", "", s.account, "role/"+aws.ToString(name)).String()
	if err == nil {
		resource = role.ARN()
	}
	if denied := s.authorize(ctx, action, resource); denied != nil {
		return Role{}, denied
	}
	return role, noRole(err, aws.ToString(name))
}

// authorize asks the authorizer and gives its refusal IAM's code.
func (s *Service) authorize(ctx context.Context, action, resource string) error {
	err := s.auth.Authorize(ctx, cloister.Access{Action: action, Resource: resource})
	if cloister.Code(err) == "AccessDeniedException" {
		return cloister.Errorf("AccessDenied", "%s", cloister.Message(err)).WithStatus(403)
	}
	return err
}

func (r Role) output() *types.Role {
	out := &types.Role{
		Arn: aws.String(r.ARN()), RoleId: aws.String(r.ID), RoleName: aws.String(r.Name), Path: aws.String(r.Path),
		CreateDate: aws.Time(r.Created), AssumeRolePolicyDocument: aws.String(encode(r.Trust)),
		MaxSessionDuration: aws.Int32(int32(r.MaxSession)), //nolint:gosec // 3600 to 43200, by the model
	}
	if r.Description != "" {
		out.Description = aws.String(r.Description)
	}
	for _, tag := range r.Tags {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
	}
	return out
}

// encode is RFC 3986 percent-encoding, in which IAM returns documents.
func encode(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func page(maxItems *int32) int {
	if n := int(aws.ToInt32(maxItems)); n > 0 {
		return n
	}
	return defaultPage
}

func malformed(err error) error {
	return cloister.Errorf("MalformedPolicyDocument", "%v", err)
}

func noRole(err error, name string) error {
	if errors.Is(err, ErrNotFound) {
		return cloister.Errorf("NoSuchEntity", "The role with name %s cannot be found.", name).WithStatus(404)
	}
	return err
}

func noPolicy(err error, name string) error {
	if errors.Is(err, ErrNotFound) {
		return cloister.Errorf("NoSuchEntity", "The role policy with name %s cannot be found.", name).WithStatus(404)
	}
	return err
}
