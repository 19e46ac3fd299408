package netd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/sandbox"
)

// conn is one end of the socket. Sending is safe for concurrent use; one goroutine receives.
type conn struct {
	file *os.File
	mu   sync.Mutex // one packet at a time
}

// pair makes a connected pair of sockets.
func pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("netd: socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "netd client"), os.NewFile(uintptr(fds[1]), "netd server"), nil
}

// send sends a message with descriptors, which stay the caller's.
func (c *conn) send(v any, files ...*os.File) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > sandbox.MaxPacket {
		return fmt.Errorf("netd: a message of %d bytes is too long", len(text))
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return sandbox.SendPacket(c.file, text, fds)
}

// close ends the connection for both ends, those who wait to receive included: closing alone would wait for them.
func (c *conn) close() error {
	raw, err := c.file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	return errors.Join(err, c.file.Close())
}

func (c *conn) receive(v any) ([]*os.File, error) {
	text, files, err := sandbox.ReceivePacket(c.file)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return nil, errors.Join(err, closeAll(files))
	}
	return files, nil
}

func closeAll(files []*os.File) error {
	var failures []error
	for _, f := range files {
		failures = append(failures, f.Close())
	}
	return errors.Join(failures...)
}

// large is the size from which arguments and results go into an anonymous file, in bytes.
const large = sandbox.MaxPacket / 2

// putAway puts a text that is too long for a packet into an anonymous file.
func putAway(text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("netd message", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "message")
	if _, err := file.Write(text); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// mostMessage bounds such a file, in bytes.
const mostMessage = 256 << 20

// takeOut reads the last of the descriptors, and returns the others.
func takeOut(files []*os.File) (text []byte, rest []*os.File, err error) {
	if len(files) == 0 {
		return nil, nil, errors.New("netd: a long message came without its file")
	}
	last := files[len(files)-1]
	defer func() { _ = last.Close() }()
	text, err = io.ReadAll(io.NewSectionReader(last, 0, mostMessage))
	return text, files[:len(files)-1], err
}

// answer sends a reply.
func (c *conn) answer(r reply, result any, files ...*os.File) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	if len(text) < large {
		r.Result = text
		return c.send(r, files...)
	}
	file, err := putAway(text)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r.Large = true
	return c.send(r, append(files, file)...)
}

// ask sends a request.
func (c *conn) ask(r request, files ...*os.File) error {
	if len(r.Args) < large {
		return c.send(r, files...)
	}
	file, err := putAway(r.Args)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r.Args, r.Large = nil, true
	return c.send(r, append(files, file)...)
}

// result takes the result out of a reply, and returns the descriptors that are left.
func (r *reply) result(v any, files []*os.File) ([]*os.File, error) {
	text := []byte(r.Result)
	if r.Large {
		var err error
		if text, files, err = takeOut(files); err != nil {
			return files, err
		}
	}
	if v == nil || len(text) == 0 {
		return files, nil
	}
	return files, json.Unmarshal(text, v)
}
