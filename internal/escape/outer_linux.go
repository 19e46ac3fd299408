package escape

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Outer is a world of its own in network namespaces, joined by veth pairs. Nothing of it is the machine's network:
//
//	internet    203.0.113.10, 203.0.113.53 (upstream resolver), 2001:db8:1::10
//	   |
//	host        198.51.100.1, 127/8, ::1, 169.254.169.254, 169.254.170.2, 169.254.7.7; 192.0.2.2 (a resolver with an upstream)
//	   |    \
//	uplink   neighbours   192.0.2.11, fe80::b | 192.0.2.12 (the same subnet), 198.51.100.12 (another VPC)
//
// The host forwards and filters nothing. Every server remembers what reached it. The server under test runs in the host's
// namespace (Run, with Host), so that its jobs have the same world around them as the control.
type Outer struct {
	ctx     context.Context //nolint:containedctx // the world's life
	cancel  context.CancelFunc
	dir     string
	spaces  map[place]*os.File
	closers []io.Closer
	servers sync.WaitGroup
	victims []*exec.Cmd

	victim, doomed int

	lock     sync.Mutex // guards arrivals, and calls of told
	arrivals []Arrival
	told     func(Arrival) // of each, if not nil
}

type place string

const (
	internetPlace   place = "internet"
	neighboursPlace place = "neighbours"
	uplinkPlace           = place(Uplink)
	hostPlace             = place(Host)
)

const (
	servicePort, neighbourPort, loopbackPort, shoutPort, dnsPort = 443, 8443, 8081, 5353, 53

	zone         = "tunnel.example"
	abstractName = "cloister-escape"
	uplinkDevice = "eth0"
)

func upstreamAddr() netip.Addr { return netip.MustParseAddr("203.0.113.53") }

// NewOuter makes the world. It needs root, or a user namespace; dir is a folder for its files. Close ends it.
func NewOuter(ctx context.Context, dir string) (_ *Outer, err error) {
	ctx, cancel := context.WithCancel(ctx)
	o := &Outer{ctx: ctx, cancel: cancel, dir: dir, spaces: map[place]*os.File{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("escape: the world: %w", err), o.Close())
		}
	}()
	for _, name := range []place{hostPlace, uplinkPlace, internetPlace, neighboursPlace} {
		if o.spaces[name], err = newSpace(); err != nil {
			return nil, err
		}
		if err := o.in(name, prepare); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := o.wire(); err != nil {
		return nil, err
	}
	if err := o.populate(); err != nil {
		return nil, err
	}
	for _, pid := range []*int{&o.victim, &o.doomed} {
		if *pid, err = o.newVictim(); err != nil {
			return nil, err
		}
	}
	for _, folder := range []string{"scratch", "shm", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Close ends the world and waits for its servers.
func (o *Outer) Close() error {
	o.cancel()
	var all error
	for _, c := range o.closers {
		all = errors.Join(all, c.Close())
	}
	o.servers.Wait()
	for _, v := range o.victims {
		_ = v.Process.Kill()
		_ = v.Wait() // killed, by us or by a probe
	}
	for _, f := range o.spaces {
		all = errors.Join(all, f.Close())
	}
	return all
}

// Targets are those of the control. What differs in a job is the caller's to change.
func (o *Outer) Targets() Targets {
	at := func(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), servicePort) }
	// Neighbours serve where they may without privileges, as jobs do.
	neighbour := func(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), neighbourPort) }
	loopback := func(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), loopbackPort) }
	shout := func(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), shoutPort) }
	var devices []string
	for _, path := range []string{"/dev/mem", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/loop-control"} {
		if _, err := os.Stat(path); err == nil {
			devices = append(devices, path)
		}
	}
	return Targets{
		Device:   uplinkDevice,
		Internet: at("203.0.113.10"), Internet6: at("2001:db8:1::10"), Host: at("198.51.100.1"), Router: at("192.0.2.1"),
		Loopback: loopback("127.0.0.1"), Loopback6: loopback("::1"), LoopbackOther: loopback("127.0.0.53"),
		LinkLocal: at("169.254.7.7"), LinkLocal6: at("fe80::1"), Metadata: at("169.254.169.254"), Credentials: at("169.254.170.2"),
		Neighbour: neighbour("192.0.2.12"), OtherVPC: neighbour("198.51.100.12"),
		Resolver: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.2"), dnsPort), Upstream: netip.AddrPortFrom(upstreamAddr(), dnsPort), Zone: zone,
		Broadcast: []netip.AddrPort{shout("255.255.255.255"), shout("192.0.2.255")}, Multicast: shout("224.0.0.251"),
		Foreign: netip.MustParseAddr("192.0.2.12"), Unused: netip.MustParseAddr("198.51.100.99"),
		Victim: o.victim, Doomed: o.doomed, VictimName: victimName,
		Scratch: filepath.Join(o.dir, "scratch"), Shm: filepath.Join(o.dir, "shm"), Outside: []string{filepath.Join(o.dir, "outside")},
		Devices: devices, Socket: filepath.Join(o.dir, "socket"), Abstract: abstractName,
		Forks: 200, MemoryBytes: 256 << 20, DiskBytes: 64 << 20, ShmBytes: 64 << 20,
	}
}

