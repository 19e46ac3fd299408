package netns

import (
	"errors"
	"net/netip"
	"time"

	"github.com/google/nftables"
)

const (
	// flowIdle is how long after its last packet a flow leaves the kernel's set, at the next reading: room for others. What
	// the job sends then is a new element, counted from 0. Without this an element could expire and come back between two
	// readings, unseen. A packet in the moment between reading and removing is not counted.
	flowIdle = time.Minute
	// flowExpiring is when an element is left to the kernel: one that is gone makes a whole transaction fail.
	flowExpiring = 15 * time.Second
)

// The flow sets, in the order of accounts.before.
const (
	setAccepted = iota
	setRefused
	setRefusedArrival
	flowSets
)

// accounts are what was read of the flow sets.
type accounts struct {
	since      time.Time // of the last Flows
	read       time.Time // the sets were read last
	before     [flowSets]map[flowKey]counted
	unrecorded uint64
	full       bool // since the last Flows
	pending    map[flowID]*Flow
}

// counted is how far a flow was counted.
type counted struct {
	packets, bytes uint64
	idle, expires  time.Duration // since its last packet, until the kernel forgets it
}

// flowID is what parts flows from each other.
type flowID struct {
	iface          string
	key            flowKey // without device
	egress, accept bool
}

// Flows returns what passed and what was refused since the last call, in no order. A flow between two interfaces is there
// twice, once for each end; where the receiver's groups refused it, the sender's accepted it, as in AWS. Bytes are those
// of IP packets. Call it every
// 10 seconds, and no less than every minute. After an error nothing is lost: it comes with the next call, but an
// interface whose flows could not be read for two calls is one to stop.
func (n *Network) Flows() (Reading, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return Reading{}, ErrClosed
	}
	if err := n.count(); err != nil {
		return Reading{}, err
	}
	r := Reading{From: n.flows.since, To: n.flows.read, Full: n.flows.full, Flows: make([]Flow, 0, len(n.flows.pending))}
	for _, f := range n.flows.pending {
		r.Flows = append(r.Flows, *f)
	}
	if err := n.prune(func(_ *flowKey, c counted) bool { return c.idle >= flowIdle }); err != nil {
		return Reading{}, err
	}
	n.flows.since, n.flows.full, n.flows.pending = r.To, false, nil
	return r, nil
}

// take returns the pending flows of one interface, and leaves the others.
func (n *Network) take(iface string) Reading {
	r := Reading{From: n.flows.since, To: n.flows.read, Full: n.flows.full}
	for id, f := range n.flows.pending {
		if id.iface == iface {
			r.Flows = append(r.Flows, *f)
			delete(n.flows.pending, id)
		}
	}
	return r
}

// count reads the kernel's counters and adds what is new to the pending flows.
func (n *Network) count() error {
	r, err := openReader(n.ns)
	if err != nil {
		return err
	}
	defer r.close()
	var sets [flowSets][]element
	for i, name := range []string{flowAccepted, flowRefused, flowRefusedArrival} {
		if sets[i], err = r.dump(n.table.Name, name); err != nil {
			return err
		}
	}
	unrecorded, err := r.counter(n.table.Name, flowUnrecorded)
	if err != nil {
		return err
	}
	a := accountant{accounts: &n.flows, now: n.now(), devices: map[string]string{}, addresses: map[netip.Addr]string{}}
	for _, i := range n.attached {
		a.devices[i.dev], a.addresses[i.Addr] = i.ID, i.ID
	}
	if n.flows.pending == nil {
		n.flows.pending = map[flowID]*Flow{}
	}
	for i, elements := range sets {
		after := make(map[flowKey]counted, len(elements))
		for _, e := range elements {
			if _, twice := after[e.key]; !twice {
				after[e.key] = a.add(i, e)
			}
		}
		n.flows.carry(i, after, a.now)
		n.flows.before[i] = after
	}
	n.flows.full = n.flows.full || unrecorded != n.flows.unrecorded
	n.flows.unrecorded, n.flows.read = unrecorded, a.now
	return nil
}

