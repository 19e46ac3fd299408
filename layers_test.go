package cloister_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "example.com/cloister"

// layers says where each package stands. A package imports only packages of lower layers; peers never
// import peers. A package that is missing here fails the test, so nobody adds one without deciding.
func layers() map[string]int {
	return map[string]int{
		"":       0, // the shared vocabulary
		"engine": 0, // the embedded Python source

		"internal/ansi":      1,
		"internal/awscall":   1,
		"internal/basemodel": 1,
		"internal/blob":      1,
		"internal/dataset":   1,
		"internal/engine":    1,
		"internal/envelope":  1,
		"internal/executor":  1,
		"internal/flowlog":   1,
		"internal/markup":    1,
		"internal/netns":     1,
		"internal/pace":      1,
		"internal/policy":    1,
		"internal/rootseal":  1,
		"internal/runner":    1,
		"internal/sandbox":   1,
		"internal/sigv4":     1,
		"internal/stage":     1,
		"internal/tlsca":     1,
		"internal/tape":      1,
		"internal/wire":      1,

		"internal/bedrock":        2,
		"internal/engine/process": 2,
		"internal/executor/local": 2,
		"internal/flows":          2,
		"internal/iam":            2,
		"internal/kms":            2,
		"internal/s3":             2,
		"internal/stage/process":  2,
		"internal/vpc":            2,

		"internal/install": 3,
		"internal/netd":    3,
		"internal/posture": 3,

		"internal/api":      4,
		"internal/collect":  4,
		"internal/handbook": 4,
		"internal/remedy":   4,
		"internal/report":   4,
		"internal/store":    4,

		"internal/audit":  5,
		"internal/server": 5,

		"internal/remediate": 6,

		"cmd/cloister": 7,
	}
}

// testOnly lists packages that only tests import; they may import anything below the command.
func testOnly() map[string]bool {
	return map[string]bool{
		"internal/awsfake":               true,
		"internal/blob/blobtest":         true,
		"internal/cloistertest":          true,
		"internal/escape":                true,
		"internal/escape/probe":          true,
		"internal/executor/executortest": true,
	}
}

func TestImportsGoDownward(t *testing.T) {
	table, support := layers(), testOnly()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err != nil {
			t.Fatal(err)
		}
		name := local(pkg.ImportPath)
		if support[name] || strings.HasPrefix(name, "e2e") || strings.HasPrefix(name, "bench") || strings.HasPrefix(name, "vmtest/") || strings.HasPrefix(name, "scripts/") {
			continue
		}
		layer, ok := table[name]
		if !ok {
			t.Errorf("package %q is not in the layer table: decide where it stands", name)
			continue
		}
		for _, imported := range pkg.Imports {
			if imported == "testing" {
				t.Errorf("%s imports testing", name)
			}
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			dep := local(imported)
			if depLayer, ok := table[dep]; !ok || depLayer >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d)", name, layer, dep, depLayer)
			}
		}
	}
}

// TestNothingFindsMethodsByName: where html/template is linked, the linker keeps every exported method of every package, and
// the binary is 81 MB instead of 31. text/template comes with goose, which does not execute.
func TestNothingFindsMethodsByName(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/cloister").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if slices.Contains(strings.Fields(string(out)), "html/template") {
		t.Error("cloister links html/template: see internal/markup")
	}
}

func local(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}
