package escape

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// dnsProbes carry data out in names: they succeed if somebody outside answers for the name.
func dnsProbes() []Probe {
	return []Probe{
		{Name: "dns-tunnel-udp", parallel: true, try: func(c *call) error { return c.tunnel("udp", c.Resolver) }},
		{Name: "dns-tunnel-tcp", parallel: true, try: func(c *call) error { return c.tunnel("tcp", c.Resolver) }},
		{Name: "dns-upstream-udp", parallel: true, try: func(c *call) error { return c.tunnel("udp", c.Upstream) }},
		{Name: "dns-upstream-tcp", parallel: true, try: func(c *call) error { return c.tunnel("tcp", c.Upstream) }},
	}
}

// tunnel asks at for a name that carries this probe's name, and wants the text that only the upstream knows.
func (c *call) tunnel(network string, at netip.AddrPort) error {
	if !at.IsValid() || c.Zone == "" {
		return broken("no target")
	}
	name, err := dnsmessage.NewName(hex.EncodeToString([]byte(c.hello())) + "." + c.Zone + ".")
	if err != nil {
		return broken("%w", err)
	}
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}},
	}
	raw, err := question.Pack()
	if err != nil {
		return broken("%w", err)
	}
	d := net.Dialer{Timeout: c.patience}
	conn, err := d.DialContext(c.ctx, network, at.String())
	if network == "tcp" {
		c.note(unix.IPPROTO_TCP, at, err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(c.deadline()); err != nil {
		return broken("%w", err)
	}
	framed := network == "tcp"
	err = writeDNS(conn, raw, framed)
	if network == "udp" {
		c.note(unix.IPPROTO_UDP, at, err)
	}
	if err != nil {
		return err
	}
	answer, err := readDNS(conn, framed)
	if err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(answer); err != nil {
		return err
	}
	if len(m.Answers) == 0 {
		return fmt.Errorf("%s answers %s", at, m.RCode)
	}
	c.detail = fmt.Sprintf("%s knows %s", at, name)
	return nil
}
