package install_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/install"
)

// fakePython is a shell script that behaves like the parts of CPython and pip that an installation uses. It
// is the interpreter of the environments that it makes, and writes down how pip was called.
const fakePython = `#!/bin/sh
self=$0
case "$*" in
"-I -c import json"*) echo '{"implementation":"IMPL","version":"VERSION","executable":"/bin/sh","prefix":"PREFIX","library":"/usr/lib","venv":VENV}' ;;
"-m venv "*)
	mkdir -p "$3/bin" && cp "$self" "$3/bin/python" && touch "$3/bin/pip" "$3/bin/torchrun" ;;
"-m pip install "*)
	umask >"LOG.umask"
	echo "$*" >>"LOG"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do echo "noise $i"; done
	echo "  Downloading torch-2.15.0.whl (539 MB)"
	if [ -e "LOG.fail" ]; then rm "LOG.fail"; echo "no route to host" >&2; exit 3; fi ;;
"-I -c import torch"*) if [ -e "LOG.broken" ]; then echo "libcublas.so.13: cannot open" >&2; exit 1; fi; echo 2.15.0+fake ;;
"-m compileall "*) : ;;
*) echo "fake python: unexpected: $*" >&2; exit 9 ;;
esac
`

type fakeHost struct {
	installer *install.Installer
	python    string // the fake interpreter
	log       string // how pip was called
	said      []string
}

func newFakeHost(t *testing.T, replace ...string) *fakeHost {
	t.Helper()
	dir := t.TempDir()
	h := &fakeHost{python: filepath.Join(dir, "python3.11"), log: filepath.Join(dir, "pip.log")}
	pairs := append(replace, "IMPL", "cpython", "VERSION", "3.11.2", "PREFIX", "/usr", "VENV", "true", "LOG", h.log)
	writeScript(t, h.python, strings.NewReplacer(pairs...).Replace(fakePython))
	home, err := install.OpenHome(filepath.Join(dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	h.installer = &install.Installer{
		Home: home, Euid: 1000, Say: func(line string) { h.said = append(h.said, line) },
		Now: func() time.Time { return time.Unix(1700000000, 0) },
	}
	return h
}

func writeScript(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fakeExecutor runs act in place of the engine.
type fakeExecutor struct {
	dir string
	act func(spec engine.Spec, out *os.Root, events *engine.Encoder, control *os.File) int

	mu      sync.Mutex // guards what follows
	created []executor.Spec
	alive   int
}

func (f *fakeExecutor) Create(_ context.Context, spec executor.Spec) (executor.Sandbox, error) {
	dir, err := os.MkdirTemp(f.dir, "scratch-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, spec)
	f.alive++
	return &fakeBox{f, root, dir}, nil
}

func (f *fakeExecutor) Report() executor.Report { return executor.Report{Mode: "root"} }

type fakeBox struct {
	f    *fakeExecutor
	root *os.Root
	dir  string
}

func (b *fakeBox) Scratch() *os.Root { return b.root }

func (b *fakeBox) Run(ctx context.Context, p executor.Process) (executor.Exit, error) {
	data, err := b.root.ReadFile(filepath.Base(engine.SpecPath))
	if err != nil {
		return executor.Exit{}, err
	}
	spec, err := engine.DecodeSpec(data)
	if err != nil {
		return executor.Exit{}, err
	}
	if err := b.root.Mkdir("output", 0o700); err != nil {
		return executor.Exit{}, err
	}
	out, err := b.root.OpenRoot("output")
	if err != nil {
		return executor.Exit{}, err
	}
	code := b.f.act(spec, out, engine.NewEncoder(p.Control, time.Now), p.Control)
	return executor.Exit{Code: code}, errors.Join(out.Close(), ctx.Err())
}

func (b *fakeBox) Destroy(context.Context) error {
	b.f.mu.Lock()
	defer b.f.mu.Unlock()
	b.f.alive--
	return errors.Join(b.root.Close(), os.RemoveAll(b.dir))
}
