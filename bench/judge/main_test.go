package main

import (
	"strings"
	"testing"

	"example.com/cloister/bench/harness"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const print = `printf 'seal-1 5 ns 0.95 x_raw 1.5 x_sio\nseal-2 5 ns 0.79 x_raw 1.3 x_sio\n'`
	for _, tt := range []struct {
		name, command string
		bounds, most  []string
		missed        int
		fails         string
	}{
		{name: "all hold", command: print, bounds: []string{"([0-9.]+) x_raw=0.7", "([0-9.]+) x_sio=1.3"}},
		{name: "every line counts", command: print, bounds: []string{"([0-9.]+) x_raw=0.8"}, missed: 1},
		{name: "only lines that match", command: print, bounds: []string{"seal-1.* ([0-9.]+) x_raw=0.8"}},
		{name: "from above", command: print, most: []string{"([0-9.]+) x_raw=0.9", "([0-9.]+) ns=5"}, missed: 1},
		{name: "within the spread", command: print, bounds: []string{"([0-9.]+) x_raw (?P<spread>[0-9.]+) x_sio=0.99"}, missed: 2},
		{name: "within the spread, which comes first", command: print, bounds: []string{"(?P<spread>[0-9.]+) x_raw ([0-9.]+) x_sio=2"}},
		{name: "within the spread, from above", command: print, most: []string{"([0-9.]+) x_raw (?P<spread>[0-9.]+) x_sio=0.5"}},
		{name: "no figure", command: print, bounds: []string{"([0-9.]+) x_age=1"}, fails: "no line matches"},
		{name: "the benchmark fails", command: "echo why >&2; exit 3", bounds: []string{"(.)=1"}, fails: "why"},
		{name: "no command", bounds: []string{"(.)=1"}, fails: "-command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := &judge{command: tt.command}
			for _, b := range tt.bounds {
				if err := j.least.Set(b); err != nil {
					t.Fatal(err)
				}
			}
			for _, b := range tt.most {
				if err := j.most.Set(b); err != nil {
					t.Fatal(err)
				}
			}
			r := harness.NewReport(&strings.Builder{})
			err := j.run(t.Context(), r)
			if r.Missed() != tt.missed || (tt.fails == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("%d missed, %v; want %d, %q", r.Missed(), err, tt.missed, tt.fails)
			}
		})
	}
}

func TestBadBounds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "(.)", "(=1", "x=1", "(.)(.)=1", "(?P<spread>.)=1", "(.)(.)(?P<spread>.)=1", "(.)=much"} {
		var b bounds
		if err := b.Set(text); err == nil {
			t.Errorf("Set(%q) went well", text)
		}
	}
}
