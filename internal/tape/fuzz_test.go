package tape

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// FuzzPlay plays back files that anybody may have written: it answers or fails, and never panics.
func FuzzPlay(f *testing.F) {
	f.Add([]byte(`{"call":"x","status":200,"header":{"Content-Type":["application/json"]},"body":"{}"}`))
	f.Add([]byte(`{"error":"Timeout"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://bedrock.us-east-1.amazonaws.com/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"manifest.json", key("s", req, nil) + ".json"} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var manifest map[string]any
		if _, err := Play(dir, &manifest); err != nil {
			_ = err // a manifest may be anything
		}
		resp, err := (&Player{dir}).Client("s").Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("arn:aws:iam::123456789012:role/x 1234abcd-1234-abcd-1234-123456789012")
	f.Fuzz(func(t *testing.T, s string) {
		r := newRedactor()
		once := r.text(s)
		if r.text(s) != once {
			t.Errorf("redacting %q twice differs", s)
		}
		if again := r.text(once); again != once {
			t.Errorf("redacting %q again gives %q", once, again)
		}
	})
}
