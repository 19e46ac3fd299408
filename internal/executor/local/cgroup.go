package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/executor"
)

// groups makes a cgroup for every sandbox.
type groups interface {
	name() string
	limitsSwap() bool
	create(id string, l executor.Limits) (group, error)
	// sweep removes the empty cgroups that a killed server has left.
	sweep()
}

// group is the cgroup of one sandbox.
type group interface {
	add(pid int) error
	oomKills() int64
	remove() error
}

const cgroupRoot = "/sys/fs/cgroup"

// folder is the cgroup below which those of jobs are made.
const folder = "cloister"

// findGroups finds out which cgroups this process can make, by making one.
func findGroups(rootless bool, companions []int) (groups, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		return nil, fmt.Errorf("%s: %w", cgroupRoot, err)
	}
	var g groups
	var err error
	switch {
	case st.Type == unix.CGROUP2_SUPER_MAGIC && rootless:
		g, err = delegated(companions)
	case st.Type == unix.CGROUP2_SUPER_MAGIC:
		g, err = newV2(filepath.Join(cgroupRoot, folder), cgroupRoot)
	case rootless:
		err = errors.New("cgroup v1 cannot be delegated to an ordinary user")
	default:
		g, err = newV1()
	}
	if err != nil {
		return nil, err
	}
	g.sweep()
	trial, err := g.create(fmt.Sprintf("trial-%d", os.Getpid()), probeLimits())
	if err != nil {
		return nil, err
	}
	return g, trial.remove()
}

// v2 is cgroup v2. Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
type v2 struct{ dir string }

// newV2 prepares dir, whose parents down from top must hand on the controllers.
func newV2(dir, top string) (*v2, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // cgroups are readable by all
		return nil, err
	}
	for path := top; ; path = filepath.Join(path, strings.Split(strings.TrimPrefix(dir, path+"/"), "/")[0]) {
		if err := write(path, "cgroup.subtree_control", "+memory +pids +cpu"); err != nil {
			return nil, fmt.Errorf("enable controllers in %s: %w", path, err)
		}
		if path == dir {
			return &v2{dir}, nil
		}
	}
}

// leafName is the cgroup into which the processes of a server move.
const leafName = "server"

// delegated uses the cgroup of this process, if it was delegated to its user: the process and its companions move into a leaf
// of it, because a cgroup with controllers for its children may hold no process itself.
func delegated(companions []int) (*v2, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	_, path, ok := strings.Cut(strings.TrimSpace(string(text)), "0::")
	if !ok {
		return nil, errors.New("this process has no cgroup v2")
	}
	own := filepath.Join(cgroupRoot, path)
	if above := filepath.Dir(own); filepath.Base(own) == leafName && writable(above) { // an earlier one has moved this process
		own = above
	}
	if !writable(own) {
		return nil, errors.New("no cgroup is delegated to this user: start the server with systemd-run --user --scope -p Delegate=yes")
	}
	leaf := filepath.Join(own, leafName)
	if err := os.MkdirAll(leaf, 0o755); err != nil { //nolint:gosec // cgroups are readable by all
		return nil, err
	}
	for _, pid := range append([]int{os.Getpid()}, companions...) {
		if err := write(leaf, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return nil, err
		}
	}
	return newV2(filepath.Join(own, folder), own)
}

// writable says whether this process may put processes into a cgroup, and make others in it.
func writable(group string) bool {
	return unix.Access(filepath.Join(group, "cgroup.procs"), unix.W_OK) == nil && unix.Access(group, unix.W_OK) == nil
}

func (g *v2) name() string     { return "cgroup v2" }
func (g *v2) limitsSwap() bool { return true }

// create leaves memory.oom.group alone: with it the kernel would kill the sandbox's init too, and with that the
// scratch. Executor's watch ends the other processes.
func (g *v2) create(id string, l executor.Limits) (group, error) {
	dir := filepath.Join(g.dir, groupName(id))
	if err := makeGroup(dir); err != nil {
		return nil, err
	}
	made := &v2group{dir}
	for _, setting := range [][2]string{
		{"memory.max", strconv.FormatInt(l.MemoryBytes, 10)},
		{"memory.swap.max", "0"},
		{"pids.max", strconv.Itoa(l.Pids)},
		{"cpu.max", fmt.Sprintf("%d 100000", l.CPUs*100000)},
	} {
		err := write(dir, setting[0], setting[1])
		if errors.Is(err, fs.ErrNotExist) && setting[0] == "memory.swap.max" { // a kernel without swap
			continue
		}
		if err != nil {
			return nil, errors.Join(err, made.remove())
		}
	}
	return made, nil
}

func (g *v2) sweep() { sweepFolder(g.dir) }

type v2group struct{ dir string }

func (g *v2group) add(pid int) error { return write(g.dir, "cgroup.procs", strconv.Itoa(pid)) }

func (g *v2group) oomKills() int64 { return counter(filepath.Join(g.dir, "memory.events"), "oom_kill") }

