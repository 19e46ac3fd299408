package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/rootseal"
	"example.com/cloister/internal/store"
)

const (
	lockFile     = "lock"
	endpointFile = "endpoint.json"
)

// ErrNotRunning says that no server runs on a data directory.
var ErrNotRunning = errors.New("no server runs on this data directory")

// A command that looks whether a server runs (ReadEndpoint) holds the lock for an instant: a server that
// starts just then tries again.
const (
	lockTries = 10
	lockPause = 20 * time.Millisecond
)

// becomeOnly is takeLock with patience for commands that look.
func becomeOnly(ctx context.Context, data string) (file *os.File, err error) {
	for range lockTries {
		if file, err = takeLock(data); err == nil {
			return file, nil
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, err
}

// takeLock makes this process the only server of a data directory; the lock ends with the process.
func takeLock(data string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(data, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another server runs on %s: stop it, or use another --data", data), file.Close())
	}
	return file, nil
}

// Endpoint is where a running server is.
type Endpoint struct {
	URL    string `json:"endpoint"`
	Admin  string `json:"admin"`
	CA     string `json:"ca"`
	Region string `json:"region"`
	PID    int    `json:"pid"`
}

func (e Endpoint) write(data string) error {
	text, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	temp := filepath.Join(data, endpointFile+".new")
	if err := os.WriteFile(temp, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(data, endpointFile))
}

// ReadEndpoint finds the server that runs on a data directory, or returns ErrNotRunning.
func ReadEndpoint(data string) (Endpoint, error) {
	text, err := os.ReadFile(filepath.Join(data, endpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, fmt.Errorf("%w (%s): start 'cloister serve', or name another with --data", ErrNotRunning, data)
	}
	if err != nil {
		return Endpoint{}, err
	}
	var e Endpoint
	if err := json.Unmarshal(text, &e); err != nil {
		return Endpoint{}, fmt.Errorf("%s: %w", endpointFile, err)
	}
	if lock, err := takeLock(data); err == nil { // a server that was killed left its file
		return Endpoint{}, errors.Join(fmt.Errorf("%w (%s): start 'cloister serve'", ErrNotRunning, data), lock.Close())
	}
	return e, nil
}

// ReadRootCredential reads the root's access key from a data directory, whether or not a server runs.
func ReadRootCredential(ctx context.Context, data string, account cloister.AccountID) (iam.Credential, error) {
	if _, err := os.Stat(filepath.Join(data, "cloister.db")); err != nil {
		return iam.Credential{}, fmt.Errorf("%s has no database yet: start 'cloister serve' once", data)
	}
	db, err := store.OpenReader(ctx, filepath.Join(data, "cloister.db"))
	if err != nil {
		return iam.Credential{}, err
	}
	defer func() { _ = db.Close() }() // only read from
	seal, err := rootseal.OpenFile(filepath.Join(data, "root.key"))
	if err != nil {
		return iam.Credential{}, err
	}
	key, err := db.IAM().RootKey(ctx, account)
	if err != nil {
		return iam.Credential{}, fmt.Errorf("no access key for account %s: %w", account, err)
	}
	return iam.New(iam.Config{Account: account, Store: db.IAM(), Seal: seal, Now: time.Now}).Credential(ctx, key.ID) //nolint:forbidigo // not used for reading
}
