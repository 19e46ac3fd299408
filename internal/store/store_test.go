package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/runner"
	"example.com/cloister/internal/store"
)

// driver opens an empty database of one kind. PostgreSQL will be one more row.
type driver struct {
	name string
	open func(t *testing.T) *store.DB
}

func drivers() []driver {
	return []driver{{"sqlite", func(t *testing.T) *store.DB {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "cloister.db"))
	}}}
}

func open(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// everyDriver runs a test once for each kind of database.
func everyDriver(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	for _, d := range drivers() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d.open(t))
		})
	}
}

func epoch() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func job(i int) bedrock.Job {
	id := fmt.Sprintf("job%09d", i)
	return bedrock.Job{
		ID: id, Account: cloister.DefaultAccount, Region: cloister.DefaultRegion, Name: "name-" + id, ModelName: "model-" + id,
		ModelARN: "arn:model:" + id, ARN: "arn:job:" + id, Status: bedrock.InProgress, Token: "token-" + id,
		Created: epoch().Add(time.Duration(i) * time.Second), Modified: epoch(), WrappedKey: []byte("wrapped"),
	}
}

func create(t *testing.T, s *store.Bedrock, n int) {
	t.Helper()
	for i := range n {
		if err := s.CreateJob(t.Context(), job(i), map[string]string{"a": "b"}, nil, n+1); err != nil {
			t.Fatal(err)
		}
	}
}

func TestClaimsAreInOrderAndUnique(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		s := db.Bedrock(epoch)
		const jobs, workers = 60, 8
		create(t, s, jobs)
		first, ok, err := s.Claim(t.Context(), "first", epoch(), epoch().Add(time.Minute))
		if err != nil || !ok || first.ID != job(0).ID || first.Attempt != 1 || first.Parked {
			t.Fatalf("Claim = %+v, %v, %v, want the oldest job", first, ok, err)
		}
		var mu sync.Mutex
		claimed := map[string]int{}
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for {
					c, ok, err := s.Claim(t.Context(), fmt.Sprint(w), epoch(), epoch().Add(time.Minute))
					if err != nil {
						t.Error(err)
						return
					}
					if !ok {
						return
					}
					mu.Lock()
					claimed[c.ID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(claimed) != jobs-1 {
			t.Errorf("%d jobs claimed, want %d", len(claimed), jobs-1)
		}
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("%s was claimed %d times", id, n)
			}
		}
	})
}

func TestLeases(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		s := db.Bedrock(epoch)
		create(t, s, 1)
		id := job(0).ID
		claim := func(owner string, now time.Time) (runner.Claim, bool) {
			c, ok, err := s.Claim(t.Context(), owner, now, now.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			return c, ok
		}
		if _, ok := claim("a", epoch()); !ok {
			t.Fatal("a waiting job was not claimed")
		}
		if err := s.Append(t.Context(), id, "a", runner.Event{Step: "one", Phase: runner.Started, Attempt: 1, At: epoch()}); err != nil {
			t.Fatal(err)
		}
		if _, ok := claim("b", epoch().Add(59*time.Second)); ok {
			t.Error("a leased job was claimed")
		}
		if err := s.Renew(t.Context(), id, "a", epoch().Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, ok := claim("b", epoch().Add(90*time.Second)); ok {
			t.Error("a renewed lease did not hold")
		}
		got, ok := claim("b", epoch().Add(3*time.Minute))
		if !ok || len(got.Log) != 1 || got.Log[0].Step != "one" {
			t.Fatalf("after the lease: %+v, %v, want the job with its log", got, ok)
		}
		for what, err := range map[string]error{
			"Renew":  s.Renew(t.Context(), id, "a", epoch()),
			"Append": s.Append(t.Context(), id, "a", runner.Event{Step: "one", Phase: runner.Failed}),
		} {
			if !errors.Is(err, runner.ErrLost) {
				t.Errorf("%s by the former owner = %v, want ErrLost", what, err)
			}
		}
		if n, err := s.NextAttempt(t.Context(), id, "b"); err != nil || n != 2 {
			t.Errorf("NextAttempt = %d, %v, want 2", n, err)
		}
		if _, err := s.NextAttempt(t.Context(), id, "a"); !errors.Is(err, runner.ErrLost) {
			t.Errorf("NextAttempt by the former owner = %v, want ErrLost", err)
		}
		if err := s.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok := claim("c", epoch()); !ok {
			t.Error("after Recover a running job is not due")
		}
	})
}

