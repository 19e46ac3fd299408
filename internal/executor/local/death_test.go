package local_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
)

// helperVariable makes the test binary a program that holds a sandbox with a busy process, for ever.
const helperVariable = "CLOISTER_TEST_HOLD_SANDBOX"

// hold makes a sandbox, starts a process in it that ignores signals and leaves its session, and says so.
func hold() int {
	ctx := context.Background()
	e := local.New(ctx, local.Config{})
	if why := e.Report().Unavailable; why != "" {
		fmt.Println("unavailable:", why)
		return 1
	}
	box, err := e.Create(ctx, executor.Spec{
		ID: os.Getenv(helperVariable), Limits: executor.Limits{MemoryBytes: 256 << 20, ScratchBytes: 64 << 20, ShmBytes: 16 << 20, CPUs: 1, Pids: 32, Wall: time.Hour},
	})
	if err != nil {
		fmt.Println("create:", err)
		return 1
	}
	_, err = box.Run(ctx, executor.Process{Stdout: os.Stdout, Argv: []string{"/usr/bin/python3", "-c", `import os, signal, sys, time
open("/scratch/plain", "wb").write(b"x" * (32 << 20))
if os.fork() == 0:
    os.setsid()
    for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)
print("holding", flush=True)
time.sleep(3600)`, os.Getenv(helperVariable)}})
	fmt.Println("ended:", err)
	return 1
}

// TestSandboxDiesWithItsMaker kills the program that holds a sandbox and wants everything gone: processes,
// memory, and at the next start the cgroups.
func TestSandboxDiesWithItsMaker(t *testing.T) {
	needIsolation(t)
	id := fmt.Sprintf("death-%d", os.Getpid())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), helperVariable+"="+id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "holding\n" {
		t.Fatalf("the helper says %q, %v", line, err)
	}
	if n := len(running(t, id)); n < 2 {
		t.Fatalf("%d processes of the sandbox are visible before the kill, want 2", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); len(running(t, id)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("10 s after the kill, processes %v are alive", running(t, id))
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		local.New(t.Context(), local.Config{}) // a start sweeps what is empty
		left, err := filepath.Glob("/sys/fs/cgroup/*/cloister/" + id + ".*")
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("cgroups are left: %v, %v", left, err)
		}
	}
}

// running lists the processes whose command line has a word.
func running(t *testing.T, word string) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, e := range entries {
		text, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(text), "python3") && strings.HasSuffix(strings.TrimRight(string(text), "\x00"), word) {
			pids = append(pids, e.Name())
		}
	}
	return pids
}

// TestAsOrdinaryUser runs the suite a second time as an ordinary user, when it runs as root.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is the ordinary user's run")
	}
	needIsolation(t)
	dir, err := os.MkdirTemp("/var/tmp", "cloister-rootless-") //nolint:usetesting // the user must reach it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	const nobody = 65534
	binary := filepath.Join(dir, "local.test")
	if err := errors.Join(os.Chmod(dir, 0o755), copyFile(binary), os.Mkdir(dir+"/home", 0o700), os.Chown(dir+"/home", nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run", "TestConformance|TestSandboxDiesWithItsMaker|TestLeaks", "-test.v")
	cmd.Dir = dir + "/home"
	cmd.Env = []string{"HOME=" + dir + "/home", "TMPDIR=" + dir + "/home", "PATH=/usr/bin:/bin", "CI=" + os.Getenv("CI")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Mode:rootless") {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
}

// copyFile copies this test binary.
func copyFile(to string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(self)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// TestLeaks makes sure that a process sees no descriptor but its own, no environment and no argument of
// the program that made the sandbox.
func TestLeaks(t *testing.T) {
	e := needIsolation(t)
	box, err := e.Create(t.Context(), executor.Spec{
		ID: fmt.Sprintf("leaks-%d", os.Getpid()), Limits: executor.Limits{MemoryBytes: 256 << 20, ScratchBytes: 16 << 20, ShmBytes: 16 << 20, CPUs: 1, Pids: 32, Wall: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := box.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	var out strings.Builder
	exit, err := box.Run(t.Context(), executor.Process{Stdout: &out, Argv: []string{"/usr/bin/python3", "-c", `import os
fds = sorted(int(f) for f in os.listdir("/proc/self/fd"))
print("fds", [f for f in fds if f > 2 and os.path.exists("/proc/self/fd/%d" % f)])
for name in ("environ", "cmdline", "fd", "root", "mem", "maps"):
    try:
        path = "/proc/1/" + name
        if name == "fd": data = [os.readlink(path + "/" + f) for f in os.listdir(path)] # the numbers tell nothing
        elif name == "root": data = os.listdir(path)
        else: data = open(path, "rb").read(64)
        if data and not (name == "cmdline" and data.startswith(b"cloister-sandbox-init")): print("init's", name, data)
    except OSError: pass
print("groups", os.getgroups(), "umask ok")`}})
	if err != nil || exit.Code != 0 {
		t.Fatalf("Run = %+v, %v", exit, err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "init's") || strings.HasPrefix(line, "fds") && line != "fds []\n" {
			t.Errorf("inside: %s", line)
		}
	}
}
