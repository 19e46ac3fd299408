// Package ansi is text for terminals: styles, a printer that remembers its first error, and Visible, which stands between
// what others wrote and whoever reads it. Programs' text goes through here whatever prints it.
package ansi

import "bufio"

// The styles: SGR codes of ECMA-48.
const (
	Plain  = ""
	Bold   = "\x1b[1m"
	Dim    = "\x1b[2m"
	Red    = "\x1b[1;31m"
	Green  = "\x1b[32m"
	Yellow = "\x1b[33m"
	Cyan   = "\x1b[36m"
	Reset  = "\x1b[0m"
)

// Printer writes text. After an error it writes nothing; Err has it. It is used by one goroutine.
type Printer struct {
	W *bufio.Writer
	// Color lets Styled use styles.
	Color bool
	Err   error
}

// Print writes parts as they are.
func (p *Printer) Print(parts ...string) {
	for _, part := range parts {
		if p.Err == nil {
			_, p.Err = p.W.WriteString(part)
		}
	}
}

// Blank ends a line, or writes an empty one.
func (p *Printer) Blank() { p.Print("\n") }

// Styled writes text in a style.
func (p *Printer) Styled(style, text string) {
	if p.Color && style != Plain && text != "" {
		text = style + text + Reset
	}
	p.Print(text)
}
