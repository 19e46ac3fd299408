package remediate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remediate"
	"example.com/cloister/internal/remedy"
)

// three is a world with three jobs without a VPC and a key, each with its model.
func three(t *testing.T) *awsfake.World {
	t.Helper()
	patches := bare(
		awsfake.Patch{Path: "~/jobs/0/tags/note", Set: "a"},
		awsfake.Patch{Path: "~/jobs/0/jobName", Set: "answers-0"},
	)
	for _, n := range []string{"1", "2"} {
		job, model := strings.Replace(oldJob, "q4ad8z8tioq8", "b4ndb4ndb4n"+n, 1), "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/0ld0ld0ld0l"+n
		patches = append(patches,
			awsfake.Patch{Path: "~/jobs/-", Set: map[string]any{
				"jobArn": job, "jobName": "answers-" + n, "outputModelName": "answers-" + n, "outputModelArn": model,
				"roleArn": "arn:aws:iam::111122223333:role/bedrock-customization", "status": "Completed",
				"creationTime": "2026-11-20T08:00:11.356Z", "lastModifiedTime": "2026-11-20T10:02:06.657Z", "endTime": "2026-11-20T10:02:06.657Z",
				"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k", "customizationType": "FINE_TUNING",
				"trainingDataConfig": map[string]any{"s3Uri": "s3://acme-train/support/train.jsonl"}, "outputDataConfig": map[string]any{"s3Uri": "s3://acme-output/support/"},
				"trainingMetrics": map[string]any{"trainingLoss": 1.0625}, "tags": map[string]any{"owner": "a", "data-class": "b", "purpose": "c"},
			}},
			awsfake.Patch{Path: "~/models/-", Set: map[string]any{
				"modelArn": model, "modelName": "answers-" + n, "jobArn": job, "creationTime": "2026-11-20T10:02:06.657Z", "modelStatus": "Active",
				"baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k",
			}})
	}
	return world(t, patches...)
}

// cloud is a writable AWS behind a port, which notes the jobs and tags that it was asked for.
type cloud struct {
	*awsfake.Server
	mu      sync.Mutex // guards the following
	creates []creation
}

type creation struct {
	JobName            string `json:"jobName"`
	ClientRequestToken string `json:"clientRequestToken"`
	body               string
	status             int
}

func newCloud(w *awsfake.World) *cloud {
	return &cloud{Server: awsfake.New(w, awsfake.Options{Writable: true, Now: now, JobPolls: 1})}
}

// status notes the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) { s.code = code; s.ResponseWriter.WriteHeader(code) }

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is dead
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	noted := &status{ResponseWriter: w, code: http.StatusOK}
	c.Server.ServeHTTP(noted, r)
	if r.Method == http.MethodPost && r.URL.Path == "/model-customization-jobs" {
		made := creation{body: string(body), status: noted.code}
		_ = json.Unmarshal(body, &made) // what is none is refused
		c.mu.Lock()
		defer c.mu.Unlock()
		c.creates = append(c.creates, made)
	}
}

// served is the host of a cloud behind a port.
func served(t *testing.T, c *cloud) string {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// elsewhere sends what is meant for AWS to a port; the name of the host stays.
type elsewhere struct{ host string }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, "http", e.host
	return http.DefaultTransport.RoundTrip(r)
}

// reaching are the options to reach a port as if it were AWS.
func reaching(host string) collect.Options {
	return collect.Options{
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account)},
		HTTP:    &http.Client{Transport: elsewhere{host}}, Now: now, MaxAttempts: 1,
	}
}

// goOn applies or resumes a plan, whichever its journal wants.
func goOn(ctx context.Context, f file, r *remedy.Runner) error {
	if len(r.Journal.Records) == 0 {
		return r.Apply(ctx, f.everything())
	}
	return r.Resume(ctx)
}

// child is what this test's binary does in its own process: it works on the plan in its folder until the seam at which it
// kills itself.
func child(t *testing.T, killAt int) {
	t.Helper()
	text, err := os.ReadFile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.ReadFile("host")
	if err != nil {
		t.Fatal(err)
	}
	p, err := remedy.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	f := file{"plan.json", remedy.Hash(text), p}
	r := f.runner(t, reaching(string(host)))
	seen := 0
	r.Seam = func(string) {
		if seen++; seen == killAt {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill() // SIGKILL
			}
			panic(err) // it is not reached
		}
	}
	if err := goOn(t.Context(), f, r); err != nil {
		t.Fatal(err)
	}
}

