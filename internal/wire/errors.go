package wire

import (
	"encoding/xml"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"example.com/cloister"
)

// internalText is all that a client hears of an unexpected failure.
const internalText = "An internal error occurred. Retry the request; the server's log has the cause under this request id."

// commonStatus is the HTTP status of the codes that services share and models do not list.
// Sources: IAM API Reference, "Common Errors"; KMS API Reference, "Common Errors"; EC2 API Reference, "Error
// codes".
func commonStatus(code string) int {
	switch code {
	case "AccessDenied", "UnauthorizedOperation", "InvalidClientTokenId", "OptInRequired",
		"SignatureDoesNotMatch", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
		"InvalidSignatureException", "UnrecognizedClientException", "ExpiredToken", "InvalidAccessKeyId":
		return http.StatusForbidden
	case "AuthFailure":
		return http.StatusUnauthorized
	case "RequestEntityTooLarge":
		return http.StatusRequestEntityTooLarge
	case "InternalFailure", "InternalError", "InternalServerException", "KMSInternalException":
		return http.StatusInternalServerError
	case "ServiceUnavailable", "ServiceUnavailableException", "RequestLimitExceeded":
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// s3Status is the HTTP status of S3's codes, which its model leaves out.
// Source: S3 API Reference, "Error responses", list of error codes.
func s3Status(code string) int {
	switch code {
	case "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "InvalidObjectState",
		"RequestTimeTooSkewed", "SignatureDoesNotMatch":
		return http.StatusForbidden
	case "NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NotFound", "NoSuchBucketPolicy",
		"NoSuchPublicAccessBlockConfiguration", "ServerSideEncryptionConfigurationNotFoundError",
		"NoSuchCORSConfiguration", "NoSuchWebsiteConfiguration", "NoSuchLifecycleConfiguration",
		"ReplicationConfigurationNotFoundError", "ObjectLockConfigurationNotFoundError", "NoSuchTagSet",
		"OwnershipControlsNotFoundError":
		return http.StatusNotFound
	case "MethodNotAllowed":
		return http.StatusMethodNotAllowed
	case "BucketAlreadyExists", "BucketAlreadyOwnedByYou", "BucketNotEmpty", "OperationAborted", "InvalidBucketState":
		return http.StatusConflict
	case "MissingContentLength":
		return http.StatusLengthRequired
	case "PreconditionFailed":
		return http.StatusPreconditionFailed
	case "InvalidRange":
		return http.StatusRequestedRangeNotSatisfiable
	case "InternalError":
		return http.StatusInternalServerError
	case "NotImplemented":
		return http.StatusNotImplemented
	case "ServiceUnavailable", "SlowDown":
		return http.StatusServiceUnavailable
	case "NotModified":
		return http.StatusNotModified
	default:
		return http.StatusBadRequest
	}
}

// failure is an error as it goes to the client.
type failure struct {
	code, message string
	status        int
	fields        map[string]string
	exception     *shape        // its shape, if the model has one
	value         reflect.Value // the SDK's error structure, if it is one
}

// failure words err for the client. An error without an AWS code is internal, and its text stays here.
func (s *Service) failure(err error) failure {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return s.internal()
	}
	f := failure{code: api.ErrorCode(), message: api.ErrorMessage()}
	if f.code == "" {
		return s.internal()
	}
	if f.code == "AccessDeniedException" { // authorizers know no protocols
		f.code = s.deniedCode()
	}
	f.exception = s.model.byCode[f.code]
	if f.exception != nil && f.exception.Error != nil && f.exception.Error.Code != "" {
		f.code = f.exception.Error.Code
	}
	if known, ok := errors.AsType[*cloister.Error](err); ok {
		f.status, f.fields = known.Status, known.Fields
	} else if v := reflect.ValueOf(api); v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		f.value = v.Elem()
	}
	if f.status == 0 {
		f.status = s.status(f.code, f.exception)
	}
	return f
}

func (s *Service) deniedCode() string {
	switch s.model.Metadata.Protocol {
	case queryForm, restXML:
		return "AccessDenied"
	case ec2Form:
		return "UnauthorizedOperation"
	default:
		return "AccessDeniedException"
	}
}

