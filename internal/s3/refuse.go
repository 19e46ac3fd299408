package s3

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// feature is a request member that is not served: it is refused when present, and never ignored.
type feature struct {
	name    string
	present bool
}

func refuse(features ...feature) error {
	for _, f := range features {
		if f.present {
			return errNotImplemented(f.name)
		}
	}
	return nil
}

func text(name string, v *string) feature       { return feature{name, v != nil && *v != ""} }
func instant(name string, v *time.Time) feature { return feature{name, v != nil} }
func customerKey(algorithm, key, sum *string) feature {
	return feature{"server-side encryption with customer-provided keys (SSE-C)", algorithm != nil || key != nil || sum != nil}
}

func acl(v types.ObjectCannedACL) feature {
	return feature{
		"an ACL other than private and bucket-owner-full-control",
		v != "" && v != types.ObjectCannedACLPrivate && v != types.ObjectCannedACLBucketOwnerFullControl,
	}
}

func grants(v ...*string) feature {
	for _, g := range v {
		if g != nil {
			return feature{"a grant by x-amz-grant-*", true}
		}
	}
	return feature{}
}

func storageClass(v types.StorageClass) feature {
	return feature{"a storage class other than STANDARD", v != "" && v != types.StorageClassStandard}
}

func objectLock(mode types.ObjectLockMode, hold types.ObjectLockLegalHoldStatus, until *time.Time, event types.ObjectLockEventHold, days, years *int32) feature {
	return feature{"object lock", mode != "" || hold != "" || until != nil || event != "" || days != nil || years != nil}
}
