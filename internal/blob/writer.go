package blob

import (
	"errors"
	"fmt"
	"io"
)

// Writer writes one blob. It is not safe for concurrent use.
type Writer struct {
	fs   FileSystem
	id   ID
	f    File
	done bool
	err  error
}

var _ io.Writer = (*Writer)(nil)

var errDone = errors.New("blob: write to a blob that was committed or aborted")

// Write appends p. After an error, ErrFull among them, only Abort is of use.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, errDone
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.f.Write(p)
	if err != nil {
		w.err = fmt.Errorf("write blob: %w", full(err))
	}
	return n, w.err
}

// Commit makes the blob durable and returns its id: the file is synced, renamed into place, and its
// folder synced. If it fails, nothing of the blob is left, now or after a crash and the next Open, except
// when the folder cannot be synced and the file not be removed: then both errors are returned.
func (w *Writer) Commit() (ID, error) {
	if w.done {
		return "", errDone
	}
	if w.err != nil {
		return "", w.err
	}
	w.done = true
	tmp := tmpDir + "/" + string(w.id)
	if err := errors.Join(w.f.Sync(), w.f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("commit blob: %w", full(err)), w.fs.Remove(tmp))
	}
	if err := w.fs.Rename(tmp, w.id.path()); err != nil {
		return "", errors.Join(fmt.Errorf("commit blob: %w", full(err)), w.fs.Remove(tmp))
	}
	if err := w.fs.SyncDir(w.id.shard()); err != nil {
		return "", errors.Join(fmt.Errorf("commit blob: %w", full(err)), w.fs.Remove(w.id.path()))
	}
	return w.id, nil
}

// Abort throws the blob away. It does nothing after Commit or Abort.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	if err := errors.Join(w.f.Close(), w.fs.Remove(tmpDir+"/"+string(w.id))); err != nil {
		return fmt.Errorf("abort blob: %w", err)
	}
	return nil
}
