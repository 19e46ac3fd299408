// Package harness is what the benchmarks below bench/ share: a report that judges figures against their
// bounds, a Cloister server as a process, and what /proc says about processes.
//
// It measures nothing by itself and is no part of the product. A benchmark is a main package that calls Main;
// it exits 0 when every bound held, 1 when one was missed (unless -report-only) or something failed, 2 for
// wrong usage. What a reader must know: machines are shared, so figures are ratios within one run, CPU time, or
// medians, and the report says how busy the machine was.
package harness

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Report collects the figures of one benchmark. It is not safe for concurrent use.
type Report struct {
	out    io.Writer
	missed int
}

// NewReport makes a Report that writes to out.
func NewReport(out io.Writer) *Report { return &Report{out: out} }

// Missed is the number of bounds that did not hold.
func (r *Report) Missed() int { return r.missed }

// Say prints a line that judges nothing.
func (r *Report) Say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) }

// AtMost judges a figure that may not be above its bound; unit is printed behind both.
func (r *Report) AtMost(name string, value, bound float64, unit string) {
	r.judge(name, value, "<=", bound, unit, value <= bound)
}

// AtLeast judges a figure that may not be below its bound.
func (r *Report) AtLeast(name string, value, bound float64, unit string) {
	r.judge(name, value, ">=", bound, unit, value >= bound)
}

// Missing counts a bound that could not be measured as missed, and says why.
func (r *Report) Missing(name, why string) {
	r.missed++
	r.Say("MISSED  %s: not measured: %s", name, why)
}

func (r *Report) judge(name string, value float64, relation string, bound float64, unit string, ok bool) {
	word := "ok"
	if !ok {
		word = "MISSED"
		r.missed++
	}
	r.Say("%-6s  %s: %.4g %s (bound %s %.4g)", word, name, value, unit, relation, bound)
}

// Main runs a benchmark after its flags were declared, and ends the process.
func Main(run func(ctx context.Context, r *Report) error) {
	reportOnly := flag.Bool("report-only", false, "exit 0 even when a bound is missed")
	flag.Parse()
	if flag.NArg() > 0 {
		_, _ = fmt.Fprintf(os.Stderr, "unexpected argument %q; see -help\n", flag.Arg(0))
		os.Exit(2)
	}
	//nolint:forbidigo // the root of a program's contexts
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	r := NewReport(os.Stdout)
	r.Say("machine: %s", Machine(ctx))
	err := run(ctx, r)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(1)
	}
	if r.missed > 0 && !*reportOnly {
		os.Exit(1)
	}
}

// Now is the stop watch of the benchmarks.
func Now() time.Time { return time.Now() } //nolint:forbidigo // benchmarks measure real time

// Machine describes the machine, how busy it is, the time and the commit, in one line.
func Machine(ctx context.Context) string {
	facts := []string{cpuModel(), memory(), "Linux " + firstWord("/proc/sys/kernel/osrelease")}
	if version := firstWord("/etc/debian_version"); version != "" {
		facts = append(facts, "Debian "+version)
	}
	load := strings.Fields(readAll("/proc/loadavg"))
	if len(load) > 0 {
		facts = append(facts, "load "+load[0])
	}
	facts = append(facts, Now().UTC().Format("2006-01-02 15:04 MST"))
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
		facts = append(facts, "commit "+strings.TrimSpace(string(out)))
	}
	return strings.Join(facts, ", ")
}

func cpuModel() string {
	n, model := 0, "unknown processor"
	for line := range strings.Lines(readAll("/proc/cpuinfo")) {
		name, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(name) == "model name" {
			n, model = n+1, strings.TrimSpace(value)
		}
	}
	return fmt.Sprintf("%d vCPU %s", n, model)
}

func memory() string {
	for line := range strings.Lines(readAll("/proc/meminfo")) {
		var kib float64
		if _, err := fmt.Sscanf(line, "MemTotal: %f kB", &kib); err == nil {
			return fmt.Sprintf("%.0f GiB", kib/(1<<20))
		}
	}
	return "unknown memory"
}

func firstWord(path string) string {
	if fields := strings.Fields(readAll(path)); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// readAll is a file's text, empty if it cannot be read: it only describes the machine.
func readAll(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// Quantile is the value below which the given part (0 to 1) of the values lies; values are not changed. It is 0
// for none.
func Quantile[T int64 | float64 | time.Duration](values []T, part float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

// Median is the middle value.
func Median[T int64 | float64 | time.Duration](values []T) T { return Quantile(values, 0.5) }
