package escape

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Probe is one way out.
type Probe struct {
	Name    string
	Group   Group
	Control Place // where it succeeds

	// parallel says that it may run beside others: it changes nothing.
	parallel bool
	// try returns nil if it got through, a broken error if it could not try, and else why it was refused.
	try func(*call) error
}

// List returns all probes, in the order in which they run.
func List() []Probe {
	var all []Probe
	for _, group := range []struct {
		name   Group
		probes []Probe
	}{
		{Network, slices.Concat(reachProbes(), dnsProbes(), forgeProbes())},
		{Sockets, socketProbes()},
		{Namespaces, namespaceProbes()},
		{Files, fileProbes()},
		{Processes, processProbes()},
		{Kernel, kernelProbes()},
		{Resources, resourceProbes()},
	} {
		for _, p := range group.probes {
			p.Group, p.Control = group.name, cmp.Or(p.Control, Uplink)
			all = append(all, p)
		}
	}
	return all
}

// Names returns the names of all probes.
func Names() []string {
	var names []string
	for _, p := range List() {
		names = append(names, p.Name)
	}
	return names
}

// call is what a probe gets, and where it notes what it did.
type call struct {
	Targets
	ctx      context.Context //nolint:containedctx // lives as long as the one probe
	name     string
	patience time.Duration
	detail   string
	sent     []Packet
}

// brokenError says that a probe could not try.
type brokenError struct{ err error }

func (e brokenError) Error() string { return e.err.Error() }

func broken(format string, values ...any) error { return brokenError{fmt.Errorf(format, values...)} }

// Names under which this program starts itself, its argument 0.
const (
	driverName = "cloister-escape"
	oneName    = "cloister-escape-one"
	victimName = "escape-victim" // at most 15 characters: it is the process's comm, too
	idleName   = "cloister-escape-idle"
)

// Staged reports whether this process was started as the program by Outer, or by the program itself. A program of tests that
// uses Outer asks first of all, and then exits with what Main returns.
func Staged() bool {
	return len(os.Args) > 0 && slices.Contains([]string{driverName, oneName, victimName, idleName}, os.Args[0])
}

// self is this program under another name.
func self(ctx context.Context, name string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args[0] = name
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Main is the program: it reads an Input, runs probes, each in a process of its own, and prints their Reports. It returns 0 if
// all could be tried, 1 if one is broken, 2 for a wrong input.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) int {
	switch args[0] {
	case idleName:
		return 0
	case victimName:
		return beVictim(stdin)
	}
	in, err := readInput(args[1:], stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "escape:", err)
		return 2
	}
	if in.Serve.IsValid() {
		return serveFor(ctx, in.Serve, stdout)
	}
	if args[0] == oneName {
		return one(ctx, in, stdout)
	}
	return drive(ctx, in, stdout)
}

func readInput(args []string, stdin io.Reader) (in Input, err error) {
	if len(args) > 0 {
		stdin = strings.NewReader(args[0])
	}
	dec := json.NewDecoder(stdin)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return in, fmt.Errorf("input: %w", err)
	}
	names := Names()
	for _, name := range in.Probes {
		if !slices.Contains(names, name) {
			return in, fmt.Errorf("no probe is called %q", name)
		}
	}
	return in, nil
}

// together is how many probes run beside each other.
const together = 8

// drive runs the probes that were asked for and prints their reports as they come.
func drive(ctx context.Context, in Input, stdout io.Writer) int {
	var lock sync.Mutex // guards code and stdout
	code := 0
	out := json.NewEncoder(stdout)
	run := func(p Probe) {
		r := runOne(ctx, p, in)
		lock.Lock()
		defer lock.Unlock()
		if err := out.Encode(r); err != nil || r.Outcome == Broken {
			code = 1
		}
	}
	slots := make(chan struct{}, together)
	var wait sync.WaitGroup
	for _, p := range List() {
		switch {
		case len(in.Probes) > 0 && !slices.Contains(in.Probes, p.Name):
		case p.parallel:
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				run(p)
			})
		default:
			wait.Wait()
			run(p)
		}
	}
	wait.Wait()
	return code
}

// runOne runs p in a process of its own: what it changes of itself ends with it, and a kill is a refusal.
func runOne(ctx context.Context, p Probe, in Input) Report {
	r := Report{Name: p.Name, Group: p.Group, Outcome: Broken}
	in.Probes = []string{p.Name}
	input, err := json.Marshal(in)
	if err != nil {
		r.Detail = err.Error()
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, in.patience()+30*time.Second)
	defer cancel()
	cmd := self(ctx, oneName)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	switch status, ended := cmd.ProcessState.Sys().(syscall.WaitStatus); {
	case err == nil && json.Unmarshal(out, &r) == nil:
	case ended && status.Signaled() && (status.Signal() == unix.SIGSYS || status.Signal() == unix.SIGKILL && ctx.Err() == nil):
		r.Outcome, r.Detail = Refused, "killed: "+status.Signal().String()
	default:
		text := stderr.String()
		r.Detail = fmt.Sprintf("the probe ended without a report: %v: %s", err, text[:min(len(text), 300)])
	}
	return r
}

// one runs the one probe that the input names, in this process.
func one(ctx context.Context, in Input, stdout io.Writer) int {
	for _, p := range List() {
		if !slices.Contains(in.Probes, p.Name) {
			continue
		}
		c := &call{Targets: in.Targets, ctx: ctx, name: p.Name, patience: in.patience()}
		r := Report{Name: p.Name, Group: p.Group, Outcome: Succeeded}
		if err := p.try(c); errors.As(err, &brokenError{}) {
			r.Outcome, c.detail = Broken, err.Error()
		} else if err != nil {
			r.Outcome, c.detail = Refused, err.Error()
		}
		r.Detail, r.Sent = c.detail, c.sent
		if err := json.NewEncoder(stdout).Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

// serveFor is a neighbour of a job: it answers until ctx ends, or it is killed.
func serveFor(ctx context.Context, at netip.AddrPort, stdout io.Writer) int {
	out := json.NewEncoder(stdout)
	o := &Outer{ctx: ctx, told: func(a Arrival) { _ = out.Encode(a) }} // whoever does not listen is not told
	err := o.listen(at.String())
	if err == nil {
		_, err = fmt.Fprintln(stdout, "ready")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "escape:", err)
		return 2
	}
	<-ctx.Done()
	return 0
}

// beVictim is a process to attack: it lives until its input ends.
func beVictim(stdin io.Reader) int {
	if err := os.WriteFile("/proc/self/comm", []byte(victimName), 0); err != nil {
		return 1
	}
	fmt.Println("ready") //nolint:forbidigo // its starter waits for it
	_, _ = io.Copy(io.Discard, stdin)
	return 0
}
