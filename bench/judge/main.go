// Command judge runs another benchmark, passes on what it prints and holds figures in it against bounds. It
// serves those benchmarks that live where they measure: internal/envelope's in Go, the engine's in Python.
//
//	judge -command 'go test ...' -at-least '([0-9.]+) x_sio=1.2' ...
//
// Each -at-least and each -at-most is a regular expression, whose only group is the figure, and its bound; it must
// match at least one line, and every line that it matches counts. A second group, named spread, is how far the baseline
// differs from itself: a figure within it holds too.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"example.com/cloister/bench/harness"
)

func main() {
	j := &judge{}
	flag.StringVar(&j.command, "command", "", "the benchmark, a command line of sh")
	flag.Var(&j.least, "at-least", "REGEXP=BOUND, may be given several times")
	flag.Var(&j.most, "at-most", "the same for bounds from above")
	harness.Main(j.run)
}

type judge struct {
	command     string
	least, most bounds
}

// bound is a value that a figure may not be below, or not above.
type bound struct {
	pattern *regexp.Regexp
	value   float64
}

// bounds implements flag.Value.
type bounds []bound

// String implements flag.Value.
func (b *bounds) String() string { return fmt.Sprint(len(*b), " bounds") }

// Set implements flag.Value: REGEXP=BOUND, the last = counts.
func (b *bounds) Set(text string) error {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return errors.New("want REGEXP=BOUND")
	}
	pattern, err := regexp.Compile(text[:at])
	if err != nil {
		return err
	}
	if figures, spread := pattern.NumSubexp(), pattern.SubexpIndex("spread"); figures != 1 && (figures != 2 || spread < 0) || figures == 1 && spread > 0 {
		return errors.New("the expression needs exactly one group, the figure, beside one named spread")
	}
	value, err := strconv.ParseFloat(text[at+1:], 64)
	if err != nil {
		return err
	}
	*b = append(*b, bound{pattern, value})
	return nil
}

// grace is what the command gets to end after an interrupt.
const grace = 5 * time.Second

func (j *judge) run(ctx context.Context, r *harness.Report) error {
	if j.command == "" || len(j.least)+len(j.most) == 0 {
		return errors.New("-command and -at-least or -at-most are needed")
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", j.command) //nolint:gosec // the Makefile's own
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var problems strings.Builder
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		return err
	}
	lines, err := pass(out, r)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("%w\n%s", err, problems.String())
	}
	return j.judge(r, lines)
}

// pass prints lines as they come and keeps them.
func pass(out io.Reader, r *harness.Report) ([]string, error) {
	var lines []string
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		r.Say("%s", scanner.Text())
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}

func (j *judge) judge(r *harness.Report, lines []string) error {
	return errors.Join(
		j.least.judge(lines, r.AtLeast, func(bound, spread float64) float64 { return min(bound, spread) }),
		j.most.judge(lines, r.AtMost, func(bound, spread float64) float64 { return max(bound, spread) }),
	)
}

// judge holds every figure in lines against its bound, or the spread that is beside it: the wider of both.
func (b bounds) judge(lines []string, hold func(name string, value, bound float64, unit string), wider func(bound, spread float64) float64) error {
	for _, one := range b {
		found := false
		for _, line := range lines {
			match := one.pattern.FindStringSubmatch(line)
			if match == nil {
				continue
			}
			value, limit, err := one.figure(match, wider)
			if err != nil {
				return fmt.Errorf("%q: %w", match[0], err)
			}
			found = true
			hold(strings.Join(strings.Fields(match[0]), " "), value, limit, "x")
		}
		if !found {
			return fmt.Errorf("no line matches %s", one.pattern)
		}
	}
	return nil
}

// figure takes the figure and its limit out of a match.
func (b bound) figure(match []string, wider func(bound, spread float64) float64) (value, limit float64, err error) {
	limit = b.value
	for i, text := range match[1:] {
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, 0, err
		}
		if b.pattern.SubexpNames()[i+1] == "spread" {
			limit = wider(limit, number)
		} else {
			value = number
		}
	}
	return value, limit, nil
}
