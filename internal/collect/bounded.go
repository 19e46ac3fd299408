package collect

import (
	"errors"
	"io"
	"net/http"

	"example.com/cloister/internal/tape"
)

// maxAnswer is the most that is read of one answer, in bytes. AWS's largest, a page of 1,000 records, is a hundredth of it.
const maxAnswer = 32 << 20

var errTooLarge = errors.New("the answer is larger than 32 MiB")

// bounded is a client whose answers end: an endless one is an error, not the end of memory.
type bounded struct{ next tape.Doer }

// Do sends a request.
func (b *bounded) Do(req *http.Request) (*http.Response, error) {
	resp, err := b.next.Do(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, maxAnswer}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
