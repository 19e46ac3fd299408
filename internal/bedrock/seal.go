package bedrock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/envelope"
)

// sealContext binds a sealed file to its model and its place in it.
func sealContext(modelARN, name string) []byte { return []byte(modelARN + "\x00" + name) }

// sealArtifact seals every file that the engine left under the model's data key, then opens each again and
// compares it with the original.
func (r *run) sealArtifact(ctx context.Context) error {
	if len(r.files) == 0 {
		return errors.New("the engine left no weights")
	}
	total := int64(0)
	for _, size := range r.files {
		total += size
	}
	if total > r.s.Limits.ScratchBytes { // a sparse file can be larger than what holds it
		return errors.New("the engine claims more bytes than the scratch has")
	}
	for _, name := range slices.Sorted(maps.Keys(r.files)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.sealFile(ctx, name); err != nil {
			return fmt.Errorf("seal %s: %w", name, err)
		}
	}
	return nil
}

func (r *run) sealFile(ctx context.Context, name string) (err error) {
	file, err := r.openOutput(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w, err := r.s.Blobs.Create(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	size, err := envelope.Seal(w, file, *r.key, sealContext(r.job.ModelARN, name), envelope.Options{Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		return err
	}
	if size != r.files[name] {
		return fmt.Errorf("the file has %d bytes, the engine said %d", size, r.files[name])
	}
	id, err := w.Commit()
	if err != nil {
		return err
	}
	if err := r.s.Store.AddArtifact(ctx, r.job.ModelARN, Artifact{Path: name, Blob: id, Size: size}); err != nil {
		return err
	}
	return r.verify(id, name, file)
}

// openOutput opens a file that the engine left, if it is a plain one.
func (r *run) openOutput(name string) (*os.File, error) {
	at := path.Join(inScratch(engine.OutputPath), name)
	info, err := r.box.Scratch().Lstat(at)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != r.files[name] {
		return nil, fmt.Errorf("not a plain file of the size that the engine said (%s)", info.Mode().Type())
	}
	return r.box.Scratch().Open(at)
}

// verify opens a sealed file and compares it with the original.
func (r *run) verify(id blob.ID, name string, original *os.File) (err error) {
	sealed, err := r.s.Blobs.Open(id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sealed.Close()) }()
	reader, err := envelope.Open(sealed, sealed.Size(), *r.key, sealContext(r.job.ModelARN, name))
	if err != nil {
		return err
	}
	if _, err := original.Seek(0, io.SeekStart); err != nil {
		return err
	}
	same := &comparer{in: bufio.NewReaderSize(original, 1<<20)}
	if _, err := reader.WriteRange(same, 0, reader.Size(), runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	if _, err := same.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errDiffers
	}
	return nil
}

var errDiffers = errors.New("the sealed file does not open to the original")

// comparer is a writer that wants exactly the bytes of a reader.
type comparer struct {
	in  *bufio.Reader
	buf []byte
}

func (c *comparer) Write(p []byte) (int, error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	if _, err := io.ReadFull(c.in, c.buf[:len(p)]); err != nil || !bytes.Equal(c.buf[:len(p)], p) {
		return 0, errDiffers
	}
	return len(p), nil
}

// dropArtifact deletes what was sealed.
func (r *run) dropArtifact(ctx context.Context) error { return r.s.dropBlobs(ctx, r.job.ModelARN) }

// unseal writes a model's files, in the clear, into a sandbox's scratch.
func (s *Service) unseal(ctx context.Context, model Model, key *envelope.DataKey, root *os.Root, dir string) error {
	artifacts, err := s.Store.Artifacts(ctx, model.ARN)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, a := range artifacts {
		if err := s.unsealFile(model, a, key, root, path.Join(dir, a.Path)); err != nil {
			return fmt.Errorf("open %s of %s: %w", a.Path, model.ARN, err)
		}
	}
	return nil
}

func (s *Service) unsealFile(model Model, a Artifact, key *envelope.DataKey, root *os.Root, target string) (err error) {
	sealed, err := s.Blobs.Open(a.Blob)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sealed.Close()) }()
	reader, err := envelope.Open(sealed, sealed.Size(), *key, sealContext(model.ARN, a.Path))
	if err != nil {
		return err
	}
	if reader.Size() != a.Size {
		return fmt.Errorf("%w: the size differs from the record", fs.ErrInvalid)
	}
	file, err := root.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = reader.WriteRange(file, 0, reader.Size(), runtime.GOMAXPROCS(0))
	return errors.Join(err, file.Close())
}
