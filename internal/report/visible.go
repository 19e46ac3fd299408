package report

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"example.com/cloister/internal/ansi"
)

// visibleLines is Visible for text that may have several lines: rationale, steps and commands of rules.
func visibleLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = ansi.Visible(strings.ReplaceAll(line, "\t", "  "))
	}
	return strings.Join(lines, "\n")
}

func visibleAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = ansi.Visible(s)
	}
	return out
}

// escapeJSON appends JSON text with every character that Visible would change written as \uXXXX. Such characters only
// occur inside strings, so the value stays the same: for formats that programs read and that must lose nothing. U+FFFD is
// written so too, as encoding/json writes it for what is not UTF-8.
func escapeJSON(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf && c != 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		switch high, low := utf16.EncodeRune(r); {
		case !ansi.Unsafe(r) && r != utf8.RuneError:
			dst = append(dst, text[i:i+size]...)
		case high == utf8.RuneError:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		}
		i += size
	}
	return dst
}
