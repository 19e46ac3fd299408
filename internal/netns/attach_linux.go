package netns

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// attachment is an interface that exists, or is coming or going.
type attachment struct {
	Interface
	dev      string // on the VPC's side; never used twice
	ns       *namespace
	subnet   Subnet
	coming   bool // Attach is at work
	filtered bool // its part of the filter is written
	ready    bool // Attach has succeeded, Detach has not begun
}

// Attach makes an interface and a network namespace for a job, in which it is eth0, and returns a descriptor of that
// namespace, which the caller closes. The filter is written before the link exists, and the default route comes last.
// After an error nothing of it is left.
func (n *Network) Attach(i Interface) (*os.File, error) {
	i.Groups = slices.Clone(i.Groups)
	ns, err := newNamespace()
	if err != nil {
		return nil, fmt.Errorf("attach %s: %w", i.ID, err)
	}
	a, err := n.reserve(i, ns)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach %s: %w", i.ID, err), ns.close())
	}
	defer n.busy.Done()
	job, err := n.connect(a)
	if err == nil {
		n.mu.Lock()
		a.coming = false
		a.ready = !n.closed
		n.mu.Unlock()
		if a.ready {
			return job, nil
		}
		err = errors.Join(ErrClosed, job.Close())
	}
	return nil, errors.Join(fmt.Errorf("attach %s: %w", i.ID, err), n.undo(a))
}

// reserve checks i, takes its address and writes its part of the filter.
func (n *Network) reserve(i Interface, ns *namespace) (*attachment, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.check(); err != nil {
		return nil, err
	}
	subnet, ok := n.want.subnet(i.Subnet)
	if !ok {
		return nil, fmt.Errorf("unknown subnet %s", i.Subnet)
	}
	if err := unique(map[string]bool{}, i.ID); err != nil {
		return nil, err
	}
	if !subnet.CIDR.Contains(i.Addr) || n.local[i.Addr] || i.Addr == subnet.CIDR.Masked().Addr() || i.Addr == last(subnet.CIDR) {
		return nil, fmt.Errorf("address %v is not free in %s, %v", i.Addr, i.Subnet, subnet.CIDR)
	}
	if n.attached[i.ID] != nil {
		return nil, errors.New("it is attached already")
	}
	for _, a := range n.attached {
		if a.Addr == i.Addr {
			return nil, fmt.Errorf("address %v belongs to %s", i.Addr, a.ID)
		}
	}
	if err := n.checkGroups(i.Groups); err != nil {
		return nil, err
	}
	n.lastDev++
	a := &attachment{Interface: i, dev: "eni" + strconv.FormatUint(n.lastDev, 10), ns: ns, subnet: subnet, coming: true}
	if err := n.writeInterface(a); err != nil {
		return nil, err
	}
	a.filtered = true
	n.attached[i.ID] = a
	n.busy.Add(1)
	return a, nil
}

func (n *Network) checkGroups(ids []string) error {
	if len(ids) == 0 {
		return errors.New("no security group: want at least one")
	}
	for i, id := range ids {
		if n.groups[id] == nil {
			return fmt.Errorf("unknown security group %s", id)
		}
		if slices.Contains(ids[:i], id) {
			return fmt.Errorf("security group %s is there twice", id)
		}
	}
	return nil
}

// SetGroups gives an interface other groups, at once. Connections that were allowed live on.
func (n *Network) SetGroups(id string, groups []string) error {
	groups = slices.Clone(groups)
	n.mu.Lock()
	defer n.mu.Unlock()
	a, err := n.attachment(id)
	if err != nil {
		return err
	}
	if err := n.checkGroups(groups); err != nil {
		return fmt.Errorf("set groups of %s: %w", id, err)
	}
	t := n.begin()
	t.flushChain(egressOf(a.dev))
	t.flushChain(ingressOf(a.dev))
	writeJumps(t, a.dev, groups)
	for _, g := range a.Groups {
		if !slices.Contains(groups, g) {
			t.remove(n.groups[g].members, address(a.Addr))
		}
	}
	for _, g := range groups {
		if !slices.Contains(a.Groups, g) {
			t.add(n.groups[g].members, address(a.Addr))
		}
	}
	if err := t.commit(); err != nil {
		return fmt.Errorf("set groups of %s: %w", id, err)
	}
	a.Groups = groups
	return nil
}

// attachment finds an interface that is attached.
func (n *Network) attachment(id string) (*attachment, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	a := n.attached[id]
	if a == nil || !a.ready {
		return nil, fmt.Errorf("%s is not attached", id)
	}
	return a, nil
}

// find is attachment without a look at the filter.
func (n *Network) find(id string) *attachment {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.attached[id]
}

// Detach takes an interface away: link, flows, filter, tracked connections, and the descriptor of its namespace. It
// returns the interface's last flows; what they say of the other end comes with the next Flows. It may be called again,
// also for an interface that never was, and after an error. ErrTampered says that the interface is gone, but its last
// flows are not known. Leave the address unused for a while: its old peers do not know that it changed hands.
func (n *Network) Detach(id string) (Reading, error) {
	n.mu.Lock()
	a := n.attached[id]
	if n.closed || a == nil {
		now := n.now()
		n.mu.Unlock()
		return Reading{From: now, To: now}, nil
	}
	if a.coming {
		n.mu.Unlock()
		return Reading{}, fmt.Errorf("detach %s: it is being attached: try again", id)
	}
	a.ready = false
	n.busy.Add(1)
	defer n.busy.Done()
	n.mu.Unlock()

	if err := n.deleteLink(a.dev); err != nil { // waits for the kernel, tens of milliseconds: others may go on
		return Reading{}, fmt.Errorf("detach %s: %w", id, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.attached[id] != a { // done by another call
		now := n.now()
		return Reading{From: now, To: now}, nil
	}
	if err := n.check(); errors.Is(err, ErrTampered) {
		delete(n.attached, a.ID)
		return Reading{}, errors.Join(fmt.Errorf("detach %s: its last flows are not known: %w", id, err), a.ns.close())
	}
	if err := n.count(); err != nil {
		return Reading{}, fmt.Errorf("detach %s: %w", id, err)
	}
	if err := n.forget(a); err != nil {
		return Reading{}, fmt.Errorf("detach %s: %w", id, err)
	}
	return n.take(id), nil
}

// undo takes back what a failed Attach made.
func (n *Network) undo(a *attachment) error {
	err := n.deleteLink(a.dev)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return err
	}
	return errors.Join(err, n.forget(a))
}

// forget removes what the filter, the connection table and the Network know of an interface whose link is gone.
func (n *Network) forget(a *attachment) error {
	if a.filtered {
		if err := n.eraseInterface(a); err != nil {
			return err
		}
		a.filtered = false
	}
	if err := n.deleteConnections(a.Addr); err != nil {
		return err
	}
	delete(n.attached, a.ID)
	return a.ns.close()
}
