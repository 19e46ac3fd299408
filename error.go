package cloister

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
)

// Error is a failure as a client of an AWS API sees it. It implements smithy.APIError, so code that
// talks to Cloister's own services and code that talks to AWS through the SDK branch the same way.
type Error struct {
	// Code is AWS's error code, such as "ResourceNotFoundException".
	Code string
	// Message is for the caller. It never carries secrets, bodies or training data.
	Message string
	// Status is the HTTP status; 0 means what the service's model says for Code, or 400.
	Status int
	// Cause is for the log only and never reaches the caller.
	Cause error
	// Fields are extra members of the error body, such as "BucketName" for S3; usually nil.
	Fields map[string]string
}

var _ smithy.APIError = (*Error)(nil)

// Errorf makes an Error with a code and a formatted message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus sets the HTTP status and returns e.
func (e *Error) WithStatus(status int) *Error { e.Status = status; return e }

// WithCause sets the operator's cause and returns e.
func (e *Error) WithCause(err error) *Error { e.Cause = err; return e }

// Error prints code, message and cause: for logs, not for clients.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ErrorCode returns AWS's error code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorMessage returns the text for the caller.
func (e *Error) ErrorMessage() string { return e.Message }

// ErrorFault says whose fault it is: the server's for status 500 and above, else the client's.
func (e *Error) ErrorFault() smithy.ErrorFault {
	if e.Status >= 500 {
		return smithy.FaultServer
	}
	return smithy.FaultClient
}

// Code returns the AWS error code of err, or "" if it has none. It understands errors of the SDK too.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// Message returns the caller's text of err, or "" if err has no AWS error code.
func Message(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorMessage()
	}
	return ""
}
