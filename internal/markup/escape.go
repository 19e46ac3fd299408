package markup

import (
	"strings"
	"unicode/utf8"
)

// text writes s as text or as the value of an attribute: no character of it ends either. + is written so for those
// browsers that once guessed UTF-7, as html/template writes it; CR so that parsers do not make a line feed of it.
func (w *Writer) text(s string) {
	start := 0
	for i := range len(s) {
		entity := entityOf(s[i])
		if entity == "" {
			continue
		}
		w.write(s[start:i])
		w.write(entity)
		start = i + 1
	}
	w.write(s[start:])
}

func entityOf(b byte) string {
	switch b {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&#34;"
	case '\'':
		return "&#39;"
	case '+':
		return "&#43;"
	case '\r':
		return "&#13;"
	case 0:
		return "\ufffd"
	default:
		return ""
	}
}

// class writes the names of classes.
func (w *Writer) class(s string) {
	w.write(strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ ", r) || r < utf8.RuneSelf && alphanumeric(byte(r&0x7f)) {
			return r
		}
		return '_'
	}, s))
}

// link writes where a link leads: an https address or a relative one. Anything else becomes #, so that no javascript: or
// data: address, and none of another host without a scheme, gets into a page.
func (w *Writer) link(s string) {
	scheme, _, found := strings.Cut(s, ":")
	switch {
	case strings.HasPrefix(s, "//"), found && !strings.Contains(scheme, "/") && !strings.HasPrefix(s, "https://"):
		w.write("#")
	default:
		w.text(percent(s, true))
	}
}

// linkPart writes a part of a query or a fragment.
func (w *Writer) linkPart(s string) { w.write(percent(s, false)) }

// percent writes the bytes of s as %xx that may not be in an address as they are (RFC 3986, 2). A whole address keeps its
// delimiters and what is written so already.
func percent(s string, whole bool) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case alphanumeric(c) || strings.IndexByte("-._~", c) >= 0,
			whole && strings.IndexByte("!#$&*+,/:;=?@[]", c) >= 0,
			whole && c == '%' && i+2 < len(s) && hexadecimal(s[i+1]) && hexadecimal(s[i+2]):
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func hexadecimal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
