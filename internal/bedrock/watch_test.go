package bedrock

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
)

// scripted is a store whose event stream grows by one entry whenever somebody finds nothing new.
type scripted struct {
	Store
	entries []LogEntry
	there   int
}

func (s *scripted) Job(context.Context, cloister.AccountID, cloister.Region, string) (Job, error) {
	return Job{ID: "abcdefghijkl", Name: "job", Status: Completed}, nil
}

func (s *scripted) JobByID(context.Context, string) (Job, error) {
	return Job{ID: "abcdefghijkl", Name: "job", Status: Completed}, nil
}

func (s *scripted) Events(_ context.Context, _ string, after int64, _ int) ([]LogEntry, error) {
	out := []LogEntry{}
	for _, e := range s.entries[:s.there] {
		if e.Seq > after {
			out = append(out, e)
		}
	}
	if len(out) == 0 && s.there < len(s.entries) {
		s.there++
	}
	return out, nil
}

type admitting struct{}

func (admitting) Authorize(context.Context, cloister.Access) error { return nil }

// TestWatchUntilDone watches a job whose model is there while the job still lets go of what it holds: the stream
// ends with "done", and not before.
func TestWatchUntilDone(t *testing.T) {
	t.Parallel()
	entries := []LogEntry{{Seq: 1, Type: "status"}, {Seq: 2, Type: "status"}, {Seq: 3, Type: "step"}, {Seq: 4, Type: "done"}}
	s := &Service{Config: Config{Account: cloister.DefaultAccount, Auth: admitting{}, Store: &scripted{entries: entries, there: 2}}}
	var got []LogEntry
	err := s.Watch(t.Context(), "job", 0, func(e LogEntry) error { got = append(got, e); return nil }, time.Millisecond, func() error { return nil })
	if diff := cmp.Diff(entries, got); err != nil || diff != "" {
		t.Errorf("%v, entries (-want +got):\n%s", err, diff)
	}
	got = nil
	err = s.Watch(t.Context(), "job", 4, func(e LogEntry) error { got = append(got, e); return nil }, time.Hour, func() error { return nil })
	if err != nil || len(got) != 0 {
		t.Errorf("after the end: %v, %v", err, got)
	}
}
