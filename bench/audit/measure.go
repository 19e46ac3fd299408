package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"example.com/cloister/bench/harness"
)

// measured is what one audit cost.
type measured struct {
	harness.Cost
	harness.FakeStats
}

func (m measured) seconds() float64 { return m.Wall.Seconds() }

// series are audits of the same kind.
type series []measured

func (s series) values(of func(measured) float64) []float64 {
	var out []float64
	for _, m := range s {
		out = append(out, of(m))
	}
	return out
}

func (s series) median(of func(measured) float64) float64 { return harness.Median(s.values(of)) }
func (s series) most(of func(measured) float64) float64   { return slices.Max(s.values(of)) }

// String is a line with every audit's figures.
func (s series) String() string {
	var parts []string
	for _, m := range s {
		parts = append(parts, fmt.Sprintf("%.2f s, %.2f CPU s, %.0f MiB, %d calls, %d throttled", m.Wall.Seconds(), m.CPU.Seconds(), m.MiB(), m.Calls, m.Throttled))
	}
	return strings.Join(parts, "; ")
}

// audit runs one audit on a fake of its own. It fails if the audit is incomplete, which is exit code 4.
func (b *bench) audit(ctx context.Context, world []string, args ...string) (m measured, err error) {
	fake, err := harness.StartFake(ctx, b.fake, append([]string{"-listen=" + b.address, fmt.Sprint("-latency=", latency)}, world...)...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, fake.Stop()) }()
	args = append([]string{"audit", "--quiet", "--fail-on", "none", "--endpoint", fake.URL, "--report", "json=" + filepath.Join(b.dir, "report.json")}, args...)
	if m.Cost, err = harness.Spend(ctx, fake.Credentials(), b.bin, args...); err != nil {
		return m, err
	}
	m.FakeStats, err = fake.Stats(ctx)
	return m, err
}
