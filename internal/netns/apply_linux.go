package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// endpointRoute says that an interface may reach the endpoint, as far as its groups allow it.
type endpointRoute struct {
	dev      string
	endpoint netip.Addr
}

func (r endpointRoute) element() nftables.SetElement {
	a := r.endpoint.As4()
	k := append(ifname(r.dev), a[:]...)
	return nftables.SetElement{Key: binary.BigEndian.AppendUint32(k, endpointPort<<16)}
}

func address(a netip.Addr) nftables.SetElement {
	b := a.As4()
	return nftables.SetElement{Key: b[:]}
}

// Apply makes the VPC what v says: groups, prefix lists, subnets, routes to the endpoint, names. The filter changes in
// one step. Interfaces keep their groups, and connections that were allowed live on, as in AWS: Cut ends them. A subnet
// or a group that an interface uses cannot go, and the first CIDR, where the resolver is, cannot change. After an error
// nothing was changed, unless it is ErrTampered.
func (n *Network) Apply(v VPC) error {
	if err := v.validate(); err != nil {
		return err
	}
	v = v.clone()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.check(); err != nil {
		return err
	}
	if err := n.keeps(&v); err != nil {
		return err
	}
	local := v.localAddresses()
	var made []netip.Addr
	undo := func(err error) error {
		for _, a := range made {
			err = errors.Join(err, n.localAddress(n.links.AddrDel, a))
		}
		return err
	}
	for a := range local {
		if n.local[a] {
			continue
		}
		if err := n.localAddress(n.links.AddrAdd, a); err != nil {
			return undo(fmt.Errorf("add address %v to router: %w", a, err))
		}
		made = append(made, a)
	}

	t := n.begin()
	groups, lists := n.applyGroups(t, &v)
	routes := n.applyRoutes(t, &v)
	for _, a := range made {
		t.add(n.sets.addresses, address(a))
	}
	var gone []netip.Addr
	for a := range n.local {
		if !local[a] {
			t.remove(n.sets.addresses, address(a))
			gone = append(gone, a)
		}
	}
	if len(n.local) == 0 {
		t.add(n.sets.services, service(v.resolver(), "tcp"), service(v.resolver(), "udp"))
	}
	if err := t.commit(); err != nil {
		return undo(fmt.Errorf("apply VPC %s: %w", v.ID, err))
	}
	n.want, n.groups, n.lists, n.routes, n.local = v, groups, lists, routes, local
	n.names.Store(newNames(&v))
	var errs []error
	for _, a := range gone {
		errs = append(errs, n.localAddress(n.links.AddrDel, a))
	}
	return errors.Join(errs...)
}

// keeps says whether all that interfaces use is still in v.
func (n *Network) keeps(v *VPC) error {
	if v.CIDRs[0] != n.want.CIDRs[0] {
		return fmt.Errorf("first CIDR of VPC %s is %v and cannot become %v: make a new VPC", v.ID, n.want.CIDRs[0], v.CIDRs[0])
	}
	local := v.localAddresses()
	for _, a := range n.attached {
		if s, ok := v.subnet(a.Subnet); !ok || s.CIDR != a.subnet.CIDR {
			return fmt.Errorf("%s is in subnet %s: detach it first", a.ID, a.Subnet)
		}
		if local[a.Addr] {
			return fmt.Errorf("%s has address %v, which the router needs: detach it first", a.ID, a.Addr)
		}
		for _, id := range a.Groups {
			if _, ok := v.group(id); !ok {
				return fmt.Errorf("%s has group %s: set other groups first", a.ID, id)
			}
		}
	}
	return nil
}

// localAddresses are the router's: in each subnet, of the resolver, of the endpoint.
func (v *VPC) localAddresses() map[netip.Addr]bool {
	all := map[netip.Addr]bool{v.resolver(): true}
	for i := range v.Subnets {
		all[v.Subnets[i].router()] = true
	}
	if v.Endpoint.IsValid() {
		all[v.Endpoint] = true
	}
	return all
}

// localAddress adds or removes an address of lo: dummy devices are not in every kernel.
func (n *Network) localAddress(change func(netlink.Link, *netlink.Addr) error, a netip.Addr) error {
	lo, err := n.links.LinkByName("lo")
	if err != nil {
		return err
	}
	return change(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, 32))})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

// service is an element of the services, for the resolver's port.
func service(a netip.Addr, network string) nftables.SetElement {
	b := a.As4()
	k := append(b[:], protocolNumber(network), 0, 0, 0)
	return nftables.SetElement{Key: binary.BigEndian.AppendUint32(k, resolverPort<<16)}
}

