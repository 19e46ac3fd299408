package ansi

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Width is how many columns a terminal needs for s: wide characters two, combining marks none (UAX #11, UAX #29).
func Width(s string) int {
	if ascii(s) {
		return len(s)
	}
	return uniseg.StringWidth(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Wrap breaks text into lines of at most columns, at spaces; a word that is longer than a line is broken between
// characters. Runs of spaces become one. There is always at least one line.
func Wrap(text string, columns int) []string {
	var lines []string
	var line strings.Builder
	used := 0
	flush := func() {
		lines = append(lines, line.String())
		line.Reset()
		used = 0
	}
	for word := range strings.SplitSeq(text, " ") {
		if word == "" {
			continue
		}
		n := Width(word)
		if used > 0 && used+1+n > columns {
			flush()
		}
		if used > 0 {
			line.WriteByte(' ')
			used++
		}
		for n > columns {
			head, tail := cut(word, columns)
			line.WriteString(head)
			flush()
			word, n = tail, Width(tail)
		}
		line.WriteString(word)
		used += n
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// cut splits a word before the character that no longer fits; the head has at least one character.
func cut(word string, columns int) (head, tail string) {
	rest, state, used := word, -1, 0
	for rest != "" {
		_, next, w, s := uniseg.FirstGraphemeClusterInString(rest, state)
		if used > 0 && used+w > columns {
			break
		}
		rest, state, used = next, s, used+w
	}
	return word[:len(word)-len(rest)], rest
}
