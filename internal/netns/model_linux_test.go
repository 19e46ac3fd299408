package netns

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The model says what AWS's security groups allow, rule by rule, from the VPC User Guide ("Security group rules"). It
// shares nothing with the filter but the types in spec.go.

type modelPacket struct {
	from, to string // interfaces
	protocol int
	port     int // destination
	kind     int // ICMP type
	code     int
}

// modelAllows scans all rules of one direction of all groups of an interface.
func modelAllows(v VPC, members map[string][]netip.Addr, groups []string, egress bool, p modelPacket, peer netip.Addr) bool {
	for _, id := range groups {
		for _, g := range v.Groups {
			if g.ID != id {
				continue
			}
			list := g.Ingress
			if egress {
				list = g.Egress
			}
			for _, r := range list {
				if modelMatches(v, members, r, p, peer) {
					return true
				}
			}
		}
	}
	return false
}

func modelMatches(v VPC, members map[string][]netip.Addr, r Rule, p modelPacket, peer netip.Addr) bool {
	if r.Protocol != -1 && r.Protocol != p.protocol {
		return false
	}
	if r.Protocol == 6 || r.Protocol == 17 {
		if r.From != -1 && p.port < r.From || r.To != -1 && p.port > r.To {
			return false
		}
	}
	if r.Protocol == 1 {
		if r.From != -1 && p.kind != r.From || r.To != -1 && p.code != r.To {
			return false
		}
	}
	if r.Group != "" {
		return slices.Contains(members[r.Group], peer)
	}
	if r.List != "" {
		for _, l := range v.Lists {
			for _, c := range l.Prefixes {
				if l.ID == r.List && c.Contains(peer) {
					return true
				}
			}
		}
		return false
	}
	return r.CIDR.Contains(peer)
}

// modelPorts are few, so that rules and packets meet.
var modelPorts = []int{22, 79, 80, 81, 443, 7000, 7001, 65535}

func randomRule(rng *rand.Rand, groups int) Rule {
	protocols := []int{-1, 1, 6, 6, 6, 17, 17, 47, 50, 51}
	r := Rule{Protocol: protocols[rng.IntN(len(protocols))], From: -1, To: -1}
	switch r.Protocol {
	case 6, 17:
		r.From, r.To = modelPorts[rng.IntN(len(modelPorts))], modelPorts[rng.IntN(len(modelPorts))]
		if r.From > r.To {
			r.From, r.To = r.To, r.From
		}
		if rng.IntN(8) == 0 {
			r.From, r.To = -1, -1
		}
	case 1:
		if rng.IntN(4) > 0 {
			r.From = []int{8, 13, 10, 3}[rng.IntN(4)]
			if rng.IntN(2) == 0 {
				r.To = rng.IntN(3)
			}
		}
	}
	switch rng.IntN(5) {
	case 0, 1:
		r.Group = fmt.Sprintf("sg-%d", rng.IntN(groups))
	case 2:
		r.List = fmt.Sprintf("pl-%d", rng.IntN(2))
	default:
		r.CIDR = randomCIDR(rng)
	}
	return r
}

func randomCIDR(rng *rand.Rand) netip.Prefix {
	all := []string{"0.0.0.0/0", "10.20.0.0/16", "10.20.1.0/24", "10.20.2.0/24", "10.20.1.0/28", "10.20.1.12/32", "10.20.1.12/31", "10.20.2.13/32", "192.0.2.0/24"}
	return prefix(all[rng.IntN(len(all))])
}

func randomVPC(rng *rand.Rand) VPC {
	groups := modelGroups
	v := exampleVPC()
	v.Lists = []PrefixList{{ID: "pl-0"}, {ID: "pl-1"}}
	for i := range v.Lists {
		for range rng.IntN(4) {
			v.Lists[i].Prefixes = append(v.Lists[i].Prefixes, randomCIDR(rng))
		}
	}
	for i := range groups {
		g := Group{ID: fmt.Sprintf("sg-%d", i)}
		for range rng.IntN(6) {
			g.Ingress = append(g.Ingress, randomRule(rng, groups))
		}
		for range 1 + rng.IntN(6) {
			g.Egress = append(g.Egress, randomRule(rng, groups))
		}
		v.Groups = append(v.Groups, g)
	}
	return v
}

// modelGroups is how many groups there are: they keep their names, as none that is in use can go.
const modelGroups = 4

// modelAddresses are the interfaces of every set.
var modelAddresses = map[string]string{"eni-0": "10.20.1.11", "eni-1": "10.20.1.12", "eni-2": "10.20.1.13", "eni-3": "10.20.2.13", "eni-4": "10.20.2.14"}

