package harness

import (
	"errors"
	"os"
)

// TempDir makes a folder for a benchmark's files, which the caller removes. Others may pass through it, and not list it: a server
// that root starts is another user.
func TempDir() (string, error) {
	dir, err := os.MkdirTemp("", "cloister-bench-")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // as the comment says
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}
