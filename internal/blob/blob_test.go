package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/blob/blobtest"
)

func open(t *testing.T, fsys blob.FileSystem) *blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func directory(t *testing.T) (*blob.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "blobs")
	d, err := blob.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return open(t, d), path
}

// put writes a blob in three pieces.
func put(tb testing.TB, s *blob.Store, data []byte) (blob.ID, error) {
	tb.Helper()
	w, err := s.Create(tb.Context())
	if err != nil {
		return "", err
	}
	defer func() { _ = w.Abort() }()
	for _, piece := range [][]byte{data[:len(data)/3], data[len(data)/3 : len(data)/2], data[len(data)/2:]} {
		if _, err := w.Write(piece); err != nil {
			return "", err
		}
	}
	return w.Commit()
}

func get(s *blob.Store, id blob.ID) ([]byte, error) {
	b, err := s.Open(id)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	return data, errors.Join(err, b.Close())
}

func list(t *testing.T, s *blob.Store) []blob.ID {
	t.Helper()
	ids := []blob.ID{}
	for id, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// files lists the regular files below a directory.
func files(t *testing.T, path string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestLifeOfABlob(t *testing.T) {
	s, path := directory(t)
	data := bytes.Repeat([]byte("sealed bytes "), 1000)
	id, err := put(t, s, data)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := get(s, id); err != nil || !bytes.Equal(got, data) {
		t.Errorf("get: %v", err)
	}
	if diff := cmp.Diff([]blob.ID{id}, list(t, s)); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	open, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(io.NewSectionReader(open, 0, open.Size()))
	if err != nil || !bytes.Equal(rest, data) {
		t.Errorf("an open blob cannot be read after Delete: %v", err)
	}
	if err := open.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Open(id); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Open after Delete: %v, want ErrNotFound", err)
	}
	if err := s.Delete(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("second Delete: %v, want ErrNotFound", err)
	}
	if left := files(t, path); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}

func TestModes(t *testing.T) {
	s, path := directory(t)
	if _, err := put(t, s, []byte("x")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v: others can read it", name, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	s, path := directory(t)
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Abort(), w.Abort()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("Commit after Abort succeeded")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("Write after Abort succeeded")
	}
	if left := files(t, path); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}

func TestOpenSweepsTemporaries(t *testing.T) {
	s, path := directory(t)
	id, err := put(t, s, []byte("whole"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	d, err := blob.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	again := open(t, d)
	if left := files(t, path); len(left) != 1 {
		t.Errorf("files left: %v, want only the committed blob", left)
	}
	if got, err := get(again, id); err != nil || string(got) != "whole" {
		t.Errorf("get = %q, %v", got, err)
	}
}

func TestForeignIDsAreNoPaths(t *testing.T) {
	s, path := directory(t)
	if err := os.WriteFile(filepath.Join(path, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []blob.ID{"", "secret", "../secret", "00/../secret", blob.ID(strings.Repeat("g", 32)), blob.ID(strings.Repeat("A", 32)), blob.ID(strings.Repeat("a", 33))} {
		if _, err := s.Open(id); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Open(%q): %v", id, err)
		}
		if err := s.Delete(t.Context(), id); !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Delete(%q): %v", id, err)
		}
	}
	if got := list(t, s); len(got) > 0 {
		t.Errorf("List = %v", got)
	}
}

// TestPowerLoss loses power after every single call of a history of puts, deletes and an abort, in every
// way that a file system may, and wants committed blobs whole and others absent.
func TestPowerLoss(t *testing.T) {
	dry := blobtest.NewCrashFS(0)
	if acknowledged, deleted, err := history(t, dry); err != nil || len(acknowledged) != 3 || len(deleted) != 1 {
		t.Fatalf("dry run: %d kept, %d deleted, %v", len(acknowledged), len(deleted), err)
	}
	for n := 1; n <= dry.Calls(); n++ {
		for _, loss := range []blobtest.Loss{blobtest.LoseAll, blobtest.LoseData, blobtest.LoseNothing} {
			fsys := blobtest.NewCrashFS(n)
			acknowledged, deleted, err := history(t, fsys)
			if !fsys.Crashed() || (err == nil && n < dry.Calls()) {
				t.Fatalf("crash after call %d was not noticed: %v", n, err)
			}
			s := open(t, fsys.Restart(loss))
			for id, data := range acknowledged {
				if got, err := get(s, id); err != nil || !bytes.Equal(got, data) {
					t.Errorf("call %d, loss %d: committed blob is lost: %d bytes, %v", n, loss, len(got), err)
				}
			}
			for _, id := range deleted {
				if _, err := s.Open(id); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("call %d, loss %d: deleted blob is back: %v", n, loss, err)
				}
			}
			// A blob whose Commit did not return may be there, but only whole; its owner has no record of it.
			for _, id := range list(t, s) {
				if got, err := get(s, id); err != nil || !whole(got) {
					t.Errorf("call %d, loss %d: a torn blob of %d bytes is listed: %v", n, loss, len(got), err)
				}
			}
		}
	}
}

func content(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 100+i) }

func whole(data []byte) bool {
	return len(data) > 0 && bytes.Equal(data, content(int(data[0]-'a')))
}

// history puts four blobs, aborts one and deletes one; it returns what was acknowledged until it failed.
func history(t *testing.T, fsys blob.FileSystem) (kept map[blob.ID][]byte, deleted []blob.ID, err error) {
	t.Helper()
	kept = map[blob.ID][]byte{}
	s, err := blob.Open(t.Context(), fsys)
	if err != nil {
		return kept, nil, err
	}
	var first blob.ID
	for i := range 4 {
		id, err := put(t, s, content(i))
		if err != nil {
			return kept, nil, err
		}
		kept[id] = content(i)
		if i == 0 {
			first = id
		}
	}
	w, err := s.Create(t.Context())
	if err != nil {
		return kept, nil, err
	}
	if _, err := w.Write(content(5)); err != nil {
		return kept, nil, err
	}
	if err := w.Abort(); err != nil {
		return kept, nil, err
	}
	delete(kept, first) // once Delete has begun, either is right
	if err := s.Delete(t.Context(), first); err != nil {
		return kept, nil, err
	}
	return kept, []blob.ID{first}, nil
}

func TestDiskFull(t *testing.T) {
	for _, room := range []int64{0, 1, 50, 99} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			inner := blobtest.NewCrashFS(0)
			fsys := blobtest.NewFullFS(inner, 1000)
			s := open(t, fsys)
			fsys.SetRoom(room)
			if _, err := put(t, s, content(0)); !errors.Is(err, blob.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("put on a full disk: %v, want ErrFull", err)
			}
			if got := list(t, s); len(got) > 0 {
				t.Errorf("List = %v", got)
			}
			if names, err := inner.ReadDir("tmp"); err != nil || len(names) > 0 {
				t.Errorf("temporaries left: %v, %v", names, err)
			}
			fsys.SetRoom(1000)
			if _, err := put(t, s, content(0)); err != nil {
				t.Errorf("put after space was freed: %v", err)
			}
		})
	}
}
