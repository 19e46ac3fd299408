package report_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"example.com/cloister/internal/ansi"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"support-tuner":        "support-tuner",
		"日本語 é e\u0301 👍":      "日本語 é e\u0301 👍",
		"a\x1b[31mb":           `a\u{1B}[31mb`,
		"a\r\n\tb\x00\x7f":     `a\u{D}\u{A}\u{9}b\u{0}\u{7F}`,
		"\u009b2J":             `\u{9B}2J`,
		"exe\u202egnp\u2066":   `exe\u{202E}gnp\u{2066}`,
		"\u2028\ufeff\u200b":   `\u{2028}\u{FEFF}\u{200B}`,
		"\U000e0041\ue000":     `\u{E0041}\u{E000}`,
		"\xff\xfe":             "\ufffd\ufffd",
		"no\u00a0break\u3000":  "no\u00a0break\u3000",
		"soft\u00adhyphen":     `soft\u{AD}hyphen`,
		"\ud7ff\uffff\ufffe":   `\u{D7FF}\u{FFFF}\u{FFFE}`,
		strings.Repeat("a", 9): "aaaaaaaaa",
	} {
		if got := ansi.Visible(in); got != want {
			t.Errorf("Visible(%q) = %q, want %q", in, got, want)
		}
	}
}

// raw is the first character of s that must not be written: what every output is searched for.
func raw(s string, newlines bool) (rune, bool) {
	if !utf8.ValidString(s) {
		return utf8.RuneError, true
	}
	for _, r := range s {
		if newlines && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) {
			return r, true
		}
	}
	return 0, false
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"", "plain", hostile, "\x1b]0;x\a", "\u202e", "\xc3\x28", `\u{1B}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ansi.Visible(s)
		if r, bad := raw(got, false); bad {
			t.Errorf("Visible(%q) = %q, which has %U", s, got, r)
		}
		if again := ansi.Visible(got); again != got {
			t.Errorf("Visible(%q) = %q, and of that %q", s, got, again)
		}
		if _, bad := raw(s, false); !bad && allAssigned(s) && got != s {
			t.Errorf("Visible(%q) = %q, which has nothing to hide", s, got)
		}
	})
}

func allAssigned(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) {
			return false
		}
	}
	return true
}
