package awscall

import (
	"errors"
	"fmt"
	"net/url"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// callError is why a call failed, in one line: what AWS said and its request id, without the SDK's layers, which only repeat
// the operation. They can be unwrapped.
type callError struct {
	operation string
	err       error
}

func (e *callError) Unwrap() error { return e.err }

func (e *callError) Error() string {
	api, isAPI := errors.AsType[smithy.APIError](e.err)
	malformed, isMalformed := errors.AsType[*smithy.DeserializationError](e.err)
	response, answered := errors.AsType[*awshttp.ResponseError](e.err)
	send, isSend := errors.AsType[*url.Error](e.err)
	switch {
	case isMalformed && answered:
		return fmt.Sprintf("%s: the answer, of status %d, cannot be read", e.operation, response.HTTPStatusCode())
	case isMalformed:
		return fmt.Sprintf("%s: the answer cannot be read: %v", e.operation, malformed.Err)
	case isAPI && answered && response.ServiceRequestID() != "":
		return fmt.Sprintf("%s: %s: %s (request %s)", e.operation, api.ErrorCode(), api.ErrorMessage(), response.ServiceRequestID())
	case isAPI:
		return fmt.Sprintf("%s: %s: %s", e.operation, api.ErrorCode(), api.ErrorMessage())
	case isSend:
		return e.operation + ": " + send.Err.Error()
	}
	return e.operation + ": " + e.err.Error()
}
