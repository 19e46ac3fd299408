package iam

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"example.com/cloister"
)

// sessionKey is a temporary access key of a job's session. It lives in this process only.
type sessionKey struct {
	credential Credential
	expires    time.Time
}

// JobKeys gives a job's session temporary keys with a token, for the process in the job's VPC that reads and writes objects. They
// end after the lifetime, when end is called, or with this process, whichever is first.
func (s *Service) JobKeys(session cloister.Principal, lifetime time.Duration) (keys Credential, end func()) {
	random := func(n int) cloister.Secret {
		raw := make([]byte, n)
		_, _ = rand.Read(raw) // never fails
		return cloister.Secret(base64.StdEncoding.EncodeToString(raw))
	}
	keys = Credential{AccessKeyID: uniqueID("ASIA", 16), Secret: random(30), SessionToken: random(48), Principal: session}
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	now := s.now()
	for id, old := range s.sessions {
		if now.After(old.expires) {
			delete(s.sessions, id)
		}
	}
	s.sessions[keys.AccessKeyID] = sessionKey{keys, now.Add(lifetime)}
	return keys, func() {
		s.sessionsMu.Lock()
		defer s.sessionsMu.Unlock()
		delete(s.sessions, keys.AccessKeyID)
	}
}

// sessionCredential finds temporary keys that have not ended.
func (s *Service) sessionCredential(accessKeyID string) (Credential, bool) {
	s.sessionsMu.Lock()
	defer s.sessionsMu.Unlock()
	key, ok := s.sessions[accessKeyID]
	if !ok || s.now().After(key.expires) {
		return Credential{}, false
	}
	return key.credential, true
}
