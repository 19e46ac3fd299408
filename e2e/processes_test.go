package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// goneIn bounds the end of what a killed process held. It is a second where nobody else works.
const goneIn = 5 * time.Second

// job is what a running job consists of on the host.
type job struct {
	netd, init, worker int
	// family are the server, its helper and all below, by process id with the time of their start.
	family map[int]string
	// namespaces are those that the job's processes are in, and that the helper has open or is in, such as "net:[4026532000]".
	namespaces map[string]bool
	// network is the job's network namespace. Its eth0 ends with the VPC's.
	network *os.File
	killed  time.Time
}

// hold NAME waits until an engine runs for a server, and looks at what it runs in.
func (s *servers) hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold NAME")
	}
	j := &job{}
	server := s.process(ts, args[0])
	for deadline := time.Now().Add(readyIn); ; time.Sleep(20 * time.Millisecond) {
		j.netd = child(server.cmd.Process.Pid, "cloister\x00netd\x00")
		j.init = child(j.netd, "cloister-sandbox-init\x00")
		if j.worker = child(j.init, "cloister_engine\x00train\x00"); j.worker != 0 {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no engine runs after %v\n%s", readyIn, server.log)
		}
	}
	var err error
	j.network, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", j.worker))
	ts.Check(err)
	ts.Defer(func() { _ = j.network.Close() })
	if devices := devicesIn(ts, j.network); !strings.Contains(devices, "eth0:") {
		ts.Fatalf("the job's namespace has no eth0:\n%s", devices)
	}
	j.family, j.namespaces = map[int]string{}, map[string]bool{}
	j.add(server.cmd.Process.Pid)
	for pid := range j.family {
		maps.Copy(j.namespaces, namespaces(strconv.Itoa(pid), "ns", "fd"))
	}
	for name := range namespaces("thread-self", "ns") {
		delete(j.namespaces, name)
	}
	left := s.left(ts, j)
	for _, want := range []string{"net:[", "mnt:[", "pid:["} {
		if !strings.Contains(left, want) {
			ts.Fatalf("no %s of the job's is seen while it runs: %s", want, left)
		}
	}
	s.jobs.Store(ts.Getenv("WORK")+" "+args[0], j)
}

// job is the one that was held last.
func (s *servers) job(ts *testscript.TestScript, name string) *job {
	found, ok := s.jobs.Load(ts.Getenv("WORK") + " " + name)
	if !ok {
		ts.Fatalf("no job of %s is held", name)
	}
	return found.(*job)
}

// add adds a process and its descendants to the family.
func (j *job) add(pid int) {
	j.family[pid] = startOf(pid)
	for _, other := range processes() {
		if _, known := j.family[other]; !known && parentOf(other) == pid {
			j.add(other)
		}
	}
}

