package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister/internal/cloistertest"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/server"
	"example.com/cloister/internal/store"
)

// openServer opens a server on a data directory as it is.
func openServer(t *testing.T, data string) (*server.Server, error) {
	t.Helper()
	c := server.Default()
	c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	return server.Open(t.Context(), server.Options{
		Data: data, Config: c, Bases: cloistertest.Bases(t), Engine: cloistertest.FakeEngine{}, Executor: executortest.NewHost(t),
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
}

// refuses makes sure that no server opens on a data directory, and why.
func refuses(t *testing.T, data string, want ...string) error {
	t.Helper()
	s, err := openServer(t, data)
	if err == nil {
		t.Fatalf("a server opened: %v", s.Close())
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	return err
}

// usedData is the data directory of a server that has run and ended.
func usedData(t *testing.T) string {
	t.Helper()
	s := cloistertest.Start(t, cloistertest.Options{})
	s.Prepare(t)
	s.Stop()
	return s.Data
}

func TestTwoServersOnOneDirectory(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	_ = refuses(t, s.Data, "another server runs on "+s.Data, "another --data")
	s.Prepare(t) // the first one goes on
}

func TestNewerDirectory(t *testing.T) {
	t.Parallel()
	data := usedData(t)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "cloister.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied, tstamp) VALUES (99999, 1, '2030-01-01 00:00:00')`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := refuses(t, data, "newer version of cloister", "99999"); !errors.Is(err, store.ErrNewer) {
		t.Errorf("%v is not ErrNewer", err)
	}
}

func TestOtherRootKey(t *testing.T) {
	t.Parallel()
	data := usedData(t)
	if err := os.Remove(filepath.Join(data, "root.key")); err != nil {
		t.Fatal(err)
	}
	_ = refuses(t, data, "root key", "put back the root.key")
}

func TestOtherAccount(t *testing.T) {
	t.Parallel()
	data := usedData(t)
	c := server.Default()
	c.Listen, c.AdminListen, c.Account = "127.0.0.1:0", "127.0.0.1:0", "210987654321"
	s, err := server.Open(t.Context(), server.Options{
		Data: data, Config: c, Bases: cloistertest.Bases(t), Engine: cloistertest.FakeEngine{}, Executor: executortest.NewHost(t),
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err == nil {
		t.Fatalf("a server of another account opened: %v", s.Close())
	}
	if !strings.Contains(err.Error(), "210987654321") {
		t.Errorf("error %q does not name the account", err)
	}
}

// TestCorruptDatabase damages the database: readyz answers 503, and so does everything else, until a backup
// is put back; healthz still answers, since the process lives.
func TestCorruptDatabase(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte){
		"pages": func(text []byte) {
			for at := 4096; at < len(text); at += 512 {
				copy(text[at:], bytes.Repeat([]byte{0xa5}, 64))
			}
		},
		"head": func(text []byte) { copy(text, "not a database at all") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := usedData(t)
			path := filepath.Join(data, "cloister.db")
			backup, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := bytes.Clone(backup)
			damage(damaged)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openServer(t, data)
			if err != nil {
				t.Fatalf("a server on a damaged database must answer its probes: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- errors.Join(s.Run(ctx), s.Close()) }()
			client := &http.Client{Transport: cloistertest.Trusting(t, s.Endpoint().CA)}
			for url, want := range map[string]int{
				s.Endpoint().Admin + "/healthz": 200, s.Endpoint().Admin + "/readyz": 503,
				s.Endpoint().URL + "/model-customization-jobs": 503, s.Endpoint().URL + "/bucket/key": 503,
			} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != want {
					t.Errorf("%s: %s %v, want %d", url, resp.Status, err, want)
				}
				if want == 503 && !strings.Contains(string(text), "damaged") {
					t.Errorf("%s does not say what is wrong: %s", url, text)
				}
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("server: %v", err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the damaged database was written to (%v)", err)
			}
			if err := os.WriteFile(path, backup, 0o600); err != nil {
				t.Fatal(err)
			}
			cloistertest.Start(t, cloistertest.Options{Data: data}).Keys(t, cloistertest.InputBucket)
		})
	}
}

// flip changes one bit in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 0x10
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// largest finds the largest file below a folder.
func largest(t *testing.T, dir string) string {
	t.Helper()
	var found string
	var size int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			found, size = path, info.Size()
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no file in %s: %v", dir, err)
	}
	return found
}

// TestFlippedBitInArtifact damages a model's weights on disk: nothing is made of them.
func TestFlippedBitInArtifact(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	in := cloistertest.JobInput("sound")
	in.CustomModelKmsKeyId = &key
	s.Create(t, in)
	if job := s.Wait(t, "sound"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s", job.Status)
	}
	s.Compare(t, "sound-model", "p")
	flip(t, largest(t, filepath.Join(s.Data, "artifacts")))
	resp := s.Own(t, http.MethodPost, "models/sound-model/compare", []byte(`{"prompts":["p"]}`), nil)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusInternalServerError || !strings.Contains(string(text), "damaged") || !strings.Contains(string(text), "sound-model") {
		t.Errorf("comparison with a damaged artifact: %s, %s", resp.Status, text)
	}
	if s.Host.Alive() != 0 {
		t.Error("a sandbox is left")
	}
	empty(t, s.Host.Dir())
}

// readyz returns the status of the readiness probe.
func readyz(t *testing.T, s *cloistertest.Server) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Endpoint.Admin+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp.StatusCode
}

// TestCorruptWhileRunning damages the database of a running server: it notices, answers 503 and works no more.
func TestCorruptWhileRunning(t *testing.T) {
	t.Parallel()
	data := usedData(t)
	s := cloistertest.Start(t, cloistertest.Options{Data: data, Seams: server.Seams{SweepEvery: 50 * time.Millisecond}})
	if got := readyz(t, s); got != http.StatusOK {
		t.Fatalf("/readyz = %d before the damage", got)
	}
	time.Sleep(500 * time.Millisecond) // until it has looked, and has every page in its cache
	file, err := os.OpenFile(filepath.Join(data, "cloister.db"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(4096); at < info.Size(); at += 512 {
		if _, err := file.WriteAt(bytes.Repeat([]byte{0xa5}, 64), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); readyz(t, s) != http.StatusServiceUnavailable; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("/readyz does not notice the damage")
		}
	}
	if _, err := s.Bedrock.ListModelCustomizationJobs(t.Context(), &bedrock.ListModelCustomizationJobsInput{}); err == nil {
		t.Error("a damaged database is still served")
	}
}

// TestFlippedBitInObject damages the training data on disk: reading it fails, and so does the job.
func TestFlippedBitInObject(t *testing.T) {
	t.Parallel()
	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	s.Put(t, "train.jsonl", cloistertest.Records(10_000)) // far larger than what else there is
	flip(t, largest(t, filepath.Join(s.Data, "objects")))
	out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(cloistertest.InputBucket), Key: aws.String("train.jsonl")})
	if err == nil {
		_, err = io.Copy(io.Discard, out.Body)
		_ = out.Body.Close()
	}
	if err == nil {
		t.Error("a damaged object was read to its end")
	}
	in := cloistertest.JobInput("damaged-data")
	in.CustomModelKmsKeyId = &key
	s.Create(t, in)
	job := s.Wait(t, "damaged-data")
	if message := aws.ToString(job.FailureMessage); job.Status != types.ModelCustomizationJobStatusFailed ||
		!strings.Contains(message, "s3://tm-bedrock-input-data/train.jsonl") || !strings.Contains(message, "damaged") {
		t.Errorf("job %s: %q", job.Status, message)
	}
	nothingLeft(t, s, key)
}
