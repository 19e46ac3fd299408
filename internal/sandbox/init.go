package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runInit is process 1 of a sandbox: it builds the root, then runs what it is asked to, one process at a
// time, reaps, and ends when the other end of the control socket does.
func runInit() int {
	runtime.LockOSThread()
	if err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return 1
	}
	// In a user namespace the job has this process's user id: this closes /proc/1 to it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 1
	}
	conn := os.NewFile(3, "control")
	in := &initProcess{conn: conn, requests: make(chan packet)}
	text, _, err := ReceivePacket(conn)
	if err != nil {
		return 1
	}
	var first request
	if err := json.Unmarshal(text, &first); err != nil || first.Config == nil {
		return 1
	}
	in.config = *first.Config
	scratch, err := buildRoot(in.config)
	if err != nil {
		in.answer(reply{Error: err.Error()}, nil)
		return 1
	}
	in.answer(reply{Ready: true}, []int{int(scratch.Fd())})
	_ = scratch.Close()
	go in.listen()
	if in.config.SuperviseBytes > 0 {
		go in.supervise()
	}
	for p := range in.requests {
		in.serve(p)
	}
	return 0
}

type packet struct {
	message
	files []*os.File
	// killed says that this process is to be killed; it may not have been started yet.
	killed *atomic.Bool
}

type initProcess struct {
	config   Config
	conn     *os.File
	requests chan packet
	// over says that the supervisor has killed what runs.
	over atomic.Bool
}

func (in *initProcess) answer(r reply, fds []int) {
	text, err := json.Marshal(r)
	if err == nil {
		err = SendPacket(in.conn, text, fds)
	}
	if err != nil {
		os.Exit(1) // nobody is there to hear: everything ends with this process
	}
}

// listen reads requests. Its end is the sandbox's: the program that made it is gone.
func (in *initProcess) listen() {
	killed := &atomic.Bool{} // of the process that was asked for last
	for {
		text, files, err := ReceivePacket(in.conn)
		if err != nil {
			os.Exit(0)
		}
		var r request
		if err := json.Unmarshal(text, &r); err != nil {
			os.Exit(1)
		}
		switch {
		case r.Kill:
			killed.Store(true) // before killAll: serve looks at it after it has forked
			killAll()
		case r.Process != nil:
			killed = &atomic.Bool{}
			in.requests <- packet{*r.Process, files, killed}
		}
	}
}

// killAll kills every process of the sandbox but this one: process 1 may signal -1 safely.
func killAll() { _ = unix.Kill(-1, unix.SIGKILL) }

// serve runs one process and everything that it starts, until nothing of it is left.
func (in *initProcess) serve(p packet) {
	in.over.Store(false)
	start := time.Now() //nolint:forbidigo // a stop watch
	pid, err := in.start(p)
	for _, f := range p.files {
		_ = f.Close()
	}
	if err != nil {
		in.answer(reply{Error: "start the process: " + err.Error()}, nil)
		return
	}
	if p.killed.Load() { // the kill came before there was anything to kill
		killAll()
	}
	exit := Exit{}
	for running := true; ; {
		var status unix.WaitStatus
		var usage unix.Rusage
		reaped, err := unix.Wait4(-1, &status, 0, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil { // ECHILD: nothing is left
			break
		}
		if running && reaped == pid && (status.Exited() || status.Signaled()) {
			running = false
			exit = Exit{
				Code: status.ExitStatus(), PeakRSS: usage.Maxrss << 10, Wall: time.Since(start),
				CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
			}
			if status.Signaled() {
				exit.Code = 128 + int(status.Signal())
			}
			killAll() // what the process left behind
		}
	}
	exit.OverMemory = in.over.Load()
	in.answer(reply{Exit: &exit}, nil)
}

// start starts the exec stage, which becomes the process.
func (in *initProcess) start(p packet) (int, error) {
	want := 3
	if p.Control {
		want = 4
	}
	if len(p.files) != want {
		return 0, fmt.Errorf("%d descriptors came along, want %d", len(p.files), want)
	}
	fds := make([]uintptr, want)
	for i, f := range p.files {
		fds[i] = f.Fd()
	}
	dir := p.Dir
	if dir == "" {
		dir = "/scratch"
	}
	plan, err := json.Marshal(execPlan{
		Argv: p.Argv, Env: p.Env, UID: in.config.UID, UserNamespace: in.config.UserNamespace, CPUs: in.config.CPUs, Pids: in.config.Pids,
		Control: p.Control,
	})
	if err != nil {
		return 0, err
	}
	return syscall.ForkExec("/proc/self/exe", []string{execStage}, &syscall.ProcAttr{ //nolint:gosec // this program
		Dir: dir, Env: []string{planVariable + "=" + string(plan)}, Files: fds, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
}

// superviseEvery is how often the supervisor looks.
const superviseEvery = 250 * time.Millisecond

// supervise kills everything when processes and memory file systems hold more than they may. It stands in
// for a cgroup where there is none; between two looks more can be used.
func (in *initProcess) supervise() {
	for range time.Tick(superviseEvery) {
		if memoryInUse() > in.config.SuperviseBytes {
			in.over.Store(true)
			killAll()
		}
	}
}

// memoryInUse is the anonymous memory of all processes but this one, and what /scratch and /dev/shm hold.
func memoryInUse() int64 {
	total := int64(0)
	for _, dir := range []string{"/scratch", "/dev/shm"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil {
			total += int64(st.Blocks-st.Bfree) * st.Bsize //nolint:gosec // bounded by the size of the tmpfs
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return total
	}
	for _, e := range entries {
		if e.Name() == "1" || e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		text, err := os.ReadFile("/proc/" + e.Name() + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				var kib int64
				if _, err := fmt.Sscan(rest, &kib); err == nil {
					total += kib << 10
				}
			}
		}
	}
	return total
}
