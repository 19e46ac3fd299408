package engine_test

import (
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"example.com/cloister/engine"
)

func TestSourceIsThePackageAndNothingElse(t *testing.T) {
	t.Parallel()
	files, err := engine.Source()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range names {
		seen[name] = true
		if path.Ext(name) != ".py" || strings.HasPrefix(name, "test_") || name == "conftest.py" {
			t.Errorf("%s is embedded", name)
		}
	}
	for _, want := range []string{"__init__.py", "__main__.py", "run.py", "training.py"} {
		if !seen[want] {
			t.Errorf("%s is not embedded", want)
		}
	}
}

// Every requirement is one exact version with hashes, from wherever pip is configured to look.
func TestLocksAreExactAndNameNoHost(t *testing.T) {
	t.Parallel()
	locks, err := engine.Locks()
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`^[a-z0-9.-]+==[^ ]+ \\$`)
	hash := regexp.MustCompile(`^    --hash=sha256:[0-9a-f]{64}( \\)?$`)
	packages := map[string]bool{}
	for _, name := range []string{"engine.lock", "import.lock"} {
		data, err := fs.ReadFile(locks, name)
		if err != nil {
			t.Fatal(err)
		}
		hashes := 1
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case pinned.MatchString(line):
				if hashes == 0 {
					t.Errorf("%s: the package before %q has no hash", name, line)
				}
				hashes = 0
				pkg, _, _ := strings.Cut(line, "==")
				if packages[pkg] {
					t.Errorf("%s is locked twice", pkg)
				}
				packages[pkg] = true
			case hash.MatchString(line):
				hashes++
			default:
				t.Errorf("%s: unexpected line %q", name, line)
			}
		}
	}
	for _, want := range []string{"torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers", "numpy", "gguf"} {
		if !packages[want] {
			t.Errorf("%s is not locked", want)
		}
	}
	for _, unwanted := range []string{"trl", "datasets", "pyarrow", "triton", "pandas"} {
		if packages[unwanted] {
			t.Errorf("%s is locked: it is no part of the product", unwanted)
		}
	}
}

func TestDigestDependsOnNamesAndContents(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, files := range []fstest.MapFS{
		{"a": {Data: []byte("1")}, "b": {Data: []byte("2")}},
		{"a": {Data: []byte("1")}, "b": {Data: []byte("3")}},
		{"a": {Data: []byte("1")}, "c": {Data: []byte("2")}},
		{"a": {Data: []byte("1 1 b 1 2")}},
		{},
	} {
		digest, err := engine.Digest(files)
		if err != nil || len(digest) != 16 {
			t.Fatalf("Digest = %q, %v", digest, err)
		}
		again, err := engine.Digest(files)
		if err != nil || again != digest {
			t.Errorf("Digest is not stable: %q, %q, %v", digest, again, err)
		}
		if seen[digest] {
			t.Errorf("two sets of files have the digest %s", digest)
		}
		seen[digest] = true
	}
}
