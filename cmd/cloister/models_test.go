//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/install"
)

func TestWrongUsageOfEngineAndModels(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"engine"},
		{"engine", "dance"},
		{"engine", "status", "x"},
		{"engine", "install", "--pyton", "x"},
		{"models"},
		{"models", "add"},
		{"models", "add", "a", "b"},
		{"models", "show"},
		{"models", "list", "x"},
	} {
		if out, code, err := execute(t, args...); code != 2 {
			t.Errorf("cloister %s = %d, %v, want exit code 2\n%s", strings.Join(args, " "), code, err, out)
		}
	}
}

func TestEnginePath(t *testing.T) {
	t.Parallel()
	out, code, err := execute(t, "engine", "path")
	if code != 0 {
		t.Fatal(err)
	}
	key, err := install.EngineKey()
	if err != nil {
		t.Fatal(err)
	}
	if path := strings.TrimSpace(out); filepath.Base(path) != key || !filepath.IsAbs(path) {
		t.Errorf("engine path = %q, want an absolute path ending in %s", path, key)
	}
}

func TestInstallRefusesAMissingInterpreter(t *testing.T) {
	t.Parallel()
	out, code, err := execute(t, "engine", "install", "--python", filepath.Join(t.TempDir(), "python3"))
	if code != 1 || !strings.Contains(err.Error(), "python3-venv") {
		t.Errorf("engine install = %d, %v, want exit code 1 and the package to install\n%s", code, err, out)
	}
}

func TestUnknownModel(t *testing.T) {
	t.Parallel()
	_, code, err := execute(t, "models", "show", "nobody.nothing-v1:0")
	if code != 1 || !errors.Is(err, basemodel.ErrNotInstalled) || !strings.Contains(err.Error(), "models add") {
		t.Errorf("models show = %d, %v, want exit code 1 and what to do", code, err)
	}
}

// As an ordinary user the home is where XDG_DATA_HOME says; the commands read what is there.
func TestModelsOfAnotherHome(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root's home is fixed: these commands only read, so the machine's own registry serves.
		if out, code, err := execute(t, "models", "list", "--json"); code != 0 || !strings.HasPrefix(out, "[") {
			t.Errorf("models list --json = %d, %v\n%s", code, err, out)
		}
		return
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	out, code, err := execute(t, "models", "list", "--json")
	if code != 0 {
		t.Fatal(err)
	}
	if diff := cmp.Diff("[]\n", out); diff != "" {
		t.Error(diff)
	}
	if _, code, err := execute(t, "engine", "status"); code != 1 || !errors.Is(err, install.ErrNotInstalled) {
		t.Errorf("engine status = %d, %v, want exit code 1", code, err)
	}
}

func TestAliasesOf(t *testing.T) {
	t.Parallel()
	if got := aliasesOf(basemodel.Tiny); len(got) != 0 {
		t.Errorf("the tiny model has the aliases %v", got)
	}
	if got := aliasesOf(basemodel.SmolLM2); len(got) != 12 || got[0] != "amazon.nova-micro-v1:0" {
		t.Errorf("SmolLM2 has the aliases %v", got)
	}
}
