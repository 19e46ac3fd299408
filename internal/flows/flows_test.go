package flows_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/flows"
	"example.com/cloister/internal/netns"
)

var errChanged = errors.New("changed by somebody else")

// rig is a collector with what it reads and writes.
type rig struct {
	*flows.Collector
	next    netns.Reading
	err     error
	gone    chan struct{}
	totals  []flows.Total
	asked   []flows.Asked
	files   map[string]string
	refused error
	full    error // of the store
	mu      sync.Mutex
	told    []error
	logs    []flows.Publish
}

func (r *rig) Flows(context.Context, string) (netns.Reading, error) { return r.next, r.err }
func (r *rig) Gone() <-chan struct{}                                { return r.gone }

func (r *rig) AddFlows(_ context.Context, _ string, totals []flows.Total, asked []flows.Asked, _ int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full != nil {
		return r.full
	}
	r.totals, r.asked = append(r.totals, totals...), append(r.asked, asked...)
	return nil
}

func (r *rig) JobFlows(context.Context, string) ([]flows.Total, []flows.Asked, error) {
	return r.totals, r.asked, nil
}

func (r *rig) PutObject(_ context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	if r.refused != nil {
		return nil, r.refused
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[*in.Bucket+"/"+*in.Key] = string(text)
	return &s3.PutObjectOutput{}, err
}

func newRig(every time.Duration) *rig {
	r := &rig{gone: make(chan struct{}), files: map[string]string{}, logs: []flows.Publish{{ID: "fl-1", Bucket: "logs", Prefix: "vpc", Traffic: "ALL", Interval: time.Minute}}}
	r.Collector = flows.New(flows.Config{
		Store: r, Plane: r, Objects: r, Every: every, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Publish: func(context.Context, flows.Interface) ([]flows.Publish, error) { return r.logs, nil },
		Delivered: func(_ context.Context, _ flows.Interface, _ string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, err)
		},
		Tampered: func(err error) bool { return errors.Is(err, errChanged) },
	})
	return r
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func job() flows.Interface {
	return flows.Interface{ID: "eni-1", Job: "job", Account: "123456789012", Region: "us-east-1", VPC: "vpc-1", Subnet: "subnet-1", Addr: addr("10.0.0.4"), Resolver: addr("10.0.0.2"), Router: addr("10.0.0.1")}
}

func at(minute int) time.Time { return time.Date(2026, 11, 26, 10, minute, 0, 0, time.UTC) }

func flow(id, dest string, accept bool) netns.Flow {
	return netns.Flow{Interface: id, Source: addr("10.0.0.4"), Dest: addr(dest), SourcePort: 40000, Port: 443, Protocol: 6, Egress: true, Accept: accept, Packets: 2, Bytes: 100}
}

// TestRecordAndPublish: a job's own flows and questions are stored, and its flow log has them when an interval is complete, and the
// rest when the interface ends.
func TestRecordAndPublish(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	lost := r.Attached(t.Context(), job())
	r.next = netns.Reading{
		From: at(0), To: at(0).Add(30 * time.Second), Flows: []netns.Flow{flow("eni-1", "198.18.0.2", true), flow("eni-2", "198.18.0.2", true)},
		Queries: []netns.Query{{From: addr("10.0.0.4"), Name: "a.", Type: "A"}, {From: addr("10.0.0.5"), Name: "b.", Type: "A"}},
	}
	r.Read(t.Context())
	if len(r.totals) != 1 || r.totals[0].Interface != "eni-1" || len(r.asked) != 1 || r.asked[0].Name != "a." {
		t.Errorf("stored %+v %+v", r.totals, r.asked)
	}
	if len(r.files) != 0 {
		t.Errorf("an interval that is not complete was published: %v", r.files)
	}
	r.Detached(t.Context(), "eni-1", netns.Reading{From: at(0).Add(30 * time.Second), To: at(1), Flows: []netns.Flow{flow("eni-1", "192.0.2.1", false)}})
	if lost.Err() == nil {
		t.Error("the record goes on after the interface")
	}
	all := ""
	for name, text := range r.files {
		if !strings.HasPrefix(name, "logs/vpc/AWSLogs/123456789012/vpcflowlogs/us-east-1/2026/11/26/") {
			t.Errorf("a file is called %s", name)
		}
		all += text
	}
	if !strings.Contains(all, "198.18.0.2 40000 443 6 2 100") || !strings.Contains(all, "REJECT OK") || strings.Contains(all, "eni-2") {
		t.Errorf("published %q", all)
	}
	for _, err := range r.told {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestLastFlowsUnknown: where the helper took the last flows along, the flow log says that there is something missing.
func TestLastFlowsUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	r.Attached(t.Context(), job())
	now := time.Now()
	r.next = netns.Reading{From: now.Add(-2 * time.Second), To: now.Add(-time.Second), Flows: []netns.Flow{flow("eni-1", "198.18.0.2", true)}}
	r.Read(t.Context())
	r.Detached(t.Context(), "eni-1", netns.Reading{})
	all := ""
	for _, text := range r.files {
		all += text
	}
	if !strings.Contains(all, "198.18.0.2 40000 443 6 2 100") || !strings.Contains(all, "SKIPDATA") {
		t.Errorf("published %q", all)
	}
}

// TestDeliveryFails: a bucket that refuses costs the file and nothing else, and is told.
func TestDeliveryFails(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	r.refused = errors.New("no such bucket")
	r.Attached(t.Context(), job())
	r.Detached(t.Context(), "eni-1", netns.Reading{From: at(0), To: at(2), Flows: []netns.Flow{flow("eni-1", "192.0.2.1", false)}})
	if len(r.totals) != 1 || len(r.told) != 1 || r.told[0] == nil {
		t.Errorf("stored %v, told %v", r.totals, r.told)
	}
}

// TestIsolationLost: two readings missed, rules changed by somebody else, or the end of the helper.
func TestIsolationLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		do    func(context.Context, *rig)
		cause string // "" is not lost
	}{
		{"one reading missed", func(ctx context.Context, r *rig) { r.err = errors.New("interrupted"); r.Read(ctx) }, ""},
		{"one missed, one read, one missed", func(ctx context.Context, r *rig) {
			for _, err := range []error{errors.New("interrupted"), nil, errors.New("interrupted")} {
				r.err = err
				r.Read(ctx)
			}
		}, ""},
		{"two readings missed", func(ctx context.Context, r *rig) {
			r.err = errors.New("interrupted")
			r.Read(ctx)
			r.Read(ctx)
		}, "the flow record of vpc-1 has a gap"},
		{"rules changed", func(ctx context.Context, r *rig) { r.err = errChanged; r.Read(ctx) }, "somebody else changed the packet filter of vpc-1"},
		{"the helper ended", func(ctx context.Context, r *rig) {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			close(r.gone)
			_ = r.Run(ctx)
		}, "the helper that holds the networks has ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(time.Hour)
			lost := r.Attached(t.Context(), job())
			other := r.Attached(t.Context(), flows.Interface{ID: "eni-9", Job: "other", VPC: "vpc-9"})
			c.do(t.Context(), r)
			if (lost.Err() != nil) != (c.cause != "") || c.cause != "" && !strings.Contains(context.Cause(lost).Error(), c.cause) {
				t.Errorf("lost: %v", context.Cause(lost))
			}
			_ = other
		})
	}
}

