package netd

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"example.com/cloister/internal/netns"
)

// mostQuestions bounds the different questions of one address that are kept between two readings; more are counted under "*".
const mostQuestions = 10_000

// questions are what the resolver of a VPC was asked since the last reading, by who asked. It is safe for concurrent use.
type questions struct {
	mu     sync.Mutex
	asked  map[netip.Addr]map[question]*netns.Query // guarded by mu
	nobody netip.Addr
}

type question struct{ name, kind, rcode string }

// add counts a question.
func (q *questions) add(one netns.Query) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asked == nil {
		q.asked = map[netip.Addr]map[question]*netns.Query{}
	}
	of := q.asked[one.From]
	if of == nil {
		of = map[question]*netns.Query{}
		q.asked[one.From] = of
	}
	key := question{one.Name, one.Type, one.RCode}
	if of[key] == nil && len(of) >= mostQuestions {
		key = question{"*", "*", "*"}
		one.Name, one.Type, one.RCode, one.Answers = "*", "*", "*", nil
	}
	if have := of[key]; have != nil {
		have.Count++
		have.Time = one.Time
		return
	}
	one.Count = 1
	of[key] = &one
}

// take returns and forgets the questions of one address, or of all for the zero one, in the order of their time.
func (q *questions) take(of netip.Addr) []netns.Query {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []netns.Query
	for addr, list := range q.asked {
		if of != q.nobody && addr != of {
			continue
		}
		for one := range maps.Values(list) {
			out = append(out, *one)
		}
		delete(q.asked, addr)
	}
	slices.SortFunc(out, func(a, b netns.Query) int { return a.Time.Compare(b.Time) })
	return out
}
