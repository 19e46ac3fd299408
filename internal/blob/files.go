package blob

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// FileSystem is what a Store needs of a file system, below one directory. Names have at most one slash.
// It exists so that tests can lose power between any two calls; Directory is the real one. Implementations
// are safe for concurrent use.
type FileSystem interface {
	// Mkdir makes a folder with mode 0700.
	Mkdir(name string) error
	// Create makes a file with mode 0600 that must not exist yet, for writing.
	Create(name string) (File, error)
	// Open opens a file for reading; a missing one is fs.ErrNotExist.
	Open(name string) (File, error)
	// Rename moves a file to a name that is not taken.
	Rename(from, to string) error
	// Remove deletes a file; a missing one is fs.ErrNotExist.
	Remove(name string) error
	// SyncDir makes the entries of a folder durable; "." is the directory itself.
	SyncDir(name string) error
	// ReadDir lists the names in a folder, sorted.
	ReadDir(name string) ([]string, error)
}

// File is an open file.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Sync makes the contents durable, not the file's entry in its folder.
	Sync() error
	// Size returns the length in bytes.
	Size() (int64, error)
}

// Directory is a FileSystem in a directory of the host. Links in it are not followed out of it.
type Directory struct {
	root *os.Root
}

var _ FileSystem = (*Directory)(nil)

// OpenDirectory opens the directory at path and makes it, with mode 0700, if only it is missing. Its
// parent is synced then. Close lets go of it.
func OpenDirectory(path string) (*Directory, error) {
	if err := os.Mkdir(path, 0o700); err == nil {
		parent, err := os.Open(filepath.Dir(filepath.Clean(path)))
		if err != nil {
			return nil, fmt.Errorf("open blob directory: %w", err)
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return nil, fmt.Errorf("open blob directory: %w", err)
		}
	} else if !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make blob directory: %w", full(err))
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open blob directory: %w", err)
	}
	return &Directory{root}, nil
}

// Close lets go of the directory.
func (d *Directory) Close() error { return d.root.Close() }

// Mkdir makes a folder.
func (d *Directory) Mkdir(name string) error { return d.root.Mkdir(name, 0o700) }

// Create makes a file.
func (d *Directory) Create(name string) (File, error) {
	return openFile(d.root, name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
}

// Open opens a file for reading.
func (d *Directory) Open(name string) (File, error) { return openFile(d.root, name, os.O_RDONLY) }

// Rename moves a file.
func (d *Directory) Rename(from, to string) error { return d.root.Rename(from, to) }

// Remove deletes a file.
func (d *Directory) Remove(name string) error { return d.root.Remove(name) }

// SyncDir syncs a folder.
func (d *Directory) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ReadDir lists a folder.
func (d *Directory) ReadDir(name string) ([]string, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, errors.Join(err, f.Close())
}

type osFile struct{ *os.File }

// Size returns the length of the file.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("not a regular file")
	}
	return info.Size(), nil
}

func openFile(root *os.Root, name string, flag int) (File, error) {
	f, err := root.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}
