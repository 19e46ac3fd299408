//go:build linux

package process_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/dataset"
	"example.com/cloister/internal/stage"
	"example.com/cloister/internal/stage/process"
)

func TestMain(m *testing.M) {
	cloistertest.Processes()
	os.Exit(m.Run())
}

// TestDo reads and writes through a real S3, and stops at the first failure.
func TestDo(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	ca, err := os.ReadFile(s.Endpoint.CA)
	if err != nil {
		t.Fatal(err)
	}
	bucket := "staged-data"
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	good := `{"prompt":"a","completion":"b"}` + "\n"
	for key, text := range map[string]string{"good.jsonl": good, "bad.jsonl": good + "no JSON\n"} {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	read := func(key string) stage.Read {
		return stage.Read{Bucket: bucket, Key: key, Target: filepath.Join(dir, "data", key), Kind: string(dataset.PromptCompletion), MaxBytes: 1000}
	}
	plan := stage.Plan{
		Region: "us-east-1", Host: strings.TrimPrefix(s.Endpoint.URL, "https://"), CA: ca,
		AccessKeyID: s.Credential.AccessKeyID, Secret: s.Credential.Secret.Reveal(),
	}
	plan.Reads, plan.Buckets = []stage.Read{read("good.jsonl")}, []string{bucket}
	plan.Writes = []stage.Write{{Bucket: bucket, Key: "out.csv", ContentType: "text/csv", Body: []byte("a,b\n")}}
	r := process.Do(t.Context(), plan)
	var report dataset.Report
	if len(r.Reads) != 1 || len(r.Buckets) != 1 || len(r.Writes) != 1 || r.Reads[0].Failed() || r.Buckets[0].Failed() || r.Writes[0].Failed() {
		t.Fatalf("Do = %+v", r)
	}
	if err := json.Unmarshal(r.Reads[0].Report, &report); err != nil || report.Records != 1 {
		t.Errorf("report %s, %v", r.Reads[0].Report, err)
	}
	if text, err := os.ReadFile(plan.Reads[0].Target); err != nil || string(text) != good {
		t.Errorf("staged %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "data")); err != nil || info.Mode()&os.ModeSetgid == 0 || info.Mode().Perm() != 0o775 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("out.csv")})
	if err != nil || aws.ToString(out.ContentType) != "text/csv" {
		t.Errorf("written: %+v, %v", out, err)
	}

	for _, c := range []struct {
		name   string
		change func(*stage.Plan)
		want   func(stage.Result) bool
	}{
		{"a line that is no JSON", func(p *stage.Plan) { p.Reads = []stage.Read{read("bad.jsonl")} }, func(r stage.Result) bool { return r.Reads[0].NotJSON }},
		{"no object", func(p *stage.Plan) { p.Reads = []stage.Read{read("none.jsonl")} }, func(r stage.Result) bool { return r.Reads[0].Code == "NotFound" }},
		{"too large", func(p *stage.Plan) { p.Reads = []stage.Read{read("good.jsonl")}; p.Reads[0].MaxBytes = 10 }, func(r stage.Result) bool { return r.Reads[0].TooLarge == int64(len(good)) }},
		{"no bucket", func(p *stage.Plan) { p.Reads, p.Buckets = nil, []string{"not-there"} }, func(r stage.Result) bool { return r.Buckets[0].Code == "NotFound" }},
		{"a wrong key", func(p *stage.Plan) { p.Reads, p.Secret = nil, "wrong" }, func(r stage.Result) bool { return r.Buckets[0].Failed() && r.Buckets[0].Code != stage.CodeUnreachable }},
		{"nobody there", func(p *stage.Plan) { p.Reads, p.Host = nil, "127.0.0.1:1" }, func(r stage.Result) bool { return r.Buckets[0].Code == stage.CodeUnreachable }},
		{"another authority", func(p *stage.Plan) { p.Reads, p.CA = nil, nil }, func(r stage.Result) bool { return r.Buckets[0].Code == stage.CodeUnreachable }},
	} {
		broken := plan
		c.change(&broken)
		r := process.Do(t.Context(), broken)
		if len(r.Reads)+len(r.Buckets) == 0 || !c.want(r) || len(r.Writes) != 0 {
			t.Errorf("%s: Do = %+v", c.name, r)
		}
	}
}
