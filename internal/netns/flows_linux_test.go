package netns

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFlowBytes wants the bytes of a transfer, exact up to what headers are.
func TestFlowBytes(t *testing.T) {
	g := Group{ID: "g", Egress: rules(tcp(7000, 7000).group("g")), Ingress: rules(tcp(7000, 7000).group("g"))}
	l := newLab(t, exampleVPC(g), Options{})
	a, b := l.job("eni-1", "10.20.1.11", "g"), l.job("eni-2", "10.20.2.12", "g")
	l.serve(b, "tcp", ":7000")
	start := time.Now()
	c, err := l.dial(a, "tcp", "10.20.2.12:7000", testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(c)
	const (
		payload = 10_000_000
		header  = 20 + 32 // IPv4, TCP with time stamps
	)
	if _, err := c.Write(make([]byte, payload)); err != nil {
		t.Fatal(err)
	}
	settle(t, c)
	r := must(l.Flows())
	port := localAddr(c).Port()
	seen := 0
	for _, f := range r.Flows {
		if f.SourcePort != port || !f.Accept {
			continue
		}
		seen++
		// Segments that were lost and sent again are in the counters too; each SYN has 8 bytes more of options.
		if got := int(f.Bytes) - int(f.Packets)*header - 8; got < sentBytes(t, c) || got > sentBytes(t, c)+5*8 || got < payload {
			t.Errorf("%s: %d bytes in %d packets, %d without headers, want %d", f.Interface, f.Bytes, f.Packets, got, sentBytes(t, c))
		}
		if f.First.After(f.Last) || f.Last.After(r.To) || f.First.Before(r.From) || f.Last.Before(start) {
			t.Errorf("flow from %v to %v, in a reading from %v to %v", f.First, f.Last, r.From, r.To)
		}
	}
	if seen != 2 || len(r.Flows) != 4 {
		t.Errorf("%d flows, %d of the transfer, want 4 and 2: each way at each end", len(r.Flows), seen)
	}

	again := must(l.Flows())
	again.Flows = slices.DeleteFunc(again.Flows, func(f Flow) bool { // the peer may acknowledge late
		return f.Port == port && int(f.Bytes) == int(f.Packets)*header
	})
	if len(again.Flows) != 0 || again.From != r.To {
		t.Errorf("an idle reading from %v has %+v, want nothing since %v", again.From, again.Flows, r.To)
	}
	before := sentBytes(t, c)
	if _, err := c.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	settle(t, c)
	f := l.flow("eni-2", func(f Flow) bool { return f.SourcePort == port })
	if got, want := int(f.Bytes)-int(f.Packets)*header, sentBytes(t, c)-before; got != want {
		t.Errorf("%d bytes since the last reading, want %d", got, want)
	}
}

// TestFlowVerdicts wants the records of isolation at each end, as AWS writes them.
func TestFlowVerdicts(t *testing.T) {
	l := newLab(t, exampleVPC(
		Group{ID: "a", Egress: rules(udp(1, 100).cidr("10.20.0.0/16"))}, Group{ID: "b", Ingress: rules(udp(50, 100).cidr("10.20.0.0/16"))},
	), Options{})
	a := l.job("eni-1", "10.20.1.11", "a")
	l.quiet("eni-1")
	l.job("eni-2", "10.20.2.12", "b")
	l.quiet("eni-2")
	check(mark(a, "10.20.2.12:60"))
	check(mark(a, "10.20.2.12:40"))
	check(mark(a, "10.20.2.12:200"))
	got := map[string]bool{}
	for deadline := time.Now().Add(testPatience); len(got) < 5 && time.Now().Before(deadline); {
		for _, f := range must(l.Flows()).Flows {
			got[fmt.Sprintf("%s port %d egress %t accept %t", f.Interface, f.Port, f.Egress, f.Accept)] = true
		}
	}
	for _, want := range []string{
		"eni-1 port 60 egress true accept true", "eni-2 port 60 egress false accept true",
		"eni-1 port 40 egress true accept true", "eni-2 port 40 egress false accept false",
		"eni-1 port 200 egress true accept false",
	} {
		if !got[want] {
			t.Errorf("no flow %s in %v", want, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("flows %v, want 5", got)
	}
}

// mark sends a marked datagram, which a quiet job may.
func mark(ns *namespace, to string) error {
	return ns.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer shutFD(fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1); err != nil {
			return err
		}
		return unix.Sendto(fd, []byte("?"), 0, &unix.SockaddrInet4{Addr: at(to).Addr().As4(), Port: int(at(to).Port())})
	})
}

// settle waits until the other end has everything.
func settle(tb testing.TB, c net.Conn) {
	tb.Helper()
	for deadline := time.Now().Add(testPatience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if i := tcpInfo(c); i.Unacked == 0 && i.Notsent_bytes == 0 {
			return
		}
	}
	tb.Fatal("the other end does not acknowledge")
}

// sentBytes are the bytes that were sent, with those sent again.
func sentBytes(tb testing.TB, c net.Conn) int {
	tb.Helper()
	return int(tcpInfo(c).Bytes_sent)
}

// fullCheck fills the set of accepted flows and wants new flows refused, and an established one to go on.
func fullCheck(tb testing.TB, s seam) error {
	tb.Helper()
	s.unlimited = true
	size := int(s.flowSize)
	if size == 0 {
		size = flowSize
	}
	g := Group{ID: "g", Egress: rules(everything().group("g")), Ingress: rules(everything().group("g"))}
	l := newLab(tb, exampleVPC(g), Options{seam: s})
	a, b := l.job("eni-1", "10.20.1.11", "g"), l.job("eni-2", "10.20.1.12", "g")
	l.serve(b, "tcp", ":7000")
	c, err := l.dial(a, "tcp", "10.20.1.12:7000", testPatience)
	if err != nil {
		return err
	}
	defer shut(c)
	var sink net.PacketConn
	check(b.do(func() (err error) { sink, err = net.ListenPacket("udp4", "10.20.1.12:7001"); return err }))
	defer shut(sink)
	if _, err := udpFrom(a, "10.20.1.11", "10.20.1.12:7001"); err != nil {
		return err
	}
	_ = sink.SetReadDeadline(time.Now().Add(testPatience))
	if _, _, err := sink.ReadFrom(make([]byte, 9)); err != nil {
		return fmt.Errorf("before the set is full: %w", err)
	}
	l.quiet("eni-2") // no ICMP for each
	// The kernel may be behind, or drop some of a burst: wait for what must come.
	full := func(than uint64) bool {
		for deadline := time.Now().Add(testPatience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if r := must(l.Flows()); r.Full && l.flows.unrecorded > than {
				return true
			}
			if s.mutation != unchanged {
				return false
			}
		}
		return false
	}
	// While it grows, the kernel's table turns some away: more than its size is needed.
	elements := func() int {
		r := must(openReader(l.ns))
		defer r.close()
		return len(must(r.dump(l.table.Name, flowAccepted)))
	}
	fill(a, size+200)
	for deadline := time.Now().Add(testPatience); time.Now().Before(deadline); {
		have := elements()
		if have >= size {
			break
		}
		fill(a, size-have+200)
	}
	var errs []error
	if !full(0) {
		errs = append(errs, errors.New("the reading is not Full"))
	}
	must(l.Flows())
	unrecorded := l.flows.unrecorded
	if _, err := udpFrom(a, "10.20.1.11", "10.20.1.12:7001"); err != nil {
		return err
	}
	if !full(unrecorded) {
		errs = append(errs, errors.New("the refusal of a new flow was not noticed"))
	}
	_ = sink.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if k, _, err := sink.ReadFrom(make([]byte, 9)); err == nil {
		errs = append(errs, fmt.Errorf("a new flow of %d bytes passed, unrecorded", k))
	}
	if s.mutation == unchanged {
		unquiet(b)
		if err := echo(c); err != nil {
			errs = append(errs, fmt.Errorf("an established flow does not go on: %w", err))
		}
	}
	return errors.Join(errs...)
}

// fill sends a datagram to each of so many ports.
func fill(ns *namespace, flows int) {
	check(ns.do(func() error {
		for flows > 0 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			for p := 10000; p < 60000 && flows > 0; p, flows = p+1, flows-1 {
				if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: addr("10.20.1.12").As4(), Port: p}); err != nil {
					return err
				}
			}
			shutFD(fd)
		}
		return nil
	}))
}

