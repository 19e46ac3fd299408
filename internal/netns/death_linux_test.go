package netns

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// hold is a program that holds a VPC with an interface, for ever.
func hold() int {
	n, err := Open(exampleVPC(Group{ID: "g"}), Options{})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	job, err := n.Attach(Interface{ID: "eni-1", Subnet: "subnet-a", Addr: addr("10.20.1.11"), Groups: []string{"g"}})
	if err != nil {
		fmt.Println("attach:", err)
		return 1
	}
	fmt.Println("holding", job.Fd())
	select {}
}

// TestDeath kills the program that holds a VPC and wants the VPC's namespace gone. It is seen from the job's, which this
// test keeps: a veth pair ends with either of its namespaces.
func TestDeath(t *testing.T) {
	need(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"=hold")
	out := must(cmd.StdoutPipe())
	check(cmd.Start())
	line, _ := bufio.NewReader(out).ReadString('\n')
	var fd int
	if _, err := fmt.Sscanf(line, "holding %d", &fd); err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("the holder says %q", line)
	}
	job := &namespace{must(os.Open(fmt.Sprintf("/proc/%d/fd/%d", cmd.Process.Pid, fd)))}
	defer func() { _ = job.close() }()
	devices := func() int {
		h := must(openLinks(job))
		defer h.Close()
		all, err := h.LinkList()
		if errors.Is(err, netlink.ErrDumpInterrupted) { // it is going just now
			return 2
		}
		return len(must(all, err))
	}
	if got := devices(); got != 2 {
		t.Fatalf("%d devices in the job before, want lo and eth0", got)
	}
	start := time.Now()
	check(cmd.Process.Kill())
	_ = cmd.Wait()
	for devices() != 1 {
		if time.Since(start) > testPatience {
			t.Fatal("eth0 is there 10 seconds after its holder was killed")
		}
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the VPC was gone after %v, want within a second", took)
	} else {
		t.Logf("the VPC was gone after %v", took)
	}
}

// TestAsOrdinaryUser runs the tests again without root.
func TestAsOrdinaryUser(t *testing.T) {
	need(t)
	mapped, _ := os.ReadFile("/proc/self/uid_map")
	if os.Getenv(childVariable) != "" || !strings.Contains(string(mapped), "4294967295") {
		t.Log("this is root of a user namespace: an ordinary user runs the tests already")
		return
	}
	dir := must(os.MkdirTemp("", "netns")) //nolint:usetesting // t.TempDir's parents are root's alone
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(os.Chmod(dir, 0o755))
	self := filepath.Join(dir, "netns.test")
	check(os.WriteFile(self, must(os.ReadFile("/proc/self/exe")), 0o755))
	cmd := exec.CommandContext(t.Context(), self, "-test.v", "-test.short", "-test.timeout=5m")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err != nil {
		t.Fatalf("as uid 65534: %v\n%s", err, text)
	}
	t.Logf("as uid 65534: %d tests passed, skipped: %q", strings.Count(text, "\n--- PASS"), lines(text, "--- SKIP"))
	if strings.Count(text, "\n--- PASS") < 15 {
		t.Errorf("too few tests passed as uid 65534:\n%s", text)
	}
}

func lines(text, prefix string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// TestConcurrent calls everything at once.
func TestConcurrent(t *testing.T) {
	v := exampleVPC(openGroup(), Group{ID: "other"})
	l := newLab(t, v, Options{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			id := fmt.Sprintf("eni-%d", i)
			for range 3 {
				f, err := l.Attach(Interface{ID: id, Subnet: "subnet-b", Addr: addr(fmt.Sprintf("10.20.2.%d", 20+i)), Groups: []string{"open"}})
				if err != nil {
					t.Error(err)
					return
				}
				shut(f)
				for _, err := range []error{l.SetGroups(id, []string{"other", "open"}), l.Cut(id), l.Check()} {
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := l.Detach(id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 20 {
			if _, err := l.Flows(); err != nil {
				t.Error(err)
			}
			if err := l.Apply(v); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	if got := l.sizesOf("open"); !strings.Contains(got, "eni_egress 0") {
		t.Error(got)
	}
}