func (s *Service) status(code string, exception *shape) int {
	if exception != nil {
		switch {
		case exception.Error != nil && exception.Error.HTTPStatusCode != 0:
			return exception.Error.HTTPStatusCode
		case exception.Fault:
			return http.StatusInternalServerError
		}
	}
	switch {
	case s.model.Metadata.Protocol == restXML:
		return s3Status(code)
	case code == "ThrottlingException" && s.model.Metadata.Protocol == restJSON:
		return http.StatusTooManyRequests
	default:
		return commonStatus(code)
	}
}

func (s *Service) internal() failure {
	code := "InternalFailure"
	switch s.model.name {
	case "bedrock":
		code = "InternalServerException"
	case "kms":
		code = "KMSInternalException"
	case "s3", "s3control", "ec2":
		code = "InternalError"
	}
	return failure{code: code, message: internalText, status: http.StatusInternalServerError}
}

// encodeError writes f in the protocol's form.
func (s *Service) encodeError(f failure, requestID string) answer {
	a := answer{status: f.status, header: http.Header{}}
	e := s.newEncoder()
	switch s.model.Metadata.Protocol {
	case json11, restJSON:
		s.encodeJSONError(e, f, &a)
	case queryForm:
		fault := "Sender"
		if f.status >= http.StatusInternalServerError {
			fault = "Receiver"
		}
		a.header.Set("Content-Type", "text/xml")
		e.buf.WriteString(`<ErrorResponse xmlns="` + s.model.Metadata.XMLNamespace + `"><Error>`)
		e.xmlPairs("Type", fault, "Code", f.code, "Message", f.message)
		e.buf.WriteString(`</Error>`)
		e.xmlPairs("RequestId", requestID)
		e.buf.WriteString(`</ErrorResponse>`)
	case ec2Form:
		a.header.Set("Content-Type", "text/xml;charset=UTF-8")
		e.buf.WriteString(xml.Header + "<Response><Errors><Error>")
		e.xmlPairs("Code", f.code, "Message", f.message)
		e.buf.WriteString("</Error></Errors>")
		e.xmlPairs("RequestID", requestID)
		e.buf.WriteString("</Response>")
	default:
		a.header.Set("Content-Type", "application/xml")
		e.buf.WriteString(xml.Header)
		if s.control() {
			e.buf.WriteString("<ErrorResponse>")
		}
		e.buf.WriteString("<Error>")
		e.xmlPairs("Code", f.code, "Message", f.message)
		for _, name := range slices.Sorted(maps.Keys(f.fields)) {
			e.xmlPairs(name, f.fields[name])
		}
		if s.control() {
			e.buf.WriteString("</Error>")
			e.xmlPairs("RequestId", requestID)
			e.buf.WriteString("</ErrorResponse>")
			break
		}
		e.xmlPairs("RequestId", requestID)
		e.buf.WriteString("</Error>")
	}
	a.body = e.buf.Bytes()
	return a
}

func (e *encoder) xmlPairs(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		e.buf.WriteString("<" + pairs[i] + ">")
		e.xmlText(pairs[i+1])
		e.buf.WriteString("</" + pairs[i] + ">")
	}
}

func (s *Service) encodeJSONError(e *encoder, f failure, a *answer) {
	a.header.Set("Content-Type", "application/json")
	e.buf.WriteByte('{')
	if s.model.Metadata.Protocol == json11 {
		a.header.Set("Content-Type", "application/x-amz-json-"+s.model.Metadata.JSONVersion)
		e.jsonString("__type")
		e.buf.WriteByte(':')
		e.jsonString(f.code)
		e.buf.WriteByte(',')
	}
	a.header.Set("X-Amzn-Errortype", f.code)
	e.jsonString("message")
	e.buf.WriteByte(':')
	e.jsonString(f.message)
	for _, name := range slices.Sorted(maps.Keys(f.fields)) {
		e.buf.WriteByte(',')
		e.jsonString(name)
		e.buf.WriteByte(':')
		e.jsonString(f.fields[name])
	}
	if f.value.IsValid() && f.exception != nil {
		extra := *f.exception
		extra.Members = slices.DeleteFunc(slices.Clone(extra.Members), func(r *ref) bool {
			return strings.EqualFold(r.Name, "message")
		})
		first := false
		e.jsonFields(&extra, f.value, &first)
	}
	e.buf.WriteByte('}')
}
