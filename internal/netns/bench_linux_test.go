package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The figures are ratios of medians of interleaved pairs, or CPU time: machines are shared. Each also prints the spread of
// the baseline against itself: what is within it is no difference. Run with -benchtime=1x.

// pairs is how often a figure and its baseline are measured in turn.
const pairs = 5

// median of values, which it sorts.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// compare measures in turn and reports figure / baseline, and the largest ratio within the baseline.
func compare(b *testing.B, unit string, baseline, figure func() float64) {
	b.Helper()
	var base, got []float64
	for range pairs {
		base = append(base, baseline())
		got = append(got, figure())
	}
	b.ReportMetric(median(got)/median(base), unit)
	b.ReportMetric(base[0]/base[len(base)-1], "baseline/baseline")
	b.Logf("%s: baseline %.3g (%.3g to %.3g), figure %.3g (%.3g to %.3g)", unit, median(base), base[0], base[len(base)-1], median(got), got[0], got[len(got)-1])
}

// reportTimes reports percentiles.
func reportTimes(b *testing.B, name string, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	ms := func(q float64) float64 { return float64(times[int(q*float64(len(times)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), name+"-p50-ms")
	b.ReportMetric(ms(0.99), name+"-p99-ms")
}

// busyVPC has a group of a size that people have, the endpoint with a listener, and room for interfaces.
func busyVPC(b *testing.B) *lab {
	b.Helper()
	v := exampleVPC(Group{ID: "g", Egress: append(manyRules(60), tcp(443, 443).list("pl-s3")), Ingress: manyRules(60)})
	v.Subnets = []Subnet{{ID: "subnet-a", CIDR: prefix("10.20.0.0/20"), Endpoint: true}}
	l := newLab(b, v, Options{})
	l.serve(l.ns, "tcp", endpoint+":443")
	return l
}

// manyRules are rules of which the last matches what the benchmarks send.
func manyRules(n int) []Rule {
	var all []Rule
	for i := range n - 1 {
		r := tcp(10000+i, 10000+i)
		r.CIDR = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 30, byte(i >> 8), byte(i)}), 32)
		all = append(all, r)
	}
	return append(all, tcp(29500, 29600).cidr(vpcRange))
}

func benchInterface(i int) Interface {
	return Interface{
		ID: fmt.Sprintf("eni-%05d", i), Subnet: "subnet-a", Addr: netip.AddrFrom4([4]byte{10, 20, byte(i >> 8), byte(i)}), Groups: []string{"g"},
	}
}

// attachOne attaches and runs the canary.
func attachOne(l *lab, i Interface) error {
	f, err := l.Attach(i)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), l.Canary(i.ID))
}

// BenchmarkAttach attaches with the canary, and detaches, where 100 others are attached. Bounds: attach p50 < 15 ms, p99 <
// 100 ms; detach p99 < 200 ms.
func BenchmarkAttach(b *testing.B) {
	l := busyVPC(b)
	for i := range 100 {
		check(attachOne(l, benchInterface(10+i)))
	}
	var attach, detach []time.Duration
	for b.Loop() {
		for k := range 200 {
			i := benchInterface(1000 + k)
			start := time.Now()
			check(attachOne(l, i))
			attach = append(attach, time.Since(start))
			start = time.Now()
			must(l.Detach(i.ID))
			detach = append(detach, time.Since(start))
		}
	}
	reportTimes(b, "attach", attach)
	reportTimes(b, "detach", detach)
}

// BenchmarkHundredAtOnce attaches 100 at once, with canaries. Bound: 5 s.
func BenchmarkHundredAtOnce(b *testing.B) {
	l := busyVPC(b)
	for b.Loop() {
		start := time.Now()
		all(100, func(k int) error { return attachOne(l, benchInterface(10+k)) })
		b.ReportMetric(time.Since(start).Seconds(), "attach-100-s")
		start = time.Now()
		all(100, func(k int) error { _, err := l.Detach(benchInterface(10 + k).ID); return err })
		b.ReportMetric(time.Since(start).Seconds(), "detach-100-s")
	}
}

func all(n int, f func(int) error) {
	var w sync.WaitGroup
	for k := range n {
		w.Go(func() { check(f(k)) })
	}
	w.Wait()
}

// BenchmarkThroughput is TCP between two jobs against the loopback of an empty namespace. Bound: 0.6.
func BenchmarkThroughput(b *testing.B) {
	need(b)
	l := twoJobs(b, 1, seam{})
	empty := must(newNamespace())
	defer func() { _ = empty.close() }()
	h := must(openLinks(empty))
	defer h.Close()
	check(h.LinkSetUp(must(h.LinkByName("lo"))))
	for b.Loop() {
		compare(b, "vpc/loopback",
			func() float64 { return throughput(empty, empty, "127.0.0.1:29500") },
			func() float64 { return throughput(l.jobs["eni-1"], l.jobs["eni-2"], "10.20.2.12:29500") })
	}
}

