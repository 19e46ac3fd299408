package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"

	"example.com/cloister"
)

// maxKeys bounds the cache: a handful of clients in a handful of regions need a few dozen.
const maxKeys = 1024

// keyCache keeps signing keys: deriving one costs four of a request's five HMACs.
type keyCache struct {
	mu   sync.Mutex
	keys map[keyID]signingKey // guarded by mu
}

type keyID struct {
	accessKeyID, date, service string
	region                     cloister.Region
}

type signingKey struct {
	secret [sha256.Size]byte // digest of the secret it was made of: a key id may get another one
	key    []byte
}

func newKeyCache() *keyCache { return &keyCache{keys: map[keyID]signingKey{}} }

// signingKey derives the key of a scope, or takes it from the cache.
func (c *keyCache) signingKey(s *Scope, secret cloister.Secret) []byte {
	id := keyID{s.AccessKeyID, s.Date, s.Service, s.Region}
	digest := sha256.Sum256([]byte(secret.Reveal()))
	c.mu.Lock()
	cached, ok := c.keys[id]
	c.mu.Unlock()
	if ok && hmac.Equal(cached.secret[:], digest[:]) {
		return cached.key
	}
	key := mac(mac(mac(mac([]byte("AWS4"+secret.Reveal()), s.Date), string(s.Region)), s.Service), "aws4_request")
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) >= maxKeys {
		clear(c.keys)
	}
	c.keys[id] = signingKey{digest, key}
	return key
}
