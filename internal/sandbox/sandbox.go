// Package sandbox runs untrusted processes of this program's own choosing in Linux namespaces: no network, a
// read-only root of a few binds, a scratch and /dev/shm in memory, no privileges, a seccomp filter, no core
// dumps. It is this program executed again, in two stages: "init" is process 1 of the sandbox and builds
// it, "exec" drops everything and becomes the process that was asked for.
//
// It isolates and nothing else: limits of memory are internal/executor/local's.
//
// What a reader must know: an isolation that cannot be set up is an error, and then nothing has run. A
// sandbox dies with the program that made it: init holds a socket whose other end is there (end of file
// ends it), and every stage has PR_SET_PDEATHSIG. Nothing is pinned in a file system, so nothing is left.
//
// Sources: namespaces(7), user_namespaces(7), pivot_root(2), mount_setattr(2), seccomp(2), prctl(2).
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names under which this program starts itself again; they are its argument 0.
const (
	initStage  = "cloister-sandbox-init"
	execStage  = "cloister-sandbox-exec"
	probeStage = "cloister-sandbox-probe"
)

// Stage runs a stage if this process was started as one, and reports its exit status. It must be the first
// statement of main, before any other thread or descriptor exists.
func Stage() (code int, staged bool) {
	if len(os.Args) == 0 {
		return 0, false
	}
	switch os.Args[0] {
	case initStage:
		return runInit(), true
	case execStage:
		return runExec(), true
	}
	if IsProbe() {
		return runProbe(), true
	}
	return 0, false
}

// Config describes a sandbox.
type Config struct {
	// Binds are host paths that appear inside, read-only, nosuid and nodev.
	Binds []Bind
	// ScratchBytes and ShmBytes are the sizes of /scratch and /dev/shm.
	ScratchBytes, ShmBytes int64
	// UID is the user and group id that processes run as; it is ignored in a user namespace.
	UID int
	// Group, if not 0, is the group of the scratch and of what is made in it: that of the program which reads results there
	// without being root.
	Group int
	// Network is the network namespace that processes are in; nil makes an empty one. It is only used by New.
	Network *os.File `json:"-"`
	// Networked is set by New where there is a network: a process that knows a resolver may then ask it. No file names one.
	Networked bool
	// UserNamespace makes the sandbox in a user namespace of its own, in which an ordinary user may. All
	// ids inside are then the caller's.
	UserNamespace bool
	// Noswap keeps the scratch out of swap (tmpfs noswap, Linux 6.4, not in user namespaces).
	Noswap bool
	// CPUs bounds the processors by affinity; 0 leaves them.
	CPUs int
	// Pids bounds processes and threads by RLIMIT_NPROC in a user namespace; 0 leaves them.
	Pids int
	// SuperviseBytes makes init itself kill everything when processes and scratch together hold more
	// memory, looked at every 250 ms; 0 leaves that to a cgroup.
	SuperviseBytes int64
}

// Bind is a host path and the place where it appears.
type Bind struct{ Source, Target string }

// Process is a program to run.
type Process struct {
	Argv, Env []string
	Dir       string
	// Files become descriptors 0, 1, 2 and 3; nil ones are /dev/null, and a nil 3 is closed.
	Files [4]*os.File
}

// Exit is how a process ended.
type Exit struct {
	Code       int // or 128 + signal
	CPU        time.Duration
	PeakRSS    int64 // bytes
	Wall       time.Duration
	OverMemory bool // init's own supervisor ended it
}

// ErrEnded says that the sandbox has ended before it was destroyed: something else has killed init.
var ErrEnded = errors.New("sandbox: init has ended")

// Sandbox is a living sandbox. Its methods may be called from several goroutines, one Run at a time.
type Sandbox struct {
	cmd  *exec.Cmd
	conn *os.File // the control socket: its end is the sandbox's
	dir  *os.File // /scratch

	run  sync.Mutex // one Run at a time
	done chan struct{}
}

// request and reply are the messages on the control socket, one a packet.
type request struct {
	Config  *Config  `json:",omitempty"`
	Process *message `json:",omitempty"`
	Kill    bool     `json:",omitempty"`
}

type message struct {
	Argv, Env []string
	Dir       string
	Control   bool // a descriptor 3 comes along
}

type reply struct {
	Error string `json:",omitempty"`
	Ready bool   `json:",omitempty"`
	Exit  *Exit  `json:",omitempty"`
}

// MaxPacket bounds a packet, in bytes.
const MaxPacket = 128 << 10

