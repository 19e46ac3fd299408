// Package envelope is the sealed-stream format in which Cloister keeps model artifacts and S3 objects:
// authenticated encryption in segments, with random access, key commitment and parallel work. It uses
// the standard library only and does no I/O of its own; where the bytes go, who holds the data key and
// how that key is wrapped are other packages' business.
//
// The one thing to know: a stream opens only with the data key and the context it was sealed under, and
// every byte handed out has been authenticated. A context must name, without ambiguity, what may not be
// exchanged for it: the model's ARN and the file for an artifact; bucket, key, object and part for S3.
//
// # Format, version 1
//
//	header  = magic "CLSE" | version 0x01 | segLog2 | 0x00 0x00 | salt[32] | commitment[32]   (72 bytes)
//	derived = HKDF-SHA256(secret = data key, salt, info = "cloister/envelope/v1" | header[4:8] | context)
//	        = key[32] | commitment[32]
//	segment = nonce[12] | AES-256-GCM(key, nonce, plaintext, aad = be64(index) | final) | tag[16]
//
// Plaintext is cut into segments of 2^segLog2 bytes, 12 ≤ segLog2 ≤ 20. Only the last segment, whose
// final byte is 0x01 (else 0x00), may be shorter; it is empty only if the whole stream is. Nonces are
// random: with a salt of its own, each stream has its own key, so that the bound of 2^32 random nonces is
// one per stream, and no stream has more segments. The stored commitment is compared in constant time
// before any segment is decrypted, because AES-GCM alone is not key committing. The plaintext's size
// follows from the stored size.
//
// A stream cut at a segment's end looks like a shorter stream until its last segment is read, which then
// fails: whoever knows the size compares Reader.Size with it, and whoever wants certainty reads to the end.
//
// References: RFC 5869 (HKDF), NIST SP 800-38D (GCM), Albertini et al., "How to Abuse and Fix
// Authenticated Encryption Without Key Commitment". docs/envelope.md has the same text with the limits.
package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length of the header, in bytes.
const HeaderSize = 72

// SegmentOverhead is what each segment adds to its plaintext, in bytes: nonce and tag.
const SegmentOverhead = nonceSize + tagSize

const (
	nonceSize = 12
	tagSize   = 16
	version   = 1
	magic     = "CLSE"
	info      = "cloister/envelope/v1"

	minSegLog2 = 12
	maxSegLog2 = 20
	// maxSegments is NIST SP 800-38D's bound for random 96-bit nonces under one key.
	maxSegments = 1 << 32
)

// Sizes of segments, as binary logarithms of bytes.
const (
	// ArtifactSegment makes segments of 256 KiB: the fastest on two cores with 1 MiB of L2 each.
	ArtifactSegment = 18
	// ObjectSegment makes segments of 64 KiB: a 4 KiB read decrypts a quarter of what 256 KiB would cost.
	ObjectSegment = 16
)

// Errors of Open and of reads. They say what happened, never anything about keys or plaintext.
var (
	// ErrFormat says that the bytes are not a sealed stream of a known version, or have an impossible size.
	ErrFormat = errors.New("envelope: not a sealed stream of a known version")
	// ErrKey says that data key or context are not those of the stream, or that its header was altered.
	ErrKey = errors.New("envelope: wrong data key or context, or altered header")
	// ErrAuthentication says that a segment was altered, moved or cut off.
	ErrAuthentication = errors.New("envelope: a segment is damaged, moved or cut off")
	// ErrTooLong says that the plaintext exceeds 2^32 segments.
	ErrTooLong = errors.New("envelope: the stream exceeds 2^32 segments")
)

// Options tune sealing; they do not change who can open the stream.
type Options struct {
	// SegmentLog2 is the binary logarithm of the segment's size in bytes, 12 to 20; 0 means ArtifactSegment.
	SegmentLog2 uint8
	// Workers is the number of goroutines that seal; 0 and 1 both mean the caller's alone.
	Workers int
}

