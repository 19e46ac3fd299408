package escape

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileProbes reach what is not the job's own through the file system.
func fileProbes() []Probe {
	proc := func(name, file string, try func(*call, string) error) Probe {
		return Probe{Name: name, try: func(c *call) error {
			if c.Victim <= 0 {
				return broken("no target")
			}
			return try(c, procOf(c.Victim, file))
		}}
	}
	openWrite := func(name string, paths ...string) Probe {
		return Probe{Name: name, try: func(c *call) error { return c.openWrite(paths...) }}
	}
	onHost := func(p Probe) Probe {
		p.Control = Host
		return p
	}
	return []Probe{
		proc("proc-environ", "environ", (*call).read),
		proc("proc-root", "root/", (*call).list),
		proc("proc-cwd", "cwd/", (*call).list),
		proc("proc-fd", "fd", (*call).follow),
		proc("proc-maps", "maps", (*call).read),
		proc("proc-mem", "mem", func(c *call, path string) error { return c.openWrite(path) }),
		openWrite("proc-sys-kernel", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe"),
		openWrite("proc-sys-vm", "/proc/sys/vm/drop_caches"),
		openWrite("proc-sys-net", "/proc/sys/net/ipv4/conf/all/forwarding", "/proc/sys/net/ipv4/ip_forward"),
		{Name: "proc-kallsyms", try: (*call).symbols},
		{Name: "kernel-memory", try: func(c *call) error {
			return c.openRead("/dev/kmsg", "/proc/kmsg", "/proc/kcore", "/dev/mem", "/dev/port")
		}},
		{Name: "devices", try: func(c *call) error { return c.openRead(c.Devices...) }},
		{Name: "write-outside", try: (*call).writeOutside},
		{Name: "make-device", try: (*call).makeDevice},
		{Name: "mount", try: (*call).mount},
		{Name: "mount-new-api", try: (*call).fsopen},
		{Name: "change-root", try: func(c *call) error { return c.inScratch(unix.Chroot) }},
		{Name: "file-handle", try: (*call).fileHandle},
		{Name: "unix-socket", try: func(c *call) error { return c.unix(c.Socket) }},
		onHost(Probe{Name: "unix-abstract", try: func(c *call) error { return c.unix("@" + c.Abstract) }}),
	}
}

func procOf(pid int, file string) string { return filepath.Join("/proc", strconv.Itoa(pid), file) }

func (c *call) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	n, err := io.CopyN(io.Discard, f, 1<<16)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	c.detail = fmt.Sprintf("%d bytes", n)
	return errors.Join(err, f.Close())
}

func (c *call) list(path string) error {
	entries, err := os.ReadDir(path)
	c.detail = fmt.Sprintf("%d entries", len(entries))
	return err
}

// follow reads where one of the links in a folder leads: their number alone is no escape.
func (c *call) follow(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		to, linkErr := os.Readlink(filepath.Join(dir, e.Name()))
		if linkErr == nil {
			c.detail = e.Name() + " is " + to
			return nil
		}
		err = linkErr
	}
	if err == nil {
		return broken("%s is empty", dir)
	}
	return err
}

// opened opens a file, and does nothing with it. /dev/null in the place of a file is not that file.
func opened(path string, flags int) error {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return broken("%w", err)
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == unix.Mkdev(1, 3) {
		return fmt.Errorf("%s is /dev/null", path)
	}
	return nil
}

func (c *call) openRead(paths ...string) error { return c.openAny(os.O_RDONLY, paths) }

// openWrite opens one of the files to write, and writes nothing.
func (c *call) openWrite(paths ...string) error { return c.openAny(os.O_WRONLY, paths) }

func (c *call) openAny(flags int, paths []string) error {
	if len(paths) == 0 {
		return broken("no target")
	}
	var all error
	for _, path := range paths {
		err := opened(path, flags)
		if err == nil {
			c.detail += "opened " + path + " "
			continue
		}
		all = errors.Join(all, err)
	}
	if c.detail != "" {
		return nil
	}
	return all
}

// symbols reads where the kernel's functions are; for those who may not know, all are at 0.
func (c *call) symbols() error {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	line := make([]byte, 16)
	if _, err := io.ReadFull(f, line); err != nil {
		return err
	}
	if len(bytes.Trim(line, "0 ")) == 0 {
		return errors.New("all addresses are hidden")
	}
	return nil
}

func (c *call) writeOutside() error {
	if len(c.Outside) == 0 {
		return broken("no target")
	}
	var all error
	for _, dir := range c.Outside {
		path := filepath.Join(dir, ".cloister-escape")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			c.detail += "wrote in " + dir + " "
			if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
				return undo(err)
			}
		}
		all = errors.Join(all, err)
	}
	if c.detail != "" {
		return nil
	}
	return all
}

// inScratch makes a folder in the scratch for try.
func (c *call) inScratch(try func(dir string) error) error {
	if c.Scratch == "" {
		return broken("no target")
	}
	dir, err := os.MkdirTemp(c.Scratch, "escape")
	if err != nil {
		return broken("%w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return try(dir)
}

// makeDevice makes a device node: the harmless /dev/null, where a job could make that of a disk.
func (c *call) makeDevice() error {
	return c.inScratch(func(dir string) error {
		return unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) //nolint:gosec // two small numbers
	})
}

func (c *call) mount() error {
	return c.inScratch(func(dir string) error {
		if err := unix.Mount("escape", dir, "tmpfs", 0, "size=4096"); err != nil {
			return err
		}
		return undo(unix.Unmount(dir, unix.MNT_DETACH))
	})
}

func (c *call) fsopen() error {
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// fileHandle opens a folder by its number, past whatever hides its path.
func (c *call) fileHandle() error {
	return c.inScratch(func(dir string) error {
		handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
		if err != nil {
			return err
		}
		at, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return broken("%w", err)
		}
		defer func() { _ = unix.Close(at) }()
		fd, err := unix.OpenByHandleAt(at, handle, unix.O_RDONLY)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}

// unix talks to a socket of the host's.
func (c *call) unix(path string) error {
	if strings.Trim(path, "@") == "" {
		return broken("no target")
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrInvalid) {
		return broken("%w", err)
	}
	if err != nil {
		return err
	}
	return conn.Close()
}
