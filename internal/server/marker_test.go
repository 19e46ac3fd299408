package server_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
)

// marker is what only the training data has. It is never an argument or a variable of a process.
func marker() string { return strings.Repeat("planted-", 3) + "marker-5e1f" }

// output collects what a process prints.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text.Bytes())
}

// confined is a server in a process with folders of its own.
type confined struct {
	spec cloistertest.ChildSpec
	root string // of TMPDIR, HOME and data
	out  output
}

func newConfined(t *testing.T) *confined {
	t.Helper()
	c := &confined{root: t.TempDir()}
	models := filepath.Join(t.TempDir(), "models")
	cloistertest.BasesAt(t, models)
	// The executor of this test keeps the scratch in a folder, in place of memory: outside of what is searched.
	c.spec = cloistertest.ChildSpec{Data: filepath.Join(c.root, "data"), Models: models, Scratch: filepath.Join(t.TempDir(), "scratch")}
	for _, name := range []string{"tmp", "home"} {
		if err := os.Mkdir(filepath.Join(c.root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *confined) start(t *testing.T, spec cloistertest.ChildSpec) *cloistertest.Child {
	t.Helper()
	return cloistertest.StartChild(t, spec, []string{"TMPDIR=" + filepath.Join(c.root, "tmp"), "HOME=" + filepath.Join(c.root, "home"), "PATH=/usr/bin:/bin"}, &c.out)
}

// search looks for the marker everywhere but in the bucket, and returns how much it has read.
func (c *confined) search(t *testing.T, when string, pids ...int) {
	t.Helper()
	needle := []byte(marker())
	files, size := 0, 0
	look := func(name string, text []byte) {
		files++
		size += len(text)
		if bytes.Contains(text, needle) {
			t.Errorf("%s: the training data is in %s", when, name)
		}
	}
	for _, dir := range []string{c.root, "/dev/shm"} {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		searchFolder(t, root, dir, ".", look)
		if err := root.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range pids {
		for _, name := range []string{"environ", "cmdline"} {
			path := fmt.Sprintf("/proc/%d/%s", pid, name)
			text, err := os.ReadFile(path)
			if err != nil {
				continue // the process has ended
			}
			look(path, text)
		}
	}
	look("the server's output", c.out.bytes())
	if files < 10 || size < 100_000 {
		t.Errorf("%s: only %d files with %d bytes were searched", when, files, size)
	}
}

// searchFolder reads every plain file of a folder; files of a running system come and go.
func searchFolder(t *testing.T, root *os.Root, dir, at string, look func(string, []byte)) {
	t.Helper()
	f, err := root.Open(at)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(-1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := at + "/" + e.Name()
		look("the name of a file", []byte(name))
		switch {
		case e.IsDir():
			searchFolder(t, root, dir, name, look)
		case e.Type().IsRegular():
			if text, err := root.ReadFile(name); err == nil {
				look(dir+"/"+name, text)
			}
		}
	}
}

// descendants finds the processes that a process has started.
func descendants(t *testing.T, of int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parent := map[int]int{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent[pid], _ = strconv.Atoi(fields[1])
	}
	found := []int{of}
	for i := 0; i < len(found); i++ {
		for pid, ppid := range parent {
			if ppid == found[i] {
				found = append(found, pid)
			}
		}
	}
	return found
}

// TestMarker plants a string in training data and looks for it outside of the bucket: while jobs run, after
// success, stop and failure, and after kill and restart.
func TestMarker(t *testing.T) {
	t.Parallel()
	c := newConfined(t)
	spec := c.spec
	spec.KillIn = "seal-artifact" // of the first job: the data is in the scratch, the weights are made
	child := c.start(t, spec)
	s := child.Attach(t)
	key := s.Prepare(t)
	marked := strings.Repeat(`{"prompt":"`+marker()+`","completion":"`+marker()+`"}`+"\n", 8)
	s.Put(t, "train.jsonl", marked)
	s.Put(t, "validation.jsonl", marked)
	in := cloistertest.JobInput("marked")
	in.CustomModelKmsKeyId = &key
	in.ValidationDataConfig = &types.ValidationDataConfig{Validators: []types.Validator{{S3Uri: aws.String("s3://" + cloistertest.InputBucket + "/validation.jsonl")}}}
	s.Create(t, in)
	if err := child.Wait(t); !cloistertest.Killed(err) {
		t.Fatalf("the child ended with %v\n%s", err, c.out.bytes())
	}
	if !foundBelow(t, c.spec.Scratch) {
		t.Error("the marker is not even in the scratch: this test looks for the wrong thing")
	}
	c.search(t, "killed")

	child = c.start(t, c.spec)
	s = child.Attach(t)
	if job := s.Wait(t, "marked"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s: %s", job.Status, aws.ToString(job.FailureMessage))
	}
	c.search(t, "completed after a kill", descendants(t, child.PID())...)

	hang := cloistertest.JobInput("marked-stopped")
	seed(executortest.SeedHang)(hang)
	s.Create(t, hang)
	s.WaitTraining(t, "marked-stopped")
	running := descendants(t, child.PID())
	if len(running) < 2 {
		t.Error("no engine runs while a job trains")
	}
	c.search(t, "training", running...)
	if _, err := s.Bedrock.StopModelCustomizationJob(t.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: hang.JobName}); err != nil {
		t.Fatal(err)
	}
	if job := s.Wait(t, "marked-stopped"); job.Status != types.ModelCustomizationJobStatusStopped {
		t.Errorf("job %s, want Stopped", job.Status)
	}
	c.search(t, "stopped", descendants(t, child.PID())...)

	for i, data := range []string{
		marked + `{"prompt":"` + marker(), marked + `{"` + marker() + `":"p"}`, marker(), `{"prompt":"` + marker() + "\",\"completion\":\"\xff\"}",
		`["` + marker() + `"]`, `{"prompt":{"` + marker() + `":1},"completion":"c"}`,
	} {
		s.Put(t, "train.jsonl", data)
		in := cloistertest.JobInput(fmt.Sprint("bad-data-", i))
		s.Create(t, in)
		wantFailedWithout(t, s, *in.JobName)
	}
	s.Put(t, "train.jsonl", marked)
	for _, n := range []int{executortest.SeedDie, executortest.SeedNonFinite, executortest.SeedGarbage, executortest.SeedData} {
		in := cloistertest.JobInput(fmt.Sprint("bad-engine-", n))
		seed(n)(in)
		s.Create(t, in)
		wantFailedWithout(t, s, *in.JobName)
	}
	c.search(t, "failed", descendants(t, child.PID())...)
	left, err := os.ReadDir(c.spec.Scratch)
	if err != nil || len(left) != 0 {
		t.Errorf("scratches left: %v, %v", left, err)
	}
	child.Stop(t)
	c.search(t, "ended")
}

func foundBelow(t *testing.T, dir string) bool {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	found := false
	searchFolder(t, root, dir, ".", func(_ string, text []byte) { found = found || bytes.Contains(text, []byte(marker())) })
	return found
}

// wantFailedWithout makes sure that a job failed and that nothing that is told about it has the marker.
func wantFailedWithout(t *testing.T, s *cloistertest.Server, name string) {
	t.Helper()
	job := s.Wait(t, name)
	if job.Status != types.ModelCustomizationJobStatusFailed {
		t.Errorf("%s: %s, want Failed", name, job.Status)
	}
	var told bytes.Buffer
	fmt.Fprint(&told, aws.ToString(job.FailureMessage))
	for _, path := range []string{"", "/events"} {
		resp := s.Own(t, "GET", "jobs/"+jobID(job)+path, nil, nil)
		if _, err := io.Copy(&told, resp.Body); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if bytes.Contains(told.Bytes(), []byte(marker())) {
		t.Errorf("%s: what is told of the job has the training data:\n%s", name, told.Bytes())
	}
}
