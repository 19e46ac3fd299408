package s3

import (
	"errors"
	"fmt"
	"log/slog"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
)

// The errors of this service, with S3's texts. Source: Amazon S3 API Reference, "Error responses".

func errAccessDenied(message string) *cloister.Error {
	return cloister.Errorf("AccessDenied", "%s", message).WithStatus(403)
}

func errNoSuchBucket(name string) *cloister.Error {
	e := cloister.Errorf("NoSuchBucket", "The specified bucket does not exist").WithStatus(404)
	e.Fields = map[string]string{"BucketName": name}
	return e
}

func errNoSuchKey(key string) *cloister.Error {
	e := cloister.Errorf("NoSuchKey", "The specified key does not exist.").WithStatus(404)
	e.Fields = map[string]string{"Key": key}
	return e
}

// errNotFound is what HEAD requests answer, which have no body to say more.
func errNotFound() *cloister.Error { return cloister.Errorf("NotFound", "Not Found").WithStatus(404) }

func errNoSuchUpload(id string) *cloister.Error {
	e := cloister.Errorf("NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.").WithStatus(404)
	e.Fields = map[string]string{"UploadId": id}
	return e
}

func errInvalidArgument(format string, args ...any) *cloister.Error {
	return cloister.Errorf("InvalidArgument", format, args...).WithStatus(400)
}

func errInvalidRequest(format string, args ...any) *cloister.Error {
	return cloister.Errorf("InvalidRequest", format, args...).WithStatus(400)
}

func errNotImplemented(what string) *cloister.Error {
	return cloister.Errorf("NotImplemented", "%s is not implemented by this server; send the request without it.", what).WithStatus(501)
}

func errInvalidPart() *cloister.Error {
	return cloister.Errorf("InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.").WithStatus(400)
}

func errBadDigest(what string) *cloister.Error {
	return cloister.Errorf("BadDigest", "The %s you specified did not match what we received.", what).WithStatus(400)
}

func errEntityTooLarge() *cloister.Error {
	return cloister.Errorf("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size of %d bytes.", int64(maxPart)).WithStatus(400)
}

// errDamaged is for stored bytes that do not open: never the caller's fault, always an operator's business.
func errDamaged(cause error) *cloister.Error {
	return cloister.Errorf("InternalError", "The stored object is damaged; ask the operator of this server to restore it.").WithStatus(500).WithCause(cause)
}

func errInternal(format string, args ...any) *cloister.Error {
	return cloister.Errorf("InternalError", "We encountered an internal error. Please try again.").WithStatus(500).WithCause(fmt.Errorf(format, args...))
}

// bucketError translates what the Store says about a bucket.
func bucketError(err error, bucket string) error {
	if errors.Is(err, ErrNoBucket) {
		return errNoSuchBucket(bucket)
	}
	return errInternal("bucket store: %w", err)
}

// storageError translates what the blob store says about writing.
func storageError(err error) error {
	if errors.Is(err, blob.ErrFull) {
		return cloister.Errorf("InsufficientStorage", "The server's disk is full: nothing was stored. Free space below its data directory and try again.").WithStatus(507).WithCause(err)
	}
	if api, ok := errors.AsType[*cloister.Error](err); ok {
		return api
	}
	return errInternal("store object: %w", err)
}

// keyError translates what KMS says, as S3 does: its codes get the prefix "KMS." and status 400.
func keyError(err error) error {
	message := cloister.Message(err)
	switch code := cloister.Code(err); code {
	case "":
		return errInternal("data key: %w", err)
	case "AccessDeniedException":
		return errAccessDenied(message).WithCause(err)
	case "NotFoundException", "DisabledException", "KMSInvalidStateException", "InvalidKeyUsageException", "KeyUnavailableException":
		return cloister.Errorf("KMS."+code, "%s", message).WithStatus(400).WithCause(err)
	case "InvalidArnException", "ValidationException":
		return errInvalidArgument("The KMS key id is not valid: %s", message).WithCause(err)
	case "InvalidCiphertextException":
		return errDamaged(err)
	default:
		return errInternal("data key: %w", err)
	}
}

func errIncompleteBody(want, got int64) *cloister.Error {
	if want < 0 {
		return cloister.Errorf("IncompleteBody", "The request body terminated unexpectedly").WithStatus(400)
	}
	return cloister.Errorf("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header: %d expected, %d received", want, got).WithStatus(400)
}

func errInvalidDigest() *cloister.Error {
	return cloister.Errorf("InvalidDigest", "The Content-MD5 you specified is not valid.").WithStatus(400)
}

func errRequestTimeout() *cloister.Error {
	return cloister.Errorf("RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.").WithStatus(400)
}

func errAttr(err error) slog.Attr  { return slog.String("error", err.Error()) }
func blobAttr(id string) slog.Attr { return slog.String("blob", id) }

// objectAttr names an object by its ARN; what is in it never reaches the log.
func objectAttr(o Object) slog.Attr { return slog.String("object", objectARN(o.Bucket, o.Key)) }
