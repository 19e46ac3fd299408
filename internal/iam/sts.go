package iam

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
)

// GetCallerIdentity says who is calling. As on AWS it needs no permission: whoever has signed may ask.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput, _ ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error) {
	p := cloister.CallFrom(ctx).Principal
	if p.ARN == "" {
		return nil, cloister.Errorf("AccessDenied", "The request has no caller").WithStatus(403)
	}
	return &sts.GetCallerIdentityOutput{
		Account: aws.String(string(p.Account)), Arn: aws.String(p.ARN), UserId: aws.String(p.ID),
	}, nil
}
