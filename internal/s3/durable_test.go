package s3_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/blob/blobtest"
)

// reopen is a service on what a crash left, with the keys of the one before.
func reopen(t *testing.T, before *fixture, dir string, fsys blob.FileSystem) *fixture {
	t.Helper()
	after := newServiceOn(t, before.store, dir, fsys)
	after.kms.aead, after.owned.aead = before.kms.aead, before.owned.aead
	if _, err := after.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return after
}

// history does what a client may do, and records for each key what it was told to be there: at most two
// values, before and after a call that did not return.
func history(t *testing.T, f *fixture) map[string][]string {
	t.Helper()
	known := map[string][]string{}
	put := func(key, data string) bool {
		if known[key] == nil {
			known[key] = []string{""} // it was not there
		}
		known[key] = append(known[key], data)
		_, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(data)})
		if err == nil {
			known[key] = []string{data}
		}
		return err == nil
	}
	remove := func(key string) bool {
		known[key] = append(known[key], "")
		_, err := f.DeleteObject(asRoot(t), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
		if err == nil {
			known[key] = []string{""}
		}
		return err == nil
	}
	_ = put("a", repeat(100)) && put("b", repeat(70000)) && put("a", repeat(200)) && put("c", "gone soon") && remove("c") && put("d", "last")
	return known
}

// TestPowerLoss loses power after every call of the file system below the blobs, and wants acknowledged
// objects whole, others as before or as after, and no blob that nothing refers to.
func TestPowerLoss(t *testing.T) {
	dry := blobtest.NewCrashFS(0)
	f := newFixtureOn(t, t.TempDir(), dry)
	f.createBucket(t)
	prepared := dry.Calls()
	if known := history(t, f); len(known["d"]) != 1 {
		t.Fatalf("dry run: %v", known)
	}
	calls := dry.Calls()
	if calls-prepared < 20 {
		t.Fatalf("only %d calls", calls-prepared)
	}
	for n := prepared + 1; n <= calls; n++ {
		dir := t.TempDir()
		fsys := blobtest.NewCrashFS(n)
		before := newFixtureOn(t, dir, fsys)
		before.createBucket(t)
		known := history(t, before)
		if !fsys.Crashed() {
			t.Fatalf("no crash at call %d", n)
		}
		for _, loss := range []blobtest.Loss{blobtest.LoseAll, blobtest.LoseData, blobtest.LoseNothing} {
			after := reopen(t, before, dir, fsys.Restart(loss))
			objects := 0
			for key, allowed := range known {
				got, err := after.get(t, key)
				if cloister.Code(err) == "NoSuchKey" {
					got, err = "", nil
				} else {
					objects++
				}
				if err != nil || !slices.Contains(allowed, got) {
					t.Errorf("call %d, loss %d: %s has %d bytes, %v", n, loss, key, len(got), err)
				}
			}
			if blobs := after.blobCount(t); blobs != objects {
				t.Errorf("call %d, loss %d: %d blobs for %d objects", n, loss, blobs, objects)
			}
		}
	}
}

func TestCollectKeepsWhatIsUsed(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	f.put(t, "k", "kept")
	up := f.createUpload(t, awss3.CreateMultipartUploadInput{})
	f.uploadPart(t, up, 1, "kept too")
	w, err := f.blobs.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("orphan")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Collect(t.Context()); err != nil || n != 1 {
		t.Errorf("Collect = %d, %v, want 1", n, err)
	}
	if n := f.blobCount(t); n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
	if got, err := f.get(t, "k"); err != nil || got != "kept" {
		t.Errorf("get = %q, %v", got, err)
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	fsys := blobtest.NewFullFS(directory(t, filepath.Join(dir, "blobs")), 1<<20)
	f := newFixtureOn(t, dir, fsys)
	f.createBucket(t)
	f.put(t, "k", "before")
	fsys.SetRoom(100000)
	_, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader(repeat(200000))})
	wantCode(t, "PutObject", err, "InsufficientStorage", 507)
	if got, err := f.get(t, "k"); err != nil || got != "before" {
		t.Errorf("get = %q, %v", got, err)
	}
	if n := f.blobCount(t); n != 1 {
		t.Errorf("%d blobs, want 1", n)
	}
	fsys.SetRoom(1 << 20)
	f.put(t, "k", "after")
}

// TestKill runs a child that puts objects and kills it without warning in the middle of one.
func TestKill(t *testing.T) {
	if dir := os.Getenv("S3_KILL_DIR"); dir != "" {
		killedChild(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "S3_KILL_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := -1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &n); err != nil {
			continue
		}
		acknowledged = n
		if n == 12 {
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what was acknowledged before the kill and not read yet
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &n); err == nil {
			acknowledged = n
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	if acknowledged < 12 {
		t.Fatalf("only %d puts were acknowledged", acknowledged)
	}
	f := newFixtureOn(t, dir, directory(t, filepath.Join(dir, "blobs")))
	if _, err := f.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	objects := 0
	for i := range acknowledged + 2 {
		o, err := f.store.Object(t.Context(), bucket, fmt.Sprint("k", i))
		if err != nil {
			if i <= acknowledged {
				t.Errorf("acknowledged object %d is lost: %v", i, err)
			}
			continue
		}
		objects++
		parts, err := f.store.Parts(t.Context(), o.ID, 0, 10)
		if err != nil || len(parts) != 1 {
			t.Fatalf("parts of %d: %v, %v", i, parts, err)
		}
		b, err := f.blobs.Open(parts[0].Blob)
		if err != nil {
			t.Fatalf("blob of object %d: %v", i, err)
		}
		if want := o.Size + 72 + 28*((o.Size-1)/65536+1); b.Size() != want {
			t.Errorf("object %d: blob of %d bytes, want %d", i, b.Size(), want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := f.blobCount(t); n != objects {
		t.Errorf("%d blobs for %d objects", n, objects)
	}
}

func killedChild(t *testing.T, dir string) {
	t.Helper()
	f := newFixtureOn(t, dir, directory(t, filepath.Join(dir, "blobs")))
	f.createBucket(t)
	for i := 0; ; i++ {
		f.put(t, fmt.Sprint("k", i), repeat(1+i*20000))
		if _, err := fmt.Fprintln(os.Stdout, "acknowledged", i); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMemoryDoesNotGrow streams an object larger than what may be held, and counts what is.
func TestMemoryDoesNotGrow(t *testing.T) {
	f := newFixture(t)
	f.createBucket(t)
	const size = 64 << 20
	round := func() {
		_, err := f.PutObject(asRoot(t), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("big"), Body: io.LimitReader(zeros{}, size)})
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.GetObject(asRoot(t), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("big")})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil || n != size {
			t.Fatal(n, err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	round()
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4<<20 {
		t.Errorf("putting and getting %d bytes allocates %d", size, allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
