package store_test

import (
	"net/netip"
	"testing"
	"time"

	"example.com/cloister/internal/flows"
	"example.com/cloister/internal/store"
)

func TestFlows(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		s := db.Flows()
		at := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
		total := func(port uint16, bytes uint64, last time.Duration) flows.Total {
			return flows.Total{
				Interface: "eni-1", Egress: true, Accept: true, Protocol: 6, Source: netip.MustParseAddr("10.0.0.4"), SourcePort: port, Dest: netip.MustParseAddr("198.18.0.2"), Port: 443,
				Packets: 1, Bytes: bytes, First: at, Last: at.Add(last),
			}
		}
		asked := []flows.Asked{{Name: "s3.us-east-1.amazonaws.com.", Type: "A", RCode: "NOERROR", Count: 1, First: at, Last: at}}
		for i, list := range [][]flows.Total{{total(1, 10, 0), total(2, 20, 0)}, {total(1, 5, time.Second), total(3, 7, time.Second), total(4, 8, time.Second)}} {
			if err := s.AddFlows(t.Context(), "job", list, asked, 3-i); err != nil { // the second time two are all that there may be
				t.Fatal(err)
			}
		}
		got, questions, err := s.JobFlows(t.Context(), "job")
		if err != nil || len(got) != 3 {
			t.Fatalf("JobFlows = %+v, %v", got, err)
		}
		sums := map[uint16]uint64{}
		for _, f := range got {
			sums[f.SourcePort] += f.Bytes
			if f.SourcePort == 0 && (f.Source.IsValid() || f.Packets != 2) {
				t.Errorf("the sum of all others is %+v", f)
			}
		}
		if sums[1] != 15 || sums[2] != 20 || sums[0] != 15 {
			t.Errorf("bytes by source port: %v", sums)
		}
		if len(questions) != 1 || questions[0].Count != 2 {
			t.Errorf("questions: %+v", questions)
		}
		if other, _, err := s.JobFlows(t.Context(), "another"); err != nil || len(other) != 0 {
			t.Errorf("another job has %v, %v", other, err)
		}
	})
}
