package netns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	resolverPort = 53
	// answerSeconds is how long an answer may be remembered; S3's own are as short.
	answerSeconds = 5
	// resolverIdle ends TCP connections on which nothing is asked.
	resolverIdle = 5 * time.Second
)

// names are what the resolver knows.
type names struct {
	endpoint netip.Addr
	exact    map[string]bool
	below    []string // ".s3.us-east-1.amazonaws.com"
}

func newNames(v *VPC) *names {
	n := &names{endpoint: v.Endpoint, exact: map[string]bool{}}
	for _, name := range v.Names {
		if rest, ok := strings.CutPrefix(name, "*"); ok {
			n.below = append(n.below, strings.ToLower(rest))
		} else {
			n.exact[strings.ToLower(name)] = true
		}
	}
	return n
}

func (n *names) has(name string) bool {
	if !n.endpoint.IsValid() {
		return false
	}
	if n.exact[name] {
		return true
	}
	for _, b := range n.below {
		if strings.HasSuffix(name, b) && len(name) > len(b) {
			return true
		}
	}
	return false
}

// resolver answers questions from what it knows. It has no upstream, so nothing can be smuggled out in names.
type resolver struct {
	net     *Network
	query   func(Query)
	servers []*dns.Server
	ended   chan error
}

func (n *Network) startResolver(v VPC, query func(Query)) (*resolver, error) {
	r := &resolver{net: n, query: query, ended: make(chan error, 2)}
	at := netip.AddrPortFrom(v.resolver(), resolverPort)
	udp, err := n.listen("udp", at)
	if err != nil {
		return nil, fmt.Errorf("start resolver: %w", err)
	}
	defer func() { _ = udp.Close() }()
	packets, err := net.FilePacketConn(udp)
	if err != nil {
		return nil, fmt.Errorf("start resolver: %w", err)
	}
	tcp, err := n.listen("tcp", at)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start resolver: %w", err), packets.Close())
	}
	defer func() { _ = tcp.Close() }()
	listener, err := net.FileListener(tcp)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start resolver: %w", err), packets.Close())
	}
	r.serve(&dns.Server{PacketConn: packets})
	r.serve(&dns.Server{Listener: listener})
	return r, nil
}

func (r *resolver) serve(s *dns.Server) {
	up := make(chan struct{})
	s.Handler, s.NotifyStartedFunc = r, func() { close(up) }
	s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = resolverIdle, resolverIdle, func() time.Duration { return resolverIdle }
	go func() { r.ended <- s.ActivateAndServe() }()
	<-up
	r.servers = append(r.servers, s)
}

func (r *resolver) close() error {
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.Shutdown())
	}
	for range r.servers {
		errs = append(errs, <-r.ended)
	}
	return errors.Join(errs...)
}

// ServeDNS implements dns.Handler. The library has seen that there is one question.
func (r *resolver) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	q := m.Question[0]
	answer := new(dns.Msg)
	answer.SetReply(m)
	answer.Authoritative, answer.RecursionAvailable = true, true
	known := r.net.names.Load()
	name := strings.ToLower(strings.TrimSuffix(q.Name, "."))
	var answers []string
	switch {
	case q.Qclass != dns.ClassINET || !known.has(name):
		answer.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA: // other types of a known name: no error, no answer
		answer.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: answerSeconds},
			A:   known.endpoint.AsSlice(),
		}}
		answers = []string{known.endpoint.String()}
	}
	if r.query != nil {
		from, _ := netip.ParseAddrPort(w.RemoteAddr().String())
		r.query(Query{
			Time: r.net.now(), From: from.Addr(), Name: name, Type: dns.Type(q.Qtype).String(),
			RCode: dns.RcodeToString[answer.Rcode], Answers: answers,
		})
	}
	_ = w.WriteMsg(answer) // whoever asked has gone
}
