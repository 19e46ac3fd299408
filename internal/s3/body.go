package s3

import (
	"context"
	"crypto/md5" //nolint:gosec // ETags and Content-MD5 are MD5 by S3's protocol
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/envelope"
)

// checked is a body that has verified checksums itself. The edge's bodies are: after a clean end, they
// give algorithm and base64 value of each checksum that the client sent, in header or trailer.
type checked interface {
	Checksums() map[string]string
}

// upload is one body on its way to a blob.
type upload struct {
	body io.Reader
	// length is what Content-Length said, or nil.
	length *int64
	// md5 is Content-MD5, or nil.
	md5 *string
	// given are checksums that the request carries in its members; announced is its algorithm, or "".
	given     Checksums
	announced string
	// wanted is a checksum that the object must have, beside what the client sends; "" means any, and
	// CRC64NVME is computed if the client sends none.
	wanted string
	// wantMD5 asks for MD5 as the ETag; otherwise it is random.
	wantMD5 bool
}

// digester reads a body, counts it, and hashes only what somebody will ask for.
type digester struct {
	src    io.Reader
	n      int64
	md5    hash.Hash
	hashes map[string]hash.Hash
}

func (d *digester) Read(p []byte) (int, error) {
	n, err := d.src.Read(p)
	if n > 0 {
		d.n += int64(n)
		if d.n > maxPart {
			return 0, errEntityTooLarge()
		}
		if d.md5 != nil {
			d.md5.Write(p[:n])
		}
		for _, h := range d.hashes {
			h.Write(p[:n])
		}
	}
	return n, err
}

// receive seals a body into a durable blob and returns it as a part without number. Nothing is left if it
// fails, and it fails unless the body ended cleanly and is what the request said it is.
func (s *Service) receive(ctx context.Context, u upload, key envelope.DataKey, binding []byte) (Part, error) {
	defer key.Zero()
	wantSum, err := contentMD5(u.md5)
	if err != nil {
		return Part{}, err
	}
	if u.length != nil && *u.length > maxPart {
		return Part{}, errEntityTooLarge()
	}
	d := u.digester(wantSum != nil)
	w, err := s.blobs.Create(ctx)
	if err != nil {
		return Part{}, storageError(err)
	}
	defer func() {
		if err := w.Abort(); err != nil {
			s.log.WarnContext(ctx, "temporary blob is left until the next start", errAttr(err))
		}
	}()
	src := interruptible{ctx, d}
	if _, err := envelope.Seal(w, src, key, binding, envelope.Options{SegmentLog2: envelope.ObjectSegment}); err != nil {
		return Part{}, bodyError(err)
	}
	part, err := s.verify(u, d, wantSum)
	if err != nil {
		return Part{}, err
	}
	if part.Blob, err = w.Commit(); err != nil {
		return Part{}, storageError(err)
	}
	part.Modified = s.moment()
	return part, nil
}

func (u upload) digester(md5Too bool) *digester {
	d := &digester{src: u.body, hashes: map[string]hash.Hash{}}
	if d.src == nil {
		d.src = strings.NewReader("")
	}
	if u.wantMD5 || md5Too {
		d.md5 = md5.New() //nolint:gosec // see the import
	}
	_, verified := u.body.(checked)
	if !verified { // a caller inside the server: what it says is checked here
		for name := range u.given {
			d.hashes[name] = newHash(name)
		}
		if u.announced != "" {
			d.hashes[u.announced] = newHash(u.announced)
		}
	}
	sends := u.announced != "" || len(u.given) > 0
	switch {
	case u.wanted != "" && (!verified || u.announced != u.wanted && u.given[u.wanted] == ""):
		d.hashes[u.wanted] = newHash(u.wanted)
	case u.wanted == "" && !sends:
		d.hashes[crc64nvmeSum] = newHash(crc64nvmeSum)
	}
	return d
}

