package markup

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"strings"
)

// Asset is a style sheet or a script that a page carries in itself. It comes from an embedded file, so it is the
// program's own. The zero Asset is none.
type Asset struct{ element, text string }

// Style returns an embedded style sheet.
func Style(files embed.FS, name constant) (Asset, error) { return load("style", files, name) }

// Script returns an embedded script.
func Script(files embed.FS, name constant) (Asset, error) { return load("script", files, name) }

func load(element string, files embed.FS, name constant) (Asset, error) {
	text, err := files.ReadFile(string(name))
	if err != nil {
		return Asset{}, err
	}
	if lower := strings.ToLower(string(text)); strings.Contains(lower, "</"+element) || strings.Contains(lower, "<!--") {
		return Asset{}, fmt.Errorf("%s: the content would end <%s>", name, element)
	}
	return Asset{element, string(text)}, nil
}

// Asset writes the element of an asset, if there is one.
func (w *Writer) Asset(a Asset) {
	if a.element != "" {
		w.write("<" + a.element + ">" + a.text + "</" + a.element + ">")
	}
}

// Policy is a content security policy that forbids every load, and lets exactly this style and this script through, by
// their hashes: what a name smuggled in would not run even if the escaping had a hole.
func Policy(style, script Asset) string {
	return "default-src 'none'; style-src " + style.source() + "; script-src " + script.source() +
		"; img-src data:; base-uri 'none'; form-action 'none'"
}

// source is the source expression of a policy that lets the asset through.
func (a Asset) source() string {
	if a.element == "" {
		return "'none'"
	}
	sum := sha256.Sum256([]byte(a.text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
