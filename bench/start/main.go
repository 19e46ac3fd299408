// Command start measures how long `cloister serve` takes from the start of its process to its ready line, and
// the memory of a server that idles: on a new data directory, and on one with jobs in its store. It measures
// the real binary on a disk and judges medians. The memory of `cloister netd`, which is a process of its own, is printed beside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	firstBound = 1000 // ms
	laterBound = 300  // ms
	idleBound  = 60   // MB
	idleAfter  = 5 * time.Second
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.IntVar(&b.rounds, "rounds", 7, "starts of each kind")
	flag.IntVar(&b.jobs, "jobs", 100, "jobs in the store of later starts")
	harness.Main(b.run)
}

type bench struct {
	bin          string
	rounds, jobs int
}

func (b *bench) run(ctx context.Context, r *harness.Report) error {
	dir, err := harness.TempDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var first, later, idle, helper []float64
	seeded := filepath.Join(dir, "seeded")
	if _, err := b.start(ctx, seeded, 0); err != nil {
		return err
	}
	if err := harness.SeedJobs(ctx, seeded, b.jobs, harness.Now()); err != nil {
		return err
	}
	for i := range b.rounds { // interleaved, so that both see the same machine
		at, err := b.start(ctx, filepath.Join(dir, fmt.Sprintf("new-%d", i)), 0)
		if err != nil {
			return err
		}
		first = append(first, at.ms)
		if at, err = b.start(ctx, seeded, 0); err != nil {
			return err
		}
		later = append(later, at.ms)
	}
	for range b.rounds {
		at, err := b.start(ctx, seeded, idleAfter)
		if err != nil {
			return err
		}
		idle, helper = append(idle, at.mb), append(helper, at.helper)
	}
	r.Say("first start, ms: %.0f", first)
	r.Say("later start with %d jobs, ms: %.0f", b.jobs, later)
	r.Say("idle RSS %v after ready, MB: %.1f", idleAfter, idle)
	r.Say("idle RSS of netd, a process of its own, MB: %.1f, median %.1f", helper, harness.Median(helper))
	r.AtMost("first start to ready, median", harness.Median(first), firstBound, "ms")
	r.AtMost(fmt.Sprintf("later start to ready with %d jobs, median", b.jobs), harness.Median(later), laterBound, "ms")
	r.AtMost("idle RSS of the server, median", harness.Median(idle), idleBound, "MB")
	return nil
}

// sample is one start: to ready, and the memory of the server and of its helper after a while.
type sample struct{ ms, mb, helper float64 }

// start starts and stops a server, and reads its memory after a while.
func (b *bench) start(ctx context.Context, data string, idle time.Duration) (sample, error) {
	s, err := harness.StartServer(ctx, b.bin, data)
	if err != nil {
		return sample{}, err
	}
	select {
	case <-time.After(idle):
	case <-ctx.Done():
	}
	usage, err := s.Usage()
	helper, helperErr := s.HelperUsage()
	at := sample{float64(s.Ready.Microseconds()) / 1e3, float64(usage.RSS) / 1e6, float64(helper.RSS) / 1e6}
	return at, errors.Join(err, helperErr, s.Stop())
}
