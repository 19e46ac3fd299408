package blob_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"example.com/cloister/internal/blob"
)

// TestRealDiskFull fills a real file system. It needs root to mount one.
func TestRealDiskFull(t *testing.T) {
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must be able to mount a tmpfs: %v", err)
		}
		t.Skipf("needs root and CAP_SYS_ADMIN to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	d, err := blob.OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	s := open(t, d)
	if _, err := put(t, s, make([]byte, 2<<20)); !errors.Is(err, blob.ErrFull) {
		t.Fatalf("put of 2 MiB on a disk of 1 MiB: %v, want ErrFull", err)
	}
	if left := files(t, path); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	if _, err := put(t, s, make([]byte, 64<<10)); err != nil {
		t.Errorf("a blob that fits: %v", err)
	}
}
