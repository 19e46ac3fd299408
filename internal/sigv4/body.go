package sigv4

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"example.com/cloister"
)

// The values of X-Amz-Content-Sha256 that are not a hash.
const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	signedPrefix    = "STREAMING-AWS4-"
)

// checkPayload judges S3's X-Amz-Content-Sha256.
func checkPayload(claimed string) error {
	switch {
	case claimed == unsignedPayload, claimed == unsignedTrailer, signaturePattern.MatchString(claimed):
		return nil
	case claimed == "":
		return invalidRequest("Missing required header for this request: x-amz-content-sha256")
	case strings.HasPrefix(claimed, signedPrefix):
		return problemf(Later, "signed chunks (%s) are not implemented: use %s, %s or the body's SHA-256",
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", unsignedTrailer, unsignedPayload)
	default:
		return (&cloister.Error{
			Code:    "InvalidArgument",
			Message: "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.",
		}).WithStatus(http.StatusBadRequest)
	}
}

// Body is the data of an S3 request. It verifies digests and length while it is read: at the end Read returns
// io.EOF if all is well and an *cloister.Error if it is not. It is for one reader.
type Body struct {
	source  io.Reader
	closer  io.Closer
	digests []*digest
	trailer *chunked // the source, if the body is in chunks
	left    int64    // bytes still to come
	err     error    // the end: io.EOF, or what was wrong
}

// newBody wraps r.Body and sets r.ContentLength to the length of the data.
func newBody(r *http.Request, payload string) (*Body, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	digests, err := headerDigests(r, payload)
	if err != nil {
		return nil, err
	}
	b := &Body{source: r.Body, closer: r.Body, digests: digests, left: r.ContentLength}
	if payload == unsignedTrailer {
		if err := b.unchunk(r); err != nil {
			return nil, err
		}
	} else if r.Header.Get("X-Amz-Trailer") != "" {
		return nil, invalidRequest("x-amz-trailer needs x-amz-content-sha256: " + unsignedTrailer)
	}
	if b.left < 0 {
		return nil, cloister.Errorf("MissingContentLength", "You must provide the Content-Length HTTP header.").WithStatus(http.StatusLengthRequired)
	}
	return b, nil
}

func (b *Body) hasChecksum() bool {
	for _, d := range b.digests {
		if d.sums {
			return true
		}
	}
	return false
}

// unchunk sets up the decoding of an aws-chunked body and hides the encoding from the handler.
func (b *Body) unchunk(r *http.Request) error {
	n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || n < 0 {
		return cloister.Errorf("MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.").WithStatus(http.StatusLengthRequired)
	}
	var announced *digest
	if name := strings.ToLower(strings.TrimSpace(r.Header.Get("X-Amz-Trailer"))); name != "" {
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok {
			return invalidRequest("The value specified in the x-amz-trailer header is not supported")
		}
		if announced, err = newChecksum(algorithm); err != nil {
			return err
		}
		if b.hasChecksum() {
			return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		b.digests = append(b.digests, announced)
	}
	b.trailer = newChunked(b.source, n, announced)
	b.source, b.left = b.trailer, n
	r.ContentLength = n
	encodings := strings.Split(r.Header.Get("Content-Encoding"), ",")
	kept := encodings[:0]
	for _, e := range encodings {
		if e = strings.TrimSpace(e); e != "" && !strings.EqualFold(e, "aws-chunked") {
			kept = append(kept, e)
		}
	}
	r.Header.Del("Content-Encoding")
	if len(kept) > 0 {
		r.Header.Set("Content-Encoding", strings.Join(kept, ","))
	}
	return nil
}

// Read reads data; see Body for its end.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.source.Read(p)
	for _, d := range b.digests {
		_, _ = d.hash.Write(p[:n]) // a hash never fails
	}
	b.left -= int64(n)
	if err == nil {
		return n, nil
	}
	b.err = b.end(err)
	return n, b.err
}

// end judges the body at its end.
func (b *Body) end(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || (errors.Is(err, io.EOF) && b.left > 0) {
		return incomplete()
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	if b.left < 0 {
		return invalidRequest("The request body is longer than the announced length.")
	}
	for _, d := range b.digests {
		if err := d.verify(); err != nil {
			return err
		}
	}
	return io.EOF
}

func incomplete() error {
	return cloister.Errorf("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.").
		WithStatus(http.StatusBadRequest)
}

// Close closes the request's body.
func (b *Body) Close() error { return b.closer.Close() }

// Checksums returns the body's checksums: "crc32", "crc32c", "crc64nvme", "sha1" or "sha256" to the digest in
// base64, of those that the client sent, in a header or as a trailer. It returns nil unless Read has
// returned io.EOF.
func (b *Body) Checksums() map[string]string {
	if !errors.Is(b.err, io.EOF) {
		return nil
	}
	out := map[string]string{}
	for _, d := range b.digests {
		if d.sums {
			out[d.name] = d.value()
		}
	}
	return out
}
