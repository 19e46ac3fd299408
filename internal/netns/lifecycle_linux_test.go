package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCanary(t *testing.T) {
	v := exampleVPC(
		Group{ID: "s3", Egress: rules(tcp(443, 443).list("pl-s3"))},
		Group{ID: "cidr", Egress: rules(everything().cidr("198.18.0.10/32"))},
		Group{ID: "none", Egress: rules(tcp(444, 444).list("pl-s3"), udp(443, 443).list("pl-s3"), tcp(443, 443).cidr("10.0.0.0/8"))})
	l := newLab(t, v, Options{})
	l.job("eni-1", "10.20.1.11", "none", "s3")
	l.job("eni-2", "10.20.2.12", "s3")
	l.job("eni-3", "10.20.1.13", "none")
	l.job("eni-4", "10.20.1.14", "cidr")
	if err := l.Canary("eni-1"); !errors.Is(err, ErrEndpointDown) {
		t.Errorf("without a listener: %v, want ErrEndpointDown", err)
	}
	f, err := l.Listen("tcp", at(endpoint+":443"))
	if err != nil {
		t.Fatal(err)
	}
	s := must(net.FileListener(f))
	check(f.Close())
	defer shut(s)
	go answer(s)
	for id, want := range map[string]error{"eni-1": nil, "eni-2": ErrNoEndpointRoute, "eni-3": ErrEgressBlocked, "eni-4": nil} {
		if err := l.Canary(id); !errors.Is(err, want) {
			t.Errorf("Canary(%s) = %v, want %v", id, err, want)
		}
		for _, to := range forbidden() {
			l.refusal(id, to)
		}
	}
	if err := l.Canary("eni-x"); err == nil {
		t.Error("Canary of an interface that is not there: no error")
	}
	// A way around the filter is found.
	job := l.jobs["eni-1"]
	check(job.do(func() error { return addVeth("out0", "out1") }))
	if err := l.Canary("eni-1"); err == nil || errors.Is(err, ErrEndpointDown) {
		t.Errorf("with another device: %v, want an error that names it", err)
	}
}

// TestCanaryKnocksAgain: TCP sends a first packet that was dropped again after a second; the canary makes a new connection before.
// Here the endpoint's queue is full: it drops first packets until a second connection was tried.
func TestCanaryKnocksAgain(t *testing.T) {
	g := Group{ID: "g", Egress: []Rule{tcp(443, 443).list("pl-s3")}}
	l := newLab(t, exampleVPC(g), Options{})
	job := l.job("eni-1", "10.20.1.11", "g")
	s := fullListener(t, l.ns, endpoint)
	check(dial(job, netip.MustParseAddrPort(endpoint+":443"), testPatience)) // there is room for one
	must(l.Flows())
	ended := make(chan error, 1)
	go func() { ended <- l.Canary("eni-1") }()
	ports := map[uint16]bool{}
	for len(ports) < 2 {
		for _, f := range must(l.Flows()).Flows {
			if f.Egress && f.Accept && f.Port == 443 {
				ports[f.SourcePort] = true
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("Canary tried %d connections and ended with %v", len(ports), err)
		case <-time.After(canaryPause):
		}
	}
	go answer(s)
	if err := <-ended; err != nil {
		t.Errorf("Canary = %v", err)
	}
}

// fullListener listens on port 443 with room for one connection that nobody accepts.
func fullListener(t *testing.T, ns *namespace, address string) net.Listener {
	t.Helper()
	var s net.Listener
	err := ns.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), "listener")
		defer shut(f)
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: addr(address).As4(), Port: 443}), unix.Listen(fd, 0)); err != nil {
			return err
		}
		s, err = net.FileListener(f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(s) })
	return s
}

