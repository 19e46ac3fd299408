package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Probe says what this host can do, by doing it: it makes a VPC with two interfaces, tries what must pass and what must
// not, and takes it away again. All its packets stay inside. Where a step fails, those that need it are not OK either. It
// takes well below a second.
func Probe() []Finding {
	p := &probe{}
	defer func() { _ = p.end() }()
	var all []Finding
	failed := ""
	for _, step := range []struct {
		name string
		do   func() error
		then bool // later steps need it
	}{
		{"network namespaces", p.namespaces, true},
		{"packet filter, forwarding and resolver of a VPC", p.open, true},
		{"two interfaces", p.attach, true},
		{"devices, refusals and the endpoint, seen from a job", p.canary, false},
		{"an allowed connection passes", p.allowed, false},
		{"a refused connection is silent, and on record", p.refused, false},
		{"another's source address is refused", p.spoofed, false},
		{"IPv6 is closed", p.ipv6, false},
		{"flows are counted", p.flows, false},
		{"nothing is left", p.end, false},
	} {
		f := Finding{Name: step.name}
		if failed != "" {
			f.Detail = "not tried: needs " + failed
		} else if err := step.do(); err != nil {
			f.Detail = err.Error()
			if step.then {
				failed = step.name
			}
		} else {
			f.OK = true
		}
		all = append(all, f)
	}
	return all
}

// probe is a throw-away VPC: a may reach b on port 7001 and the endpoint, and nothing else.
type probe struct {
	n         *Network
	a, b      *namespace
	listeners []net.Listener
}

const (
	probePort   = 7001
	probeDenied = 7002
)

func probeAddr(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, last}) } // RFC 5737

func (p *probe) namespaces() error {
	ns, err := newNamespace()
	if err != nil {
		return err
	}
	return ns.close()
}

func (p *probe) open() error {
	all := netip.PrefixFrom(probeAddr(0), 24)
	endpoint := netip.AddrFrom4([4]byte{203, 0, 113, 1}) // RFC 5737
	n, err := Open(VPC{
		ID: "probe", CIDRs: []netip.Prefix{all}, Endpoint: endpoint,
		Subnets: []Subnet{{ID: "subnet", CIDR: all, Endpoint: true}},
		Groups: []Group{
			{ID: "a", Egress: []Rule{
				{Protocol: unix.IPPROTO_TCP, From: probePort, To: probePort, Group: "b"},
				{Protocol: unix.IPPROTO_TCP, From: endpointPort, To: endpointPort, CIDR: netip.PrefixFrom(endpoint, 32)},
			}},
			{ID: "b", Ingress: []Rule{{Protocol: unix.IPPROTO_TCP, From: probePort, To: probePort, Group: "a"}}},
		},
	}, Options{})
	if err != nil {
		return err
	}
	p.n = n
	return p.listen(n.ns, netip.AddrPortFrom(endpoint, endpointPort))
}

func (p *probe) listen(ns *namespace, at netip.AddrPort) error {
	return ns.do(func() error {
		l, err := net.Listen("tcp4", at.String())
		if err == nil {
			p.listeners = append(p.listeners, l)
		}
		return err
	})
}

func (p *probe) attach() error {
	for i, ns := range []**namespace{&p.a, &p.b} {
		id := []string{"a", "b"}[i]
		f, err := p.n.Attach(Interface{ID: id, Subnet: "subnet", Addr: probeAddr(byte(10 + i)), Groups: []string{id}})
		if err != nil {
			return err
		}
		*ns = &namespace{f}
	}
	return p.listen(p.b, netip.AddrPortFrom(probeAddr(11), probePort))
}

func (p *probe) canary() error { return p.n.Canary("a") }

func (p *probe) allowed() error {
	return dial(p.a, netip.AddrPortFrom(probeAddr(11), probePort), canaryPatience)
}

func (p *probe) refused() error { return p.wantRefused(probeAddr(10)) }

// spoofed sends with an address that belongs to the VPC, but to nobody on this interface.
func (p *probe) spoofed() error {
	h, err := openLinks(p.a)
	if err != nil {
		return err
	}
	defer h.Close()
	forged := probeAddr(99)
	if err := (&Network{links: h}).localAddress(h.AddrAdd, forged); err != nil {
		return err
	}
	return p.wantRefused(forged)
}

// wantRefused sends a datagram to b and wants it among the refused.
func (p *probe) wantRefused(from netip.Addr) error {
	a := *p.n.find("a")
	a.Addr = from
	return p.n.checkRefusal(&a, p.a, netip.AddrPortFrom(probeAddr(11), probeDenied))
}

// ipv6 wants no way to send it, even for whom may add addresses.
func (p *probe) ipv6() error {
	return p.a.do(func() error {
		v, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + jobDevice + "/disable_ipv6")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err == nil && v[0] != '1' {
			return fmt.Errorf("%s has IPv6 on", jobDevice)
		}
		c, err := net.DialTimeout("udp6", "[2001:db8::1]:9", time.Second)
		if err == nil {
			return errors.Join(errors.New("there is a route to 2001:db8::1"), c.Close())
		}
		return nil
	})
}

func (p *probe) flows() error {
	r, err := p.n.Flows()
	if err != nil {
		return err
	}
	accepted, refused := false, false
	for _, f := range r.Flows {
		accepted = accepted || (f.Interface == "b" && f.Accept && f.Port == probePort && f.Bytes > 0)
		refused = refused || (f.Interface == "a" && !f.Accept && f.Port == probeDenied && f.Source == probeAddr(10))
	}
	if !accepted || !refused {
		return fmt.Errorf("%d flows, accepted one there: %t, refused one there: %t", len(r.Flows), accepted, refused)
	}
	return nil
}

// end takes everything away; what is left is an error.
func (p *probe) end() error {
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	p.listeners = nil
	if p.n != nil {
		for _, id := range []string{"a", "b"} {
			_, err := p.n.Detach(id)
			errs = append(errs, err)
		}
		if links, err := p.n.links.LinkList(); err != nil || len(links) != 1 {
			errs = append(errs, fmt.Errorf("%d devices left in the VPC, want lo only", len(links)), err)
		}
		errs = append(errs, p.n.Check(), p.n.Close())
		p.n = nil
	}
	for _, ns := range []*namespace{p.a, p.b} {
		if ns != nil {
			errs = append(errs, ns.close())
		}
	}
	p.a, p.b = nil, nil
	return errors.Join(errs...)
}
