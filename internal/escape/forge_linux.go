package escape

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// forgeProbes lie about who sends, or change how the namespace sends. What they change they take back.
func forgeProbes() []Probe {
	return []Probe{
		{Name: "forge-source-raw", try: (*call).forgeRaw},
		{Name: "forge-source-bind", try: (*call).forgeBind},
		{Name: "forge-arp", try: (*call).forgeARP},
		{Name: "add-address", try: (*call).addAddress},
		{Name: "change-neighbour", try: (*call).changeNeighbour},
		{Name: "add-route", try: (*call).addRoute},
		{Name: "add-link", try: (*call).addLink},
		{Name: "change-link", try: (*call).changeLink},
		{Name: "add-tun", try: (*call).addTun},
	}
}

// forgeRaw sends a datagram whose IP header it wrote itself.
func (c *call) forgeRaw() error {
	if !c.Foreign.Is4() || !c.Internet.IsValid() {
		return broken("no target")
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	const udpHeader = 8
	body := []byte(c.hello())
	h := ipv4.Header{
		Version: ipv4.Version, Len: ipv4.HeaderLen, TotalLen: ipv4.HeaderLen + udpHeader + len(body), TTL: 64, Protocol: unix.IPPROTO_UDP,
		Src: c.Foreign.AsSlice(), Dst: c.Internet.Addr().AsSlice(),
	}
	packet, err := h.Marshal()
	if err != nil {
		return broken("%w", err)
	}
	port, size := c.Internet.Port(), udpHeader+len(body)
	packet = append(packet, 0x9c, 0x40, byte(port>>8), byte(port), byte(size>>8), byte(size), 0, 0) //nolint:gosec // big-endian
	packet = append(packet, body...)
	err = unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: c.Internet.Addr().As4()})
	c.note(unix.IPPROTO_UDP, c.Internet, err)
	return err
}

// forgeBind binds an address that is not this namespace's and sends from it.
func (c *call) forgeBind() error {
	if !c.Foreign.Is4() || !c.Internet.IsValid() {
		return broken("no target")
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// Without IP_TRANSPARENT one can bind (IP_FREEBIND), but not send; both are tried.
	refused := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1)
	refused = errors.Join(refused, unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1))
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: c.Foreign.As4()}); err != nil {
		return errors.Join(refused, err)
	}
	err = unix.Sendto(fd, []byte(c.hello()), 0, &unix.SockaddrInet4{Addr: c.Internet.Addr().As4(), Port: int(c.Internet.Port())})
	c.note(unix.IPPROTO_UDP, c.Internet, err)
	if err != nil {
		return errors.Join(refused, err)
	}
	return nil
}

// forgeARP tells everybody on the link that somebody else's address is here.
func (c *call) forgeARP() error {
	dev, err := net.InterfaceByName(c.Device)
	if err != nil {
		return broken("%w", err)
	}
	if !c.Foreign.Is4() {
		return broken("no target")
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	mac, ip := dev.HardwareAddr, c.Foreign.AsSlice()
	reply := []byte{0, 1, 8, 0, 6, 4, 0, 2} // Ethernet, IPv4, a reply
	for _, part := range [][]byte{mac, ip, mac, ip} {
		reply = append(reply, part...)
	}
	const arp = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8 // in network order, on little-endian machines
	return unix.Sendto(fd, reply, 0, &unix.SockaddrLinklayer{Protocol: arp, Ifindex: dev.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}})
}

// link is the device that leads out, as netlink has it.
func (c *call) link() (netlink.Link, error) {
	dev, err := netlink.LinkByName(c.Device)
	if err != nil {
		return nil, broken("device %q: %w", c.Device, err)
	}
	if !c.Foreign.Is4() || !c.Unused.Is4() {
		return nil, broken("no target")
	}
	return dev, nil
}

func only(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}

func (c *call) addAddress() error {
	dev, err := c.link()
	if err != nil {
		return err
	}
	address := &netlink.Addr{IPNet: only(c.Foreign)}
	if err := netlink.AddrAdd(dev, address); err != nil {
		return err
	}
	return undo(netlink.AddrDel(dev, address))
}

func (c *call) changeNeighbour() error {
	dev, err := c.link()
	if err != nil {
		return err
	}
	n := &netlink.Neigh{LinkIndex: dev.Attrs().Index, State: netlink.NUD_PERMANENT, IP: c.Unused.AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	if err := netlink.NeighSet(n); err != nil {
		return err
	}
	return undo(netlink.NeighDel(n))
}

func (c *call) addRoute() error {
	dev, err := c.link()
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: only(c.Unused), Scope: netlink.SCOPE_LINK}
	if err := netlink.RouteAdd(route); err != nil {
		return err
	}
	return undo(netlink.RouteDel(route))
}

func (c *call) addLink() error {
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "escape0"}, PeerName: "escape1"}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	return undo(netlink.LinkDel(pair))
}

// changeLink makes the device listen to what is not for it.
func (c *call) changeLink() error {
	dev, err := c.link()
	if err != nil {
		return err
	}
	if err := netlink.SetPromiscOn(dev); err != nil {
		return err
	}
	return undo(netlink.SetPromiscOff(dev))
}

// addTun makes a tunnel device; it ends with its file.
func (c *call) addTun() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	request, err := unix.NewIfreq("escape2")
	if err != nil {
		return broken("%w", err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	return unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request)
}

// undo makes a change that cannot be taken back an error of the probe's.
func undo(err error) error {
	if err != nil {
		return broken("take it back: %w", err)
	}
	return nil
}
