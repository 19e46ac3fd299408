package rootseal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"example.com/cloister/internal/rootseal"
)

func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "root.key")
	first, err := rootseal.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := first.Wrap(t.Context(), []byte("secret"), []byte("purpose"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(blob, []byte("secret")) {
		t.Error("the blob shows the plaintext")
	}
	again, err := rootseal.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Unwrap(t.Context(), blob, []byte("purpose"))
	if err != nil || string(got) != "secret" {
		t.Errorf("Unwrap = %q, %v", got, err)
	}
	other, err := rootseal.OpenFile(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Unwrap(t.Context(), blob, []byte("purpose")); !errors.Is(err, rootseal.ErrUnwrap) {
		t.Errorf("another root key: %v, want ErrUnwrap", err)
	}
	if _, err := again.Unwrap(t.Context(), blob, []byte("else")); !errors.Is(err, rootseal.ErrUnwrap) {
		t.Errorf("another purpose: %v, want ErrUnwrap", err)
	}
	for bit := range len(blob) * 8 {
		bad := bytes.Clone(blob)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := again.Unwrap(t.Context(), bad, []byte("purpose")); !errors.Is(err, rootseal.ErrUnwrap) {
			t.Fatalf("bit %d flipped: %v, want ErrUnwrap", bit, err)
		}
	}
	for n := range blob {
		if _, err := again.Unwrap(t.Context(), blob[:n], []byte("purpose")); !errors.Is(err, rootseal.ErrUnwrap) {
			t.Fatalf("cut to %d bytes: %v, want ErrUnwrap", n, err)
		}
	}
	a, _ := first.ID(t.Context())
	b, _ := again.ID(t.Context())
	c, _ := other.ID(t.Context())
	if a != b || a == c {
		t.Errorf("IDs %s, %s, %s: want equal, equal, different", a, b, c)
	}
}

func TestFileRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size int
		mode os.FileMode
	}{
		"readable by others": {32, 0o644},
		"short":              {31, 0o600},
		"empty":              {0, 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "root.key")
			if err := os.WriteFile(path, make([]byte, tt.size), tt.mode); err != nil {
				t.Fatal(err)
			}
			if _, err := rootseal.OpenFile(path); err == nil {
				t.Error("OpenFile accepted it")
			}
		})
	}
}
