package escape

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// cable joins the host with a place.
type cable struct {
	to          place
	device      string   // there; on the host it is called as the place
	host, there []string // addresses of the two ends
	gateway     string   // the host's address that the place sends everything to
	gateway6    string
	fromHost    []string // what the host sends there
}

func cables() []cable {
	return []cable{
		{
			to: uplinkPlace, device: uplinkDevice, host: []string{"192.0.2.1/24", "fe80::1/64", "2001:db8:2::1/64"},
			there: []string{"192.0.2.11/24", "fe80::b/64", "2001:db8:2::11/64"}, gateway: "192.0.2.1", gateway6: "fe80::1", fromHost: []string{"192.0.2.11/32"},
		},
		{to: internetPlace, device: "eth0", host: []string{"203.0.113.1/32", "fe80::1/64", "2001:db8:1::1/64"}, there: []string{"203.0.113.10/32", "203.0.113.53/32", "2001:db8:1::10/64"}, gateway: "203.0.113.1", gateway6: "fe80::1", fromHost: []string{"203.0.113.0/24"}},
		{to: neighboursPlace, device: "eth0", host: []string{"198.51.100.2/32"}, there: []string{"192.0.2.12/32", "198.51.100.12/32"}, gateway: "198.51.100.2", fromHost: []string{"192.0.2.12/32", "198.51.100.12/32"}},
	}
}

// wire joins the namespaces.
func (o *Outer) wire() error {
	for _, c := range cables() {
		there := netlink.NsFd(int(o.spaces[c.to].Fd()))
		err := o.in(hostPlace, func() error {
			pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: string(c.to)}, PeerName: c.device, PeerNamespace: there}
			if err := netlink.LinkAdd(pair); err != nil {
				return fmt.Errorf("veth: %w", err)
			}
			return up(string(c.to), c.host)
		})
		if err == nil {
			err = o.in(c.to, func() error { return up(c.device, c.there) })
		}
		if err == nil {
			err = o.in(hostPlace, func() error { return routes(string(c.to), "", "", c.fromHost) })
		}
		if err == nil {
			err = o.in(c.to, func() error { return routes(c.device, c.gateway, c.gateway6, nil) })
		}
		if err != nil {
			return fmt.Errorf("join %s: %w", c.to, err)
		}
	}
	return o.in(hostPlace, func() error {
		return up("lo", []string{"198.51.100.1/32", "192.0.2.2/32", "169.254.7.7/32", "169.254.169.254/32", "169.254.170.2/32"})
	})
}

// up takes a device up, with addresses that are usable at once and make no routes.
func up(device string, addresses []string) error {
	dev, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(dev); err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	for _, text := range addresses {
		prefix := netip.MustParsePrefix(text)
		a := &netlink.Addr{IPNet: network(prefix)}
		if prefix.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		} else {
			a.Flags = unix.IFA_F_NOPREFIXROUTE
		}
		if err := netlink.AddrAdd(dev, a); err != nil {
			return fmt.Errorf("%s on %s: %w", text, device, err)
		}
	}
	return nil
}

// routes makes routes by a device: to a gateway and from there to everywhere, and to prefixes on the link.
func routes(device, gateway, gateway6 string, onLink []string) error {
	dev, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	index := dev.Attrs().Index
	var list []*netlink.Route
	if gateway != "" {
		onLink = append(onLink, gateway+"/32")
	}
	for _, text := range onLink {
		list = append(list, &netlink.Route{LinkIndex: index, Scope: netlink.SCOPE_LINK, Dst: network(netip.MustParsePrefix(text))})
	}
	for _, via := range []struct{ addr, everywhere string }{{gateway, "0.0.0.0/0"}, {gateway6, "::/0"}} {
		if via.addr != "" {
			list = append(list, &netlink.Route{LinkIndex: index, Dst: network(netip.MustParsePrefix(via.everywhere)), Gw: net.ParseIP(via.addr)})
		}
	}
	for _, r := range list {
		if err := netlink.RouteAdd(r); err != nil {
			return fmt.Errorf("route %v: %w", r, err)
		}
	}
	return nil
}

func network(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// populate starts the servers.
func (o *Outer) populate() error {
	t := o.Targets()
	for _, s := range []struct {
		at   place
		addr netip.AddrPort
		zone string
	}{
		{internetPlace, t.Internet, ""},
		{internetPlace, t.Internet6, ""},
		{neighboursPlace, t.Neighbour, ""},
		{neighboursPlace, t.OtherVPC, ""},
		{hostPlace, t.Host, ""},
		{hostPlace, t.Router, ""},
		{hostPlace, t.Loopback, ""},
		{hostPlace, t.Loopback6, ""},
		{hostPlace, t.LoopbackOther, ""},
		{hostPlace, t.LinkLocal, ""},
		{hostPlace, t.LinkLocal6, string(uplinkPlace)},
		{hostPlace, t.Metadata, ""},
		{hostPlace, t.Credentials, ""},
	} {
		if err := o.echo(s.at, s.addr, s.zone); err != nil {
			return fmt.Errorf("serve %s on %s: %w", s.addr, s.at, err)
		}
	}
	for _, f := range []func() error{
		func() error { return o.shouted(hostPlace, string(uplinkPlace), shoutPort, t.Multicast.Addr()) },
		func() error { return o.dns(internetPlace, t.Upstream, o.upstream) },
		func() error { return o.dns(hostPlace, t.Resolver, o.relay) },
		func() error { return o.unix(hostPlace, t.Socket) },
		func() error { return o.unix(hostPlace, "@"+t.Abstract) },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
