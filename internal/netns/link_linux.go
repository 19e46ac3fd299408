package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// jobDevice is the interface's name in the job's namespace.
const jobDevice = "eth0"

// linkMTU is the largest that veth takes. AWS's is 9001, but here no wire cuts packets up: with 1500 or 9001 one connection
// has half the throughput (measured on two cores, kernel 6.18), and the counters would count large sends before they are cut.
const linkMTU = 65535

// connect joins the job's namespace to the VPC's.
func (n *Network) connect(a *attachment) (*os.File, error) {
	if err := a.ns.set(
		setting{"ipv6/conf/all/disable_ipv6", "1"}, setting{"ipv6/conf/default/disable_ipv6", "1"},
		setting{"ipv4/conf/all/accept_redirects", "0"}, setting{"ipv4/conf/default/accept_redirects", "0"},
		setting{"ipv4/ip_forward", "0"},
	); err != nil {
		return nil, err
	}
	mac := hardwareAddr(a.Addr)
	err := n.links.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: a.dev, TxQLen: 1000, MTU: linkMTU, HardwareAddr: mac},
		PeerName:  jobDevice, PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(int(a.ns.file.Fd())),
	})
	if err != nil {
		return nil, fmt.Errorf("make veth pair (the kernel needs veth): %w", err)
	}
	job, err := openLinks(a.ns)
	if err != nil {
		return nil, err
	}
	defer job.Close()
	if err := n.join(a, job); err != nil {
		return nil, err
	}
	return a.ns.open()
}

// hardwareAddr is that of both ends of an interface. Without ARP the kernel sends what has no neighbour, such as broadcasts,
// to the device's own hardware address: the router must take that as its own, or it drops the packet before its filter, off
// the record.
func hardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{2, 0, b[0], b[1], b[2], b[3]} // locally administered
}

// join gives both ends addresses, neighbours and routes.
func (n *Network) join(a *attachment, job *netlink.Handle) error {
	outer, err := n.links.LinkByName(a.dev)
	if err != nil {
		return err
	}
	inner, err := job.LinkByName(jobDevice)
	if err != nil {
		return err
	}
	lo, err := job.LinkByName("lo")
	if err != nil {
		return err
	}
	// The job sees its subnet's prefix, as in AWS, but nothing is on its link: even a neighbour is reached through the
	// router, and its filter.
	shown := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a.Addr, a.subnet.CIDR.Bits())), Flags: unix.IFA_F_NOPREFIXROUTE}
	if err := job.AddrAdd(inner, shown); err != nil {
		return fmt.Errorf("add address: %w", err)
	}
	// Neighbours are fixed, so there is no ARP to forge.
	if err := errors.Join(n.links.LinkSetARPOff(outer), job.LinkSetARPOff(inner)); err != nil {
		return fmt.Errorf("turn ARP off: %w", err)
	}
	if err := errors.Join(n.links.LinkSetUp(outer), job.LinkSetUp(lo), job.LinkSetUp(inner)); err != nil {
		return fmt.Errorf("set link up: %w", err)
	}
	router := a.subnet.router()
	err = errors.Join(n.links.NeighSet(neighbour(outer, a.Addr, inner)), job.NeighSet(neighbour(inner, router, outer)))
	if err != nil {
		return fmt.Errorf("set neighbour: %w", err)
	}
	onLink := func(l netlink.Link, a netip.Addr) netlink.Route {
		return netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(netip.PrefixFrom(a, 32)), Scope: netlink.SCOPE_LINK}
	}
	for _, r := range []struct {
		in    *netlink.Handle
		route netlink.Route
	}{
		{job, onLink(inner, router)},
		{n.links, onLink(outer, a.Addr)},
		{job, netlink.Route{LinkIndex: inner.Attrs().Index, Gw: router.AsSlice()}},
	} {
		if err := r.in.RouteAdd(&r.route); err != nil {
			return fmt.Errorf("add route: %w", err)
		}
	}
	return nil
}

func neighbour(on netlink.Link, addr netip.Addr, peer netlink.Link) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: on.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: peer.Attrs().HardwareAddr,
	}
}

// deleteLink removes a veth pair, both ends. A link that is not there is as good as removed.
func (n *Network) deleteLink(dev string) error {
	l, err := n.links.LinkByName(dev)
	if err == nil {
		err = n.links.LinkDel(l)
	}
	if errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete link: %w", err)
	}
	return nil
}
