package netd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/executor/local"
)

// The helper's command line: this program, executed again. Its descriptor 3 is the socket, or the reaper's pipe.
const (
	helperName = "netd"
	reaperName = "netd-reaper"
)

// Options are how to start the helper.
type Options struct {
	// Rootless starts it as root of a user namespace of its own, in which an ordinary user may.
	Rootless bool
	// Log is where its log goes.
	Log io.Writer
}

// Start starts the helper and returns the socket to it. The helper ends when the socket does. It is started before the server gives
// up being root, and has a session of its own: a terminal's interrupt is the server's to hear.
func Start(o Options) (socket *os.File, err error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"cloister", helperName}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{theirs}, Stderr: o.Log,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if o.Rootless {
		attr := cmd.SysProcAttr
		attr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNET
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("netd: start the helper: %w", err), ours.Close())
	}
	go func() { _ = cmd.Wait() }() // the socket tells
	return ours, nil
}

// Stage runs the helper, or its reaper, if this process was started as one. It must be called before flags are read.
func Stage(ctx context.Context) (code int, staged bool) {
	if len(os.Args) != 2 || os.Args[0] != "cloister" || os.Args[1] != helperName && os.Args[1] != reaperName {
		return 0, false
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var err error
	if os.Args[1] == reaperName {
		err = reap()
	} else {
		err = help(ctx, log)
	}
	if err != nil {
		log.Error(os.Args[1]+" failed", slog.Any("error", err)) //nolint:sloglint // there is no context
		return 1, true
	}
	return 0, true
}

// help is the helper's main.
func help(ctx context.Context, log *slog.Logger) error {
	socket := os.NewFile(3, "netd server")
	if kind, err := unix.GetsockoptInt(3, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
		return errors.New("'cloister netd' is started by 'cloister serve', and by nobody else")
	}
	unix.CloseOnExec(3)
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) // it ends when the server does
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	life, reaper, err := startReaper()
	if err != nil {
		return fmt.Errorf("start the reaper: %w", err)
	}
	err = Serve(ctx, socket, log, reaper, os.Getppid())
	return errors.Join(err, life.Close())
}

// startReaper starts the process that removes cgroups which a killed helper leaves: the only things of ours that do not end by
// themselves. Its life line is the pipe that is returned.
func startReaper() (life *os.File, pid int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = r.Close() }()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"cloister", reaperName}, Env: []string{}, Dir: "/", ExtraFiles: []*os.File{r},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, 0, errors.Join(err, w.Close())
	}
	go func() { _ = cmd.Wait() }()
	return w, cmd.Process.Pid, nil
}

// reapFor is how long the reaper tries: the kernel may take its time to end what was killed.
const reapFor = 20 * time.Second

func reap() error {
	helper := os.Getppid()
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if _, err := io.Copy(io.Discard, os.NewFile(3, "life line")); err != nil {
		return err
	}
	deadline := time.Now().Add(reapFor) //nolint:forbidigo // a process of its own
	for time.Now().Before(deadline) {   //nolint:forbidigo // the same
		if local.Sweep(helper) == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("cgroups of killed sandboxes could not be removed")
}
