package sigv4

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/cloister"
)

// suiteRoot is AWS's test suite beside the repository; see TestAWSSuite.
const suiteRoot = "../../../shared/data/sigv4"

// TestAWSSuite runs AWS's Signature Version 4 test suite, header form: every request verifies, and no
// longer with one bit of its signature changed.
func TestAWSSuite(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob(filepath.Join(suiteRoot, "*", "context.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		if os.Getenv("CLOISTER_REQUIRE_SHARED") == "1" {
			t.Fatalf("AWS's test suite is not at %s, and CLOISTER_REQUIRE_SHARED=1 wants it", suiteRoot)
		}
		t.Skip("AWS's test suite is not beside the repository; the vectors in testdata run in any case")
	}
	for _, context := range cases {
		dir := filepath.Dir(context)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			runVector(t, dir)
		})
	}
}

// TestVectors runs this package's own vectors: requests as AWS's suite writes them, signed by botocore.
func TestVectors(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/vectors/*/context.json")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no vectors in testdata: %v", err)
	}
	for _, context := range cases {
		dir := filepath.Dir(context)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			runVector(t, dir)
		})
	}
}

type vector struct {
	Credentials struct {
		AccessKeyID     string          `json:"access_key_id"`
		SecretAccessKey cloister.Secret `json:"-"`
		Secret          string          `json:"secret_access_key"`
		Token           string          `json:"token"`
	} `json:"credentials"`
	Normalize        bool      `json:"normalize"`
	OmitSessionToken bool      `json:"omit_session_token"`
	Service          string    `json:"service"`
	Timestamp        time.Time `json:"timestamp"`
}

func runVector(t *testing.T, dir string) {
	t.Helper()
	var v vector
	if err := json.Unmarshal([]byte(read(t, dir, "context.json")), &v); err != nil {
		t.Fatal(err)
	}
	text := read(t, dir, "header-signed-request.txt")
	r := parseRaw(t, text)
	scope, err := ParseScope(r)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Normalize && v.Service != serviceS3 { // only S3 leaves paths alone: ask for the canonical path itself
		got, err := canonicalPath(rawPath(r), true)
		want := strings.Split(read(t, dir, "header-canonical-request.txt"), "\n")[1]
		if err != nil || got != want {
			t.Errorf("canonicalPath(%q) = %q, %v, want %q", rawPath(r), got, err, want)
		}
		return
	}
	key := Key{Secret: cloister.Secret(v.Credentials.Secret), SessionToken: cloister.Secret(v.Credentials.Token)}
	if v.OmitSessionToken {
		// The token is added after signing and is not signed: AWS's IoT does that, the served APIs do not.
		if err := verifyAt(v.Timestamp, r, scope, key); kindOf(err) != NotSigned {
			t.Errorf("Verify with an unsigned token = %v, want NotSigned", err)
		}
		return
	}
	if err := verifyAt(v.Timestamp, r, scope, key); err != nil {
		t.Errorf("Verify = %v", err)
	}
	r = parseRaw(t, text)
	changed := []byte(scope.signature)
	changed[0] ^= 1
	scope.signature = string(changed)
	if err := verifyAt(v.Timestamp, r, scope, key); kindOf(err) != Mismatch {
		t.Errorf("Verify with a changed signature = %v, want Mismatch", err)
	}
}

func verifyAt(now time.Time, r *http.Request, s *Scope, key Key) error {
	return NewVerifier(func() time.Time { return now }, 1<<20).Verify(r, s, key)
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// parseRaw reads a request of the suite, which has spaces and other octets in its path that net/http would
// refuse on the wire.
func parseRaw(t *testing.T, text string) *http.Request {
	t.Helper()
	text = strings.ReplaceAll(text, "\r\n", "\n")
	line, rest, _ := strings.Cut(text, "\n")
	head, body, _ := strings.Cut(rest, "\n\n")
	method, target, _ := strings.Cut(line, " ")
	target = strings.TrimSuffix(target, " HTTP/1.1")
	stand := "POST / HTTP/1.1\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(stand)))
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(target, "?")
	r.Method, r.RequestURI = method, target
	r.URL = &url.URL{Path: path, RawQuery: query}
	if length := r.Header.Get("Content-Length"); length == "" {
		body = strings.TrimRight(body, "\n")
	}
	r.Body = newBytes(body)
	r.ContentLength = int64(len(body))
	return r
}
