package tape_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/cloister/internal/tape"
)

// echo answers every request with its URL.
type echo struct{}

func (echo) Do(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(req.URL.String())), Request: req}, nil
}

func ask(t *testing.T, d tape.Doer, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestBuckets holds buckets apart whether the bucket is in the host's name or in the path, and takes both for the same.
func TestBuckets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := tape.Record(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{
		"https://one.s3.eu-west-1.amazonaws.com/?acl", "https://two.s3.eu-west-1.amazonaws.com/?acl", "https://three.s3-fips.us-east-1.amazonaws.com/?acl",
		"http://127.0.0.1:5000/four?acl",
	} {
		if _, err := ask(t, r.Client(echo{}, "s3"), url); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.WriteManifest(struct{}{}); err != nil {
		t.Fatal(err)
	}
	p, err := tape.Play(dir, &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"https://one.s3.eu-west-1.amazonaws.com/?acl":    "https://one.",
		"https://two.s3.eu-west-1.amazonaws.com/?acl":    "https://two.",
		"https://s3.eu-west-1.amazonaws.com/two?acl":     "https://two.",
		"https://three.s3.us-east-1.amazonaws.com/?acl":  "https://three.",
		"https://four.s3.ap-south-1.amazonaws.com/?acl":  "http://127.0.0.1:5000/four",
		"https://five.s3.ap-south-1.amazonaws.com/?acl":  "",
		"https://one.s3.eu-west-1.amazonaws.com/?policy": "",
	} {
		got, err := ask(t, p.Client("s3"), url)
		if want == "" && err == nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s plays %q, %v, want %s", url, got, err, want)
		}
	}
}

// TestRedacted plays back by redacted names, and leaves no account id in a file.
func TestRedacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := tape.Record(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	urls := []string{
		"https://bedrock.us-east-1.amazonaws.com/jobs/arn%3Aaws%3Abedrock%3Aus-east-1%3A111122223333%3Ajob%2Fm1",
		"https://data-111122223333.s3.us-east-1.amazonaws.com/?acl", "https://ec2.us-east-1.amazonaws.com/?owner=arn%3Aaws%3Aiam%3A%3A111122223333%3Aroot",
	}
	for _, url := range urls {
		if _, err := ask(t, r.Client(echo{}, "111122223333"), url); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.WriteManifest(struct{}{}); err != nil {
		t.Fatal(err)
	}
	p, err := tape.Play(dir, &struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range urls {
		if _, err := ask(t, p.Client("000000000001"), strings.ReplaceAll(url, "111122223333", "000000000001")); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != len(urls)+1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "111122223333") {
			t.Errorf("an account id is left in: %s", text)
		}
	}
}
