// Package pace keeps callers below rate limits that nobody tells them: one adaptive token bucket for each key, such as
// account, region, service and action. A bucket starts modestly, gets faster with each success until the service says that
// it is too much (as TCP's slow start, RFC 5681), falls far below, and then measures: what the service lets pass between two
// refusals is its rate. From there it grows slowly. The tokens themselves are golang.org/x/time/rate's.
package pace

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The shape of a bucket. AWS publishes no rates for Bedrock's control plane; these were tuned in TestLearnsTheLimit.
const (
	startRate  = 10.0 // requests a second before anything is known
	startBurst = 5
	floor      = 0.5
	rise       = 2.0   // requests a second that each success adds, before any refusal
	firstCut   = 0.15  // of the rate at the first refusal, which is far above the service's: its burst hid it
	cut        = 0.6   // of the rate at a later refusal that came too soon to measure anything
	safe       = 0.96  // of the rate that was measured between two refusals
	sample     = 6     // successes between two refusals that make a measurement
	regain     = 0.03  // of the rate, each success after a refusal, until there is a measurement
	grow       = 0.004 // of the rate, each second after one
)

// Pacer has a bucket for each key. It is safe for concurrent use.
type Pacer struct {
	most float64

	mu      sync.Mutex // guards buckets
	buckets map[string]*bucket
}

type bucket struct {
	limiter *rate.Limiter
	// turn is held by the one caller that waits for a token: the limiter keeps promises that it made at an older rate.
	turn chan struct{}

	mu        sync.Mutex // guards the rest
	refused   bool       // whether the service ever said that it was too much
	measured  bool       // whether the rate is a measured one
	refusedAt time.Time
	successes int // since then
	grownAt   time.Time
}

// New makes a Pacer whose buckets never exceed most requests a second; 0 is no such bound.
func New(most float64) *Pacer {
	return &Pacer{most: most, buckets: map[string]*bucket{}}
}

func (p *Pacer) bucket(key string) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, ok := p.buckets[key]
	if !ok {
		b = &bucket{limiter: rate.NewLimiter(rate.Limit(p.bound(startRate)), max(1, int(p.bound(startBurst)))), turn: make(chan struct{}, 1)}
		p.buckets[key] = b
	}
	return b
}

func (p *Pacer) bound(r float64) float64 {
	if p.most > 0 && r > p.most {
		return p.most
	}
	return r
}

// Ticket is the leave to send one request.
type Ticket struct {
	pacer  *Pacer
	bucket *bucket
	at     time.Time
}

// Wait blocks until the key's bucket has a token. It returns ctx's error. Done must be called on the ticket.
func (p *Pacer) Wait(ctx context.Context, key string) (Ticket, error) {
	b := p.bucket(key)
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return Ticket{}, ctx.Err()
	}
	defer func() { <-b.turn }()
	for {
		asked := time.Now() //nolint:forbidigo // the limiter counts by the same clock; synctest fakes both
		if err := b.limiter.Wait(ctx); err != nil {
			return Ticket{}, err
		}
		if !b.refusedSince(asked) { // else the token was promised at a rate that is too high
			return Ticket{p, b, time.Now()}, nil //nolint:forbidigo // as above
		}
	}
}

func (b *bucket) refusedSince(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusedAt.After(t)
}

// Stale says that the service has refused a request since the ticket was given: a request that was held up meanwhile is one
// too many. Wait for another ticket; Done need not be called on this one.
func (k Ticket) Stale() bool { return k.bucket.refusedSince(k.at) }

// Done reports how the request went: whether the service said that it was too much.
func (k Ticket) Done(throttled bool) {
	b := k.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now() //nolint:forbidigo // the limiter counts by the same clock; synctest fakes both
	r := float64(b.limiter.Limit())
	if !throttled {
		b.raise(k.pacer, r, now)
		return
	}
	if b.refused && k.at.Before(b.refusedAt) {
		return // requests that were in flight together are refused together: one message, not several
	}
	// The service's own bucket is empty now, as it was at the refusal before: what it let pass in between is its rate.
	next := r * cut
	switch {
	case !b.refused:
		next = r * firstCut
	case b.measured && b.successes < sample:
		next = r * safe
	case b.successes >= sample:
		next, b.measured = min(r, safe*float64(b.successes)/now.Sub(b.refusedAt).Seconds()), true
	}
	b.refused, b.refusedAt, b.successes, b.grownAt = true, now, 0, now
	b.limiter.SetBurst(1)
	b.limiter.SetLimit(rate.Limit(k.pacer.bound(max(floor, next))))
	b.limiter.Reserve() // the next request waits
}

func (b *bucket) raise(p *Pacer, r float64, now time.Time) {
	b.successes++
	switch since := now.Sub(b.grownAt); {
	case !b.refused:
		r += rise
	case !b.measured:
		r *= 1 + regain
	case since >= time.Second:
		b.grownAt = now
		r *= 1 + grow*min(since.Seconds(), 5)
	default:
		return
	}
	b.limiter.SetLimit(rate.Limit(p.bound(r)))
}
