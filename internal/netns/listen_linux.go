package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Listen makes a listening socket ("tcp") or a bound one ("udp") inside the VPC, at one of the router's addresses, and
// returns its descriptor, which the caller closes and may hand to another process. net.FileListener and
// net.FilePacketConn take it. Whoever holds it keeps the VPC's namespace alive, but not its interfaces.
func (n *Network) Listen(network string, at netip.AddrPort) (*os.File, error) {
	if !at.Addr().Is4() {
		return nil, fmt.Errorf("listen at %v: want an IPv4 address", at)
	}
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, ErrClosed
	}
	n.busy.Add(1)
	n.mu.Unlock()
	defer n.busy.Done()
	return n.listen(network, at)
}

func (n *Network) listen(network string, at netip.AddrPort) (*os.File, error) {
	kind := unix.SOCK_STREAM
	switch network {
	case "tcp":
	case "udp":
		kind = unix.SOCK_DGRAM
	default:
		return nil, fmt.Errorf("listen: unknown network %q, want tcp or udp", network)
	}
	var fd int
	err := n.ns.do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	const backlog = 4096 // net.core.somaxconn bounds it
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
	}
	if err == nil && kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		err = fmt.Errorf("listen at %s %v, which must be an address of the router: %w", network, at, err)
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), network+" "+at.String()), nil
}

func protocolNumber(network string) byte {
	if network == "udp" {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}
