package netns

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace, alive as long as this descriptor, a thread, a socket or a process holds it. It has
// no name in any file system, so none can outlive the process by mistake.
type namespace struct{ file *os.File }

// newNamespace makes an empty namespace on a thread that ends with it.
func newNamespace() (*namespace, error) {
	var f *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace (needs root, or root of a user namespace): %w", err)
		}
		var err error
		// Not /proc/self: that is the first thread's namespace.
		f, err = os.OpenFile("/proc/thread-self/ns/net", os.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &namespace{f}, nil
}

// do runs f on a thread inside the namespace. Sockets that f makes stay in the namespace for ever. f must not start
// goroutines that make sockets: they run elsewhere.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onThread runs f on a thread of its own, which the runtime ends afterwards: a thread that changed namespace never serves
// another goroutine.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// The first thread cannot end, and /proc/self shows its namespace: hold it until another thread has done this.
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f()
	}()
	return <-done
}

// setting is a kernel parameter below /proc/sys/net and its value.
type setting struct{ name, value string }

// set writes kernel parameters of the namespace. A parameter of IPv6 that does not exist is as good as off.
func (n *namespace) set(all ...setting) error {
	return n.do(func() error {
		for _, s := range all {
			err := os.WriteFile("/proc/sys/net/"+s.name, []byte(s.value), 0)
			if os.IsNotExist(err) && len(s.name) > 5 && s.name[:5] == "ipv6/" {
				continue
			}
			if err != nil {
				return fmt.Errorf("set kernel parameter net/%s to %s: %w", s.name, s.value, err)
			}
		}
		return nil
	})
}

// open returns another descriptor of the namespace.
func (n *namespace) open() (*os.File, error) {
	fd, err := unix.FcntlInt(n.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate namespace descriptor: %w", err)
	}
	return os.NewFile(uintptr(fd), "netns"), nil
}

func (n *namespace) close() error { return n.file.Close() }
