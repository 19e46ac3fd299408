package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/engine"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The event files were written by the real engine; its own tests decode them too.
func TestGoldenEventsRoundTrip(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.ndjson")
	if err != nil || len(files) < 5 {
		t.Fatalf("golden files: %v, %v", files, err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
		dec := engine.NewDecoder(bytes.NewReader(data))
		for i, line := range lines {
			event, err := dec.Next()
			if err != nil {
				t.Fatalf("%s:%d: %v", file, i+1, err)
			}
			seen[event.Kind()] = true
			again, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asMap(t, line), asMap(t, again)); diff != "" {
				t.Errorf("%s:%d (-file +decoded):\n%s", file, i+1, diff)
			}
		}
		if _, err := dec.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: Next at the end = %v, want EOF", file, err)
		}
	}
	for _, kind := range []string{
		"preflight", "started", "step", "evaluation", "heartbeat", "progress", "measured", "imported", "completed",
		"stopped", "failed",
	} {
		if !seen[kind] {
			t.Errorf("no golden event of type %s", kind)
		}
	}
}

func asMap(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBadEventsAreRefused(t *testing.T) {
	t.Parallel()
	for name, line := range badEvents(t) {
		if event, err := engine.DecodeEvent([]byte(line)); !errors.Is(err, engine.ErrProtocol) {
			t.Errorf("%s: DecodeEvent = %v, %v, want ErrProtocol", name, event, err)
		}
	}
	more := map[string]string{
		"negative count":     `{"type":"stopped","seq":1,"ts":1.0,"steps":-1}`,
		"sequence of 0":      `{"type":"stopped","seq":0,"ts":1.0,"steps":1}`,
		"unknown reason":     `{"type":"failed","seq":1,"ts":1.0,"reason":"x","message":"","file":"","line":0}`,
		"long message":       `{"type":"failed","seq":1,"ts":1.0,"reason":"data","message":"` + strings.Repeat("x", 3000) + `","file":"","line":0}`,
		"file with a slash":  `{"type":"completed","seq":1,"ts":1.0,"steps":1,"trainable":1,"loss_last":1.0,"loss_mean":1.0,"files":{"../x":1},"seconds":1.0,"rss_peak_mb":1}`,
		"line over the size": `{"type":"stopped","seq":1,"ts":1.0,"steps":1` + strings.Repeat(" ", engine.MaxLineBytes) + `}`,
	}
	for name, line := range more {
		if event, err := engine.DecodeEvent([]byte(line)); !errors.Is(err, engine.ErrProtocol) {
			t.Errorf("%s: DecodeEvent = %v, %v, want ErrProtocol", name, event, err)
		}
	}
}

func badEvents(tb testing.TB) map[string]string {
	tb.Helper()
	data, err := os.ReadFile("testdata/bad-events.txt")
	if err != nil {
		tb.Fatal(err)
	}
	events := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if name, event, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			events[name] = event
		}
	}
	if len(events) < 10 {
		tb.Fatalf("only %d bad events", len(events))
	}
	return events
}

func TestDecoderStreamFaults(t *testing.T) {
	t.Parallel()
	beat := `{"type":"heartbeat","seq":1,"ts":1.0,"rss_peak_mb":1}` + "\n"
	end := `{"type":"stopped","seq":2,"ts":1.0,"steps":1}` + "\n"
	tests := []struct {
		name, stream string
		good         int // events before the fault
	}{
		{"cut line", beat + end[:10], 1},
		{"endless line", beat + strings.Repeat("x", 2*engine.MaxLineBytes), 1},
		{"repeated sequence", beat + beat, 1},
		{"missing sequence", end, 0},
		{"after the end", beat + end + strings.Replace(beat, `"seq":1`, `"seq":3`, 1), 2},
		{"blank line", beat + "\n" + end, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dec := engine.NewDecoder(strings.NewReader(tt.stream))
			for range tt.good {
				if _, err := dec.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if event, err := dec.Next(); !errors.Is(err, engine.ErrProtocol) {
				t.Errorf("Next() = %v, %v, want ErrProtocol", event, err)
			}
		})
	}
}

