package install_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"example.com/cloister/internal/executor"
)

// plain is an executor for these tests: a mount and network namespace and a chroot, so that the paths are
// those of the sandbox and there is no network, and nothing else that isolates. It needs root.
type plain struct {
	dir string // for roots and scratches

	mu   sync.Mutex // guards last
	last executor.Spec
}

func (p *plain) Create(_ context.Context, spec executor.Spec) (executor.Sandbox, error) {
	p.mu.Lock()
	p.last = spec
	p.mu.Unlock()
	root, err := os.MkdirTemp(p.dir, "root-")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(p.dir, "scratch-")
	if err != nil {
		return nil, err
	}
	scratch, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &plainBox{spec: spec, root: root, dir: dir, scratch: scratch}, nil
}

func (p *plain) Report() executor.Report {
	return executor.Report{Mode: "root", Weaker: []string{"only for tests"}}
}

type plainBox struct {
	spec      executor.Spec
	root, dir string
	scratch   *os.Root
}

func (b *plainBox) Scratch() *os.Root { return b.scratch }

// script builds the root in a mount namespace of its own, which goes with the process.
const script = `set -e
root=$1 scratch=$2; shift 2
for dir in bin lib lib64; do [ -e "$root/$dir" ] || ln -s "usr/$dir" "$root/$dir"; done
mkdir -p "$root/usr" "$root/scratch" "$root/proc" "$root/dev/shm"
mount --bind /usr "$root/usr"
mount --bind "$scratch" "$root/scratch"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/dev/shm"
for dev in null zero urandom; do touch "$root/dev/$dev"; mount --bind "/dev/$dev" "$root/dev/$dev"; done
while [ "$1" != -- ]; do mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro "$root$2"; shift 2; done
shift
exec chroot "$root" /usr/bin/env -i -C /scratch "$@"`

func (b *plainBox) Run(ctx context.Context, p executor.Process) (executor.Exit, error) {
	argv := []string{"--mount", "--net", "--", "/bin/sh", "-c", script, "sh", b.root, b.dir}
	for _, m := range b.spec.Mounts {
		argv = append(argv, m.Source, m.Target)
	}
	argv = append(argv, "--")
	argv = append(append(argv, p.Env...), p.Argv...)
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	cmd.WaitDelay = 5 * time.Second
	if p.Control != nil {
		cmd.ExtraFiles = []*os.File{p.Control}
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		return executor.Exit{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return executor.Exit{}, fmt.Errorf("run: %w", err)
	}
	return executor.Exit{Code: cmd.ProcessState.ExitCode()}, nil
}

func (b *plainBox) Destroy(context.Context) error {
	if !strings.Contains(filepath.Base(b.dir), "scratch-") {
		return errors.New("not a scratch")
	}
	return errors.Join(b.scratch.Close(), os.RemoveAll(b.dir), os.RemoveAll(b.root))
}
