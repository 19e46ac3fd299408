package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// group is a security group in the filter: a chain for each direction, shared by all interfaces that carry it.
type group struct {
	Group
	members *nftables.Set   // addresses of the interfaces that carry it
	sets    []*nftables.Set // of its rules
}

func egressChain(group string) string  { return "sg_" + group + "_eg" }
func ingressChain(group string) string { return "sg_" + group + "_in" }

// writeGroup writes the rules of both directions into chains that are empty, and returns the sets that it made. A rule
// that matches goes on to the next stage; what falls off the end is asked of the interface's next group.
func (n *Network) writeGroup(t *transaction, g Group, members, lists map[string]*nftables.Set) []*nftables.Set {
	w := groupWriter{t: t, id: g.ID, members: members, lists: lists}
	w.direction(egressChain(g.ID), g.Egress, dest, goTo(ingressStage))
	w.direction(ingressChain(g.ID), g.Ingress, source, goTo(pass))
	return w.sets
}

type groupWriter struct {
	t              *transaction
	id             string
	members, lists map[string]*nftables.Set
	sets           []*nftables.Set
}

// direction writes the rules of one direction. What is allowed becomes elements of sets with intervals, so that a thousand
// rules cost what one does: those with a CIDR together, those with a group or a list by that.
func (w *groupWriter) direction(chain string, rules []Rule, peer func(uint32) expr.Any, then expr.Any) {
	var cidrs []Rule
	peers := map[*nftables.Set][]Rule{}
	for _, r := range rules {
		switch {
		case r.Group != "":
			peers[w.members[r.Group]] = append(peers[w.members[r.Group]], r)
		case r.List != "":
			peers[w.lists[r.List]] = append(peers[w.lists[r.List]], r)
		case r.CIDR.Addr().Is4(): // IPv6 is closed, so a rule of it allows nothing
			cidrs = append(cidrs, r)
		}
	}
	w.kinds(chain, cidrs, peer, then)
	for set, rules := range peers {
		w.kinds(chain, rules, nil, peer(1), in(set, 1), then)
	}
}

// kinds writes rules by what they look at besides the peer. then are what follows where one matches; the peer's address is
// part of the key where it is not nil.
func (w *groupWriter) kinds(chain string, rules []Rule, peer func(uint32) expr.Any, then ...expr.Any) {
	var all, withPorts, icmp []box
	for _, r := range rules {
		switch r.Protocol {
		case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
			from, to := r.bounds()
			withPorts = append(withPorts, newBox(r.CIDR, octet(r.Protocol, r.Protocol), field{from, to, 2}))
		case unix.IPPROTO_ICMP:
			kind, code := r.icmp()
			icmp = append(icmp, newBox(r.CIDR, kind, code))
		case -1:
			all = append(all, newBox(r.CIDR, octet(0, 255)))
		default:
			all = append(all, newBox(r.CIDR, octet(r.Protocol, r.Protocol)))
		}
	}
	key := func(fields ...nftables.SetDatatype) nftables.SetDatatype {
		if peer != nil {
			fields = append(fields, nftables.TypeIPAddr)
		}
		return w.t.key(fields...)
	}
	load := func(e ...expr.Any) []expr.Any {
		if peer != nil {
			e = append(e, peer(reg(2)))
		}
		return e
	}
	w.boxes(chain, "ports", withPorts, key(nftables.TypeInetProto, nftables.TypeInetService),
		load(protocol(reg(0)), port(reg(1))), then)
	icmpLoad := append([]expr.Any{protocol(1), is(unix.IPPROTO_ICMP)}, load(icmpType(reg(0)), icmpCode(reg(1)))...)
	w.boxes(chain, "icmp", icmp, key(nftables.TypeICMPType, nftables.TypeICMPCode), icmpLoad, then)
	if peer != nil {
		w.boxes(chain, "all", all, key(nftables.TypeInetProto), []expr.Any{protocol(reg(0)), peer(reg(1))}, then)
		return
	}
	for _, b := range all { // one field is no concatenation, and few ask for it
		w.t.rule(chain, append([]expr.Any{protocol(1), between(b.corner(b.from)[:1], b.corner(b.to)[:1])}, then...)...)
	}
}

