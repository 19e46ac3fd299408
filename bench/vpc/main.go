//go:build linux

// Command vpc measures what a VPC costs a job: reading a large object through the S3 endpoint against the same handler on the
// host's loopback, both over TLS, and a whole job in a VPC against the same job without one.
//
// Each round measures the baseline twice, whose difference shows how far such a measurement can be trusted, and the figure once, in
// changing order. It starts itself again as the helper netd and as the client, which runs in a sandbox; the jobs need the installed
// engine and the base model cloister.tiny-v1:0. What lies deeper is measured in internal/netns.
package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/sandbox"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	getBound = 0.5 // × loopback
	jobBound = 1   // s
)

func main() {
	if code, staged := stage(context.Background()); staged { //nolint:forbidigo // the root of a program's contexts
		os.Exit(code)
	}
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.IntVar(&b.rounds, "rounds", 5, "rounds of a figure and its baseline, twice")
	flag.Int64Var(&b.size, "size", 1<<30, "bytes of the object that is read")
	flag.IntVar(&b.records, "records", 40, "training records of a job")
	harness.Main(b.run)
}

// stage runs what this program was started again as, if it was.
func stage(ctx context.Context) (code int, staged bool) {
	if code, staged := netd.Stage(ctx); staged {
		return code, true
	}
	if code, staged := clientStage(ctx); staged {
		return code, true
	}
	return sandbox.Stage()
}

type bench struct {
	bin             string
	rounds, records int
	size            int64
}

func (b *bench) run(ctx context.Context, r *harness.Report) error {
	gets, err := b.gets(ctx, r)
	if err != nil {
		return err
	}
	judgeGets(r, gets)
	jobs, err := b.jobs(ctx, r)
	if err != nil {
		return err
	}
	judgeJobs(r, jobs)
	return nil
}

// round is one figure and its baseline, measured twice; seconds.
type round struct{ vpc, first, second float64 }

// base is the mean of the baselines.
func (a round) base() float64 { return (a.first + a.second) / 2 }

// measure runs rounds of both, in changing order.
func measure(rounds int, baseline, figure func(round int) (seconds float64, err error)) ([]round, error) {
	all := make([]round, rounds)
	for i := range all {
		at := &all[i]
		runs := []func() error{
			func() (err error) { at.vpc, err = figure(i); return err },
			func() (err error) { at.first, err = baseline(2 * i); return err },
			func() (err error) { at.second, err = baseline(2*i + 1); return err },
		}
		for k := range runs {
			if err := runs[(i+k)%len(runs)](); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// judgeGets holds the median of ratios of speed against the bound, which is that of two baselines where these differ more.
func judgeGets(r *harness.Report, rounds []round) {
	var ratios, spreads []float64
	for _, at := range rounds {
		ratios = append(ratios, at.base()/at.vpc)
		spreads = append(spreads, min(at.first, at.second)/max(at.first, at.second))
	}
	spread := harness.Median(spreads)
	r.Say("GET, VPC / loopback, speed: %.3f", ratios)
	r.Say("GET, loopback / loopback, slower by faster: %.3f, median %.3f", spreads, spread)
	r.AtLeast("GET through the S3 endpoint / the same handler on loopback, median", harness.Median(ratios), min(getBound, spread), "x")
}

// judgeJobs holds the median of differences against the bound. The spread is only printed: the figure is not a ratio.
func judgeJobs(r *harness.Report, rounds []round) {
	var with, without, differences, spreads []float64
	for _, at := range rounds {
		with, without = append(with, at.vpc), append(without, at.first, at.second)
		differences = append(differences, at.vpc-at.base())
		spreads = append(spreads, max(at.first, at.second)-min(at.first, at.second))
	}
	r.Say("jobs in a VPC, s: %.2f, median %.2f", with, harness.Median(with))
	r.Say("jobs without, s: %.2f, median %.2f", without, harness.Median(without))
	r.Say("two jobs without differ by, s: %.2f, median %.2f", spreads, harness.Median(spreads))
	r.Say("job in a VPC minus mean of two without, s: %.2f", differences)
	r.AtMost("job in a VPC minus job without, median", harness.Median(differences), jobBound, "s")
}

// closing joins what a deferred close says to an error.
func closing(err *error, stop func() error) { *err = errors.Join(*err, stop()) }
