package collect_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/posture"
)

const getJob, getModel = "bedrock:GetModelCustomizationJob", "bedrock:GetCustomModel"

// cachedRun audits the good world with a cache, and counts the records of jobs and models that were read.
func cachedRun(t *testing.T, dir string, without string, patches ...awsfake.Patch) (jobs, models int, g *posture.Region) {
	t.Helper()
	server := awsfake.New(good(t, patches...), awsfake.Options{Now: now})
	o := options(t, server.HTTPClient())
	o.CacheDir, o.Wanted = dir, maps.Clone(o.Wanted)
	delete(o.Wanted, without)
	g = collected(t, o).Inventory.Accounts[0].Regions[1]
	n := counts(server)
	return n[getJob], n[getModel], g
}

func cacheFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache has files %v, %v", files, err)
	}
	return files[0]
}

// TestCache: the record of a job that has ended is not read again; one of a job that runs is, and a listing that differs wins.
func TestCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running := []awsfake.Patch{{Path: here + "/jobs/0/status", Set: "InProgress"}, {Path: here + "/jobs/0/endTime", Delete: true}}
	renamed := []awsfake.Patch{{Path: here + "/jobs/0/jobName", Set: "support-2026-11b"}}
	for i, c := range []struct {
		patches []awsfake.Patch
		want    int
	}{{running, 1}, {running, 1}, {nil, 1}, {nil, 0}, {renamed, 1}, {nil, 1}, {nil, 0}, {running, 1}} {
		n, _, g := cachedRun(t, dir, "", c.patches...)
		if n != c.want {
			t.Errorf("run %d read %d records, want %d", i+1, n, c.want)
		}
		job := g.Jobs.Items[0]
		if d, ok := job.Detail.Read(); !ok || d.Name != job.Name || job.Detail.Source().Cached != (n == 0) {
			t.Errorf("run %d: %+v %+v", i+1, d, job.Detail.Source())
		}
	}
	if info, err := os.Stat(cacheFile(t, dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the cache file has mode %v, %v", info.Mode(), err)
	}
}

// TestCacheOfModels: the record of a model that is made is not read again, unless the listing tells another name or time. The
// good world has two.
func TestCacheOfModels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := func(member string, value any) []awsfake.Patch {
		return []awsfake.Patch{{Path: here + "/models/0/" + member, Set: value, Delete: value == nil}}
	}
	for i, c := range []struct {
		what    string
		patches []awsfake.Patch
		want    int
	}{
		{"nothing kept", nil, 2},
		{"both kept", nil, 0},
		{"made at another time", set("creationTime", "2026-11-20T10:02:07Z"), 1},
		{"as it was", nil, 1},
		{"another name", set("modelName", "support-2026-11b"), 1},
		{"as it was", nil, 1},
		{"being made at another time", append(set("creationTime", "2026-11-21T10:02:07Z"), set("modelStatus", "Creating")...), 1},
		{"still being made", append(set("creationTime", "2026-11-21T10:02:07Z"), set("modelStatus", "Creating")...), 1},
		{"no status", set("modelStatus", nil), 1},
		{"no status again", set("modelStatus", nil), 1},
		{"failed", set("modelStatus", "Failed"), 1},
		{"failed and kept", set("modelStatus", "Failed"), 0},
	} {
		_, n, g := cachedRun(t, dir, "", c.patches...)
		if n != c.want {
			t.Errorf("run %d, %s: %d records were read, want %d", i+1, c.what, n, c.want)
		}
		cached := 0
		for _, m := range g.Models.Items {
			d, ok := m.Detail.Read()
			if !ok || d.ARN != m.ARN || d.Name != m.Name || !d.Created.Equal(m.Created) || d.Key == "" {
				t.Errorf("run %d, %s: %+v of %+v", i+1, c.what, d, m)
			}
			if m.Detail.Source().Cached {
				cached++
			}
		}
		if cached != 2-n {
			t.Errorf("run %d, %s: %d records say that they are kept, want %d", i+1, c.what, cached, 2-n)
		}
	}
}

// TestCacheIsNotBelieved: a file that is damaged, of another format or with one record in the place of another is as good as none.
func TestCacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]byte) []byte{
		"damaged":        func([]byte) []byte { return []byte("{damaged") },
		"another format": func(text []byte) []byte { return bytes.Replace(text, []byte(`"schema":2`), []byte(`"schema":1`), 1) },
		"no records": func([]byte) []byte {
			return []byte(`{"schema":2,"jobs":{"` + job + `":{}},"models":{"` + model + `":null}}`)
		},
		"another's record": func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(`"ARN":"arn:`), []byte(`"ARN":"arn:x`)) },
	} {
		dir := t.TempDir()
		cachedRun(t, dir, "")
		file := cacheFile(t, dir)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(text)
		if bytes.Equal(changed, text) {
			t.Fatalf("%s: nothing was changed in %s", name, text)
		}
		if err := os.WriteFile(file, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if jobs, models, _ := cachedRun(t, dir, ""); jobs != 1 || models != 2 {
			t.Errorf("%s: %d jobs and %d models were read, want 1 and 2", name, jobs, models)
		}
	}
}

// TestCacheOfFewer: an audit that does not want one kind of records neither takes nor loses them.
func TestCacheOfFewer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cachedRun(t, dir, "")
	if _, _, g := cachedRun(t, dir, getJob); g.Jobs.Items[0].Detail.Collected() {
		t.Error("a record that nobody wanted came from the cache")
	}
	if _, _, g := cachedRun(t, dir, getModel); g.Models.Items[0].Detail.Collected() {
		t.Error("a record that nobody wanted came from the cache")
	}
	if jobs, models, _ := cachedRun(t, dir, ""); jobs+models > 0 {
		t.Errorf("%d jobs and %d models were read again", jobs, models)
	}
}
