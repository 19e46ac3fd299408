// Package e2e has scenarios with the real program and the stock clients: the aws CLI and boto3, with the real
// engine on the tiny base model. Each is a script in testdata.
//
// The clients are found on PATH, or in the folder that CLOISTER_CLIENTS names, and moto, an emulator of AWS for the
// auditor, in the Python that CLOISTER_MOTO names. With CI set, a scenario that lacks
// what it needs fails; else it is skipped and says so.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// readyIn bounds the start of a server, and its end: machines are shared.
const readyIn = 60 * time.Second

// build builds the program, once for all scenarios.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "bin")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "example.com/cloister/cmd/cloister")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// need skips a scenario on a machine that lacks something, and fails it in CI.
func need(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing (make setup installs it): %v", what, err)
	default:
		t.Skipf("SKIPPED: %s is missing (make setup installs it): %v", what, err)
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	path := build(t) + ":" + os.Getenv("PATH")
	if clients := os.Getenv("CLOISTER_CLIENTS"); clients != "" {
		path = clients + ":" + path
	}
	env := append(os.Environ(), "PATH="+path)
	works := func(name string, args ...string) error {
		found, err := lookPath(path, name)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(t.Context(), found, args...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	}
	t.Run("program", func(t *testing.T) {
		t.Parallel()
		scripts(t, path, "testdata/program")
	})
	t.Run("clients", func(t *testing.T) {
		t.Parallel()
		need(t, "the aws CLI", works("aws", "--version"))
		need(t, "boto3", works("python3", "-c", "import boto3"))
		scripts(t, path, "testdata/clients")
	})
	t.Run("audit", func(t *testing.T) {
		t.Parallel()
		need(t, "the aws CLI", works("aws", "--version"))
		need(t, "moto", hasMoto())
		scripts(t, path, "testdata/audit")
	})
	t.Run("readme", func(t *testing.T) {
		t.Parallel()
		need(t, "moto", hasMoto())
		readme(t, path)
	})
	t.Run("engine", func(t *testing.T) {
		t.Parallel()
		need(t, "the aws CLI", works("aws", "--version"))
		need(t, "the training engine", works("cloister", "engine", "status"))
		need(t, "the tiny base model", works("cloister", "models", "show", "cloister.tiny-v1:0"))
		need(t, "a way to isolate jobs", works("cloister", "doctor"))
		scripts(t, path, "testdata/engine")
	})
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		need(t, "the aws CLI", works("aws", "--version"))
		need(t, "the training engine", works("cloister", "engine", "status"))
		need(t, "the tiny base model", works("cloister", "models", "show", "cloister.tiny-v1:0"))
		need(t, "a way to attach jobs to VPCs", works("cloister", "doctor"))
		t.Run("as we are", func(t *testing.T) {
			t.Parallel()
			scripts(t, path, "testdata/crash")
		})
		if os.Geteuid() == 0 {
			t.Run("as an ordinary user", func(t *testing.T) {
				t.Parallel()
				scripts(t, path, "testdata/crash", asOrdinary)
			})
		}
	})
}

// lookPath finds a program on a PATH that is not this process's.
func lookPath(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// scripts runs the scripts of a folder, after a set-up of their own.
func scripts(t *testing.T, path, dir string, setUp ...func(*testscript.Env) error) {
	t.Helper()
	servers := &servers{}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			if err := reachable(e.WorkDir); err != nil {
				return err
			}
			home := filepath.Join(e.WorkDir, "home")
			if err := os.Mkdir(home, 0o700); err != nil {
				return err
			}
			e.Setenv("PATH", path)
			e.Setenv("HOME", home)
			e.Setenv("AWS_PAGER", "")
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("XDG_DATA_HOME", dataHome()) // of the user who runs the tests: engine and models are there
			servers.before.Store(e.WorkDir, ofHost())
			for _, f := range setUp {
				if err := f(e); err != nil {
					return err
				}
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "rootless" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return len(setUp) > 0 || os.Geteuid() != 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": servers.serve, "shut": servers.shut, "sigkill": servers.sigkill, "hold": servers.hold, "gone": servers.gone, "tamper": servers.tamper, "use": use, "status": status, "records": records, "within": within,
			"moto": moto, "results": results,
		},
	})
}

func dataHome() string {
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share")
}

// servers are those that scripts have started, by the script's work folder and the server's name.
type servers struct {
	running sync.Map
	jobs    sync.Map // of them, which hold has seen
	before  sync.Map // what the host had, by the script's work folder
}

type process struct {
	cmd   *exec.Cmd
	ended chan error
	log   *bytes.Buffer
}

