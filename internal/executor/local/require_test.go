package local_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
)

// TestRequireCgroup: on a host without cgroups nothing is made where they are required.
func TestRequireCgroup(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("this is the ordinary user's run")
	}
	for _, required := range []bool{true, false} {
		done := make(chan struct{})
		go func() { // its thread, in a mount namespace of its own, ends with it
			defer close(done)
			runtime.LockOSThread()
			if err := hideCgroups(); err != nil {
				t.Error(err)
				return
			}
			e := local.New(t.Context(), local.Config{RequireCgroup: required})
			said := strings.HasPrefix(e.Report().Unavailable, "no cgroup limits what jobs use here")
			if said != required {
				t.Errorf("required: %v: %+v", required, e.Report())
			}
			if !required {
				return
			}
			if _, err := e.Create(t.Context(), executor.Spec{ID: "mcj-require"}); err == nil || !strings.Contains(err.Error(), "require_cgroup") {
				t.Errorf("Create: %v", err)
			}
		}()
		<-done
	}
}

// hideCgroups puts a file system without anything in it, read-only, over the cgroups that the calling thread sees.
func hideCgroups() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", unix.MS_RDONLY, "")
}