// BenchmarkRules is 1,000 rules, of which the last matches, against one: in throughput, and in connections a second.
// Bound: 0.85.
func BenchmarkRules(b *testing.B) {
	one, many := twoJobs(b, 1, seam{unlimited: true}), twoJobs(b, 1000, seam{unlimited: true})
	for _, m := range []struct {
		name string
		run  func(from, to *namespace, at string) float64
	}{{"throughput", throughput}, {"connections", connections}} {
		b.Run(m.name, func(b *testing.B) {
			for b.Loop() {
				compare(b, "1000-rules/1",
					func() float64 { return m.run(one.jobs["eni-1"], one.jobs["eni-2"], "10.20.2.12:29500") },
					func() float64 { return m.run(many.jobs["eni-1"], many.jobs["eni-2"], "10.20.2.12:29500") })
			}
		})
	}
}

// BenchmarkFlowCounting is the CPU time of a 64-byte UDP packet with counting, minus without. Bound: 1 µs.
func BenchmarkFlowCounting(b *testing.B) {
	with, without := twoJobs(b, 1, seam{unlimited: true}), twoJobs(b, 1, seam{unlimited: true, mutation: uncounted})
	for b.Loop() {
		var base, got []float64
		for range pairs {
			base = append(base, packetCPU(without))
			got = append(got, packetCPU(with))
		}
		b.ReportMetric(median(got)-median(base), "counting-ns/packet")
		b.ReportMetric(median(base), "uncounted-ns/packet")
		b.ReportMetric(base[len(base)-1]-base[0], "baseline-spread-ns/packet")
	}
}

// twoJobs are two interfaces whose groups have so many rules.
func twoJobs(b *testing.B, n int, s seam) *lab {
	b.Helper()
	g := Group{ID: "g", Egress: append(manyRules(n), udp(9999, 9999).cidr(vpcRange)), Ingress: append(manyRules(n), udp(9999, 9999).cidr(vpcRange))}
	l := newLab(b, exampleVPC(g), Options{seam: s})
	l.job("eni-1", "10.20.1.11", "g")
	l.job("eni-2", "10.20.2.12", "g")
	return l
}

// throughput is bytes a second over one connection for a second.
func throughput(from, to *namespace, at string) float64 {
	var s net.Listener
	check(to.do(func() (err error) { s, err = net.Listen("tcp4", at); return err }))
	defer shut(s)
	received := make(chan int64, 1)
	go func() {
		c := must(s.Accept())
		defer shut(c)
		received <- must(io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10)))
	}()
	var c net.Conn
	check(from.do(func() (err error) { c, err = net.DialTimeout("tcp4", at, testPatience); return err }))
	b := make([]byte, 256<<10)
	start := time.Now()
	for time.Since(start) < time.Second {
		must(c.Write(b))
	}
	shut(c)
	return float64(<-received) / time.Since(start).Seconds()
}

// connections is how many connections are made one after another in a second.
func connections(from, to *namespace, at string) float64 {
	var s net.Listener
	check(to.do(func() (err error) { s, err = net.Listen("tcp4", at); return err }))
	defer shut(s)
	go answer(s)
	made := 0
	start := time.Now()
	check(from.do(func() error {
		for time.Since(start) < time.Second {
			c, err := net.DialTimeout("tcp4", at, testPatience)
			if err != nil {
				return err
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			shut(c)
			made++
		}
		return nil
	}))
	return float64(made) / time.Since(start).Seconds()
}

// packetCPU is this process's CPU time for a packet in ns: sent, forwarded and received.
func packetCPU(l *lab) float64 {
	const packets = 200_000
	var sink net.PacketConn
	check(l.jobs["eni-2"].do(func() (err error) { sink, err = net.ListenPacket("udp4", "10.20.2.12:9999"); return err }))
	defer shut(sink)
	_ = sink.(*net.UDPConn).SetReadBuffer(8 << 20)
	go func() {
		b := make([]byte, 2048)
		for {
			if _, _, err := sink.ReadFrom(b); err != nil {
				return
			}
		}
	}()
	var c net.Conn
	check(l.jobs["eni-1"].do(func() (err error) { c, err = net.Dial("udp4", "10.20.2.12:9999"); return err }))
	defer shut(c)
	b := make([]byte, 64)
	before := cpuTime()
	for range packets {
		must(c.Write(b))
	}
	return float64(cpuTime()-before) / packets
}

func cpuTime() int64 {
	var r unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &r))
	return r.Utime.Nano() + r.Stime.Nano()
}