func (g *v2group) remove() error {
	_ = write(g.dir, "cgroup.kill", "1") // Linux 5.14; the sandbox is dead already
	return removeGroup(g.dir)
}

// v1 is cgroup v1, one hierarchy a controller. Source: the kernel's Documentation/admin-guide/cgroup-v1.
type v1 struct{ swap bool }

func v1Controllers() []string { return []string{"memory", "pids", "cpu"} }

func newV1() (*v1, error) {
	for _, c := range v1Controllers() {
		dir := filepath.Join(cgroupRoot, c, folder)
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // cgroups are readable by all
			return nil, fmt.Errorf("cgroup v1 controller %s: %w", c, err)
		}
	}
	_, err := os.Stat(filepath.Join(cgroupRoot, "memory", folder, "memory.memsw.limit_in_bytes"))
	return &v1{swap: err == nil}, nil
}

func (g *v1) name() string     { return "cgroup v1" }
func (g *v1) limitsSwap() bool { return g.swap }

func (g *v1) create(id string, l executor.Limits) (group, error) {
	made := &v1group{groupName(id)}
	for _, c := range v1Controllers() {
		if err := makeGroup(made.dir(c)); err != nil {
			return nil, errors.Join(err, made.remove())
		}
	}
	memory := strconv.FormatInt(l.MemoryBytes, 10)
	settings := [][3]string{
		{"memory", "memory.limit_in_bytes", memory},
		{"pids", "pids.max", strconv.Itoa(l.Pids)},
		{"cpu", "cpu.cfs_period_us", "100000"},
		{"cpu", "cpu.cfs_quota_us", strconv.Itoa(l.CPUs * 100000)},
	}
	if g.swap {
		settings = append(settings, [3]string{"memory", "memory.memsw.limit_in_bytes", memory})
	}
	for _, s := range settings {
		if err := write(made.dir(s[0]), s[1], s[2]); err != nil {
			return nil, errors.Join(err, made.remove())
		}
	}
	return made, nil
}

func (g *v1) sweep() {
	for _, c := range v1Controllers() {
		sweepFolder(filepath.Join(cgroupRoot, c, folder))
	}
}

type v1group struct{ name string }

func (g *v1group) dir(controller string) string {
	return filepath.Join(cgroupRoot, controller, folder, g.name)
}

func (g *v1group) add(pid int) error {
	for _, c := range v1Controllers() {
		if err := write(g.dir(c), "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func (g *v1group) oomKills() int64 {
	return counter(filepath.Join(g.dir("memory"), "memory.oom_control"), "oom_kill")
}

func (g *v1group) remove() error {
	var failures []error
	for _, c := range v1Controllers() {
		failures = append(failures, removeGroup(g.dir(c)))
	}
	return errors.Join(failures...)
}

// groupName names a sandbox's cgroup for this process, so that servers side by side keep out of each other's.
func groupName(id string) string { return id + "." + strconv.Itoa(os.Getpid()) }

// sweepFolder removes the cgroups of servers that are gone, if they hold no process: the kernel refuses the
// others.
func sweepFolder(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // nothing was ever made there
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name()[strings.LastIndexByte(e.Name(), '.')+1:])
		if e.IsDir() && err == nil && pid != os.Getpid() && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Sweep kills what is left in the cgroups that a process made which has ended, removes them, and returns how many are still
// there.
func Sweep(pid int) (left int) {
	dirs := []string{filepath.Join(cgroupRoot, folder)}
	for _, c := range v1Controllers() {
		dirs = append(dirs, filepath.Join(cgroupRoot, c, folder))
	}
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		if _, path, ok := strings.Cut(strings.TrimSpace(string(text)), "0::"); ok && filepath.Base(path) == leafName {
			dirs = append(dirs, filepath.Join(cgroupRoot, filepath.Dir(path), folder))
		}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // nothing was ever made there
		}
		for _, e := range entries {
			if !e.IsDir() || !strings.HasSuffix(e.Name(), "."+strconv.Itoa(pid)) {
				continue
			}
			group := filepath.Join(dir, e.Name())
			_ = write(group, "cgroup.kill", "1")                                        // Linux 5.14; its processes are dying in any case
			if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // a cgroup of ours
				left++
			}
		}
	}
	return left
}

// makeGroup makes a cgroup, in place of one of the same name that a killed server has left and whose
// processes are just ending.
func makeGroup(dir string) error {
	err := os.Mkdir(dir, 0o755) //nolint:gosec // cgroups are readable by all
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := removeGroup(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o755) //nolint:gosec // cgroups are readable by all
}

func write(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0) //nolint:gosec // a file of the kernel's
}

// counter reads "name value" from a file of such lines; 0 if it is not there.
func counter(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// removeGroup removes an empty cgroup; processes that were just killed may take a moment to leave it.
func removeGroup(dir string) error {
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroup: %w", err)
}