// seamEnv tells a process of this binary that it is a child, and the seam at which it dies.
const seamEnv = "CLOISTER_TEST_KILL_AT"

// run works on a plan in a child, and says whether it killed itself.
func (f file) run(t *testing.T, killAt int) (dead bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestResumeAtEveryCall$")
	cmd.Dir, cmd.Env = filepath.Dir(f.name), append(os.Environ(), fmt.Sprintf("%s=%d", seamEnv, killAt))
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 && len(out) == 0 {
		return true
	}
	if err != nil {
		t.Fatalf("killed at %d: %v\n%s", killAt, err, out)
	}
	return false
}

// TestResumeAtEveryCall: a plan of three jobs whose process is killed, with SIGKILL, before and after each call in turn, and
// some of them twice: what goes on makes exactly three new jobs, no double, and the old ones name them.
func TestResumeAtEveryCall(t *testing.T) {
	if n := os.Getenv(seamEnv); n != "" {
		killAt := 0
		if _, err := fmt.Sscan(n, &killAt); err != nil {
			t.Fatal(err)
		}
		child(t, killAt)
		return
	}
	t.Parallel()
	w := three(t)
	dry := newCloud(w)
	o := wants(t, dry.Server, "MC-JOB-001", "MC-JOB-004")
	first := plan(t, o)
	if len(first.plan.Changes) != 3 || len(first.plan.Steps) != 12 {
		t.Fatalf("the plan has %d changes and %d steps", len(first.plan.Changes), len(first.plan.Steps))
	}
	r := first.runner(t, reaching(served(t, dry)))
	var seams []string
	r.Seam = func(where string) { seams = append(seams, where) }
	if err := r.Apply(t.Context(), first.everything()); err != nil {
		t.Fatal(err)
	}
	dry.wantThree(t, "dry run", first)
	v, err := remediate.Verify(t.Context(), o.Audit, first.plan, first.hash, r.Journal.Records)
	if err != nil || !v.Good() {
		t.Errorf("Verify: %+v, %v", v, err)
	}
	if len(seams) < 100 {
		t.Errorf("only %d seams", len(seams))
	}
	for n := range seams {
		seconds := []int{0}
		if n%3 == 0 { // some die twice
			seconds = append(seconds, 1+n*7%31)
		}
		for _, second := range seconds {
			t.Run(fmt.Sprintf("killed at %d, %s, then at %d", n+1, seams[n], second), func(t *testing.T) {
				t.Parallel()
				c := newCloud(w)
				host := served(t, c)
				f := first.again(t, host)
				if !f.run(t, n+1) {
					t.Error("it lived")
				}
				if second > 0 {
					f.run(t, second) // it may have less to do
				}
				r := f.runner(t, reaching(host))
				if err := goOn(t.Context(), f, r); err != nil {
					t.Errorf("then %v", err)
				}
				c.wantThree(t, "then", f)
			})
		}
	}
}

