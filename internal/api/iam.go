package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"example.com/cloister/internal/wire"
)

// IAM is what serves the operations of AWS IAM: the methods of the SDK's *iam.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: IAM API Reference.
type IAM interface {
	CreateRole(ctx context.Context, in *iam.CreateRoleInput, opts ...func(*iam.Options)) (*iam.CreateRoleOutput, error)
	GetRole(ctx context.Context, in *iam.GetRoleInput, opts ...func(*iam.Options)) (*iam.GetRoleOutput, error)
	ListRoles(ctx context.Context, in *iam.ListRolesInput, opts ...func(*iam.Options)) (*iam.ListRolesOutput, error)
	DeleteRole(ctx context.Context, in *iam.DeleteRoleInput, opts ...func(*iam.Options)) (*iam.DeleteRoleOutput, error)
	PutRolePolicy(ctx context.Context, in *iam.PutRolePolicyInput, opts ...func(*iam.Options)) (*iam.PutRolePolicyOutput, error)
	GetRolePolicy(ctx context.Context, in *iam.GetRolePolicyInput, opts ...func(*iam.Options)) (*iam.GetRolePolicyOutput, error)
	ListRolePolicies(ctx context.Context, in *iam.ListRolePoliciesInput, opts ...func(*iam.Options)) (*iam.ListRolePoliciesOutput, error)
	DeleteRolePolicy(ctx context.Context, in *iam.DeleteRolePolicyInput, opts ...func(*iam.Options)) (*iam.DeleteRolePolicyOutput, error)
}

var _ IAM = (*iam.Client)(nil)

// iamOperations is the table of operations that are served of IAM.
func iamOperations(svc IAM) []wire.Operation {
	return []wire.Operation{
		wire.Op("CreateRole", svc.CreateRole),
		wire.Op("GetRole", svc.GetRole),
		wire.Op("ListRoles", svc.ListRoles),
		wire.Op("DeleteRole", svc.DeleteRole),
		wire.Op("PutRolePolicy", svc.PutRolePolicy),
		wire.Op("GetRolePolicy", svc.GetRolePolicy),
		wire.Op("ListRolePolicies", svc.ListRolePolicies),
		wire.Op("DeleteRolePolicy", svc.DeleteRolePolicy),
	}
}
