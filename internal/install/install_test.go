package install_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/install"
)

func TestDefaultHome(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		euid int
		env  map[string]string
		want string
	}{
		{"root", 0, map[string]string{"XDG_DATA_HOME": "/x", "HOME": "/root"}, "/var/lib/cloister"},
		{"XDG", 1000, map[string]string{"XDG_DATA_HOME": "/x", "HOME": "/home/a"}, "/x/cloister"},
		{"home", 1000, map[string]string{"HOME": "/home/a"}, "/home/a/.local/share/cloister"},
		{"relative XDG", 1000, map[string]string{"XDG_DATA_HOME": "x", "HOME": "/home/a"}, "/home/a/.local/share/cloister"},
		{"nothing", 1000, nil, ""},
	}
	for _, tt := range tests {
		home, err := install.DefaultHome(tt.euid, func(key string) string { return tt.env[key] })
		if home.Dir() != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: DefaultHome = %q, %v, want %q", tt.name, home.Dir(), err, tt.want)
		}
	}
	if _, err := install.OpenHome("relative"); err == nil {
		t.Error("OpenHome of a relative path succeeded")
	}
}

func TestEngineInstall(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin") // without uv: pip is what the fake understands
	h := newFakeHost(t)
	if _, err := h.installer.Home.Engine(); !errors.Is(err, install.ErrNotInstalled) {
		t.Fatalf("Engine before = %v, want ErrNotInstalled", err)
	}
	e, err := h.installer.Engine(t.Context(), h.python)
	if err != nil {
		t.Fatal(err)
	}
	root, err := h.installer.Home.EngineRoot()
	if err != nil || e.Root != root {
		t.Errorf("Root = %s, want %s, %v", e.Root, root, err)
	}
	if e.Record.Torch != "2.15.0+fake" || e.Record.Python != "3.11.2" || e.Record.Installer != "pip" {
		t.Errorf("Record = %+v", e.Record)
	}
	pip := read(t, h.log)
	for _, want := range []string{"--no-deps", "--require-hashes", "--only-binary :all:", "engine.lock", "import.lock"} {
		if !strings.Contains(pip, want) {
			t.Errorf("pip was called without %q: %s", want, pip)
		}
	}
	if umask := strings.TrimSpace(read(t, h.log+".umask")); umask != "0022" {
		t.Errorf("pip ran with umask %s: other users could not read the environment", umask)
	}
	for _, script := range []string{"pip", "torchrun"} { // they would name the temporary folder
		if _, err := os.Stat(filepath.Join(root, "venv", "bin", script)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was left in bin: %v", script, err)
		}
	}
	main := filepath.Join(e.Source, "cloister_engine", "__main__.py")
	if info, err := os.Stat(main); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the source is not in place: %v, %v", info, err)
	}
	if !strings.Contains(strings.Join(h.said, "\n"), "Downloading torch") {
		t.Errorf("progress says nothing of downloads: %q", h.said)
	}
	if entries, err := os.ReadDir(filepath.Dir(root)); err != nil || len(entries) != 1 {
		t.Errorf("engines/ has %v, %v, want the environment only", entries, err)
	}

	// again: nothing is installed, whatever the interpreter
	if _, err := h.installer.Engine(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if again := read(t, h.log); again != pip {
		t.Errorf("the second installation called pip: %s", again)
	}
}

