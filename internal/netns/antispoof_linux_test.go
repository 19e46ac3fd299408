package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func openGroup() Group {
	return Group{ID: "open", Egress: rules(everything().cidr("0.0.0.0/0")), Ingress: rules(everything().cidr("0.0.0.0/0"))}
}

// spoofCheck sends with a neighbour's address, and with one of nobody, and wants both refused on record.
func spoofCheck(tb testing.TB, s seam) error {
	tb.Helper()
	l := newLab(tb, exampleVPC(openGroup()), Options{seam: s})
	a, b := l.job("eni-1", "10.20.1.11", "open"), l.job("eni-2", "10.20.1.12", "open")
	l.job("eni-3", "10.20.1.13", "open")
	l.serve(b, "udp", ":9000")
	var errs []error
	for _, forged := range []string{"10.20.1.13", "10.20.1.1", "10.20.9.9", "192.0.2.7", endpoint} {
		h := must(openLinks(a))
		check((&Network{links: h}).localAddress(h.AddrAdd, addr(forged)))
		h.Close()
		from := must(udpFrom(a, forged, "10.20.1.12:9000"))
		f, err := l.flowWithin(time.Second, "eni-1", func(f Flow) bool { return f.SourcePort == from.Port() })
		if err != nil || f.Accept || !f.Egress || f.Source != addr(forged) {
			errs = append(errs, fmt.Errorf("a datagram with source %s: accept = %t (%w), want it refused on record", forged, f.Accept, err))
		}
	}
	return errors.Join(errs...)
}

// udpFrom sends a datagram with a source address.
func udpFrom(ns *namespace, from, to string) (source netip.AddrPort, err error) {
	err = ns.do(func() error {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("udp4", to)
		if err != nil {
			return err
		}
		source = localAddr(c)
		_, err = c.Write([]byte("?"))
		return errors.Join(err, c.Close())
	})
	return source, err
}

func TestSourceCheck(t *testing.T) {
	if err := spoofCheck(t, seam{}); err != nil {
		t.Error(err)
	}
}

// TestIPv6 takes the kernel's switch away and wants the filter to refuse, and count, all the same.
func TestIPv6(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{})
	a := l.job("eni-1", "10.20.1.11", "open")
	for _, ns := range []*namespace{a, l.ns} {
		check(ns.do(func() error {
			for _, host := range []string{"[2001:db8::1]:9", "[fe80::1%eth0]:9", "[::1]:9"} {
				if c, err := net.Dial("udp6", host); err == nil {
					shut(c)
					t.Errorf("%s can be sent to", host)
				}
			}
			return nil
		}))
	}
	dev := l.find("eni-1").dev
	if err := l.ns.set(setting{"ipv6/conf/all/disable_ipv6", "0"}, setting{"ipv6/conf/" + dev + "/disable_ipv6", "0"}, setting{"ipv6/conf/all/forwarding", "1"}); err != nil {
		t.Fatal(err)
	}
	// An empty UDP datagram from 2001:db8::1 to the router's all-nodes address.
	packet := make([]byte, 48)
	packet[0], packet[5], packet[6], packet[7] = 0x60, 8, unix.IPPROTO_UDP, 64
	copy(packet[8:], net.ParseIP("2001:db8::1"))
	copy(packet[24:], net.ParseIP("ff02::1"))
	l.frame(a, unix.ETH_P_IPV6, packet)
	for deadline := time.Now().Add(testPatience); ; time.Sleep(time.Millisecond) {
		if l.ipv6Refused() > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("an IPv6 packet was not counted as refused")
		}
	}
}

// ipv6Refused reads the counter of the rule that drops what is not IPv4.
func (l *lab) ipv6Refused() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range must(l.filter.GetRules(l.table, &nftChain{Name: antispoof, Table: l.table})) {
		for _, e := range r.Exprs {
			if c, ok := e.(*expr.Counter); ok {
				return c.Packets
			}
		}
	}
	return 0
}

