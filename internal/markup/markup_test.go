package markup

import (
	"embed"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

//go:embed testdata
var files embed.FS

func put(t *testing.T, fragment constant, values ...string) string {
	t.Helper()
	var b strings.Builder
	w := New(&b)
	w.Put(fragment, values...)
	if err := w.Err(); err != nil {
		t.Fatalf("Put(%q): %v", fragment, err)
	}
	return b.String()
}

func TestPut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fragment constant
		values   []string
		want     string
	}{
		{"{}", []string{"plain, é"}, "plain, é"},
		{"<p>{}</p>", []string{"<a b=\"c\" d='e'>&+\x00\r\n"}, "<p>&lt;a b=&#34;c&#34; d=&#39;e&#39;&gt;&amp;&#43;\ufffd&#13;\n</p>"},
		{`<p id="f-{}" hidden data-x="{}{}"><br/>`, []string{`"`, "a", "b"}, `<p id="f-&#34;" hidden data-x="ab"><br/>`},
		{`<p class="sev {}">`, []string{`very-high _9" onclick=é`}, `<p class="sev very-high _9_ onclick__">`},
		{`<a href="{}">`, []string{"MC-JOB-001.html"}, `<a href="MC-JOB-001.html">`},
		{`<a href="{}">`, []string{"https://a.example/b c?d=e&f=(%41%zz)#g\\"}, `<a href="https://a.example/b%20c?d=e&amp;f=%28%41%25zz%29#g%5c">`},
		{`<a href="{}">`, []string{"a/b:c"}, `<a href="a/b:c">`},
		{`<a href="{}">`, []string{"javascript:alert(1)"}, `<a href="#">`},
		{`<a href="{}">`, []string{"java\tscript:alert(1)"}, `<a href="#">`},
		{`<a href="{}">`, []string{" JavaScript:alert(1)"}, `<a href="#">`},
		{`<a href="{}">`, []string{"data:text/html,x"}, `<a href="#">`},
		{`<a href="{}">`, []string{"http://a.example/"}, `<a href="#">`},
		{`<a href="{}">`, []string{"https:a.example"}, `<a href="#">`},
		{`<a href="{}">`, []string{"//a.example/"}, `<a href="#">`},
		{`<a href="{}">`, []string{`/\a.example/`}, `<a href="/%5ca.example/">`},
		{`<a href="#rule-{}">`, []string{`a b/"&`}, `<a href="#rule-a%20b%2f%22%26">`},
		{"<!doctype html>\n<title>{}</title>", []string{"</title>"}, "<!doctype html>\n<title>&lt;/title&gt;</title>"},
	} {
		if got := put(t, c.fragment, c.values...); got != c.want {
			t.Errorf("Put(%q, %q) = %q, want %q", c.fragment, c.values, got, c.want)
		}
	}
}

