package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrClosed says that the Network was closed.
var ErrClosed = errors.New("network is closed")

// Options are what a Network needs besides its VPC. The zero value works.
type Options struct {
	// Query is told each question to the resolver. It may be called from many goroutines at once, and delays the answer.
	Query func(Query)
	// Now is the clock of readings and queries; nil is the system's.
	Now func() time.Time

	seam seam
}

// seam lets tests take away one part of the filter, and see that a test turns red.
type seam struct {
	mutation    mutation
	flowSize    uint32 // of each flow set, 0 is flowSize
	connections uint32 // of one interface, 0 is maxConnections
	unlimited   bool   // no limits on new connections
}

type mutation int

const (
	unchanged      mutation = iota
	noAntispoof             // any source address may leave an interface
	noEgress                // egress rules are not asked
	noIngress               // ingress rules are not asked
	uncounted               // accepted packets are not counted
	countedNoMatch          // packets are counted if there is room, and accepted anyhow
)

// Network is a VPC that exists: a network namespace without an uplink, its packet filter and its resolver. All methods
// are safe for concurrent use. It ends with Close, or with the process.
type Network struct {
	ns       *namespace
	links    *netlink.Handle // in ns
	resolver *resolver
	now      func() time.Time
	seam     seam
	table    *nftables.Table
	sets     sets

	names atomic.Pointer[names] // what the resolver knows
	busy  sync.WaitGroup        // calls that use links without mu

	mu       sync.Mutex // guards all below
	closed   bool
	filter   *nftables.Conn
	gen      uint32 // of the packet filter, after our last transaction
	tampered bool
	lastSet  uint32
	lastDev  uint64
	want     VPC
	groups   map[string]*group
	lists    map[string]*nftables.Set
	routes   map[endpointRoute]bool // in sets.routes
	local    map[netip.Addr]bool    // addresses of the router, on lo
	attached map[string]*attachment
	flows    accounts
}

// sets are the sets of the table that live as long as it does.
type sets struct {
	fresh, egress, ingress              *nftables.Set // device: verdict
	sources                             *nftables.Set // device . source address
	addresses                           *nftables.Set // that exist in the VPC
	services                            *nftables.Set // address . protocol . port, not filtered by groups
	routes                              *nftables.Set // device . address . port
	ported                              *nftables.Set // protocols with ports
	accepted, refused, refusedOnArrival *nftables.Set // flows
}

// Open makes a VPC without interfaces. The filter comes first and forwarding last, so nothing passes in between. What it
// makes ends with Close or with the process. An error says what this host lacks.
func Open(v VPC, o Options) (*Network, error) {
	if err := v.validate(); err != nil {
		return nil, err
	}
	n := &Network{
		now: o.Now, seam: o.seam, table: &nftables.Table{Family: nftables.TableFamilyINet, Name: "vpc"},
		groups: map[string]*group{}, lists: map[string]*nftables.Set{}, routes: map[endpointRoute]bool{},
		local: map[netip.Addr]bool{}, attached: map[string]*attachment{},
	}
	if n.now == nil {
		n.now = time.Now //nolint:forbidigo // the clock in production
	}
	n.flows.since = n.now()
	n.flows.read = n.flows.since
	if err := n.open(v, o.Query); err != nil {
		return nil, errors.Join(fmt.Errorf("open VPC %s: %w", v.ID, err), n.Close())
	}
	return n, nil
}

func (n *Network) open(v VPC, query func(Query)) (err error) {
	if n.ns, err = newNamespace(); err != nil {
		return err
	}
	if n.filter, err = openFilter(n.ns); err != nil {
		return err
	}
	if n.gen, err = n.generation(); err != nil {
		return err
	}
	if err := n.install(); err != nil {
		return err
	}
	if err := n.ns.set(routerSettings()...); err != nil {
		return err
	}
	if n.links, err = openLinks(n.ns); err != nil {
		return err
	}
	lo, err := n.links.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := n.links.LinkSetUp(lo); err != nil {
		return err
	}
	n.want = VPC{CIDRs: v.CIDRs[:1]}
	if err := n.Apply(v); err != nil {
		return err
	}
	n.resolver, err = n.startResolver(v, query)
	return err
}

// routerSettings are the kernel parameters of a VPC. Forwarding resets some per device, so they are written again.
func routerSettings() []setting {
	redirects := []setting{{"ipv4/conf/all/send_redirects", "0"}, {"ipv4/conf/default/send_redirects", "0"}}
	all := append([]setting{
		{"ipv6/conf/all/disable_ipv6", "1"},
		{"ipv6/conf/default/disable_ipv6", "1"},
		{"ipv4/conf/all/rp_filter", "1"},
		{"ipv4/conf/default/rp_filter", "1"},
		{"ipv4/conf/all/accept_redirects", "0"},
		{"ipv4/conf/default/accept_redirects", "0"},
		{"ipv4/conf/all/accept_source_route", "0"},
		{"ipv4/conf/default/accept_source_route", "0"},
		// A connection that was cut must not be taken up again in its middle.
		{"netfilter/nf_conntrack_tcp_loose", "0"},
	}, redirects...)
	return append(append(all, setting{"ipv4/ip_forward", "1"}), redirects...)
}

// Close ends the VPC. Jobs that are still attached lose their interface; their namespaces live on as long as someone
// holds them.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	attached := n.attached
	n.attached = nil
	n.mu.Unlock()
	n.busy.Wait()

	var errs []error
	if n.resolver != nil {
		errs = append(errs, n.resolver.close())
	}
	// A listener that was handed out keeps the namespace alive: its interfaces must not depend on that.
	for _, a := range attached {
		errs = append(errs, n.deleteLink(a.dev), a.ns.close())
	}
	if n.links != nil {
		n.links.Close()
	}
	if n.filter != nil {
		errs = append(errs, n.filter.CloseLasting())
	}
	if n.ns != nil {
		errs = append(errs, n.ns.close())
	}
	return errors.Join(errs...)
}

// openLinks opens a handle on the links, routes and connections of a namespace.
func openLinks(ns *namespace) (h *netlink.Handle, err error) {
	err = ns.do(func() error {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open links: %w", err)
	}
	return h, nil
}