// again is the same plan in another folder, with the host that its child reaches.
func (f file) again(t *testing.T, host string) file {
	t.Helper()
	text, err := os.ReadFile(f.name)
	if err != nil {
		t.Fatal(err)
	}
	f.name = filepath.Join(t.TempDir(), "plan.json")
	for name, text := range map[string][]byte{f.name: text, filepath.Join(filepath.Dir(f.name), "host"): []byte(host)} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// wantThree fails unless a plan of three jobs was made, each once, and its journal says so.
func (c *cloud) wantThree(t *testing.T, what string, f file) {
	t.Helper()
	names, tokens := map[string]string{}, map[string]string{}
	for _, made := range c.creates {
		if was, ok := tokens[made.ClientRequestToken]; ok && was != made.body {
			t.Errorf("%s: the token of %s was used for two calls", what, made.JobName)
		}
		tokens[made.ClientRequestToken] = made.body
		if made.status/100 != 2 {
			t.Errorf("%s: job %s was refused with %d", what, made.JobName, made.status)
			continue
		}
		if names[made.JobName] != "" {
			t.Errorf("%s: job %s was made twice", what, made.JobName)
		}
		names[made.JobName] = made.ClientRequestToken
	}
	writes := map[string]int{}
	for _, w := range c.Writes() {
		writes[w.Operation]++
	}
	if diff := cmp.Diff(map[string]int{"CreateModelCustomizationJob": 3, "TagResource": 3}, writes); diff != "" || len(names) != 3 {
		t.Errorf("%s: the writes, of %d jobs (-want +got):\n%s", what, len(names), diff)
	}
	// what the world says, by a client of its own
	read, err := remediate.Connect(t.Context(), collect.Options{
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account)}, HTTP: c.HTTPClient(), Now: now, MaxAttempts: 1,
	}, f.plan)
	if err != nil {
		t.Fatal(err)
	}
	client := remediate.Client(read, account, "us-east-1")
	get := func(call, name, id string) map[string]any {
		text, _ := json.Marshal(map[string]any{name: id}) // a text can be
		answer, err := client.Call(t.Context(), call, text)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return nil
		}
		return answer.Members
	}
	tag := func(arn, key string) any {
		list, _ := get("bedrock:ListTagsForResource", "resourceARN", arn)["tags"].([]any)
		i := slices.IndexFunc(list, func(one any) bool { m, _ := one.(map[string]any); return m["key"] == key })
		if i < 0 {
			return nil
		}
		m, _ := list[i].(map[string]any)
		return m["value"]
	}
	records, err := remedy.ReadJournal(remedy.JournalName(f.name))
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for i := range f.plan.Steps {
		s := &f.plan.Steps[i]
		if state := remedy.StateOf(records, s.ID); !state.Done || state.Open || state.Failed {
			t.Errorf("%s: step %s is %+v", what, s.ID, state)
		}
		if s.Call != "bedrock:CreateModelCustomizationJob" {
			continue
		}
		name, _ := tree(t, s.Parameters)["jobName"].(string)
		job := get("bedrock:GetModelCustomizationJob", "jobIdentifier", name)
		arn, _ := job["jobArn"].(string)
		old := f.plan.Changes[slices.IndexFunc(f.plan.Changes, func(c remedy.Change) bool { return c.ID == s.Change })].Resource
		if job["status"] != "Completed" || job["clientRequestToken"] != names[name] || remedy.StateOf(records, s.ID).Results["jobArn"] != arn {
			t.Errorf("%s: job %s is %v", what, name, job)
		}
		if by, of := tag(old, posture.TagSupersededBy), tag(arn, posture.TagSupersedes); by != arn || of != old {
			t.Errorf("%s: %s names %v, and %s names %v", what, old, by, arn, of)
		}
	}
}

// TestRollbackAtEveryCall: a rollback whose process ends before or after any call is ended by the next one.
func TestRollbackAtEveryCall(t *testing.T) {
	t.Parallel()
	w := three(t)
	first := plan(t, wants(t, awsfake.New(w, awsfake.Options{Writable: true, Now: now}), "MC-JOB-001", "MC-JOB-004"))
	type killed struct{}
	for n := 1; ; n++ {
		server := awsfake.New(w, awsfake.Options{Writable: true, Now: now})
		o := collect.Options{Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account)}, HTTP: server.HTTPClient(), Now: now, MaxAttempts: 1}
		f := first.again(t, "")
		r := f.runner(t, o)
		if err := r.Apply(t.Context(), f.everything()); err != nil {
			t.Fatal(err)
		}
		seen := 0
		r.Seam = func(string) {
			if seen++; seen == n {
				panic(killed{})
			}
		}
		func() {
			defer func() {
				if v := recover(); v != nil && v != (killed{}) {
					panic(v)
				}
				_ = r.Journal.Close() // as the end of a process does
			}()
			if err := r.Rollback(t.Context(), true); err != nil {
				t.Errorf("rollback %d: %v", n, err)
			}
		}()
		if seen < n {
			break
		}
		r = f.runner(t, o)
		if err := r.Rollback(t.Context(), true); err != nil {
			t.Errorf("rollback killed at %d: then %v", n, err)
		}
		_ = r.Journal.Close() // every record is on disk
		done := map[string]int{}
		for _, w := range server.Writes() {
			done[w.Operation]++
		}
		if diff := cmp.Diff(map[string]int{"CreateModelCustomizationJob": 3, "TagResource": 3, "UntagResource": 6, "DeleteCustomModel": 3}, done); diff != "" {
			t.Errorf("rollback killed at %d: the writes (-want +got):\n%s", n, diff)
		}
	}
}
