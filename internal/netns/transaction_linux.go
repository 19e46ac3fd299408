package netns

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrTampered says that somebody else changed the packet filter: it no longer says what was ordered. Stop the jobs of
// this VPC and look who has rights over the namespace.
var ErrTampered = errors.New("packet filter was changed by someone else: stop the jobs of this VPC")

// batchElements is how many elements go into one message: an attribute holds 64 KiB, and an element takes up to 100 bytes.
const batchElements = 500

// socketBuffer is for acknowledgements: each message of a transaction gets one, and they are read when all is sent. The
// default holds those of about 100.
const socketBuffer = 16 << 20

// openFilter opens the socket to the namespace's packet filter.
func openFilter(ns *namespace) (*nftables.Conn, error) {
	var c *nftables.Conn
	err := ns.do(func() error {
		var err error
		c, err = nftables.New(nftables.AsLasting(), nftables.WithSockOptions(growBuffers))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open packet filter (the kernel needs nf_tables): %w", err)
	}
	return c, nil
}

// growBuffers asks for large buffers; without root of the first user namespace it gets what net.core.rmem_max allows.
func growBuffers(c *netlink.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[0], socketBuffer) != nil {
				set = errors.Join(set, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o[1], socketBuffer))
			}
		}
	})
	return errors.Join(err, set)
}

// transaction collects changes of the packet filter, which the kernel makes all at once or not at all. It lives under
// Network.mu.
type transaction struct {
	n       *Network
	changes int
	err     error // what could not be written down
}

func (n *Network) begin() *transaction { return &transaction{n: n} }

func (t *transaction) chain(name string) {
	t.changes++
	t.n.filter.AddChain(&nftables.Chain{Table: t.n.table, Name: name})
}

// base makes a chain that the kernel calls. What falls off its end is dropped.
func (t *transaction) base(name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
	t.changes++
	policy := nftables.ChainPolicyDrop
	t.n.filter.AddChain(&nftables.Chain{
		Table: t.n.table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority, Policy: &policy,
	})
}

func (t *transaction) flushChain(name string) {
	t.changes++
	t.n.filter.FlushChain(&nftables.Chain{Table: t.n.table, Name: name})
}

func (t *transaction) deleteChain(name string) {
	t.changes++
	t.n.filter.DelChain(&nftables.Chain{Table: t.n.table, Name: name})
}

func (t *transaction) rule(chain string, exprs ...expr.Any) {
	t.changes++
	t.n.filter.AddRule(&nftables.Rule{Table: t.n.table, Chain: &nftables.Chain{Table: t.n.table, Name: chain}, Exprs: exprs})
}

// set makes a set. Its number, by which a rule of the same transaction knows it, is ours: the library's counter is
// shared by all connections without a lock.
func (t *transaction) set(s *nftables.Set) *nftables.Set {
	t.changes++
	t.n.lastSet++
	s.Table, s.ID = t.n.table, t.n.lastSet
	t.err = errors.Join(t.err, t.n.filter.AddSet(s, nil))
	return s
}

func (t *transaction) deleteSet(s *nftables.Set) {
	t.changes++
	t.n.filter.DelSet(s)
}

func (t *transaction) add(s *nftables.Set, elements ...nftables.SetElement) {
	for len(elements) > 0 {
		t.changes++
		k := min(len(elements), batchElements)
		t.err = errors.Join(t.err, t.n.filter.SetAddElements(s, elements[:k]))
		elements = elements[k:]
	}
}

func (t *transaction) remove(s *nftables.Set, elements ...nftables.SetElement) {
	for len(elements) > 0 {
		t.changes++
		k := min(len(elements), batchElements)
		t.err = errors.Join(t.err, t.n.filter.SetDeleteElements(s, elements[:k]))
		elements = elements[k:]
	}
}

// commit makes the changes. After an error nothing was changed, except where the error is also ErrTampered: then what
// the filter says is not known.
func (t *transaction) commit() error {
	n := t.n
	err := t.err
	if err == nil && t.changes == 0 { // the kernel does not count it
		return nil
	}
	if err == nil {
		err = n.filter.Flush()
	}
	if errors.Is(err, unix.EMSGSIZE) {
		err = fmt.Errorf("too many rules for one message of an ordinary user (raise net.core.wmem_max, or run as root): %w", err)
	}
	generation, genErr := n.generation()
	want := n.gen + 1
	if err != nil {
		if !errors.Is(err, unix.ENOBUFS) || generation != want {
			want = n.gen
		}
		// What was written down, and answers that were not read, would go into the next transaction.
		_ = n.filter.CloseLasting()
		fresh, openErr := openFilter(n.ns)
		if openErr != nil {
			n.tampered = true
			return errors.Join(err, openErr, ErrTampered)
		}
		n.filter = fresh
	}
	switch {
	case genErr != nil:
		n.tampered = true
		return errors.Join(err, genErr, ErrTampered)
	case generation != want:
		n.tampered = true
		return errors.Join(err, fmt.Errorf("generation %d of the packet filter, want %d: %w", generation, want, ErrTampered))
	case err != nil && generation == n.gen:
		return fmt.Errorf("change packet filter: %w", err)
	}
	// Where there was no room for all acknowledgements (ENOBUFS), as for an ordinary user with a thousand rules, the count
	// says that the changes were made.
	n.gen = generation
	return nil
}

// generation is the number of transactions that the namespace's packet filter has seen: the kernel counts each, ours
// and others'.
func (n *Network) generation() (uint32, error) {
	r, err := openReader(n.ns)
	if err != nil {
		return 0, err
	}
	defer r.close()
	return r.generation()
}

// Check returns ErrTampered if somebody else changed the packet filter.
func (n *Network) Check() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.check()
}

func (n *Network) check() error {
	if n.closed {
		return ErrClosed
	}
	if n.tampered {
		return ErrTampered
	}
	generation, err := n.generation()
	if err != nil {
		return err
	}
	if generation != n.gen {
		n.tampered = true
		return ErrTampered
	}
	return nil
}
