package netns

import (
	"errors"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Chains of an interface.
func egressOf(dev string) string  { return dev + "_eg" }
func ingressOf(dev string) string { return dev + "_in" }
func freshOf(dev string) string   { return dev + "_fresh" }

// writeInterface writes the part of the filter that belongs to one interface.
func (n *Network) writeInterface(a *attachment) error {
	t := n.begin()
	for _, c := range []string{egressOf(a.dev), ingressOf(a.dev), freshOf(a.dev)} {
		t.chain(c)
	}
	if !n.seam.unlimited {
		limit := uint32(maxConnections)
		if n.seam.connections > 0 {
			limit = n.seam.connections
		}
		// The job's share of what all share. These two rules do not end good packets: the chain returns.
		t.rule(freshOf(a.dev), append(unconfirmed(), &expr.Limit{
			Type: expr.LimitTypePkts, Rate: newPerSecond, Unit: expr.LimitTimeSecond, Burst: newBurst, Over: true,
		}, goTo(refuse))...)
		t.rule(freshOf(a.dev), append(unconfirmed(), &expr.Connlimit{
			Count: limit, Flags: expr.NFT_CONNLIMIT_F_INV,
		}, goTo(refuse))...)
	}
	writeJumps(t, a.dev, a.Groups)
	for s, e := range n.interfaceElements(a) {
		t.add(s, e)
	}
	for _, id := range a.Groups {
		t.add(n.groups[id].members, address(a.Addr))
	}
	route, ok := n.route(a)
	if ok {
		t.add(n.sets.routes, route.element())
	}
	if err := t.commit(); err != nil {
		return err
	}
	if ok {
		n.routes[route] = true
	}
	return nil
}

// writeJumps writes the chains of an interface: its groups one after another, and then no.
func writeJumps(t *transaction, dev string, groups []string) {
	for _, id := range groups {
		t.rule(egressOf(dev), jump(egressChain(id)))
		t.rule(ingressOf(dev), jump(ingressChain(id)))
	}
	t.rule(egressOf(dev), goTo(refuse))
	t.rule(ingressOf(dev), goTo(refuseArrival))
}

// interfaceElements are the elements that make an interface known, but for its groups and its route.
func (n *Network) interfaceElements(a *attachment) map[*nftables.Set]nftables.SetElement {
	to := func(chain string) nftables.SetElement {
		return nftables.SetElement{Key: ifname(a.dev), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
	}
	addr := a.Addr.As4()
	return map[*nftables.Set]nftables.SetElement{
		n.sets.fresh:     to(freshOf(a.dev)),
		n.sets.egress:    to(egressOf(a.dev)),
		n.sets.ingress:   to(ingressOf(a.dev)),
		n.sets.sources:   {Key: append(ifname(a.dev), addr[:]...)},
		n.sets.addresses: {Key: addr[:]},
	}
}

// route is the way from an interface to the endpoint, if there is one.
func (n *Network) route(a *attachment) (endpointRoute, bool) {
	s, _ := n.want.subnet(a.Subnet)
	return endpointRoute{a.dev, n.want.Endpoint}, s.Endpoint && n.want.Endpoint.IsValid()
}

// eraseInterface removes an interface from the filter, and its flows with it. One of those may have expired just now, which
// makes the transaction fail: then the kernel may forget them in its own time.
func (n *Network) eraseInterface(a *attachment) error {
	flows := n.removable(func(k *flowKey, _ counted) bool { return k.dev() == a.dev })
	err := n.erase(a, flows)
	if err != nil && !errors.Is(err, ErrTampered) {
		return n.erase(a, flowKeys{})
	}
	return err
}

func (n *Network) erase(a *attachment, flows flowKeys) error {
	t := n.begin()
	for s, e := range n.interfaceElements(a) {
		t.remove(s, e)
	}
	for _, id := range a.Groups {
		t.remove(n.groups[id].members, address(a.Addr))
	}
	gone := []endpointRoute{}
	for r := range n.routes {
		if r.dev == a.dev {
			t.remove(n.sets.routes, r.element())
			gone = append(gone, r)
		}
	}
	for _, c := range []string{egressOf(a.dev), ingressOf(a.dev), freshOf(a.dev)} {
		t.deleteChain(c)
	}
	t.removeFlows(flows)
	if err := t.commit(); err != nil {
		return err
	}
	for _, r := range gone {
		delete(n.routes, r)
	}
	n.flows.removed(flows)
	return nil
}
