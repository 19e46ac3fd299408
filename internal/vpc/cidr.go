package vpc

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"example.com/cloister"
)

// Sizes of VPCs and subnets. Source: VPC User Guide, "VPC CIDR blocks" and "Subnet sizing".
const (
	widest    = 16 // bits
	narrowest = 28 // bits
	// reserved is how many addresses of a subnet nobody gets: the first four and the last.
	reserved = 5
)

// parseCIDR reads an IPv4 block.
func parseCIDR(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case strings.Contains(text, ":"):
		return netip.Prefix{}, noIPv6(text)
	case err != nil:
		return netip.Prefix{}, invalidValue("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p, nil
}

// reservedBlocks are where no VPC can be: S3's endpoint, and what is no unicast address of a network.
func reservedBlocks() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
	}
}

// vpcBlock reads the block of a new VPC, in canonical form: 10.0.1.0/16 is 10.0.0.0/16.
func vpcBlock(text string) (netip.Prefix, error) {
	p, err := parseCIDR(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Bits() < widest || p.Bits() > narrowest {
		return netip.Prefix{}, cloister.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", text)
	}
	p = p.Masked()
	for _, r := range reservedBlocks() {
		if r.Overlaps(p) {
			return netip.Prefix{}, cloister.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid: it overlaps with %s, which VPCs cannot have", text, r)
		}
	}
	return p, nil
}

// subnetBlock reads the block of a new subnet.
func subnetBlock(text string) (netip.Prefix, error) {
	p, err := parseCIDR(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Bits() < widest || p.Bits() > narrowest {
		return netip.Prefix{}, cloister.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", text)
	}
	return p.Masked(), nil
}

// within reports whether a block is a part of another.
func within(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// nth is an address of a block, counted from 0.
func nth(p netip.Prefix, i uint32) netip.Addr {
	four := p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(four[:], binary.BigEndian.Uint32(four[:])+i)
	return netip.AddrFrom4(four)
}

// size is how many addresses a block has, those that are reserved included.
func size(p netip.Prefix) uint32 { return 1 << (32 - p.Bits()) }
