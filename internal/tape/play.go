package tape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// Player answers from a recording. It is safe for concurrent use.
type Player struct{ dir string }

// Play opens a recording and reads its manifest into manifest.
func Play(dir string, manifest any) (*Player, error) {
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, fmt.Errorf("%s is not a recording of an audit: %w", dir, err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(manifest); err != nil {
		return nil, fmt.Errorf("the manifest of the recording %s: %w", dir, err)
	}
	return &Player{dir}, nil
}

// Client returns a Doer that answers what was recorded under scope. A call that is not in the recording is
// ErrNotRecorded; a recorded failure is an error of the same kind.
func (p *Player) Client(scope string) Doer { return &playing{p, scope} }

type playing struct {
	player *Player
	scope  string
}

func (c *playing) Do(req *http.Request) (*http.Response, error) {
	body, err := requestBody(req)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(c.player.dir, key(c.scope, req, body)+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotRecorded
	} else if err != nil {
		return nil, err
	}
	var e Exchange
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("a file of the recording is damaged: %w", err)
	}
	if e.Error != "" {
		return nil, failure(e.Error)
	}
	header := e.Header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: e.Status, Status: http.StatusText(e.Status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader([]byte(e.Body))), ContentLength: int64(len(e.Body)), Request: req,
	}, nil
}

// kind names a failure to get an answer.
func kind(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return "NoSuchHost"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "Timeout"
	}
	return "Network"
}

func failure(kind string) error {
	switch kind {
	case "NoSuchHost":
		return &net.DNSError{Err: "no such host", Name: "recorded", IsNotFound: true}
	case "Timeout":
		return fmt.Errorf("recorded: %w", context.DeadlineExceeded)
	default:
		return errors.New("recorded: the connection failed")
	}
}
