// Package iam serves the part of AWS IAM and STS that model customization needs: roles with trust
// policies and inline policies, the account's root access key, GetCallerIdentity, and the sessions that
// Cloister itself opens for a customization job. It implements cloister.Authorizer.
//
// What a reader must know: identity policies are stored and not evaluated yet. Until they are, the
// authorizer admits the account root, and the service's own job sessions for what a job does, and denies
// everybody else. Trust policies are evaluated (package policy says how far).
//
// Source: IAM API Reference; Bedrock User Guide, "Create a service role for model customization".
package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/rootseal"
)

// Config is what a Service needs. All fields are required unless they say otherwise.
type Config struct {
	Account cloister.AccountID
	Store   Store
	Seal    rootseal.Seal
	Now     func() time.Time
	// Auth stands between this service's operations and its own decision about them; nil is nothing. Tests
	// listen there.
	Auth func(cloister.Authorizer) cloister.Authorizer
}

// Service implements IAM, STS, the authorizer and the lookup of credentials. It is safe for concurrent use.
type Service struct {
	account cloister.AccountID
	store   Store
	seal    rootseal.Seal
	now     func() time.Time
	auth    cloister.Authorizer

	sessionsMu sync.Mutex
	sessions   map[string]sessionKey // by access key, guarded by sessionsMu
}

// New makes a Service.
func New(c Config) *Service {
	s := &Service{account: c.Account, store: c.Store, seal: c.Seal, now: c.Now, sessions: map[string]sessionKey{}}
	s.auth = s
	if c.Auth != nil {
		s.auth = c.Auth(s)
	}
	return s
}

var (
	_ cloister.Authorizer = (*Service)(nil)
	_ Credentials         = (*Service)(nil)
)

// Store keeps roles and access keys.
type Store interface {
	// RootKey returns the newest access key of the account's root, or ErrNotFound.
	RootKey(ctx context.Context, account cloister.AccountID) (AccessKey, error)
	// AccessKey returns an access key by its id, or ErrNotFound.
	AccessKey(ctx context.Context, id string) (AccessKey, error)
	CreateAccessKey(ctx context.Context, key AccessKey) error

	// CreateRole stores a role, or returns ErrExists when the name is taken in any case.
	CreateRole(ctx context.Context, role Role) error
	// Role returns a role by name, ignoring case, or ErrNotFound.
	Role(ctx context.Context, account cloister.AccountID, name string) (Role, error)
	// Roles returns up to limit roles in order of lower-case name, after the one named.
	Roles(ctx context.Context, account cloister.AccountID, pathPrefix, after string, limit int) ([]Role, error)
	// DeleteRole deletes a role. It returns ErrNotFound, or ErrInUse while it has policies.
	DeleteRole(ctx context.Context, account cloister.AccountID, name string) error

	// PutRolePolicy stores an inline policy, if all of the role's together stay within limit bytes; else ErrLimit.
	PutRolePolicy(ctx context.Context, roleID, name, document string, limit int) error
	// RolePolicy returns an inline policy's document, or ErrNotFound.
	RolePolicy(ctx context.Context, roleID, name string) (string, error)
	// RolePolicies returns up to limit names in order, after the one named.
	RolePolicies(ctx context.Context, roleID, after string, limit int) ([]string, error)
	// DeleteRolePolicy deletes an inline policy, or returns ErrNotFound.
	DeleteRolePolicy(ctx context.Context, roleID, name string) error
}

// What a Store answers.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists")
	ErrInUse    = errors.New("in use")
	ErrLimit    = errors.New("over the limit")
)

// AccessKey is a long-term key of the account's root. SealedSecret is wrapped by the root seal.
type AccessKey struct {
	ID           string
	Account      cloister.AccountID
	SealedSecret []byte
	Created      time.Time
}

// Role is an IAM role.
type Role struct {
	Account     cloister.AccountID
	Name        string
	ID          string // AROA and 17 characters
	Path        string // begins and ends with "/"
	Trust       string // the trust policy as given
	Description string
	MaxSession  int // seconds
	Tags        []Tag
	Created     time.Time
}

// Tag is a key and a value.
type Tag struct{ Key, Value string }

// ARN is arn:aws:iam::ACCOUNT:role/PATH/NAME.
func (r Role) ARN() string {
	return cloister.NewARN("iam", "", r.Account, "role"+r.Path+r.Name).String()
}

// RootCredential returns the root's access key, making one on first use.
func (s *Service) RootCredential(ctx context.Context) (Credential, error) {
	key, err := s.store.RootKey(ctx, s.account)
	if errors.Is(err, ErrNotFound) {
		return s.createRootKey(ctx)
	}
	if err != nil {
		return Credential{}, err
	}
	return s.open(ctx, key)
}

func (s *Service) createRootKey(ctx context.Context) (Credential, error) {
	secret := make([]byte, 30) // 40 characters of base64, as AWS's are
	if _, err := rand.Read(secret); err != nil {
		return Credential{}, err
	}
	text := base64.RawStdEncoding.EncodeToString(secret)
	key := AccessKey{ID: uniqueID("AKIA", 16), Account: s.account, Created: s.now()}
	var err error
	if key.SealedSecret, err = s.seal.Wrap(ctx, []byte(text), accessKeyAAD(key.ID)); err != nil {
		return Credential{}, fmt.Errorf("seal access key: %w", err)
	}
	if err := s.store.CreateAccessKey(ctx, key); err != nil {
		return Credential{}, err
	}
	return s.open(ctx, key)
}

// Credential implements Credentials.
func (s *Service) Credential(ctx context.Context, accessKeyID string) (Credential, error) {
	if found, ok := s.sessionCredential(accessKeyID); ok {
		return found, nil
	}
	key, err := s.store.AccessKey(ctx, accessKeyID)
	if errors.Is(err, ErrNotFound) {
		return Credential{}, cloister.Errorf("InvalidClientTokenId", "The security token included in the request is invalid.").WithStatus(403)
	}
	if err != nil {
		return Credential{}, err
	}
	return s.open(ctx, key)
}

func (s *Service) open(ctx context.Context, key AccessKey) (Credential, error) {
	secret, err := s.seal.Unwrap(ctx, key.SealedSecret, accessKeyAAD(key.ID))
	if err != nil {
		return Credential{}, fmt.Errorf("access key %s: %w", key.ID, err)
	}
	return Credential{AccessKeyID: key.ID, Secret: cloister.Secret(secret), Principal: cloister.RootPrincipal(key.Account)}, nil
}

func accessKeyAAD(id string) []byte { return []byte("cloister/iam/access-key/v1:" + id) }

// uniqueID makes an id of AWS's form: a prefix and n characters of upper-case base32.
func uniqueID(prefix string, n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return prefix + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)[:n]
}