// gone NAME wants everything that hold has seen to end.
func (s *servers) gone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gone NAME")
	}
	j := s.job(ts, args[0])
	last := "nothing"
	for {
		took := time.Since(j.killed)
		left := s.left(ts, j)
		if left == "" {
			ts.Logf("nothing was left %v after the kill, at last %s", took.Round(time.Millisecond), last)
			return
		}
		last = left
		if took > goneIn {
			ts.Fatalf("left %v after the kill: %s", took, left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// left says what there is of a job: its namespaces, its way into the VPC, cgroups of its helper; and whatever the host has got
// since the script began: devices, packet filters, file systems in memory.
func (s *servers) left(ts *testscript.TestScript, j *job) string {
	var left []string
	held := maps.Clone(j.namespaces)
	if syscall.Kill(j.netd, 0) == nil { // it lives, and stays where it is
		for name := range namespaces(strconv.Itoa(j.netd), "ns") {
			delete(held, name)
		}
	}
	for pid, start := range j.family { // nobody else can have them, but may have got a number that was free again
		if f := stat(pid); f == nil || f[0] == "Z" || startOf(pid) != start { // the dead that nobody has buried hold nothing
			continue
		}
		for name := range namespaces(strconv.Itoa(pid), "ns", "fd") {
			if held[name] {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				left = append(left, fmt.Sprintf("%s of process %d, %.60q", name, pid, line))
			}
		}
	}
	if devices := devicesIn(ts, j.network); strings.Contains(devices, "eth0:") {
		left = append(left, "the interface")
	}
	for _, pattern := range []string{"/sys/fs/cgroup/cloister/*.%d", "/sys/fs/cgroup/*/cloister/*.%d"} {
		groups, err := filepath.Glob(fmt.Sprintf(pattern, j.netd))
		ts.Check(err)
		left = append(left, groups...)
	}
	before, _ := s.before.Load(ts.Getenv("WORK"))
	for thing := range ofHost() {
		if !before.(map[string]bool)[thing] {
			left = append(left, thing)
		}
	}
	return strings.Join(left, ", ")
}

// ofHost are the devices, packet filters and file systems in memory that are seen outside all sandboxes.
func ofHost() map[string]bool {
	found := map[string]bool{}
	devices, _ := os.ReadDir("/sys/class/net")
	for _, d := range devices {
		found["device "+d.Name()] = true
	}
	if c, err := nftables.New(); err == nil {
		tables, _ := c.ListTables() // root may
		for _, t := range tables {
			found["table "+t.Name] = true
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.Contains(line, " - tmpfs ") && len(fields) > 4 {
			found["mount "+fields[4]] = true
		}
	}
	return found
}

func processes() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// child is the process id of a child that has this in its command line; 0 if there is none.
func child(of int, command string) int {
	for _, pid := range processes() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && of != 0 && strings.Contains(string(line), command) && parentOf(pid) == of {
			return pid
		}
	}
	return 0
}

// stat are the fields of a process that follow its name, from the third on; nil if there is none.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

func parentOf(pid int) int {
	if f := stat(pid); f != nil {
		parent, _ := strconv.Atoi(f[1]) // it is a number
		return parent
	}
	return 0
}

// startOf is when a process started, in ticks; "" if there is none.
func startOf(pid int) string {
	if f := stat(pid); f != nil {
		return f[19]
	}
	return ""
}

// namespaces are those that a process is in, by its folder ns, or has open, by fd, as far as this process may see.
func namespaces(process string, dirs ...string) map[string]bool {
	found := map[string]bool{}
	for _, dir := range dirs {
		path := filepath.Join("/proc", process, dir)
		entries, err := os.ReadDir(path)
		if err != nil {
			continue
		}
		for _, e := range entries {
			to, err := os.Readlink(filepath.Join(path, e.Name()))
			if kind, _, ok := strings.Cut(to, ":["); err == nil && ok && slices.Contains([]string{"net", "mnt", "pid", "user", "ipc", "uts"}, kind) {
				found[to] = true
			}
		}
	}
	return found
}

// devicesIn is /proc/net/dev as it is seen in a network namespace.
func devicesIn(ts *testscript.TestScript, namespace *os.File) string {
	var text []byte
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			text, err = os.ReadFile("/proc/thread-self/net/dev")
		}
		done <- err
	}()
	ts.Check(<-done)
	return string(text)
}

// killPart kills the helper of a server, or the init or the worker of the job that is held.
func (s *servers) killPart(ts *testscript.TestScript, name, part string) {
	j := s.job(ts, name)
	pid, ok := map[string]int{"netd": j.netd, "init": j.init, "worker": j.worker}[part]
	if !ok {
		ts.Fatalf("there is no %s to kill", part)
	}
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	j.killed = time.Now()
}

// tamper NAME adds a table to the packet filters of the networks that a server's helper holds, which only root can.
func (s *servers) tamper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && (len(args) != 2 || args[1] != "endpoint") {
		ts.Fatalf("usage: tamper NAME [endpoint]")
	}
	j := s.job(ts, args[0])
	own := namespaces("thread-self", "ns")
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", j.netd))
	ts.Check(err)
	changed := 0
	for _, path := range descriptors {
		to, err := os.Readlink(path)
		if err != nil || own[to] || !strings.HasPrefix(to, "net:[") {
			continue
		}
		f, err := os.Open(path)
		ts.Check(err)
		if len(args) == 2 {
			if takeAway(ts, int(f.Fd()), "198.18.0.2/32") {
				changed++
			}
			ts.Check(f.Close())
			continue
		}
		c, err := nftables.New(nftables.WithNetNSFd(int(f.Fd())))
		ts.Check(err)
		c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "intruder"})
		ts.Check(errors.Join(c.Flush(), f.Close()))
		changed++
	}
	if changed == 0 {
		ts.Fatalf("the helper of %s holds no network", args[0])
	}
}

// takeAway removes an address from the loopback of a network namespace, and reports whether it was there.
func takeAway(ts *testscript.TestScript, ns int, address string) bool {
	h, err := netlink.NewHandleAt(netns.NsHandle(ns))
	ts.Check(err)
	defer h.Close()
	lo, err := h.LinkByName("lo")
	ts.Check(err)
	addr, err := netlink.ParseAddr(address)
	ts.Check(err)
	return h.AddrDel(lo, addr) == nil
}
