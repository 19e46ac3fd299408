package netd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/sandbox"
)

// example is a VPC with an endpoint, and an interface in it that may reach it.
func example() (netns.VPC, netns.Interface) {
	list := netns.PrefixList{ID: "pl-s3", Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/28")}}
	return netns.VPC{
			ID: "vpc-1", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
			Subnets:  []netns.Subnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.20.1.0/24"), Endpoint: true}},
			Groups:   []netns.Group{{ID: "sg-1", Egress: []netns.Rule{{Protocol: syscall.IPPROTO_TCP, From: 443, To: 443, List: list.ID}}}},
			Lists:    []netns.PrefixList{list},
			Endpoint: netip.MustParseAddr("198.18.0.2"), Names: []string{"s3.us-east-1.amazonaws.com"},
		},
		netns.Interface{ID: "eni-1", Subnet: "subnet-1", Addr: netip.MustParseAddr("10.20.1.11"), Groups: []string{"sg-1"}}
}

// TestCanary: an interface that does not hold, or is of no use, is refused, with the reason, and nothing of it is left.
func TestCanary(t *testing.T) {
	c := helper(t)
	listeners := make(chan net.Listener, 1)
	c.ServeEndpoints(func(_ string, l net.Listener) { listeners <- l })
	v, i := example()
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(t.Context(), v.ID, i); err != nil {
		t.Errorf("a good network: %v", err)
	}
	if _, err := c.Detach(t.Context(), v.ID, i.ID); err != nil {
		t.Fatal(err)
	}
	refused := func(what, code string) {
		t.Helper()
		err := c.Attach(t.Context(), v.ID, i)
		if e, ok := errors.AsType[*netd.Error](err); !ok || e.Code != code {
			t.Errorf("%s: %v, want the code %s", what, err, code)
		}
		reading, err := c.Flows(t.Context(), v.ID)
		if err != nil {
			t.Error(err)
		}
		for _, f := range reading.Flows {
			t.Errorf("%s: %+v is left", what, f)
		}
	}
	if err := (<-listeners).Close(); err != nil {
		t.Fatal(err)
	}
	refused("an endpoint that does not listen", netd.CodeEndpointDown)
	v.Groups[0].Egress = nil
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	refused("no rule for the endpoint", netd.CodeEgressBlocked)
	v.Subnets[0].Endpoint = false
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	refused("no route to the endpoint", netd.CodeNoEndpointRoute)
}

// TestNetworkOfKilledHelper: with the helper its networks end, so that there is nothing left to take away.
func TestNetworkOfKilledHelper(t *testing.T) {
	c := helper(t)
	listeners := make(chan net.Listener, 1)
	c.ServeEndpoints(func(_ string, l net.Listener) { listeners <- l })
	v, i := example()
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(t.Context(), v.ID, i); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(helperOf(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Gone():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody says that the helper has ended")
	}
	ended := make(chan error, 1)
	go func() {
		l := <-listeners
		for { // the canary has connected
			if _, err := l.Accept(); err != nil {
				ended <- err
				return
			}
		}
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept gave %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the endpoint's listener keeps the namespace of the VPC")
	}
	if _, err := c.Flows(t.Context(), v.ID); err == nil {
		t.Error("flows were read that nobody counts")
	}
	for range 2 {
		if reading, err := c.Detach(t.Context(), v.ID, i.ID); err != nil || !reading.To.IsZero() {
			t.Errorf("Detach gave %v, %v", reading, err)
		}
		if err := c.Drop(t.Context(), v.ID); err != nil {
			t.Errorf("Drop gave %v", err)
		}
	}
}

// TestHelperStaysOutside: the helper's threads that enter a job's network end; none may keep it.
func TestHelperStaysOutside(t *testing.T) {
	c := helper(t)
	v, i := example()
	c.ServeEndpoints(func(string, net.Listener) {})
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := c.Attach(t.Context(), v.ID, i); err != nil {
		t.Fatal(err)
	}
	// A first thread that has entered the network stays there. It is one of many: it takes some tries until it is its turn.
	for n := range 40 {
		box, err := c.Create(t.Context(), executor.Spec{ID: fmt.Sprintf("outside-%d", n), Network: i.ID, Limits: limits()})
		if err != nil {
			t.Fatal(err)
		}
		if err := box.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		inside := threadsElsewhere(t, helperOf(t))
		if len(inside) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("threads of the helper are in other networks than its reaper: %v", inside)
		}
	}
}

// threadsElsewhere are the threads of a helper that are not in the network which it was started in, and its reaper with it.
func threadsElsewhere(t *testing.T, pid int) (inside []string) {
	t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", child(t, pid, "cloister\x00netd-reaper\x00")))
	if err != nil {
		t.Fatal(err)
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/ns/net", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, path := range threads {
		if at, err := os.Readlink(path); err == nil && at != own {
			inside = append(inside, path+" "+at)
		}
	}
	return inside
}

// TestLargeVPC: a VPC whose description does not fit into a packet of the socket is a VPC like others.
func TestLargeVPC(t *testing.T) {
	c := helper(t)
	v := netns.VPC{ID: "vpc-large", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, Subnets: []netns.Subnet{{ID: "subnet-1", CIDR: netip.MustParsePrefix("10.9.1.0/24")}}}
	for g := range 40 {
		group := netns.Group{ID: fmt.Sprintf("sg-%d", g)}
		for p := range 55 {
			group.Ingress = append(group.Ingress, netns.Rule{Protocol: 6, From: 1000 + 2*p, To: 1000 + 2*p, CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(g), byte(p)}), 32)})
		}
		v.Groups = append(v.Groups, group)
	}
	if text, err := json.Marshal(v); err != nil || len(text) < sandbox.MaxPacket {
		t.Fatalf("the description has %d bytes, %v", len(text), err)
	}
	if err := c.Apply(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := c.Drop(t.Context(), v.ID); err != nil {
		t.Error(err)
	}
}