// TestPutRefuses: a value where it could be more than text is an error, and so is HTML that the writer does not follow.
func TestPutRefuses(t *testing.T) {
	t.Parallel()
	for _, fragment := range []constant{
		"<{}>", "<p {}>", "<p {}=\"x\">", "<p id={}>", "<p id='{}'>", "<p id = \"{}\">", "</{}>", "<p id=\"a\"{}>",
		`<p onclick="{}">`, `<p ONCLICK="{}">`, `<p style="{}">`, `<img src="{}">`, `<iframe srcdoc="{}">`, `<form action="{}">`,
		`<link href="{}">`, `<base href="{}">`, `<a HREF="{}">`, `<a href=" {}">`, `<a href="x{}">`, `<a href="{}{}">`,
		"<script>{}", "<SCRIPT>{}", "<style>{}", "<script x>{}", "<noscript>{}", "<!--{}-->", "<!{}>", "<?{}?>", "<>{}", "<p/{}>",
		"<p\fonclick=\"> {}\">", "<p data-\fonclick=\"{}\">", "<p data-/onclick=\"{}\">", "<p id=\"a\"\ronclick=\"{}\">",
		"<p id=\"{}", "<p id=\"{}\"", "<p>{}<p", "no value", "{}{}{}",
	} {
		var b strings.Builder
		w := New(&b)
		w.Put(fragment, "EVIL", "EVIL")
		if w.Err() == nil {
			t.Errorf("Put(%q) = %q, want an error", fragment, b.String())
		}
		w.Put("after")
		if strings.HasSuffix(b.String(), "after") {
			t.Errorf("Put(%q) did not stop the page", fragment)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := New(&b)
	w.PutIf("<b>{}</b>", "")
	w.PutIf("<b>{}</b>", "<")
	w.Each("<i>{}</i>", []string{"1", ""})
	if got := b.String(); got != "<b>&lt;</b><i>1</i><i></i>" || w.Err() != nil {
		t.Errorf("page = %q, %v", got, w.Err())
	}
}

type full struct{ writes int }

var errFull = errors.New("full")

func (f *full) WriteString(string) (int, error) { f.writes++; return 0, errFull }

func TestWriterFails(t *testing.T) {
	t.Parallel()
	var f full
	w := New(&f)
	w.Put("<p>{}</p>", "a")
	w.Put("<p>")
	if !errors.Is(w.Err(), errFull) || f.writes != 1 {
		t.Errorf("%d writes, %v", f.writes, w.Err())
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	style, err := Style(files, "testdata/style.css")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	w := New(&b)
	w.Asset(style)
	w.Asset(Asset{})
	if got := b.String(); got != "<style>p > b { color: red }\n</style>" || w.Err() != nil {
		t.Errorf("Asset = %q, %v", got, w.Err())
	}
	want := "default-src 'none'; style-src 'sha256-KyGdwoZlByXIzJ9j538x+pMOAJcHgVgB0kSnfcL9yuI='; script-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
	if got := Policy(style, Asset{}); got != want {
		t.Errorf("Policy = %q, want %q", got, want)
	}
	if _, err := Script(files, "testdata/ends.js"); err == nil {
		t.Error("a script that ends its element is let through")
	}
	if _, err := Script(files, "testdata/none.js"); err == nil {
		t.Error("a script that is not there is let through")
	}
}

// FuzzPut: whatever the values are, a browser sees the elements and attributes of the fragment, and the values as text.
func FuzzPut(f *testing.F) {
	for _, seed := range []string{"", "a", `"><script>alert(1)</script>`, "javascript:x", "&amp;", "https://a.example/?b=c", "//x", "\x00\r\n\xff", "%41%"} {
		f.Add(seed)
	}
	const fragment = `<p class="a {}" id="b-{}" data-c="{}"><b>{}</b><a href="{}">x</a><a href="#r-{}">y</a></p><title>{}</title>`
	f.Fuzz(func(t *testing.T, s string) {
		page := put(t, fragment, s, s, s, s, s, s, s)
		if !utf8.ValidString(s) {
			s = strings.ToValidUTF8(s, "\ufffd") // parsers read it so, and may count otherwise
			page = put(t, fragment, s, s, s, s, s, s, s)
		}
		shown := strings.ReplaceAll(s, "\x00", "\ufffd")
		want := []string{"p", "class", "", "id", "b-" + shown, "data-c", shown, "b", shown, "a", "href", "", "x", "a", "href", "", "y", "title", shown}
		var got []string
		doc, err := html.ParseFragment(strings.NewReader(page), &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body})
		if err != nil {
			t.Fatal(err)
		}
		var walk func(n *html.Node)
		walk = func(n *html.Node) {
			switch n.Type {
			case html.ElementNode:
				got = append(got, n.Data)
				for _, a := range n.Attr {
					value := a.Val
					switch a.Key {
					case "href":
						check(t, value)
						value = ""
					case "class":
						if strings.Trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ ") != "" {
							t.Errorf("class %q", value)
						}
						value = ""
					}
					got = append(got, a.Key, value)
				}
				if n.FirstChild == nil && (n.Data == "b" || n.Data == "title") {
					got = append(got, "")
				}
			case html.TextNode:
				got = append(got, n.Data)
			default:
				t.Errorf("a node of type %d", n.Type)
			}
			for c := range n.ChildNodes() {
				walk(c)
			}
		}
		for _, n := range doc {
			walk(n)
		}
		if strings.Join(got, "\x01") != strings.Join(want, "\x01") {
			t.Errorf("of %q a browser sees\n%q, want\n%q", s, got, want)
		}
	})
}

// FuzzFragment: whatever a fragment is, if the writer takes it, a browser sees the value where the writer says.
func FuzzFragment(f *testing.F) {
	for _, seed := range []string{"{}", `<p class="{}" id="{}">`, `<a href="#{}">{}</a>`, "<p\f{}>", "<!--{}-->", "<title>{}", `<p data-a="{}"b/>{}`, "<svg><path d=\"\"/>{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b strings.Builder
		w := New(&b)
		w.Put(constant(s), slices.Repeat([]string{"VALUE"}, strings.Count(s, "{}"))...)
		if w.Err() != nil || strings.Contains(strings.ToUpper(s), "VALUE") {
			return
		}
		tokens := html.NewTokenizer(strings.NewReader(b.String()))
		for tokens.Next() != html.ErrorToken {
			token := tokens.Token()
			if token.Type != html.TextToken && strings.Contains(strings.ToUpper(token.Data), "VALUE") {
				t.Errorf("%q puts the value into %v", s, token)
			}
			for _, a := range token.Attr {
				safe := a.Key == "class" || a.Key == "href" && token.Data == "a" || inert(a.Key)
				if strings.Contains(strings.ToUpper(a.Key), "VALUE") || strings.Contains(a.Val, "VALUE") && !safe {
					t.Errorf("%q puts the value into %v", s, token)
				}
			}
		}
	})
}

// check holds an href against what the writer lets through, read as strictly as a browser reads loosely.
func check(t *testing.T, href string) {
	t.Helper()
	for i := range len(href) {
		if href[i] <= ' ' || href[i] >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", href[i]) >= 0 {
			t.Fatalf("href %q has %q", href, href[i])
		}
	}
	scheme, _, found := strings.Cut(href, ":")
	if strings.HasPrefix(href, "//") || found && !strings.ContainsAny(scheme, "/#?") && scheme != "https" {
		t.Fatalf("href %q leads elsewhere", href)
	}
}

func BenchmarkPut(b *testing.B) {
	w := New(discard{})
	b.ReportAllocs()
	for b.Loop() {
		w.Put(`<details class="r {}" id="f-{}"><span>{}</span>`, "fail", "mc-0123", "arn:aws:s3:::tuning-data")
	}
}

type discard struct{}

func (discard) WriteString(s string) (int, error) { return len(s), nil }
