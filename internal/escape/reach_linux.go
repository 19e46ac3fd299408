package escape

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// reachProbes talk to somebody: they succeed if somebody answers.
func reachProbes() []Probe {
	tcp := func(name string, at func(*call) netip.AddrPort) Probe {
		return Probe{Name: name, parallel: true, try: func(c *call) error { return c.tcp(at(c), "tcp") }}
	}
	udp := func(name string, at func(*call) netip.AddrPort) Probe {
		return Probe{Name: name, parallel: true, try: func(c *call) error { return c.udp(at(c), "udp") }}
	}
	onHost := func(p Probe) Probe {
		p.Control = Host
		return p
	}
	internet := func(c *call) netip.AddrPort { return c.Internet }
	host := func(c *call) netip.AddrPort { return c.Host }
	router := func(c *call) netip.AddrPort { return c.Router }
	neighbour := func(c *call) netip.AddrPort { return c.Neighbour }
	other := func(c *call) netip.AddrPort { return c.OtherVPC }
	metadata := func(c *call) netip.AddrPort { return c.Metadata }
	internet6 := func(c *call) netip.AddrPort { return c.Internet6 }
	linkLocal6 := func(c *call) netip.AddrPort {
		return netip.AddrPortFrom(c.LinkLocal6.Addr().WithZone(c.Device), c.LinkLocal6.Port())
	}
	return []Probe{
		tcp("internet-tcp", internet),
		udp("internet-udp", internet),
		{Name: "internet-icmp", parallel: true, try: func(c *call) error { return c.ping(c.Internet.Addr()) }},
		tcp("host-tcp", host),
		udp("host-udp", host),
		{Name: "host-icmp", parallel: true, try: func(c *call) error { return c.ping(c.Host.Addr()) }},
		tcp("router-tcp", router),
		udp("router-udp", router),
		onHost(tcp("loopback-tcp", func(c *call) netip.AddrPort { return c.Loopback })),
		onHost(udp("loopback-udp", func(c *call) netip.AddrPort { return c.Loopback })),
		onHost(tcp("loopback-other-tcp", func(c *call) netip.AddrPort { return c.LoopbackOther })),
		onHost(tcp("loopback6-tcp", func(c *call) netip.AddrPort { return c.Loopback6 })),
		tcp("link-local-tcp", func(c *call) netip.AddrPort { return c.LinkLocal }),
		tcp("link-local6-tcp", linkLocal6),
		tcp("metadata-tcp", metadata),
		udp("metadata-udp", metadata),
		tcp("container-credentials-tcp", func(c *call) netip.AddrPort { return c.Credentials }),
		tcp("neighbour-tcp", neighbour),
		udp("neighbour-udp", neighbour),
		{Name: "neighbour-icmp", parallel: true, try: func(c *call) error { return c.ping(c.Neighbour.Addr()) }},
		tcp("other-vpc-tcp", other),
		udp("other-vpc-udp", other),
		tcp("internet6-tcp", internet6),
		udp("internet6-udp", internet6),
		{Name: "internet-mapped-tcp", parallel: true, try: func(c *call) error { return c.mapped(c.Internet) }},
		{Name: "broadcast", try: func(c *call) error { return c.shout(c.Broadcast...) }},
		{Name: "multicast", try: func(c *call) error { return c.shout(c.Multicast) }},
	}
}

// hello is what a probe sends: whoever receives it knows from which probe it came.
func (c *call) hello() string { return "escape " + c.name }

// note remembers that something was sent, unless err says that it never left, or it went to the job's own loopback.
func (c *call) note(protocol int, to netip.AddrPort, err error) {
	for _, local := range []error{unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EACCES, unix.EPERM, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ENODEV, unix.EINVAL} {
		if errors.Is(err, local) {
			return
		}
	}
	packet := Packet{Protocol: uint8(protocol), Dest: to.Addr().Unmap().WithZone(""), Port: to.Port()} //nolint:gosec // a protocol's number
	if !to.Addr().IsLoopback() && !slices.Contains(c.sent, packet) {
		c.sent = append(c.sent, packet)
	}
}

// answered reports whether err is an answer: somebody who refuses a connection was reached. On a loopback it is one's own.
func answered(err error, to netip.AddrPort) bool {
	return !to.Addr().IsLoopback() && (errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ECONNRESET))
}

