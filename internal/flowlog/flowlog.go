// Package flowlog turns what an interface carried into flow log records as AWS publishes them: aggregation intervals,
// record formats, files. It reads no clock, opens nothing and sends nothing.
//
// What a reader must know: bytes and packets are conserved. Every packet of every reading is in exactly one record of an
// aggregator that filters nothing; what could not be read is never silent, but SKIPDATA.
//
// Source: VPC User Guide, "Flow log records", "Flow log files", "Flow log limitations".
package flowlog

import (
	"net/netip"
	"time"
)

// Flow is the traffic of one 5-tuple through one interface in one direction, since the last reading.
type Flow struct {
	Interface        string
	Source, Dest     netip.Addr
	SourcePort, Port uint16 // Port is the destination's; both 0 for protocols without ports
	Protocol         uint8
	// Egress says that the packets left the job through the interface.
	Egress bool
	// Accept says that the groups and routes of this interface let them pass.
	Accept         bool
	Packets, Bytes uint64
	// First and Last bound when the packets passed; the zero Time is the reading's own bound.
	First, Last time.Time
}

// Reading are the flows since the reading before.
type Reading struct {
	From, To time.Time
	Flows    []Flow
	// Full says that there was no room for new flows: they were refused, and are not in Flows.
	Full bool
}

// Interface is what records say about the interface that they belong to. Empty fields are written as "-".
type Interface struct {
	ID, Account       string
	VPC, Subnet, Zone string // Zone is the zone's id, such as use1-az1
	// Addr is the interface's address, which AWS writes as srcaddr of what leaves the interface and as dstaddr of what
	// enters it, whatever the packet says; the packet's own are pkt-srcaddr and pkt-dstaddr.
	Addr netip.Addr
}

// Status is a record's log-status.
type Status string

// The statuses: a flow, an interval without traffic, and an interval of which something is missing.
const (
	OK       Status = "OK"
	NoData   Status = "NODATA"
	SkipData Status = "SKIPDATA"
)

// Record is a line of a flow log. Flow is empty unless Status is OK; its First and Last are the zero Time.
type Record struct {
	Interface  Interface
	Flow       Flow
	Start, End time.Time // to the second
	Status     Status
}

// Traffic says which flows a flow log records, as CreateFlowLogs has it.
type Traffic string

// The traffic types.
const (
	All    Traffic = "ALL"
	Accept Traffic = "ACCEPT"
	Reject Traffic = "REJECT"
)

// keeps reports whether a flow log of traffic type t records f.
func (t Traffic) keeps(f Flow) bool {
	return t == All || (t == Accept) == f.Accept
}

// The ports of DNS and DHCP, and UDP's and TCP's protocol numbers (IANA).
const (
	dnsPort          = 53
	dhcpServer       = 67
	dhcpClient       = 68
	tcp, udp   uint8 = 6, 17
)

// Published reports whether AWS's stream has f. AWS leaves out what an interface exchanges with the Amazon resolver, with
// the instance metadata and time services, with the router's reserved address, and DHCP ("Flow log limitations"); the
// operator's view keeps them. resolver and router are the VPC's and the subnet's; a service on another port of the
// resolver's address is recorded.
func Published(f Flow, resolver, router netip.Addr) bool {
	for _, peer := range []struct {
		addr netip.Addr
		port uint16
	}{{f.Source, f.SourcePort}, {f.Dest, f.Port}} {
		switch peer.addr {
		case router, metadata(), timeSync():
			return false
		case resolver, amazonDNS():
			if peer.port == dnsPort && (f.Protocol == udp || f.Protocol == tcp) {
				return false
			}
		}
	}
	// DHCP with the router is left out above. Only its broadcasts remain: two jobs that talk on these ports are recorded.
	return f.Protocol != udp || f.Dest != broadcast() || f.SourcePort != dhcpClient || f.Port != dhcpServer
}

// The link-local services of every VPC (EC2 User Guide, "Link-local addresses").
func metadata() netip.Addr  { return netip.AddrFrom4([4]byte{169, 254, 169, 254}) }
func timeSync() netip.Addr  { return netip.AddrFrom4([4]byte{169, 254, 169, 123}) }
func amazonDNS() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 169, 253}) }
func broadcast() netip.Addr { return netip.AddrFrom4([4]byte{255, 255, 255, 255}) }
