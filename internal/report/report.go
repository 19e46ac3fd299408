// Package report turns one audit, a posture.Report, into what people and other programs read: text for a terminal, JSON,
// NDJSON, CSV, SARIF 2.1.0, OCSF 1.5.0, JUnit, Markdown and HTML. It judges nothing and reads nothing but the report, so
// that a saved report gives the same bytes on every machine.
//
// The one thing to know: names, messages, tags and even error texts come from the accounts that were audited, and may
// hold anything. ansi.Visible and its kin stand between them and every output: control and format characters reach neither a
// terminal nor a file raw.
package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
)

// Names of the formats that Write knows.
const (
	Text     = "text"     // for a terminal
	JSON     = "json"     // complete; Load reads it
	NDJSON   = "ndjson"   // one result a line, complete
	CSV      = "csv"      // one result a line, for spreadsheets
	SARIF    = "sarif"    // 2.1.0, for code scanning
	OCSF     = "ocsf"     // 1.5.0 Compliance Findings, one a line
	JUnit    = "junit"    // for CI servers
	Markdown = "markdown" // for a comment on a pull request
	HTML     = "html"     // one self-contained page
)

// DefaultWidth is the width of text in columns when Options name none.
const DefaultWidth = 80

// MinWidth is the least width that text is wrapped to; narrower terminals get this.
const MinWidth = 40

// outputBuffer is how many bytes are written at once: large enough that a file system call costs nothing.
const outputBuffer = 64 << 10

// Options are what a format cannot know from the report. The zero value is right for a file.
type Options struct {
	// Width is the terminal's width in columns, for text; 0 is DefaultWidth.
	Width int
	// Color lets text have ANSI colours. The caller knows about terminals and NO_COLOR.
	Color bool
}

// Formats lists the names of the formats.
func Formats() []string {
	return []string{Text, JSON, NDJSON, CSV, SARIF, OCSF, JUnit, Markdown, HTML}
}

// Write writes the report in a format. An unknown format's error lists the known ones; other errors are the writer's.
// The report is only read: several goroutines may write one report at once.
func Write(w io.Writer, format string, r *posture.Report, o Options) error {
	write, ok := writerOf(format, o)
	if !ok {
		return fmt.Errorf("unknown format %q: the formats are %s", format, strings.Join(Formats(), ", "))
	}
	out := bufio.NewWriterSize(w, outputBuffer)
	if err := write(out, r); err != nil {
		return fmt.Errorf("write the report as %s: %w", format, err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the report as %s: %w", format, err)
	}
	return nil
}

// Known says whether Write knows the format.
func Known(format string) bool { return slices.Contains(Formats(), format) }

func writerOf(format string, o Options) (func(*bufio.Writer, *posture.Report) error, bool) {
	switch format {
	case Text:
		return func(w *bufio.Writer, r *posture.Report) error { return writeText(w, r, o) }, true
	case JSON:
		return writeJSON, true
	case NDJSON:
		return writeNDJSON, true
	case CSV:
		return writeCSV, true
	case SARIF:
		return writeSARIF, true
	case OCSF:
		return writeOCSF, true
	case JUnit:
		return writeJUnit, true
	case Markdown:
		return writeMarkdown, true
	case HTML:
		return writeHTML, true
	default:
		return nil, false
	}
}