// boxes writes sets, and the rules that look into them.
func (w *groupWriter) boxes(chain, kind string, all []box, key nftables.SetDatatype, load, then []expr.Any) {
	for _, part := range disjoint(all) {
		s := w.t.set(&nftables.Set{
			Name:     fmt.Sprintf("%s_%s_%d", chain, kind, w.t.n.lastSet+1),
			Interval: true, Concatenation: true, KeyType: key,
		})
		w.sets = append(w.sets, s)
		elements := make([]nftables.SetElement, len(part))
		for i, b := range part {
			elements[i] = nftables.SetElement{Key: b.corner(b.from), KeyEnd: b.corner(b.to)}
		}
		w.t.add(s, elements...)
		w.t.rule(chain, slices.Concat(load, []expr.Any{in(s, reg(0))}, then)...)
	}
}

// bounds are the ports From and To with "any" replaced.
func (r Rule) bounds() (from, to int) {
	from, to = max(r.From, 0), r.To
	if to < 0 {
		to = 65535
	}
	return from, to
}

// icmp is the range of types and that of codes.
func (r Rule) icmp() (kind, code field) {
	kind, code = octet(0, 255), octet(0, 255)
	if r.From >= 0 {
		kind = octet(r.From, r.From)
	}
	if r.To >= 0 {
		code = octet(r.To, r.To)
	}
	return kind, code
}

// field is what a rule allows in one field of a packet: a range, both ends inclusive, and the field's bytes.
type field struct{ from, to, width int }

func octet(from, to int) field { return field{from, to, 1} }

// box is what a rule allows: a range in each of up to three fields, the last of which is the peer's address if the rule has
// a CIDR.
type box struct {
	from, to [3]uint32
	width    [3]int
	fields   int
}

func newBox(peer netip.Prefix, fields ...field) box {
	b := box{fields: len(fields)}
	for i, f := range fields {
		b.from[i], b.to[i], b.width[i] = uint32(f.from), uint32(f.to), f.width //nolint:gosec // validated: 0 to 65535
	}
	if !peer.IsValid() {
		return b
	}
	b.fields++
	first, end := peer.Masked().Addr().As4(), last(peer).As4()
	i := len(fields)
	b.from[i], b.to[i], b.width[i] = binary.BigEndian.Uint32(first[:]), binary.BigEndian.Uint32(end[:]), 4
	return b
}

// corner is a key: each field in network order, padded to 4 bytes.
func (b box) corner(at [3]uint32) []byte {
	k := make([]byte, 4*b.fields)
	for i := range b.fields {
		switch f := k[4*i:]; b.width[i] {
		case 1:
			f[0] = byte(at[i]) //nolint:gosec // one byte wide
		case 2:
			binary.BigEndian.PutUint16(f, uint16(at[i])) //nolint:gosec // two bytes wide
		default:
			binary.BigEndian.PutUint32(f, at[i])
		}
	}
	return k
}

func (b box) overlaps(o box) bool {
	for i := range b.fields {
		if b.to[i] < o.from[i] || o.to[i] < b.from[i] {
			return false
		}
	}
	return true
}

func (b box) within(o box) bool {
	for i := range b.fields {
		if b.from[i] < o.from[i] || o.to[i] < b.to[i] {
			return false
		}
	}
	return true
}

// disjoint parts boxes so that those of one part do not overlap: the kernel refuses a set whose intervals do. Boxes
// inside another are left out. Most groups need one part, and none more than it has rules.
func disjoint(all []box) [][]box {
	var parts [][]box
	for i, b := range all {
		covered := false
		for j, o := range all {
			// Of equal boxes the first stays.
			if i != j && b.within(o) && (j < i || !o.within(b)) {
				covered = true
				break
			}
		}
		if covered {
			continue
		}
		free := slices.IndexFunc(parts, func(p []box) bool { return !slices.ContainsFunc(p, b.overlaps) })
		if free < 0 {
			parts, free = append(parts, nil), len(parts)
		}
		parts[free] = append(parts[free], b)
	}
	return parts
}
