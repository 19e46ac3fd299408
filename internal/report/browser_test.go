package report_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/report"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of the page")

// browser is a headless Chromium with what it said and asked for.
type browser struct {
	context.Context //nolint:containedctx // chromedp keeps the tab in it

	mu       sync.Mutex
	said     []string
	requests []string
}

// open starts Chromium, which make setup installs, and opens a page of the report.
func open(t *testing.T, r *posture.Report) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("chromium is missing (make setup installs it): %v", err)
		}
		t.Skipf("SKIPPED: chromium is missing (make setup installs it): %v", err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, write(t, report.HTML, r, report.Options{}), 0o600); err != nil {
		t.Fatal(err)
	}
	allocated, cancel := chromedp.NewExecAllocator(t.Context(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(time.Minute))
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	limited, cancel := context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(cancel)
	b := &browser{Context: limited}
	if err := chromedp.Listen(b, b.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	address := (&url.URL{Scheme: "file", Path: file}).String()
	do(t, b, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(address))
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.said) > 0 {
			t.Errorf("the console has %q", b.said)
		}
		if asked := slices.DeleteFunc(b.requests, func(u string) bool { return u == address || u == "data:," }); len(asked) > 0 {
			t.Errorf("the page asked for %q", asked)
		}
	})
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		b.said = append(b.said, fmt.Sprint(e.Type, e.Args))
	case *runtime.EventExceptionThrown:
		b.said = append(b.said, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.said = append(b.said, e.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		b.said = append(b.said, "dialog "+e.Message)
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, strings.SplitN(e.Request.URL, "#", 2)[0])
	}
}

// eval runs an expression in the page and returns its value.
func eval[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func do(t *testing.T, b *browser, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the page has drawn: the timers of the filters are shorter.
const settle = `new Promise(done => setTimeout(() => requestAnimationFrame(() => done(true)), 200))`

const visibleRows = `[...document.querySelectorAll(".rows > .r")].filter(r => !r.hidden).length`

// choose sets a filter as a person does and waits for the page to follow.
func choose(t *testing.T, b *browser, key, value string) int {
	t.Helper()
	eval[bool](t, b, fmt.Sprintf(`(() => { const f = document.querySelector('[data-filter=%q]'); f.value = %q; f.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, key, value))
	eval[bool](t, b, settle)
	return eval[int](t, b, visibleRows)
}

func TestPage(t *testing.T) {
	t.Parallel()
	r := sample()
	b := open(t, r)

	want, got := map[string]int{}, map[string]int{}
	for _, one := range r.Results {
		want[string(one.Status)]++
	}
	for _, status := range eval[[]string](t, b, `[...document.querySelectorAll(".rows > .r")].map(r => r.dataset.s)`) {
		got[status]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows: -want +got:\n%s", diff)
	}
	if n := eval[int](t, b, `document.querySelectorAll("script, iframe, object, embed, link[rel=stylesheet]").length`); n != 1 {
		t.Errorf("%d active elements, want the one script", n)
	}
	if jobs := eval[int](t, b, `document.querySelectorAll(".job").length`); jobs != len(r.Jobs) {
		t.Errorf("%d jobs, want %d", jobs, len(r.Jobs))
	}
	for _, link := range eval[[]string](t, b, `[...document.querySelectorAll("a[href]")].filter(a => !a.getAttribute("href").startsWith("#")).map(a => a.protocol + " " + a.rel)`) {
		if link != "https: noreferrer noopener" {
			t.Errorf("a link is %q", link)
		}
	}
	if broken := eval[[]string](t, b, `[...document.querySelectorAll('a[href^="#"]')].map(a => decodeURIComponent(a.hash.slice(1))).filter(id => !document.getElementById(id))`); len(broken) > 0 {
		t.Errorf("links to nothing: %q", broken)
	}
	if name := eval[string](t, b, `document.querySelectorAll(".r.fail .na b")[2].textContent`); name != ansi.Visible(hostile) {
		t.Errorf("the hostile name shows as %q", name)
	}

	for _, c := range []struct {
		key, value string
		want       int
	}{
		{"s", "FAIL", 4},
		{"v", "high", 1},
		{"v", "", 4},
		{"s", "", 11},
		{"r", "MC-JOB-001", 4},
		{"r", "", 11},
		{"g", "us-east-1", 3},
		{"g", "", 11},
		{"a", "111122223333", 11},
		{"q", "everybody read", 1},
		{"q", "TUNER vpc-0a1b2c3d", 1},
		{"q", "no such thing", 0},
		{"q", "", 11},
	} {
		if n := choose(t, b, c.key, c.value); n != c.want {
			t.Errorf("%s=%q shows %d rows, want %d", c.key, c.value, n, c.want)
		}
	}

	do(t, b, chromedp.Click(chromedp.CSS(".tile.error")))
	eval[bool](t, b, settle)
	if n := eval[int](t, b, visibleRows); n != 2 {
		t.Errorf("the tile ERROR shows %d rows, want 2", n)
	}
	hidden := "f-" + r.Results[1].ID
	eval[string](t, b, fmt.Sprintf("location.hash = %q", hidden))
	eval[bool](t, b, settle)
	if !eval[bool](t, b, fmt.Sprintf(`(d => d.open && !d.hidden)(document.getElementById(%q))`, hidden)) {
		t.Error("a link to a hidden result does not open it")
	}
	if wide := eval[bool](t, b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`); wide {
		t.Error("the page is wider than the window")
	}
	do(t, b, chromedp.EmulateViewport(360, 780))
	if wide := eval[bool](t, b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`); wide {
		t.Error("the page is wider than a narrow window")
	}
}

// TestLargePage: 25,000 rows can be filtered while a person waits.
func TestLargePage(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	t.Parallel()
	b := open(t, large(25_000))
	if n := eval[int](t, b, visibleRows); n != 25_000 {
		t.Errorf("%d rows", n)
	}
	start := time.Now()
	if n := choose(t, b, "s", "ERROR"); n != 250 {
		t.Errorf("%d errors", n)
	}
	first := time.Since(start)
	if n := choose(t, b, "q", "tuning-job-36"); n == 0 || n >= 250 {
		t.Errorf("%d errors of tuning-job-36", n)
	}
	t.Logf("filter %v, first search %v", first, time.Since(start)-first)
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("two filters took %v", took)
	}
}

func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("only with -screenshots")
	}
	b := open(t, sample())
	save := func(name string, data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*screenshots, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shoot := func(name string) {
		for _, at := range []string{"header", ".job", "#results", ".accounts"} {
			eval[bool](t, b, fmt.Sprintf("document.querySelector(%q).scrollIntoView() === null", at))
			eval[bool](t, b, settle)
			data, err := chromedp.Run(b, chromedp.CaptureScreenshot())
			save(name+"-"+strings.Trim(at, ".#")+".png", data, err)
		}
	}
	media := func(features ...*emulation.MediaFeature) {
		if _, err := chromedp.Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
			t.Fatal(err)
		}
	}
	eval[bool](t, b, `document.querySelector(".r").open = document.querySelector(".rule").open = true`)
	shoot("light")
	do(t, b, chromedp.EmulateViewport(390, 844))
	shoot("narrow")
	do(t, b, chromedp.EmulateViewport(1280, 900))
	media(&emulation.MediaFeature{Name: "prefers-color-scheme", Value: "dark"})
	shoot("dark")
	media()
	pdf, err := chromedp.Run(b, chromedp.PrintToPDF(chromedp.PDFPrintBackground()))
	save("print.pdf", pdf, err)
}
