package netns

import (
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Chains that every VPC has. A packet goes through antispoof, then forward (to another interface) or input (to the
// endpoint or the resolver), there through the sender's egress rules, ingressStage and the receiver's ingress rules, and
// ends in one of the last three.
const (
	antispoof     = "antispoof"
	forward       = "forward"
	input         = "input"
	output        = "output"
	ingressStage  = "ingress_stage"
	pass          = "pass"
	passPortless  = "pass_portless"
	refuse        = "refuse"
	refuseArrival = "refuse_ingress"
)

// Flow sets, and the counter of packets that were refused because their flow found no room: the set is full, or the
// kernel had no memory at hand (a counter's is per processor, and refilled in the background). Then the next try passes.
const (
	flowAccepted       = "flow_accept"
	flowRefused        = "flow_reject_egress"
	flowRefusedArrival = "flow_reject_ingress"
	flowUnrecorded     = "flow_unrecorded"
)

const (
	// flowSize is what each flow set holds. A set without a size stops at this number too, but silently.
	flowSize = 65535
	// flowTimeout is how long the kernel remembers a flow without packets, should nobody read.
	flowTimeout = 5 * time.Minute
)

// plainHeader is the first byte of an IPv4 header without options: version and length.
const plainHeader = 0x45

// Limits of what one interface may ask of the whole VPC: without them one job fills the tables that all share.
const (
	newPerSecond   = 200
	newBurst       = 400
	maxConnections = 4096
)

// install writes the part of the filter that does not depend on the VPC: everything is dropped.
func (n *Network) install() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.begin()
	n.filter.AddTable(n.table)
	n.installSets(t)
	n.filter.AddObj(&nftables.NamedObj{Table: n.table, Name: flowUnrecorded, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})

	t.base(antispoof, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	t.base(forward, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	t.base(input, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	t.base(output, nftables.ChainHookOutput, nftables.ChainPriorityFilter)
	for _, c := range []string{ingressStage, pass, passPortless, refuse, refuseArrival} {
		t.chain(c)
	}
	n.installEnds(t)
	n.installStages(t)
	return t.commit()
}

func (n *Network) installSets(t *transaction) {
	s := &n.sets
	device := func(name string) *nftables.Set {
		return t.set(&nftables.Set{
			Name: name, IsMap: true, KeyByteOrder: binaryutil.NativeEndian,
			KeyType: nftables.TypeIFName, DataType: nftables.TypeVerdict,
		})
	}
	s.fresh, s.egress, s.ingress = device("eni_fresh"), device("eni_egress"), device("eni_ingress")
	s.sources = t.set(&nftables.Set{
		Name: "eni_source", Concatenation: true, KeyType: t.key(nftables.TypeIFName, nftables.TypeIPAddr),
	})
	s.addresses = t.set(&nftables.Set{Name: "vpc_destinations", KeyType: nftables.TypeIPAddr})
	s.services = t.set(&nftables.Set{
		Name: "vpc_services", Concatenation: true,
		KeyType: t.key(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
	})
	s.routes = t.set(&nftables.Set{
		Name: "endpoint_routes", Concatenation: true,
		KeyType: t.key(nftables.TypeIFName, nftables.TypeIPAddr, nftables.TypeInetService),
	})
	s.ported = t.set(&nftables.Set{Name: "ported", KeyType: nftables.TypeInetProto})
	t.add(s.ported, nftables.SetElement{Key: []byte{unix.IPPROTO_TCP}}, nftables.SetElement{Key: []byte{unix.IPPROTO_UDP}})
	size := n.seam.flowSize
	if size == 0 {
		size = flowSize
	}
	flows := func(name string) *nftables.Set {
		return t.set(&nftables.Set{
			Name: name, Concatenation: true, Dynamic: true, HasTimeout: true, Timeout: flowTimeout, Size: size,
			// Both ports are one field: a concatenation has at most five (6 bits of type each).
			KeyType: t.key(nftables.TypeIFName, nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeMark),
		})
	}
	s.accepted, s.refused, s.refusedOnArrival = flows(flowAccepted), flows(flowRefused), flows(flowRefusedArrival)
}

// installEnds writes how packets end. The only rule that accepts is the one that counts: a full set makes it not match,
// and the packet goes on to the drop.
func (n *Network) installEnds(t *transaction) {
	full := []expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: flowUnrecorded}, drop()}
	s := &n.sets
	if n.seam.mutation == countedNoMatch {
		t.rule(pass, count(s.accepted, s.ported, iif)...)
	}
	if n.seam.mutation == countedNoMatch || n.seam.mutation == uncounted {
		t.rule(pass, accept())
	}
	t.rule(pass, append(count(s.accepted, s.ported, iif), accept())...)
	t.rule(pass, protocol(1), notIn(s.ported, 1), goTo(passPortless))
	t.rule(pass, full...)
	t.rule(passPortless, append(count(s.accepted, nil, iif), accept())...)
	t.rule(passPortless, full...)
	t.rule(refuse, append(count(s.refused, s.ported, iif), drop())...)
	t.rule(refuse, append(count(s.refused, nil, iif), drop())...)
	t.rule(refuse, full...)
	t.rule(refuseArrival, append(count(s.refusedOnArrival, s.ported, oif), drop())...)
	t.rule(refuseArrival, append(count(s.refusedOnArrival, nil, oif), drop())...)
	t.rule(refuseArrival, full...)
}

// count adds a packet to its flow. With ported it matches packets that have ports only. Without, ports are 0: the
// same place of an ICMP message holds its checksum, and each would be a flow.
func count(flows, ported *nftables.Set, device func(uint32) expr.Any) []expr.Any {
	var e []expr.Any
	if ported != nil {
		e = append(e, protocol(1), in(ported, 1))
	}
	e = append(e, device(reg(0)), source(reg(4)), dest(reg(5)), protocol(reg(6)))
	if ported != nil {
		e = append(e, ports(reg(7)))
	} else {
		e = append(e, &expr.Immediate{Register: reg(7), Data: make([]byte, 4)})
	}
	return append(e, &expr.Dynset{
		SrcRegKey: reg(0), SetName: flows.Name, SetID: flows.ID,
		Operation: unix.NFT_DYNSET_OP_UPDATE, Exprs: []expr.Any{&expr.Counter{}},
	})
}

// installStages writes the way to there.
func (n *Network) installStages(t *transaction) {
	s := &n.sets
	lo := is(ifname("lo")...)
	t.rule(antispoof, iif(1), lo, accept())
	t.rule(antispoof, &expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, isNot(unix.NFPROTO_IPV4), &expr.Counter{}, drop())
	// There is no route to other addresses. Refused here it is on record; the routing code would drop it silently.
	t.rule(antispoof, dest(1), notIn(s.addresses, 1), goTo(refuse))
	// So it is with options, such as source routes, and with what has no hops left.
	t.rule(antispoof, header(1, 0, 1), isNot(plainHeader), goTo(refuse))
	t.rule(antispoof, header(1, 8, 1), between([]byte{0}, []byte{1}), goTo(refuse))
	if n.seam.mutation == noAntispoof {
		t.rule(antispoof, accept())
	}
	// Source check: a job may not speak with another's address.
	t.rule(antispoof, iif(reg(0)), source(reg(4)), in(s.sources, reg(0)), accept())
	t.rule(antispoof, goTo(refuse))

	known := append(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), goTo(pass))
	// Conntrack calls ICMP invalid that neither asks nor belongs to a connection; for AWS it is for the groups to decide.
	invalid := append([]expr.Any{protocol(1), isNot(unix.IPPROTO_ICMP)}, append(state(expr.CtStateBitINVALID), goTo(refuse))...)
	egress := []expr.Any{iif(1), vmap(s.egress)}
	if n.seam.mutation == noEgress {
		egress = []expr.Any{jump(ingressStage)}
	}

	t.rule(forward, known...)
	t.rule(forward, invalid...)
	t.rule(forward, iif(1), vmap(s.fresh))
	t.rule(forward, egress...)
	t.rule(forward, goTo(refuse))

	t.rule(input, iif(1), lo, drop())
	t.rule(input, known...)
	t.rule(input, invalid...)
	t.rule(input, iif(1), vmap(s.fresh))
	t.rule(input, dest(reg(0)), protocol(reg(1)), port(reg(2)), in(s.services, reg(0)), goTo(pass))
	t.rule(input, egress...)
	t.rule(input, goTo(refuse))

	t.rule(output, known...) // the router answers, and opens nothing

	if n.seam.mutation == noIngress {
		t.rule(ingressStage, oif(1), isNot(ifname("")...), goTo(pass))
	}
	t.rule(ingressStage, oif(1), vmap(s.ingress))
	t.rule(ingressStage, protocol(1), is(unix.IPPROTO_TCP),
		iif(reg(0)), dest(reg(4)), port(reg(5)), in(s.routes, reg(0)), goTo(pass))
}

// key is the type of a concatenation.
func (t *transaction) key(fields ...nftables.SetDatatype) nftables.SetDatatype {
	k, err := nftables.ConcatSetType(fields...)
	if err != nil && t.err == nil {
		t.err = err
	}
	return k
}
