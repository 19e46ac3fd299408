// Package blobtest has file systems for tests of what stands on package blob: one that loses power, and
// one that fills up. They are for tests only.
//
// The one thing to know: a CrashFS keeps two states, what a running system sees and what a disk would
// still have. Only Sync and SyncDir carry the first over to the second.
package blobtest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"example.com/cloister/internal/blob"
)

// ErrCrashed is what every call returns after the power went.
var ErrCrashed = errors.New("blobtest: the machine has crashed")

// Loss says what a crash does to what was not synced.
type Loss int

// What a crash can do; a real file system does something in between.
const (
	// LoseAll drops directory entries and data that were not synced.
	LoseAll Loss = iota
	// LoseData keeps every directory entry, and drops data that was not synced: files are found, shortened.
	LoseData
	// LoseNothing keeps everything, as kill -9 does.
	LoseNothing
)

// CrashFS is a file system in memory that stops at the n-th call. It is safe for concurrent use.
type CrashFS struct {
	mu      sync.Mutex
	dirs    map[string]*dir
	calls   int
	crashAt int // 0: never
	crashed bool
}

var _ blob.FileSystem = (*CrashFS)(nil)

type dir struct{ seen, durable map[string]*inode }

type inode struct{ seen, durable []byte }

func newDir() *dir { return &dir{map[string]*inode{}, map[string]*inode{}} }

// NewCrashFS makes an empty file system that crashes after call n, counted from 1; 0 means never.
func NewCrashFS(n int) *CrashFS {
	return &CrashFS{dirs: map[string]*dir{".": newDir()}, crashAt: n}
}

// Calls returns the number of calls so far: a dry run's Calls is the largest n that makes a difference.
func (c *CrashFS) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Crashed reports whether the crash has happened.
func (c *CrashFS) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crashed
}

// Restart returns the file system as it is found after the crash, or after power loss right now. It never
// crashes by itself.
func (c *CrashFS) Restart(loss Loss) *CrashFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := &CrashFS{dirs: map[string]*dir{}}
	for name, d := range c.dirs {
		if loss == LoseAll && name != "." && c.dirs["."].durable[name] == nil {
			continue
		}
		fresh := newDir()
		entries := d.seen
		if loss == LoseAll {
			entries = d.durable
		}
		for file, node := range entries {
			data := node.durable
			if loss == LoseNothing {
				data = node.seen
			}
			found := &inode{slices.Clone(data), slices.Clone(data)}
			fresh.seen[file], fresh.durable[file] = found, found
		}
		after.dirs[name] = fresh
	}
	return after
}

// step counts a call and runs it. The call at which the power goes still takes effect, in memory.
func (c *CrashFS) step(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashed {
		return ErrCrashed
	}
	c.calls++
	err := f()
	if c.calls == c.crashAt {
		c.crashed = true
		return ErrCrashed
	}
	return err
}

func (c *CrashFS) at(name string) (*dir, string, error) {
	folder, file := path.Split(name)
	d := c.dirs[path.Clean(folder)]
	if d == nil {
		return nil, "", fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return d, file, nil
}

// Mkdir makes a folder.
func (c *CrashFS) Mkdir(name string) error {
	return c.step(func() error {
		if c.dirs[name] != nil {
			return fs.ErrExist
		}
		c.dirs[name] = newDir()
		c.dirs["."].seen[name] = &inode{}
		return nil
	})
}

// Create makes a file.
func (c *CrashFS) Create(name string) (blob.File, error) {
	node := &inode{}
	err := c.step(func() error {
		d, file, err := c.at(name)
		if err != nil {
			return err
		}
		if d.seen[file] != nil {
			return fs.ErrExist
		}
		d.seen[file] = node
		return nil
	})
	return &handle{c, node}, err
}

// Open opens a file.
func (c *CrashFS) Open(name string) (blob.File, error) {
	var node *inode
	err := c.step(func() error {
		d, file, err := c.at(name)
		if err != nil {
			return err
		}
		if node = d.seen[file]; node == nil {
			return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return nil
	})
	return &handle{c, node}, err
}

// Rename moves a file.
func (c *CrashFS) Rename(from, to string) error {
	return c.step(func() error {
		d, file, err := c.at(from)
		if err != nil {
			return err
		}
		target, name, err := c.at(to)
		if err != nil {
			return err
		}
		node := d.seen[file]
		if node == nil {
			return fmt.Errorf("%s: %w", from, fs.ErrNotExist)
		}
		delete(d.seen, file)
		target.seen[name] = node
		return nil
	})
}

// Remove deletes a file.
func (c *CrashFS) Remove(name string) error {
	return c.step(func() error {
		d, file, err := c.at(name)
		if err != nil {
			return err
		}
		if d.seen[file] == nil {
			return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		delete(d.seen, file)
		return nil
	})
}

// SyncDir makes the entries of a folder durable.
func (c *CrashFS) SyncDir(name string) error {
	return c.step(func() error {
		d := c.dirs[name]
		if d == nil {
			return fs.ErrNotExist
		}
		d.durable = maps.Clone(d.seen)
		return nil
	})
}

// ReadDir lists a folder.
func (c *CrashFS) ReadDir(name string) ([]string, error) {
	var names []string
	err := c.step(func() error {
		d := c.dirs[name]
		if d == nil {
			return fs.ErrNotExist
		}
		names = slices.Sorted(maps.Keys(d.seen))
		return nil
	})
	return names, err
}

type handle struct {
	fs   *CrashFS
	node *inode
}

func (h *handle) Write(p []byte) (int, error) {
	err := h.fs.step(func() error { h.node.seen = append(h.node.seen, p...); return nil })
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadAt, Size and Close are not counted: losing power there is losing it at the next call.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if off >= int64(len(h.node.seen)) {
		return 0, io.EOF
	}
	n := copy(p, h.node.seen[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return int64(len(h.node.seen)), nil
}

func (h *handle) Close() error { return nil }

func (h *handle) Sync() error {
	return h.fs.step(func() error { h.node.durable = slices.Clone(h.node.seen); return nil })
}
