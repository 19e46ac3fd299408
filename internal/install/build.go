package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	source "example.com/cloister/engine"
	"example.com/cloister/internal/engine"
)

// Installer makes environments and models in a home.
type Installer struct {
	Home Home
	// Say receives progress, one line each.
	Say func(line string)
	// Now is the clock for records and manifests.
	Now func() time.Time
	// Euid is the effective user: as root, jobs run as somebody else, who must reach what they use.
	Euid int
}

// Engine makes the environment that this binary needs, on the interpreter at python or, if that is empty, on
// the first suitable one, and returns it. An environment that is there is kept, whatever it was built on. What
// was downloaded before an interruption is used again.
func (i *Installer) Engine(ctx context.Context, python string) (Engine, error) {
	found, err := findPython(ctx, python, i.Euid)
	if err != nil && python != "" {
		return Engine{}, err // even if the environment is there: the operator named this one
	}
	unlock, lockErr := i.Home.lock(ctx, i.Say)
	if lockErr != nil {
		return Engine{}, lockErr
	}
	defer unlock() //nolint:errcheck // closing the lock file releases it; nothing was written to it
	e, missing := i.Home.Engine()
	if missing == nil {
		i.Say("the engine is installed: " + e.Root)
		return e, compileSource(ctx, e)
	}
	if !errors.Is(missing, ErrNotInstalled) {
		return Engine{}, missing
	}
	if err != nil {
		return Engine{}, err
	}
	root, err := i.Home.EngineRoot()
	if err != nil {
		return Engine{}, err
	}
	if err := i.build(ctx, found, root); err != nil {
		return Engine{}, fmt.Errorf("install engine: %w", err)
	}
	e, err = i.Home.Engine()
	if err != nil {
		return Engine{}, err
	}
	if err := compileSource(ctx, e); err != nil {
		return Engine{}, err
	}
	i.Say("the engine is installed: " + e.Root)
	return e, nil
}

// build makes the environment beside its place and moves it there when it works.
func (i *Installer) build(ctx context.Context, python interpreter, root string) error {
	temp := filepath.Join(filepath.Dir(root), ".building-"+filepath.Base(root))
	if err := os.RemoveAll(temp); err != nil { // of an interrupted run; we hold the lock
		return err
	}
	if err := makeDir(temp); err != nil {
		return err
	}
	record, err := i.fill(ctx, python, temp, filepath.Base(root))
	if err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(temp, recordName), append(data, '\n')); err != nil {
		return err
	}
	if err := os.Rename(temp, root); err != nil {
		return err
	}
	return os.RemoveAll(i.Home.cache())
}

func (i *Installer) fill(ctx context.Context, python interpreter, temp, key string) (Record, error) {
	venv := filepath.Join(temp, "venv")
	i.Say(fmt.Sprintf("making a virtual environment with %s (Python %s)", python.Path, python.Version))
	if err := (&command{argv: []string{python.Path, "-m", "venv", venv}}).run(ctx); err != nil {
		return Record{}, err
	}
	locks, err := writeLocks(temp)
	if err != nil {
		return Record{}, err
	}
	interpreter := filepath.Join(venv, "bin", "python")
	install, installer := installCommand(interpreter, i.Home.cache(), locks)
	install.say = i.Say
	i.Say("installing the engine's packages with " + installer + ": 2.6 GB to download on x86-64, 4.5 GB on disk")
	if err := install.run(ctx); err != nil {
		return Record{}, err
	}
	if err := dropScripts(filepath.Join(venv, "bin")); err != nil {
		return Record{}, err
	}
	i.Say("trying the environment")
	var version strings.Builder
	check := &command{
		argv: []string{interpreter, "-I", "-c", "import torch, transformers, peft, accelerate, gguf; print(torch.__version__)"},
		env:  engine.Env(1, ""), dir: temp, out: &version,
	}
	if err := check.run(ctx); err != nil {
		return Record{}, fmt.Errorf("the new environment does not work: %w", err)
	}
	return Record{
		Version: engine.Version, Key: key, Interpreter: python.Path, Prefix: python.Prefix, Python: python.Version,
		Torch: strings.TrimSpace(version.String()), Installer: installer, Created: i.Now().UTC().Truncate(time.Second),
	}, nil
}

func writeLocks(temp string) ([]string, error) {
	files, err := source.Locks()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range []string{"engine.lock", "import.lock"} {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read embedded lock: %w", err)
		}
		path := filepath.Join(temp, name)
		if err := writeFile(path, data); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// installCommand installs locks into an environment: by uv if it is there, since it is three times as fast,
// else by the environment's own pip. Every file must have a hash in the locks, and nothing is built.
func installCommand(python, cache string, locks []string) (*command, string) {
	var argv []string
	installer := "pip"
	if uv, err := exec.LookPath("uv"); err == nil {
		installer = "uv"
		argv = []string{
			uv, "pip", "install", "--python", python, "--compile-bytecode", "--cache-dir", filepath.Join(cache, "uv"),
		}
	} else {
		argv = []string{
			python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
			"--cache-dir", filepath.Join(cache, "pip"),
		}
	}
	argv = append(argv, "--no-deps", "--require-hashes", "--only-binary", ":all:")
	for _, lock := range locks {
		argv = append(argv, "-r", lock)
	}
	return &command{argv: argv}, installer
}

// dropScripts removes the packages' programs: they name the temporary folder, and jobs run none of them.
func dropScripts(bin string) error {
	entries, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "python") {
			if err := os.Remove(filepath.Join(bin, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// threads is the number of processors of this host.
func threads() int { return runtime.NumCPU() }
