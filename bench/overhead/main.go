// Command overhead measures what Cloister adds to a customization job: the job's wall time, as a client sees
// it, minus that of the engine's process, and the CPU time per trained token of the engine in its sandbox
// against the same engine, specification and data without any isolation.
//
// Sandboxed and bare runs are interleaved, in changing order; each round has two bare runs, whose difference
// shows how far such a measurement can be trusted. It needs the installed engine and the base model
// cloister.tiny-v1:0.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"example.com/cloister/bench/harness"
)

// Bounds. Source: docs/benchmarks.md, which quotes the issue.
const (
	wallBound = 2    // s
	cpuBound  = 1.03 // × bare
)

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin/cloister", "the binary to measure")
	flag.IntVar(&b.rounds, "rounds", 7, "rounds of one job and two bare runs")
	flag.IntVar(&b.records, "records", 120, "training records of a run")
	harness.Main(b.run)
}

type bench struct {
	bin             string
	rounds, records int
}

// sample is one run of the engine.
type sample struct {
	cpu    float64 // seconds
	engine float64 // wall seconds of the process
	job    float64 // wall seconds as the client saw them, of sandboxed runs
	tokens int64
}

func (s sample) perToken() float64 { return s.cpu / float64(s.tokens) * 1e6 }

func (b *bench) run(ctx context.Context, r *harness.Report) (err error) {
	dir, err := harness.TempDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := harness.StartServer(ctx, b.bin, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}()
	data := harness.Records(b.records)
	jobs, err := newJobs(ctx, server, data)
	if err != nil {
		return err
	}
	defer func() { _ = jobs.close() }()
	warm, training, err := jobs.run(ctx, "warm-up") // the page cache, for both sides; and the specification
	if err != nil {
		return err
	}
	yardstick, err := newYardstick(training, data)
	if err != nil {
		return err
	}
	r.Say("each run: %d records, %d tokens, about %.1f CPU-seconds; the first is not counted", b.records, warm.tokens, warm.cpu)
	rounds, err := b.measure(ctx, r, jobs, yardstick)
	if err != nil {
		return err
	}
	judge(r, rounds)
	return nil
}

// round is one job and two bare runs.
type round struct{ sandbox, first, second sample }

func (b *bench) measure(ctx context.Context, r *harness.Report, jobs *jobs, yardstick *yardstick) ([]round, error) {
	rounds := make([]round, b.rounds)
	for i := range rounds {
		at := &rounds[i]
		runs := []func() error{
			func() (err error) {
				at.sandbox, _, err = jobs.run(ctx, fmt.Sprintf("job-%d", i))
				return err
			},
			func() (err error) { at.first, err = yardstick.run(ctx); return err },
			func() (err error) { at.second, err = yardstick.run(ctx); return err },
		}
		for k := range runs {
			if err := runs[(i+k)%len(runs)](); err != nil {
				return nil, err
			}
		}
		if at.sandbox.tokens != at.first.tokens || at.first.tokens != at.second.tokens {
			return nil, fmt.Errorf("the runs trained on %d, %d and %d tokens", at.sandbox.tokens, at.first.tokens, at.second.tokens)
		}
		r.Say("round %d: job %.2f s of wall time, its engine %.2f s; CPU µs per token: sandbox %.1f, bare %.1f and %.1f",
			i+1, at.sandbox.job, at.sandbox.engine, at.sandbox.perToken(), at.first.perToken(), at.second.perToken())
	}
	return rounds, nil
}

// judge holds the medians against the bounds. The CPU bound is 1.03, or the typical difference of two bare runs
// where that is larger: nothing finer can be seen then.
func judge(r *harness.Report, rounds []round) {
	var walls, ratios, spreads []float64
	for _, at := range rounds {
		walls = append(walls, at.sandbox.job-at.sandbox.engine)
		ratios = append(ratios, at.sandbox.perToken()/((at.first.perToken()+at.second.perToken())/2))
		spreads = append(spreads, max(at.first.cpu, at.second.cpu)/min(at.first.cpu, at.second.cpu))
	}
	spread := harness.Median(spreads)
	r.Say("job minus engine, s: %.2f", walls)
	r.Say("sandbox / bare: %.3f", ratios)
	r.Say("bare / bare, larger by smaller: %.3f, median %.3f", spreads, spread)
	r.AtMost("job wall time minus engine process time, median", harness.Median(walls), wallBound, "s")
	r.AtMost("CPU per trained token, sandbox / bare, median", harness.Median(ratios), max(cpuBound, spread), "x")
}