func randomPacket(rng *rand.Rand) modelPacket {
	p := modelPacket{protocol: []int{6, 6, 17, 17, 1, 47, 50}[rng.IntN(7)]}
	from := rng.IntN(len(modelAddresses))
	p.from, p.to = fmt.Sprintf("eni-%d", from), fmt.Sprintf("eni-%d", (from+1+rng.IntN(len(modelAddresses)-1))%len(modelAddresses))
	p.port = modelPorts[rng.IntN(len(modelPorts))]
	p.kind, p.code = []int{8, 13, 10, 3}[rng.IntN(4)], rng.IntN(3)
	return p
}

// modelRun sends packets through a Network and holds the counters' verdicts against the model's. It returns what
// differs.
func modelRun(l *lab, sets, packets int) (wrong []string, sent map[string]int) {
	l.Helper()
	sent = map[string]int{}
	socket := map[string]int{}
	defer func() {
		for _, fd := range socket {
			shutFD(fd)
		}
	}()
	before := tally{flowAccepted: {}, flowRefused: {}, flowRefusedArrival: {}}
	for set := range sets {
		rng := rand.New(rand.NewPCG(5, uint64(set)))
		v := randomVPC(rng)
		groups, members := map[string][]string{}, map[string][]netip.Addr{}
		for n := range len(modelAddresses) {
			id := fmt.Sprintf("eni-%d", n)
			for _, i := range rng.Perm(len(v.Groups))[:1+rng.IntN(2)] {
				groups[id] = append(groups[id], v.Groups[i].ID)
				members[v.Groups[i].ID] = append(members[v.Groups[i].ID], addr(modelAddresses[id]))
			}
		}
		l.become(v, groups)
		// Sockets of this set's packets: from port 10,000 on, each flow's own.
		for i := range packets {
			p := randomPacket(rng)
			src, dst := addr(modelAddresses[p.from]), addr(modelAddresses[p.to])
			sport := 10000 + (set*packets+i)%50000
			fd, ok := socket[p.from]
			if !ok {
				fd = l.rawSocket(p.from)
				socket[p.from] = fd
			}
			want := "egress"
			if modelAllows(v, members, groups[p.from], true, p, dst) {
				want = "ingress"
				if modelAllows(v, members, groups[p.to], false, p, src) {
					want = "pass"
				}
			}
			got := "nothing"
			for tries := 0; got == "nothing" && tries < 5; tries++ { // the kernel may have no memory at hand for a new flow
				got = l.verdictOf(p, l.sendModel(fd, p, src, dst, sport), before)
			}
			sent[want]++
			if got != want {
				wrong = append(wrong, fmt.Sprintf("set %d packet %d %+v: filter says %s, model %s; groups %v and %v of %+v", set, i, p, got, want, groups[p.from], groups[p.to], v.Groups))
			}
		}
	}
	return wrong, sent
}

// become applies a set of groups to the interfaces that run.
func (l *lab) become(v VPC, groups map[string][]string) {
	l.Helper()
	check(l.Apply(v))
	for id, g := range groups {
		check(l.SetGroups(id, g))
	}
}

// quiet lets a job send nothing but what is marked: its kernel's answers would be counted too.
func (l *lab) quiet(id string) {
	f := must(openFilter(l.jobs[id]))
	defer shutFilter(f)
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: "quiet"}
	f.AddTable(t)
	policy := nftables.ChainPolicyDrop
	c := f.AddChain(&nftables.Chain{
		Table: t, Name: "output", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter, Policy: &policy,
	})
	f.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1}, is(binaryutil.NativeEndian.PutUint32(1)...), accept(),
	}})
	check(f.Flush())
}

// unquiet takes that back.
func unquiet(ns *namespace) {
	f := must(openFilter(ns))
	defer shutFilter(f)
	f.DelTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "quiet"})
	check(f.Flush())
}

// rawSocket makes a socket in a job that sends whole IP packets.
func (l *lab) rawSocket(id string) (fd int) {
	check(l.jobs[id].do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return err
		}
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1)
	}))
	return fd
}

