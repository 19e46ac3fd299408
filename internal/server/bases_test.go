package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/server"
)

func TestVerifiedBasesSeesChanges(t *testing.T) {
	t.Parallel()
	registry := cloistertest.Bases(t)
	bases := server.NewVerifiedBases(registry)
	for range 2 {
		if err := bases.Verify(t.Context(), basemodel.Tiny); err != nil {
			t.Fatal(err)
		}
	}
	weights := filepath.Join(registry.Dir(basemodel.Tiny), "model.safetensors")
	if err := os.Chmod(weights, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(weights, []byte("WEIGHTS"), 0o600); err != nil { // the same size
		t.Fatal(err)
	}
	if err := bases.Verify(t.Context(), basemodel.Tiny); !errors.Is(err, basemodel.ErrDamaged) {
		t.Errorf("Verify after a change = %v, want ErrDamaged", err)
	}
	if err := bases.Verify(t.Context(), "cloister.none-v1:0"); !errors.Is(err, basemodel.ErrNotInstalled) {
		t.Errorf("Verify of a missing model = %v, want ErrNotInstalled", err)
	}
}