// TestNothingIsLost: what the store did not take comes with the next reading, the last one included, and what found no room is noted.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	r.Attached(t.Context(), job())
	r.full = errors.New("the disk is full")
	r.next = netns.Reading{From: at(0), To: at(1), Flows: []netns.Flow{flow("eni-1", "198.18.0.2", true)}, Full: true}
	r.Read(t.Context())
	if len(r.totals) != 0 {
		t.Fatal("the store took what it refused")
	}
	r.full = nil
	r.Detached(t.Context(), "eni-1", netns.Reading{From: at(1), To: at(2), Flows: []netns.Flow{flow("eni-1", "192.0.2.1", false), flow("eni-2", "192.0.2.2", false)}, Queries: []netns.Query{{From: addr("10.0.0.9"), Name: "another's."}}})
	if len(r.totals) != 2 || len(r.asked) != 1 || r.asked[0].RCode != "SKIPDATA" {
		t.Errorf("stored %+v %+v", r.totals, r.asked)
	}
}

// TestReadingMeetsEnd reads while interfaces end.
func TestReadingMeetsEnd(t *testing.T) {
	t.Parallel()
	for range 50 {
		r := newRig(time.Hour)
		r.Attached(t.Context(), job())
		r.next = netns.Reading{From: at(0), To: at(3), Flows: []netns.Flow{flow("eni-1", "198.18.0.2", true)}}
		done := make(chan struct{})
		go func() {
			r.Read(t.Context())
			close(done)
		}()
		r.Detached(t.Context(), "eni-1", netns.Reading{From: at(3), To: at(4), Flows: []netns.Flow{flow("eni-1", "192.0.2.1", false)}})
		<-done
	}
}