func (o Options) segLog2() (uint8, error) {
	if o.SegmentLog2 == 0 {
		return ArtifactSegment, nil
	}
	if o.SegmentLog2 < minSegLog2 || o.SegmentLog2 > maxSegLog2 {
		return 0, fmt.Errorf("envelope: segment size 2^%d is outside 2^%d to 2^%d", o.SegmentLog2, minSegLog2, maxSegLog2)
	}
	return o.SegmentLog2, nil
}

// SealedSize returns the stored size in bytes of plain bytes of plaintext, which may not be negative, in
// segments of 2^segLog2.
func SealedSize(plain int64, segLog2 uint8) int64 {
	return HeaderSize + plain + segments(plain, segLog2)*SegmentOverhead
}

// PlainSize is the inverse of SealedSize. It returns ErrFormat for a size that no stream has.
func PlainSize(sealed int64, segLog2 uint8) (int64, error) {
	if segLog2 < minSegLog2 || segLog2 > maxSegLog2 {
		return 0, ErrFormat
	}
	body := sealed - HeaderSize
	full := int64(1)<<segLog2 + SegmentOverhead
	if body < SegmentOverhead {
		return 0, ErrFormat
	}
	n := (body-1)/full + 1
	plain := body - n*SegmentOverhead
	if plain < 0 || n > maxSegments || segments(plain, segLog2) != n {
		return 0, ErrFormat
	}
	return plain, nil
}

// segments returns how many segments plain bytes make: at least one.
func segments(plain int64, segLog2 uint8) int64 {
	if plain == 0 {
		return 1
	}
	return (plain-1)>>segLog2 + 1
}

// newHeader makes a fresh header and the cipher of its stream.
func newHeader(key *DataKey, context []byte, segLog2 uint8) ([]byte, cipher.AEAD, error) {
	header := make([]byte, HeaderSize)
	copy(header, magic)
	header[4], header[5] = version, segLog2
	if _, err := rand.Read(header[8:40]); err != nil {
		return nil, nil, fmt.Errorf("envelope: draw a salt: %w", err)
	}
	aead, commitment, err := derive(key, context, header)
	if err != nil {
		return nil, nil, err
	}
	copy(header[40:], commitment)
	return header, aead, nil
}

// openHeader checks a stored header and returns the cipher of its stream.
func openHeader(header []byte, key *DataKey, context []byte) (segLog2 uint8, aead cipher.AEAD, err error) {
	if string(header[:4]) != magic || header[4] != version || header[6] != 0 || header[7] != 0 ||
		header[5] < minSegLog2 || header[5] > maxSegLog2 {
		return 0, nil, ErrFormat
	}
	aead, commitment, err := derive(key, context, header)
	if err != nil {
		return 0, nil, err
	}
	if subtle.ConstantTimeCompare(commitment, header[40:HeaderSize]) != 1 {
		return 0, nil, ErrKey
	}
	return header[5], aead, nil
}

// derive returns the stream's cipher and commitment. The derived key is zeroed; the cipher's schedule
// lives as long as the cipher does, which the standard library gives no way to erase.
func derive(key *DataKey, context, header []byte) (cipher.AEAD, []byte, error) {
	label := make([]byte, 0, len(info)+4+len(context))
	label = append(append(append(label, info...), header[4:8]...), context...)
	derived, err := hkdf.Key(sha256.New, key[:], header[8:40], string(label), 64)
	if err != nil {
		return nil, nil, fmt.Errorf("envelope: derive the stream's key: %w", err)
	}
	defer clear(derived[:32])
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		return nil, nil, fmt.Errorf("envelope: make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, nil, fmt.Errorf("envelope: make cipher: %w", err)
	}
	return aead, derived[32:], nil
}

// bind writes a segment's additional data into aad: its index, and whether it is the last. That stops
// segments from being moved and streams from being cut or extended.
func bind(aad *[9]byte, index int64, final bool) []byte {
	binary.BigEndian.PutUint64(aad[:8], uint64(index)) //nolint:gosec // an index is never negative
	aad[8] = 0
	if final {
		aad[8] = 1
	}
	return aad[:]
}
