package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	// CPU is user plus system time, in ticks of 10 ms.
	CPU time.Duration
	// RSS and PeakRSS are bytes.
	RSS, PeakRSS int64
}

// tick is USER_HZ, which Linux has fixed for /proc/PID/stat on every architecture Go runs on. Source: proc(5).
const tick = 10 * time.Millisecond

// UsageOf reads a process's usage.
func UsageOf(pid int) (Usage, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, err
	}
	cpu, err := parseStat(string(stat))
	if err != nil {
		return Usage{}, err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Usage{}, err
	}
	return Usage{CPU: cpu, RSS: statusBytes(string(status), "VmRSS"), PeakRSS: statusBytes(string(status), "VmHWM")}, nil
}

// parseStat reads utime and stime, fields 14 and 15; the name in field 2 may contain anything.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%q is not a line of /proc/PID/stat", stat)
	}
	var total time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		total += time.Duration(n) * tick
	}
	return total, nil
}

func statusBytes(status, name string) int64 {
	for line := range strings.Lines(status) {
		var kib int64
		if _, err := fmt.Sscanf(line, name+": %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

// statusNumber is a number in /proc/PID/status, 0 if it is not there.
func statusNumber(status, name string) int {
	for line := range strings.Lines(status) {
		var n int
		if _, err := fmt.Sscanf(line, name+": %d", &n); err == nil {
			return n
		}
	}
	return 0
}
