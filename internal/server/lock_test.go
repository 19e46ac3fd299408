package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLockWhileCommandsLook takes the lock of a data directory while commands look, as often as they can, whether
// a server runs: looking holds the lock for an instant, and must be in no server's way.
func TestLockWhileCommandsLook(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	stale := []byte(`{"endpoint":"https://127.0.0.1:1","pid":1}`) // as a server that was killed leaves it
	if err := os.WriteFile(filepath.Join(data, endpointFile), stale, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ctx.Err() == nil; first = false {
			if _, err := ReadEndpoint(data); first {
				if !errors.Is(err, ErrNotRunning) {
					t.Errorf("ReadEndpoint of a dead server: %v", err)
				}
				close(begun)
			}
		}
	}()
	<-begun
	for range 300 {
		lock, err := becomeOnly(t.Context(), data)
		if err != nil {
			t.Errorf("no lock: %v", err)
			break
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-ended
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	lock, err := becomeOnly(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := becomeOnly(t.Context(), data); err == nil || !strings.Contains(err.Error(), "another server runs on "+data) {
		t.Errorf("second lock: %v, %v", second, err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if lock, err = becomeOnly(t.Context(), data); err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	_ = lock.Close()
}
