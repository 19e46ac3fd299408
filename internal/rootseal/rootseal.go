// Package rootseal is the root of trust: it wraps the few secrets that Cloister must keep at rest (key
// material of the KMS, secret access keys, data keys of services) under a key that is not in the
// database. One driver exists so far, a key file; a passphrase, AWS KMS, Vault and HSM helpers will be
// others behind the same three methods.
//
// What a reader must know: whoever has the key file and the database has everything. Keep them apart in
// backups.
package rootseal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Seal wraps and unwraps small secrets. Implementations are safe for concurrent use.
type Seal interface {
	// ID names the root key, so that a database can tell that it belongs to another one.
	ID(ctx context.Context) (string, error)
	// Wrap encrypts plaintext, bound to aad. Equal inputs give different blobs.
	Wrap(ctx context.Context, plaintext, aad []byte) ([]byte, error)
	// Unwrap reverses Wrap. It returns ErrUnwrap for a damaged blob, another aad or another root key.
	Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error)
}

// ErrUnwrap says that a blob was not made by this root key for this purpose, or is damaged.
var ErrUnwrap = errors.New("cannot unwrap: another root key, another purpose, or damaged")

const (
	version  = 0x01
	keySize  = 32
	saltSize = 32
)

// File is the key-file driver: 32 random bytes in a file that only its owner can read. Every blob has a
// key of its own, derived with HKDF-SHA256 from the root and a random salt, so there is no limit on the
// number of blobs. Blob: version 0x01, salt (32), nonce (12), AES-256-GCM ciphertext and tag.
type File struct {
	key [keySize]byte
}

// OpenFile reads the key file at path, making it with mode 0600 if there is none. A file that others
// can read, or that has another size, is refused.
func OpenFile(path string) (*File, error) {
	f := &File{}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := rand.Read(f.key[:]); err != nil {
			return nil, err
		}
		if err := writeNew(path, f.key[:]); err != nil {
			return nil, fmt.Errorf("make root key: %w", err)
		}
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("root key %s can be read by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	if len(raw) != keySize {
		return nil, fmt.Errorf("root key %s has %d bytes instead of %d: restore it from a backup", path, len(raw), keySize)
	}
	copy(f.key[:], raw)
	clear(raw)
	return f, nil
}

// writeNew makes the file durable before its name exists, so that a crash never leaves half a key.
func writeNew(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".root-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(data)
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil { // fails if another process was faster
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ID is the first half of a hash of the key, which tells nothing about it.
func (f *File) ID(context.Context) (string, error) {
	id, err := hkdf.Key(sha256.New, f.key[:], nil, "cloister/rootseal/id/v1", 16)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(id), nil
}

// Wrap implements Seal.
func (f *File) Wrap(_ context.Context, plaintext, aad []byte) ([]byte, error) {
	blob := make([]byte, 1+saltSize, 1+saltSize+len(plaintext)+28)
	blob[0] = version
	if _, err := rand.Read(blob[1:]); err != nil {
		return nil, err
	}
	aead, err := f.aead(blob[1:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(blob, nil, plaintext, aad), nil //nolint:gosec // the AEAD draws the nonce
}

// Unwrap implements Seal.
func (f *File) Unwrap(_ context.Context, blob, aad []byte) ([]byte, error) {
	if len(blob) < 1+saltSize || blob[0] != version {
		return nil, ErrUnwrap
	}
	aead, err := f.aead(blob[1 : 1+saltSize])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, blob[1+saltSize:], aad)
	if err != nil {
		return nil, ErrUnwrap
	}
	return plaintext, nil
}

func (f *File) aead(salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, f.key[:], salt, "cloister/rootseal/v1", keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
