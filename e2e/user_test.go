package e2e_test

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// As root the server gives that up for the user cloister, whom make setup makes.

// reachable lets that user pass a script's folder, and the one above it.
func reachable(work string) error {
	for _, dir := range []string{filepath.Dir(work), work} {
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // what is below has its own mode
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
