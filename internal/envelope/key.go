package envelope

import (
	"fmt"
	"log/slog"
	"runtime"
)

// DataKey is a 256-bit key under which streams are sealed. Printing, logging and encoding it never show
// it. Its owner calls Zero when done; functions of this package zero the copies they take.
type DataKey [32]byte

const redacted = "[redacted]"

// ParseDataKey copies raw, which must have 32 bytes; the caller still owns raw and should clear it.
func ParseDataKey(raw []byte) (DataKey, error) {
	var k DataKey
	if len(raw) != len(k) {
		return DataKey{}, fmt.Errorf("envelope: a data key has %d bytes, not %d", len(k), len(raw))
	}
	copy(k[:], raw)
	return k, nil
}

// Zero overwrites the key.
func (k *DataKey) Zero() {
	clear(k[:])
	runtime.KeepAlive(k)
}

// String hides the key.
func (k DataKey) String() string { return redacted }

// Format hides the key under every verb.
func (k DataKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText hides the key, in JSON too.
func (k DataKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the key.
func (k DataKey) LogValue() slog.Value { return slog.StringValue(redacted) }
