package handbook

import "example.com/cloister/internal/markup"

// putHead writes what every page begins with.
func putHead(w *markup.Writer, title string, style, script markup.Asset) {
	w.Put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{} – Cloister handbook</title>
<link rel="icon" href="data:,">
`, markup.Policy(style, script), title)
	w.Asset(style)
	w.Put(`
</head>
<body>
<nav class="top" aria-label="Handbook">
<a class="mark" href="index.html"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 21V11a4.5 4.5 0 0 1 9 0v10M12 21V11a4.5 4.5 0 0 1 9 0v10M1.5 21h21"/></svg>Cloister handbook</a>
</nav>
`)
}

// putFoot writes what every page ends with.
func putFoot(w *markup.Writer, script markup.Asset) {
	w.Put(`<footer><p>Rules for model customization on Amazon Bedrock. A rule supports controls of a framework; passing it does not mean compliance.</p></footer>
</body>
</html>
`)
	if script != (markup.Asset{}) {
		w.Asset(script)
		w.Put("\n")
	}
}

// putCode writes text in which placeholders stand out.
func putCode(w *markup.Writer, text string) {
	for _, p := range pieces(text) {
		if p.Kind == "placeholder" {
			w.Put(`<var>{}</var>`, p.Text)
		} else {
			w.Put(`{}`, p.Text)
		}
	}
}

// putRich writes text in which placeholders stand out, and rules and addresses are links.
func (s *site) putRich(w *markup.Writer, text string) {
	for _, p := range s.pieces(text) {
		switch {
		case p.Kind == "placeholder":
			w.Put(`<var>{}</var>`, p.Text)
		case p.Href == "":
			w.Put(`{}`, p.Text)
		case p.Kind == "url":
			w.Put(`<a href="{}" rel="external noreferrer">{}</a>`, p.Href, p.Text)
		default:
			w.Put(`<a href="{}" class="rule">{}</a>`, p.Href, p.Text)
		}
	}
}
