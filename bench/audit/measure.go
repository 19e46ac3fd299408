package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/cloister/bench/harness"
)

// measured is what one audit cost.
type measured struct {
	harness.FakeStats
	wall, cpu time.Duration
	peak      int64 // bytes
}

func (m measured) seconds() float64 { return m.wall.Seconds() }
func (m measured) mib() float64     { return float64(m.peak) / (1 << 20) }

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
		parts = append(parts, fmt.Sprintf("%.2f s, %.2f CPU s, %.0f MiB, %d calls, %d throttled", m.wall.Seconds(), m.cpu.Seconds(), m.mib(), m.Calls, m.Throttled))
	}
	return strings.Join(parts, "; ")
}

// audit runs one audit on a fake of its own. It fails unless every result was judged.
func (b *bench) audit(ctx context.Context, world []string, args ...string) (m measured, err error) {
	fake, err := harness.StartFake(ctx, b.fake, append([]string{"-listen=" + b.address, fmt.Sprint("-latency=", latency)}, world...)...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, fake.Stop()) }()
	report := filepath.Join(b.dir, "report.json")
	args = append([]string{"audit", "--quiet", "--endpoint", fake.URL, "--report", "json=" + report}, args...)
	cmd := exec.CommandContext(ctx, b.bin, args...) //nolint:gosec // the binary under test
	cmd.Env = append(os.Environ(), fake.Credentials()...)
	var problems strings.Builder
	cmd.Stderr = &problems
	start := harness.Now()
	err = cmd.Run()
	m.wall = harness.Now().Sub(start)
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 3 { // 3: there are findings
		return m, fmt.Errorf("the audit ended with %d: %w\n%s", code, err, problems.String())
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.peak = usage.Maxrss << 10 // getrusage(2): kilobytes
	}
	if m.FakeStats, err = fake.Stats(ctx); err != nil {
		return m, err
	}
	return m, complete(report)
}

// complete fails if a report names anything that could not be read and is not an accepted gap.
func complete(report string) error {
	in, err := os.Open(report)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	dec := json.NewDecoder(in) // the report may have a hundred thousand results: only its head is read
	for {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if token == "coverage" {
			break
		}
	}
	var coverage struct {
		Unread []struct {
			Operation, Code string
			Accepted        bool
		}
	}
	if err := dec.Decode(&coverage); err != nil {
		return err
	}
	for _, u := range coverage.Unread {
		if !u.Accepted {
			return fmt.Errorf("the audit is incomplete: %s: %s", u.Operation, u.Code)
		}
	}
	return nil
}