// serve NAME ARGS... starts `cloister serve ARGS...` and waits until it is ready. It sets NAME_URL, NAME_ADMIN
// and NAME_DATA, and ends the server, which must end well, with the script.
func (s *servers) serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME ARGS...")
	}
	name := args[0]
	found, err := lookPath(ts.Getenv("PATH"), "cloister")
	ts.Check(err)
	cmd := exec.Command(found, append([]string{"serve"}, args[1:]...)...) //nolint:noctx // the script's end ends it
	cmd.Dir = ts.Getenv("WORK")
	if ts.Getenv(ordinaryVariable) != "" {
		cmd.SysProcAttr = ordinaryUser()
	} else {
		ts.Check(giveData(ts.Getenv("WORK"), args))
	}
	for _, v := range []string{"PATH", "HOME", "XDG_DATA_HOME", "TMPDIR"} {
		cmd.Env = append(cmd.Env, v+"="+ts.Getenv(v))
	}
	p := &process{cmd: cmd, ended: make(chan error, 1), log: &bytes.Buffer{}}
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		if lines.Scan() {
			ready <- lines.Text()
		}
		for lines.Scan() { // nothing more is expected
		}
		p.ended <- cmd.Wait()
	}()
	select {
	case line := <-ready:
		var url, data, admin string
		line = strings.NewReplacer("(data ", "", ",", "", ")", "").Replace(line)
		if _, err := fmt.Sscanf(line, "ready %s %s admin %s", &url, &data, &admin); err != nil {
			ts.Fatalf("serve: unexpected line %q: %v", line, err)
		}
		ts.Setenv(name+"_URL", url)
		ts.Setenv(name+"_ADMIN", admin)
		ts.Setenv(name+"_DATA", data)
	case err := <-p.ended:
		ts.Fatalf("serve ended: %v\n%s", err, p.log)
	case <-time.After(readyIn):
		_ = cmd.Process.Kill()
		ts.Fatalf("serve is not ready after %v\n%s", readyIn, p.log)
	}
	s.running.Store(ts.Getenv("WORK")+" "+name, p)
	ts.Defer(func() {
		if _, still := s.running.LoadAndDelete(ts.Getenv("WORK") + " " + name); still {
			if err := p.end(); err != nil {
				ts.Logf("server %s: %v\n%s", name, err, p.log)
			}
		}
	})
}

// shut NAME ends a server, which must end well.
func (s *servers) shut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shut NAME")
	}
	p, ok := s.running.LoadAndDelete(ts.Getenv("WORK") + " " + args[0])
	if !ok {
		ts.Fatalf("no server %s runs", args[0])
	}
	ts.Check(p.(*process).end())
}

// sigkill NAME [PART] kills a server with SIGKILL, or its netd, or the init or the worker of the job that is held.
func (s *servers) sigkill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sigkill NAME [netd|init|worker]")
	}
	if len(args) == 2 {
		s.killPart(ts, args[0], args[1])
		return
	}
	p := s.process(ts, args[0])
	s.running.Delete(ts.Getenv("WORK") + " " + args[0])
	ts.Check(p.cmd.Process.Kill())
	if j, ok := s.jobs.Load(ts.Getenv("WORK") + " " + args[0]); ok {
		j.(*job).killed = time.Now()
	}
	if err := <-p.ended; err == nil {
		ts.Fatalf("the server ended well although it was killed")
	}
}

func (s *servers) process(ts *testscript.TestScript, name string) *process {
	found, ok := s.running.Load(ts.Getenv("WORK") + " " + name)
	if !ok {
		ts.Fatalf("no server %s runs", name)
	}
	return found.(*process)
}

func (p *process) end() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%w\n%s", err, p.log)
		}
		return nil
	case <-time.After(readyIn):
		return errors.Join(fmt.Errorf("the server does not end within %v\n%s", readyIn, p.log), p.cmd.Process.Kill())
	}
}

// use DATA takes over what `cloister env --data DATA` exports.
func use(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: use DATA")
	}
	ts.Check(ts.Exec("cloister", "env", "--data", args[0]))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if assignment, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			name, value, _ := strings.Cut(assignment, "=")
			ts.Setenv(name, strings.Trim(value, "'"))
		}
	}
}

// status N PROGRAM ARGS... runs a program that must end with exit status N; `stdout` and `stderr` then look at
// what it printed.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// records FILE N writes N lines of training data.
func records(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: records FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `{"prompt":"is mail %d of the list spam?","completion":"%s"}`+"\n", i, []string{"yes", "no"}[i%2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text.String()), 0o600))
}

// within SECONDS PROGRAM ARGS... runs a program again and again until it succeeds.
func within(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: within SECONDS PROGRAM ARGS...")
	}
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	for {
		if err = ts.Exec(args[1], args[2:]...); err == nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			ts.Fatalf("not within %d s: %v", seconds, err)
		}
	}
}