func TestFullSet(t *testing.T) {
	if err := fullCheck(t, seam{}); err != nil {
		t.Error(err)
	}
}

// recordCheck wants a connection that passed to be on record at both ends.
func recordCheck(tb testing.TB, s seam) error {
	tb.Helper()
	l := newLab(tb, exampleVPC(openGroup()), Options{seam: s})
	a, b := l.job("eni-1", "10.20.1.11", "open"), l.job("eni-2", "10.20.1.12", "open")
	l.serve(b, "tcp", ":7000")
	c, err := l.dial(a, "tcp", "10.20.1.12:7000", testPatience)
	if err != nil {
		return err
	}
	defer shut(c)
	_, one := l.flowWithin(time.Second, "eni-1", func(f Flow) bool { return f.Accept && f.Egress && f.Port == 7000 })
	return one
}

// TestMutations takes one part of the filter away and wants the test that guards it to turn red.
func TestMutations(t *testing.T) {
	for _, m := range []struct {
		name     string
		mutation mutation
		check    func(testing.TB, seam) error
	}{
		{"the source check", noAntispoof, spoofCheck},
		{"egress rules", noEgress, modelSees},
		{"ingress rules", noIngress, modelSees},
		{"counting what passes", uncounted, recordCheck},
		{"counting by the accepting rule", countedNoMatch, fullCheck},
	} {
		t.Run(m.name, func(t *testing.T) {
			s := seam{flowSize: 256}
			if m.mutation == noEgress || m.mutation == noIngress {
				s.flowSize = 0
			}
			if err := m.check(t, s); err != nil {
				t.Fatalf("red with nothing taken away: %v", err)
			}
			s.mutation = m.mutation
			err := m.check(t, s)
			if err == nil {
				t.Fatal("green without it")
			}
			t.Logf("red without it, as it must: %v", err)
		})
	}
}