func TestNamesAndTokens(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		s := db.Bedrock(epoch)
		create(t, s, 1)
		for name, tt := range map[string]struct {
			change func(*bedrock.Job)
			want   error
		}{
			"job name":   {func(j *bedrock.Job) { j.Name = job(0).Name }, bedrock.ErrJobName},
			"model name": {func(j *bedrock.Job) { j.ModelName = job(0).ModelName }, bedrock.ErrModelName},
			"token":      {func(j *bedrock.Job) { j.Token = job(0).Token }, bedrock.ErrToken},
			"queue":      {func(*bedrock.Job) {}, bedrock.ErrQueueFull},
		} {
			other := job(1)
			tt.change(&other)
			if err := s.CreateJob(t.Context(), other, nil, nil, 1); !errors.Is(err, tt.want) {
				t.Errorf("same %s: %v, want %v", name, err, tt.want)
			}
		}
		elsewhere := job(1)
		elsewhere.Name, elsewhere.ModelName, elsewhere.Token, elsewhere.Region = job(0).Name, job(0).ModelName, job(0).Token, "eu-west-1"
		if err := s.CreateJob(t.Context(), elsewhere, nil, nil, 2); err != nil {
			t.Errorf("the same names in another region: %v", err)
		}
	})
}

func TestPin(t *testing.T) {
	t.Parallel()
	everyDriver(t, func(t *testing.T, db *store.DB) {
		t.Helper()
		for range 2 {
			if err := db.Pin(t.Context(), "account", "1"); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Pin(t.Context(), "account", "2"); !errors.Is(err, store.ErrPinned) {
			t.Errorf("Pin of another value = %v, want ErrPinned", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	newer := filepath.Join(t.TempDir(), "newer.db")
	if err := open(t, newer).Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", "file:"+newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), newer); !errors.Is(err, store.ErrNewer) {
		t.Errorf("Open of a newer database = %v, want ErrNewer", err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(damaged, []byte("this is no database, and long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), damaged)
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Open of a damaged database = %v, want ErrCorrupt", err)
	}
	if db != nil {
		_ = db.Close()
	}
}

// TestReader reads beside a writer, and cannot write.
func TestReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cloister.db")
	db := open(t, path)
	create(t, db.Bedrock(epoch), 1)
	reader, err := store.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	if got, err := reader.Bedrock(epoch).JobByID(t.Context(), job(0).ID); err != nil || got.Name != job(0).Name {
		t.Errorf("JobByID = %+v, %v", got, err)
	}
	if err := reader.Pin(context.WithoutCancel(t.Context()), "x", "y"); err == nil {
		t.Error("a reader wrote")
	}
}

// TestDestroyedKeyIsGone looks for a deleted data key in the database's files.
func TestDestroyedKeyIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := open(t, filepath.Join(dir, "cloister.db"))
	s := db.Bedrock(epoch)
	j := job(0)
	j.WrappedKey = []byte("a wrapped key of recognizable form")
	if err := s.CreateJob(t.Context(), j, nil, nil, 1); err != nil {
		t.Fatal(err)
	}
	model := bedrock.Model{ARN: j.ModelARN, Account: j.Account, Region: j.Region, Name: j.ModelName, JobID: j.ID, WrappedKey: j.WrappedKey, Created: epoch()}
	if err := s.RegisterModel(t.Context(), model, func(*bedrock.Job) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if !holds(t, dir, j.WrappedKey) {
		t.Fatal("the key is not in the database before its deletion: the test looks for the wrong thing")
	}
	if err := s.BeginDelete(t.Context(), j.ModelARN); err != nil {
		t.Fatal(err)
	}
	if holds(t, dir, j.WrappedKey) {
		t.Error("the deleted key is still in the database's files")
	}
}

func holds(t *testing.T, dir string, what []byte) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+len(what) <= len(text); i++ {
			if string(text[i:i+len(what)]) == string(what) {
				return true
			}
		}
	}
	return false
}
