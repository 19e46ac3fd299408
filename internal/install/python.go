package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pythonVersion is the only version that the locks have hashes for.
const pythonVersion = "3.11"

// wanted tells an operator what to do; no interpreter is ever downloaded.
const wanted = "install the packages python3 and python3-venv (Debian 12: 'apt-get install python3 python3-venv';" +
	" elsewhere python3.11 and python3.11-venv), or name another CPython 3.11 with --python PATH"

// interpreter is a Python that passed.
type interpreter struct {
	Path    string // as found, absolute
	Prefix  string // sys.base_prefix, the installation's root
	Version string // such as 3.11.2
}

// probe prints what decides; -I keeps the caller's environment and folder out of it.
const probe = `import json, sys, os
try:
    import venv, ensurepip
    has_venv = True
except ImportError:
    has_venv = False
print(json.dumps({"implementation": sys.implementation.name, "version": "%d.%d.%d" % sys.version_info[:3],
    "executable": os.path.realpath(sys.executable), "prefix": os.path.realpath(sys.base_prefix),
    "library": os.path.dirname(os.path.realpath(os.__file__)), "venv": has_venv}))`

const probeTimeout = 30 * time.Second

// findPython returns the interpreter at path, or, if path is empty, the first suitable one: the
// distribution's before those on PATH, which version managers like to put below one user's home.
func findPython(ctx context.Context, path string, euid int) (interpreter, error) {
	candidates := []string{path}
	if path == "" {
		candidates = []string{"/usr/bin/python" + pythonVersion, "/usr/bin/python3"}
		for _, name := range []string{"python" + pythonVersion, "python3"} {
			if found, err := exec.LookPath(name); err == nil {
				candidates = append(candidates, found)
			}
		}
	}
	var refusals []error
	for _, candidate := range slices.Compact(candidates) {
		found, err := checkPython(ctx, candidate, euid)
		if err == nil {
			return found, nil
		}
		refusals = append(refusals, fmt.Errorf("%s: %w", candidate, err))
	}
	return interpreter{}, fmt.Errorf("no usable Python %s:\n%w\n%s", pythonVersion, errors.Join(refusals...), wanted)
}

func checkPython(ctx context.Context, path string, euid int) (interpreter, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return interpreter{}, err
	}
	if _, err := os.Stat(path); err != nil {
		return interpreter{}, errors.New("not there")
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-I", "-c", probe).Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("does not run: %w", err)
	}
	var got struct {
		Implementation, Version, Executable, Prefix, Library string
		Venv                                                 bool
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return interpreter{}, errors.New("is not a Python")
	}
	if got.Implementation != "cpython" || !strings.HasPrefix(got.Version, pythonVersion+".") {
		return interpreter{}, fmt.Errorf("is %s %s, not CPython %s", got.Implementation, got.Version, pythonVersion)
	}
	if euid == 0 { // jobs run as another user; without root they run as this one
		for _, needed := range []string{path, got.Executable, got.Prefix, got.Library} {
			if closed := closedFolder(needed); closed != "" {
				return interpreter{}, fmt.Errorf("cannot be used by the jobs' user: %s is closed to others", closed)
			}
		}
	}
	if !got.Venv {
		return interpreter{}, errors.New("has no venv and ensurepip: on Debian they are in python3-venv")
	}
	return interpreter{Path: path, Prefix: got.Prefix, Version: got.Version}, nil
}

// closedFolder returns the first folder on the way to path, itself included, that other users cannot pass.
func closedFolder(path string) string {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
