package basemodel

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotInstalled says that no base model of an id is in the registry.
var ErrNotInstalled = errors.New("base model is not installed")

// ErrExists says that a base model of that id is in the registry already.
var ErrExists = errors.New("base model is installed already")

// ErrDamaged says that a model's files are not those of its manifest.
var ErrDamaged = errors.New("base model is damaged: remove its folder and add it again")

// Registry is a folder of base models. It is safe for concurrent use, by several processes too: models
// appear by rename and never change.
type Registry struct {
	dir string
}

// Open returns the registry at dir, an absolute path. The folder need not exist: then it has no models.
func Open(dir string) (*Registry, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("open base models: %q is not an absolute path", dir)
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("open base models: %s is not a folder", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open base models: %w", err)
	}
	return &Registry{dir}, nil
}

// Dir is the folder of a model, which the sandbox mounts at /base.
func (r *Registry) Dir(id string) string {
	// No id contains '_', so this can be reversed.
	return filepath.Join(r.dir, strings.ReplaceAll(id, ":", "_"))
}

// List returns the installed models by id. Folders that cannot be read are left out and named in the error,
// which then comes beside the models that can.
func (r *Registry) List() ([]Manifest, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list base models: %w", err)
	}
	var models []Manifest
	var errs []error
	for _, entry := range entries {
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), ".") { // locks, and models being added
			continue
		}
		m, err := r.Get(strings.ReplaceAll(entry.Name(), "_", ":"))
		if err != nil {
			errs = append(errs, fmt.Errorf("list base models: %s: %w", entry.Name(), err))
			continue
		}
		models = append(models, m)
	}
	slices.SortFunc(models, func(a, b Manifest) int { return cmp.Compare(a.ID, b.ID) })
	return models, errors.Join(errs...)
}

// Get returns the manifest of a model, or ErrNotInstalled. It does not look at the other files.
func (r *Registry) Get(id string) (Manifest, error) {
	if !ValidID(id) {
		return Manifest{}, fmt.Errorf("%q: %w", id, ErrNotInstalled)
	}
	file, err := os.Open(filepath.Join(r.Dir(id), ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%s: %w", id, ErrNotInstalled)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("read base model: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read from
	data, err := io.ReadAll(io.LimitReader(file, maxManifestBytes+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("read base model %s: %w", id, err)
	}
	m, err := ParseManifest(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("base model %s: %w", id, err)
	}
	if m.ID != id {
		return Manifest{}, fmt.Errorf("base model %s: the manifest is that of %s: %w", id, m.ID, ErrDamaged)
	}
	return m, nil
}

// Verify holds every file of a model against its manifest and refuses what could run code. It reads the
// whole model: about a second for a gigabyte. The error wraps ErrDamaged or ErrNotInstalled.
func (r *Registry) Verify(ctx context.Context, id string) error {
	m, err := r.Get(id)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(r.Dir(id))
	if err != nil {
		return fmt.Errorf("verify base model: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read from
	listed := map[string]File{}
	for _, file := range m.Files {
		listed[file.Name] = file
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("verify base model: %w", err)
	}
	for _, entry := range entries {
		if _, ok := listed[entry.Name()]; !ok && entry.Name() != ManifestName {
			return fmt.Errorf("base model %s: %s is not in the manifest: %w", id, entry.Name(), ErrDamaged)
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("base model %s: %s is not a plain file: %w", id, entry.Name(), ErrDamaged)
		}
	}
	for _, want := range m.Files {
		got, err := hashFile(ctx, root, want.Name)
		if err != nil {
			return fmt.Errorf("base model %s: %w", id, err)
		}
		if got != want {
			return fmt.Errorf("base model %s: %s differs from the manifest: %w", id, want.Name, ErrDamaged)
		}
	}
	if err := refuseCode(root); err != nil {
		return fmt.Errorf("base model %s: %w", id, err)
	}
	return nil
}

func hashFile(ctx context.Context, root *os.Root, name string) (File, error) {
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("%s is missing: %w", name, ErrDamaged)
	}
	if err != nil {
		return File{}, err
	}
	defer file.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	size, err := io.Copy(sum, contextReader{ctx, file})
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", name, err)
	}
	return File{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// refuseCode stops a configuration that asks transformers to import Python files.
func refuseCode(root *os.Root) error {
	for _, name := range []string{"config.json", "tokenizer_config.json", "generation_config.json"} {
		data, err := root.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		var config map[string]json.RawMessage
		if err := json.Unmarshal(data, &config); err != nil {
			return fmt.Errorf("%s is not a JSON object: %w", name, ErrDamaged)
		}
		if _, ok := config["auto_map"]; ok {
			return fmt.Errorf("refused: %s asks for Python code of the model's own (auto_map)", name)
		}
	}
	return nil
}

// contextReader ends a long read when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no parameter for it; lives for one call
	in  io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}
