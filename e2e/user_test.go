package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// As root the server gives that up for the user cloister, whom make setup makes.

// nobody is the ordinary user of tests that run as root.
const nobody = 65534

// ordinaryVariable tells serve to start servers as nobody.
const ordinaryVariable = "SERVE_AS_ORDINARY_USER"

// asOrdinary lets the servers of a script run as an ordinary user, with the engine and the models of root.
func asOrdinary(e *testscript.Env) error {
	bin := filepath.Join(e.WorkDir, "bin")
	program, err := lookPath(e.Getenv("PATH"), "cloister")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(program) // the folder that it is in is root's alone
	if err != nil {
		return err
	}
	e.Setenv("PATH", bin+":"+e.Getenv("PATH"))
	e.Setenv("XDG_DATA_HOME", "/var/lib") // which has root's folder cloister
	e.Setenv(ordinaryVariable, "yes")
	return errors.Join(
		os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "cloister"), text, 0o755),
		os.Chown(e.WorkDir, nobody, nobody), os.Chown(e.Getenv("HOME"), nobody, nobody),
	)
}

// ordinaryUser is who a server of such a script runs as.
func ordinaryUser() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// reachable lets that user pass a script's folder, and the one above it.
func reachable(work string) error {
	for _, dir := range []string{filepath.Dir(work), work} {
		if err := os.Chmod(dir, 0o711); err != nil { // what is below has its own mode
			return err
		}
	}
	return nil
}

// giveData gives a data directory that a script has made to that user.
func giveData(work string, args []string) error {
	for i := range args[:len(args)-1] {
		if args[i] != "--data" || os.Geteuid() != 0 {
			continue
		}
		dir := args[i+1]
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(work, dir)
		}
		if _, err := os.Stat(dir); err != nil {
			return nil //nolint:nilerr // the server makes it
		}
		found, err := user.Lookup("cloister")
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(found.Uid) // they are numbers on Linux
		gid, _ := strconv.Atoi(found.Gid)
		return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, uid, gid)
		})
	}
	return nil
}
