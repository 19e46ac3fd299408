package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Finding is one thing that the probe tried from inside.
type Finding struct {
	Name string `json:"name"`
	// OK says that it went as it must: what is forbidden failed, what is needed worked.
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// ProbeArgv is the command line of the probe: this program, which the probing sandbox binds at /probe.
func ProbeArgv() []string { return []string{ProbePath, probeStage} }

// ProbePath is where the probe's program must be bound.
const ProbePath = "/probe"

// IsProbe reports whether this process was started as the probe: exec cannot set argument 0 apart from the
// path, so the probe is told by its first argument.
func IsProbe() bool { return len(os.Args) == 2 && os.Args[0] == ProbePath && os.Args[1] == probeStage }

// runProbe tries, from inside a sandbox, what a hostile process would, and prints the findings as JSON.
func runProbe() int {
	findings := []Finding{
		refused("new user namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }),
		refused("new network namespace", func() error { return unix.Unshare(unix.CLONE_NEWNET) }),
		refused("mount", func() error { return unix.Mount("tmpfs", "/scratch", "tmpfs", 0, "") }),
		refused("AF_VSOCK socket", socketOf(unix.AF_VSOCK, unix.SOCK_STREAM)),
		refused("AF_PACKET socket", socketOf(unix.AF_PACKET, unix.SOCK_RAW)),
		refused("raw socket", socketOf(unix.AF_INET, unix.SOCK_RAW)),
		refused("netfilter socket", func() error {
			fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}),
		refused("secret memory", func() error { _, err := unix.MemfdSecret(0); return err }),
		refused("ptrace", func() error { return unix.PtraceAttach(1) }),
		refused("kernel keyring", func() error { _, err := unix.KeyctlGetKeyringID(-3, false); return err }),
		refused("write to the root", func() error { return os.WriteFile("/x", nil, 0o600) }),
		refused("write to /usr", func() error { return os.WriteFile("/usr/x", nil, 0o600) }),
		refused("write to /proc/sys", func() error { return os.WriteFile("/proc/sys/kernel/hostname", []byte("x"), 0) }),
		refused("become root", func() error { return becomeRoot() }),
		refused("connect to 127.0.0.1", func() error { return dial("127.0.0.1:22") }),
		refused("connect to 169.254.169.254", func() error { return dial("169.254.169.254:80") }),
		network(), capabilities(), processes(),
		works("write to /scratch", func() error { return os.WriteFile("/scratch/probe", []byte("x"), 0o600) }),
		works("write to /dev/shm", func() error { return os.WriteFile("/dev/shm/probe", []byte("x"), 0o600) }),
		works("anonymous files", func() error {
			fd, err := unix.MemfdCreate("probe", 0)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		}),
	}
	if err := json.NewEncoder(os.Stdout).Encode(findings); err != nil {
		return 1
	}
	return 0
}

func refused(name string, f func() error) Finding {
	if err := f(); err != nil {
		return Finding{Name: name + " is refused", OK: true, Detail: err.Error()}
	}
	return Finding{Name: name + " is refused", Detail: "it was allowed"}
}

func works(name string, f func() error) Finding {
	if err := f(); err != nil {
		return Finding{Name: name, Detail: err.Error()}
	}
	return Finding{Name: name, OK: true}
}

func socketOf(family, kind int) func() error {
	return func() error {
		fd, err := unix.Socket(family, kind, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
}

// becomeRoot tries to take user id 0; in a user namespace, where the id is 0 already, to take another.
func becomeRoot() error {
	target := 0
	if os.Getuid() == 0 {
		target = 1
	}
	return unix.Setresuid(target, target, target)
}

func dial(address string) error {
	conn, err := net.Dial("tcp", address) //nolint:noctx // fails at once: there is no route
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// network makes sure that there is nothing but a loopback.
func network() Finding {
	f := Finding{Name: "no network interface but loopback"}
	interfaces, err := net.Interfaces()
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	f.OK = true
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			f.OK, f.Detail = false, i.Name
		}
	}
	return f
}

// capabilities makes sure that there are none.
func capabilities() Finding {
	f := Finding{Name: "no capabilities"}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		f.Detail = err.Error()
		return f
	}
	sum := data[0].Effective | data[0].Permitted | data[0].Inheritable | data[1].Effective | data[1].Permitted | data[1].Inheritable
	f.OK = sum == 0
	if !f.OK {
		f.Detail = fmt.Sprintf("%x", sum)
	}
	return f
}

// processes makes sure that no process of the host is visible.
func processes() Finding {
	f := Finding{Name: "no process of the host is visible"}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	n := 0
	for _, e := range entries {
		if c := e.Name()[0]; c >= '0' && c <= '9' {
			n++
		}
	}
	f.OK = n <= 3
	if !f.OK {
		f.Detail = fmt.Sprintf("%d processes", n)
	}
	return f
}

// ErrProbe says that a sandbox let something through.
var ErrProbe = errors.New("the sandbox does not hold")
