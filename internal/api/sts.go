package api

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister/internal/wire"
)

// STS is what serves the operations of AWS STS: the methods of the SDK's *sts.Client, without
// options. Every method authorizes the caller in ctx before it does anything else.
// Source: AWS STS API Reference.
type STS interface {
	GetCallerIdentity(ctx context.Context, in *sts.GetCallerIdentityInput, opts ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

var _ STS = (*sts.Client)(nil)

// stsOperations is the table of operations that are served of STS.
func stsOperations(svc STS) []wire.Operation {
	return []wire.Operation{
		wire.Op("GetCallerIdentity", svc.GetCallerIdentity),
	}
}
