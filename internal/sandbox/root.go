package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// rootBytes is the size of the sandbox's root: mount points, links and four small files.
const rootBytes = 4 << 20

// system is what every sandbox sees of the host: programs and libraries, and the loader's cache.
func system() []string {
	return []string{"/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"}
}

// buildRoot makes the root in a new tmpfs, moves into it and opens the scratch.
func buildRoot(c Config) (*os.File, error) {
	b := builder{c: c, root: "/mnt"}
	b.do("make mounts private", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") })
	b.do("mount the root", func() error {
		return unix.Mount("tmpfs", b.root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=755,nr_inodes=4096", rootBytes))
	})
	for _, path := range system() {
		b.bind(Bind{path, path}, true)
	}
	for _, bind := range c.Binds {
		b.bind(bind, false)
	}
	b.devices()
	b.memory("/scratch", c.ScratchBytes, 0o700, c.Group)
	b.do("link /tmp", func() error { return os.Symlink("scratch", b.root+"/tmp") })
	b.proc()
	for name, text := range map[string]string{
		"/etc/passwd": fmt.Sprintf("job:x:%[1]d:%[1]d::/scratch:/usr/sbin/nologin\n", b.uid()), "/etc/group": fmt.Sprintf("job:x:%d:\n", b.uid()),
		"/etc/hosts": "127.0.0.1 localhost\n", "/etc/nsswitch.conf": "hosts: " + sources(c) + "\n",
	} {
		b.do("write "+name, func() error {
			if err := os.MkdirAll(filepath.Dir(b.root+name), 0o755); err != nil { //nolint:gosec // the sandbox's own root
				return err
			}
			return os.WriteFile(b.root+name, []byte(text), 0o444) //nolint:gosec // read by the job's user
		})
	}
	b.enter()
	if b.err != nil {
		return nil, b.err
	}
	return os.OpenFile("/scratch", os.O_RDONLY|unix.O_DIRECTORY, 0)
}

// sources are where host names come from.
func sources(c Config) string {
	if c.Networked {
		return "files dns"
	}
	return "files"
}

// builder stops at the first failure and remembers it: a step that failed means that nothing runs.
type builder struct {
	c    Config
	root string
	err  error
}

func (b *builder) do(what string, f func() error) {
	if b.err == nil {
		if err := f(); err != nil {
			b.err = fmt.Errorf("%s: %w", what, err)
		}
	}
}

// uid is the id that owns the scratch, as seen inside.
func (b *builder) uid() int {
	if b.c.UserNamespace {
		return 0
	}
	return b.c.UID
}

// bind makes a host path appear, read-only. Links of the system, such as /bin, stay links.
func (b *builder) bind(at Bind, mayMiss bool) {
	b.do("bind "+at.Target, func() error {
		target := b.root + at.Target
		info, err := os.Lstat(at.Source)
		if errors.Is(err, fs.ErrNotExist) && mayMiss {
			return nil
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 && at.Source == at.Target {
			to, err := os.Readlink(at.Source)
			if err != nil {
				return err
			}
			return os.Symlink(to, target)
		}
		if info, err = os.Stat(at.Source); err != nil {
			return err
		}
		if err := b.mountPoint(at.Target, info.IsDir()); err != nil {
			return err
		}
		if err := unix.Mount(at.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		return setAttributes(target, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	})
}

// mountPoint makes a folder or an empty file in the new root. What is bound there already may have links: none is followed out of
// the root, where they would lead to the host's files, and nothing that exists is touched.
func (b *builder) mountPoint(target string, folder bool) error {
	root, err := os.OpenRoot(b.root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	name := strings.TrimPrefix(target, "/")
	if folder {
		return root.MkdirAll(name, 0o755)
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	return file.Close()
}

func setAttributes(path string, attributes uint64) error {
	return unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes})
}

// memory mounts a tmpfs for the job's user, and for a group that may see and change what is in it.
func (b *builder) memory(path string, size int64, mode, group int) {
	b.do("mount "+path, func() error {
		target := b.root + path
		if err := os.MkdirAll(target, 0o755); err != nil { //nolint:gosec // the sandbox's own root
			return err
		}
		if group == 0 {
			group = b.uid()
		} else {
			mode |= 0o2070 // setgid: what is made in it is the group's too
		}
		options := fmt.Sprintf("size=%d,mode=%o,uid=%d,gid=%d", size, mode, b.uid(), group)
		if b.c.Noswap {
			options += ",noswap"
		}
		return unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options)
	})
}

// devices makes /dev with the five harmless devices, and /dev/shm.
func (b *builder) devices() {
	b.do("make /dev", func() error {
		dev := b.root + "/dev"
		if err := os.Mkdir(dev, 0o755); err != nil { //nolint:gosec // the sandbox's own root
			return err
		}
		for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
			target := filepath.Join(dev, name)
			if err := os.WriteFile(target, nil, 0o444); err != nil { //nolint:gosec // a mount point
				return err
			}
			if err := unix.Mount("/dev/"+name, target, "", unix.MS_BIND, ""); err != nil {
				return err
			}
			if err := setAttributes(target, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err != nil {
				return err
			}
		}
		for link, to := range map[string]string{"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
			if err := os.Symlink("/proc/self/"+to, filepath.Join(dev, link)); err != nil {
				return err
			}
		}
		return nil
	})
	b.memory("/dev/shm", b.c.ShmBytes, 0o1777, 0)
}

// proc mounts /proc, in which a job sees its own processes only, and makes the rest of it harmless.
func (b *builder) proc() {
	target := b.root + "/proc"
	b.do("mount /proc", func() error {
		if err := os.Mkdir(target, 0o755); err != nil { //nolint:gosec // the sandbox's own root
			return err
		}
		options := "hidepid=2"
		if b.c.UserNamespace {
			options = "" // the job's user is this process's: hidepid would hide nothing
		}
		return unix.Mount("proc", target, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
	})
	for _, name := range []string{"sys", "bus", "irq", "fs"} {
		b.do("make /proc/"+name+" read-only", func() error {
			path := filepath.Join(target, name)
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
				return err
			}
			return setAttributes(path, unix.MOUNT_ATTR_RDONLY)
		})
	}
	for _, name := range []string{"kcore", "keys", "timer_list", "sysrq-trigger", "kmsg", "kallsyms", "config.gz", "cmdline", "modules"} {
		b.do("hide /proc/"+name, func() error {
			path := filepath.Join(target, name)
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return unix.Mount("/dev/null", path, "", unix.MS_BIND, "")
		})
	}
}

// enter makes the new root the root, lets go of the host's, and makes it read-only.
func (b *builder) enter() {
	b.do("enter the root", func() error {
		if err := unix.Chdir(b.root); err != nil {
			return err
		}
		if err := unix.PivotRoot(".", "."); err != nil {
			return err
		}
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return err
		}
		return unix.Chdir("/")
	})
	b.do("make the root read-only", func() error {
		return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	})
	b.do("set the host name", func() error { return unix.Sethostname([]byte("job")) })
}

// CheckBind refuses binds that a sandbox must not have: relative paths, anything below /tmp (which is a link
// to the scratch inside), and folders that may hold sockets of the host.
func CheckBind(at Bind) error {
	for _, path := range []string{at.Source, at.Target} {
		if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
			return fmt.Errorf("%q is not a clean absolute path", path)
		}
	}
	for _, forbidden := range []string{"/tmp", "/proc", "/dev", "/sys", "/scratch", "/etc", "/usr", "/bin", "/lib", "/lib64", "/sbin"} {
		if at.Target == forbidden || strings.HasPrefix(at.Target, forbidden+"/") {
			return fmt.Errorf("nothing can be bound at %s: %s is the sandbox's own", at.Target, forbidden)
		}
	}
	for _, forbidden := range []string{"/run", "/var/run", "/proc", "/sys", "/dev"} {
		if at.Source == forbidden || strings.HasPrefix(at.Source, forbidden+"/") {
			return fmt.Errorf("%s of the host cannot be bound: it may hold sockets and devices", at.Source)
		}
	}
	return nil
}
