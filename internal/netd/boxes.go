package netd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/executor"
)

// allowed refuses mounts of anything but what the set-up named.
func (s *Server) allowed(mounts []executor.Mount) error {
	for _, m := range mounts {
		if !slices.ContainsFunc(s.mounts, func(a Allowed) bool { return a.holds(m) }) {
			return fmt.Errorf("netd: %s at %s is not of what sandboxes may see", m.Source, m.Target)
		}
	}
	return nil
}

// holds says that a mount is of the folder or file, without any link below its root.
func (a Allowed) holds(m executor.Mount) bool {
	rest, below := strings.CutPrefix(m.Source, strings.TrimSuffix(a.Root, "/"))
	if !below || rest != "" && rest[0] != '/' || filepath.Clean(m.Source) != m.Source || m.Target != cmp.Or(a.Target, m.Source) {
		return false
	}
	root, err := unix.Open(a.Root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(root) }()
	if rest == "" {
		return true
	}
	fd, err := unix.Openat2(root, rest[1:], &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return false
	}
	return unix.Close(fd) == nil
}

func (s *Server) create(ctx context.Context, spec executor.Spec) (any, []*os.File, error) {
	if err := s.allowed(spec.Mounts); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	_, twice := s.boxes[spec.ID]
	if !twice {
		s.boxes[spec.ID] = nil // the name is taken
	}
	s.mu.Unlock()
	if twice {
		return nil, nil, fmt.Errorf("netd: there is a sandbox %s already", spec.ID)
	}
	made, err := s.local.Create(ctx, spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.boxes, spec.ID)
		return nil, nil, err
	}
	s.boxes[spec.ID] = &held{Sandbox: made}
	dir, err := made.Scratch().Open(".")
	if err != nil {
		delete(s.boxes, spec.ID)
		return nil, nil, errors.Join(err, made.Destroy(context.WithoutCancel(ctx)))
	}
	return struct{}{}, []*os.File{dir}, nil
}

func (s *Server) box(id string) (*held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boxes[id]
	if b == nil {
		return nil, fmt.Errorf("netd: there is no sandbox %s", id)
	}
	return b, nil
}

func (s *Server) runProcess(ctx context.Context, p process, files []*os.File) (executor.Exit, error) {
	b, err := s.box(p.Box)
	if err != nil {
		return executor.Exit{}, err
	}
	out := executor.Process{Argv: p.Argv, Env: p.Env, Dir: p.Dir}
	take := func(there bool) *os.File {
		if !there || len(files) == 0 {
			return nil
		}
		f := files[0]
		files = files[1:]
		return f
	}
	if f := take(p.Stdout); f != nil {
		out.Stdout = f
	}
	if f := take(p.Stderr); f != nil {
		out.Stderr = f
	}
	out.Control = take(p.Control)
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	b.mu.Lock()
	b.run, b.cancel = p.Run, cancel
	if b.killed == p.Run {
		cancel()
	}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.cancel = nil
		b.mu.Unlock()
	}()
	return b.Run(running, out)
}

// kill ends a run in the sandbox, or whatever runs for run 0; one that has not begun will end at once.
func (b *held) kill(run uint64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed = run
	if b.cancel != nil && (run == 0 || run == b.run) {
		b.cancel()
	}
}

func (s *Server) kill(id string, run uint64) error {
	b, err := s.box(id)
	if err != nil {
		return err
	}
	b.kill(run)
	return nil
}

// destroy is idempotent: a sandbox that is not there is destroyed.
func (s *Server) destroy(ctx context.Context, id string) error {
	b, err := s.box(id)
	if err != nil {
		return nil
	}
	if err := b.Destroy(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.boxes, id)
	return nil
}