// carry keeps what a dump has missed: when the kernel makes a set larger while it walks it, elements come twice or not
// at all. One that cannot have expired is still there, and counted this far.
func (a *accounts) carry(set int, after map[flowKey]counted, now time.Time) {
	elapsed := now.Sub(a.read)
	for k, c := range a.before[set] {
		if _, ok := after[k]; !ok && c.expires > elapsed {
			c.idle, c.expires = c.idle+elapsed, c.expires-elapsed
			after[k] = c
		}
	}
}

// accountant adds elements to accounts.
type accountant struct {
	*accounts
	now       time.Time
	devices   map[string]string
	addresses map[netip.Addr]string
}

// add adds what is new of an element to the flows of both its ends, and returns how far it is counted.
func (a *accountant) add(set int, e element) counted {
	idle := flowTimeout - e.expires
	c := counted{packets: e.packets, bytes: e.bytes, idle: idle, expires: e.expires}
	packets, bytes := e.packets, e.bytes
	if b, ok := a.before[set][e.key]; ok && b.packets <= packets && b.bytes <= bytes { // else it is a new one of the same key
		packets, bytes = packets-b.packets, bytes-b.bytes
	}
	if packets == 0 {
		return c
	}
	seen := a.now.Add(-idle)
	if seen.Before(a.read) {
		seen = a.read
	}
	record := func(iface string, egress, accept bool) {
		if iface == "" { // the router
			return
		}
		id := flowID{iface: iface, key: e.key, egress: egress, accept: accept}
		clear(id.key[:16])
		f := a.pending[id]
		if f == nil {
			from, to := e.key.ports()
			f = &Flow{
				Interface: iface, Source: e.key.source(), Dest: e.key.dest(),
				SourcePort: from, Port: to, Protocol: e.key.protocol(),
				Egress: egress, Accept: accept, First: a.read,
			}
			a.pending[id] = f
		}
		f.Packets, f.Bytes = f.Packets+packets, f.Bytes+bytes
		if f.Last.Before(seen) {
			f.Last = seen
		}
	}
	dev := a.devices[e.key.dev()]
	switch set {
	case setAccepted: // it left one interface and entered the other
		record(dev, true, true)
		record(a.addresses[e.key.dest()], false, true)
	case setRefused: // the receiver never saw it
		record(dev, true, false)
	case setRefusedArrival: // it left its interface; the key's device is the receiver's
		record(a.addresses[e.key.source()], true, true)
		record(dev, false, false)
	}
	return c
}

// flowKeys are keys in each flow set.
type flowKeys [flowSets][]flowKey

// removable are flows that may be taken out of the kernel's sets.
func (n *Network) removable(which func(*flowKey, counted) bool) (keys flowKeys) {
	for i := range keys {
		for k, c := range n.flows.before[i] {
			if c.expires > flowExpiring && which(&k, c) {
				keys[i] = append(keys[i], k)
			}
		}
	}
	return keys
}

func (t *transaction) removeFlows(keys flowKeys) {
	for i, set := range [flowSets]*nftables.Set{t.n.sets.accepted, t.n.sets.refused, t.n.sets.refusedOnArrival} {
		elements := make([]nftables.SetElement, len(keys[i]))
		for j := range keys[i] {
			elements[j].Key = keys[i][j][:]
		}
		t.remove(set, elements...)
	}
}

// removed says that keys are out of the kernel's sets.
func (a *accounts) removed(keys flowKeys) {
	for i := range keys {
		for _, k := range keys[i] {
			delete(a.before[i], k)
		}
	}
}

// prune removes flows from the kernel's sets. That it could not is no error: the kernel forgets them later.
func (n *Network) prune(which func(*flowKey, counted) bool) error {
	keys := n.removable(which)
	t := n.begin()
	t.removeFlows(keys)
	err := t.commit()
	if err == nil {
		n.flows.removed(keys)
	} else if errors.Is(err, ErrTampered) {
		return err
	}
	return nil
}
