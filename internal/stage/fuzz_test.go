//go:build linux

package stage_test

import (
	"os"
	"strings"
	"testing"

	"example.com/cloister/internal/stage"
)

func TestPlanTravelsSealed(t *testing.T) {
	t.Parallel()
	plan := stage.Plan{Region: "us-east-1", Secret: "secret", Reads: []stage.Read{{Bucket: "b", Key: "k", Target: "/scratch/data/train.jsonl", MaxBytes: 1}}}
	f, err := plan.File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the plan can be changed")
	}
	got, err := stage.ReadPlan(f)
	if err != nil || got.Secret != "secret" || len(got.Reads) != 1 {
		t.Errorf("ReadPlan = %+v, %v", got, err)
	}
	if _, err := f.Stat(); err == nil {
		t.Error("the plan's file is open after it was read")
	}
}

func TestParseResult(t *testing.T) {
	t.Parallel()
	plan := stage.Plan{Reads: []stage.Read{{}}}
	for text, ok := range map[string]bool{
		`{"Reads":[{}]}`: true, `{}`: true, `{"Reads":[{},{}]}`: false, `{"Writes":[{}]}`: false, ``: false, `[]`: false, strings.Repeat(" ", 5<<20): false,
	} {
		if _, err := stage.ParseResult([]byte(text), plan); (err == nil) != ok {
			t.Errorf("ParseResult(%.20q) gave %v", text, err)
		}
	}
}

func FuzzParseResult(f *testing.F) {
	f.Add([]byte(`{"Reads":[{"Code":"NoSuchKey","Report":{"records":1}}]}`))
	plan := stage.Plan{Reads: make([]stage.Read, 3), Buckets: []string{"b"}, Writes: make([]stage.Write, 1)}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := stage.ParseResult(text, plan)
		if err == nil && (len(r.Reads) > 3 || len(r.Buckets) > 1 || len(r.Writes) > 1) {
			t.Errorf("accepted %+v", r)
		}
	})
}

func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(`{"Region":"us-east-1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Skip()
		}
		go func() {
			_, _ = w.Write(text)
			_ = w.Close()
		}()
		_, _ = stage.ReadPlan(r)
	})
}
