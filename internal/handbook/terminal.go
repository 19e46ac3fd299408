package handbook

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// The ANSI sequences of text: SGR codes of ECMA-48.
const (
	plain  = ""
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[1;31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

// terminal writes text for people. After an error it writes nothing; err has it.
type terminal struct {
	w     *bufio.Writer
	width int
	color bool
	err   error
}

func (t *terminal) print(parts ...string) {
	for _, part := range parts {
		if t.err == nil {
			_, t.err = t.w.WriteString(part)
		}
	}
}

func (t *terminal) blank() { t.print("\n") }

func (t *terminal) styled(style, text string) {
	if t.color && style != plain && text != "" {
		text = style + text + reset
	}
	t.print(text)
}

// heading opens a section.
func (t *terminal) heading(text string) {
	t.blank()
	t.styled(bold, strings.ToUpper(text))
	t.blank()
}

// line writes text at an indentation, wrapped.
func (t *terminal) line(indent int, style, text string) {
	for _, part := range wrap(visible(flat(text)), t.width-indent) {
		t.print(strings.Repeat(" ", indent))
		t.styled(style, part)
		t.blank()
	}
}

// hanging writes a label, two columns in, and a text beside it, wrapped within its own column.
func (t *terminal) hanging(column int, label, text string) {
	for _, part := range wrap(visible(flat(text)), t.width-2-column) {
		t.print("  ")
		t.styled(dim, label)
		t.print(strings.Repeat(" ", max(column-utf8.RuneCountInString(label), 1)), part, "\n")
		label = ""
	}
}

// code writes lines as they are, so that they can be copied; prompt stands before the first.
func (t *terminal) code(prompt, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		t.print("     ", prompt)
		t.styled(cyan, visible(strings.ReplaceAll(line, "\t", "  ")))
		t.blank()
		prompt = strings.Repeat(" ", len(prompt))
	}
}

// raw writes one line that is not wrapped, such as an address.
func (t *terminal) raw(indent, text string) {
	t.print(indent)
	t.styled(cyan, visible(text))
	t.blank()
}

// flat is a text on one line.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// wrap breaks text at spaces into lines of at most columns; a longer word has a line of its own.
func wrap(text string, columns int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.SplitSeq(text, " ") {
		n := utf8.RuneCountInString(word)
		if used > 0 && used+1+n > columns {
			lines = append(lines, line)
			line, used = "", 0
		}
		if used > 0 {
			line += " "
			used++
		}
		line += word
		used += n
	}
	return append(lines, line)
}
