// Package cloister is the vocabulary that every other package of this program shares: accounts,
// regions, ARNs, principals, calls and errors. It does nothing by itself and imports nothing of the
// project, so reading it first tells what the program is about.
//
// Cloister serves Amazon Bedrock's model-customization API on one's own machines. The packages below
// internal/ are layered; layers_test.go states the layers and enforces them. This package makes no
// promise of stability to other modules.
package cloister

import (
	"context"
	"fmt"
	"regexp"
)

// AccountID is a 12-digit AWS account number, such as "123456789012".
type AccountID string

// Region is an AWS region name, such as "us-east-1". Any well-formed region named in a signature is
// served; resources are regional as in AWS, except those of IAM and the names of buckets.
type Region string

// Defaults of a server that was not told otherwise.
const (
	DefaultAccount AccountID = "123456789012"
	DefaultRegion  Region    = "us-east-1"
	// Partition is the only ARN partition that Cloister mints.
	Partition = "aws"
)

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
)

// Valid reports whether a has exactly twelve digits.
func (a AccountID) Valid() bool { return accountPattern.MatchString(string(a)) }

// Valid reports whether r is shaped like a region name; it does not ask whether AWS has that region.
func (r Region) Valid() bool { return len(r) <= 32 && regionPattern.MatchString(string(r)) }

// Call describes the request that a service method is serving. It travels in the context, and nothing
// else does. The zero Call has no principal and is denied everywhere.
type Call struct {
	// RequestID is the id that the client sees in x-amzn-RequestId.
	RequestID string
	// Principal is who asks. Authentication has already happened.
	Principal Principal
	// Region is the region of the credential scope, in which regional resources are looked up.
	Region Region
	// SourceIP is the client's address without port; empty for calls from inside the server.
	SourceIP string
	// Secure says that the request came over TLS, or never left the process.
	Secure bool
	// SourceVPC, SourceVPCE and VPCSourceIP are set for requests that came through a VPC's endpoint: the VPC, the endpoint and
	// the address of the caller's interface (AWS's aws:SourceVpc, aws:SourceVpce and aws:VpcSourceIp).
	SourceVPC, SourceVPCE, VPCSourceIP string
	// ViaService is the service that forwards the principal's call, such as "bedrock.amazonaws.com"
	// (AWS's kms:ViaService and aws:CalledVia); empty for direct calls.
	ViaService string
}

type callKey struct{}

// WithCall returns a context that carries call.
func WithCall(ctx context.Context, call Call) context.Context {
	return context.WithValue(ctx, callKey{}, call)
}

// CallFrom returns the call in ctx, or the zero Call, which no authorizer admits.
func CallFrom(ctx context.Context) Call {
	call, _ := ctx.Value(callKey{}).(Call)
	return call
}

// Via returns a context in which service forwards the call of ctx's principal.
func Via(ctx context.Context, service string) context.Context {
	call := CallFrom(ctx)
	call.ViaService = service
	return WithCall(ctx, call)
}

// Authorizer decides whether the caller in ctx may perform an action. A service method asks it before
// it does anything else. Implementations must be safe for concurrent use.
type Authorizer interface {
	// Authorize returns nil if the call is allowed and an *Error with code AccessDeniedException and
	// AWS's wording if it is not. Any other failure is also a refusal: callers return what they get.
	Authorize(ctx context.Context, access Access) error
}

// Access is one question to an Authorizer.
type Access struct {
	// Action is the IAM action, such as "kms:Decrypt".
	Action string
	// Resource is the ARN acted upon, or "*" for actions without a resource type.
	Resource string
}

// DeniedMessage is AWS's general text for a refusal by identity policy.
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func DeniedMessage(principal, action, resource string) string {
	return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because no identity-based policy allows the %s action",
		principal, action, resource, action)
}
