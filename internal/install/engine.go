package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	source "example.com/cloister/engine"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

const recordName = "engine.json"

// Engine is an installed environment with the source of this binary's engine in it.
type Engine struct {
	// Root is the environment's folder; nothing in it changes.
	Root string
	// Python is the environment's interpreter, and Source the folder for PYTHONPATH. Both are below Root.
	Python, Source string
	// Record is what was written down at installation.
	Record Record
}

// Record is the environment's description of itself.
type Record struct {
	Version int    `json:"version"`
	Key     string `json:"key"` // digest of the locks, and the architecture
	// Interpreter is the Python that it was built on; Prefix is the root of that installation.
	Interpreter string    `json:"interpreter"`
	Prefix      string    `json:"prefix"`
	Python      string    `json:"python"` // such as 3.11.2
	Torch       string    `json:"torch"`
	Installer   string    `json:"installer"` // "pip" or "uv"
	Created     time.Time `json:"created"`
}

// EngineKey names the environment that this binary needs.
func EngineKey() (string, error) {
	locks, err := source.Locks()
	if err != nil {
		return "", err
	}
	digest, err := source.Digest(locks)
	if err != nil {
		return "", err
	}
	return digest + "-" + runtime.GOARCH, nil
}

// EngineRoot is where the environment of this binary is, or would be.
func (h Home) EngineRoot() (string, error) {
	key, err := EngineKey()
	if err != nil {
		return "", err
	}
	return filepath.Join(h.engines(), key), nil
}

// Engine finds the environment that this binary needs, or returns ErrNotInstalled. The engine's source is
// put in place if it is missing, as after an update of the binary that kept the locks.
func (h Home) Engine() (Engine, error) {
	root, err := h.EngineRoot()
	if err != nil {
		return Engine{}, err
	}
	data, err := os.ReadFile(filepath.Join(root, recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return Engine{}, ErrNotInstalled
	}
	if err != nil {
		return Engine{}, fmt.Errorf("read engine: %w", err)
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil || record.Version != engine.Version || root != filepath.Join(h.engines(), record.Key) {
		return Engine{}, fmt.Errorf("the record of %s is damaged: remove the folder and run 'cloister engine install'", root)
	}
	python := filepath.Join(root, "venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return Engine{}, fmt.Errorf("%s was removed since the engine was installed on it: remove %s and run 'cloister engine install'",
			record.Interpreter, root)
	}
	src, err := placeSource(root)
	if err != nil {
		return Engine{}, err
	}
	return Engine{Root: root, Python: python, Source: src, Record: record}, nil
}

// Mounts are what a sandbox needs beside /usr: the environment at its own path, since venvs know theirs, and
// the interpreter's installation if that is elsewhere.
func (e Engine) Mounts() []executor.Mount {
	mounts := []executor.Mount{{Source: e.Root, Target: e.Root}}
	if p := e.Record.Prefix; p != "/usr" && !strings.HasPrefix(p, "/usr/") {
		mounts = append(mounts, executor.Mount{Source: p, Target: p})
	}
	return mounts
}

// Env is the environment of an engine process with that many threads.
func (e Engine) Env(threads int) []string { return engine.Env(threads, e.Source) }

// placeSource writes the embedded package below root, named by its digest, unless it is there. What is there
// is compared: a job never runs source that is not this binary's.
func placeSource(root string) (string, error) {
	files, err := source.Source()
	if err != nil {
		return "", err
	}
	digest, err := source.Digest(files)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "src-"+digest)
	pkg := filepath.Join(dir, source.Package)
	if _, err := os.Stat(pkg); err == nil {
		return dir, sameSource(files, pkg)
	}
	temp, err := os.MkdirTemp(root, ".src-")
	if err != nil {
		return "", fmt.Errorf("place the engine's source: %w: run 'cloister engine install' as the owner of %s", err, root)
	}
	if err := writeSource(files, filepath.Join(temp, source.Package)); err != nil {
		return "", errors.Join(fmt.Errorf("place the engine's source: %w", err), os.RemoveAll(temp))
	}
	if err := os.Chmod(temp, 0o755); err != nil { //nolint:gosec // G302: the jobs' user reads it
		return "", errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, dir); err != nil {
		if errors.Is(err, fs.ErrExist) { // another process was quicker
			return dir, errors.Join(os.RemoveAll(temp), sameSource(files, pkg))
		}
		return "", errors.Join(err, os.RemoveAll(temp))
	}
	return dir, nil
}

func sameSource(files fs.FS, pkg string) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		want, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(pkg, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(got, want) {
			return fmt.Errorf("%s was changed: remove %s", filepath.Join(pkg, name), filepath.Dir(pkg))
		}
		return nil
	})
}

func writeSource(files fs.FS, pkg string) error {
	if err := makeDir(pkg); err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(pkg, filepath.FromSlash(name)), data)
	})
}

// writeFile writes a new file that everyone may read, whatever the umask.
func writeFile(path string, data []byte) error {
	if err := os.WriteFile(path, data, 0o644); err != nil { //nolint:gosec // G306: nothing secret
		return err
	}
	return os.Chmod(path, 0o644) //nolint:gosec // G302: as above
}

// compileSource makes the byte code of the source, which jobs cannot write themselves.
func compileSource(ctx context.Context, e Engine) error {
	return (&command{argv: []string{e.Python, "-m", "compileall", "-q", e.Source}}).run(ctx)
}
