//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/install"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/server"
	jobstage "example.com/cloister/internal/stage"
)

// account is a user of this host that the server becomes.
type account struct {
	name     string
	uid, gid int
}

// startHelper starts the privileged helper and, as root, gives up being root: the server becomes the user, who owns the data
// directory. An ordinary user's helper is root of a user namespace only.
func startHelper(ctx context.Context, log io.Writer, data string, config server.Config, home install.Home) (*netd.Client, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	setup := netd.Setup{AllowSwap: config.Sandbox.AllowSwap, RequireCgroup: config.RequireCgroup(), Rootless: os.Geteuid() != 0, Mounts: mounts(home, self)}
	var become *account
	if !setup.Rootless {
		if become, err = lookUp(config.User); err != nil {
			return nil, err
		}
		if err := own(data, *become); err != nil {
			return nil, err
		}
		setup.Group = become.gid
	}
	unix.Umask(0o022) // jobs read what the server leaves in their scratch
	socket, err := netd.Start(netd.Options{Rootless: setup.Rootless, Log: log})
	if err != nil {
		return nil, err
	}
	if become != nil {
		if err := become.drop(); err != nil {
			return nil, errors.Join(err, socket.Close())
		}
		if _, err := os.ReadDir(data); err != nil {
			return nil, errors.Join(usageErrorf("user %s cannot reach the data directory: %v: let others pass the folders above it (chmod o+x)", become.name, err), socket.Close())
		}
	}
	return netd.Connect(ctx, socket, setup)
}

// mounts are what sandboxes may see: engines, base models, this program, and the interpreter of the installed engine where it is not
// the system's.
func mounts(home install.Home, self string) []netd.Allowed {
	list := []netd.Allowed{
		{Root: filepath.Join(home.Dir(), "engines")}, {Root: filepath.Join(home.Dir(), "models"), Target: engine.BasePath}, {Root: self, Target: jobstage.Path},
	}
	if found, err := home.Engine(); err == nil {
		for _, m := range found.Mounts() {
			list = append(list, netd.Allowed{Root: m.Source, Target: m.Target})
		}
	}
	return list
}

// lookUp finds the user that the server becomes.
func lookUp(name string) (*account, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return nil, usageErrorf("serve runs as root, and gives that up for user %s, who does not exist: make one with\n  useradd --system --user-group --no-create-home --shell /usr/sbin/nologin %s\nor name another with --user", name, name)
	}
	a := &account{name: name}
	if a.uid, err = strconv.Atoi(found.Uid); err == nil {
		a.gid, err = strconv.Atoi(found.Gid)
	}
	if err == nil && (a.uid == 0 || a.gid == 0) {
		err = usageErrorf("--user %s is root, or of root's group: the server must not be", name)
	}
	return a, err
}

// own makes the data directory the user's, if it is new, and refuses one that is not.
func own(data string, a account) error {
	info, err := os.Lstat(data)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil { //nolint:gosec // the user must pass it
			return err
		}
		return errors.Join(os.Mkdir(data, 0o700), os.Chown(data, a.uid, a.gid))
	}
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return usageErrorf("%s is not a directory", data)
	}
	if int(stat.Uid) != a.uid {
		return usageErrorf("the data directory %s belongs to user id %d, and the server runs as %s: give it to the user with\n  chown -R %s: %s", data, stat.Uid, a.name, a.name, data)
	}
	return nil
}

// drop gives up being root for good: groups, ids, and with them every capability.
func (a account) drop() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	// Of all threads; the order matters: without the user id nothing else may be changed.
	if err := errors.Join(syscall.Setgroups([]int{a.gid}), syscall.Setresgid(a.gid, a.gid, a.gid), syscall.Setresuid(a.uid, a.uid, a.uid)); err != nil {
		return fmt.Errorf("become user %s: %w", a.name, err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	// A process that has changed its ids cannot open its own descriptors below /proc, which scratches are reached by.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	if syscall.Setuid(0) == nil {
		return errors.New("root could be taken back: the server does not start")
	}
	return nil
}
