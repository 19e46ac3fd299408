package netd

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/netns"
)

// networks are the VPCs that the helper holds. It is safe for concurrent use; changes of one VPC take turns.
type networks struct {
	mu   sync.Mutex
	vpcs map[string]*vpcNet // guarded by mu
}

// vpcNet is a VPC's network with its interfaces.
type vpcNet struct {
	net *netns.Network

	mu         sync.Mutex
	namespaces map[string]*os.File   // of interfaces, guarded by mu
	addrs      map[string]netip.Addr // of interfaces, guarded by mu

	questions questions
}

func newNetworks() *networks { return &networks{vpcs: map[string]*vpcNet{}} }

// namespace is the network namespace of an interface; the caller closes the descriptor.
func (n *networks) namespace(id string) (*os.File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.vpcs {
		f, err := v.namespace(id)
		if f != nil || err != nil {
			return f, err
		}
	}
	return nil, fmt.Errorf("netd: there is no interface %s", id)
}

// namespace duplicates the descriptor under the lock: an interface that is detached meanwhile closes its own.
func (v *vpcNet) namespace(id string) (*os.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.namespaces[id]
	if f == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "network of "+id), nil
}

func (n *networks) vpc(id string) (*vpcNet, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v := n.vpcs[id]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("netd: there is no network of %s", id)
}

func (n *networks) do(r request) (any, []*os.File, error) {
	none := struct{}{}
	switch r.Op {
	case opApply:
		return with(r, func(v netns.VPC) (struct{}, error) { return none, n.apply(v) })
	case opAttach:
		return with(r, func(a interfaceOf) (struct{}, error) { return none, n.attach(a) })
	case opDetach:
		return with(r, n.detach)
	case opSetGroups:
		return with(r, func(a interfaceOf) (struct{}, error) {
			v, err := n.vpc(a.VPC)
			if err != nil {
				return none, err
			}
			return none, v.net.SetGroups(a.ID, a.Groups)
		})
	case opCut:
		return with(r, func(a interfaceOf) (struct{}, error) {
			v, err := n.vpc(a.VPC)
			if err != nil {
				return none, err
			}
			return none, v.net.Cut(a.ID)
		})
	case opFlows:
		return with(r, func(a interfaceOf) (netns.Reading, error) { return n.flows(a.VPC) })
	case opDrop:
		return with(r, func(a interfaceOf) (struct{}, error) { return none, n.drop(a.VPC) })
	case opListen:
		var out *os.File
		result, _, err := with(r, func(a listenAt) (struct{}, error) {
			v, err := n.vpc(a.VPC)
			if err != nil {
				return none, err
			}
			at, err := netip.ParseAddrPort(a.Address)
			if err == nil {
				out, err = v.net.Listen(a.Network, at)
			}
			return none, err
		})
		if err != nil {
			return nil, nil, err
		}
		return result, []*os.File{out}, nil
	default:
		return nil, nil, fmt.Errorf("netd: no operation %q", r.Op)
	}
}

// apply opens a VPC's network, or changes it.
func (n *networks) apply(v netns.VPC) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if have := n.vpcs[v.ID]; have != nil {
		return have.net.Apply(v)
	}
	made := &vpcNet{namespaces: map[string]*os.File{}, addrs: map[string]netip.Addr{}}
	var err error
	if made.net, err = netns.Open(v, netns.Options{Query: made.questions.add}); err != nil {
		return err
	}
	n.vpcs[v.ID] = made
	return nil
}

// attach makes an interface and proves that it holds.
func (n *networks) attach(a interfaceOf) error {
	if a.Interface == nil {
		return errors.New("netd: attach names no interface")
	}
	v, err := n.vpc(a.VPC)
	if err != nil {
		return err
	}
	namespace, err := v.net.Attach(*a.Interface)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.namespaces[a.Interface.ID], v.addrs[a.Interface.ID] = namespace, a.Interface.Addr
	v.mu.Unlock()
	if err := v.net.Canary(a.Interface.ID); err != nil {
		_, undo := v.detach(a.Interface.ID)
		return errors.Join(fmt.Errorf("canary: %w", err), undo)
	}
	return nil
}

func (n *networks) detach(a interfaceOf) (netns.Reading, error) {
	v, err := n.vpc(a.VPC)
	if err != nil { // nothing is there any more
		return netns.Reading{}, nil //nolint:nilerr // as the comment says
	}
	return v.detach(a.ID)
}

func (v *vpcNet) detach(id string) (netns.Reading, error) {
	v.mu.Lock()
	namespace, addr := v.namespaces[id], v.addrs[id]
	delete(v.namespaces, id)
	delete(v.addrs, id)
	v.mu.Unlock()
	reading, err := v.net.Detach(id)
	if namespace != nil {
		err = errors.Join(err, namespace.Close())
	}
	if addr.IsValid() {
		reading.Queries = v.questions.take(addr)
	}
	return reading, err
}

// flows reads, and makes sure that nobody else has changed the rules.
func (n *networks) flows(id string) (netns.Reading, error) {
	v, err := n.vpc(id)
	if err != nil {
		return netns.Reading{}, err
	}
	if err := v.net.Check(); err != nil {
		return netns.Reading{}, err
	}
	reading, err := v.net.Flows()
	if err != nil { // the questions wait for a reading that arrives
		return netns.Reading{}, err
	}
	reading.Queries = v.questions.take(netip.Addr{})
	return reading, nil
}

func (n *networks) drop(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.vpcs[id]
	if v == nil {
		return nil
	}
	delete(n.vpcs, id)
	return v.close()
}

func (v *vpcNet) close() error {
	var failures []error
	for _, f := range v.namespaces {
		failures = append(failures, f.Close())
	}
	return errors.Join(append(failures, v.net.Close())...)
}

func (n *networks) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var failures []error
	for _, v := range n.vpcs {
		failures = append(failures, v.close())
	}
	return errors.Join(failures...)
}