func TestEngineInstallFailsCleanlyAndGoesOn(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	h := newFakeHost(t)
	for _, fault := range []struct{ file, want string }{{".fail", "no route to host"}, {".broken", "libcublas"}} {
		write(t, h.log+fault.file, "")
		_, err := h.installer.Engine(t.Context(), h.python)
		if err == nil || !strings.Contains(err.Error(), fault.want) {
			t.Errorf("Engine = %v, want an error with %q", err, fault.want)
		}
		if entries, err := os.ReadDir(filepath.Join(h.installer.Home.Dir(), "engines")); err != nil || len(entries) != 0 {
			t.Errorf("after a failure engines/ has %v, %v", entries, err)
		}
	}
	if err := os.Remove(h.log + ".broken"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.installer.Engine(t.Context(), h.python); err != nil {
		t.Errorf("Engine after the failures = %v", err)
	}
	calls := strings.Split(strings.TrimSpace(read(t, h.log)), "\n")
	if len(calls) != 3 || calls[0] != calls[2] || !strings.Contains(calls[0], "--cache-dir "+filepath.Join(h.installer.Home.Dir(), "cache")) {
		t.Errorf("pip was called %q, want the same cache each time", calls)
	}
	if _, err := os.Stat(filepath.Join(h.installer.Home.Dir(), "cache")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cache was left behind: %v", err)
	}
}

func TestEngineRefusesChangedSource(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	h := newFakeHost(t)
	e, err := h.installer.Engine(t.Context(), h.python)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(e.Source, "cloister_engine", "run.py"), "import os\n")
	if _, err := h.installer.Home.Engine(); err == nil || !strings.Contains(err.Error(), "run.py") {
		t.Errorf("Engine with changed source = %v, want an error that names run.py", err)
	}
	if err := os.RemoveAll(e.Source); err != nil {
		t.Fatal(err)
	}
	again, err := h.installer.Home.Engine()
	if err != nil || again.Source != e.Source {
		t.Errorf("Engine without source = %+v, %v, want it placed again", again, err)
	}
	write(t, filepath.Join(e.Root, "engine.json"), "{}")
	if _, err := h.installer.Home.Engine(); err == nil || errors.Is(err, install.ErrNotInstalled) {
		t.Errorf("Engine with a damaged record = %v, want an error that says so", err)
	}
}

func TestInterpretersThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		replace []string
		euid    int
		want    string
	}{
		{"other version", []string{"VERSION", "3.12.1"}, 1000, "not CPython 3.11"},
		{"similar version", []string{"VERSION", "3.110.0"}, 1000, "not CPython 3.11"},
		{"PyPy", []string{"IMPL", "pypy"}, 1000, "not CPython 3.11"},
		{"no venv", []string{"VENV", "false"}, 1000, "python3-venv"},
		{"below a closed folder, as root", nil, 0, "is closed to others"},
		{"no Python", []string{"echo '{", "echo 'x{"}, 1000, "is not a Python"},
		{"does not run", []string{`"-I -c import json"*)`, `"never")`}, 1000, "does not run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t, tt.replace...)
			h.installer.Euid = tt.euid
			if err := os.Chmod(filepath.Dir(h.python), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := h.installer.Engine(t.Context(), h.python)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "install the packages python3 and python3-venv") {
				t.Errorf("Engine = %v, want a refusal with %q and what to install", err, tt.want)
			}
			if _, err := os.Stat(h.installer.Home.Dir()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a refusal made the home: %v", err)
			}
		})
	}
	h := newFakeHost(t)
	if _, err := h.installer.Engine(t.Context(), filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("Engine with a missing interpreter = %v", err)
	}
}

func TestMountsNameAnInterpreterOutsideUsr(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]int{"/usr": 1, "/usr/local": 1, "/opt/python": 2, "/usr2": 2} {
		e := install.Engine{Root: "/r", Record: install.Record{Prefix: prefix}}
		mounts := e.Mounts()
		if len(mounts) != want || mounts[0] != (executor.Mount{Source: "/r", Target: "/r"}) {
			t.Errorf("Mounts for %s = %v, want %d", prefix, mounts, want)
		}
	}
}

func TestSecondInstallationWaits(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	h := newFakeHost(t)
	release := make(chan struct{})
	held := make(chan struct{})
	h.installer.Say = func(line string) {
		if strings.HasPrefix(line, "making a virtual environment") {
			close(held)
			<-release
		}
	}
	first := make(chan error, 1)
	go func() {
		_, err := h.installer.Engine(t.Context(), h.python)
		first <- err
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	second := *h.installer
	second.Say = func(line string) {
		if strings.Contains(line, "waiting") {
			cancel()
		}
	}
	if _, err := second.Engine(ctx, h.python); !errors.Is(err, context.Canceled) {
		t.Errorf("the second installation = %v, want it to wait until its context ends", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if calls := strings.Count(read(t, h.log), "\n"); calls != 1 {
		t.Errorf("pip was called %d times, want once", calls)
	}
}

func TestCancelledInstallationLeavesNothing(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	h := newFakeHost(t, "noise 25", "noise 25; sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	h.installer.Say = func(line string) {
		if strings.HasPrefix(line, "installing") {
			cancel()
		}
	}
	if _, err := h.installer.Engine(ctx, h.python); !errors.Is(err, context.Canceled) {
		t.Errorf("Engine = %v, want context.Canceled", err)
	}
	root, err := h.installer.Home.EngineRoot()
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(root)); err != nil || len(entries) != 0 {
		t.Errorf("engines/ has %v, %v", entries, err)
	}
}
