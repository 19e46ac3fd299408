package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// planVariable carries the plan of the exec stage; the process that it becomes does not see it.
const planVariable = "CLOISTER_SANDBOX_PLAN"

type execPlan struct {
	Argv, Env     []string
	UID           int
	UserNamespace bool
	CPUs, Pids    int
	// Control says that descriptor 3 is the process's own.
	Control bool
}

// execFailed is the exit status when the process could not be started: nothing of it has run.
const execFailed = 125

// maxFiles bounds open descriptors.
const maxFiles = 65536

// runExec drops every privilege and becomes the process. What fails here is told on standard error, which
// goes where the process's own would.
func runExec() int {
	runtime.LockOSThread() // ids and capabilities are the thread's, and this thread executes
	if err := becomeProcess(); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
	}
	return execFailed
}

func becomeProcess() error {
	var plan execPlan
	if err := json.Unmarshal([]byte(os.Getenv(planVariable)), &plan); err != nil || len(plan.Argv) == 0 {
		return errors.New("no plan")
	}
	// Whatever this program inherited, from a shell or a supervisor, ends here.
	first := uint(3)
	if plan.Control {
		first = 4
	}
	if err := unix.CloseRange(first, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close inherited descriptors (Linux 5.11): %w", err)
	}
	// No core dumps. Where core_pattern is a pipe the limit does not count, and the filter, which survives
	// exec, leaves nothing to dump.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	if err := os.WriteFile("/proc/self/coredump_filter", []byte("0"), 0); err != nil {
		return fmt.Errorf("core filter: %w", err)
	}
	if err := lowerLimit(unix.RLIMIT_NOFILE, maxFiles); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	if plan.UserNamespace && plan.Pids > 0 {
		if err := lowerLimit(unix.RLIMIT_NPROC, uint64(plan.Pids)); err != nil {
			return fmt.Errorf("process limit: %w", err)
		}
	}
	if plan.CPUs > 0 {
		if err := pin(plan.CPUs); err != nil {
			return fmt.Errorf("processors: %w", err)
		}
	}
	if err := dropPrivileges(plan); err != nil {
		return err
	}
	if err := loadFilter(); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return fmt.Errorf("execute %s: %w", plan.Argv[0], syscall.Exec(plan.Argv[0], plan.Argv, plan.Env)) //nolint:gosec // what was asked for
}

func lowerLimit(what int, limit uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(what, &now); err != nil {
		return err
	}
	limit = min(limit, now.Max)
	return unix.Setrlimit(what, &unix.Rlimit{Cur: limit, Max: limit})
}

// pin keeps the process on the first n of its processors.
func pin(n int) error {
	var have, want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil {
		return err
	}
	for cpu := 0; n > 0 && cpu < 8*len(have)*8; cpu++ {
		if have.IsSet(cpu) {
			want.Set(cpu)
			n--
		}
	}
	return unix.SchedSetaffinity(0, &want)
}

// dropPrivileges empties the bounding set, takes the job's ids, empties all capability sets, and makes sure
// that none come back.
func dropPrivileges(plan execPlan) error {
	for c := range 64 {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // above the kernel's last capability
			break
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	if !plan.UserNamespace {
		if plan.UID <= 0 {
			return errors.New("no user id for the process")
		}
		id := uintptr(plan.UID)
		for _, call := range []struct {
			number  uintptr
			a, b, c uintptr
		}{{unix.SYS_SETGROUPS, 0, 0, 0}, {unix.SYS_SETRESGID, id, id, id}, {unix.SYS_SETRESUID, id, id, id}} {
			// Raw: Go's wrappers would change every thread, of which this one alone goes on.
			if _, _, errno := unix.RawSyscall(call.number, call.a, call.b, call.c); errno != 0 {
				return fmt.Errorf("change ids: %w", errno)
			}
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	// Changing ids has cleared it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent death signal: %w", err)
	}
	if os.Getppid() != 1 {
		return errors.New("init is gone")
	}
	return nil
}
