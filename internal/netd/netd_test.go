package netd_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, staged := netd.Stage(context.Background()); staged {
		os.Exit(code)
	}
	if code, staged := sandbox.Stage(); staged {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// helper starts a helper. Where the host cannot isolate the test is skipped by name, and fails in CI.
func helper(t *testing.T) *netd.Client {
	t.Helper()
	rootless := os.Geteuid() != 0
	socket, err := netd.Start(netd.Options{Rootless: rootless, Log: os.Stderr})
	if err == nil {
		var c *netd.Client
		if c, err = netd.Connect(t.Context(), socket, netd.Setup{Rootless: rootless, Mounts: []netd.Allowed{{Root: "/", Target: "/base"}}}); err == nil {
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				<-c.Gone()
			})
			report := c.Report()
			// make test-vm knows what its machine has.
			if want := os.Getenv("CLOISTER_TEST_ISOLATION"); want != "" && report.Mode+", "+report.Limits != want {
				t.Fatalf("isolation is %q, %q, want %s (weaker: %q)", report.Mode, report.Limits, want, report.Weaker)
			}
			if why := report.Unavailable + report.NoNetwork; why != "" {
				err = errors.New(why)
			} else {
				return c
			}
		}
	}
	if os.Getenv("CI") == "" {
		t.Skipf("this host cannot isolate: %v", err)
	}
	t.Fatalf("this host cannot isolate: %v", err)
	return nil
}

func TestConformance(t *testing.T) {
	c := helper(t)
	t.Logf("report: %+v", c.Report())
	executortest.Run(t, c)
}

func limits() executor.Limits {
	return executor.Limits{MemoryBytes: 256 << 20, ScratchBytes: 16 << 20, ShmBytes: 16 << 20, CPUs: 1, Pids: 64, Wall: time.Minute}
}

// sleeper says something and lives on.
func sleeper() []string {
	return []string{"/usr/bin/python3", "-c", "import time\nprint('on', flush=True)\ntime.sleep(3600)"}
}

// TestHelperKilled: what waits for a killed helper is told so, and nothing of the sandbox is left, its cgroup neither.
func TestHelperKilled(t *testing.T) {
	c := helper(t)
	id := "killed-" + strings.ToLower(t.Name())
	box, err := c.Create(t.Context(), executor.Spec{ID: id, Limits: limits()})
	if err != nil {
		t.Fatal(err)
	}
	began, ended := make(chan struct{}), make(chan error, 1)
	out, in := io.Pipe()
	go func() {
		_, err := box.Run(t.Context(), executor.Process{Argv: sleeper(), Stdout: in})
		ended <- err
	}()
	go func() {
		_, _ = out.Read(make([]byte, 3))
		close(began)
	}()
	<-began
	pid := helperOf(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, executor.ErrGone) {
			t.Errorf("Run gave %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
	if _, err := c.Create(t.Context(), executor.Spec{ID: "after", Limits: limits()}); !errors.Is(err, executor.ErrGone) {
		t.Errorf("Create gave %v", err)
	}
	if c.Report().Unavailable == "" {
		t.Error("the report says that sandboxes can be made")
	}
	if err := box.Destroy(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("Destroy gave %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left, _ := filepath.Glob("/sys/fs/cgroup/*/cloister/" + id + ".*")
		more, _ := filepath.Glob("/sys/fs/cgroup/cloister/" + id + ".*")
		if len(left)+len(more) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("cgroups are left: %v %v", left, more)
		}
	}
}

// TestInitKilled: what waits for a process is told that its sandbox has ended.
func TestInitKilled(t *testing.T) {
	c := helper(t)
	box, err := c.Create(t.Context(), executor.Spec{ID: "init-killed", Limits: limits()})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	out, in := io.Pipe()
	go func() {
		_, err := box.Run(t.Context(), executor.Process{Argv: sleeper(), Stdout: in})
		ended <- err
	}()
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child(t, helperOf(t), "cloister-sandbox-init\x00"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, executor.ErrEnded) {
			t.Errorf("Run gave %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
	if _, err := box.Run(t.Context(), executor.Process{Argv: []string{"/bin/true"}}); !errors.Is(err, executor.ErrEnded) {
		t.Errorf("the next Run gave %v", err)
	}
	if err := box.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

// helperOf is the process id of this process's latest helper.
func helperOf(t *testing.T) int {
	t.Helper()
	return child(t, os.Getpid(), "cloister\x00netd\x00")
}

// child is the process id of the latest child of a process that has a command line.
func child(t *testing.T, of int, command string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil || string(line) != command {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err == nil && strings.Contains(string(stat), "\nPPid:\t"+strconv.Itoa(of)+"\n") {
			found, _ = strconv.Atoi(e.Name())
		}
	}
	if found == 0 {
		t.Fatalf("no %q runs", command)
	}
	return found
}

// TestAsOrdinaryUser runs the tests a second time as an ordinary user, when they run as root.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is the ordinary user's run")
	}
	helper(t)
	dir, err := os.MkdirTemp("/var/tmp", "cloister-rootless-") //nolint:usetesting // the user must reach it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const nobody = 65534
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "netd.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(binary, text, 0o755), os.Mkdir(dir+"/home", 0o700), os.Chown(dir+"/home", nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.v")
	cmd.Dir = dir + "/home"
	cmd.Env = []string{"HOME=" + dir + "/home", "TMPDIR=" + dir + "/home", "PATH=/usr/bin:/bin", "CI=" + os.Getenv("CI")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Mode:rootless") {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
}

// TestMountsAreNamedFirst: the helper shows a sandbox what its set-up named, and nothing else.
func TestMountsAreNamedFirst(t *testing.T) {
	t.Parallel()
	rootless := os.Geteuid() != 0
	dir := t.TempDir()
	for name, to := range map[string]string{"folder": "", "link": "/etc", "file": ""} {
		var err error
		switch {
		case to != "":
			err = os.Symlink(to, filepath.Join(dir, name))
		case name == "file":
			err = os.WriteFile(filepath.Join(dir, name), nil, 0o644)
		default:
			err = os.Mkdir(filepath.Join(dir, name), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	socket, err := netd.Start(netd.Options{Rootless: rootless})
	if err != nil {
		t.Skip("TestConformance says why")
	}
	c, err := netd.Connect(t.Context(), socket, netd.Setup{Rootless: rootless, Mounts: []netd.Allowed{{Root: dir, Target: "/base"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for source, target := range map[string]string{
		"/etc/shadow": "/base", "/": "/base", dir + "more": "/base", dir + "/../..": "/base", dir + "/link": "/base", dir + "/link/passwd": "/base",
		dir + "/folder": "/other", dir + "/file": "/usr/lib/ssl/certs/x",
	} {
		_, err := c.Create(t.Context(), executor.Spec{ID: "mounts", Limits: limits(), Mounts: []executor.Mount{{Source: source, Target: target}}})
		if err == nil || !strings.Contains(err.Error(), "is not of what sandboxes may see") {
			t.Errorf("%s at %s: %v", source, target, err)
		}
	}
	if c.Report().Unavailable != "" {
		return
	}
	box, err := c.Create(t.Context(), executor.Spec{ID: "mounts", Limits: limits(), Mounts: []executor.Mount{{Source: dir + "/folder", Target: "/base"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}
