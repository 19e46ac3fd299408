package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// childVariable says which program the test binary is, if it is not the tests.
const childVariable = "CLOISTER_TEST_NETNS"

// TestMain runs the tests where they have rights over networks: as root at once, else as root of a user namespace.
func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "hold":
		os.Exit(hold())
	case "inside":
		os.Exit(m.Run())
	}
	if os.Getuid() == 0 {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), childVariable+"=inside")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil: // no user namespaces: each test says so
		fmt.Fprintln(os.Stderr, "user namespace:", err)
		os.Exit(m.Run())
	}
}

// need skips a test where this host has no network namespaces, by name; with CI set it fails.
func need(tb testing.TB) {
	tb.Helper()
	ns, err := newNamespace()
	if err == nil {
		err = ns.close()
	}
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		tb.Fatal(err)
	}
	tb.Skip(err)
}

func addr(s string) netip.Addr      { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix  { return netip.MustParsePrefix(s) }
func at(s string) netip.AddrPort    { return netip.MustParseAddrPort(s) }
func tcp(from, to int) Rule         { return Rule{Protocol: 6, From: from, To: to} }
func udp(from, to int) Rule         { return Rule{Protocol: 17, From: from, To: to} }
func everything() Rule              { return Rule{Protocol: -1, From: -1, To: -1} }
func (r Rule) cidr(s string) Rule   { r.CIDR = prefix(s); return r }
func (r Rule) group(id string) Rule { r.Group = id; return r }
func (r Rule) list(id string) Rule  { r.List = id; return r }
func rules(r ...Rule) []Rule        { return r }
func must[T any](v T, err error) T  { check(err); return v }
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// shut closes what a test no longer needs.
func shut(c io.Closer) { _ = c.Close() }

func shutFD(fd int) { _ = unix.Close(fd) }

func shutFilter(c *nftables.Conn) { _ = c.CloseLasting() }

const (
	vpcRange = "10.20.0.0/16"
	endpoint = "198.18.0.10"
	// testPatience is how long a test waits for what must come: machines are busy.
	testPatience = 10 * time.Second
)

// exampleVPC has two subnets, one of which has the endpoint, and no groups.
func exampleVPC(groups ...Group) VPC {
	return VPC{
		ID: "vpc-1", CIDRs: []netip.Prefix{prefix(vpcRange)}, Groups: groups,
		Subnets: []Subnet{
			{ID: "subnet-a", CIDR: prefix("10.20.1.0/24"), Endpoint: true},
			{ID: "subnet-b", CIDR: prefix("10.20.2.0/24")},
		},
		Lists:    []PrefixList{{ID: "pl-s3", Prefixes: []netip.Prefix{prefix("198.18.0.0/28")}}},
		Endpoint: addr(endpoint),
		Names:    []string{"s3.us-east-1.amazonaws.com", "*.s3.us-east-1.amazonaws.com"},
	}
}

// lab is a Network and the jobs in it.
type lab struct {
	testing.TB
	*Network
	jobs map[string]*namespace
}

func newLab(tb testing.TB, v VPC, o Options) *lab {
	tb.Helper()
	need(tb)
	n, err := Open(v, o)
	if err != nil {
		tb.Fatal(err)
	}
	l := &lab{TB: tb, Network: n, jobs: map[string]*namespace{}}
	tb.Cleanup(func() {
		for _, ns := range l.jobs {
			_ = ns.close()
		}
		if err := n.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return l
}

// job attaches an interface. Its subnet follows from its address.
func (l *lab) job(id, address string, groups ...string) *namespace {
	l.Helper()
	subnet := ""
	for _, s := range l.want.Subnets {
		if s.CIDR.Contains(addr(address)) {
			subnet = s.ID
		}
	}
	f, err := l.Attach(Interface{ID: id, Subnet: subnet, Addr: addr(address), Groups: groups})
	if err != nil {
		l.Fatal(err)
	}
	l.jobs[id] = &namespace{f}
	return l.jobs[id]
}

// serve answers on a port inside a namespace: TCP says one byte at once, UDP says what it was told.
func (l *lab) serve(ns *namespace, network, address string) {
	l.Helper()
	err := ns.do(func() error {
		if network == "udp" {
			p, err := net.ListenPacket("udp4", address)
			if err != nil {
				return err
			}
			l.Cleanup(func() { shut(p) })
			go func() {
				b := make([]byte, 2048)
				for {
					k, from, err := p.ReadFrom(b)
					if err != nil {
						return
					}
					_, _ = p.WriteTo(b[:k], from)
				}
			}()
			return nil
		}
		s, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		l.Cleanup(func() { shut(s) })
		go answer(s)
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
}

// answer greets every connection and reads what it says.
func answer(s net.Listener) {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = c.Write([]byte("+"))
			_, _ = io.Copy(io.Discard, c)
			shut(c)
		}()
	}
}

// reaches says whether a job gets an answer. That it does not is read in the counters: a flow that was refused, while
// the answer to one that is not comes within 10 seconds.
func (l *lab) reaches(from *namespace, network, to string) bool {
	l.Helper()
	c, err := l.dial(from, network, to, testPatience)
	if err != nil {
		return false
	}
	shut(c)
	return true
}

var errRefused = errors.New("refused on record")

// dial connects and waits for an answer, or for a refusal to be counted.
func (l *lab) dial(from *namespace, network, to string, patience time.Duration) (net.Conn, error) {
	l.Helper()
	c, err := connect(from, network, to)
	if err != nil {
		return nil, err
	}
	local, protocol := localAddr(c), protocolNumber(network)
	b := make([]byte, 16)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		if k, err := c.Read(b); k > 0 {
			return c, nil
		} else if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, errors.Join(err, c.Close())
		}
		if network == "udp" {
			_, _ = c.Write([]byte("?")) // the first may be lost
		}
		if l.wasRefused(local, at(to), protocol) {
			return nil, errors.Join(errRefused, c.Close())
		}
	}
	return nil, errors.Join(errors.New("no answer and no record"), c.Close())
}

// connect begins a connection and does not wait for it: its port is known before its first packet is answered. A datagram
// is sent at once.
func connect(from *namespace, network, to string) (c net.Conn, err error) {
	err = from.do(func() error {
		if network == "udp" {
			if c, err = net.Dial("udp4", to); err == nil {
				_, err = c.Write([]byte("?"))
			}
			return err
		}
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "tcp")
		defer shut(f)
		err = syscall.Connect(fd, &syscall.SockaddrInet4{Addr: at(to).Addr().As4(), Port: int(at(to).Port())})
		if err != nil && !errors.Is(err, syscall.EINPROGRESS) {
			return err
		}
		c, err = net.FileConn(f)
		return err
	})
	return c, err
}

