//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"example.com/cloister/internal/engine"
)

// streamEvent is one server-sent event.
type streamEvent struct{ id, event, data string }

// follow reads a job's event stream to its end, reconnecting where it was cut, and ends with the job's
// outcome: nil for Completed.
func follow(c *cobra.Command, cl *client, job string, timeout time.Duration, show func(streamEvent) error) error {
	ctx := c.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeout)
		defer cancel()
	}
	last, final := "", ""
	for tries := 0; ; {
		err := stream(ctx, cl, job, last, func(e streamEvent) error {
			last, tries = e.id, 0
			if e.event == "done" {
				var done struct{ Status string }
				if err := json.Unmarshal([]byte(e.data), &done); err != nil {
					return err
				}
				final = done.Status
			}
			return show(e)
		})
		var refused *apiError
		switch {
		case errors.Is(context.Cause(ctx), errTimeout):
			return &exitError{124, fmt.Sprintf("job %s has not ended after %v", job, timeout)}
		case final == "Completed":
			return nil
		case final != "":
			return &exitError{1, fmt.Sprintf("job %s: %s%s", job, final, failure(c, cl, job))}
		case errors.As(err, &refused) || ctx.Err() != nil:
			return err
		case tries >= 10:
			return fmt.Errorf("the connection to the server is lost: %w", err)
		}
		tries++
		select {
		case <-time.After(time.Duration(tries) * 500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// failure is a job's failureMessage after a colon, or empty.
func failure(c *cobra.Command, cl *client, job string) string {
	var view struct{ FailureMessage string }
	if err := cl.fetch(c.Context(), http.MethodGet, jobPath(job), nil, &view); err != nil || view.FailureMessage == "" {
		return ""
	}
	return ": " + oneLine(view.FailureMessage)
}

// stream reads events until the connection ends.
func stream(ctx context.Context, cl *client, job, last string, on func(streamEvent) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if last != "" {
		header.Set("Last-Event-ID", last)
	}
	resp, err := cl.own(ctx, http.MethodGet, jobPath(job)+"/events", nil, header)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var e streamEvent
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			e.data = value
		case "":
			if e.event != "" {
				if err := on(e); err != nil {
					return err
				}
			}
			e = streamEvent{}
		}
	}
	return lines.Err()
}

// display shows events to people: on a terminal a line that is drawn anew, elsewhere a line an event, of
// training steps one every five seconds.
type display struct {
	out      io.Writer
	terminal bool
	open     bool // a line is being drawn
	last     time.Time
	now      func() time.Time
}

func newDisplay(out io.Writer) *display {
	file, ok := out.(*os.File)
	return &display{out: out, terminal: ok && isatty.IsTerminal(file.Fd()), now: time.Now}
}

func (d *display) end() {
	if d.open {
		_, _ = fmt.Fprintln(d.out)
		d.open = false
	}
}

// line prints a whole line.
func (d *display) line(format string, args ...any) error {
	d.end()
	_, err := fmt.Fprintln(d.out, oneLine(fmt.Sprintf(format, args...)))
	return err
}

func (d *display) show(e streamEvent) error {
	switch e.event {
	case "status", "done":
		var s struct{ Status string }
		if err := json.Unmarshal([]byte(e.data), &s); err != nil {
			return err
		}
		if e.event == "done" {
			return nil // the status before it said so
		}
		return d.line("status   %s", s.Status)
	case "step":
		var s struct {
			Step, Phase string
			Attempt     int
		}
		if err := json.Unmarshal([]byte(e.data), &s); err != nil {
			return err
		}
		if s.Phase == "succeeded" { // the next step's start says it
			return nil
		}
		return d.line("step     %s %s", s.Step, s.Phase)
	case "progress":
		return d.progress([]byte(e.data))
	}
	return nil
}

func (d *display) progress(data []byte) error {
	event, err := engine.DecodeEvent(data)
	if err != nil {
		return nil //nolint:nilerr // a newer server's event: nothing this version can show
	}
	switch e := event.(type) {
	case *engine.Preflight:
		return d.line("data     %s: %d records, %d tokens, %d dropped, %d duplicates", e.File, e.Records, e.Tokens, e.Dropped, e.Duplicates)
	case *engine.Started:
		return d.line("train    %d steps of %d parameters on %d threads", e.MaxSteps, e.Trainable, e.Threads)
	case *engine.Evaluation:
		return d.line("validate epoch %d: loss %.4f over %d tokens", e.Epoch, e.Loss, e.LabelTokens)
	case *engine.Step:
		return d.step(e)
	}
	return nil
}

// plainEvery is how often a training step is told off a terminal.
const plainEvery = 5 * time.Second

const barWidth = 24

// width is the terminal's, in columns; 80 if it does not say.
func (d *display) width() int {
	if file, ok := d.out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return 80
}

func (d *display) step(e *engine.Step) error {
	done := e.Step + 1
	left := time.Duration(e.ETASeconds * float64(time.Second)).Round(time.Second)
	text := fmt.Sprintf("%d/%d  loss %.4f  %.0f tokens/s  ETA %v", done, e.MaxSteps, e.Loss, e.TokensPerSecond, left)
	if !d.terminal {
		if now := d.now(); done < e.MaxSteps && now.Sub(d.last) < plainEvery {
			return nil
		} else {
			d.last = now
		}
		return d.line("train    %s", text)
	}
	filled := 0
	if e.MaxSteps > 0 {
		filled = int(done * barWidth / e.MaxSteps)
	}
	filled = min(max(filled, 0), barWidth)
	d.open = true
	line := fmt.Sprintf("train    [%s%s] %s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), text)
	if width := d.width(); len(line) >= width { // a line that wraps cannot be drawn anew
		line = line[:max(width-1, 0)]
	}
	_, err := fmt.Fprintf(d.out, "\r\x1b[K%s", line)
	return err
}
