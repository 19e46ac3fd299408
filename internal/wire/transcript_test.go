package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"example.com/cloister"
)

var update = flag.Bool("update", false, "rewrite the golden transcripts")

// TestTranscripts replays requests and compares what the method got and what went back. An archive in
// testdata/transcripts has the files "request"; "output" (JSON of the SDK's output structure) or "error" (CODE:
// message); and the golden "input" and "response". Its name begins with the service's.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range archive.Files {
				files[f.Name] = string(f.Data)
			}
			service, _, _ := strings.Cut(filepath.Base(path), "-")
			input, response := replay(t, service, files)
			if *update {
				set(archive, "input", input)
				set(archive, "response", response)
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(files["input"], input); diff != "" {
				t.Errorf("the method's input (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(files["response"], response); diff != "" {
				t.Errorf("the response (-want +got):\n%s", diff)
			}
		})
	}
}

func set(archive *txtar.Archive, name, text string) {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			archive.Files[i].Data = []byte(text)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(text)})
}

func replay(t *testing.T, service string, files map[string]string) (input, response string) {
	t.Helper()
	var s *Service
	s = bindAll(t, service, func(_ context.Context, operation string, in any) (any, error) {
		if body := reflect.ValueOf(in).Elem().FieldByName("Body"); body.IsValid() {
			data, err := io.ReadAll(body.Interface().(io.Reader))
			if err != nil {
				return nil, err
			}
			input += "body: " + string(data) + "\n"
			body.SetZero()
		}
		text, err := json.MarshalIndent(in, "", "  ")
		if err != nil {
			return nil, err
		}
		input += operation + " " + string(text) + "\n"
		if failed, ok := files["error"]; ok {
			code, message, _ := strings.Cut(strings.TrimSpace(failed), ": ")
			if code == "unexpected" {
				return nil, errors.New(message)
			}
			e := cloister.Errorf(code, "%s", message)
			e.Fields = map[string]string{"BucketName": "b<>"}
			return nil, e
		}
		out := reflect.New(s.ops[operation].out)
		return out.Interface(), json.Unmarshal([]byte(files["output"]), out.Interface())
	})
	head, body, _ := strings.Cut(files["request"], "\n\n")
	raw := strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	body = strings.TrimSuffix(body, "\n")
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r.WithContext(cloister.WithCall(t.Context(), cloister.Call{RequestID: "REQUEST-ID"})))
	result := w.Result()
	var names []string
	for name := range result.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	response = result.Status + "\n"
	for _, name := range names {
		response += name + ": " + strings.Join(result.Header[name], ", ") + "\n"
	}
	return input, response + "\n" + w.Body.String() + "\n"
}
