package escape

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelProbes make calls with which kernels were broken before, or which reach beyond namespaces.
func kernelProbes() []Probe {
	return []Probe{
		{Name: "bpf", try: (*call).bpf},
		{Name: "perf", try: (*call).perf},
		{Name: "io-uring", try: (*call).ioUring},
		{Name: "userfaultfd", try: func(*call) error { return raw(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0) }},
		{Name: "keyring", try: func(*call) error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
			return err
		}},
		{Name: "memfd-secret", try: func(*call) error {
			fd, err := unix.MemfdSecret(0)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}},
		{Name: "fanotify", try: func(*call) error {
			fd, err := unix.FanotifyInit(unix.FAN_CLOEXEC, unix.O_RDONLY)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}},
		{Name: "kernel-log", try: func(*call) error {
			const sizeBuffer = 10 // SYSLOG_ACTION_SIZE_BUFFER: asks, and changes nothing
			_, err := unix.Klogctl(sizeBuffer, nil)
			return err
		}},
		{Name: "kernel-load", try: (*call).load},
	}
}

// raw makes a call that returns a descriptor.
func raw(number, first, second, third uintptr) error {
	fd, _, errno := unix.Syscall(number, first, second, third)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// bpf makes a map of one element.
func (c *call) bpf() error {
	attr := [6]uint32{unix.BPF_MAP_TYPE_ARRAY, 4, 4, 1}                                                // type, bytes of a key, of a value, elements
	return raw(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)) //nolint:gosec // the call's own form
}

// perf counts this process's own clock.
func (c *call) perf() error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// ioUring makes a ring, by which calls are made that no filter sees.
func (c *call) ioUring() error {
	var params [120]byte                                                        // struct io_uring_params
	return raw(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&params)), 0) //nolint:gosec // the call's own form
}

// load asks for another kernel, and for code in this one, with arguments that a kernel which gets so far refuses as invalid:
// it succeeds if the kernel looked at them.
func (c *call) load() error {
	_, _, kexec := unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 1<<20, 0, 0, 0, 0) // more segments than there may be
	module := unix.InitModule(nil, "")
	if kexec == unix.EINVAL || errors.Is(module, unix.ENOEXEC) {
		return nil
	}
	return errors.Join(kexec, module)
}