// TestLimits wants one interface's share bounded: new connections a second, and all together.
func TestLimits(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{})
	a := l.job("eni-1", "10.20.1.11", "open")
	b := l.job("eni-2", "10.20.1.12", "open")
	l.quiet("eni-2")
	start := time.Now()
	fill(a, 3000)
	took := time.Since(start)
	accepted, refused := 0, 0
	for _, f := range must(l.Flows()).Flows {
		if f.Interface == "eni-1" && f.Accept {
			accepted++
		} else if f.Interface == "eni-1" {
			refused++
		}
	}
	most := newBurst + int(newPerSecond*(took.Seconds()+1))
	if accepted < newBurst || accepted > most || accepted+refused != 3000 {
		t.Errorf("%d new flows accepted, %d refused on record, of 3000 in %v: want %d to %d", accepted, refused, took, newBurst, most)
	}
	// One-way traffic of a flow that was accepted is not new for ever.
	unquiet(b)
	var sink net.PacketConn
	check(b.do(func() (err error) { sink, err = net.ListenPacket("udp4", ":7001"); return err }))
	defer shut(sink)
	time.Sleep(100 * time.Millisecond) // room for some new flows
	var c net.Conn
	check(a.do(func() (err error) { c, err = net.Dial("udp4", "10.20.1.12:7001"); return err }))
	defer shut(c)
	for i := range 2000 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = sink.SetReadDeadline(time.Now().Add(testPatience))
		if _, _, err := sink.ReadFrom(make([]byte, 9)); err != nil {
			t.Fatalf("datagram %d of one flow: %v", i, err)
		}
	}
}

// TestConnectionLimit wants no more connections at once than an interface's share.
func TestConnectionLimit(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{seam: seam{connections: 50}})
	a := l.job("eni-1", "10.20.1.11", "open")
	l.job("eni-2", "10.20.1.12", "open")
	l.quiet("eni-2")
	fill(a, 200)
	accepted := 0
	for _, f := range must(l.Flows()).Flows {
		if f.Interface == "eni-1" && f.Accept {
			accepted++
		}
	}
	if accepted != 50 {
		t.Errorf("%d connections at once, want 50", accepted)
	}
	check(l.Cut("eni-1"))
	fill(a, 10)
	if f := l.flow("eni-1", func(f Flow) bool { return f.Accept }); f.Packets != 1 {
		t.Errorf("after the others have ended: %+v", f)
	}
}

// TestPrune takes flows out of the kernel's sets and wants what comes then to be counted from there.
func TestPrune(t *testing.T) {
	l := newLab(t, exampleVPC(openGroup()), Options{})
	a := l.job("eni-1", "10.20.1.11", "open")
	l.job("eni-2", "10.20.1.12", "open")
	l.quiet("eni-2")
	var c net.Conn
	check(a.do(func() (err error) { c, err = net.Dial("udp4", "10.20.1.12:7001"); return err }))
	defer shut(c)
	send := func(n int) uint64 {
		for range n {
			must(c.Write([]byte("x")))
		}
		return l.flow("eni-1", func(f Flow) bool { return f.Port == 7001 }).Packets
	}
	if got := send(5); got != 5 {
		t.Errorf("%d packets, want 5", got)
	}
	l.mu.Lock()
	check(l.prune(func(*flowKey, counted) bool { return true }))
	left := len(must(l.filter.GetSetElements(l.sets.accepted)))
	l.mu.Unlock()
	if left != 0 {
		t.Errorf("%d flows left, want none", left)
	}
	if got := send(3); got != 3 {
		t.Errorf("%d packets, want 3", got)
	}
	check(l.Check())
}

// TestCarry wants a flow that a dump has missed not to be counted again.
func TestCarry(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	key := newFlowKey("eni1", at("10.20.1.11:1000"), at("10.20.1.12:443"), 6)
	acc := accounts{read: start, pending: map[flowID]*Flow{}}
	acc.before[setAccepted] = map[flowKey]counted{key: {packets: 7, bytes: 700, expires: flowTimeout}}
	after := map[flowKey]counted{}
	acc.carry(setAccepted, after, start.Add(10*time.Second))
	acc.before[setAccepted], acc.read = after, start.Add(10*time.Second)
	a := accountant{accounts: &acc, now: start.Add(20 * time.Second), devices: map[string]string{"eni1": "eni-1"}}
	a.add(setAccepted, element{key: key, packets: 9, bytes: 900, expires: flowTimeout})
	if len(acc.pending) != 1 {
		t.Fatalf("%d flows, want 1", len(acc.pending))
	}
	for _, f := range acc.pending {
		if f.Packets != 2 || f.Bytes != 200 {
			t.Errorf("%d packets, %d bytes, want 2 and 200", f.Packets, f.Bytes)
		}
	}
	gone := map[flowKey]counted{}
	acc.carry(setAccepted, gone, acc.read.Add(flowTimeout))
	if len(gone) != 0 {
		t.Errorf("an expired flow is carried on")
	}
}
