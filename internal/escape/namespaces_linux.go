package escape

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// namespaceProbes get into other namespaces than the job's, where they would have powers.
func namespaceProbes() []Probe {
	unshare := func(name string, flags uintptr) Probe {
		return Probe{Name: "unshare-" + name, try: func(c *call) error {
			return c.child(func(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = flags })
		}}
	}
	clone := func(name string, flags uintptr) Probe {
		return Probe{Name: "clone-" + name, try: func(c *call) error {
			return c.child(func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = flags })
		}}
	}
	return []Probe{
		unshare("user", unix.CLONE_NEWUSER),
		unshare("net", unix.CLONE_NEWNET),
		unshare("mount", unix.CLONE_NEWNS),
		clone("user", unix.CLONE_NEWUSER),
		clone("user-net", unix.CLONE_NEWUSER|unix.CLONE_NEWNET),
		clone("pid", unix.CLONE_NEWPID),
		{Name: "clone3-user", try: (*call).clone3},
		{Name: "setns-net", try: func(c *call) error { return c.enter("net", unix.CLONE_NEWNET) }},
		{Name: "setns-mount", try: func(c *call) error { return c.enter("mnt", unix.CLONE_NEWNS) }},
		{Name: "setns-pidfd", try: (*call).enterPidfd},
	}
}

// child starts a process that ends at once, with something that change asks for; without, it must work.
func (c *call) child(change func(*exec.Cmd)) error {
	if err := self(c.ctx, idleName).Run(); err != nil {
		return broken("start a process: %w", err)
	}
	cmd := self(c.ctx, idleName)
	change(cmd)
	return cmd.Run()
}

// clone3 makes a process in a new user namespace, by the call whose flags a seccomp filter cannot see. The child has this thread
// only, so it must not return to Go.
//
//go:norace
func (c *call) clone3() error {
	args := &struct{ flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64 }{flags: unix.CLONE_NEWUSER, exitSignal: uint64(unix.SIGCHLD)}
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0) //nolint:gosec // the call's own form
	if errno == 0 && pid == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	if errno != 0 {
		return errno
	}
	return reap(int(pid))
}

func reap(pid int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return broken("wait for %d: %w", pid, err)
	}
	return nil
}

// enter enters a namespace of the victim's. The thread ends with this process, which does nothing there.
func (c *call) enter(name string, kind int) error {
	path := procOf(c.Victim, "ns/"+name)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	runtime.LockOSThread()
	_ = unix.Unshare(unix.CLONE_FS) // a mount namespace is entered by threads with folders of their own
	return unix.Setns(fd, kind)
}

// enterPidfd does so by the process itself, without /proc.
func (c *call) enterPidfd() error {
	if c.Victim <= 0 {
		return broken("no target")
	}
	fd, err := unix.PidfdOpen(c.Victim, 0)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	return errors.Join(unix.Setns(fd, unix.CLONE_NEWNET|unix.CLONE_NEWUTS), unix.Close(fd))
}
