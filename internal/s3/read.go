package s3

import (
	"context"
	"errors"
	"io"
	"sync"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/envelope"
)

// openWorkers decrypt beside each other when a body is written out as a whole.
const openWorkers = 2

// body is an open object: the parts that a view touches, read one after another.
type body struct {
	service *Service
	ctx     context.Context //nolint:containedctx // for the log, and for deletions that waited for Close
	object  Object
	key     envelope.DataKey

	parts []Part // still to read; the first is open
	off   int64  // within the first part
	left  int64  // bytes of the view

	blob    *blob.Blob
	section *envelope.Section
	close   sync.Once
}

// open goes to the first part of a view and decrypts its first segment there.
func (b *body) open(v view) error {
	parts := b.parts
	var size int64
	for _, p := range parts {
		size += p.Size
	}
	if size != b.object.Size || len(parts) == 0 {
		return errDamaged(errors.New("the parts do not add up to the object"))
	}
	off := v.off
	for len(parts) > 1 && off >= parts[0].Size {
		off -= parts[0].Size
		parts = parts[1:]
	}
	b.parts, b.off, b.left = parts, off, v.n
	if err := b.next(); err != nil {
		return errDamaged(err)
	}
	if err := b.section.Prefetch(); err != nil {
		return errDamaged(err)
	}
	return nil
}

// next opens the first of the parts that are left. An empty object's is opened too: that verifies it.
func (b *body) next() error {
	p := b.parts[0]
	f, err := b.service.blobs.Open(p.Blob)
	if err != nil {
		return err
	}
	b.blob = f
	if f.Size() != sealedSize(p.Size) {
		return errors.New("a stored part has the wrong size")
	}
	r, err := envelope.Open(f, f.Size(), b.key, binding(b.object.Bucket, b.object.Key, b.object.ID, p.Number))
	if err != nil {
		return err
	}
	b.section = r.Section(b.off, min(b.left, p.Size-b.off), openWorkers)
	return nil
}

// advance moves to the next part. It reports io.EOF when the view is done.
func (b *body) advance() error {
	err := b.blob.Close()
	b.blob, b.section = nil, nil
	if err != nil {
		return err
	}
	b.parts, b.off = b.parts[1:], 0
	if b.left == 0 {
		return io.EOF
	}
	if len(b.parts) == 0 {
		return io.ErrUnexpectedEOF
	}
	return b.next()
}

// Read follows io.Reader.
func (b *body) Read(p []byte) (int, error) {
	for b.section != nil {
		n, err := b.section.Read(p)
		b.left -= int64(n)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if !errors.Is(err, io.EOF) {
			return 0, b.failed(err)
		}
		if err := b.advance(); err != nil {
			return 0, b.failed(err)
		}
	}
	return 0, io.EOF
}

// WriteTo writes what is left to w.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for b.section != nil {
		n, err := b.section.WriteTo(w)
		total += n
		b.left -= n
		if err == nil {
			err = b.advance()
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, b.failed(err)
		}
	}
	return total, nil
}

// failed logs damage: the answer's header has gone, so the log and a broken body are all that is left.
func (b *body) failed(err error) error {
	if errors.Is(err, envelope.ErrAuthentication) || errors.Is(err, envelope.ErrFormat) || errors.Is(err, envelope.ErrKey) || errors.Is(err, blob.ErrNotFound) {
		b.service.log.ErrorContext(b.ctx, "stored object is damaged", errAttr(err), objectAttr(b.object))
		return errDamaged(err)
	}
	return err
}

// Close lets go of the object and deletes its blobs if that waited for it.
func (b *body) Close() error {
	var err error
	b.close.Do(func() {
		if b.blob != nil {
			err = b.blob.Close()
		}
		b.section = nil
		b.key.Zero()
		b.service.discard(b.ctx, b.service.pins.unpin(b.object.ID))
	})
	return err
}
