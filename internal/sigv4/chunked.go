package sigv4

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"example.com/cloister"
)

// Limits of the aws-chunked encoding.
const (
	chunkBuffer = 32 << 10 // bytes read at once
	maxLine     = 1024     // bytes of a chunk's head or a trailer
	maxTrailers = 8
)

// chunked decodes aws-chunked: SIZE-IN-HEX CRLF data CRLF … 0 CRLF trailers CRLF.
// Source: S3 API Reference, "Signature calculations for the Authorization header: transferring payload in
// multiple chunks", part "Unsigned payload with trailing headers".
type chunked struct {
	r         *bufio.Reader
	left      int64   // decoded bytes still expected
	chunk     int64   // bytes left in the current chunk
	started   bool    // a chunk's data was read, its CRLF not yet
	announced *digest // what the trailer must bring, or nil
	err       error
}

func newChunked(r io.Reader, decoded int64, announced *digest) *chunked {
	return &chunked{r: bufio.NewReaderSize(r, chunkBuffer), left: decoded, announced: announced}
}

// Read returns decoded bytes.
func (c *chunked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.read(p)
	c.err = err
	return n, err
}

func (c *chunked) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.chunk == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.chunk {
		p = p[:c.chunk]
	}
	n, err := c.r.Read(p)
	c.chunk -= int64(n)
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = incomplete()
	}
	return n, err
}

// next reads a chunk's head. It returns io.EOF after the last chunk and its trailers.
func (c *chunked) next() error {
	if c.started {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line != "" {
			return malformedChunk()
		}
	}
	head, err := c.line()
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(head, 16, 63)
	if err != nil || strings.HasPrefix(head, "+") {
		return malformedChunk()
	}
	if int64(size) > c.left {
		return incomplete()
	}
	if size > 0 {
		c.chunk, c.started = int64(size), true
		return nil
	}
	if c.left != 0 {
		return incomplete()
	}
	return c.trailers()
}

// trailers reads the headers after the last chunk: what X-Amz-Trailer announced and nothing else.
func (c *chunked) trailers() error {
	found := false
	for range maxTrailers {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			if c.announced != nil && !found {
				return malformedTrailer()
			}
			if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
				return malformedChunk()
			}
			return io.EOF
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || found || c.announced == nil || !strings.EqualFold(strings.TrimSpace(name), checksumPrefix+c.announced.name) {
			return malformedTrailer()
		}
		found = true
		c.announced.want = strings.TrimSpace(value)
		if err := c.announced.checkWant(); err != nil {
			return err
		}
	}
	return malformedTrailer()
}

// line reads up to CRLF, which it removes.
func (c *chunked) line() (string, error) {
	raw, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "", incomplete()
	case errors.Is(err, bufio.ErrBufferFull):
		return "", malformedChunk()
	case err != nil:
		return "", err
	}
	line, ok := strings.CutSuffix(string(raw), "\r\n")
	if !ok || len(line) > maxLine {
		return "", malformedChunk()
	}
	return line, nil
}

func malformedChunk() error {
	return cloister.Errorf("InvalidRequest", "The aws-chunked body is malformed.").WithStatus(http.StatusBadRequest)
}

func malformedTrailer() error {
	return cloister.Errorf("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.").
		WithStatus(http.StatusBadRequest)
}
