package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Cost is what a process took from its start to its end.
type Cost struct {
	// Wall is the time that passed, CPU user plus system time.
	Wall, CPU time.Duration
	// PeakRSS is bytes. It is never less than this process's own: the kernel counts from the fork on.
	PeakRSS int64
}

// MiB is the peak memory.
func (c Cost) MiB() float64 { return float64(c.PeakRSS) / (1 << 20) }

// Spend runs a program to its end with env over the environment less AWS's variables. It fails with what the program wrote to its standard
// error if that ends with anything but 0.
func Spend(ctx context.Context, env []string, program string, args ...string) (c Cost, err error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program under test
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	cmd.Env = append(cmd.Env, env...)
	var problems strings.Builder
	cmd.Stderr = &problems
	start := Now()
	err = cmd.Run()
	c.Wall = Now().Sub(start)
	if err != nil {
		return c, fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, problems.String())
	}
	c.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.PeakRSS = usage.Maxrss << 10 // getrusage(2): kilobytes
	}
	return c, nil
}
