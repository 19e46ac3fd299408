package sandbox

import (
	"fmt"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// denied are system calls that a training process has no use for and that reach beyond a sandbox: mounts and
// namespaces, other processes' memory, kernel keys, tracing, modules, clocks. They fail with EPERM.
func denied() []string {
	return []string{
		"unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
		"fspick", "mount_setattr", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "ptrace",
		"process_vm_writev", "process_vm_readv", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module",
		"reboot", "swapon", "swapoff", "acct", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "quotactl",
		"name_to_handle_at", "open_by_handle_at", "syslog", "fanotify_init", "personality", "kcmp", "pidfd_getfd", "vhangup",
		"lookup_dcookie", "mbind", "set_mempolicy", "migrate_pages", "move_pages", "nfsservctl", "modify_ldt", "sysfs", "uselib",
		"ustat", "iopl", "ioperm", "process_madvise", "pidfd_send_signal", "process_mrelease",
	}
}

// absent are answered ENOSYS, so that libraries fall back: clone3 hides its flags from a filter, io_uring
// makes system calls that no filter sees.
func absent() []string {
	return []string{"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"}
}

// newest is the first system call number that this filter does not know; it and all above are answered
// ENOSYS, on which libraries fall back. Numbers from 424 on are the same on every architecture. What is
// below and in between: 443 is quotactl_fd, 447 memfd_secret.
// Source: the kernel's scripts/syscall.tbl.
const newest = 450

func absentNumbers() []uint32 { return []uint32{443, 447} }

// namespaceFlags are those of clone(2) that make namespaces.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// filter is the seccomp program. A network namespace does not confine AF_VSOCK and others, hence the list
// of socket families. Another architecture's system calls kill the process.
func filter() ([]bpf.Instruction, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	known := func(names []string) []string { // some calls do not exist on every architecture
		var out []string
		for _, name := range names {
			if _, ok := info.SyscallNames[name]; ok {
				out = append(out, name)
			}
		}
		return out
	}
	var family seccomp.ArgumentConditions
	for _, allowed := range []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} {
		family = append(family, seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: allowed})
	}
	cloneFlags := uint32(0) // the first argument, but on s390, which is not served
	// The library's program does not load the number again after it has looked at an argument. So groups with
	// conditions come last, and all conditions on one call stand in one group. The probe and the suite try each.
	policy := seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionErrno, Names: known(denied())},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: known(absent())},
			{Action: seccomp.ActionErrno, NamesWithCondtions: []seccomp.NameWithConditions{{
				Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: cloneFlags, Operation: seccomp.BitsSet, Value: namespaceFlags}},
			}}},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.EAFNOSUPPORT), NamesWithCondtions: []seccomp.NameWithConditions{
				{Name: "socket", Conditions: family},
				{Name: "socket", Conditions: seccomp.ArgumentConditions{ // netfilter, audit and others
					{Argument: 0, Operation: seccomp.Equal, Value: unix.AF_NETLINK}, {Argument: 2, Operation: seccomp.NotEqual, Value: unix.NETLINK_ROUTE},
				}},
				{Name: "socketpair", Conditions: family},
			}},
		},
	}
	program, err := policy.Assemble()
	if err != nil {
		return nil, err
	}
	// The library lets another architecture through to the default action, which here is to allow.
	const numberOffset, archOffset = 0, 4
	enosys := bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
	head := []bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: numberOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: newest, SkipTrue: 1},
		enosys,
	}
	for _, number := range absentNumbers() {
		head = append(head, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: number, SkipTrue: 1}, enosys)
	}
	return append(head, program...), nil
}

// loadFilter installs the filter on this thread, for ever and for everything that it becomes.
func loadFilter() error {
	program, err := filter()
	if err != nil {
		return fmt.Errorf("assemble: %w", err)
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}                                                  //nolint:gosec // some hundred
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // the call's own form
	if errno != 0 {
		return errno
	}
	return nil
}
