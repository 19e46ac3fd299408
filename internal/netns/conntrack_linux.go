package netns

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Cut ends the interface's tracked connections. What its groups do not allow does not start again; what they allow must be
// opened anew.
func (n *Network) Cut(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, err := n.attachment(id)
	if err != nil {
		return err
	}
	return n.deleteConnections(a.Addr)
}

// deleteConnections forgets every connection that an address is an end of.
func (n *Network) deleteConnections(addr netip.Addr) error {
	// The library lists first and deletes one by one, and the list is cut short when the table changes: look again until
	// there is nothing left.
	var err error
	for range 3 {
		var deleted uint
		deleted, err = n.links.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, endOf(addr))
		if err == nil && deleted == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("end connections of %v: %w", addr, err)
	}
	return nil
}

// endOf matches connections that an address is an end of.
type endOf netip.Addr

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (e endOf) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	a := netip.Addr(e).AsSlice()
	return f.Forward.SrcIP.Equal(a) || f.Forward.DstIP.Equal(a) || f.Reverse.SrcIP.Equal(a) || f.Reverse.DstIP.Equal(a)
}
