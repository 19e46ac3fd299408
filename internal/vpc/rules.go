package vpc

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
)

// Protocols of rules as EC2 writes them; any other is its number.
const (
	allProtocols = "-1"
	protocolTCP  = "tcp"
	protocolUDP  = "udp"
	protocolICMP = "icmp"
)

// ruleRes is a rule of a security group. One of CIDR, Group and List is set.
type ruleRes struct {
	ID       string
	Egress   bool `json:",omitempty"`
	Protocol string
	// From and To are ports, or type and code of ICMP; -1 is any, and what other protocols have.
	From, To    int
	CIDR        netip.Prefix
	Group       string            `json:",omitempty"`
	List        string            `json:",omitempty"`
	Description string            `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
}

// allEgress is the rule that every new group has.
func allEgress(id string) ruleRes {
	return ruleRes{ID: id, Egress: true, Protocol: allProtocols, From: -1, To: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")}
}

// number is the rule's IP protocol, -1 for all.
func (r ruleRes) number() int {
	switch r.Protocol {
	case protocolTCP:
		return 6
	case protocolUDP:
		return 17
	case protocolICMP:
		return 1
	}
	n, err := strconv.Atoi(r.Protocol)
	if err != nil { // parseProtocol made it
		return 255 // reserved: no packet has it
	}
	return n
}

// same reports whether two rules allow the same. Descriptions, tags and ids do not matter.
func (r ruleRes) same(o ruleRes) bool {
	return r.Egress == o.Egress && r.Protocol == o.Protocol && r.From == o.From && r.To == o.To && r.CIDR == o.CIDR && r.Group == o.Group && r.List == o.List
}

// ranged reports whether the rule's ports mean something.
func (r ruleRes) ranged() bool {
	return r.Protocol == protocolTCP || r.Protocol == protocolUDP || r.Protocol == protocolICMP
}

// parseProtocol reads a protocol: a name, or a number from 0 to 255, or -1.
func parseProtocol(text string) (string, error) {
	switch t := strings.ToLower(text); t {
	case "-1", "all":
		return allProtocols, nil
	case "6", protocolTCP:
		return protocolTCP, nil
	case "17", protocolUDP:
		return protocolUDP, nil
	case "1", protocolICMP:
		return protocolICMP, nil
	case "58", "icmpv6":
		return "", noIPv6("icmpv6")
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 255 {
		return "", invalidValue("Invalid value '%s' for IP protocol. Unknown protocol.", text)
	}
	return strconv.Itoa(n), nil
}

// parsePorts reads the ports of a rule.
func parsePorts(protocol string, from, to *int32) (int, int, error) {
	switch protocol {
	case protocolTCP, protocolUDP:
		if from == nil || to == nil {
			return 0, 0, invalidValue("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from < 0 || *to > 65535 || *from > *to {
			return 0, 0, cloister.Errorf("InvalidParameterValue", "Invalid value '%d-%d' for portRange. Ports must be from 0 to 65535, the first not above the last.", *from, *to)
		}
		return int(*from), int(*to), nil
	case protocolICMP:
		if from == nil && to == nil {
			return -1, -1, nil
		}
		if from == nil || to == nil {
			return 0, 0, invalidValue("Invalid value 'Must specify both type and code with ICMP.' for portRange.")
		}
		if *from < -1 || *from > 255 || *to < -1 || *to > 255 || *from == -1 && *to != -1 {
			return 0, 0, invalidValue("Invalid value '%d/%d' for ICMP type and code.", *from, *to)
		}
		return int(*from), int(*to), nil
	}
	return -1, -1, nil // EC2 ignores the ports of other protocols
}

// maxDescription is the length of a rule's description. Source: EC2 API Reference, IpRange.
const maxDescription = 255

// descriptive are the characters of descriptions and of groups' names. Source: EC2 API Reference, IpRange.
const descriptive = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"

// checkDescription refuses what EC2 does not take in descriptions.
func checkDescription(text string) error {
	if len(text) > maxDescription || strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(descriptive, r) }) {
		return invalidValue("Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	}
	return nil
}

// parseSource reads the block of a rule.
func parseSource(text string) (netip.Prefix, error) {
	if strings.Contains(text, ":") {
		return netip.Prefix{}, noIPv6(text)
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p != p.Masked() {
		return netip.Prefix{}, invalidValue("CIDR block %s is malformed", text)
	}
	return p, nil
}

// parsePermissions turns permissions into rules without ids. Groups and lists are not looked up. Descriptions go with the
// rules.
func parsePermissions(egress bool, permissions []types.IpPermission) ([]ruleRes, error) {
	var out []ruleRes
	for _, p := range permissions {
		rules, err := parsePermission(egress, p)
		if err != nil {
			return nil, err
		}
		for _, r := range rules {
			if slices.ContainsFunc(out, r.same) {
				return nil, invalidValue("The same permission must not appear multiple times")
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func parsePermission(egress bool, p types.IpPermission) ([]ruleRes, error) {
	if p.IpProtocol == nil {
		return nil, missing("ipProtocol")
	}
	protocol, err := parseProtocol(*p.IpProtocol)
	if err != nil {
		return nil, err
	}
	from, to, err := parsePorts(protocol, p.FromPort, p.ToPort)
	if err != nil {
		return nil, err
	}
	if len(p.Ipv6Ranges) > 0 {
		return nil, noIPv6(aws.ToString(p.Ipv6Ranges[0].CidrIpv6))
	}
	var out []ruleRes
	add := func(r ruleRes, description *string) error {
		r.Egress, r.Protocol, r.From, r.To, r.Description = egress, protocol, from, to, aws.ToString(description)
		out = append(out, r)
		return checkDescription(r.Description)
	}
	for _, v := range p.IpRanges {
		block, err := parseSource(aws.ToString(v.CidrIp))
		if err != nil {
			return nil, err
		}
		if err := add(ruleRes{CIDR: block}, v.Description); err != nil {
			return nil, err
		}
	}
	for _, v := range p.PrefixListIds {
		if aws.ToString(v.PrefixListId) == "" {
			return nil, missing("prefixListId")
		}
		if err := add(ruleRes{List: *v.PrefixListId}, v.Description); err != nil {
			return nil, err
		}
	}
	for _, v := range p.UserIdGroupPairs {
		switch {
		case aws.ToString(v.VpcPeeringConnectionId) != "":
			return nil, unsupported("Groups of peered VPCs are not supported here: there is no peering")
		case aws.ToString(v.GroupId) == "" || aws.ToString(v.GroupName) != "" || aws.ToString(v.VpcId) != "":
			return nil, badCombination("Security groups of a VPC are referenced by GroupId alone")
		}
		if err := add(ruleRes{Group: *v.GroupId}, v.Description); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, missing("ipRanges, userIdGroupPairs or prefixListIds")
	}
	return out, nil
}

// permissions groups rules of one direction by protocol and ports, as EC2 describes them.
func (n *network) permissions(rules []ruleRes, egress bool) []types.IpPermission {
	out := []types.IpPermission{}
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		fresh := types.IpPermission{
			IpProtocol: aws.String(r.Protocol), IpRanges: []types.IpRange{}, Ipv6Ranges: []types.Ipv6Range{},
			PrefixListIds: []types.PrefixListId{}, UserIdGroupPairs: []types.UserIdGroupPair{},
		}
		if r.ranged() {
			fresh.FromPort, fresh.ToPort = aws.Int32(int32(r.From)), aws.Int32(int32(r.To)) //nolint:gosec // checked when it was parsed
		}
		i := slices.IndexFunc(out, func(p types.IpPermission) bool {
			return *p.IpProtocol == r.Protocol && equal(p.FromPort, fresh.FromPort) && equal(p.ToPort, fresh.ToPort)
		})
		if i < 0 {
			i = len(out)
			out = append(out, fresh)
		}
		p := &out[i]
		switch {
		case r.Group != "":
			p.UserIdGroupPairs = append(p.UserIdGroupPairs, types.UserIdGroupPair{
				GroupId: aws.String(r.Group), UserId: aws.String(string(n.Account)), Description: ref(r.Description),
			})
		case r.List != "":
			p.PrefixListIds = append(p.PrefixListIds, types.PrefixListId{PrefixListId: aws.String(r.List), Description: ref(r.Description)})
		default:
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(r.CIDR.String()), Description: ref(r.Description)})
		}
	}
	return out
}

func equal(a, b *int32) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func itoa(v *int32) string { return strconv.Itoa(int(aws.ToInt32(v))) }

// allows reports whether a rule lets a group's members reach a port of TCP at S3's endpoint.
func (r ruleRes) allowsS3(list string) bool {
	if !r.Egress || r.Protocol != allProtocols && r.Protocol != protocolTCP {
		return false
	}
	if r.Protocol == protocolTCP && (r.From > s3Port || r.To < s3Port) {
		return false
	}
	return r.List == list || r.CIDR.IsValid() && r.CIDR.Contains(s3Address())
}

// s3Port is where the endpoint listens.
const s3Port = 443
