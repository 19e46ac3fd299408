package awsfake

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/cloister"
)

// scope is what a request's signature claims.
type scope struct{ key, region, service string }

// parseScope reads "AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …".
func parseScope(r *http.Request) (scope, bool) {
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	credential, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(strings.TrimSpace(credential), "/")
	if !ok || len(parts) != 5 {
		return scope{}, false
	}
	return scope{key: parts[0], region: parts[2], service: parts[3]}, true
}

// serviceOf tells S3 from S3 Control, which have one signing name, and calls the tagging API as its actions are called.
func serviceOf(signing string, r *http.Request) string {
	switch {
	case signing == "s3" && strings.HasPrefix(r.URL.Path, "/v20180820/"):
		return "s3control"
	case signing == "tagging":
		return "tag"
	}
	return signing
}

// authenticate finds out who calls. The error is the service's for a key that it does not know, or a region
// that the world does not have: an account that has not opted in to a region is not known there.
func (s *Server) authenticate(c *call, sc scope) error {
	c.region = &region{name: sc.region}
	account, isKey := strings.CutPrefix(sc.key, "AKIAFAKE")
	c.caller = "arn:" + s.world.partition + ":iam::" + account + ":user/auditor"
	c.userID = "AIDAFAKE" + account
	if !isKey {
		session, ok := s.sessions.find(sc.key)
		if !ok {
			return unknownKey(c.Service)
		}
		c.Account, c.caller, c.userID = session.account, session.arn, session.userID
		if !s.options.Now().Before(session.expires) {
			return expired(c.Service)
		}
		account = session.account
	}
	c.Account = account
	if c.account = s.world.accounts[account]; c.account == nil {
		return unknownKey(c.Service)
	}
	global := c.Service == "iam" || c.Service == "organizations" || c.Service == "sts"
	if !global && !s.world.hasRegion(sc.region) {
		return unknownKey(c.Service)
	}
	if r := c.account.regions[sc.region]; r != nil {
		c.region = r
	}
	return nil
}

func (w *World) hasRegion(name string) bool {
	return slices.Contains(w.regions, name)
}

// unknownKey is what a service says to a key that it does not know.
// Sources: the "Common errors" of the services' API references; EC2 API Reference, "Error codes"; S3 API
// Reference, "Error responses".
func unknownKey(service string) error {
	switch service {
	case "ec2":
		return cloister.Errorf("AuthFailure", "AWS was not able to validate the provided access credentials")
	case "s3", "s3control":
		return cloister.Errorf("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case "iam", "sts":
		return cloister.Errorf("InvalidClientTokenId", "The security token included in the request is invalid.")
	default:
		return cloister.Errorf("UnrecognizedClientException", "The security token included in the request is invalid.").
			WithStatus(jsonStatus(service))
	}
}

func expired(service string) error {
	switch service {
	case "ec2":
		return cloister.Errorf("RequestExpired", "Request has expired.")
	case "s3", "s3control":
		return cloister.Errorf("ExpiredToken", "The provided token has expired.")
	case "iam", "sts":
		return cloister.Errorf("ExpiredToken", "The security token included in the request is expired")
	default:
		return cloister.Errorf("ExpiredTokenException", "The security token included in the request is expired").
			WithStatus(jsonStatus(service))
	}
}

// jsonStatus is the status of common errors: 403 where the protocol is REST, 400 where it is JSON 1.1.
func jsonStatus(service string) int {
	if service == "bedrock" {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// session is an assumed role.
type session struct {
	account, arn, userID string
	expires              time.Time
}

// sessions are the sessions of a server by their access keys.
type sessions struct {
	mu sync.Mutex
	by map[string]session
}

func newSessions() *sessions { return &sessions{by: map[string]session{}} }

func (x *sessions) find(key string) (session, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	v, ok := x.by[key]
	return v, ok
}

// add keeps a session and returns its access key.
func (x *sessions) add(v session) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := fmt.Sprintf("ASIAFAKE%012d", len(x.by)+1)
	x.by[key] = v
	return key
}

func credentials(account string) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: AccessKey(account), SecretAccessKey: "secret", Source: "awsfake"}, nil
	}
}
