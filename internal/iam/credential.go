package iam

import (
	"context"

	"example.com/cloister"
)

// Credential is what the edge needs to verify a signature.
type Credential struct {
	AccessKeyID string
	Secret      cloister.Secret
	// SessionToken must be presented with temporary keys and must be absent with long-term ones.
	SessionToken cloister.Secret
	Principal    cloister.Principal
}

// Credentials finds the credential of an access key.
type Credentials interface {
	// Credential returns the credential, or an error whose cloister.Code is InvalidClientTokenId when
	// there is none.
	Credential(ctx context.Context, accessKeyID string) (Credential, error)
}
