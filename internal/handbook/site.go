package handbook

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.com/cloister/internal/markup"
	"example.com/cloister/internal/posture"
)

//go:embed page
var pageFiles embed.FS

// Site writes the handbook of a pack into a folder, which it makes if there is none: index.html, one page for each rule,
// group and framework. It returns the names of the files. A page needs nothing but itself: its policy forbids every load
// and names its style and script by their hashes. Each page is written aside and renamed, so that readers never see half
// of one; pages of rules that no longer exist stay.
func Site(dir string, pack *posture.Pack) ([]string, error) {
	pages, err := render(pack)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // pages for everybody to read
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	names := make([]string, len(pages))
	for i, p := range pages {
		if err := replace(filepath.Join(dir, p.name), p.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", p.name, err)
		}
		names[i] = p.name
	}
	return names, nil
}

// replace writes a file aside and renames it.
func replace(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".page-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error is the one to tell
		}
	}()
	if _, err = f.Write(content); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		_ = f.Close()
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

type file struct {
	name    string
	content []byte
}

// render makes all pages, in the order of their names.
func render(pack *posture.Pack) ([]file, error) {
	s := &site{pack: pack}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.add("index.html", "Rules", s.script, func(w *markup.Writer) { putIndex(w, s.index()) })
	for i := range pack.Rules {
		rule := &pack.Rules[i]
		s.add(rule.ID+".html", rule.ID+" "+rule.Title, markup.Asset{}, func(w *markup.Writer) { s.putRule(w, s.rule(i)) })
	}
	for _, g := range s.groups() {
		s.add(groupPage(g.ID), g.Title, markup.Asset{}, func(w *markup.Writer) { putGroup(w, g) })
	}
	for _, f := range s.frameworks() {
		s.add(frameworkPage(f.ID), f.Title, markup.Asset{}, func(w *markup.Writer) { putFramework(w, f) })
	}
	slices.SortFunc(s.files, func(a, b file) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return s.files, s.err
}

func groupPage(id string) string     { return "group-" + id + ".html" }
func frameworkPage(id string) string { return "framework-" + id + ".html" }

// site is a handbook while it is made.
type site struct {
	pack          *posture.Pack
	style, script markup.Asset
	files         []file
	err           error
}

func (s *site) open() (err error) {
	if s.style, err = markup.Style(pageFiles, "page/style.css"); err != nil {
		return err
	}
	s.script, err = markup.Script(pageFiles, "page/index.js")
	return err
}

// add makes a page: the frame that every page has, and its body.
func (s *site) add(name, title string, script markup.Asset, body func(*markup.Writer)) {
	if s.err != nil {
		return
	}
	var b bytes.Buffer
	w := markup.New(&b)
	putHead(w, title, s.style, script)
	body(w)
	putFoot(w, script)
	if err := w.Err(); err != nil {
		s.err = fmt.Errorf("page %s: %w", name, err)
		return
	}
	s.files = append(s.files, file{name, b.Bytes()})
}

// link is a piece of text with where it leads, if anywhere.
type link struct {
	Text, Kind, Href string
}

// pieces takes a text apart for a page: ids of rules in this pack become links.
func (s *site) pieces(text string) []link {
	var out []link
	for _, p := range pieces(text) {
		l := link{Text: p.Text, Kind: p.Kind}
		switch p.Kind {
		case "rule":
			if _, ok := s.pack.Rule(p.Text); ok {
				l.Href = p.Text + ".html"
			}
		case "url":
			l.Href = p.Text
		}
		out = append(out, l)
	}
	return out
}
