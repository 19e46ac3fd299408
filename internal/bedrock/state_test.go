package bedrock

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/runner"
)

func statesDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestStatesDocument compares docs/states.md with the code.
func TestStatesDocument(t *testing.T) {
	t.Parallel()
	text := statesDocument(t)
	drawn := map[Status][]Status{}
	for _, edge := range regexp.MustCompile(`(?m)^    (\S+) --> (\S+)$`).FindAllStringSubmatch(text, -1) {
		from, to := Status(edge[1]), Status(edge[2])
		switch {
		case from == "[*]" && to != InProgress:
			t.Errorf("jobs begin as InProgress, not %s", to)
		case from == "[*]":
		case to == "[*]":
			if _, ok := drawn[from]; !ok {
				drawn[from] = nil
			} else {
				t.Errorf("%s both ends and goes on", from)
			}
		default:
			drawn[from] = append(drawn[from], to)
		}
	}
	if diff := cmp.Diff(moves(), drawn); diff != "" {
		t.Errorf("moves (-code +document):\n%s", diff)
	}

	type row struct {
		Step          string
		Undo, Release bool
		SubTask       string
	}
	var want, got []row
	for _, s := range steps() {
		want = append(want, row{s.Name, s.Undo != nil, s.Release != nil, string(subTaskOf(s.Name))})
	}
	for _, cells := range regexp.MustCompile(`(?m)^\| ([a-z]+-[a-z]+|train) \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$`).FindAllStringSubmatch(text, -1) {
		got = append(got, row{cells[1], cells[2] != "–", cells[3] != "–", cells[4]})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-code +document):\n%s", diff)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	all := []Status{InProgress, Completed, Failed, Stopping, Stopped}
	for from, legal := range moves() {
		if from.Terminal() != (len(legal) == 0) {
			t.Errorf("%s: Terminal is %t", from, from.Terminal())
		}
		for _, to := range all {
			got, err := from.move(to)
			if slices.Contains(legal, to) {
				if got != to || err != nil {
					t.Errorf("%s to %s: %s, %v", from, to, got, err)
				}
				continue
			}
			if got != from || err == nil || !strings.Contains(err.Error(), string(from)) || !strings.Contains(err.Error(), string(to)) {
				t.Errorf("%s to %s is not legal: %s, %v", from, to, got, err)
			}
		}
	}
	if len(moves()) != len(all) {
		t.Errorf("%d statuses have moves, want %d", len(moves()), len(all))
	}
}

// TestFailureMessage wants what can be mended said, and nothing of other failures.
func TestFailureMessage(t *testing.T) {
	t.Parallel()
	s := &Service{Config: Config{Log: slog.New(slog.DiscardHandler)}}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"data":        {fmt.Errorf("stage: %w", dataErrorf("Line 3 is not JSON.")), "Line 3 is not JSON."},
		"interrupted": {runner.ErrInterrupted, "Interrupted: "},
		"full disk":   {fmt.Errorf("seal model.safetensors: %w", blob.ErrFull), "The server's disk is full"},
		"another":     {errors.New("secret detail"), "Encountered an unexpected error"},
	} {
		if got := s.failureMessage(t.Context(), Job{ID: "abcdefghijkl"}, tt.err); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "secret") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	at := func(n int, step string, phase runner.Phase) runner.Event {
		return runner.Event{Step: step, Phase: phase, Attempt: 1, At: time.UnixMilli(int64(n))}
	}
	through := func(steps ...string) []runner.Event {
		var log []runner.Event
		for i, s := range steps {
			log = append(log, at(10*i+1, s, runner.Started), at(10*i+2, s, runner.Succeeded))
		}
		return log
	}
	first := []string{stepAssumeRole, stepUseKey, stepAttachNetwork, stepMountScratch}
	for _, tt := range []struct {
		name                 string
		status               Status
		log                  []runner.Event
		validation, data, tr Detail
	}{
		{"waiting", InProgress, nil, Detail{Status: "NotStarted"}, Detail{Status: "NotStarted"}, Detail{Status: "NotStarted"}},
		{
			"first step", InProgress,
			[]runner.Event{at(5, stepAssumeRole, runner.Started)},
			Detail{"InProgress", 5, 5},
			Detail{Status: "NotStarted"},
			Detail{Status: "NotStarted"},
		},
		{
			"first part done", InProgress, through(first...),
			Detail{"Completed", 1, 32},
			Detail{Status: "NotStarted"},
			Detail{Status: "NotStarted"},
		},
		{
			"training", InProgress,
			append(through(append(first, stepStageData)...), at(60, stepTrain, runner.Started)),
			Detail{"Completed", 1, 32},
			Detail{"Completed", 41, 42},
			Detail{"InProgress", 60, 60},
		},
		{
			"training succeeded, the rest not", InProgress,
			through(append(first, stepStageData, stepTrain)...),
			Detail{"Completed", 1, 32},
			Detail{"Completed", 41, 42},
			Detail{"InProgress", 51, 52},
		},
		{
			"stopping", Stopping,
			append(through(append(first, stepStageData)...), at(60, stepTrain, runner.Started)),
			Detail{"Completed", 1, 32},
			Detail{"Completed", 41, 42},
			Detail{"Stopping", 60, 60},
		},
		{
			"bad data", Failed,
			append(through(first...), at(60, stepStageData, runner.Started), at(61, stepStageData, runner.Failed), at(62, stepStageData, runner.UndoStarted)),
			Detail{"Completed", 1, 32},
			Detail{"Failed", 60, 61},
			Detail{Status: "NotStarted"},
		},
		{
			"going on after the artifact was sealed", InProgress,
			append(through(append(first, stepStageData, stepTrain, stepSealArtifact)...),
				at(90, stepAssumeRole, runner.Started), at(91, stepAssumeRole, runner.Succeeded), at(92, stepUseKey, runner.Started)),
			Detail{"Completed", 1, 32},
			Detail{"Completed", 41, 42},
			Detail{"InProgress", 51, 62},
		},
		{
			"another attempt", InProgress,
			append(through(append(first, stepStageData, stepTrain)...),
				runner.Event{Step: stepAssumeRole, Phase: runner.Started, Attempt: 2, At: time.UnixMilli(90)}),
			Detail{"InProgress", 1, 90},
			Detail{"Completed", 41, 42},
			Detail{"InProgress", 51, 52},
		},
		{
			"all", Completed,
			through(append(first, stepStageData, stepTrain, stepSealArtifact, stepWriteOutput, stepRegisterModel)...),
			Detail{"Completed", 1, 32},
			Detail{"Completed", 41, 42},
			Detail{"Completed", 51, 82},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := map[SubTask]Detail{TaskValidation: tt.validation, TaskDataProcessing: tt.data, TaskTraining: tt.tr}
			if diff := cmp.Diff(want, details(tt.status, tt.log)); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}
