package local

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// swapOn reports whether this host has swap space in use.
func swapOn() (bool, error) {
	text, err := os.ReadFile("/proc/swaps")
	if os.IsNotExist(err) { // a kernel without swap
		return false, nil
	}
	return strings.Count(strings.TrimSpace(string(text)), "\n") > 0, err
}

// tmpfsNoswap reports whether the kernel knows tmpfs's noswap (Linux 6.4), by asking it for a file system
// that is mounted nowhere.
func tmpfsNoswap() bool {
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.FsconfigSetFlag(fd, "noswap") == nil && unix.FsconfigCreate(fd) == nil
}
