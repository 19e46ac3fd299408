package netd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/cloister/internal/executor"
)

// allowed refuses mounts of anything but what the set-up named.
func (s *Server) allowed(mounts []executor.Mount) error {
	for _, m := range mounts {
		below := func(root string) bool {
			return m.Source == root || strings.HasPrefix(m.Source, strings.TrimSuffix(root, "/")+"/")
		}
		if filepath.Clean(m.Source) != m.Source || !slices.ContainsFunc(s.mounts, below) {
			return fmt.Errorf("netd: %s is not of what sandboxes may see", m.Source)
		}
	}
	return nil
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
		return nil, nil, err
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
