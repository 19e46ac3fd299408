// Package local runs engines on this host: sandboxes of internal/sandbox, with limits by cgroup v2, cgroup
// v1 or, for an ordinary user without a delegated cgroup, by a supervisor.
//
// What a reader must know: New tries everything once in a sandbox of its own (the probe) and refuses to make
// any if that does not hold; Report says what is weaker than it could be.
package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/sandbox"
)

// Config is what an Executor needs.
type Config struct {
	// AllowSwap lets sandboxes be made although their memory could be swapped out.
	AllowSwap bool
	// RequireCgroup refuses to make sandboxes where no cgroup limits them.
	RequireCgroup bool
	// Rootless says that this process is root of a user namespace only, or no root at all.
	Rootless bool
	// Group is the group that may use the scratches; 0 is none but the job's own.
	Group int
	// Companions are processes that belong to this one: where a cgroup is delegated to its user, they move with it.
	Companions []int
	// Networks finds the namespace of a network interface, as a descriptor that is the executor's to close; nil refuses sandboxes with one.
	Networks func(id string) (*os.File, error)
	Log      *slog.Logger
}

// Executor makes sandboxes on this host. It is safe for concurrent use.
type Executor struct {
	config   Config
	rootless bool
	noswap   bool
	groups   groups // nil: the supervisor
	report   executor.Report
	findings []sandbox.Finding

	mu   sync.Mutex
	uids map[int]bool // guarded by mu: user ids in use
}

var _ executor.Executor = (*Executor)(nil)

// firstUID is the first of the user ids that sandboxes of root use, one each, so that jobs cannot reach each
// other even where namespaces would let them.
const (
	firstUID = 210001
	uidCount = 4096
)

// New looks at the host and proves, in a sandbox, that it can isolate. It returns an Executor in any case:
// where the host cannot, Report().Unavailable says why and Create fails.
func New(ctx context.Context, c Config) *Executor {
	e := &Executor{config: c, rootless: c.Rootless || os.Geteuid() != 0, uids: map[int]bool{}}
	e.report.Mode = "root"
	if e.rootless {
		e.report.Mode = "rootless"
		e.weaker("jobs run under the server's own user id: namespaces alone part them from each other and from its files")
	}
	e.chooseLimits(ctx, c.Log)
	if e.groups == nil && c.RequireCgroup {
		e.report.Unavailable = "no cgroup limits what jobs use here, and [sandbox] require_cgroup is on: mount cgroup v2 with the memory, pids and cpu controllers, or set it to false"
		return e
	}
	if err := e.chooseSwap(c.AllowSwap); err != nil {
		e.report.Unavailable = err.Error()
		return e
	}
	findings, err := e.probe(ctx)
	e.findings = findings
	if err != nil {
		e.report.Unavailable = err.Error()
	}
	return e
}

func (e *Executor) weaker(sentence string) { e.report.Weaker = append(e.report.Weaker, sentence) }

// chooseLimits decides what enforces memory and processes.
func (e *Executor) chooseLimits(ctx context.Context, log *slog.Logger) {
	g, err := findGroups(e.rootless, e.config.Companions)
	if err == nil {
		e.groups, e.report.Limits = g, g.name()
		return
	}
	if log != nil {
		log.DebugContext(ctx, "no cgroup", slog.Any("reason", err))
	}
	e.report.Limits = "supervisor"
	e.weaker("no cgroup: memory is watched every 250 ms instead (" + err.Error() + ")")
	e.weaker("processors are limited by affinity and wall clock only")
}

// chooseSwap makes sure that nothing of a job reaches the disk through swap.
func (e *Executor) chooseSwap(allow bool) error {
	e.noswap = !e.rootless && tmpfsNoswap()
	on, err := swapOn()
	if err != nil {
		return fmt.Errorf("look for swap: %w", err)
	}
	switch {
	case !on:
		e.report.Swap = "swap is off"
	case e.groups != nil && e.groups.limitsSwap():
		e.report.Swap = "memory.swap.max=0"
	case e.noswap:
		e.report.Swap = "noswap"
		e.weaker("swap is on, and only the scratch is kept out of it: process memory could be swapped out")
	case allow:
		e.report.Swap = "allowed by configuration"
		e.weaker("swap is on: weights and data in memory could be written to the disk")
	default:
		return errors.New("swap is on and cannot be kept from jobs here: turn it off (swapoff -a), use cgroup v2, or set [sandbox] allow_swap = true")
	}
	return nil
}

