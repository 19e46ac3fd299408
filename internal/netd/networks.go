package netd

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

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
	namespaces map[string]*os.File // of interfaces, guarded by mu

	queryMu sync.Mutex
	queries []netns.Query // since the last reading, guarded by queryMu
}

// mostQueries bounds the questions that are kept between two readings.
const mostQueries = 10_000

func newNetworks() *networks { return &networks{vpcs: map[string]*vpcNet{}} }

// namespace is the network namespace of an interface; the descriptor stays this package's.
func (n *networks) namespace(id string) (*os.File, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, v := range n.vpcs {
		v.mu.Lock()
		f := v.namespaces[id]
		v.mu.Unlock()
		if f != nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("netd: there is no interface %s", id)
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
	made := &vpcNet{namespaces: map[string]*os.File{}}
	var err error
	if made.net, err = netns.Open(v, netns.Options{Query: made.asked}); err != nil {
		return err
	}
	n.vpcs[v.ID] = made
	return nil
}

// asked keeps a question to the resolver for the next reading.
func (v *vpcNet) asked(q netns.Query) {
	v.queryMu.Lock()
	defer v.queryMu.Unlock()
	if len(v.queries) < mostQueries {
		v.queries = append(v.queries, q)
	}
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
	v.namespaces[a.Interface.ID] = namespace
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
	namespace := v.namespaces[id]
	delete(v.namespaces, id)
	v.mu.Unlock()
	reading, err := v.net.Detach(id)
	if namespace != nil {
		err = errors.Join(err, namespace.Close())
	}
	reading.Queries = v.taken()
	return reading, err
}

func (v *vpcNet) taken() []netns.Query {
	v.queryMu.Lock()
	defer v.queryMu.Unlock()
	q := v.queries
	v.queries = nil
	return q
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
	reading.Queries = v.taken()
	return reading, err
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
