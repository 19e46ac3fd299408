package sandbox

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// SendPacket sends one packet with descriptors over a SOCK_SEQPACKET socket. The socket blocks: its users have a thread for it.
func SendPacket(conn *os.File, text []byte, fds []int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	var sendErr error
	if err := raw.Control(func(fd uintptr) {
		sendErr = retry(func() error { return unix.Sendmsg(int(fd), text, rights, nil, unix.MSG_NOSIGNAL) })
	}); err != nil {
		return err
	}
	return sendErr
}

// ReceivePacket receives one packet of at most MaxPacket bytes and the descriptors that came with it, at most eight, all closed on
// exec. It returns io.EOF when the other end is gone.
func ReceivePacket(conn *os.File) ([]byte, []*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	buf, oob := make([]byte, MaxPacket+1), make([]byte, unix.CmsgSpace(8*4))
	var n, oobn, flags int
	var readErr error
	if err := raw.Control(func(fd uintptr) {
		readErr = retry(func() (err error) {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), buf, oob, unix.MSG_CMSG_CLOEXEC)
			return err
		})
	}); err != nil {
		return nil, nil, err
	}
	if readErr != nil {
		return nil, nil, readErr
	}
	if n == 0 {
		return nil, nil, io.EOF
	}
	files, err := descriptors(oob[:oobn])
	if err != nil {
		return nil, nil, err
	}
	if n > MaxPacket || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		return nil, nil, fmt.Errorf("packet of %d bytes was cut", n)
	}
	return buf[:n], files, nil
}

func descriptors(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR { //nolint:errorlint // a bare errno of the system call
			return err
		}
	}
}
