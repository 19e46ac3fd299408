package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
)

// output is one --report.
type output struct{ format, file string }

func parseOutputs(specs []string) ([]output, error) {
	var outputs []output
	stdout := 0
	for _, spec := range specs {
		format, file, ok := strings.Cut(spec, "=")
		if !ok || file == "" || !report.Known(format) {
			return nil, usageErrorf("--report %s: write FORMAT=FILE, with one of %s", spec, strings.Join(report.Formats(), ", "))
		}
		if file == "-" {
			stdout++
		} else if err := writable(file); err != nil {
			return nil, usageErrorf("--report %s: %v", spec, err)
		}
		outputs = append(outputs, output{format, file})
	}
	if stdout > 1 {
		return nil, usageErrorf("only one --report can go to standard output")
	}
	if stdout == 0 {
		outputs = append(outputs, output{report.Text, "-"})
	}
	return outputs, nil
}

// writeOutputs writes the files first, each by rename, so that a broken pipe on standard output costs no report.
func writeOutputs(stdout io.Writer, outputs []output, r *posture.Report) error {
	var errs []error // one that cannot be written does not cost the others
	for _, o := range outputs {
		if o.file == "-" {
			continue
		}
		if err := writeFile(o.file, func(w io.Writer) error { return report.Write(w, o.format, r, report.Options{}) }); err != nil {
			errs = append(errs, fmt.Errorf("report %s: %w", o.file, err))
		}
	}
	for _, o := range outputs {
		if o.file == "-" {
			errs = append(errs, report.Write(stdout, o.format, r, terminal(stdout)))
		}
	}
	return errors.Join(errs...)
}

// writable finds out before a long scan whether a report can be put where it is to go.
func writable(file string) error {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", file)
	}
	info, err := os.Stat(filepath.Dir(file))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", filepath.Dir(file))
	}
	return nil
}

// terminal is what text may use: colours on a terminal without NO_COLOR, and its width.
func terminal(w io.Writer) report.Options {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return report.Options{}
	}
	o := report.Options{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		o.Width = min(width, 120)
	}
	return o
}

// writeFile writes a file by rename: it is there whole, or not at all. Reports name resources, so only the owner reads them.
//
// What is there already and is no regular file, such as /dev/null or a pipe, is written to and stays what it is.
func writeFile(name string, write func(io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return writeTo(name, write)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	out := bufio.NewWriterSize(f, 64<<10)
	err = write(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// writeTo writes to what is no regular file.
func writeTo(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = write(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// progress shows a bar on a terminal, else one line for each region.
type progress struct {
	w   io.Writer
	bar bool

	mu       sync.Mutex // guards the rest
	quiet    bool
	done     int
	expected map[string]int // regions by account
	jobs     int
}

func newProgress(w io.Writer, quiet bool) *progress {
	p := &progress{w: w, quiet: quiet, expected: map[string]int{}}
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb" {
		p.bar = true
	}
	return p
}

// step is collect.Options.Progress.
func (p *progress) step(s collect.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected[s.Account] = s.Regions
	if s.Done {
		p.done++
		p.jobs += s.Jobs
	}
	switch {
	case p.quiet:
	case p.bar:
		p.draw(s.Calls)
	case s.Done:
		_, _ = fmt.Fprintln(p.w, line(s)) // progress is not worth failing for
	}
}

func line(s collect.Progress) string {
	s.Account, s.Region = ansi.Visible(s.Account), ansi.Visible(s.Region)
	switch {
	case s.NoBedrock:
		return fmt.Sprintf("%s %-15s Amazon Bedrock does not exist here", s.Account, s.Region)
	case s.Unread > 0:
		return fmt.Sprintf("%s %-15s %d jobs, %d models; %d calls were not answered", s.Account, s.Region, s.Jobs, s.Models, s.Unread)
	default:
		return fmt.Sprintf("%s %-15s %d jobs, %d models", s.Account, s.Region, s.Jobs, s.Models)
	}
}

func (p *progress) draw(calls int) {
	total := 0
	for _, n := range p.expected {
		total += n
	}
	const width = 30
	filled := 0
	if total > 0 {
		filled = width * p.done / total
	}
	_, _ = fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %d of %d regions, %d jobs, %d calls", strings.Repeat("=", filled), strings.Repeat(" ", width-filled), p.done, total, p.jobs, calls)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar && !p.quiet {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// askMFA asks for the code of an MFA device.
func askMFA(in io.Reader, prompt io.Writer) (string, error) {
	if _, err := fmt.Fprint(prompt, "MFA code: "); err != nil {
		return "", err
	}
	text, err := bufio.NewReader(in).ReadString('\n')
	text = strings.TrimSpace(text)
	if text == "" {
		if err == nil {
			err = errNoCode
		}
		return "", err
	}
	return text, nil
}
