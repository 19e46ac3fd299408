package handbook

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"example.com/cloister/internal/posture"
)

func rendered(t *testing.T, pack *posture.Pack) map[string]string {
	t.Helper()
	files, err := render(pack)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, f := range files {
		pages[f.name] = string(f.content)
	}
	return pages
}

func TestRulePageGolden(t *testing.T) {
	t.Parallel()
	page := rendered(t, loaded(t))["MC-JOB-001.html"]
	style := regexp.MustCompile(`(?s)<style>.*</style>`).ReplaceAllString(page, "<style></style>")
	golden(t, "MC-JOB-001.html", regexp.MustCompile(`sha256-[^']*`).ReplaceAllString(style, "sha256-"))
}

// TestRulePageHasTheStructure holds every page against the knowledge base's: what it has, and in which order.
func TestRulePageHasTheStructure(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	pages := rendered(t, pack)
	for i := range pack.Rules {
		rule := &pack.Rules[i]
		page := pages[rule.ID+".html"]
		at := 0
		for _, part := range []string{
			"Risk level: " + rule.Severity.Title() + " (" + rule.Obligation + ")", "Rationale", "Passes when", "Fails when",
			">Audit<", "Using AWS Console", "Using AWS CLI", ">Remediation<", "Before you change anything", "Using AWS Console", "Using AWS CLI",
			">References<", "Publication date Nov 25, 2026",
		} {
			n := strings.Index(page[at:], part)
			if n < 0 {
				t.Errorf("%s: no %q, or not in its place", rule.ID, part)
				break
			}
			at += n
		}
	}
}

func TestSiteIsSelfContained(t *testing.T) {
	t.Parallel()
	pages := rendered(t, loaded(t))
	for name, page := range pages {
		if !strings.Contains(page, "default-src &#39;none&#39;") {
			t.Errorf("%s has no policy", name)
		}
		doc, err := html.Parse(strings.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		for node := range doc.Descendants() {
			for _, attr := range node.Attr {
				switch {
				case strings.HasPrefix(attr.Key, "on"), attr.Key == "style", attr.Key == "src":
					t.Errorf("%s: <%s %s>", name, node.Data, attr.Key)
				case attr.Key == "href" && node.Data == "link" && attr.Val != "data:,":
					t.Errorf("%s loads %s", name, attr.Val)
				case attr.Key == "href" && node.Data == "a" && !strings.HasPrefix(attr.Val, "https://") && pages[attr.Val] == "":
					t.Errorf("%s leads to %s, which is not there", name, attr.Val)
				}
			}
		}
	}
}

func TestSiteIsDeterministic(t *testing.T) {
	t.Parallel()
	one, err := render(loaded(t))
	if err != nil {
		t.Fatal(err)
	}
	two, err := render(loaded(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range one {
		if one[i].name != two[i].name || !bytes.Equal(one[i].content, two[i].content) {
			t.Errorf("%s differs from %s", one[i].name, two[i].name)
		}
	}
}

func TestSiteEscapes(t *testing.T) {
	t.Parallel()
	pack := loaded(t)
	rule, _ := pack.Rule("MC-JOB-001")
	evil := `</script><img src=x onerror=alert(1)>.`
	rule.Title, rule.Rationale, rule.PassWhen = evil, evil, evil
	rule.Audit.CLI[0].Run = evil
	rule.References[0].URL = "javascript:alert(1)"
	for name, page := range rendered(t, pack) {
		if strings.Contains(page, "<img") || strings.Contains(page, `href="javascript:`) {
			t.Errorf("%s is not escaped", name)
		}
	}
}

func TestSiteWrites(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "site")
	pack := loaded(t)
	for range 2 { // the second time over the first
		names, err := Site(dir, pack)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, e := range entries {
			found = append(found, e.Name())
		}
		if !slices.Equal(names, found) {
			t.Errorf("Site(dir) = %v, the folder holds %v", names, found)
		}
		if !slices.Contains(names, "index.html") || !slices.Contains(names, "group-NET.html") || !slices.Contains(names, "framework-soc2.html") {
			t.Errorf("pages are missing: %v", names)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o644 {
		t.Errorf("mode of index.html = %v, want 0644", info.Mode())
	}
}

func TestSiteOfAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Site(path, loaded(t)); err == nil {
		t.Error("Site of a file: no error")
	}
}

func TestNatural(t *testing.T) {
	t.Parallel()
	got := []string{"A.8.20", "3.10", "3.9", "A.8.3", "SC-7(5)", "SC-12", "SC-7"}
	slices.SortFunc(got, natural)
	if want := []string{"3.9", "3.10", "A.8.3", "A.8.20", "SC-7", "SC-7(5)", "SC-12"}; !slices.Equal(got, want) {
		t.Errorf("sorted = %v, want %v", got, want)
	}
}
