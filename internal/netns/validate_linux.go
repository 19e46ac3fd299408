package netns

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// endpointPort is where the S3 gateway endpoint listens. Port 80 is closed: credentials and data go over TLS only.
const endpointPort = 443

// resolver is the address of the VPC's name service: the first range's address + 2.
func (v *VPC) resolver() netip.Addr { return v.CIDRs[0].Masked().Addr().Next().Next() }

// router is the subnet's router: its first address.
func (s *Subnet) router() netip.Addr { return s.CIDR.Masked().Addr().Next() }

func (v *VPC) subnet(id string) (Subnet, bool) {
	i := slices.IndexFunc(v.Subnets, func(s Subnet) bool { return s.ID == id })
	if i < 0 {
		return Subnet{}, false
	}
	return v.Subnets[i], true
}

func (v *VPC) group(id string) (Group, bool) {
	i := slices.IndexFunc(v.Groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return Group{}, false
	}
	return v.Groups[i], true
}

// clone copies v so deep that nothing of it is shared with the caller.
func (v *VPC) clone() VPC {
	c := *v
	c.CIDRs, c.Subnets, c.Names = slices.Clone(v.CIDRs), slices.Clone(v.Subnets), slices.Clone(v.Names)
	c.Groups, c.Lists = slices.Clone(v.Groups), slices.Clone(v.Lists)
	for i := range c.Groups {
		c.Groups[i].Ingress, c.Groups[i].Egress = slices.Clone(c.Groups[i].Ingress), slices.Clone(c.Groups[i].Egress)
	}
	for i := range c.Lists {
		c.Lists[i].Prefixes = slices.Clone(c.Lists[i].Prefixes)
	}
	return c
}

func (v *VPC) validate() error {
	if len(v.CIDRs) == 0 {
		return fmt.Errorf("VPC %s has no CIDR", v.ID)
	}
	for _, p := range v.CIDRs {
		if !p.IsValid() || !p.Addr().Is4() || p.Bits() > 29 {
			return fmt.Errorf("CIDR %v of VPC %s: want IPv4, /29 or larger", p, v.ID)
		}
		if v.Endpoint.IsValid() && p.Contains(v.Endpoint) {
			return fmt.Errorf("endpoint %v is inside CIDR %v: give it an address outside the VPC", v.Endpoint, p)
		}
	}
	if v.Endpoint.IsValid() && (!v.Endpoint.Is4() || v.Endpoint.IsLoopback()) {
		return fmt.Errorf("endpoint %v: want an IPv4 address", v.Endpoint)
	}
	seen := map[string]bool{}
	for i := range v.Subnets {
		s := &v.Subnets[i]
		if err := unique(seen, s.ID); err != nil {
			return err
		}
		inside := func(p netip.Prefix) bool { return p.Bits() <= s.CIDR.Bits() && p.Contains(s.CIDR.Addr()) }
		if !s.CIDR.IsValid() || s.CIDR.Bits() > 29 || !slices.ContainsFunc(v.CIDRs, inside) {
			return fmt.Errorf("CIDR %v of %s: want /29 or larger, inside the VPC's %v", s.CIDR, s.ID, v.CIDRs)
		}
	}
	return v.validateGroups(seen)
}

func (v *VPC) validateGroups(seen map[string]bool) error {
	for _, g := range v.Groups {
		if err := unique(seen, g.ID); err != nil {
			return err
		}
	}
	for _, l := range v.Lists {
		if err := unique(seen, l.ID); err != nil {
			return err
		}
		for _, p := range l.Prefixes {
			if !p.IsValid() {
				return fmt.Errorf("prefix list %s: %v is not a prefix", l.ID, p)
			}
		}
	}
	for _, g := range v.Groups {
		for _, r := range slices.Concat(g.Ingress, g.Egress) {
			if err := v.validateRule(r); err != nil {
				return fmt.Errorf("security group %s: %w", g.ID, err)
			}
		}
	}
	return nil
}

func (v *VPC) validateRule(r Rule) error {
	switch {
	case r.CIDR.IsValid() && r.Group == "" && r.List == "":
	case !r.CIDR.IsValid() && r.Group != "" && r.List == "":
		if _, ok := v.group(r.Group); !ok {
			return fmt.Errorf("rule refers to unknown group %s", r.Group)
		}
	case !r.CIDR.IsValid() && r.Group == "" && r.List != "":
		if !slices.ContainsFunc(v.Lists, func(l PrefixList) bool { return l.ID == r.List }) {
			return fmt.Errorf("rule refers to unknown prefix list %s", r.List)
		}
	default:
		return fmt.Errorf("rule %+v: want one of CIDR, group and prefix list", r)
	}
	largest := -1
	switch r.Protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		if from, to := r.bounds(); from > to {
			return fmt.Errorf("rule %+v: from-port is above to-port", r)
		}
		largest = 65535
	case unix.IPPROTO_ICMP:
		largest = 255
	}
	if r.Protocol < -1 || r.Protocol > 255 {
		return fmt.Errorf("rule %+v: protocol is not in -1 to 255", r)
	}
	if largest > 0 && (min(r.From, r.To) < -1 || max(r.From, r.To) > largest) {
		return fmt.Errorf("rule %+v: ports, or type and code, are not in -1 to %d", r, largest)
	}
	return nil
}

// unique wants ids that nft(8) can print and read, and each once.
func unique(seen map[string]bool, id string) error {
	if id == "" || len(id) > 64 {
		return fmt.Errorf("id %q: want 1 to 64 characters", id)
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("id %q: want letters, digits and hyphens", id)
		}
	}
	if seen[id] {
		return fmt.Errorf("id %s is there twice", id)
	}
	seen[id] = true
	return nil
}
