package awsfake

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// usualResults is how many results of a simulation a page has if the request does not say.
// Source: IAM API Reference, SimulatePrincipalPolicy.
const usualResults = 100

func simulatedARN(_ *call, in *iam.SimulatePrincipalPolicyInput) string {
	return aws.ToString(in.PolicySourceArn)
}

// simulate answers for a role as the world says what it may do, on any resource, and for the caller's user by
// Options.Policies. Policies in the request do not count.
func simulate(c *call, in *iam.SimulatePrincipalPolicyInput) (*iam.SimulatePrincipalPolicyOutput, error) {
	allows, err := c.principal(aws.ToString(in.PolicySourceArn))
	if err != nil {
		return nil, err
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var all []types.EvaluationResult
	for _, action := range in.ActionNames {
		for _, resource := range resources {
			decision := types.PolicyEvaluationDecisionTypeImplicitDeny
			if allows(action, resource) {
				decision = types.PolicyEvaluationDecisionTypeAllowed
			}
			all = append(all, types.EvaluationResult{EvalActionName: aws.String(action), EvalResourceName: aws.String(resource), EvalDecision: decision})
		}
	}
	items, next := page(c, all, in.MaxItems, usualResults)
	return &iam.SimulatePrincipalPolicyOutput{EvaluationResults: items, Marker: next, IsTruncated: next != nil}, nil
}

// principal is what a role or the caller's user may do.
func (c *call) principal(arn string) (func(action, resource string) bool, error) {
	prefix := "arn:" + c.s.world.partition + ":iam::" + c.Account + ":"
	rest, ok := strings.CutPrefix(arn, prefix)
	kind, _, _ := strings.Cut(rest, "/")
	name := *lastPart(&arn)
	r, known := c.account.roles[name]
	switch {
	case ok && kind == "user" && name == "auditor":
		id := c.s.policies[c.Account]
		return func(action, resource string) bool { return id == nil || id.allows(action, resource) }, nil
	case ok && kind == "role" && known:
		return func(action, _ string) bool {
			return r.allowed == nil || slices.ContainsFunc(r.allowed, func(pattern string) bool { return policy.MatchAction(pattern, action) })
		}, nil
	case kind == "user":
		return nil, cloister.Errorf("NoSuchEntity", "The user with name %s cannot be found.", name)
	default:
		return nil, cloister.Errorf("NoSuchEntity", "The role with name %s cannot be found.", name)
	}
}

func gotRoleARN(c *call, in *iam.GetRoleInput) string {
	return "arn:" + c.s.world.partition + ":iam::" + c.Account + ":role/" + aws.ToString(in.RoleName)
}

func getRole(c *call, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	name := aws.ToString(in.RoleName)
	if _, ok := c.account.roles[name]; !ok {
		return nil, cloister.Errorf("NoSuchEntity", "The role with name %s cannot be found.", name)
	}
	return &iam.GetRoleOutput{Role: &types.Role{
		Arn: aws.String(gotRoleARN(c, in)), RoleName: &name, RoleId: aws.String("AROAFAKE"), Path: aws.String("/"), CreateDate: aws.Time(time.Unix(1738576800, 0)),
	}}, nil
}
