package posture

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// The widest CIDRs that are not the world. What is wider, or several that together cover more, is as good as 0.0.0.0/0: it can
// be written in any number of parts.
const (
	worldBits4 = 8
	worldBits6 = 16
)

// worldOf are those CIDRs, of the ones given and of the prefix lists, that make them as good as the world; nil if they are
// not. It fails on what is known alone; else every list must be read.
func worldOf(t *Trial, r *Region, cidrs []netip.Prefix, lists []string) []netip.Prefix {
	for _, id := range lists {
		if l, ok := Peek(t, r.PrefixLists[id]); ok && l != nil {
			cidrs = append(cidrs, l.Entries.Items...)
			for _, page := range l.Entries.Pages {
				t.saw(page)
			}
		}
	}
	if found := world(cidrs); found != nil {
		return found
	}
	for _, id := range lists {
		l := Need(t, r.PrefixLists[id])
		if l == nil {
			panic(stopped{unreadOutcome(&Unread{Source: *r.PrefixLists[id].Source(), Code: CodeMalformed, Message: "prefix list " + id + " is named and does not exist"})})
		}
		if !l.AWS() { // those hold the addresses of one service
			NeedServed(t, l.Entries, "ec2:GetManagedPrefixListEntries")
		}
	}
	return nil
}

// world are the widest CIDRs that together cover more of the world than worldBits4 or worldBits6; nil if all of them do not.
func world(cidrs []netip.Prefix) []netip.Prefix {
	type span struct{ cidr, counts netip.Prefix }
	var spans []span
	for _, cidr := range cidrs {
		spans = append(spans, span{cidr, translated(cidr)})
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.counts.Bits(), b.counts.Bits()), a.counts.Addr().Compare(b.counts.Addr()))
	})
	for _, limit := range []int{worldBits4, worldBits6} {
		var found, counted []netip.Prefix
		covered := 0.0
		for _, s := range spans {
			public := share(s.counts)
			if s.counts.Addr().Is4() != (limit == worldBits4) || public == 0 || slices.ContainsFunc(counted, s.counts.Overlaps) {
				continue // those before are as wide: what overlaps is inside
			}
			found, counted = append(found, s.cidr), append(counted, s.counts)
			if covered += public; s.counts.Bits() < limit || covered > math.Ldexp(1, -limit) {
				return found
			}
		}
	}
	return nil
}

// translated is the IPv4 CIDR that a NAT gateway reaches for an IPv6 CIDR of NAT64, and cidr itself for others.
// Source: RFC 6052, section 2.1; VPC guide, "DNS64 and NAT64".
func translated(cidr netip.Prefix) netip.Prefix {
	nat64 := netip.MustParsePrefix("64:ff9b::/96")
	switch {
	case cidr.Bits() >= nat64.Bits() && nat64.Contains(cidr.Addr()):
		b := cidr.Addr().As16()
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[12:])), cidr.Bits()-nat64.Bits())
	case cidr.Bits() >= worldBits6 && cidr.Contains(nat64.Addr()):
		return netip.MustParsePrefix("0.0.0.0/0")
	}
	return cidr
}

// share is the part of its family's addresses that a CIDR covers, private ones aside.
func share(cidr netip.Prefix) float64 {
	covered := math.Ldexp(1, -cidr.Bits())
	for _, p := range private() {
		switch {
		case p.Overlaps(cidr) && p.Bits() <= cidr.Bits():
			return 0
		case p.Overlaps(cidr):
			covered -= math.Ldexp(1, -p.Bits())
		}
	}
	return covered
}

// private are the addresses that are nobody's on the internet.
// Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (not globally reachable), and multicast.
func private() []netip.Prefix {
	var list []netip.Prefix
	for _, cidr := range []string{
		"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
		"fc00::/7", "fe80::/10", "ff00::/8",
	} {
		list = append(list, netip.MustParsePrefix(cidr))
	}
	return list
}

// several names a few of many CIDRs.
func several(cidrs []netip.Prefix) string {
	const most = 4
	names := make([]string, min(len(cidrs), most))
	for i := range names {
		names[i] = cidrs[i].String()
	}
	if more := len(cidrs) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, " and ")
}
