package kms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// A ciphertext blob is
//
//	0x01 | key id (16) | first half of the material id (16) | salt (32) | nonce (12) | ciphertext | tag (16)
//
// sealed with AES-256-GCM under HKDF-SHA256(material, salt, "cloister/kms/v1"): a key of its own for every
// message, so that random nonces never collide. The AAD is the first 33 bytes and the encryption context.
const (
	blobVersion  = 0x01
	blobHeader   = 1 + 16 + 16
	blobSalt     = 32
	blobOverhead = blobHeader + blobSalt + 12 + 16
)

// errBlob says that a ciphertext is not one of ours or was changed.
var errBlob = errors.New("not a ciphertext of this service")

// encrypt seals plaintext under the key's material.
func (s *Service) encrypt(ctx context.Context, key Key, plaintext []byte, encryptionContext map[string]string) ([]byte, error) {
	id, err := uuid.Parse(key.ID)
	if err != nil {
		return nil, fmt.Errorf("key id: %w", err)
	}
	material, err := hex.DecodeString(key.MaterialID)
	if err != nil {
		return nil, fmt.Errorf("material id: %w", err)
	}
	blob := make([]byte, 0, blobOverhead+len(plaintext))
	blob = append(blob, blobVersion)
	blob = append(blob, id[:]...)
	blob = append(blob, material[:16]...)
	aad := additional(blob, encryptionContext)
	salt := make([]byte, blobSalt)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	aead, err := s.messageKey(ctx, key, salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(append(blob, salt...), nil, plaintext, aad), nil //nolint:gosec // the AEAD draws the nonce
}

// blobKeyID reads the id of the key that made a blob.
func blobKeyID(blob []byte) (string, error) {
	if len(blob) < blobOverhead || blob[0] != blobVersion {
		return "", errBlob
	}
	id, err := uuid.FromBytes(blob[1:17])
	if err != nil {
		return "", errBlob
	}
	return id.String(), nil
}

// decrypt opens a blob that the key made.
func (s *Service) decrypt(ctx context.Context, key Key, blob []byte, encryptionContext map[string]string) ([]byte, error) {
	material, err := hex.DecodeString(key.MaterialID)
	if err != nil {
		return nil, fmt.Errorf("material id: %w", err)
	}
	if len(blob) < blobOverhead || !bytes.Equal(blob[17:blobHeader], material[:16]) {
		return nil, errBlob
	}
	aead, err := s.messageKey(ctx, key, blob[blobHeader:blobHeader+blobSalt])
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, nil, blob[blobHeader+blobSalt:], additional(blob[:blobHeader], encryptionContext))
	if err != nil {
		return nil, errBlob
	}
	return plaintext, nil
}

func (s *Service) messageKey(ctx context.Context, key Key, salt []byte) (cipher.AEAD, error) {
	material, err := s.seal.Unwrap(ctx, key.Material, materialAAD(key.ID, key.MaterialID))
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", key.ID, err)
	}
	defer clear(material)
	derived, err := hkdf.Key(sha256.New, material, salt, "cloister/kms/v1", 32)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// additional is the authenticated data: a header and the encryption context in canonical form, sorted by
// key, every string with its length, so that no two contexts look alike. No context equals an empty one.
func additional(header []byte, encryptionContext map[string]string) []byte {
	out := binary.BigEndian.AppendUint32(slices.Clone(header), uint32(len(encryptionContext))) //nolint:gosec // bounded by the request
	for _, name := range slices.Sorted(maps.Keys(encryptionContext)) {
		for _, text := range []string{name, encryptionContext[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(text))) //nolint:gosec // bounded by the request
			out = append(out, text...)
		}
	}
	return out
}