// Report implements executor.Executor.
func (e *Executor) Report() executor.Report { return e.report }

// Findings are what the probe found, for doctor.
func (e *Executor) Findings() []sandbox.Finding { return e.findings }

var idPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Create implements executor.Executor.
func (e *Executor) Create(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	if e.report.Unavailable != "" {
		return nil, errors.New(e.report.Unavailable)
	}
	b, err := e.create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (e *Executor) create(ctx context.Context, spec executor.Spec) (_ *box, err error) {
	if err := check(spec); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &box{executor: e, limits: spec.Limits}
	if b.uid, err = e.takeUID(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Destroy(context.WithoutCancel(ctx)))
		}
	}()
	config := sandbox.Config{
		ScratchBytes: spec.Limits.ScratchBytes, ShmBytes: spec.Limits.ShmBytes, UID: b.uid, UserNamespace: e.rootless, Noswap: e.noswap,
		CPUs: spec.Limits.CPUs, Pids: spec.Limits.Pids,
	}
	if !e.rootless {
		config.Group = e.config.Group
	}
	if spec.Network != "" {
		if e.config.Networks == nil {
			return nil, errors.New("this executor attaches no networks")
		}
		if config.Network, err = e.config.Networks(spec.Network); err != nil {
			return nil, fmt.Errorf("network interface: %w", err)
		}
		defer func() { _ = config.Network.Close() }()
	}
	for _, m := range spec.Mounts {
		config.Binds = append(config.Binds, sandbox.Bind{Source: m.Source, Target: m.Target})
	}
	var attach func(int) error
	if e.groups == nil {
		config.SuperviseBytes = spec.Limits.MemoryBytes
	} else {
		if b.group, err = e.groups.create(spec.ID, spec.Limits); err != nil {
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		attach = b.group.add
	}
	if b.inner, err = sandbox.New(config, attach); err != nil {
		return nil, err
	}
	if b.root, err = os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", b.inner.Scratch().Fd())); err != nil {
		return nil, fmt.Errorf("open the scratch: %w", err)
	}
	return b, nil
}

func check(spec executor.Spec) error {
	l := spec.Limits
	switch {
	case !idPattern.MatchString(spec.ID):
		return fmt.Errorf("%q is not an id of a sandbox", spec.ID)
	case l.MemoryBytes <= 0 || l.ScratchBytes <= 0 || l.ShmBytes <= 0 || l.CPUs < 1 || l.Pids < 1 || l.Wall <= 0:
		return errors.New("every limit of a sandbox must be set")
	}
	for _, m := range spec.Mounts {
		if err := sandbox.CheckBind(sandbox.Bind{Source: m.Source, Target: m.Target}); err != nil {
			return err
		}
	}
	return nil
}

func (e *Executor) takeUID() (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for uid := firstUID; uid < firstUID+uidCount; uid++ {
		if !e.uids[uid] {
			e.uids[uid] = true
			return uid, nil
		}
	}
	return 0, errors.New("too many sandboxes at once")
}

func (e *Executor) giveUID(uid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.uids, uid)
}

// box is a sandbox with its limits.
type box struct {
	executor *Executor
	limits   executor.Limits
	uid      int
	group    group
	inner    *sandbox.Sandbox
	root     *os.Root
}

// Scratch implements executor.Sandbox.
func (b *box) Scratch() *os.Root { return b.root }