// verify compares what arrived with what the request said, and fills in what the part's row needs.
func (s *Service) verify(u upload, d *digester, wantSum []byte) (Part, error) {
	if u.length != nil && *u.length != d.n {
		return Part{}, errIncompleteBody(*u.length, d.n)
	}
	part := Part{Size: d.n, Checksums: Checksums{}}
	for name, h := range d.hashes {
		part.Checksums[name] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	if c, ok := u.body.(checked); ok {
		sent := c.Checksums()
		if u.announced != "" && sent[u.announced] == "" {
			return Part{}, errInvalidRequest("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
		for _, name := range algorithms() {
			if sent[name] == "" {
				continue
			}
			if u.wanted == "" {
				delete(part.Checksums, crc64nvmeSum) // computed for a client that sends none
			}
			break
		}
		for name, value := range sent {
			if slices.Contains(algorithms(), name) {
				part.Checksums[name] = value
			}
		}
	}
	for name, value := range u.given {
		if part.Checksums[name] != value {
			return Part{}, errBadDigest(strings.ToUpper(name))
		}
	}
	if d.md5 != nil {
		sum := d.md5.Sum(nil)
		if wantSum != nil && string(wantSum) != string(sum) {
			return Part{}, errBadDigest("Content-MD5")
		}
		part.ETag = hex.EncodeToString(sum)
	}
	if !u.wantMD5 {
		id, err := s.randomHex(16)
		if err != nil {
			return Part{}, err
		}
		part.ETag = id
	}
	return part, nil
}

func contentMD5(header *string) ([]byte, error) {
	if header == nil {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(*header)
	if err != nil || len(sum) != md5.Size {
		return nil, errInvalidDigest()
	}
	return sum, nil
}

// bodyError tells a client's broken body from a server's broken disk. Errors that the edge's body reader
// gives (a wrong signature or checksum) already are S3's.
func bodyError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errIncompleteBody(-1, -1).WithCause(err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errRequestTimeout().WithCause(err)
	}
	return storageError(err)
}

// interruptible stops reading when the request is over, even if the body would go on.
type interruptible struct {
	ctx context.Context //nolint:containedctx // lives for one call of receive
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

func (s *Service) randomHex(n int) (string, error) {
	raw := make([]byte, n)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", errInternal("draw a random id: %w", err)
	}
	return hex.EncodeToString(raw), nil
}

// binding is the envelope's context of a part: it stops stored parts from being exchanged for each other.
// Bucket names and ids have no NUL, and the key is framed by its length.
func binding(bucket, key, object string, part int32) []byte {
	return fmt.Appendf(nil, "cloister/s3/v1\x00%s\x00%d\x00%s\x00%s\x00%d", bucket, len(key), key, object, part)
}

func sealedSize(plain int64) int64 { return envelope.SealedSize(plain, envelope.ObjectSegment) }

// discard deletes blobs that nothing refers to. What cannot be deleted is left to Collect.
func (s *Service) discard(ctx context.Context, blobs []blob.ID) {
	ctx = context.WithoutCancel(ctx)
	for _, id := range blobs {
		if err := s.blobs.Delete(ctx, id); err != nil && !errors.Is(err, blob.ErrNotFound) {
			s.log.WarnContext(ctx, "blob is left until the next start", errAttr(err), blobAttr(string(id)))
		}
	}
}

// forget deletes what a committed change removed, or leaves it to those who still read it.
func (s *Service) forget(ctx context.Context, removed []Removed) {
	if len(removed) > 0 {
		s.discard(ctx, s.pins.release(removed))
	}
}

// withdraw deletes a blob whose row could not be committed, unless it was after all.
func (s *Service) withdraw(ctx context.Context, id blob.ID) {
	ctx = context.WithoutCancel(ctx)
	used, err := s.store.HasBlob(ctx, id)
	if err != nil {
		s.log.WarnContext(ctx, "blob is left until the next start", errAttr(err), blobAttr(string(id)))
		return
	}
	if !used {
		s.discard(ctx, []blob.ID{id})
	}
}

func etagOf(parts []Part) string {
	h := md5.New() //nolint:gosec // see the import
	for _, p := range parts {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			raw = []byte(p.ETag)
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}
