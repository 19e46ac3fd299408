package sigv4

import (
	"fmt"
	"net/http"

	"example.com/cloister"
)

// Kind says what is wrong with a signature.
type Kind int

// The kinds of problems.
const (
	Missing     Kind = iota // there is no signature at all
	Malformed               // the Authorization header cannot be read
	Unsupported             // another algorithm, or a mode that the service does not have
	Later                   // a mode of Signature Version 4 that is not implemented here
	NoDate                  // neither X-Amz-Date nor Date is valid
	Skewed                  // the clocks differ by more than MaxSkew
	NotSigned               // headers that must be signed are not
	UnknownKey              // no such access key
	BadToken                // the session token is not the key's
	Mismatch                // the signature is wrong
	TooLarge                // the body exceeds the limit
)

// SignatureError is a request that is not authenticated. For gives its form for a client.
type SignatureError struct {
	Kind Kind
	text string
}

func problemf(kind Kind, format string, args ...any) *SignatureError {
	return &SignatureError{kind, fmt.Sprintf(format, args...)}
}

// Error prints the problem.
func (p *SignatureError) Error() string { return "sigv4: " + p.text }

// Dialect is the family of error codes that a service speaks.
type Dialect int

// The dialects.
const (
	DialectJSON  Dialect = iota // rest-json and json: bedrock, kms, and Cloister's own paths
	DialectQuery                // query: iam, sts
	DialectS3
	DialectEC2 // query's, but for who cannot be authenticated
)

// For returns the error that AWS's services of a dialect answer.
// Sources: S3 API Reference, "Error responses"; IAM API Reference and KMS API Reference, "Common errors"; EC2 API Reference,
// "Error codes", AuthFailure.
func (p *SignatureError) For(d Dialect) *cloister.Error {
	row := codes(p.Kind)
	code, status := row.json, row.status
	switch d {
	case DialectQuery:
		code = row.query
	case DialectS3:
		code, status = row.s3, row.s3Status
	case DialectEC2:
		code = row.query
		if code == "SignatureDoesNotMatch" || code == "InvalidClientTokenId" {
			code, status = "AuthFailure", http.StatusUnauthorized
		}
	case DialectJSON:
	}
	return cloister.Errorf(code, "%s", sentence(p.text)).WithStatus(status)
}

type codeRow struct {
	json, query string
	status      int
	s3          string
	s3Status    int
}

func codes(kind Kind) codeRow {
	const (
		bad    = http.StatusBadRequest
		denied = http.StatusForbidden
	)
	switch kind {
	case Missing:
		return codeRow{"MissingAuthenticationTokenException", "MissingAuthenticationToken", denied, "AccessDenied", denied}
	case Malformed:
		return codeRow{"IncompleteSignatureException", "IncompleteSignature", bad, "AuthorizationHeaderMalformed", bad}
	case Unsupported:
		return codeRow{"InvalidRequest", "InvalidRequest", bad, "InvalidRequest", bad}
	case Later:
		return codeRow{"NotImplemented", "NotImplemented", http.StatusNotImplemented, "NotImplemented", http.StatusNotImplemented}
	case NoDate:
		return codeRow{"IncompleteSignatureException", "IncompleteSignature", bad, "AccessDenied", denied}
	case Skewed:
		return codeRow{"InvalidSignatureException", "SignatureDoesNotMatch", denied, "RequestTimeTooSkewed", denied}
	case NotSigned:
		return codeRow{"InvalidSignatureException", "SignatureDoesNotMatch", denied, "AccessDenied", denied}
	case UnknownKey:
		return codeRow{"UnrecognizedClientException", "InvalidClientTokenId", denied, "InvalidAccessKeyId", denied}
	case BadToken:
		return codeRow{"UnrecognizedClientException", "InvalidClientTokenId", denied, "InvalidToken", bad}
	case Mismatch:
	case TooLarge:
		return codeRow{"RequestEntityTooLarge", "RequestEntityTooLarge", http.StatusRequestEntityTooLarge, "EntityTooLarge", bad}
	}
	return codeRow{"InvalidSignatureException", "SignatureDoesNotMatch", denied, "SignatureDoesNotMatch", denied}
}

// sentence makes a client's text of an error's.
func sentence(s string) string {
	if c := s[0]; c >= 'a' && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	return s + "."
}
