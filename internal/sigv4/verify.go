package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"example.com/cloister"
)

const (
	serviceS3  = "s3"
	timeFormat = "20060102T150405Z"
)

// MaxSkew is how far the clocks of client and server may be apart.
// Source: S3 API Reference, "Authenticating requests": 15 minutes.
const MaxSkew = 15 * time.Minute

// dummySecret stands for the secret of an access key that does not exist: the work is the same.
const dummySecret = cloister.Secret("cloister-no-such-access-key-cloister-no-s")

// Key is what the caller found for a scope's access key.
type Key struct {
	// Unknown says that there is no such access key. Verify then does the same work and refuses.
	Unknown bool
	Secret  cloister.Secret
	// SessionToken is the token of temporary keys, which the request must carry; empty for long-term keys,
	// with which it must carry none.
	SessionToken cloister.Secret
}

// Verifier verifies requests. It is safe for concurrent use.
type Verifier struct {
	now     func() time.Time
	maxBody int64
	keys    *keyCache
}

// NewVerifier makes a Verifier. now is the clock; maxBody limits the bodies of services other than S3, which
// are read before the signature can be checked, in bytes.
func NewVerifier(now func() time.Time, maxBody int64) *Verifier {
	return &Verifier{now: now, maxBody: maxBody, keys: newKeyCache()}
}

// Verify checks the signature of r, whose scope is s. It replaces r.Body: by the bytes read for services
// other than S3, by a *Body for S3. Errors are *SignatureError, *cloister.Error for S3's body headers, or what
// reading the body gave. An unknown key and a wrong signature take one path.
func (v *Verifier) Verify(r *http.Request, s *Scope, key Key) error {
	stamp, err := v.date(r, s)
	if err != nil {
		return err
	}
	if err := checkSigned(r, s); err != nil {
		return err
	}
	payload, err := v.payload(r, s)
	if err != nil {
		return err
	}
	canonical, err := canonicalRequest(r, s, payload)
	if err != nil {
		return err
	}
	secret := key.Secret
	if key.Unknown {
		secret = dummySecret
	}
	sum := sha256.Sum256([]byte(canonical))
	toSign := algorithm + "\n" + stamp + "\n" + s.credential() + "\n" + hex.EncodeToString(sum[:])
	want := hex.EncodeToString(mac(v.keys.signingKey(s, secret), toSign))
	genuine := hmac.Equal([]byte(want), []byte(s.signature))
	tokens := r.Header.Values("X-Amz-Security-Token")
	sameToken := len(tokens) <= 1 && hmac.Equal([]byte(strings.Join(tokens, "")), []byte(key.SessionToken.Reveal()))
	switch {
	case key.Unknown:
		return problemf(UnknownKey, "the access key id you provided does not exist in our records")
	case !genuine:
		return problemf(Mismatch, "the request signature we calculated does not match the signature you provided. Check your secret access key and signing method")
	case !sameToken:
		return problemf(BadToken, "the security token included in the request is invalid")
	case s.Service != serviceS3:
		return nil
	}
	body, err := newBody(r, payload)
	if err != nil {
		return err
	}
	r.Body = body
	return nil
}

// date returns the request's time stamp, checked against clock and scope.
func (v *Verifier) date(r *http.Request, s *Scope) (string, error) {
	stamp := r.Header.Get("X-Amz-Date")
	if stamp == "" {
		t, err := http.ParseTime(r.Header.Get("Date"))
		if err != nil {
			return "", problemf(NoDate, "AWS authentication requires a valid Date or x-amz-date header")
		}
		stamp = t.UTC().Format(timeFormat)
	}
	t, err := time.Parse(timeFormat, stamp)
	if err != nil || len(r.Header.Values("X-Amz-Date")) > 1 {
		return "", problemf(NoDate, "AWS authentication requires a valid Date or x-amz-date header")
	}
	if !strings.HasPrefix(stamp, s.Date) {
		return "", problemf(Malformed, "the date in the Credential is not the day of the request's date")
	}
	now := v.now().UTC()
	if d := now.Sub(t); d > MaxSkew || d < -MaxSkew {
		return "", problemf(Skewed, "the difference between the request time (%s) and the server's time (%s) is more than 15 minutes: check the clocks",
			stamp, now.Format(timeFormat))
	}
	return stamp, nil
}

// checkSigned wants host and every x-amz-* header signed: an unsigned one could be added on the way.
func checkSigned(r *http.Request, s *Scope) error {
	if !slices.Contains(s.signed, "host") {
		return problemf(NotSigned, "the host header must be signed")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.signed, name) {
			return problemf(NotSigned, "there were headers present in the request which were not signed: %s", name)
		}
	}
	return nil
}

// payload is the hash in the canonical request. S3 takes the client's word and verifies it while the body
// streams; other services hash the body, which is small.
func (v *Verifier) payload(r *http.Request, s *Scope) (string, error) {
	if s.Service == serviceS3 {
		claimed := r.Header.Get("X-Amz-Content-Sha256")
		return claimed, checkPayload(claimed)
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	data, err := io.ReadAll(io.LimitReader(r.Body, v.maxBody+1))
	var tooLarge *http.MaxBytesError
	if int64(len(data)) > v.maxBody || errors.As(err, &tooLarge) {
		return "", problemf(TooLarge, "the request body is larger than %d bytes", v.maxBody)
	}
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