// frame sends an Ethernet frame from a job to its router.
func (l *lab) frame(from *namespace, kind uint16, payload []byte) {
	l.Helper()
	check(from.do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer shutFD(fd)
		i, err := net.InterfaceByName(jobDevice)
		if err != nil {
			return err
		}
		to := unix.SockaddrLinklayer{Protocol: kind<<8 | kind>>8, Ifindex: i.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
		return unix.Sendto(fd, payload, 0, &to)
	}))
}

// TestOnRecord wants on record what the kernel itself would refuse: what goes to everybody, or past the router's address to what
// the job calls its link's, has no hops left, or asks for a route of its own.
func TestOnRecord(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{})
	a := l.job("eni-1", "10.20.1.11", "open")
	l.job("eni-2", "10.20.1.12", "open")
	number := func(level, option, value int) func(int) error {
		return func(fd int) error { return unix.SetsockoptInt(fd, level, option, value) }
	}
	broadcast := number(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	onLink := func(fd int) error {
		return errors.Join(unix.BindToDevice(fd, jobDevice), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DONTROUTE, 1))
	}
	for i, p := range []struct {
		name, to string
		set      func(fd int) error
	}{
		{"everybody", "255.255.255.255", broadcast},
		{"everybody in the subnet", "10.20.1.255", broadcast},
		{"the subnet's first address", "10.20.1.0", broadcast},
		{"a group of listeners", "224.0.0.251", broadcast},
		{"nobody, on the link", "10.20.1.99", onLink},
		{"elsewhere, on the link", "192.0.2.7", onLink},
		{"a neighbour, one hop", "10.20.1.12", number(unix.IPPROTO_IP, unix.IP_TTL, 1)},
		{"a neighbour by a source route", "10.20.1.12", func(fd int) error {
			return unix.SetsockoptString(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, "\x83\x07\x04\x0a\x14\x01\x0c\x00")
		}},
	} {
		to := netip.AddrPortFrom(addr(p.to), uint16(9000+i))
		if err := a.do(func() error { return sendWith(to, p.set) }); err != nil {
			t.Errorf("%s: %v", p.name, err)
			continue
		}
		f, err := l.flowWithin(time.Second, "eni-1", func(f Flow) bool { return f.Port == to.Port() })
		if err != nil || f.Accept || !f.Egress {
			t.Errorf("a datagram to %s: %+v, %v: want it refused on record", p.name, f, err)
		}
	}
}

// sendWith sends a datagram from a socket with options.
func sendWith(to netip.AddrPort, set func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer shutFD(fd)
	if err := set(fd); err != nil {
		return err
	}
	return unix.Sendto(fd, []byte("?"), 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// TestARP wants neighbours that nobody can change from the job.
func TestARP(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{})
	a := l.job("eni-1", "10.20.1.11", "open")
	l.job("eni-2", "10.20.1.12", "open")
	neighbours := func() string {
		s := ""
		for _, n := range must(l.links.NeighList(0, unix.AF_INET)) {
			s += fmt.Sprint(n.IP, " ", n.HardwareAddr, " ", n.State == netlink.NUD_PERMANENT, "; ")
		}
		return s
	}
	before := neighbours()
	link := must(l.links.LinkByName(l.find("eni-1").dev))
	if link.Attrs().RawFlags&unix.IFF_NOARP == 0 {
		t.Error("ARP is on at the router")
	}
	h := must(openLinks(a))
	defer h.Close()
	if must(h.LinkByName(jobDevice)).Attrs().RawFlags&unix.IFF_NOARP == 0 {
		t.Error("ARP is on in the job")
	}
	arp := []byte{0, 1, 8, 0, 6, 4, 0, 2} // a reply: 10.20.1.12 is at 02:00:00:00:00:99
	arp = append(arp, 2, 0, 0, 0, 0, 0x99, 10, 20, 1, 12, 2, 0, 0, 0, 0, 0x99, 10, 20, 1, 12)
	l.frame(a, unix.ETH_P_ARP, arp)
	must(udpFrom(a, "10.20.1.11", "10.20.1.12:9")) // after the frame on the same device
	l.flow("eni-1", func(f Flow) bool { return f.Port == 9 })
	if after := neighbours(); after != before || before == "" {
		t.Errorf("neighbours are %q after a forged ARP reply, want %q", after, before)
	}
}
