package ansi

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns s with every character that would not show as itself written as \u{HEX}: controls (C0, DEL, C1), format
// characters (bidi controls, zero-width characters, tags), line and paragraph separators, private use and what Unicode
// has not assigned as text. Bytes that are not UTF-8 become U+FFFD. It is for one line of output; it stops a name in an
// account from moving a terminal's cursor, reordering a line or faking another one (CVE-2021-42574 is the bidi case).
func Visible(s string) string {
	i := firstUnsafe(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for _, r := range s[i:] {
		if Unsafe(r) {
			fmt.Fprintf(&b, `\u{%X}`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// firstUnsafe is the index of the first byte that Visible would change, or -1.
func firstUnsafe(s string) int {
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < utf8.RuneSelf && c != 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if Unsafe(r) || r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// Unsafe says of a character that it does not show as itself. Go's unicode.Is tables are those of its Unicode version.
func Unsafe(r rune) bool {
	switch {
	case r < ' ' || r >= 0x7f && r < 0xa0:
		return true
	case r < 0xad:
		return false
	default:
		// IsPrint is letters, marks, numbers, punctuation and symbols; the spaces that are not U+0020 are wide, not harmful.
		return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r)
	}
}
