// Package blob keeps opaque bytes in files below one directory: written once, durable when Commit
// returns, read at random, deleted by id. It neither encrypts nor names: what goes in is already sealed,
// and what an id means is the caller's to remember.
//
// The one thing to know: a blob exists from the moment Commit returned nil, and survives power loss from
// then on; before, nothing of it is left after the next Open. A caller that records ids in a database
// records them after Commit, and at start deletes the blobs that it has no record of.
//
// A directory belongs to one Store at a time. It holds tmp/ for what is being written and 256 folders
// 00 to ff, by the first byte of the id.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"syscall"
)

// ID names a blob: 32 lower-case hexadecimal digits, drawn at random.
type ID string

const (
	idBytes = 16
	tmpDir  = "tmp"
	shards  = 256
)

// Errors of this package; branch with errors.Is.
var (
	// ErrNotFound says that no blob has the id.
	ErrNotFound = errors.New("blob: no such blob")
	// ErrFull says that the disk, or the user's quota on it, is full.
	ErrFull = errors.New("blob: the disk is full: free space in the file system of the data directory")
)

// Valid reports whether id has the form of an ID. Anything else never becomes a path.
func (id ID) Valid() bool {
	if len(id) != 2*idBytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (id ID) shard() string { return string(id[:2]) }
func (id ID) path() string  { return id.shard() + "/" + string(id) }

// Store is a directory of blobs. It is safe for concurrent use.
type Store struct {
	fs FileSystem
}

// Open prepares the directory behind fsys and deletes what an earlier run left unfinished. The caller
// holds whatever lock says that no other process uses the directory.
func Open(ctx context.Context, fsys FileSystem) (*Store, error) {
	s := &Store{fs: fsys}
	if err := s.makeFolders(); err != nil {
		return nil, fmt.Errorf("prepare blob directory: %w", full(err))
	}
	names, err := fsys.ReadDir(tmpDir)
	if err != nil {
		return nil, fmt.Errorf("sweep blob directory: %w", err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := fsys.Remove(tmpDir + "/" + name); err != nil {
			return nil, fmt.Errorf("sweep blob directory: %w", err)
		}
	}
	return s, nil
}

func (s *Store) makeFolders() error {
	have := map[string]bool{}
	names, err := s.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		have[name] = true
	}
	made := false
	for i := range shards + 1 {
		name := tmpDir
		if i < shards {
			name = hex.EncodeToString([]byte{byte(i)})
		}
		if have[name] {
			continue
		}
		if err := s.fs.Mkdir(name); err != nil {
			return err
		}
		made = true
	}
	if !made {
		return nil
	}
	return s.fs.SyncDir(".")
}

// Create starts a blob. The caller ends it with Commit or Abort; Abort after Commit does nothing, so it
// can be deferred. ctx bounds this call only.
func (s *Store) Create(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var raw [idBytes]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, fmt.Errorf("draw blob id: %w", err)
	}
	id := ID(hex.EncodeToString(raw[:]))
	f, err := s.fs.Create(tmpDir + "/" + string(id))
	if err != nil {
		return nil, fmt.Errorf("create blob: %w", full(err))
	}
	return &Writer{fs: s.fs, id: id, f: f}, nil
}

// Open opens a committed blob, or returns ErrNotFound. An open blob can be read to its end even if it is
// deleted meanwhile.
func (s *Store) Open(id ID) (*Blob, error) {
	if !id.Valid() {
		return nil, ErrNotFound
	}
	f, err := s.fs.Open(id.path())
	if err != nil {
		return nil, notFound(fmt.Errorf("open blob: %w", err))
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open blob: %w", err), f.Close())
	}
	return &Blob{f, size}, nil
}

// Delete deletes a committed blob for good, or returns ErrNotFound.
func (s *Store) Delete(ctx context.Context, id ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !id.Valid() {
		return ErrNotFound
	}
	if err := s.fs.Remove(id.path()); err != nil {
		return notFound(fmt.Errorf("delete blob: %w", err))
	}
	if err := s.fs.SyncDir(id.shard()); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	return nil
}

// List yields the ids of all committed blobs, in order, and ends after an error. Blobs that come or go
// meanwhile may be missed. Files that are no blobs are passed over.
func (s *Store) List(ctx context.Context) iter.Seq2[ID, error] {
	return func(yield func(ID, error) bool) {
		for i := range shards {
			if err := ctx.Err(); err != nil {
				yield("", err)
				return
			}
			shard := hex.EncodeToString([]byte{byte(i)})
			names, err := s.fs.ReadDir(shard)
			if err != nil {
				yield("", fmt.Errorf("list blobs: %w", err))
				return
			}
			for _, name := range names {
				id := ID(name)
				if id.Valid() && id.shard() == shard && !yield(id, nil) {
					return
				}
			}
		}
	}
}

// Blob is an open committed blob. It is safe for concurrent use until it is closed.
type Blob struct {
	f    File
	size int64
}

var _ io.ReaderAt = (*Blob)(nil)

// Size returns the blob's length in bytes.
func (b *Blob) Size() int64 { return b.size }

// ReadAt follows io.ReaderAt.
func (b *Blob) ReadAt(p []byte, off int64) (int, error) { return b.f.ReadAt(p, off) }

// Close lets go of the file.
func (b *Blob) Close() error { return b.f.Close() }

// full adds ErrFull to errors that mean it.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return err
}

// OpenReader returns a Store for reading beside the process that the directory belongs to. It prepares and
// sweeps nothing.
func OpenReader(fsys FileSystem) *Store { return &Store{fs: fsys} }
