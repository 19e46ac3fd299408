//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServersUser: who the server becomes must exist and not be root, and the data directory must be the user's; the errors are wrong
// usage, and have the command that helps.
func TestServersUser(t *testing.T) {
	t.Parallel()
	wrong := func(err error, want ...string) {
		t.Helper()
		exit, ok := errors.AsType[*exitError](err)
		if !ok || exit.code != 2 {
			t.Fatalf("got %v, want wrong usage", err)
		}
		for _, text := range want {
			if !strings.Contains(exit.message, text) {
				t.Errorf("%q does not say %q", exit.message, text)
			}
		}
	}
	_, err := lookUp("no-such-user")
	wrong(err, "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin no-such-user", "--user")
	_, err = lookUp("root")
	wrong(err, "the server must not be")

	dir := t.TempDir()
	mine, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := mine.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	other := account{name: "somebody", uid: int(stat.Uid) + 1, gid: int(stat.Gid)}
	wrong(own(dir, other), "chown -R somebody: "+dir)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wrong(own(file, other), "is not a directory")
	if err := own(dir, account{name: "me", uid: int(stat.Uid), gid: int(stat.Gid)}); err != nil {
		t.Error(err)
	}
	if os.Geteuid() != 0 {
		return // only root gives a new directory away
	}
	made := filepath.Join(dir, "a", "data")
	if err := own(made, other); err != nil {
		t.Fatal(err)
	}
	if err := own(made, other); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if info, err := os.Stat(made); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the new directory has mode %v, %v", info.Mode(), err)
	}
}
