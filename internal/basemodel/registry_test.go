package basemodel_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/basemodel"
)

// model is a manifest that passes, for a model of two files.
func model(id string) basemodel.Manifest {
	return basemodel.Manifest{
		ID: id, Name: "Test", Provider: "Cloister", Licence: "Apache-2.0", Source: "this test",
		Architecture: "LlamaForCausalLM", Parameters: 1000, ContextLength: 2048, StopTokens: []string{"<|im_end|>"},
		Profile: basemodel.TitanTextLite, DefaultMethod: basemodel.MethodFull, LoRAScale: 20, MaxSequenceLength: 1024,
		Customizations: []string{basemodel.FineTuning}, Created: time.Unix(1700000000, 0).UTC(),
	}
}

// source makes a folder with the given files.
func source(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func goodFiles() map[string]string {
	return map[string]string{"config.json": `{"model_type":"llama"}`, "model.safetensors": "weights"}
}

func install(t *testing.T) (*basemodel.Registry, basemodel.Manifest) {
	t.Helper()
	registry, err := basemodel.Open(filepath.Join(t.TempDir(), "models"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := registry.Add(t.Context(), model(basemodel.Tiny), source(t, goodFiles()))
	if err != nil {
		t.Fatal(err)
	}
	return registry, m
}

func TestAddListGetVerify(t *testing.T) {
	t.Parallel()
	registry, added := install(t)
	got, err := registry.Get(basemodel.Tiny)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(added, got); diff != "" {
		t.Errorf("Get (-added +got):\n%s", diff)
	}
	list, err := registry.List()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]basemodel.Manifest{added}, list); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	if err := registry.Verify(t.Context(), basemodel.Tiny); err != nil {
		t.Errorf("Verify = %v", err)
	}
	if got.Size() != int64(len(`{"model_type":"llama"}`)+len("weights")) {
		t.Errorf("Size = %d", got.Size())
	}
	for _, name := range []string{"", "model.safetensors", basemodel.ManifestName} {
		info, err := os.Stat(filepath.Join(registry.Dir(basemodel.Tiny), name))
		if err != nil || info.Mode().Perm()&0o044 != 0o044 {
			t.Errorf("%q is not readable by other users: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := registry.Add(t.Context(), model(basemodel.Tiny), source(t, goodFiles())); !errors.Is(err, basemodel.ErrExists) {
		t.Errorf("Add again = %v, want ErrExists", err)
	}
	if _, err := registry.Get(basemodel.SmolLM2); !errors.Is(err, basemodel.ErrNotInstalled) {
		t.Errorf("Get of another = %v, want ErrNotInstalled", err)
	}
	if _, err := registry.Get("../x"); !errors.Is(err, basemodel.ErrNotInstalled) {
		t.Errorf("Get of a path = %v, want ErrNotInstalled", err)
	}
}

func TestRegistryThatIsNotThereIsEmpty(t *testing.T) {
	t.Parallel()
	registry, err := basemodel.Open(filepath.Join(t.TempDir(), "none"))
	if err != nil {
		t.Fatal(err)
	}
	if list, err := registry.List(); err != nil || len(list) != 0 {
		t.Errorf("List = %v, %v, want nothing", list, err)
	}
	if _, err := basemodel.Open("models"); err == nil {
		t.Error("Open of a relative path succeeded")
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	with := func(name, text string) map[string]string {
		files := goodFiles()
		files[name] = text
		return files
	}
	change := func(f func(*basemodel.Manifest)) basemodel.Manifest {
		m := model(basemodel.Tiny)
		f(&m)
		return m
	}
	good := model(basemodel.Tiny)
	tests := []struct {
		name  string
		m     basemodel.Manifest
		files map[string]string
		want  string
	}{
		{"pickle", good, with("pytorch_model.bin", "x"), "pytorch_model.bin"},
		{"checkpoint", good, with("model.pt", "x"), "model.pt"},
		{"code", good, with("modeling.py", "x"), "modeling.py"},
		{"hidden file", good, with(".x.json", "x"), "not plain"},
		{"auto_map", good, with("config.json", `{"auto_map":{"AutoModel":"m.M"}}`), "auto_map"},
		{"tokenizer auto_map", good, with("tokenizer_config.json", `{"auto_map":{}}`), "auto_map"},
		{"config that is no object", good, with("config.json", `[]`), "config.json"},
		{"manifest among the files", good, with(basemodel.ManifestName, "{}"), "manifest.json"},
		{"no files", good, nil, "files"},
		{"bad id", change(func(m *basemodel.Manifest) { m.ID = "a.b.c" }), goodFiles(), "a.b.c"},
		{"long name", change(func(m *basemodel.Manifest) { m.Name = strings.Repeat("x", 21) }), goodFiles(), "21"},
		{"profile", change(func(m *basemodel.Manifest) { m.Profile = "x" }), goodFiles(), "profile"},
		{"method", change(func(m *basemodel.Manifest) { m.DefaultMethod = "x" }), goodFiles(), "defaultMethod"},
		{"length", change(func(m *basemodel.Manifest) { m.MaxSequenceLength = 4096 }), goodFiles(), "maxSequenceLength"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "models")
			registry, err := basemodel.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			m, err := registry.Add(t.Context(), tt.m, source(t, tt.files))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Add = %v, %v, want an error with %q", m, err, tt.want)
			}
			if left, err := os.ReadDir(dir); err == nil && len(left) > 0 {
				t.Errorf("Add left %v behind", left)
			}
		})
	}
}

func TestAddRefusesLinks(t *testing.T) {
	t.Parallel()
	root := source(t, goodFiles())
	if err := root.Symlink("config.json", "other.json"); err != nil {
		t.Fatal(err)
	}
	registry, err := basemodel.Open(filepath.Join(t.TempDir(), "models"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Add(t.Context(), model(basemodel.Tiny), root); err == nil {
		t.Error("Add of a link succeeded")
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, dir string){
		"flipped bit": func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "model.safetensors"), "weightt")
		},
		"truncated": func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "model.safetensors"), "weight")
		},
		"missing": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
				t.Fatal(err)
			}
		},
		"additional": func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "pytorch_model.bin"), "x")
		},
		"link": func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, "model.safetensors")
			if err := os.Rename(path, filepath.Join(dir, "..", "elsewhere")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../elsewhere", path); err != nil {
				t.Fatal(err)
			}
		},
		"manifest of another": func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, basemodel.ManifestName)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, strings.Replace(string(data), basemodel.Tiny, basemodel.SmolLM2, 1))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry, _ := install(t)
			damage(t, registry.Dir(basemodel.Tiny))
			if err := registry.Verify(t.Context(), basemodel.Tiny); !errors.Is(err, basemodel.ErrDamaged) {
				t.Errorf("Verify = %v, want ErrDamaged", err)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	registry, _ := install(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := registry.Verify(ctx, basemodel.Tiny); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify = %v, want context.Canceled", err)
	}
}

