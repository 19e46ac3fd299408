package server_test

import (
	"bufio"
	"io"
	"iter"
	"strconv"
	"strings"
	"testing"
)

// sse is one server-sent event.
type sse struct {
	id          int64
	event, data string
}

// events reads server-sent events until the stream ends.
func events(t *testing.T, body io.Reader) iter.Seq[sse] {
	t.Helper()
	return func(yield func(sse) bool) {
		var e sse
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Errorf("event id: %v", err)
				}
				e.id = n
			case "event":
				e.event = value
			case "data":
				e.data = value
			case "":
				if e.event != "" && !yield(e) {
					return
				}
				e = sse{}
			}
		}
		if err := lines.Err(); err != nil {
			t.Errorf("event stream: %v", err)
		}
	}
}
