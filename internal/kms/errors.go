package kms

import (
	"context"
	"strings"

	"example.com/cloister"
)

// The error texts are AWS's where they are known (KMS API Reference, "Common errors" and each operation).

func notFoundError(ctx context.Context, account cloister.AccountID, id string) error {
	switch {
	case strings.HasPrefix(id, "arn:"):
	case strings.HasPrefix(id, "alias/"):
		alias := cloister.NewARN("kms", cloister.CallFrom(ctx).Region, account, id)
		return cloister.Errorf("NotFoundException", "Alias %s is not found.", alias)
	default:
		id = cloister.NewARN("kms", cloister.CallFrom(ctx).Region, account, "key/"+id).String()
	}
	return cloister.Errorf("NotFoundException", "Key '%s' does not exist", id)
}

// usable returns KMS's error unless the key may be used for cryptography.
func (k Key) usable() error {
	switch k.State {
	case Enabled:
		return nil
	case Disabled:
		return cloister.Errorf("DisabledException", "%s is disabled.", k.ARN())
	case PendingDeletion:
	}
	return k.pending()
}

// notPending returns KMS's error if the key waits for its deletion.
func (k Key) notPending() error {
	if k.State == PendingDeletion {
		return k.pending()
	}
	return nil
}

func (k Key) pending() error {
	return cloister.Errorf("KMSInvalidStateException", "%s is pending deletion.", k.ARN())
}

func unsupported(format string, args ...any) error {
	return cloister.Errorf("UnsupportedOperationException", format, args...)
}

func invalid(format string, args ...any) error {
	return cloister.Errorf("ValidationException", format, args...)
}

// dryRun ends an operation that was asked for with DryRun after every check has passed.
func dryRun(asked *bool) error {
	if asked != nil && *asked {
		return cloister.Errorf("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.").WithStatus(412)
	}
	return nil
}
