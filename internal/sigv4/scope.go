// Package sigv4 verifies AWS Signature Version 4 in the Authorization header of incoming requests and
// the digests of their bodies. It is not for signing, and it knows no principals: the caller looks the access
// key up and passes the secret in.
//
// The one thing to know: a body is verified while it is read, and the error comes instead of io.EOF. Nothing
// that was read may be acknowledged before a clean end.
//
// Signed chunks, presigned URLs and Signature Version 2 are refused by name.
//
// Source: IAM User Guide, "Signature Version 4 for API requests"; S3 API Reference, "Authenticating
// requests (AWS Signature Version 4)".
package sigv4

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"example.com/cloister"
)

const algorithm = "AWS4-HMAC-SHA256"

// maxSigned is the most headers that a signature may name.
const maxSigned = 100

var (
	accessKeyPattern = regexp.MustCompile(`^[A-Za-z0-9_]{4,128}$`)
	datePattern      = regexp.MustCompile(`^[0-9]{8}$`)
	servicePattern   = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	headerPattern    = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]{1,256}$")
	signaturePattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Scope is what a request claims about its signature. Nothing of it is verified.
type Scope struct {
	// AccessKeyID is the access key's id: 4 to 128 letters, digits and '_'.
	AccessKeyID string
	// Date is the day of the signing key, as YYYYMMDD.
	Date string
	// Region is a well-formed region name.
	Region cloister.Region
	// Service is the service's signing name, such as "bedrock".
	Service string

	signed    []string // lower-case header names, in the client's order
	signature string   // 64 hex digits
}

func (s *Scope) credential() string {
	return s.Date + "/" + string(s.Region) + "/" + s.Service + "/aws4_request"
}

// ParseScope reads the Authorization header. Every error is a *SignatureError; a request without any signature is
// the kind Missing.
func ParseScope(r *http.Request) (*Scope, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return nil, unsigned(r)
	}
	if len(values) > 1 {
		return nil, problemf(Malformed, "there is more than one Authorization header")
	}
	if r.URL.Query().Has("X-Amz-Algorithm") {
		return nil, problemf(Unsupported, "only one of Authorization header and X-Amz-Algorithm query parameter may be given")
	}
	name, rest, _ := strings.Cut(values[0], " ")
	if name != algorithm {
		return nil, problemf(Unsupported, "the authorization mechanism you have provided is not supported: please use %s", algorithm)
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := fields[key]; !ok || twice || len(fields) == 3 {
			return nil, problemf(Malformed, "the Authorization header must have Credential, SignedHeaders and Signature once each")
		}
		fields[key] = value
	}
	for _, key := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[key] == "" {
			return nil, problemf(Malformed, "the Authorization header lacks %s", key)
		}
	}
	return newScope(fields["Credential"], fields["SignedHeaders"], fields["Signature"])
}

func newScope(credential, signedHeaders, signature string) (*Scope, error) {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return nil, problemf(Malformed, "the Credential must be ACCESS-KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request")
	}
	s := &Scope{
		AccessKeyID: parts[0], Date: parts[1], Region: cloister.Region(parts[2]), Service: parts[3],
		signed: strings.Split(signedHeaders, ";"), signature: signature,
	}
	switch {
	case !accessKeyPattern.MatchString(s.AccessKeyID):
		return nil, problemf(Malformed, "the access key id in the Credential is malformed")
	case !datePattern.MatchString(s.Date):
		return nil, problemf(Malformed, "the date in the Credential must be YYYYMMDD")
	case !s.Region.Valid():
		return nil, problemf(Malformed, "the region in the Credential is malformed: want one like %s", cloister.DefaultRegion)
	case !servicePattern.MatchString(s.Service):
		return nil, problemf(Malformed, "the service in the Credential is malformed")
	case !signaturePattern.MatchString(signature):
		return nil, problemf(Malformed, "the Signature must be 64 lower-case hex digits")
	case len(s.signed) > maxSigned:
		return nil, problemf(Malformed, "SignedHeaders has more than %d names", maxSigned)
	}
	for i, name := range s.signed {
		if !headerPattern.MatchString(name) || slices.Contains(s.signed[:i], name) {
			return nil, problemf(Malformed, "SignedHeaders must be distinct lower-case names separated by ';'")
		}
	}
	return s, nil
}

// unsigned words what a request without an Authorization header is.
func unsigned(r *http.Request) error {
	query := r.URL.Query()
	switch {
	case query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature"):
		return problemf(Later, "presigned URLs are not implemented: sign the Authorization header")
	case query.Has("AWSAccessKeyId") && query.Has("Signature"):
		return problemf(Unsupported, "the authorization mechanism you have provided (Signature Version 2) is not supported: please use %s", algorithm)
	default:
		return problemf(Missing, "the request has no signature: sign it with %s", algorithm)
	}
}
