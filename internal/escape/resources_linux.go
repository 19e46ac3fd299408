package escape

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resourceProbes take more than a job may have. All are bounded by their targets.
func resourceProbes() []Probe {
	return []Probe{
		{Name: "disk", try: func(c *call) error { return c.fill(c.Scratch, c.DiskBytes) }},
		{Name: "shared-memory", try: func(c *call) error { return c.fill(c.Shm, c.ShmBytes) }},
		{Name: "forks", try: (*call).forks},
		{Name: "memory", try: (*call).memory},
	}
}

const block = 1 << 20

// fill writes size bytes into a folder, and deletes them.
func (c *call) fill(dir string, size int64) error {
	if dir == "" || size <= 0 {
		return broken("no target")
	}
	path := filepath.Join(dir, "escape-fill")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return broken("%w", err)
	}
	defer func() { _ = os.Remove(path) }()
	data := make([]byte, block)
	for n := int64(0); n < size; n += block {
		if _, err := f.Write(data); err != nil {
			return errors.Join(fmt.Errorf("after %d MiB: %w", n/block, err), f.Close())
		}
	}
	c.detail = fmt.Sprintf("%d MiB", size/block)
	return f.Close()
}

// forks makes processes that wait, all at once. They end with this one.
func (c *call) forks() error {
	if c.Forks <= 0 {
		return broken("no target")
	}
	var pids []int
	var refused error
	runtime.LockOSThread() // their death signal is this thread's
	for len(pids) < c.Forks && refused == nil {
		pid, errno := forkWaiting()
		if errno != 0 {
			refused = fmt.Errorf("after %d processes: %w", len(pids), errno)
			continue
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if err := errors.Join(unix.Kill(pid, unix.SIGKILL), reap(pid)); err != nil {
			return undo(err)
		}
	}
	c.detail = fmt.Sprintf("%d processes", len(pids))
	return refused
}

// forkWaiting forks a process that waits to be killed. It has this thread only, so it must not return to Go.
//
//go:norace
func forkWaiting() (int, unix.Errno) {
	var forever syscall.Timespec
	forever.Sec = 1 << 20
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		_, _, _ = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&forever)), 0, 0) //nolint:gosec // the call's own form
		}
	}
	return int(pid), errno
}

// holdMemory is longer than a supervisor takes that looks every 250 ms.
const holdMemory = 1500 * time.Millisecond

// memory takes memory, touches every page of it, and holds it for a while.
func (c *call) memory() error {
	if c.MemoryBytes <= 0 {
		return broken("no target")
	}
	debug.SetGCPercent(-1)
	data, err := unix.Mmap(-1, 0, int(c.MemoryBytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	for at := 0; at < len(data); at += os.Getpagesize() {
		data[at] = 1
	}
	time.Sleep(holdMemory)
	c.detail = fmt.Sprintf("%d MiB", c.MemoryBytes/block)
	return unix.Munmap(data)
}