// applyGroups writes groups and lists that are new or changed, and deletes those that are gone. A changed list is a new
// set, and so are the sets of a changed group: what the kernel lets one transaction do within one set differs between
// versions.
func (n *Network) applyGroups(t *transaction, v *VPC) (map[string]*group, map[string]*nftables.Set) {
	lists := map[string]*nftables.Set{}
	changed := map[string]bool{} // lists
	for _, l := range v.Lists {
		i := slices.IndexFunc(n.want.Lists, func(o PrefixList) bool { return o.ID == l.ID })
		if i >= 0 && slices.Equal(n.want.Lists[i].Prefixes, l.Prefixes) {
			lists[l.ID] = n.lists[l.ID]
			continue
		}
		changed[l.ID] = true
		lists[l.ID] = t.set(&nftables.Set{
			Name: "m_" + l.ID + "_" + strconv.Itoa(int(t.n.lastSet+1)), Interval: true, KeyType: nftables.TypeIPAddr,
		})
		t.add(lists[l.ID], intervals(l.Prefixes)...)
	}

	groups, members := map[string]*group{}, map[string]*nftables.Set{}
	for _, g := range v.Groups {
		if old := n.groups[g.ID]; old != nil {
			groups[g.ID] = &group{Group: g, members: old.members, sets: old.sets}
		} else {
			groups[g.ID] = &group{Group: g, members: t.set(&nftables.Set{Name: "m_" + g.ID, KeyType: nftables.TypeIPAddr})}
			t.chain(egressChain(g.ID))
			t.chain(ingressChain(g.ID))
		}
		members[g.ID] = groups[g.ID].members
	}
	var leftover []*nftables.Set
	for _, g := range v.Groups {
		old := n.groups[g.ID]
		uses := func(r Rule) bool { return changed[r.List] }
		if old != nil {
			if reflect.DeepEqual(old.Group, g) && !slices.ContainsFunc(g.Ingress, uses) && !slices.ContainsFunc(g.Egress, uses) {
				continue
			}
			t.flushChain(egressChain(g.ID))
			t.flushChain(ingressChain(g.ID))
			leftover = append(leftover, old.sets...)
		}
		groups[g.ID].sets = n.writeGroup(t, g, members, lists)
	}
	for id, old := range n.groups {
		if groups[id] == nil {
			t.deleteChain(egressChain(id))
			t.deleteChain(ingressChain(id))
			leftover = append(append(leftover, old.sets...), old.members)
		}
	}
	for id, old := range n.lists {
		if lists[id] != old {
			leftover = append(leftover, old)
		}
	}
	for _, s := range leftover { // only now has nothing a use for them
		t.deleteSet(s)
	}
	return groups, lists
}

// applyRoutes writes which interfaces have a way to the endpoint.
func (n *Network) applyRoutes(t *transaction, v *VPC) map[endpointRoute]bool {
	routes := map[endpointRoute]bool{}
	for _, a := range n.attached {
		if s, _ := v.subnet(a.Subnet); a.filtered && s.Endpoint && v.Endpoint.IsValid() {
			routes[endpointRoute{a.dev, v.Endpoint}] = true
		}
	}
	for r := range routes {
		if !n.routes[r] {
			t.add(n.sets.routes, r.element())
		}
	}
	for r := range n.routes {
		if !routes[r] {
			t.remove(n.sets.routes, r.element())
		}
	}
	return routes
}

// intervals are the elements of a set of prefixes. Prefixes that overlap or touch become one interval: the kernel refuses
// overlaps, and takes the end of one for the start of the next.
func intervals(prefixes []netip.Prefix) []nftables.SetElement {
	sorted := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.Addr().Is4() { // IPv6 is closed
			sorted = append(sorted, p.Masked())
		}
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	var all []nftables.SetElement
	for i := 0; i < len(sorted); {
		first, end := sorted[i].Addr(), last(sorted[i])
		for i++; i < len(sorted) && (!end.Next().IsValid() || sorted[i].Addr().Compare(end.Next()) <= 0); i++ {
			if l := last(sorted[i]); end.Less(l) {
				end = l
			}
		}
		all = append(all, address(first))
		if next := end.Next(); next.IsValid() { // without an end it goes to the last address
			e := address(next)
			e.IntervalEnd = true
			all = append(all, e)
		}
	}
	return all
}
