// Command audit measures `cloister audit` against bench/fakeaws, both as processes of their own: wall time, peak memory,
// CPU, calls, throttled calls and calls in flight, for an account of some size and for one of thirty busy regions; with a
// service that limits each action of each region, and with the cache of an audit before. It judges medians.
//
// The one thing to know: what a bound of time can be at best follows from the calls. 16 in flight at 20 ms are 800 calls a
// second; every corpus prints that floor beside its figure.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	flightBound    = 16
	limitedBound   = 1.25 // × the ideal time
	throttledBound = 2    // % of the calls
	warmBound      = 60   // % of the cold calls
)

// The latency of all runs, and the limit of the limited ones.
const (
	latency = 20 * time.Millisecond
	rate    = 5
	burst   = 10
)

// corpus is a generated world and what an audit of it may cost.
type corpus struct {
	name  string
	world []string // flags of fakeaws
	wall  float64  // s
	peak  float64  // MiB
}

func corpora() []corpus {
	return []corpus{
		{"200 jobs, 30 regions", []string{"-regions=30", "-jobs=200", "-models=60", "-homes=2", "-sharing=10"}, 3, 64},
		{"200 jobs in each of 30 regions", []string{"-regions=30", "-jobs=6000", "-models=60", "-sharing=20"}, 20, 96},
	}
}

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.StringVar(&b.fake, "fake", "bin/fakeaws", "the binary of bench/fakeaws")
	flag.IntVar(&b.rounds, "rounds", 5, "audits of each kind")
	flag.StringVar(&b.only, "only", "", "only corpora whose names contain this")
	flag.BoolVar(&b.unlimited, "unlimited", false, "leave the limited runs out: they take minutes")
	harness.Main(b.run)
}

type bench struct {
	bin, fake, only string
	rounds          int
	unlimited       bool
	dir             string // for reports
	address         string // of the fake: a cache is of one endpoint
}

func (b *bench) run(ctx context.Context, r *harness.Report) (err error) {
	if b.dir, err = harness.TempDir(); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }()
	if b.address, err = harness.FreeAddress(ctx); err != nil {
		return err
	}
	for i, c := range corpora() {
		if !strings.Contains(c.name, b.only) {
			continue
		}
		ideal, err := b.free(ctx, r, c, filepath.Join(b.dir, fmt.Sprint("cache-", i)))
		if err == nil && !b.unlimited {
			err = b.limited(ctx, r, c, ideal)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// free measures a corpus without a limit, cold and warm in turns. ideal is how long its most called action takes at least
// where there is one.
func (b *bench) free(ctx context.Context, r *harness.Report, c corpus, cache string) (ideal float64, err error) {
	if _, err := b.audit(ctx, c.world, "--cache", cache); err != nil { // fills the cache
		return 0, err
	}
	var cold, warm series
	for range b.rounds {
		m, err := b.audit(ctx, c.world)
		if err != nil {
			return 0, err
		}
		cold = append(cold, m)
		if m, err = b.audit(ctx, c.world, "--cache", cache); err != nil {
			return 0, err
		}
		warm = append(warm, m)
	}
	calls := cold.median(func(m measured) float64 { return float64(m.Calls) })
	floor := calls * latency.Seconds() / flightBound
	r.Say("%s, cold: %v", c.name, cold)
	r.Say("%s, warm: %v", c.name, warm)
	r.Say("%s: %.0f calls, which take %.2f s at least", c.name, calls, floor)
	r.AtMost(c.name+", wall, median", cold.median(measured.seconds), c.wall, "s")
	r.AtMost(c.name+", peak memory, median", cold.median(func(m measured) float64 { return m.MiB() }), c.peak, "MiB")
	r.AtMost(c.name+", most calls in flight", cold.most(func(m measured) float64 { return float64(m.MaxInFlight) }), flightBound, "calls")
	r.AtMost(c.name+", calls of a warm run", 100*warm.median(func(m measured) float64 { return float64(m.Calls) })/calls, warmBound, "% of a cold one")
	return max(1, cold.median(func(m measured) float64 { return float64(m.Busiest) })-burst) / rate, nil
}

// limited measures a corpus on a service that limits each action of each region.
func (b *bench) limited(ctx context.Context, r *harness.Report, c corpus, ideal float64) error {
	world := append([]string{fmt.Sprint("-rate=", rate), fmt.Sprint("-burst=", burst)}, c.world...)
	var s series
	for range b.rounds {
		m, err := b.audit(ctx, world)
		if err != nil {
			return err
		}
		s = append(s, m)
	}
	r.Say("%s, limited: %v", c.name, s)
	r.Say("%s, limited: the most called action of a region takes %.1f s at least", c.name, ideal)
	r.AtMost(c.name+", limited, wall / ideal, median", s.median(measured.seconds)/ideal, limitedBound, "x")
	r.AtMost(c.name+", limited, throttled, median", s.median(func(m measured) float64 { return 100 * float64(m.Throttled) / float64(m.Calls) }), throttledBound, "% of the calls")
	return nil
}