// Run implements executor.Sandbox.
func (b *box) Run(ctx context.Context, p executor.Process) (executor.Exit, error) {
	if err := ctx.Err(); err != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	out, err := NewSink(p.Stdout)
	if err != nil {
		return executor.Exit{}, err
	}
	errs, err := NewSink(p.Stderr)
	if err != nil {
		return executor.Exit{}, errors.Join(err, out.End())
	}
	before := b.killed()
	limited, cancel := context.WithTimeout(ctx, b.limits.Wall)
	defer cancel()
	running, end := context.WithCancel(limited)
	defer end()
	go b.watch(running, end, before)
	exit, err := b.inner.Run(sandbox.Process{
		Argv: p.Argv, Env: p.Env, Dir: p.Dir, Files: [4]*os.File{nil, out.File, errs.File, p.Control},
	}, running.Done())
	if err := errors.Join(err, out.End(), errs.End()); err != nil {
		switch {
		case ctx.Err() != nil:
			return executor.Exit{}, context.Cause(ctx)
		case b.killed() > before: // the kernel took init itself: the sandbox is gone
			return executor.Exit{Code: 128 + int(unix.SIGKILL), OverLimit: "memory"}, nil
		case errors.Is(err, sandbox.ErrEnded):
			return executor.Exit{}, fmt.Errorf("%w: %w", executor.ErrEnded, err)
		}
		return executor.Exit{}, err
	}
	if ctx.Err() != nil {
		return executor.Exit{}, context.Cause(ctx)
	}
	result := executor.Exit{Code: exit.Code, CPU: exit.CPU, PeakRSSBytes: exit.PeakRSS, Wall: exit.Wall}
	switch {
	case limited.Err() != nil:
		result.OverLimit = "wall"
	case exit.Code != 0 && (exit.OverMemory || b.killed() > before):
		result.OverLimit = "memory"
	case exit.Code != 0 && b.full():
		result.OverLimit = "scratch"
	}
	return result, nil
}

// watchEvery is how often watch looks: as often as the supervisor where there is no cgroup.
const watchEvery = 250 * time.Millisecond

// watch ends everything that runs once the kernel has killed one process for want of memory: the others may
// wait for it in vain.
func (b *box) watch(ctx context.Context, end func(), before int64) {
	if b.group == nil {
		return
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if b.killed() > before {
				end()
				return
			}
		}
	}
}

// killed is how often the kernel has killed a process of this sandbox for want of memory.
func (b *box) killed() int64 {
	if b.group == nil {
		return 0
	}
	return b.group.oomKills()
}

// full reports whether the scratch has no room left.
func (b *box) full() bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(b.inner.Scratch().Fd()), &st) == nil && st.Bavail < 16
}

// Destroy implements executor.Sandbox.
func (b *box) Destroy(context.Context) error {
	var failures []error
	if b.inner != nil {
		failures = append(failures, b.inner.Destroy())
	}
	if b.root != nil {
		failures = append(failures, b.root.Close())
	}
	if b.group != nil {
		failures = append(failures, b.group.remove())
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	b.inner, b.root, b.group = nil, nil, nil
	if b.uid != 0 {
		b.executor.giveUID(b.uid)
		b.uid = 0
	}
	return nil
}

// probeLimits are generous for the probe and small for the host.
func probeLimits() executor.Limits {
	return executor.Limits{MemoryBytes: 256 << 20, ScratchBytes: 16 << 20, ShmBytes: 16 << 20, CPUs: 1, Pids: 64, Wall: 30 * time.Second}
}

// probe makes a sandbox, and tries from inside what must not be possible.
func (e *Executor) probe(ctx context.Context) (_ []sandbox.Finding, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b, err := e.create(ctx, executor.Spec{
		ID: fmt.Sprintf("probe-%d", os.Getpid()), Limits: probeLimits(),
		Mounts: []executor.Mount{{Source: self, Target: sandbox.ProbePath}},
	})
	if err != nil {
		return nil, hint(err)
	}
	defer func() { err = errors.Join(err, b.Destroy(context.WithoutCancel(ctx))) }()
	var out, errs bytes.Buffer
	exit, err := b.Run(ctx, executor.Process{Argv: sandbox.ProbeArgv(), Stdout: &out, Stderr: &errs})
	if err != nil {
		return nil, hint(err)
	}
	var findings []sandbox.Finding
	if err := json.Unmarshal(out.Bytes(), &findings); err != nil {
		return nil, fmt.Errorf("the probe ended with status %d and no findings: %s", exit.Code, strings.TrimSpace(errs.String()))
	}
	for _, f := range findings {
		if !f.OK {
			return findings, fmt.Errorf("%w: %s: %s", sandbox.ErrProbe, f.Name, f.Detail)
		}
	}
	return findings, nil
}

// hint says what to change where the kernel refuses namespaces.
func hint(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	advice := "run as root, or allow user namespaces to ordinary users: sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1"
	if text, readErr := os.ReadFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); readErr == nil && strings.TrimSpace(string(text)) == "1" {
		advice = "Ubuntu's AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
	}
	if _, statErr := os.Stat("/.dockerenv"); statErr == nil {
		advice = "in a container: start it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
	}
	return fmt.Errorf("%w (%s)", err, advice)
}
