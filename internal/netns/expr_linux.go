package netns

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Names for nftables expressions, so that rules read like nft(8)'s.

// reg is the i-th register of 4 bytes. Register 1 is the 16 bytes of reg(0) to reg(3).
func reg(i uint32) uint32 { return unix.NFT_REG32_00 + i }

func ifname(dev string) []byte { b := make([]byte, unix.IFNAMSIZ); copy(b, dev); return b }

func iif(r uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: r} }
func oif(r uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: r} }

// protocol loads the transport protocol. Fragments are put together before (conntrack), so it is never that of a part.
func protocol(r uint32) expr.Any { return &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: r} }

func source(r uint32) expr.Any { return header(r, 12, 4) }
func dest(r uint32) expr.Any   { return header(r, 16, 4) }

func header(r, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: r, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

// transport loads bytes of the transport header. Where the packet is too short the rule does not match.
func transport(r, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: r, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: length}
}

func ports(r uint32) expr.Any    { return transport(r, 0, 4) } // source and destination in one field
func port(r uint32) expr.Any     { return transport(r, 2, 2) }
func icmpType(r uint32) expr.Any { return transport(r, 0, 1) }
func icmpCode(r uint32) expr.Any { return transport(r, 1, 1) }

// is, isNot and between compare what register 1 holds.
func is(b ...byte) expr.Any    { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: b} }
func isNot(b ...byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: b} }

func between(from, to []byte) expr.Any {
	return &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: from, ToData: to}
}

func in(s *nftables.Set, r uint32) expr.Any {
	return &expr.Lookup{SourceRegister: r, SetName: s.Name, SetID: s.ID}
}

func notIn(s *nftables.Set, r uint32) expr.Any {
	return &expr.Lookup{SourceRegister: r, SetName: s.Name, SetID: s.ID, Invert: true}
}

// vmap goes where the map says for what register 1 holds, if it says something.
func vmap(s *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: 1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}
}

func verdict(k expr.VerdictKind, chain string) expr.Any { return &expr.Verdict{Kind: k, Chain: chain} }
func accept() expr.Any                                  { return verdict(expr.VerdictAccept, "") }
func drop() expr.Any                                    { return verdict(expr.VerdictDrop, "") }
func jump(chain string) expr.Any                        { return verdict(expr.VerdictJump, chain) }
func goTo(chain string) expr.Any                        { return verdict(expr.VerdictGoto, chain) }

// state matches connections in any of the states.
func state(bits uint32) []expr.Any {
	return append(masked(expr.CtKeySTATE, bits), isNot(0, 0, 0, 0))
}

// unconfirmed matches connections of which no packet has passed yet. "New" is not that: UDP stays new until a reply.
func unconfirmed() []expr.Any {
	const confirmed = 1 << 3 // IPS_CONFIRMED, linux/netfilter/nf_conntrack_common.h
	return append(masked(expr.CtKeySTATUS, confirmed), is(0, 0, 0, 0))
}

func masked(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{
			SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4),
		},
	}
}

// last is the last address of p.
func last(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(a)
}
