package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
)

func TestBareMapsTheScratch(t *testing.T) {
	t.Parallel()
	box, err := newBare()
	if err != nil {
		t.Fatal(err)
	}
	if err := box.put(engine.TrainFile, []byte("data")); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	exit, err := box.Run(t.Context(), executor.Process{
		Argv: []string{"/bin/sh", "-c", `cat "$0" && echo ":$HOME" && echo event >&3 && exit 3`, engine.TrainFile},
		Env:  []string{"PATH=/usr/bin:/bin", "HOME=" + engine.Scratch}, Stdout: &out, Control: w,
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if event, err := io.ReadAll(r); err != nil || string(event) != "event\n" {
		t.Errorf("descriptor 3 carried %q, %v", event, err)
	}
	if want := "data:" + box.dir + "\n"; out.String() != want || exit.Code != 3 || exit.Wall <= 0 {
		t.Errorf("printed %q, ended %+v, want %q", out.String(), exit, want)
	}
	if err := box.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(box.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", box.dir, err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	at := func(job, sandbox, first, second float64) round {
		return round{sample{cpu: sandbox, engine: 10, job: job, tokens: 1}, sample{cpu: first, tokens: 1}, sample{cpu: second, tokens: 1}}
	}
	for _, tt := range []struct {
		name   string
		round  round
		missed int
	}{
		{"both hold", at(11, 1.02, 1, 1), 0},
		{"the job is slow", at(12.5, 1.02, 1, 1), 1},
		{"the sandbox costs, and bare runs agree", at(11, 1.05, 1, 1), 1},
		{"no more than bare runs differ", at(11, 1.1, 1, 1.1), 0},
		{"more than bare runs differ", at(11, 1.3, 1, 1.1), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := harness.NewReport(&out)
			judge(r, []round{tt.round})
			if r.Missed() != tt.missed {
				t.Errorf("%d bounds missed, want %d:\n%s", r.Missed(), tt.missed, out.String())
			}
		})
	}
}
