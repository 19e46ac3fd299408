package basemodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Add copies the files in from, which must all be at its top level, into the registry, hashes them, writes
// the manifest and makes the model appear at once. m.Files is ignored; the manifest as written is returned.
// ErrExists if the id is taken. On any error nothing is left behind.
func (r *Registry) Add(ctx context.Context, m Manifest, from *os.Root) (Manifest, error) {
	m.Version = manifestVersion
	if !ValidID(m.ID) {
		return Manifest{}, fmt.Errorf("add base model: id %q is not provider.name[:version]", m.ID)
	}
	if _, err := os.Lstat(r.Dir(m.ID)); err == nil {
		return Manifest{}, fmt.Errorf("%s: %w", m.ID, ErrExists)
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil { //nolint:gosec // G301: jobs of other users read models
		return Manifest{}, fmt.Errorf("add base model: %w", err)
	}
	temp, err := os.MkdirTemp(r.dir, ".adding-")
	if err != nil {
		return Manifest{}, fmt.Errorf("add base model: %w", err)
	}
	m, err = r.fill(ctx, m, from, temp)
	if err != nil {
		return Manifest{}, errors.Join(fmt.Errorf("add base model %s: %w", m.ID, err), os.RemoveAll(temp))
	}
	if err := os.Rename(temp, r.Dir(m.ID)); err != nil {
		if errors.Is(err, fs.ErrExist) { // somebody else was quicker
			err = fmt.Errorf("%s: %w", m.ID, ErrExists)
		}
		return Manifest{}, errors.Join(err, os.RemoveAll(temp))
	}
	return m, syncDir(r.dir)
}

func (r *Registry) fill(ctx context.Context, m Manifest, from *os.Root, temp string) (Manifest, error) {
	entries, err := fs.ReadDir(from.FS(), ".")
	if err != nil {
		return m, err
	}
	to, err := os.OpenRoot(temp)
	if err != nil {
		return m, err
	}
	defer to.Close() //nolint:errcheck // every file in it was closed with its error
	m.Files = nil
	for _, entry := range entries {
		if err := checkFileName(entry.Name()); err != nil {
			return m, err
		}
		if !entry.Type().IsRegular() {
			return m, fmt.Errorf("refused: %s is not a plain file", entry.Name())
		}
		if err := copyFile(ctx, from, to, entry.Name()); err != nil {
			return m, err
		}
		file, err := hashFile(ctx, to, entry.Name())
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, file)
	}
	if err := m.validate(); err != nil {
		return m, err
	}
	if err := refuseCode(to); err != nil {
		return m, err
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	if err := writeFile(to, ManifestName, append(data, '\n')); err != nil {
		return m, err
	}
	if err := os.Chmod(temp, 0o755); err != nil { //nolint:gosec // G302: jobs of other users read models
		return m, err
	}
	return m, syncDir(temp)
}

func copyFile(ctx context.Context, from, to *os.Root, name string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read from
	out, err := create(to, name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, contextReader{ctx, in})
	return finish(out, err)
}

func writeFile(to *os.Root, name string, data []byte) error {
	out, err := create(to, name)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return finish(out, err)
}

// create opens a new file that everyone may read, whatever the umask.
func create(to *os.Root, name string) (*os.File, error) {
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	if err := out.Chmod(0o644); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

func finish(out *os.File, err error) error {
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
