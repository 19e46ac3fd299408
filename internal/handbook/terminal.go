package handbook

import (
	"strings"
	"unicode/utf8"

	"example.com/cloister/internal/ansi"
)

// terminal writes text for people. After an error it writes nothing; err has it.
type terminal struct {
	ansi.Printer
	width int
}

// heading opens a section.
func (t *terminal) heading(text string) {
	t.Blank()
	t.Styled(ansi.Bold, strings.ToUpper(text))
	t.Blank()
}

// line writes text at an indentation, wrapped.
func (t *terminal) line(indent int, style, text string) {
	for _, part := range wrap(ansi.Visible(flat(text)), t.width-indent) {
		t.Print(strings.Repeat(" ", indent))
		t.Styled(style, part)
		t.Blank()
	}
}

// hanging writes a label, two columns in, and a text beside it, wrapped within its own column.
func (t *terminal) hanging(column int, label, text string) {
	for _, part := range wrap(ansi.Visible(flat(text)), t.width-2-column) {
		t.Print("  ")
		t.Styled(ansi.Dim, label)
		t.Print(strings.Repeat(" ", max(column-utf8.RuneCountInString(label), 1)), part, "\n")
		label = ""
	}
}

// code writes lines as they are, so that they can be copied; prompt stands before the first.
func (t *terminal) code(prompt, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		t.Print("     ", prompt)
		t.Styled(ansi.Cyan, ansi.Visible(strings.ReplaceAll(line, "\t", "  ")))
		t.Blank()
		prompt = strings.Repeat(" ", len(prompt))
	}
}

// raw writes one line that is not wrapped, such as an address.
func (t *terminal) raw(indent, text string) {
	t.Print(indent)
	t.Styled(ansi.Cyan, ansi.Visible(text))
	t.Blank()
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
