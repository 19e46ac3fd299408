package cloistertest

import (
	"bufio"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
)

// Event is one server-sent event.
type Event struct {
	ID         int64
	Type, Data string
}

// Events reads server-sent events until the stream ends.
func Events(t testing.TB, body io.Reader) iter.Seq[Event] {
	t.Helper()
	return func(yield func(Event) bool) {
		var e Event
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Errorf("event id: %v", err)
				}
				e.ID = n
			case "event":
				e.Type = value
			case "data":
				e.Data = value
			case "":
				if e.Type != "" && !yield(e) {
					return
				}
				e = Event{}
			}
		}
		if err := lines.Err(); err != nil {
			t.Errorf("event stream: %v", err)
		}
	}
}

// WaitTraining waits until a job has taken a step of its training.
func (s *Server) WaitTraining(t testing.TB, name string) {
	t.Helper()
	out, err := s.Bedrock.GetModelCustomizationJob(t.Context(), &bedrock.GetModelCustomizationJobInput{JobIdentifier: &name})
	if err != nil {
		t.Fatal(err)
	}
	resp := s.Own(t, http.MethodGet, "jobs/"+ID(*out.JobArn)+"/events", nil, nil)
	defer func() { _ = resp.Body.Close() }()
	for e := range Events(t, resp.Body) {
		switch {
		case e.Type == "progress" && strings.Contains(e.Data, `"type":"step"`):
			return
		case e.Type == "done":
			t.Fatalf("%s ended: %s", name, e.Data)
		}
	}
}

// ID is the 12 characters that end the ARN of a job or model.
func ID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Seed makes the fake engine do what a seed of executortest says.
func Seed(in *bedrock.CreateModelCustomizationJobInput, seed int) *bedrock.CreateModelCustomizationJobInput {
	in.HyperParameters["cloister.seed"] = strconv.Itoa(seed)
	return in
}