func localAddr(c net.Conn) netip.AddrPort {
	return c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
}

// echo sends over a connection until the other end has acknowledged it.
func echo(c net.Conn) error {
	if _, err := c.Write([]byte("again")); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if info := tcpInfo(c); info.Unacked == 0 && info.Notsent_bytes == 0 {
			return nil
		}
	}
	return errors.New("not acknowledged within a second")
}

func tcpInfo(c net.Conn) (info *unix.TCPInfo) {
	raw := must(c.(*net.TCPConn).SyscallConn())
	var err error
	check(raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }))
	check(err)
	return info
}

// raw sends an IP packet with this payload.
func (l *lab) raw(from *namespace, protocol int, to string, payload []byte) {
	l.Helper()
	check(from.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return err
		}
		defer shutFD(fd)
		full := make([]byte, 32)
		copy(full, payload)
		if protocol == unix.IPPROTO_ICMP {
			sum := uint32(0)
			for i := 0; i < len(full); i += 2 {
				sum += uint32(full[i])<<8 | uint32(full[i+1])
			}
			sum = sum>>16 + sum&0xffff
			full[2], full[3] = byte(^sum>>8), byte(^sum)
		}
		return unix.Sendto(fd, full, 0, &unix.SockaddrInet4{Addr: addr(to).As4()})
	}))
}

// flow waits for a flow of an interface.
func (l *lab) flow(iface string, is func(Flow) bool) Flow {
	l.Helper()
	f, err := l.flowWithin(testPatience, iface, is)
	if err != nil {
		l.Fatal(err)
	}
	return f
}

func (l *lab) flowWithin(patience time.Duration, iface string, is func(Flow) bool) (Flow, error) {
	l.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, f := range must(l.Flows()).Flows {
			if f.Interface == iface && is(f) {
				return f, nil
			}
		}
	}
	return Flow{}, fmt.Errorf("no such flow of %s", iface)
}

// wasRefused says whether a flow is among the refused, of either kind.
func (l *lab) wasRefused(from, to netip.AddrPort, protocol uint8) bool {
	l.Helper()
	l.mu.Lock()
	devs := []string{}
	for _, a := range l.attached {
		devs = append(devs, a.dev)
	}
	l.mu.Unlock()
	r := must(openReader(l.ns))
	defer r.close()
	for _, dev := range devs {
		for _, set := range []string{flowRefused, flowRefusedArrival} {
			if _, ok, err := r.element(l.table.Name, set, newFlowKey(dev, from, to, protocol)); err != nil {
				l.Fatal(err)
			} else if ok {
				return true
			}
		}
	}
	return false
}

type (
	nftSet   = nftables.Set
	nftChain = nftables.Chain
)

// addVeth makes a pair of devices in the calling thread's namespace.
func addVeth(name, peer string) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer})
}
