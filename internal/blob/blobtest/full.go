package blobtest

import (
	"sync/atomic"
	"syscall"

	"example.com/cloister/internal/blob"
)

// FullFS is a file system that reports a full disk after a number of written bytes, and from then on at
// every call that needs space. It is safe for concurrent use if what it wraps is.
type FullFS struct {
	blob.FileSystem
	left atomic.Int64
}

// NewFullFS wraps inner with room for the given number of bytes.
func NewFullFS(inner blob.FileSystem, room int64) *FullFS {
	f := &FullFS{FileSystem: inner}
	f.left.Store(room)
	return f
}

// SetRoom sets the number of bytes that can still be written.
func (f *FullFS) SetRoom(room int64) { f.left.Store(room) }

// Create makes a file, for which there must be room.
func (f *FullFS) Create(name string) (blob.File, error) {
	if f.left.Load() <= 0 {
		return nil, syscall.ENOSPC
	}
	file, err := f.FileSystem.Create(name)
	return fullFile{file, f}, err
}

type fullFile struct {
	blob.File
	fs *FullFS
}

// Write writes what fits.
func (f fullFile) Write(p []byte) (int, error) {
	left := f.fs.left.Add(-int64(len(p)))
	if left >= 0 {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:max(0, len(p)+int(left))])
	if err != nil {
		return n, err
	}
	return n, syscall.ENOSPC
}
