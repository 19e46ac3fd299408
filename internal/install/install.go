// Package install puts on this machine what customization jobs need and the binary cannot carry: the Python
// environment of the training engine, the engine's embedded source, and base models. Everything lives below
// one data home, outside any server's --data, and is shared by all servers of the machine.
//
// It is not a package manager: what it installs is fixed by hash in this binary. The network is used only
// here, by pip or uv, and only when an operator asks for it; servers and jobs never download.
//
// What a reader must know: environments appear by rename and are never changed, so a running server keeps
// what it uses. One lock file per home keeps two installations apart.
package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.com/cloister/internal/basemodel"
)

// ErrNotInstalled says that the engine's environment is missing. Its text tells what to run.
var ErrNotInstalled = errors.New("the training engine is not installed: run 'cloister engine install'")

// Home is the data home: engines/, models/ and, while something is being installed, cache/.
type Home struct {
	dir string
}

// DefaultHome is /var/lib/cloister for root, else $XDG_DATA_HOME/cloister or ~/.local/share/cloister.
func DefaultHome(euid int, getenv func(string) string) (Home, error) {
	if euid == 0 {
		return Home{"/var/lib/cloister"}, nil
	}
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) { // the specification: relative paths are ignored
		return Home{filepath.Join(dir, "cloister")}, nil
	}
	if dir := getenv("HOME"); filepath.IsAbs(dir) {
		return Home{filepath.Join(dir, ".local", "share", "cloister")}, nil
	}
	return Home{}, errors.New("find data home: set HOME or XDG_DATA_HOME to an absolute path")
}

// OpenHome is a home at another place, an absolute path.
func OpenHome(dir string) (Home, error) {
	if !filepath.IsAbs(dir) {
		return Home{}, fmt.Errorf("data home %q is not an absolute path", dir)
	}
	return Home{filepath.Clean(dir)}, nil
}

// Dir is the home's folder.
func (h Home) Dir() string { return h.dir }

// ServerData is the default --data of a server.
func (h Home) ServerData() string { return filepath.Join(h.dir, "data") }

// Models opens the registry of base models.
func (h Home) Models() (*basemodel.Registry, error) {
	return basemodel.Open(filepath.Join(h.dir, "models"))
}

func (h Home) engines() string { return filepath.Join(h.dir, "engines") }

func (h Home) cache() string { return filepath.Join(h.dir, "cache") }

// lockPoll is how often a waiting installation tries again.
const lockPoll = 250 * time.Millisecond

// lock takes the home's lock, waiting while another process installs, and returns what releases it. The
// kernel releases it too when the process dies.
func (h Home) lock(ctx context.Context, say func(string)) (func() error, error) {
	if err := makeDir(h.dir); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(h.dir, ".install.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	waiting := false
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
		}
		if !waiting {
			say("another installation is running: waiting for it")
			waiting = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPoll):
		}
	}
}

// makeDir makes a folder that everyone can read, whatever the umask: jobs may run as another user.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // G301: nothing secret is below it
		return fmt.Errorf("make folder: %w", err)
	}
	return os.Chmod(dir, 0o755) //nolint:gosec // G302: as above
}
