package bedrock_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
)

// stream reads a job's events after an id until the stream ends or enough says so.
func stream(t *testing.T, s *cloistertest.Server, job string, after int64, enough func(cloistertest.Event) bool) []cloistertest.Event {
	t.Helper()
	header := http.Header{}
	if after > 0 {
		header.Set("Last-Event-Id", fmt.Sprint(after))
	}
	resp := s.Own(t, http.MethodGet, "jobs/"+job+"/events", nil, header)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("events of %s: %s, %v", job, resp.Status, resp.Header)
	}
	var got []cloistertest.Event
	for e := range cloistertest.Events(t, resp.Body) {
		got = append(got, e)
		if enough(e) {
			break
		}
	}
	return got
}

func never(cloistertest.Event) bool { return false }

func TestEvents(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	s.Prepare(t)
	in := cloistertest.Seed(cloistertest.JobInput("watched"), executortest.SeedHang)
	created, err := s.Bedrock.CreateModelCustomizationJob(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	id := cloistertest.ID(*created.JobArn)
	steps := 0
	first := stream(t, s, id, 0, func(e cloistertest.Event) bool { // live, from the beginning
		if strings.Contains(e.Data, `"type":"step"`) {
			steps++
		}
		return steps == 3
	})
	last := first[len(first)-1].ID
	if _, err := s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: in.JobName}); err != nil {
		t.Fatal(err)
	}
	rest := stream(t, s, id, last, never) // until the end
	got := append(slices.Clone(first), rest...)
	whole := stream(t, s, id, 0, never) // when all is over
	if diff := cmp.Diff(whole, got); diff != "" {
		t.Errorf("the resumed stream differs from the whole one (-whole +resumed):\n%s", diff)
	}
	kinds := map[string]int{}
	for i, e := range whole {
		kinds[e.Type]++
		if e.ID != int64(i+1) {
			t.Errorf("event %d has id %d", i+1, e.ID)
		}
		if !json.Valid([]byte(e.Data)) {
			t.Errorf("event %d: %s is not JSON", e.ID, e.Data)
		}
	}
	if kinds["step"] < 10 || kinds["progress"] < 5 || kinds["status"] != 3 || kinds["done"] != 1 || len(kinds) != 4 {
		t.Errorf("events: %v", kinds)
	}
	if end := whole[len(whole)-1]; end.Type != "done" || end.Data != `{"status":"Stopped"}` {
		t.Errorf("the last event: %+v", end)
	}
	var statuses []string
	for _, e := range whole {
		if e.Type == "status" {
			statuses = append(statuses, e.Data)
		}
	}
	if diff := cmp.Diff([]string{`{"status":"InProgress"}`, `{"status":"Stopping"}`, `{"status":"Stopped"}`}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if after := stream(t, s, id, whole[len(whole)-1].ID, never); len(after) != 0 {
		t.Errorf("after the end: %v", after)
	}
	if byName := stream(t, s, "watched", 0, never); len(byName) != len(whole) {
		t.Errorf("%d events by name, %d by id", len(byName), len(whole))
	}
}

func TestEventsRefused(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	s.Prepare(t)
	job := completed(t, s, cloistertest.JobInput("secret"))
	path := "/_cloister/jobs/" + cloistertest.ID(*job.JobArn) + "/events"
	want := func(what, got string, status int, text string) {
		t.Helper()
		if !strings.HasPrefix(got, fmt.Sprint(status)) || !strings.Contains(got, text) || strings.Contains(got, "event:") {
			t.Errorf("%s: %.300s, want %d with %q", what, got, status, text)
		}
	}
	unsigned, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.HTTP.Do(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want("unsigned", fmt.Sprint(resp.StatusCode, " ", string(text)), http.StatusForbidden, "MissingAuthenticationToken")
	want("signed for bedrock", s.Answer(t, http.MethodGet, path, "bedrock", nil), http.StatusBadRequest, "must be signed for the service")
	want("unknown job", s.Answer(t, http.MethodGet, "/_cloister/jobs/aaaaaaaaaaaa/events", "cloister", nil), http.StatusNotFound, "ResourceNotFoundException")
	want("no such path", s.Answer(t, http.MethodGet, "/_cloister/nothing", "cloister", nil), http.StatusNotFound, "UnknownOperationException")
	want("bad id", s.Answer(t, http.MethodGet, "/_cloister/jobs/secret/events", "cloister", http.Header{"Last-Event-Id": {"-1"}}), http.StatusBadRequest, "Last-Event-ID")
	forged := *s
	forged.Credential.Secret = "not-the-secret"
	want("wrong secret", forged.Answer(t, http.MethodGet, path, "cloister", nil), http.StatusForbidden, "InvalidSignatureException")
}
