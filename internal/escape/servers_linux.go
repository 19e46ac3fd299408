package escape

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/ipv4"
)

// Arrival is what reached a server of the world.
type Arrival struct {
	Network string         // "tcp", "udp", or "dns" for a question that reached the upstream
	From    netip.AddrPort // the peer
	At      string         // the server
	Text    string         // what came, such as "escape internet-tcp"; a question's name
}

// serverPatience bounds how long a server waits for its peer.
const serverPatience = 2 * time.Second

func (o *Outer) arrived(network string, from net.Addr, at, text string) {
	peer, _ := netip.ParseAddrPort(from.String())
	o.lock.Lock()
	defer o.lock.Unlock()
	o.arrivals = append(o.arrivals, Arrival{network, peer, at, text})
	if o.told != nil {
		o.told(o.arrivals[len(o.arrivals)-1])
	}
}

// serve runs a server of f until the world ends. Closing closer ends f.
func (o *Outer) serve(closer io.Closer, f func() error) {
	o.closers = append(o.closers, closer)
	o.servers.Go(func() {
		for f() == nil {
		}
	})
}

// echo answers on TCP and UDP at an address of a place: "escape" first on a connection, and whatever comes in a datagram.
func (o *Outer) echo(at place, addr netip.AddrPort, zone string) error {
	text := netip.AddrPortFrom(addr.Addr().WithZone(zone), addr.Port()).String()
	return o.in(at, func() error { return o.listen(text) })
}

// listen is echo in the namespace of this thread.
func (o *Outer) listen(at string) error {
	listener, err := (&net.ListenConfig{}).Listen(o.ctx, "tcp", at)
	if err != nil {
		return err
	}
	o.serve(listener, func() error { return o.greet(listener, at) })
	packets, err := (&net.ListenConfig{}).ListenPacket(o.ctx, "udp", at)
	if err != nil {
		return err
	}
	o.serve(packets, func() error { return o.reflect(packets, at) })
	return nil
}

// greet serves a connection.
func (o *Outer) greet(listener net.Listener, at string) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	o.servers.Go(func() {
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(serverPatience)) //nolint:forbidigo // sockets want a point of time
		_, _ = conn.Write([]byte("escape"))
		buf := make([]byte, 512)
		n, _ := conn.Read(buf)
		o.arrived("tcp", conn.RemoteAddr(), at, string(buf[:n]))
	})
	return nil
}

// reflect serves a datagram.
func (o *Outer) reflect(packets net.PacketConn, at string) error {
	buf := make([]byte, 512)
	n, from, err := packets.ReadFrom(buf)
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if err == nil {
		o.arrived("udp", from, at, string(buf[:n]))
		_, _ = packets.WriteTo(buf[:n], from)
	}
	return nil
}

// shouted answers broadcasts and multicasts that come to the host by a device.
func (o *Outer) shouted(at place, device string, port uint16, group netip.Addr) error {
	return o.in(at, func() error {
		packets, err := (&net.ListenConfig{}).ListenPacket(o.ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", port))
		if err != nil {
			return err
		}
		dev, err := net.InterfaceByName(device)
		if err == nil {
			err = ipv4.NewPacketConn(packets).JoinGroup(dev, &net.UDPAddr{IP: group.AsSlice()})
		}
		if err != nil {
			return errors.Join(err, packets.Close())
		}
		o.serve(packets, func() error { return o.reflect(packets, "everybody") })
		return nil
	})
}

// unix greets at a unix socket: a path, or an abstract name after "@".
func (o *Outer) unix(at place, path string) error {
	return o.in(at, func() error {
		listener, err := (&net.ListenConfig{}).Listen(o.ctx, "unix", path)
		if err != nil {
			return err
		}
		o.serve(listener, func() error { return o.greet(listener, path) })
		return nil
	})
}

// dns answers questions on UDP and TCP by what answer makes of them.
func (o *Outer) dns(at place, addr netip.AddrPort, answer func(question []byte, from net.Addr) []byte) error {
	return o.in(at, func() error {
		packets, err := (&net.ListenConfig{}).ListenPacket(o.ctx, "udp", addr.String())
		if err != nil {
			return err
		}
		o.serve(packets, func() error {
			buf := make([]byte, 1500)
			n, from, err := packets.ReadFrom(buf)
			if err == nil {
				_, _ = packets.WriteTo(answer(buf[:n], from), from)
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
		listener, err := (&net.ListenConfig{}).Listen(o.ctx, "tcp", addr.String())
		if err != nil {
			return err
		}
		o.serve(listener, func() error {
			conn, err := listener.Accept()
			if err != nil {
				return err
			}
			o.servers.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(serverPatience)) //nolint:forbidigo // sockets want a point of time
				if question, err := readDNS(conn, true); err == nil {
					_ = writeDNS(conn, answer(question, conn.RemoteAddr()), true)
				}
			})
			return nil
		})
		return nil
	})
}

// upstream knows every name below the zone.
func (o *Outer) upstream(question []byte, from net.Addr) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	o.arrived("dns", from, "upstream", q.Name.String())
	m.Response, m.RCode = true, dnsmessage.RCodeNameError
	if strings.HasSuffix(q.Name.String(), "."+zone+".") {
		m.RCode = dnsmessage.RCodeSuccess
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET, TTL: 1},
			Body:   &dnsmessage.TXTResource{TXT: []string{"it came through"}},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// relay is a resolver as it is everywhere: it asks its upstream.
func (o *Outer) relay(question []byte, _ net.Addr) []byte {
	var answer []byte
	_ = o.in(hostPlace, func() error { // without an answer, there is none
		ctx, cancel := context.WithTimeout(o.ctx, serverPatience)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", netip.AddrPortFrom(upstreamAddr(), dnsPort).String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(serverPatience)) //nolint:forbidigo // sockets want a point of time
		if err := writeDNS(conn, question, false); err != nil {
			return err
		}
		answer, err = readDNS(conn, false)
		return err
	})
	return answer
}

// writeDNS writes a message; on TCP it is framed by its length.
func writeDNS(w io.Writer, message []byte, framed bool) error {
	if framed {
		message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...) //nolint:gosec // short
	}
	_, err := w.Write(message)
	return err
}

func readDNS(r io.Reader, framed bool) ([]byte, error) {
	buf := make([]byte, 1500)
	if !framed {
		n, err := r.Read(buf)
		return buf[:n], err
	}
	var size uint16
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	buf = make([]byte, size)
	_, err := io.ReadFull(r, buf)
	return buf, err
}
