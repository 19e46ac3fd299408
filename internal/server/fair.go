package server

import (
	"net"
	"net/netip"
	"sync"
)

// fairListener closes connections of an address that has as many as it may have.
type fairListener struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int // guarded by mu
}

func newFairListener(l net.Listener, most int) *fairListener {
	return &fairListener{Listener: l, most: most, open: map[netip.Addr]int{}}
}

// Accept implements net.Listener.
func (f *fairListener) Accept() (net.Conn, error) {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err == nil && f.enter(at.Addr()) {
			return &fairConn{Conn: c, leave: sync.OnceFunc(func() { f.leave(at.Addr()) })}, nil
		}
		_ = c.Close()
	}
}

func (f *fairListener) enter(a netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[a] >= f.most {
		return false
	}
	f.open[a]++
	return true
}

func (f *fairListener) leave(a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[a]--; f.open[a] == 0 {
		delete(f.open, a)
	}
}

// fairConn says when it ends.
type fairConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *fairConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
