package iam

import (
	"context"
	"slices"

	"example.com/cloister"
)

// ActionCapabilities is asking what this server serves: every principal of the account may.
const ActionCapabilities = "cloister:GetCapabilities"

// jobActions are what a customization job's session may do with the customer's role until identity
// policies are evaluated: read data, write output, and use the keys of encrypted buckets.
func jobActions() []string {
	return []string{
		"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
		"kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey",
	}
}

// Authorize implements cloister.Authorizer: the account root is admitted, a job's session is admitted for
// a job's actions (keys only through S3), users and sessions for ActionCapabilities, everybody else is denied.
func (s *Service) Authorize(ctx context.Context, access cloister.Access) error {
	call := cloister.CallFrom(ctx)
	p := call.Principal
	if p.Account == s.account {
		switch p.Kind {
		case cloister.KindRoot:
			return nil
		case cloister.KindAssumedRole:
			isKMS := len(access.Action) > 4 && access.Action[:4] == "kms:"
			viaS3 := call.ViaService == "s3."+string(call.Region)+".amazonaws.com"
			if access.Action == ActionCapabilities || p.JobARN != "" && slices.Contains(jobActions(), access.Action) && (!isKMS || viaS3) {
				return nil
			}
		case cloister.KindUser:
			if access.Action == ActionCapabilities {
				return nil
			}
		case cloister.KindService:
		}
	}
	who := p.ARN
	if who == "" {
		who = "anonymous"
	}
	return cloister.Errorf("AccessDeniedException", "%s", cloister.DeniedMessage(who, access.Action, access.Resource)).WithStatus(403)
}