func TestEncoderWritesWhatDecoderReads(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	enc := engine.NewEncoder(&out, func() time.Time { return time.Unix(1700000000, 0) })
	sent := []engine.Event{
		&engine.Preflight{File: "train", Records: 3, Rows: 2, Tokens: 20, Dropped: 1, Steps: 2},
		&engine.Started{MaxSteps: 2, Versions: map[string]string{"torch": "2.15.0"}},
		&engine.Step{MaxSteps: 2, Loss: 1.5, LearningRate: 1e-5},
		&engine.Evaluation{Loss: 1.25, LabelTokens: 4, Files: []engine.FileLoss{{1.25, 4}}},
		&engine.Failed{Reason: engine.ReasonData, Message: "blank line", File: "train", Line: 3},
	}
	for _, event := range sent {
		if err := enc.Encode(event); err != nil {
			t.Fatal(err)
		}
	}
	dec := engine.NewDecoder(&out)
	for _, want := range sent {
		got, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Next() (-want +got):\n%s", diff)
		}
	}
	if err := enc.Encode(&engine.Step{Loss: math.NaN()}); err == nil {
		t.Error("Encode of a NaN succeeded")
	}
	if err := enc.Encode(&engine.Completed{}); err == nil {
		t.Error("Encode of an event without files succeeded: the decoder would refuse it")
	}
}

func specs() map[string]engine.Spec {
	return map[string]engine.Spec{
		"train": &engine.Train{
			Base: engine.BasePath, TrainFile: engine.TrainFile, ValidationFiles: []string{engine.ValidationFile(0)},
			Output: engine.OutputPath, Task: engine.FineTuning, Method: engine.LoRA, LoRARank: 8, Epochs: 2, BatchSize: 4,
			LearningRate: 0.0002, WarmupSteps: 5, MaxLength: 1024, Seed: math.MaxUint32, Threads: 2,
		},
		"check": &engine.Check{
			Base: engine.BasePath, TrainFile: engine.TrainFile, Task: engine.PreTraining, Epochs: 1, BatchSize: 1,
			MaxLength: 16, Threads: 1,
		},
		"evaluate": &engine.Evaluate{
			Base: engine.BasePath, Adapter: engine.ModelPath, PromptsFile: engine.DataPath + "/prompts.jsonl",
			Output: engine.AnswersFile, RecordsFile: engine.TrainFile, Task: engine.FineTuning, MaxNewTokens: 8, Threads: 2,
		},
		"import-gguf": &engine.ImportGGUF{GGUF: "/source/model.gguf", Output: engine.OutputPath, Threads: 2},
		"make-tiny":   &engine.MakeTiny{Output: engine.OutputPath, Threads: 2},
	}
}

