package wire

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// recordingsRoot has answers of the real services beside the repository.
const recordingsRoot = "../../../shared/data/bedrock-recordings/placebo"

// TestRecordedAnswers takes answers of the real services, as botocore parsed them, through the SDK's output
// structures, this encoder and the SDK's client, and wants to have them back.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(recordingsRoot, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		if os.Getenv("CLOISTER_REQUIRE_SHARED") == "1" {
			t.Fatalf("the recorded answers are not at %s, and CLOISTER_REQUIRE_SHARED=1 wants them", recordingsRoot)
		}
		t.Skip("the recorded answers are not beside the repository; the transcripts in testdata run in any case")
	}
	ran := 0
	for _, path := range paths {
		service, rest, _ := strings.Cut(filepath.Base(path), ".")
		operation, _, _ := strings.Cut(rest, "_")
		m, err := loadModel(service)
		if err != nil || m.byName[operation] == nil || !m.byName[operation].Served {
			continue // of a service or an operation that is not served
		}
		ran++
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			runRecording(t, path, service, operation)
		})
	}
	if ran < 20 {
		t.Errorf("only %d recordings are of served operations", ran)
	}
}

func runRecording(t *testing.T, path, service, operation string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		StatusCode int            `json:"status_code"`
		Data       map[string]any `json:"data"`
	}
	if err := json.Unmarshal(text, &recording); err != nil {
		t.Fatal(err)
	}
	delete(recording.Data, "ResponseMetadata")
	if failed, ok := recording.Data["Error"].(map[string]any); ok {
		code, _ := failed["Code"].(string)
		s := bindAll(t, service, nil)
		if got := s.status(code, s.model.byCode[code]); got != recording.StatusCode {
			t.Errorf("status of %s = %d, the service's was %d", code, got, recording.StatusCode)
		}
		return
	}
	var s *Service
	var answer any
	s = bindAll(t, service, func(context.Context, string, any) (any, error) { return answer, nil })
	out := reflect.New(s.ops[operation].out)
	f := &filler{unions: s.unions}
	data, _ := dates(recording.Data).(map[string]any)
	if err := f.structure(s.model.byName[operation].Output.shape, data, out.Elem(), ""); err != nil {
		t.Fatal(err)
	}
	answer = out.Interface()
	server := httptest.NewServer(s)
	defer server.Close()
	// A valid input: the answer does not depend on it.
	in := reflect.New(s.ops[operation].in)
	if input := s.model.byName[operation].Input; input != nil {
		g := newGenerator(t, 1, s)
		g.structure(input.shape, in.Elem(), func(*ref) bool { return true })
		prepare(in, out, nil)
	}
	results := reflect.ValueOf(newClient(t, service, server.URL)).MethodByName(operation).Call([]reflect.Value{reflect.ValueOf(t.Context()), in})
	if err, _ := reflect.TypeAssert[error](results[1]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer, results[0].Interface(), ignoreMetadata(), cmp.Comparer(func(a, b time.Time) bool {
		return a.Sub(b).Abs() <= time.Millisecond // the SDK cuts epoch floats
	})); diff != "" {
		t.Errorf("the client got another answer (-recorded +got):\n%s", diff)
	}
}

// dates turns the recordings' split dates into ISO 8601 and numbers into json.Number's text.
func dates(v any) any {
	switch x := v.(type) {
	case map[string]any:
		if x["__class__"] == "datetime" {
			n := func(name string) int { f, _ := x[name].(float64); return int(f) }
			return time.Date(n("year"), time.Month(n("month")), n("day"), n("hour"), n("minute"), n("second"), n("microsecond")*1000, time.UTC).
				Truncate(time.Millisecond).Format(time.RFC3339Nano)
		}
		for name, value := range x {
			x[name] = dates(value)
		}
	case []any:
		for i, value := range x {
			x[i] = dates(value)
		}
	case float64:
		return json.Number(number(x))
	}
	return v
}
