package escape

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processProbes reach other processes than the job's own, or become somebody else.
func processProbes() []Probe {
	return []Probe{
		{Name: "see-processes", try: (*call).see},
		{Name: "ptrace", try: (*call).ptrace},
		{Name: "read-memory", try: (*call).readMemory},
		{Name: "steal-descriptor", try: (*call).stealDescriptor},
		{Name: "kill", try: (*call).kill},
		{Name: "change-user", try: (*call).changeUser},
		{Name: "capabilities", try: (*call).capabilities},
	}
}

// see looks for a process of the host by its name.
func (c *call) see() error {
	if c.VictimName == "" {
		return broken("no target")
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		comm, err := os.ReadFile("/proc/" + e.Name() + "/comm")
		if err == nil && strings.TrimSpace(string(comm)) == c.VictimName {
			c.detail = "process " + e.Name()
			return nil
		}
	}
	return errors.New("no process of the host is visible")
}

// ptrace seizes the victim, which does not stop it; it is let go when this process ends.
func (c *call) ptrace() error {
	if c.Victim <= 0 {
		return broken("no target")
	}
	runtime.LockOSThread()
	return unix.PtraceSeize(c.Victim)
}

// readMemory reads where a program of Go begins. EFAULT says that one may read, but that nothing is there.
func (c *call) readMemory() error {
	if c.Victim <= 0 {
		return broken("no target")
	}
	const begin = 0x400000
	buf := make([]byte, 4)
	_, err := unix.ProcessVMReadv(c.Victim, []unix.Iovec{{Base: &buf[0], Len: 4}}, []unix.RemoteIovec{{Base: begin, Len: 4}}, 0)
	if errors.Is(err, unix.EFAULT) {
		return nil
	}
	c.detail = fmt.Sprintf("%x", buf)
	return err
}

// stealDescriptor copies the victim's standard output.
func (c *call) stealDescriptor() error {
	if c.Victim <= 0 {
		return broken("no target")
	}
	fd, err := unix.PidfdOpen(c.Victim, 0)
	if err != nil {
		return err
	}
	stolen, err := unix.PidfdGetfd(fd, 1, 0)
	if err != nil {
		return err
	}
	return unix.Close(stolen)
}

// kill kills the doomed process and looks whether it died: process 1 of a namespace takes the signal and lives.
func (c *call) kill() error {
	if c.Doomed <= 0 {
		return broken("no target")
	}
	if err := unix.Kill(c.Doomed, unix.SIGKILL); err != nil {
		return err
	}
	for range 20 {
		stat, err := os.ReadFile(procOf(c.Doomed, "stat"))
		_, state, _ := bytes.Cut(stat, []byte(") "))
		if errors.Is(unix.Kill(c.Doomed, 0), unix.ESRCH) || err == nil && bytes.HasPrefix(state, []byte("Z")) {
			return nil
		}
		time.Sleep(c.patience / 20)
	}
	return errors.New("it was signalled and lives")
}

// changeUser becomes a user that neither the job nor its service is.
func (c *call) changeUser() error {
	const somebody = 54321
	return unix.Setresuid(somebody, somebody, somebody)
}

// capabilities takes all that one may have.
func (c *call) capabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return broken("%w", err)
	}
	data[0].Effective, data[1].Effective = data[0].Permitted, data[1].Permitted
	runtime.LockOSThread()
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Effective|data[1].Effective == 0 {
		return errors.New("there are none to have")
	}
	c.detail = fmt.Sprintf("%08x%08x", data[1].Effective, data[0].Effective)
	return nil
}