// sendModel sends one packet and returns the key that it is counted under, but for the device.
func (l *lab) sendModel(fd int, p modelPacket, src, dst netip.Addr, sport int) flowKey {
	l.Helper()
	body := make([]byte, 24)
	from, to := netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0)
	switch p.protocol {
	case 6:
		binary.BigEndian.PutUint16(body[0:], uint16(sport))
		binary.BigEndian.PutUint16(body[2:], uint16(p.port))
		body[12], body[13] = 5<<4, 2 // no options, SYN
		body = body[:20]
		binary.BigEndian.PutUint16(body[16:], transportSum(src, dst, p.protocol, body))
	case 17:
		binary.BigEndian.PutUint16(body[0:], uint16(sport))
		binary.BigEndian.PutUint16(body[2:], uint16(p.port))
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
	case 1:
		body[0], body[1] = byte(p.kind), byte(p.code)
		binary.BigEndian.PutUint16(body[4:], uint16(sport))
		binary.BigEndian.PutUint16(body[2:], checksum(0, body))
	}
	if p.protocol == 6 || p.protocol == 17 {
		from, to = netip.AddrPortFrom(src, uint16(sport)), netip.AddrPortFrom(dst, uint16(p.port))
	}
	packet := make([]byte, 20, 44)
	packet[0], packet[8], packet[9] = 0x45, 64, byte(p.protocol)
	binary.BigEndian.PutUint16(packet[2:], uint16(20+len(body)))
	a, b := src.As4(), dst.As4()
	copy(packet[12:], a[:])
	copy(packet[16:], b[:])
	check(unix.Sendto(fd, append(packet, body...), 0, &unix.SockaddrInet4{Addr: b}))
	return newFlowKey("", from, to, uint8(p.protocol))
}

func checksum(start uint32, b []byte) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		start += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for start > 0xffff {
		start = start>>16 + start&0xffff
	}
	return ^uint16(start)
}

func transportSum(src, dst netip.Addr, protocol int, b []byte) uint16 {
	pseudo := append(src.AsSlice(), dst.AsSlice()...)
	return checksum(uint32(protocol+len(b))+uint32(^checksum(0, pseudo)), b)
}

// tally is how many packets of each key were counted in each set.
type tally map[string]map[flowKey]uint64

// verdictOf finds the set in which the packet was counted: without ports several packets have the same key.
func (l *lab) verdictOf(p modelPacket, key flowKey, before tally) string {
	l.Helper()
	l.mu.Lock()
	from, to := l.attached[p.from].dev, l.attached[p.to].dev
	l.mu.Unlock()
	r := must(openReader(l.ns))
	defer r.close()
	for deadline := time.Now().Add(testPatience / 5); time.Now().Before(deadline); {
		for _, c := range []struct{ set, dev, verdict string }{
			{flowAccepted, from, "pass"}, {flowRefused, from, "egress"}, {flowRefusedArrival, to, "ingress"},
		} {
			copy(key[:16], ifname(c.dev))
			e, found, err := r.element(l.table.Name, c.set, key)
			check(err)
			if !found || e.packets == before[c.set][key] {
				continue
			}
			before[c.set][key] = e.packets
			if c.verdict == "pass" && p.protocol != 6 && p.protocol != 17 {
				// A packet back would be a reply, and pass.
				check(l.links.ConntrackTableFlush(netlink.ConntrackTable))
			}
			return c.verdict
		}
	}
	return "nothing"
}

// TestModel holds the filter against the model: 300 sets of groups, 20 packets each.
func TestModel(t *testing.T) {
	l := newModelLab(t, seam{unlimited: true})
	start := time.Now()
	sets := 300
	if testing.Short() {
		sets = 30
	}
	wrong, sent := modelRun(l, sets, 20)
	for i, w := range wrong {
		if i < 5 {
			t.Error(w)
		}
	}
	t.Logf("%d of %d verdicts differ, verdicts %v, %v", len(wrong), 20*sets, sent, time.Since(start))
	for _, v := range []string{"egress", "ingress", "pass"} {
		if sent[v] < sets {
			t.Errorf("%d packets end with %s: too few to prove anything", sent[v], v)
		}
	}
}

func newModelLab(tb testing.TB, s seam) *lab {
	tb.Helper()
	l := newLab(tb, randomVPC(rand.New(rand.NewPCG(5, 5))), Options{seam: s})
	for id, a := range modelAddresses {
		l.job(id, a, "sg-0")
		l.quiet(id)
	}
	return l
}

// modelSees says whether the model finds something wrong with a changed filter.
func modelSees(tb testing.TB, s seam) error {
	tb.Helper()
	s.unlimited = true
	sets := 20
	if testing.Short() {
		sets = 5
	}
	if wrong, _ := modelRun(newModelLab(tb, s), sets, 20); len(wrong) > 0 {
		return fmt.Errorf("%d verdicts differ, such as %s", len(wrong), strings.SplitN(wrong[0], ";", 2)[0])
	}
	return nil
}
