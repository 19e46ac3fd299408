package harness_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/cloister"
	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/store"
)

func TestReportJudges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		judge  func(*harness.Report)
		missed int
		want   string
	}{
		{"at most, at the bound", func(r *harness.Report) { r.AtMost("wall", 2, 2, "s") }, 0, "ok      wall: 2 s (bound <= 2)\n"},
		{"at most, above", func(r *harness.Report) { r.AtMost("wall", 2.01, 2, "s") }, 1, "MISSED  wall: 2.01 s (bound <= 2)\n"},
		{"at least, at the bound", func(r *harness.Report) { r.AtLeast("ratio", 25, 25, "x") }, 0, "ok      ratio: 25 x (bound >= 25)\n"},
		{"at least, below", func(r *harness.Report) { r.AtLeast("ratio", 24.9, 25, "x") }, 1, "MISSED  ratio: 24.9 x (bound >= 25)\n"},
		{"not measured", func(r *harness.Report) { r.Missing("ratio", "no peer") }, 1, "MISSED  ratio: not measured: no peer\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			r := harness.NewReport(&out)
			tt.judge(r)
			if out.String() != tt.want || r.Missed() != tt.missed {
				t.Errorf("printed %q with %d missed, want %q with %d", out.String(), r.Missed(), tt.want, tt.missed)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 3, 2, 4}
	for part, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := harness.Quantile(values, part); got != want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", values, part, got, want)
		}
	}
	if got := harness.Median[float64](nil); got != 0 {
		t.Errorf("Median of nothing = %v", got)
	}
	if values[0] != 5 {
		t.Error("Quantile changed its argument")
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	before, err := harness.UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before.RSS < 1<<20 || before.PeakRSS < before.RSS {
		t.Errorf("memory of this process: %+v", before)
	}
	deadline := time.Now().Add(20 * time.Second)
	for after := before; after.CPU < before.CPU+50*time.Millisecond; { // this loop uses what it waits for
		if time.Now().After(deadline) {
			t.Fatalf("CPU stays at %v", after.CPU)
		}
		if after, err = harness.UsageOf(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := harness.UsageOf(1 << 30); err == nil {
		t.Error("a process that does not exist has a usage")
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()
	if line := harness.Machine(t.Context()); !strings.Contains(line, "vCPU") || !strings.Contains(line, "GiB") || !strings.Contains(line, "Linux") {
		t.Errorf("Machine() = %q", line)
	}
}

func TestSeedJobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := harness.SeedJobs(t.Context(), dir, 3, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), filepath.Join(dir, "cloister.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	got, err := db.Bedrock(time.Now).Jobs(t.Context(), bedrock.JobQuery{Account: cloister.DefaultAccount, Region: cloister.DefaultRegion, Limit: 10})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d jobs, %v", len(got), err)
	}
	if j := got[0]; j.Name != "job-000002" || j.Status != bedrock.Completed || j.Queued || j.Ended.IsZero() {
		t.Errorf("newest job: %+v", j)
	}
	models, err := db.Bedrock(time.Now).Models(t.Context(), bedrock.JobQuery{Account: cloister.DefaultAccount, Region: cloister.DefaultRegion, Limit: 10})
	if err != nil || len(models) != 3 {
		t.Errorf("%d models, %v", len(models), err)
	}
}