// New makes a sandbox in which nothing runs. attach, if not nil, is called with init's process id before
// init does anything: the place to put it into a cgroup.
func New(c Config, attach func(pid int) error) (_ *Sandbox, err error) {
	// What this program inherited must not be in the sandbox; Go's own descriptors are marked already.
	if err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return nil, fmt.Errorf("sandbox: mark descriptors (Linux 5.11): %w", err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("sandbox: control socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "sandbox control"), os.NewFile(uintptr(fds[1]), "sandbox init")
	defer func() { _ = theirs.Close() }()
	s := &Sandbox{conn: ours, done: make(chan struct{})}
	s.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{initStage}, Env: []string{}, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
			Pdeathsig:  syscall.SIGKILL, Setsid: true,
		},
	}
	c.Networked = c.Network != nil
	if !c.Networked {
		s.cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	}
	if c.UserNamespace {
		attr := s.cmd.SysProcAttr
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := s.start(c.Network); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: start in new namespaces: %w", err), ours.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Destroy())
		}
	}()
	if attach != nil {
		if err := attach(s.cmd.Process.Pid); err != nil {
			return nil, fmt.Errorf("sandbox: limits: %w", err)
		}
	}
	if err := s.send(request{Config: &c}, nil); err != nil {
		return nil, err
	}
	r, files, err := s.receive()
	switch {
	case err != nil:
		return nil, fmt.Errorf("sandbox: init ended while it built the root: %w", err)
	case r.Error != "":
		return nil, fmt.Errorf("sandbox: %s", r.Error)
	case !r.Ready || len(files) != 1:
		return nil, errors.New("sandbox: init broke the protocol")
	}
	s.dir = files[0]
	return s, nil
}

// start starts init and waits for it on one thread of its own: PR_SET_PDEATHSIG is tied to the thread that
// forked, which therefore must live as long as the sandbox (golang/go#27505). The thread enters the network, if there is one:
// init is born in it.
func (s *Sandbox) start(network *os.File) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		// But the first one does not end, and would stay in the network: another must do it.
		if unix.Gettid() == unix.Getpid() {
			started <- s.start(network)
			runtime.UnlockOSThread()
			return
		}
		var err error
		if network != nil {
			err = unix.Setns(int(network.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = s.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = s.cmd.Wait() // how init ended says nothing: Run tells how the process did
			close(s.done)
		}
	}()
	return <-started
}

// Scratch is the scratch folder, for openat and the like.
func (s *Sandbox) Scratch() *os.File { return s.dir }

// Pid is init's process id on the host.
func (s *Sandbox) Pid() int { return s.cmd.Process.Pid }

// Run runs a process to its end. Closing stop kills everything in the sandbox but init.
func (s *Sandbox) Run(p Process, stop <-chan struct{}) (Exit, error) {
	s.run.Lock()
	defer s.run.Unlock()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return Exit{}, err
	}
	defer func() { _ = null.Close() }()
	var fds []int
	for i, f := range p.Files {
		switch {
		case f != nil:
			fds = append(fds, int(f.Fd()))
		case i < 3:
			fds = append(fds, int(null.Fd()))
		}
	}
	if err := s.send(request{Process: &message{p.Argv, p.Env, p.Dir, p.Files[3] != nil}}, fds); err != nil {
		return Exit{}, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-stop:
			_ = s.send(request{Kill: true}, nil) // if init is gone, so is everything
		case <-ended:
		}
	}()
	r, _, err := s.receive()
	switch {
	case err != nil:
		return Exit{}, fmt.Errorf("%w: %w", ErrEnded, err)
	case r.Error != "":
		return Exit{}, fmt.Errorf("sandbox: %s", r.Error)
	case r.Exit == nil:
		return Exit{}, errors.New("sandbox: init broke the protocol")
	}
	return *r.Exit, nil
}

// destroyPatience is how long the kernel may take to end a killed sandbox.
const destroyPatience = 20 * time.Second

// Destroy kills everything and waits until it is gone, memory included. It is idempotent.
func (s *Sandbox) Destroy() error {
	_ = s.conn.Close()
	_ = s.cmd.Process.Kill() // init is process 1: with it the kernel kills all others
	select {
	case <-s.done:
	case <-time.After(destroyPatience):
		return fmt.Errorf("sandbox: process %d does not end", s.cmd.Process.Pid)
	}
	if s.dir != nil {
		if err := s.dir.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	return nil
}

func (s *Sandbox) send(r request, fds []int) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(text) > MaxPacket {
		return errors.New("sandbox: the process's arguments are too long")
	}
	if err := SendPacket(s.conn, text, fds); err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

func (s *Sandbox) receive() (reply, []*os.File, error) {
	text, files, err := ReceivePacket(s.conn)
	if err != nil {
		return reply{}, nil, err
	}
	var r reply
	err = json.Unmarshal(text, &r)
	return r, files, err
}