// refusal wants a refusal of a datagram on record, not taken by an earlier reading.
func (l *lab) refusal(id string, to netip.Addr) {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	check(l.count())
	for k := range l.flows.before[setRefused] {
		if k.dev() == l.attached[id].dev && k.dest() == to {
			return
		}
	}
	l.Errorf("%s: no refusal of a packet to %v on record", id, to)
}

func TestAttachRefuses(t *testing.T) {
	l := newLab(t, exampleVPC(Group{ID: "g"}), Options{})
	l.job("eni-1", "10.20.1.11", "g")
	for name, i := range map[string]Interface{
		"unknown subnet":     {ID: "eni-2", Subnet: "subnet-x", Addr: addr("10.20.1.12"), Groups: []string{"g"}},
		"unknown group":      {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.12"), Groups: []string{"g", "x"}},
		"no group":           {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.12")},
		"a group twice":      {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.12"), Groups: []string{"g", "g"}},
		"address of another": {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.11"), Groups: []string{"g"}},
		"the router's":       {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.1"), Groups: []string{"g"}},
		"outside its subnet": {ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.2.12"), Groups: []string{"g"}},
		"id in use":          {ID: "eni-1", Subnet: "subnet-a", Addr: addr("10.20.1.12"), Groups: []string{"g"}},
		"no id":              {Subnet: "subnet-a", Addr: addr("10.20.1.12"), Groups: []string{"g"}},
	} {
		if f, err := l.Attach(i); err == nil {
			shut(f)
			t.Errorf("%s: no error", name)
		}
	}
	if got := len(must(l.links.LinkList())); got != 2 {
		t.Errorf("%d devices after refused attaches, want lo and one", got)
	}
	check(l.Check())
}

// TestAttachUndoes makes the link fail, after the filter was written.
func TestAttachUndoes(t *testing.T) {
	l := newLab(t, exampleVPC(Group{ID: "g"}), Options{})
	check(l.ns.do(func() error { return addVeth("eni1", "other") })) // the name that the interface will want
	i := Interface{ID: "eni-1", Subnet: "subnet-a", Addr: addr("10.20.1.11"), Groups: []string{"g"}}
	if _, err := l.Attach(i); err == nil {
		t.Fatal("Attach succeeded over a device of the same name")
	}
	l.job("eni-1", "10.20.1.11", "g") // all is free again
	if err := l.Check(); err != nil {
		t.Error(err)
	}
}

func TestDetach(t *testing.T) {
	g := Group{ID: "g", Egress: rules(everything().group("g")), Ingress: rules(everything().group("g"))}
	l := newLab(t, exampleVPC(g), Options{})
	a, b := l.job("eni-1", "10.20.1.11", "g"), l.job("eni-2", "10.20.1.12", "g")
	l.serve(b, "tcp", ":7000")
	kept, err := l.dial(a, "tcp", "10.20.1.12:7000", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(kept)
	r, err := l.Detach("eni-2")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Flows) != 2 {
		t.Errorf("Detach returned %+v, want a flow each way", r.Flows)
	}
	for _, f := range r.Flows {
		if f.Interface != "eni-2" || !f.Accept || f.Packets == 0 {
			t.Errorf("Detach returned %+v, want accepted packets of eni-2", f)
		}
	}
	if rest := must(l.Flows()).Flows; len(rest) != 2 || rest[0].Interface != "eni-1" {
		t.Errorf("Flows after Detach = %+v, want what eni-1 saw of it", rest)
	}
	for range 2 { // idempotent
		if r, err := l.Detach("eni-2"); err != nil || len(r.Flows) > 0 {
			t.Errorf("Detach again = %+v, %v", r, err)
		}
	}
	// The address in other hands: the old connection is not theirs.
	l.job("eni-3", "10.20.1.12", "g")
	if err := echo(kept); err == nil {
		t.Error("a connection goes on with the next owner of the address")
	}
	if !l.wasRefused(localAddr(kept), at("10.20.1.12:7000"), 6) {
		t.Error("its packets are not on record as refused")
	}
	for _, id := range []string{"eni-1", "eni-3"} {
		must(l.Detach(id))
	}
	if got := l.sizes(); got != "eni_fresh 0, eni_egress 0, eni_ingress 0, eni_source 0, endpoint_routes 0, m_g 0, chains 11, connections 0" {
		t.Errorf("after the last Detach: %s", got)
	}
}

// sizes says how much is left of interfaces.
func (l *lab) sizes() string { return l.sizesOf("g") }

func (l *lab) sizesOf(group string) (s string) {
	all := append([]*nftSet{l.sets.fresh, l.sets.egress, l.sets.ingress, l.sets.sources, l.sets.routes}, l.groups[group].members)
	for _, set := range all {
		s += fmt.Sprintf("%s %d, ", set.Name, len(must(l.filter.GetSetElements(set))))
	}
	chains := must(l.filter.ListChains())
	return s + fmt.Sprintf("chains %d, connections %d", len(chains), len(must(l.links.ConntrackTableList(1, 2))))
}

func TestTampering(t *testing.T) {
	l := newLab(t, exampleVPC(Group{ID: "g"}), Options{})
	check(l.Check())
	other := must(openFilter(l.ns))
	defer shutFilter(other)
	other.FlushRuleset()
	check(other.Flush())
	if err := l.Check(); !errors.Is(err, ErrTampered) {
		t.Errorf("Check = %v, want ErrTampered", err)
	}
	if err := l.Apply(l.want); !errors.Is(err, ErrTampered) {
		t.Errorf("Apply = %v, want ErrTampered", err)
	}
	if _, err := l.Attach(Interface{ID: "eni-1", Subnet: "subnet-a", Addr: addr("10.20.1.11"), Groups: []string{"g"}}); !errors.Is(err, ErrTampered) {
		t.Errorf("Attach = %v, want ErrTampered", err)
	}
}

// TestDetachAfterTampering wants the interface gone all the same.
func TestDetachAfterTampering(t *testing.T) {
	l := newLab(t, exampleVPC(Group{ID: "g"}), Options{})
	l.job("eni-1", "10.20.1.11", "g")
	other := must(openFilter(l.ns))
	defer shutFilter(other)
	other.FlushRuleset()
	check(other.Flush())
	if _, err := l.Detach("eni-1"); !errors.Is(err, ErrTampered) {
		t.Errorf("Detach = %v, want ErrTampered", err)
	}
	if _, err := l.Detach("eni-1"); err != nil {
		t.Errorf("Detach again = %v", err)
	}
	if got := len(must(l.links.LinkList())); got != 1 {
		t.Errorf("%d devices left, want lo", got)
	}
}

func TestClosed(t *testing.T) {
	need(t)
	n := must(Open(exampleVPC(Group{ID: "g"}), Options{}))
	job := must(n.Attach(Interface{ID: "eni-1", Subnet: "subnet-a", Addr: addr("10.20.1.11"), Groups: []string{"g"}}))
	defer shut(job)
	held := must(n.Listen("tcp", at(endpoint+":443"))) // keeps the VPC's namespace
	defer shut(held)
	check(n.Close())
	check(n.Close())
	h := must(openLinks(&namespace{job}))
	defer h.Close()
	if links := must(h.LinkList()); len(links) != 1 {
		t.Errorf("%d devices in the job's namespace after Close, want lo only", len(links))
	}
	_, flows := n.Flows()
	_, attach := n.Attach(Interface{ID: "eni-2", Subnet: "subnet-a", Addr: addr("10.20.1.12"), Groups: []string{"g"}})
	_, listen := n.Listen("tcp", at(endpoint+":443"))
	for what, err := range map[string]error{
		"Flows": flows, "Attach": attach, "Listen": listen, "Check": n.Check(), "Apply": n.Apply(exampleVPC()), "Canary": n.Canary("eni-1"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close = %v, want ErrClosed", what, err)
		}
	}
}