// tcp connects to a service and hears its greeting.
func (c *call) tcp(to netip.AddrPort, network string) error {
	if !to.IsValid() {
		return broken("no target")
	}
	d := net.Dialer{Timeout: c.patience}
	conn, err := d.DialContext(c.ctx, network, to.String())
	c.note(unix.IPPROTO_TCP, to, err)
	if answered(err, to) {
		c.detail = "refused by its peer, which was reached"
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return c.exchange(conn, to)
}

// udp asks a service and hears its answer.
func (c *call) udp(to netip.AddrPort, network string) error {
	if !to.IsValid() {
		return broken("no target")
	}
	d := net.Dialer{Timeout: c.patience}
	conn, err := d.DialContext(c.ctx, network, to.String())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return c.exchange(conn, to)
}

func (c *call) exchange(conn net.Conn, to netip.AddrPort) error {
	if err := conn.SetDeadline(c.deadline()); err != nil {
		return broken("%w", err)
	}
	_, err := conn.Write([]byte(c.hello()))
	if conn.LocalAddr().Network() == "udp" {
		c.note(unix.IPPROTO_UDP, to, err)
	}
	buf := make([]byte, 512)
	n := 0
	if err == nil {
		n, err = conn.Read(buf)
	}
	switch {
	case answered(err, to):
		c.detail = "refused by its peer, which was reached"
		return nil
	case err != nil:
		return err
	}
	c.detail = fmt.Sprintf("%s answered %q", to, buf[:n])
	return nil
}

func (c *call) deadline() time.Time {
	return time.Now().Add(c.patience) //nolint:forbidigo // sockets want a point of time
}

// mapped reaches an IPv4 address through an IPv6 socket: rules for one family may forget the other.
func (c *call) mapped(to netip.AddrPort) error {
	if !to.IsValid() {
		return broken("no target")
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	limit := unix.NsecToTimeval(c.patience.Nanoseconds())
	if err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)); err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())})
	c.note(unix.IPPROTO_TCP, to, err)
	if answered(err, to) {
		return nil
	}
	return err
}

// ping asks for an echo, through the socket that ordinary users may have or, else, a raw one.
func (c *call) ping(to netip.Addr) error {
	if !to.IsValid() {
		return broken("no target")
	}
	conn, err := icmp.ListenPacket("udp4", "0.0.0.0")
	var dest net.Addr = &net.UDPAddr{IP: to.AsSlice()}
	if err != nil {
		var rawErr error
		conn, rawErr = icmp.ListenPacket("ip4:icmp", "0.0.0.0")
		dest = &net.IPAddr{IP: to.AsSlice()}
		if rawErr != nil {
			return errors.Join(err, rawErr)
		}
	}
	defer func() { _ = conn.Close() }()
	question := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: unix.Getpid() & 0xffff, Seq: 1, Data: []byte(c.hello())}}
	raw, err := question.Marshal(nil)
	if err != nil {
		return broken("%w", err)
	}
	if err := conn.SetDeadline(c.deadline()); err != nil {
		return broken("%w", err)
	}
	_, err = conn.WriteTo(raw, dest)
	c.note(unix.IPPROTO_ICMP, netip.AddrPortFrom(to, 0), err)
	if err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for { // a raw socket hears everybody's
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		m, err := icmp.ParseMessage(unix.IPPROTO_ICMP, buf[:n])
		if err != nil {
			continue
		}
		if echo, ok := m.Body.(*icmp.Echo); ok && m.Type == ipv4.ICMPTypeEchoReply && string(echo.Data) == c.hello() {
			c.detail = "echo from " + from.String()
			return nil
		}
	}
}

// shout sends to everybody who listens, and hears whether anybody answers.
func (c *call) shout(to ...netip.AddrPort) error {
	if len(to) == 0 || !to[0].IsValid() {
		return broken("no target")
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(c.ctx, "udp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(c.deadline()); err != nil {
		return broken("%w", err)
	}
	var refused error
	for _, at := range to {
		_, err := conn.WriteTo([]byte(c.hello()), net.UDPAddrFromAddrPort(at))
		c.note(unix.IPPROTO_UDP, at, err)
		refused = errors.Join(refused, err)
	}
	if len(c.sent) == 0 {
		return refused
	}
	buf := make([]byte, 512)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		return errors.Join(refused, err)
	}
	c.detail = fmt.Sprintf("%s answered %q", from, buf[:n])
	return nil
}
