package netns

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestResolver(t *testing.T) {
	var mu sync.Mutex
	var log []Query
	l := newLab(t, exampleVPC(Group{ID: "none"}), Options{Query: func(q Query) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, q)
	}})
	job := l.job("eni-1", "10.20.1.11", "none") // groups do not filter the resolver
	ask := func(network, name string, kind uint16) *dns.Msg {
		t.Helper()
		var c net.Conn
		check(job.do(func() (err error) { c, err = net.DialTimeout(network, "10.20.0.2:53", testPatience); return err }))
		defer shut(c)
		m := new(dns.Msg)
		m.SetQuestion(name, kind)
		co := &dns.Conn{Conn: c}
		var answer *dns.Msg
		var err error
		for range 5 { // as stub resolvers do
			_ = c.SetDeadline(time.Now().Add(2 * time.Second))
			check(co.WriteMsg(m))
			if answer, err = co.ReadMsg(); err == nil {
				break
			}
			l.mu.Lock()
			check(l.count())
			t.Logf("%s %s: %v; packets that found no room for their flow: %d", network, name, err, l.flows.unrecorded)
			l.mu.Unlock()
		}
		if err != nil {
			t.Fatalf("%s %s: %v; flows %+v", network, name, err, must(l.Flows()))
		}
		return answer
	}
	for _, c := range []struct {
		network, name string
		kind          uint16
		rcode         int
		answers       []string
	}{
		{"udp", "s3.us-east-1.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{endpoint}},
		{"tcp", "s3.us-east-1.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{endpoint}},
		{"udp", "Training.S3.us-east-1.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{endpoint}},
		{"udp", "a.b.s3.us-east-1.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{endpoint}},
		{"udp", "s3.us-east-1.amazonaws.com.", dns.TypeAAAA, dns.RcodeSuccess, nil},
		{"udp", "xs3.us-east-1.amazonaws.com.", dns.TypeA, dns.RcodeNameError, nil},
		{"udp", "secret-in-a-name.example.com.", dns.TypeTXT, dns.RcodeNameError, nil},
		{"udp", ".", dns.TypeNS, dns.RcodeNameError, nil},
	} {
		m := ask(c.network, c.name, c.kind)
		var answers []string
		for _, a := range m.Answer {
			answers = append(answers, a.(*dns.A).A.String())
		}
		if m.Rcode != c.rcode || !slices.Equal(answers, c.answers) {
			t.Errorf("%s %s %s = %s %v, want %s %v", c.network, c.name, dns.Type(c.kind), dns.RcodeToString[m.Rcode], answers, dns.RcodeToString[c.rcode], c.answers)
		}
	}
	mu.Lock()
	i := slices.IndexFunc(log, func(q Query) bool { return q.Type == "TXT" })
	if len(log) < 8 || i < 0 {
		t.Fatalf("queries on record %+v, want 8 or more", log)
	}
	q := log[i]
	mu.Unlock()
	if q.Name != "secret-in-a-name.example.com" || q.Type != "TXT" || q.RCode != "NXDOMAIN" || q.From != addr("10.20.1.11") || q.Time.IsZero() || q.Answers != nil {
		t.Errorf("query on record %+v", q)
	}
	v := l.want.clone()
	v.Names = []string{"other.example.com"}
	check(l.Apply(v))
	if m := ask("udp", "other.example.com.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("a new name: %v", m)
	}
	if m := ask("udp", "s3.us-east-1.amazonaws.com.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("a name that is gone: %v", m)
	}
	v.Endpoint = netip.Addr{}
	check(l.Apply(v))
	if m := ask("udp", "other.example.com.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("a name without an endpoint: %v", m)
	}
	// Other ports and protocols of the resolver's address are closed.
	if l.reaches(job, "tcp", "10.20.0.2:80") || l.reaches(job, "udp", "10.20.0.2:54") {
		t.Error("the resolver's address answers on other ports")
	}
}
