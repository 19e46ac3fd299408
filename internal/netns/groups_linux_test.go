package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/nftables"
)

// TestReach tries the flows that groups decide between two interfaces.
func TestReach(t *testing.T) {
	any4 := "0.0.0.0/0"
	l := newLab(t, exampleVPC(
		Group{
			ID: "train", Egress: rules(tcp(443, 443).list("pl-s3"), tcp(29500, 29600).group("train")),
			Ingress: rules(tcp(29500, 29600).group("train")),
		},
		Group{
			ID: "open", Egress: rules(everything().cidr(any4)),
			Ingress: rules(tcp(8000, 8010).cidr("10.20.2.0/24"), udp(9000, 9000).cidr("10.20.1.0/24")),
		},
		Group{ID: "more", Ingress: rules(tcp(22, 22).cidr(any4))},
	), Options{})
	a1, a2 := l.job("eni-1", "10.20.1.11", "train"), l.job("eni-2", "10.20.1.12", "train")
	b, a4 := l.job("eni-3", "10.20.2.13", "open"), l.job("eni-4", "10.20.1.14", "open", "more")
	for _, j := range l.jobs {
		for _, p := range []string{":22", ":8000", ":29500"} {
			l.serve(j, "tcp", p)
		}
		l.serve(j, "udp", ":9000")
	}
	l.serve(l.ns, "tcp", endpoint+":443")
	l.serve(l.ns, "tcp", "10.20.1.1:22")

	for _, c := range []struct {
		name        string
		from        *namespace
		network, to string
		want        bool
	}{
		{"a list allows the endpoint", a1, "tcp", endpoint + ":443", true},
		{"a subnet without the endpoint", b, "tcp", endpoint + ":443", false},
		{"a reference allows a member", a1, "tcp", "10.20.1.12:29500", true},
		{"and back", a2, "tcp", "10.20.1.11:29500", true},
		{"no rule for the port", a1, "tcp", "10.20.1.12:8000", false},
		{"a neighbour in another group", a1, "tcp", "10.20.1.14:29500", false},
		{"egress allows, ingress does not", a4, "tcp", "10.20.1.11:29500", false},
		{"a CIDR allows across subnets", b, "tcp", "10.20.1.14:8000", true},
		{"another CIDR does not", a4, "tcp", "10.20.2.13:8000", false},
		{"UDP by CIDR", a4, "udp", "10.20.2.13:9000", true},
		{"UDP by another CIDR", b, "udp", "10.20.1.14:9000", false},
		{"the second group allows", b, "tcp", "10.20.1.14:22", true},
		{"another port of the endpoint", a4, "tcp", endpoint + ":80", false},
		{"another protocol of the endpoint", a4, "udp", endpoint + ":443", false},
		{"the router itself", a4, "tcp", "10.20.1.1:22", false},
		{"the internet", a4, "tcp", "192.0.2.1:443", false},
		{"the metadata service", a4, "tcp", "169.254.169.254:80", false},
		{"an address of nobody", a4, "tcp", "10.20.1.77:22", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := l.dial(c.from, c.network, c.to, testPatience)
			if err == nil {
				shut(conn)
			}
			if (err == nil) != c.want {
				t.Errorf("%s %s: %v, want reached = %v", c.network, c.to, err, c.want)
			}
			if !c.want && !errors.Is(err, errRefused) {
				t.Errorf("%s %s: %v, want it silent and on record", c.network, c.to, err)
			}
		})
	}
}

func TestICMPAndOtherProtocols(t *testing.T) {
	l := newLab(t, exampleVPC(
		Group{ID: "out", Egress: rules(everything().cidr("0.0.0.0/0"))},
		Group{ID: "in", Ingress: rules(
			Rule{Protocol: 1, From: 8, To: 0}.cidr("10.20.1.11/32"), Rule{Protocol: 1, From: 13, To: -1}.cidr("10.20.0.0/16"),
			Rule{Protocol: 1, From: 15, To: 3}.group("out"), Rule{Protocol: 47, From: -1, To: -1}.cidr("10.20.0.0/16"))},
	), Options{})
	a := l.job("eni-1", "10.20.1.11", "out")
	l.job("eni-2", "10.20.1.12", "in")
	for _, c := range []struct {
		name     string
		protocol int
		payload  []byte
		want     bool
	}{
		{"type and code", 1, []byte{8, 0}, true},
		{"another code", 1, []byte{8, 1}, false},
		{"another type", 1, []byte{10, 0}, false},
		{"any code", 1, []byte{13, 0}, true},
		{"by reference", 1, []byte{15, 0}, false},
		{"another protocol", 47, []byte{0, 0}, true},
		{"a protocol without rule", 50, []byte{0, 0}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			must(l.Flows())
			l.raw(a, c.protocol, "10.20.1.12", c.payload)
			f := l.flow("eni-2", func(f Flow) bool { return int(f.Protocol) == c.protocol && !f.Egress })
			if f.Accept != c.want || f.SourcePort != 0 || f.Port != 0 {
				t.Errorf("protocol %d, %v: %+v, want accept = %v and no ports", c.protocol, c.payload, f, c.want)
			}
		})
	}
}