// Arrivals returns what has reached the world's servers so far.
func (o *Outer) Arrivals() []Arrival {
	o.lock.Lock()
	defer o.lock.Unlock()
	return slices.Clone(o.arrivals)
}

// Namespace is the network namespace of a place, the world's to close.
func (o *Outer) Namespace(at Place) *os.File { return o.spaces[place(at)] }

// Run runs f on a thread in the network namespace of a place; sockets that it makes stay there, and processes that it starts
// are born there.
func (o *Outer) Run(at Place, f func() error) error { return o.in(place(at), f) }

// Probe runs the program in a place, in a mount namespace of its own, and returns its reports.
func (o *Outer) Probe(at Place, in Input) ([]Report, error) {
	input, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var out, stderr bytes.Buffer
	cmd := self(o.ctx, driverName)
	cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &stderr
	err = o.in(place(at), cmd.Run)
	if status := new(exec.ExitError); err != nil && (!errors.As(err, &status) || status.ExitCode() != 1) {
		return nil, fmt.Errorf("escape: the program: %w: %s", err, stderr.Bytes())
	}
	return ReadReports(&out)
}

// ReadReports reads what the program printed.
func ReadReports(r io.Reader) ([]Report, error) {
	var all []Report
	for dec := json.NewDecoder(r); ; {
		var one Report
		if err := dec.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, fmt.Errorf("escape: a report: %w", err)
		}
		all = append(all, one)
	}
}

// newSpace makes a network namespace that lives as long as its file, and what is in it.
func newSpace() (f *os.File, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			f, err = os.Open("/proc/thread-self/ns/net")
		}
	}()
	<-done
	return f, err
}

func (o *Outer) in(at place, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Setns(int(o.spaces[at].Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// prepare makes a namespace forward, ping and forget about reverse paths, and takes its loopback up.
func prepare() error {
	for file, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
		"ipv4/ping_group_range": "0 2147483647", "ipv6/conf/all/disable_ipv6": "0", "ipv6/conf/default/disable_ipv6": "0",
	} {
		err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0)
		if err != nil && (file != "ipv4/ping_group_range" || !errors.Is(err, unix.EINVAL)) { // with one group mapped it cannot be written
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// newVictim starts a process of the host to attack, and waits until it lives.
func (o *Outer) newVictim() (int, error) {
	cmd := self(o.ctx, victimName)
	cmd.SysProcAttr.Pdeathsig = 0 // that would be of the thread that enters the host's namespace; the pipe ends it too
	if _, err := cmd.StdinPipe(); err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := o.in(hostPlace, cmd.Start); err != nil {
		return 0, err
	}
	o.victims = append(o.victims, cmd)
	_, err = bufio.NewReader(out).ReadString('\n')
	return cmd.Process.Pid, err
}
