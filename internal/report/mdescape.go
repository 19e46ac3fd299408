package report

import (
	"fmt"
	"strings"

	"example.com/cloister/internal/ansi"
)

// mdText is one line of text in Markdown, inside a line or a table's cell. What GitHub and GitLab would make a mention, a
// reference or a link of becomes code, since they look at the text that is left after Markdown.
func mdText(s string) string {
	s = ansi.Visible(s)
	lower := strings.ToLower(s)
	for _, active := range []string{"@", "#", "://", "www.", "gh-", "!"} {
		if strings.Contains(lower, active) {
			return mdCode(s)
		}
	}
	return entities(s, "&<>`*_[]|~\\$^{}")
}

// mdCode is one line of code in Markdown, inside a line or a table's cell. Names without special characters stand between
// backticks; others in a code element with every special character as an entity, which no Markdown reads as structure
// (CommonMark, 6.2).
func mdCode(s string) string {
	s = ansi.Visible(s)
	if s == "" {
		return ""
	}
	const harmless = "._/:@+=,#- "
	special := strings.ContainsFunc(s, func(r rune) bool { return !letter(r) && !strings.ContainsRune(harmless, r) })
	if !special && strings.TrimSpace(s) == s {
		return "`" + s + "`"
	}
	return "<code>" + entities(s, "!\"#$%&'()*+/:;<=>?@[\\]^_`{|}~") + "</code>"
}

func letter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func entities(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(special, r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// mdBlock is a code block, its fence longer than any run of backticks inside it.
func mdBlock(s string) string {
	s = visibleLines(s)
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + s + "\n" + fence + "\n"
}

// mdParagraphs is text of several paragraphs in Markdown.
func mdParagraphs(s string) string {
	var list []string
	for paragraph := range strings.SplitSeq(visibleLines(s), "\n\n") {
		if paragraph = strings.Join(strings.Fields(paragraph), " "); paragraph != "" {
			list = append(list, mdStart(mdText(paragraph)))
		}
	}
	return strings.Join(list, "\n\n") + "\n"
}

// mdStart keeps what stands at the start of a line from being a heading, a list or a rule.
func mdStart(s string) string {
	if s != "" && strings.ContainsRune("#+-=>0123456789", rune(s[0])) {
		return fmt.Sprintf("&#%d;", s[0]) + s[1:]
	}
	return s
}

// mdLink is a link; what is not a web address stays text.
func mdLink(title, url string) string {
	if !webAddress(url) {
		return mdText(title)
	}
	return "[" + entities(ansi.Visible(title), "&<>`*_[]|~\\!@#") + "](<" + strings.NewReplacer("<", "%3C", ">", "%3E", "\\", "%5C", "|", "%7C").Replace(ansi.Visible(url)) + ">)"
}

// webAddress says whether a reference may be a link: nothing but HTTP, so that no report has a javascript: URL.
func webAddress(url string) bool {
	return (strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")) &&
		!strings.ContainsAny(url, " \"'`()") && ansi.Visible(url) == url
}

// shorten cuts s to what a cell holds and says so with an ellipsis.
func shorten(s string) string {
	n := 0
	for i := range s {
		if n == markdownCell {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