// TestApply edits a VPC under interfaces that run.
func TestApply(t *testing.T) {
	in := Group{ID: "in", Ingress: rules(tcp(7000, 7001).group("out"))}
	v := exampleVPC(Group{ID: "out", Egress: rules(tcp(7000, 7001).cidr("10.20.0.0/16"))}, in, Group{ID: "late"})
	l := newLab(t, v, Options{})
	a, b := l.job("eni-1", "10.20.1.11", "out"), l.job("eni-2", "10.20.2.12", "in")
	l.serve(b, "tcp", ":7000")
	l.serve(b, "tcp", ":7001")
	l.serve(l.ns, "tcp", endpoint+":443")
	const to = "10.20.2.12:7000"
	kept, err := l.dial(a, "tcp", to, testPatience)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(kept)

	apply := func() {
		t.Helper()
		if err := l.Apply(v); err != nil {
			t.Fatal(err)
		}
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, from *namespace, to string, want bool) {
		t.Helper()
		if got := l.reaches(from, "tcp", to); got != want {
			t.Errorf("%s: reached = %v, want %v", what, got, want)
		}
	}
	v.Groups[1].Ingress = rules(tcp(7001, 7001).group("out"))
	apply()
	expect("a rule was removed", a, to, false)
	expect("a rule was kept", a, "10.20.2.12:7001", true)
	// Stateful, as in AWS: what was allowed lives on, in both directions, until it is cut.
	if err := echo(kept); err != nil {
		t.Errorf("a connection did not survive its rule: %v", err)
	}
	v.Groups[1].Ingress = rules(tcp(7000, 7001).group("late"))
	apply()
	expect("the group of reference has no member", a, "10.20.2.12:7001", false)
	check(l.SetGroups("eni-1", []string{"out", "late"}))
	expect("a member joined", a, "10.20.2.12:7001", true)
	check(l.SetGroups("eni-1", []string{"late"}))
	expect("a group with the egress rule left", a, "10.20.2.12:7001", false)
	check(l.SetGroups("eni-1", []string{"out"}))

	expect("no egress to the endpoint", a, endpoint+":443", false)
	v.Groups[0].Egress = rules(tcp(443, 443).list("pl-s3"))
	apply()
	expect("a list in a rule", a, endpoint+":443", true)
	v.Lists = []PrefixList{{ID: "pl-s3", Prefixes: []netip.Prefix{prefix("203.0.113.0/24"), prefix("203.0.113.0/25"), prefix("203.0.114.0/24")}}}
	apply()
	expect("the list changed", a, endpoint+":443", false)
	v.Lists[0].Prefixes = []netip.Prefix{prefix("0.0.0.0/0")}
	apply()
	expect("a list of everything", a, endpoint+":443", true)
	v.Subnets[0].Endpoint = false
	apply()
	expect("the route to the endpoint is gone", a, endpoint+":443", false)
	v.Subnets[0].Endpoint = true
	v.Subnets = append(v.Subnets, Subnet{ID: "subnet-c", CIDR: prefix("10.20.3.0/24"), Endpoint: true})
	v.Groups = append(v.Groups, Group{ID: "fourth", Egress: rules(everything().cidr("0.0.0.0/0"))})
	apply()
	c := l.job("eni-3", "10.20.3.13", "fourth")
	expect("a new subnet and group", c, endpoint+":443", true)

	if err := echo(kept); err != nil {
		t.Errorf("a connection did not survive the edits: %v", err)
	}
	check(l.Cut("eni-1"))
	if err := echo(kept); err == nil {
		t.Error("a connection survived Cut")
	}

	for what, edit := range map[string]func(*VPC){
		"a group in use":      func(v *VPC) { v.Groups = v.Groups[1:] },
		"a subnet in use":     func(v *VPC) { v.Subnets = v.Subnets[1:] },
		"the first CIDR":      func(v *VPC) { v.CIDRs = []netip.Prefix{prefix("10.0.0.0/8")} },
		"an unknown group":    func(v *VPC) { v.Groups[0].Ingress = rules(tcp(1, 1).group("sg-x")) },
		"an unknown list":     func(v *VPC) { v.Groups[0].Ingress = rules(tcp(1, 1).list("pl-x")) },
		"ports upside down":   func(v *VPC) { v.Groups[0].Ingress = rules(tcp(2, 1).cidr("0.0.0.0/0")) },
		"a rule without peer": func(v *VPC) { v.Groups[0].Ingress = rules(tcp(1, 1)) },
		"an endpoint inside":  func(v *VPC) { v.Endpoint = addr("10.20.9.9") },
		"a name for nft":      func(v *VPC) { v.Groups[2].ID = "a b" },
	} {
		bad := v.clone()
		edit(&bad)
		if err := l.Apply(bad); err == nil {
			t.Errorf("Apply without %s: no error", what)
		}
	}
	check(l.Check())
	expect("after refused edits", c, endpoint+":443", true)

	v.Groups, v.Lists = v.Groups[:3], []PrefixList{v.Lists[0], {ID: "pl-2"}}
	if _, err := l.Detach("eni-3"); err != nil {
		t.Fatal(err)
	}
	apply()
	v.Subnets, v.Endpoint, v.Names = v.Subnets[:2], netip.Addr{}, nil
	apply()
	expect("the endpoint is gone", a, endpoint+":443", false)
}