func TestSpecGolden(t *testing.T) {
	t.Parallel()
	for name, spec := range specs() {
		got, err := engine.EncodeSpec(spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden := filepath.Join("testdata", "specs", name+".json")
		if *update {
			if err := os.WriteFile(golden, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-golden +encoded):\n%s", name, diff)
		}
		again, err := engine.DecodeSpec(got)
		if err != nil {
			t.Fatalf("DecodeSpec(%s): %v", name, err)
		}
		if diff := cmp.Diff(spec, again); diff != "" {
			t.Errorf("DecodeSpec(%s) (-want +got):\n%s", name, diff)
		}
	}
}

func TestSpecFaults(t *testing.T) {
	t.Parallel()
	train := func(change func(*engine.Train)) engine.Spec {
		spec := *specs()["train"].(*engine.Train)
		change(&spec)
		return &spec
	}
	tests := map[string]engine.Spec{
		"relative path":   train(func(s *engine.Train) { s.Output = "output" }),
		"path with NUL":   train(func(s *engine.Train) { s.Base = "/a\x00b" }),
		"task":            train(func(s *engine.Train) { s.Task = "distillation" }),
		"method":          train(func(s *engine.Train) { s.Method = "qlora" }),
		"eleven files":    train(func(s *engine.Train) { s.ValidationFiles = make([]string, 11) }),
		"no epochs":       train(func(s *engine.Train) { s.Epochs = 0 }),
		"rate is NaN":     train(func(s *engine.Train) { s.LearningRate = math.NaN() }),
		"negative seed":   train(func(s *engine.Train) { s.Seed = -1 }),
		"no threads":      train(func(s *engine.Train) { s.Threads = 0 }),
		"both weights":    &engine.Evaluate{Base: "/b", Adapter: "/a", Model: "/m", RecordsFile: "/r", Threads: 1},
		"nothing to do":   &engine.Evaluate{Base: "/b", Threads: 1},
		"prompts nowhere": &engine.Evaluate{Base: "/b", PromptsFile: "/p", Threads: 1},
	}
	for name, spec := range tests {
		if data, err := engine.EncodeSpec(spec); err == nil {
			t.Errorf("%s: EncodeSpec = %s, want an error", name, data)
		}
	}
	for name, text := range map[string]string{
		"version":    `{"version":2,"command":"make-tiny","output":"/o","threads":1}`,
		"command":    `{"version":1,"command":"sing","output":"/o","threads":1}`,
		"unknown":    `{"version":1,"command":"make-tiny","output":"/o","threads":1,"x":1}`,
		"wrong type": `{"version":1,"command":"make-tiny","output":1,"threads":1}`,
		"no object":  `[]`,
	} {
		if spec, err := engine.DecodeSpec([]byte(text)); err == nil {
			t.Errorf("%s: DecodeSpec = %v, want an error", name, spec)
		}
	}
}

func TestEnvIsOfflineAndSecretFree(t *testing.T) {
	t.Parallel()
	env := map[string]string{}
	for _, pair := range engine.Env(3, "/src") {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
	}
	want := map[string]string{
		"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "3", "PYTHONPATH": "/src",
		"HOME": "/scratch", "HF_HUB_DISABLE_TELEMETRY": "1",
	}
	for key, value := range want {
		if env[key] != value {
			t.Errorf("Env %s = %q, want %q", key, env[key], value)
		}
	}
	for key := range env {
		if strings.HasPrefix(key, "AWS_") || strings.HasPrefix(key, "CLOISTER_") {
			t.Errorf("Env carries %s", key)
		}
	}
}

func TestReasonExitCodesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{engine.ExitCompleted: true, engine.ExitStopped: true, engine.ExitUsage: true}
	for _, reason := range []engine.Reason{"data", "oom", "non_finite", "no_effect", "internal"} {
		if code := reason.ExitCode(); seen[code] {
			t.Errorf("%s shares exit code %d", reason, code)
		} else {
			seen[code] = true
		}
	}
}

func FuzzDecodeEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/*.ndjson")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			f.Add(line)
		}
	}
	for _, line := range badEvents(f) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		event, err := engine.DecodeEvent(line)
		if err != nil {
			if !errors.Is(err, engine.ErrProtocol) {
				t.Fatalf("DecodeEvent: %v is not ErrProtocol", err)
			}
			return
		}
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		again, err := engine.DecodeEvent(data)
		if err != nil {
			t.Fatalf("DecodeEvent of what it accepted: %v\n%s", err, data)
		}
		if diff := cmp.Diff(event, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecodeSpec(f *testing.F) {
	for _, spec := range specs() {
		data, err := engine.EncodeSpec(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := engine.DecodeSpec(data)
		if err != nil {
			return
		}
		if _, err := engine.EncodeSpec(spec); err != nil {
			t.Fatalf("EncodeSpec of what DecodeSpec accepted: %v", err)
		}
	})
}
