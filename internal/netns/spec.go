// Package netns is the data plane of VPCs: network namespaces without an uplink, routed interfaces, security groups in
// nftables, a resolver without an upstream, and flow records that the accepting rule itself counts.
//
// What a reader must know: a VPC is a network namespace in which no device leads out. A job is another one, joined to it
// by a veth pair. The only rule that accepts a packet is the one that counts it, so nothing passes unrecorded; whatever
// falls through is refused and recorded too. Nothing is named in a file system: namespaces are descriptors, and end with
// the process that holds them.
//
// This file says what a VPC should be, and is the same on every system; the rest is Linux.
//
// Sources: namespaces(7), veth(4), nft(8); VPC User Guide, "Security groups", "Gateway endpoints", "Flow log records".
package netns

import (
	"net/netip"
	"time"
)

// VPC is what a VPC should be.
type VPC struct {
	ID string
	// CIDRs are the VPC's address ranges. The resolver is at the first range's address + 2.
	CIDRs   []netip.Prefix
	Subnets []Subnet
	Groups  []Group
	Lists   []PrefixList
	// Endpoint is where the S3 gateway endpoint listens, outside all CIDRs; the zero Addr if the VPC has none.
	Endpoint netip.Addr
	// Names are what the resolver answers with Endpoint: host names in lower case; one that begins with "*." stands for
	// every name below the rest. Every other name does not exist.
	Names []string
}

// Subnet is a part of a VPC's range. Its first address is the router's.
type Subnet struct {
	ID   string
	CIDR netip.Prefix
	// Endpoint says that the subnet's route table has the S3 gateway endpoint: without, the endpoint cannot be reached.
	Endpoint bool
}

// Group is a security group. It allows what its rules say, and nothing else; replies to what was allowed pass.
type Group struct {
	ID              string
	Ingress, Egress []Rule
}

// Rule allows packets. One of CIDR, Group and List is set: the source of ingress, the destination of egress.
type Rule struct {
	// Protocol is an IP protocol number, or -1 for all.
	Protocol int
	// From and To are ports of TCP and UDP, both inclusive, or type and code of ICMP; -1 is any. They mean nothing for other
	// protocols.
	From, To int
	CIDR     netip.Prefix
	Group    string
	List     string
}

// PrefixList is a managed prefix list, such as that of S3's addresses.
type PrefixList struct {
	ID       string
	Prefixes []netip.Prefix
}

// Interface is a network interface in a subnet.
type Interface struct {
	ID     string // such as "eni-0123456789abcdef0"
	Subnet string
	Addr   netip.Addr
	Groups []string // at least one
}

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
	// First is when the reading before this one was, or when the flow appeared if that is known; Last is its last packet.
	First, Last time.Time
}

// Reading are the flows since the reading before.
type Reading struct {
	From, To time.Time
	Flows    []Flow
	// Full says that there was no room for new flows: they were refused, and are not in Flows.
	Full bool
	// Queries are what the resolver was asked, where somebody kept them.
	Queries []Query
}

// Query is a question to the resolver.
type Query struct {
	Time  time.Time
	From  netip.Addr
	Name  string
	Type  string // such as "A"
	RCode string // such as "NOERROR", "NXDOMAIN"
	// Answers are the addresses that were answered.
	Answers []string
	// Count is how often it was asked, where equal questions are counted together; else 0. Time is the latest then.
	Count int64
}

// Finding is one thing that Probe tried.
type Finding struct {
	Name string `json:"name"`
	// OK says that it went as it must.
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}
