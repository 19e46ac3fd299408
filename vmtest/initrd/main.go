// Command initrd writes an initial RAM disk for the virtual machine of `make test-vm`: a cpio archive in the
// "newc" form that Linux unpacks as its first root, uncompressed, because emulated processors are slow at
// that. Hosts need no cpio program for it.
//
//	initrd -o FILE NAME=SOURCE... : SOURCE, a file or a link, becomes NAME; folders above are made
//
// Names are read from standard input too, one a line, as NAME alone: the same path on the host. Source: the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "initrd.cpio", "the archive to write")
	flag.Parse()
	if err := write(*out, flag.Args(), os.Stdin); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "initrd:", err)
		os.Exit(1)
	}
}

// write makes the archive from NAME=SOURCE arguments and a list of host paths.
func write(name string, args []string, list io.Reader) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriter(file)
	a := &archive{out: buffered, have: map[string]bool{}}
	for _, arg := range args {
		name, source, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=SOURCE", arg)
		}
		if err := a.add(name, source); err != nil {
			return err
		}
	}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		if err := a.add(lines.Text(), lines.Text()); err != nil {
			return err
		}
	}
	if err := a.entry("TRAILER!!!", 0, time.Time{}, nil); err != nil {
		return err
	}
	return buffered.Flush()
}

// Modes of entries. Source: inode(7).
const (
	modeFile   = 0o100000
	modeFolder = 0o040000
	modeLink   = 0o120000
)

type archive struct {
	out  io.Writer
	have map[string]bool
	node int
}

// add copies a file, a link or, empty, a folder of the host; what is there already is left.
func (a *archive) add(name, source string) error {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" || a.have[name] {
		return nil
	}
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	if err := a.folders(path.Dir(name)); err != nil {
		return err
	}
	if a.have[name] {
		return nil
	}
	a.have[name] = true
	switch info.Mode().Type() {
	case fs.ModeDir:
		return a.entry(name, modeFolder|uint32(info.Mode().Perm()), info.ModTime(), nil)
	case fs.ModeSymlink:
		target, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return a.entry(name, modeLink|0o777, info.ModTime(), []byte(target))
	case 0:
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		return a.entry(name, modeFile|uint32(info.Mode().Perm()), info.ModTime(), text)
	default:
		return fmt.Errorf("%s is neither file, folder nor link", source)
	}
}

// folders makes the folders above an entry.
func (a *archive) folders(name string) error {
	if name == "." || a.have[name] {
		return nil
	}
	if err := a.folders(path.Dir(name)); err != nil {
		return err
	}
	a.have[name] = true
	return a.entry(name, modeFolder|0o755, time.Time{}, nil)
}

// entry writes a header, the name and the content, each padded to four bytes. Python compares a source's time
// with that in its byte code, so times are kept.
func (a *archive) entry(name string, mode uint32, at time.Time, content []byte) error {
	a.node++
	seconds := int64(0)
	if !at.IsZero() {
		seconds = at.Unix()
	}
	fields := []any{a.node, mode, 0, 0, 1, seconds, len(content), 0, 0, 0, 0, len(name) + 1, 0}
	head := "070701" + fmt.Sprintf(strings.Repeat("%08X", len(fields)), fields...) + name + "\x00"
	for _, part := range []string{head, padding(len(head)), string(content), padding(len(content))} {
		if _, err := io.WriteString(a.out, part); err != nil {
			return err
		}
	}
	return nil
}

func padding(n int) string { return "\x00\x00\x00"[:(4-n%4)%4] }