func TestListNamesBrokenFolders(t *testing.T) {
	t.Parallel()
	registry, added := install(t)
	broken := registry.Dir("a.b")
	if err := os.MkdirAll(broken, 0o750); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(broken, basemodel.ManifestName), "{")
	list, err := registry.List()
	if err == nil || !strings.Contains(err.Error(), "a.b") {
		t.Errorf("List error = %v, want one that names a.b", err)
	}
	if diff := cmp.Diff([]basemodel.Manifest{added}, list); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		basemodel.SmolLM2: true, basemodel.Tiny: true, "amazon.titan-text-lite-v1:0:4k": true,
		"amazon.titan-text-lite-v1": true, "qwen.qwen2.5-v1:0": false, "a": false, "A.b": false, "a.b:": false,
		"a.b:0:1:2": false, "a.b/c": false, "a.b_c": false, "..": false, "": false, ".b": false,
		"a." + strings.Repeat("x", 64): false,
	} {
		if got := basemodel.ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v, want %v", id, got, want)
		}
	}
	aliases := basemodel.DefaultAliases()
	if len(aliases) != 12 {
		t.Errorf("%d default aliases, want 12", len(aliases))
	}
	for id, target := range aliases {
		if !basemodel.ValidID(id) || target != basemodel.SmolLM2 {
			t.Errorf("alias %q → %q", id, target)
		}
	}
}

func TestDefaultMethodFor(t *testing.T) {
	t.Parallel()
	for parameters, want := range map[int64]string{1: "full", 500_000_000: "full", 500_000_001: "lora"} {
		if got := basemodel.DefaultMethodFor(parameters); got != want {
			t.Errorf("DefaultMethodFor(%d) = %s, want %s", parameters, got, want)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	m := model(basemodel.Tiny)
	m.Version = 1
	m.Files = []basemodel.File{{Name: "a.json", Size: 1, SHA256: strings.Repeat("0", 64)}}
	data, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := basemodel.ParseManifest(data); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(strings.Replace(string(data), "a.json", "../a.json", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := basemodel.ParseManifest(data)
		if err != nil {
			return
		}
		for _, file := range m.Files {
			if filepath.Base(file.Name) != file.Name || file.Name == basemodel.ManifestName {
				t.Fatalf("ParseManifest accepted the file name %q", file.Name)
			}
		}
		if _, err := m.HyperparameterProfile(); err != nil {
			t.Fatalf("ParseManifest accepted a manifest without a profile: %v", err)
		}
	})
}
