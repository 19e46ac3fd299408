// Command init is process 1 of the virtual machine of `make test-vm`: it makes a minimal Linux of the initial
// RAM disk, runs tests of sandboxes and networks in the situations that cgroup v2 has, says PASS or FAIL, and turns
// the machine off.
//
// What a reader must know: the last line on the console is the verdict; a machine that ends without one has
// failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// suite is a test binary, which the script puts there, and what to run of it.
type suite struct{ program, run, skip string }

// What is left out by asUser starts the same tests again as an ordinary user: here that is a situation of its own. By the
// others, what takes long on emulated processors: Makefile's test runs it.
const (
	asUser = "^TestAsOrdinaryUser$"
	slow   = "^Test(Model|Limits|FullSet|ManyRules|Apply|Concurrent|HelperStaysOutside)$"
)

// sandboxes are made by the helper, whose conformance is tested too, where there is one.
func sandboxes() suite { return suite{program: "/local.test", skip: asUser + "|^TestConformance$"} }

func helper() suite { return suite{program: "/netd.test", skip: asUser + "|" + slow + "|^TestCanary$"} }

func networks() suite { return suite{program: "/netns.test", skip: asUser + "|" + slow} }

// user is an ordinary user.
const user = 1000

const cgroups = "/sys/fs/cgroup"

// situation is one way of running the tests.
type situation struct {
	name string
	// isolation is what the executor must report: mode and limits.
	isolation string
	uid       int
	// cgroup is where the tests start, one a suite: it names the first; the user owns them if they are delegated.
	cgroup    string
	delegated bool
	suites    []suite
}

func situations() []situation {
	return []situation{
		{name: "root", isolation: "root, cgroup v2", cgroup: "system", suites: []suite{sandboxes(), helper(), networks()}},
		{name: "ordinary user with a delegated cgroup", isolation: "rootless, cgroup v2", uid: user, cgroup: "delegated", delegated: true, suites: []suite{sandboxes(), helper()}},
		{name: "ordinary user without a cgroup", isolation: "rootless, supervisor", uid: user, cgroup: "plain", suites: []suite{
			{program: "/local.test", skip: asUser},
			{program: "/netns.test", run: "^Test(Reach|ICMPAndOtherProtocols|SourceCheck|IPv6|OnRecord|ARP|Canary|Probe|FlowVerdicts|FlowBytes|Detach|Death|Resolver)$"},
		}},
	}
}

func main() {
	if os.Getpid() != 1 {
		say("init: this is process 1 of the test machine, nothing else")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) //nolint:forbidigo // the root of the machine's contexts
	err := run(ctx)
	cancel()
	if err != nil {
		say("VMTEST FAIL: %v", err)
	} else {
		say("VMTEST PASS")
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) }

func run(ctx context.Context) error {
	if err := boot(); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	var failures []error
	for _, s := range situations() {
		start := time.Now() //nolint:forbidigo // a stop watch
		err := s.run(ctx)
		say("== %s: %.1f s, error: %v", s.name, time.Since(start).Seconds(), err)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(failures...)
}

// boot mounts what programs expect and makes the root a mount that can be pivoted away from, which the
// kernel's first root is not.
func boot() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"make a new root", func() error {
			return errors.Join(os.Mkdir("/newroot", 0o755), unix.Mount("/", "/newroot", "", unix.MS_BIND, "")) //nolint:gosec // readable by all
		}},
		{"enter it", func() error {
			return errors.Join(unix.Chdir("/newroot"), unix.Mount(".", "/", "", unix.MS_MOVE, ""), unix.Chroot("."), unix.Chdir("/"))
		}},
		{"mount /proc", func() error { return mount("proc", "/proc", "") }},
		{"mount /sys", func() error { return mount("sysfs", "/sys", "") }},
		{"mount /dev", func() error { return mount("devtmpfs", "/dev", "") }},
		{"mount /tmp", func() error { return mount("tmpfs", "/tmp", "mode=1777") }},
		{"mount /var/tmp", func() error { return mount("tmpfs", "/var/tmp", "mode=1777") }},
		{"mount cgroup v2", func() error { return mount("cgroup2", cgroups, "") }},
		{"load modules", loadModules},
		{"make /mnt", func() error { return os.MkdirAll("/mnt", 0o755) }}, //nolint:gosec // readable by all
		{"hand on the controllers", func() error {
			return os.WriteFile(filepath.Join(cgroups, "cgroup.subtree_control"), []byte("+memory +pids +cpu"), 0)
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return os.Setenv("PATH", "/usr/bin:/bin")
}

func mount(kind, at, options string) error {
	if err := os.MkdirAll(at, 0o755); err != nil { //nolint:gosec // readable by all
		return err
	}
	return unix.Mount(kind, at, kind, 0, options)
}

// loadModules loads the kernel's modules that the script has put there, in the order of their names: nobody does so here
// when one is needed.
func loadModules() error {
	entries, err := os.ReadDir("/modules")
	if err != nil {
		return err
	}
	for _, e := range entries {
		file, err := os.Open(filepath.Join("/modules", e.Name()))
		if err != nil {
			return err
		}
		if err := errors.Join(unix.FinitModule(int(file.Fd()), "", 0), file.Close()); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	return nil
}

// run runs the suites, each in a cgroup of its own, as their user.
func (s situation) run(ctx context.Context) error {
	for i, one := range s.suites {
		start := time.Now() //nolint:forbidigo // a stop watch
		name := fmt.Sprintf("%s%d", s.cgroup, i)
		group, err := s.newCgroup(name)
		if err != nil {
			return err
		}
		err = errors.Join(s.start(ctx, group, one), group.Close())
		say("== %s, %s: %.1f s, error: %v", s.name, one.program, time.Since(start).Seconds(), err)
		if err == nil {
			err = clean(name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", one.program, err)
		}
	}
	return nil
}

// newCgroup makes a cgroup for a suite.
func (s situation) newCgroup(name string) (*os.File, error) {
	dir := filepath.Join(cgroups, name)
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // readable by all
		return nil, err
	}
	if s.delegated {
		for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
			if err := os.Chown(filepath.Join(dir, name), s.uid, s.uid); err != nil {
				return nil, err
			}
		}
	}
	return os.Open(dir)
}

// start runs one suite.
func (s situation) start(ctx context.Context, group *os.File, one suite) error {
	cmd := exec.CommandContext(ctx, one.program, "-test.v", "-test.short", "-test.count=1", "-test.run="+one.run, "-test.skip="+one.skip) //nolint:gosec // constants
	cmd.Dir = "/tmp"
	cmd.Env = []string{"CI=true", "PATH=/usr/bin:/bin", "TMPDIR=/tmp", "CLOISTER_TEST_ISOLATION=" + s.isolation}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	if s.uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.uid)} //nolint:gosec // a constant
	}
	return cmd.Run()
}

// clean makes sure that the tests have left no process and no cgroup of a job.
func clean(cgroup string) error {
	for _, parent := range []string{"cloister", cgroup + "/cloister", cgroup + "/server"} {
		parent = filepath.Join(cgroups, parent)
		entries, err := os.ReadDir(parent)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if e.IsDir() {
				return fmt.Errorf("cgroup %s is left", filepath.Join(parent, e.Name()))
			}
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && (strings.Contains(string(command), "cloister") || strings.Contains(string(command), "python")) {
			return fmt.Errorf("process %s is left: %q", e.Name(), command)
		}
	}
	return nil
}
