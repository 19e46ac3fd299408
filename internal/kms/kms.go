// Package kms serves the part of AWS KMS that model customization and encrypted buckets need: symmetric
// keys, aliases, key policies, grants, encryption under a key and data keys. Owned (owned.go) is the key
// that a service of Cloister owns itself and that no customer sees.
//
// What a reader must know: key policies are parsed, checked and kept byte for byte, but not evaluated yet;
// until they are, the authorizer (account root and job sessions) and grants decide. Grants are enforced.
//
// Source: AWS KMS API Reference and Developer Guide ("Key states of AWS KMS keys", "Grants in AWS KMS").
package kms

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/rootseal"
)

// Config is what a Service needs. All fields are required.
type Config struct {
	Account cloister.AccountID
	Store   Store
	Auth    cloister.Authorizer
	Seal    rootseal.Seal
	Now     func() time.Time
}

// Service implements KMS. Its methods have the signatures of the SDK's *kms.Client, so that code which
// needs keys can be given either. It is safe for concurrent use.
type Service struct {
	account cloister.AccountID
	store   Store
	auth    cloister.Authorizer
	seal    rootseal.Seal
	now     func() time.Time
}

// New makes a Service.
func New(c Config) *Service {
	return &Service{account: c.Account, store: c.Store, auth: c.Auth, seal: c.Seal, now: c.Now}
}

// State is a key state. Source: KMS Developer Guide, "Key states of AWS KMS keys".
type State string

// The key states that keys of this service can have.
const (
	Enabled         State = "Enabled"
	Disabled        State = "Disabled"
	PendingDeletion State = "PendingDeletion"
)

// Key is a symmetric KMS key. Material is wrapped by the root seal.
type Key struct {
	Account     cloister.AccountID
	Region      cloister.Region
	ID          string // a UUID
	State       State
	Description string
	Policy      string // as given, byte for byte
	MaterialID  string // 64 hexadecimal digits
	Material    []byte
	Tags        []Tag
	Created     time.Time
	Deletion    time.Time // when the material is destroyed; zero unless PendingDeletion
}

// Tag is a key and a value.
type Tag struct{ Key, Value string }

// ARN is arn:aws:kms:REGION:ACCOUNT:key/ID.
func (k Key) ARN() string {
	return cloister.NewARN("kms", k.Region, k.Account, "key/"+k.ID).String()
}

// Alias is a second name of a key.
type Alias struct {
	Account          cloister.AccountID
	Region           cloister.Region
	Name             string // begins with "alias/"
	KeyID            string
	Created, Updated time.Time
}

// Grant lets a grantee use a key for some operations.
type Grant struct {
	ID         string // 64 hexadecimal digits
	KeyID      string
	Name       string
	Grantee    string
	Retiring   string
	Operations []string
	// Equals and Subset constrain the encryption context; at most one is set.
	Equals, Subset map[string]string
	Issuer         string
	Created        time.Time
}

// Store keeps keys, aliases and grants. Methods return ErrNotFound, ErrExists as they say.
type Store interface {
	CreateKey(ctx context.Context, key Key) error
	// Key returns a key of an account and region, or ErrNotFound.
	Key(ctx context.Context, account cloister.AccountID, region cloister.Region, id string) (Key, error)
	// Keys returns up to limit keys in order of id, after the one named.
	Keys(ctx context.Context, account cloister.AccountID, region cloister.Region, after string, limit int) ([]Key, error)
	// UpdateKey changes a key in one transaction: change sees the current row and may refuse it.
	UpdateKey(ctx context.Context, id string, change func(*Key) error) error
	// DeleteExpired deletes the keys whose deletion time has come, with aliases and grants, and returns their ids.
	DeleteExpired(ctx context.Context, now time.Time) ([]string, error)

	// CreateAlias stores an alias, or returns ErrExists.
	CreateAlias(ctx context.Context, alias Alias) error
	// UpdateAlias points an alias to another key, or returns ErrNotFound.
	UpdateAlias(ctx context.Context, alias Alias) error
	// DeleteAlias deletes an alias, or returns ErrNotFound.
	DeleteAlias(ctx context.Context, account cloister.AccountID, region cloister.Region, name string) error
	// Alias returns an alias, or ErrNotFound.
	Alias(ctx context.Context, account cloister.AccountID, region cloister.Region, name string) (Alias, error)
	// Aliases returns up to limit aliases in order of name, after the one named, of one key if keyID is set.
	Aliases(ctx context.Context, account cloister.AccountID, region cloister.Region, keyID, after string, limit int) ([]Alias, error)

	// CreateGrant stores a grant; if an equal one of the same non-empty name exists, it returns that one.
	CreateGrant(ctx context.Context, grant Grant) (Grant, error)
	// Grants returns up to limit grants of a key in order of id, after the one named, of one grantee if that is set.
	Grants(ctx context.Context, keyID, grantee, after string, limit int) ([]Grant, error)
	// Grant returns a grant, or ErrNotFound.
	Grant(ctx context.Context, keyID, id string) (Grant, error)
	// DeleteGrant deletes a grant, or returns ErrNotFound.
	DeleteGrant(ctx context.Context, keyID, id string) error
}

// What a Store answers.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists")
)

// Sweep destroys the keys whose waiting period has ended. The server calls it at start and hourly; a key
// is unusable from the moment its period ends even before that.
func (s *Service) Sweep(ctx context.Context) error {
	_, err := s.store.DeleteExpired(ctx, s.now())
	return err
}

// newMaterial makes key material and wraps it.
func (s *Service) newMaterial(ctx context.Context, keyID string) (id string, wrapped []byte, err error) {
	raw := make([]byte, 32+32)
	defer clear(raw)
	if _, err := rand.Read(raw); err != nil {
		return "", nil, err
	}
	id = hex.EncodeToString(raw[:32])
	wrapped, err = s.seal.Wrap(ctx, raw[32:], materialAAD(keyID, id))
	if err != nil {
		return "", nil, fmt.Errorf("wrap key material: %w", err)
	}
	return id, wrapped, nil
}

func materialAAD(keyID, materialID string) []byte {
	return []byte("cloister/kms/material/v1:" + keyID + ":" + materialID)
}
