package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// What Canary says of the endpoint.
var (
	ErrNoEndpointRoute = errors.New("the subnet has no S3 gateway endpoint: add one to its route table")
	ErrEgressBlocked   = errors.New("no security group allows egress to the S3 gateway endpoint on TCP port 443: add a rule")
	ErrEndpointDown    = errors.New("the S3 gateway endpoint does not accept connections")
)

// canaryPatience is how long Canary waits for a refusal to be counted, and for the endpoint: machines are busy.
const canaryPatience = 3 * time.Second

const (
	canaryPause = 2 * time.Millisecond // between two looks
	// canaryAgain is until a first datagram is sent again, or a first connection given up for a new one; the next gets twice as
	// long. TCP by itself would send the first packet of a connection again after a second.
	canaryAgain = 20 * time.Millisecond
)

// forbidden are addresses that no job may reach: the metadata service, and one on the internet (RFC 5737).
func forbidden() []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{169, 254, 169, 254}), netip.AddrFrom4([4]byte{192, 0, 2, 1})}
}

// Canary tries from the job's namespace what its job will find: exactly lo and eth0, refusals for addresses outside the
// VPC, read in the counters and so proving those too, and an endpoint that accepts a TCP connection. The isolation comes
// first: an error that is ErrNoEndpointRoute, ErrEgressBlocked or ErrEndpointDown says that it holds. Its packets are in
// the flows.
func (n *Network) Canary(id string) error {
	n.mu.Lock()
	a, err := n.attachment(id)
	if err != nil {
		n.mu.Unlock()
		return fmt.Errorf("canary: %w", err)
	}
	_, routed := n.route(a)
	allowed := n.want.allowsEndpoint(a.Groups)
	endpoint := netip.AddrPortFrom(n.want.Endpoint, endpointPort)
	n.busy.Add(1)
	defer n.busy.Done()
	n.mu.Unlock()

	if err := n.checkDevices(a); err != nil {
		return fmt.Errorf("canary of %s: %w", id, err)
	}
	if err := n.checkRefusals(a); err != nil {
		return fmt.Errorf("canary of %s: %w", id, err)
	}
	switch {
	case !routed:
		return ErrNoEndpointRoute
	case !allowed:
		return ErrEgressBlocked
	}
	deadline := time.Now().Add(canaryPatience) //nolint:forbidigo // a stop watch
	for patience := canaryAgain; ; patience = min(2*patience, canaryPatience) {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("%w: %w", ErrEndpointDown, err)
		}
		if err = dial(a.ns, endpoint, min(patience, left)); err == nil {
			return nil
		}
		time.Sleep(canaryPause)
	}
}

// checkDevices wants no way out of the job's namespace but ours.
func (n *Network) checkDevices(a *attachment) error {
	h, err := openLinks(a.ns)
	if err != nil {
		return err
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	var found []string
	for _, l := range links {
		found = append(found, l.Attrs().Name)
	}
	slices.Sort(found)
	if !slices.Equal(found, []string{jobDevice, "lo"}) {
		return fmt.Errorf("the job's namespace has devices %v, want eth0 and lo", found)
	}
	return nil
}

// checkRefusals sends datagrams to each forbidden address until one is among the refused flows.
func (n *Network) checkRefusals(a *attachment) error {
	for _, to := range forbidden() {
		if err := n.checkRefusal(a, a.ns, netip.AddrPortFrom(to, 80)); err != nil {
			return err
		}
	}
	return nil
}

// checkRefusal sends to an address from inside ns with a's address. Mostly the first datagram is on record before the call
// that sends it returns. The kernel may have no memory at hand for a new flow: such a packet is dropped, and not on record.
func (n *Network) checkRefusal(a *attachment, ns *namespace, to netip.AddrPort) error {
	r, err := openReader(n.ns)
	if err != nil {
		return err
	}
	defer r.close()
	for again := canaryAgain; again < canaryPatience; again *= 2 {
		var key flowKey
		err := ns.do(func() (err error) {
			key, err = sendProbe(a, to)
			return err
		})
		if err != nil {
			return fmt.Errorf("probe %v: %w", to, err)
		}
		for end := time.Now().Add(again); time.Until(end) > 0; time.Sleep(canaryPause) { //nolint:forbidigo // a stop watch
			if _, found, err := r.element(n.table.Name, flowRefused, key); found || err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("packets to %v are not on record as refused: the filter is not in their path", to.Addr())
}

// sendProbe sends an empty datagram from the calling thread's namespace and returns the key that it is counted under.
func sendProbe(a *attachment, to netip.AddrPort) (flowKey, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return flowKey{}, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: a.Addr.As4()}); err != nil {
		return flowKey{}, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return flowKey{}, err
	}
	self, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return flowKey{}, errors.New("socket has no IPv4 address")
	}
	if err := unix.Sendto(fd, nil, 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return flowKey{}, err
	}
	from := netip.AddrPortFrom(a.Addr, uint16(self.Port)) //nolint:gosec // a port
	return newFlowKey(a.dev, from, to, unix.IPPROTO_UDP), nil
}

// dial makes a TCP connection from inside a namespace and closes it.
func dial(ns *namespace, to netip.AddrPort, patience time.Duration) error {
	return ns.do(func() error {
		// One literal address: the library makes the socket on this goroutine.
		c, err := net.DialTimeout("tcp4", to.String(), patience)
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// allowsEndpoint says whether one of the groups allows TCP to the endpoint.
func (v *VPC) allowsEndpoint(groups []string) bool {
	for _, id := range groups {
		g, _ := v.group(id)
		for _, r := range g.Egress {
			from, to := r.bounds()
			tcp := r.Protocol == unix.IPPROTO_TCP && from <= endpointPort && endpointPort <= to
			if (tcp || r.Protocol == -1) && v.peerContains(r, v.Endpoint) {
				return true
			}
		}
	}
	return false
}

// peerContains says whether a rule's CIDR or prefix list has an address. Members of groups are interfaces, never the
// endpoint.
func (v *VPC) peerContains(r Rule, a netip.Addr) bool {
	if r.CIDR.IsValid() {
		return r.CIDR.Contains(a)
	}
	for _, l := range v.Lists {
		if l.ID == r.List {
			return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
		}
	}
	return false
}
