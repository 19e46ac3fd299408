package flowlog_test

import (
	"net/netip"
	"testing"
	"time"

	"example.com/cloister/internal/flowlog"
)

const eni = "eni-0123456789abcdef0"

// at is a second of the tests' day; every tenth minute of it begins an interval.
func at(seconds float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func ip(text string) netip.Addr { return netip.MustParseAddr(text) }

func iface() flowlog.Interface {
	return flowlog.Interface{ID: eni, Account: "123456789012", VPC: "vpc-1", Subnet: "subnet-1", Zone: "use1-az1", Addr: ip("10.20.1.11")}
}

// get is a job's request to the S3 endpoint, read between from and to.
func get(packets, bytes uint64) flowlog.Flow {
	return flowlog.Flow{
		Interface: eni, Source: ip("10.20.1.11"), Dest: ip("198.18.0.1"), SourcePort: 40000, Port: 443, Protocol: 6,
		Egress: true, Accept: true, Packets: packets, Bytes: bytes,
	}
}

func TestPublished(t *testing.T) {
	t.Parallel()
	const job, resolver, router, peer = "10.20.1.11", "10.20.0.2", "10.20.1.1", "10.20.1.12"
	for _, c := range []struct {
		name         string
		source, dest string
		sport, port  uint16
		protocol     uint8
		want         bool
	}{
		{"a peer", job, peer, 40000, 29500, 6, true},
		{"the internet", job, "203.0.113.10", 40000, 443, 6, true},
		{"a question to the resolver", job, resolver, 40000, 53, 17, false},
		{"its answer", resolver, job, 53, 40000, 17, false},
		{"over TCP", job, resolver, 40000, 53, 6, false},
		{"the resolver's link-local address", job, "169.254.169.253", 40000, 53, 17, false},
		{"another port of the resolver", job, resolver, 40000, 80, 6, true},
		{"DNS of somebody else", job, "203.0.113.53", 40000, 53, 17, true},
		{"metadata", job, "169.254.169.254", 40000, 80, 6, false},
		{"time", job, "169.254.169.123", 123, 123, 17, false},
		{"another link-local address", job, "169.254.1.1", 40000, 80, 6, true},
		{"the router", job, router, 0, 0, 1, false},
		{"from the router", router, job, 0, 0, 1, false},
		{"DHCP's broadcast", "0.0.0.0", "255.255.255.255", 68, 67, 17, false},
		{"DHCP's renewal", job, router, 68, 67, 17, false},
		{"two jobs on DHCP's ports", job, peer, 68, 67, 17, true},
		{"another broadcast", job, "255.255.255.255", 68, 69, 17, true},
	} {
		f := flowlog.Flow{Source: ip(c.source), Dest: ip(c.dest), SourcePort: c.sport, Port: c.port, Protocol: c.protocol}
		if got := flowlog.Published(f, ip(resolver), ip(router)); got != c.want {
			t.Errorf("%s: Published(%v) = %v, want %v", c.name, f, got, c.want)
		}
	}
}
