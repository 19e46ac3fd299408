// Package engine carries the source of the Python training engine and the locks of its environment in
// the binary. It holds no logic: internal/install writes the files out, internal/engine speaks with the
// process.
//
// What a reader must know: the environment is keyed by the locks and the source by its own digest, so a
// new version of the source does not install gigabytes again.
package engine

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
)

// Package is the name of the Python package, which `python -m` runs.
const Package = "cloister_engine"

//go:embed cloister_engine/*.py
var source embed.FS

//go:embed requirements/engine.lock requirements/import.lock
var locks embed.FS

// Source returns the Python package: the files of the folder cloister_engine, without that folder.
func Source() (fs.FS, error) { return fs.Sub(source, Package) }

// Locks returns the hash-locked requirements of the environment, by file name: engine.lock and import.lock.
func Locks() (fs.FS, error) { return fs.Sub(locks, "requirements") }

// Digest returns a digest of the names and contents of all files in files: 16 hexadecimal characters.
func Digest(files fs.FS) (string, error) {
	var names []string
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("list embedded files: %w", err)
	}
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return "", fmt.Errorf("read embedded file: %w", err)
		}
		_, _ = fmt.Fprintf(sum, "%d %s %d ", len(name), name, len(data)) // a hash takes everything
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