// TestOverlappingRules wants the kernel to take rules that overlap, are equal, and contain each other.
func TestOverlappingRules(t *testing.T) {
	v := exampleVPC(
		Group{ID: "out", Egress: rules(everything().cidr("0.0.0.0/0"), tcp(1, 9000).cidr("10.20.0.0/16"), tcp(1, 9000).cidr("10.20.0.0/16"))},
		Group{ID: "in", Ingress: rules(
			tcp(8000, 8010).cidr("10.20.1.0/24"), tcp(8005, 8020).cidr("10.20.1.0/25"), tcp(8003, 8004).cidr("10.0.0.0/8"),
			tcp(-1, -1).cidr("10.20.2.0/24"), udp(0, 65535).cidr("10.20.2.0/24"), everything().cidr("255.255.255.255/32"),
			Rule{Protocol: 50, From: -1, To: -1}.cidr("10.20.2.0/24"), everything().cidr("2001:db8::/32"))},
	)
	l := newLab(t, v, Options{})
	a := l.job("eni-1", "10.20.1.11", "out")
	b := l.job("eni-2", "10.20.2.12", "in")
	for _, p := range []string{"8000", "8003", "8015", "8020"} {
		l.serve(b, "tcp", ":"+p)
		if !l.reaches(a, "tcp", "10.20.2.12:"+p) {
			t.Errorf("port %s was not reached", p)
		}
	}
	if l.reaches(a, "tcp", "10.20.2.12:8021") {
		t.Error("port 8021 was reached")
	}
}

// TestManyRules applies more rules in one transaction than there is room for acknowledgements.
func TestManyRules(t *testing.T) {
	v := exampleVPC()
	for i := range 50 {
		g := Group{ID: fmt.Sprintf("sg-%d", i)}
		for p := range 10 {
			g.Egress = append(g.Egress, tcp(7000+p, 7000+p).group("sg-0"), udp(p, p).list("pl-s3"))
			g.Ingress = append(g.Ingress, tcp(7000+p, 7000+p).group("sg-0"))
		}
		v.Groups = append(v.Groups, g)
	}
	l := newLab(t, exampleVPC(), Options{})
	// The default buffer, which is less than what an ordinary user can ask for.
	check(l.filter.CloseLasting())
	check(l.ns.do(func() (err error) { l.filter, err = nftables.New(nftables.AsLasting()); return err }))
	if err := l.Apply(v); err != nil {
		t.Fatal(err)
	}
	check(l.Check())
	a, b := l.job("eni-1", "10.20.1.11", "sg-0"), l.job("eni-2", "10.20.1.12", "sg-49", "sg-0")
	l.serve(b, "tcp", ":7009")
	if !l.reaches(a, "tcp", "10.20.1.12:7009") {
		t.Error("the last rule does not allow")
	}
	for i := range 200 {
		v.Groups = append(v.Groups, Group{ID: fmt.Sprintf("late-%d", i), Egress: manyRules(60)})
	}
	check(l.filter.CloseLasting())
	check(l.ns.do(func() (err error) { l.filter, err = nftables.New(nftables.AsLasting()); return err }))
	if err := l.Apply(v); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("Apply of more than a message holds = %v, want EMSGSIZE", err)
	}
	if !l.reaches(a, "tcp", "10.20.1.12:7009") {
		t.Error("what was allowed is not, after an Apply that failed")
	}
	check(l.Check())
}
