package executortest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/cloister/internal/executor"
)

// Run is the suite that every executor that isolates must pass. It runs /usr/bin/python3 inside.
func Run(t *testing.T, e executor.Executor) {
	t.Helper()
	for _, tt := range []struct {
		name string
		test func(*testing.T, executor.Executor)
	}{
		{"processes run one after another", testSequence},
		{"exit codes and signals", testExits},
		{"environment is what was given", testEnvironment},
		{"descriptor 3", testControl},
		{"scratch is shared and bounded", testScratch},
		{"links do not lead out of the scratch", testLinks},
		{"mounts are read-only", testMounts},
		{"memory limit", testMemory},
		{"memory limit of a child", testChildMemory},
		{"process limit", testPids},
		{"wall limit", testWall},
		{"context ends a process", testContext},
		{"a kill at any moment counts", testEarlyKill},
		{"nothing outlives a process", testLeftovers},
		{"destroy ends what runs", testDestroy},
		{"bad specifications", testBadSpecs},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, e) })
	}
}

func limits() executor.Limits {
	return executor.Limits{MemoryBytes: 256 << 20, ScratchBytes: 32 << 20, ShmBytes: 16 << 20, CPUs: 1, Pids: 32, Wall: 60 * time.Second}
}

func create(t *testing.T, e executor.Executor, change func(*executor.Spec)) executor.Sandbox {
	t.Helper()
	spec := executor.Spec{ID: "test-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))[max(0, len(t.Name())-30):], Limits: limits()}
	if change != nil {
		change(&spec)
	}
	box, err := e.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Destroy(context.Background()); err != nil { //nolint:usetesting // the test's own context has ended
			t.Errorf("Destroy: %v", err)
		}
	})
	return box
}

// python runs a program and returns how it ended and what it printed.
func python(t *testing.T, box executor.Sandbox, program string) (executor.Exit, string) {
	t.Helper()
	var out, errs bytes.Buffer
	exit, err := box.Run(t.Context(), executor.Process{Argv: []string{"/usr/bin/python3", "-c", program}, Env: []string{"PATH=/usr/bin"}, Stdout: &out, Stderr: &errs})
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	if errs.Len() > 0 {
		t.Logf("stderr: %s", errs.String())
	}
	return exit, strings.TrimSpace(out.String())
}

func testSequence(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	python(t, box, `open("/scratch/a","w").write("first")`)
	exit, out := python(t, box, `print(open("/scratch/a").read(), __import__("os").getpid() > 1)`)
	if exit.Code != 0 || out != "first True" || exit.CPU <= 0 || exit.Wall <= 0 || exit.PeakRSSBytes <= 0 {
		t.Errorf("second process: %+v, %q", exit, out)
	}
}

func testExits(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	if exit, _ := python(t, box, `raise SystemExit(7)`); exit.Code != 7 || exit.OverLimit != "" {
		t.Errorf("exit 7: %+v", exit)
	}
	if exit, _ := python(t, box, `import os; os.kill(os.getpid(), 15)`); exit.Code != 128+15 {
		t.Errorf("SIGTERM: %+v", exit)
	}
	var errs bytes.Buffer
	exit, err := box.Run(t.Context(), executor.Process{Argv: []string{"/usr/bin/no-such-program"}, Stderr: &errs})
	if err != nil || exit.Code == 0 || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("missing program: %+v, %v, %q", exit, err, errs.String())
	}
}

func testEnvironment(t *testing.T, e executor.Executor) {
	t.Setenv("CLOISTER_TEST_LEAK", "secret")
	box := create(t, e, nil)
	_, out := python(t, box, `import os; print(sorted(k for k in os.environ if k not in ("LC_CTYPE",)), os.getcwd())`)
	if out != "['PATH'] /scratch" {
		t.Errorf("environment and folder: %s", out)
	}
}

func testControl(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	_, err = box.Run(t.Context(), executor.Process{Argv: []string{"/usr/bin/python3", "-c", `import os; os.write(3, b"hello")`}, Control: w})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, _ := r.Read(buf); string(buf[:n]) != "hello" {
		t.Errorf("descriptor 3 carried %q", buf[:n])
	}
	if _, out := python(t, box, "import os\ntry:\n os.fstat(3); print('open')\nexcept OSError: print('closed')"); out != "closed" {
		t.Errorf("without Control, descriptor 3 is %s", out)
	}
}

func testScratch(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	if err := box.Scratch().MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := box.Scratch().WriteFile("data/in", []byte("from outside"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, out := python(t, box, `import os; print(open("/scratch/data/in").read()); os.mkdir("/scratch/out"); open("/scratch/out/x","w").write("from inside")`)
	text, err := box.Scratch().ReadFile("out/x")
	if out != "from outside" || err != nil || string(text) != "from inside" {
		t.Errorf("inside read %q, outside read %q, %v", out, text, err)
	}
	exit, _ := python(t, box, `open("/scratch/big","wb").write(b"x"*(64<<20))`)
	if exit.Code == 0 || exit.OverLimit != "scratch" {
		t.Errorf("64 MiB into a scratch of 32: %+v", exit)
	}
}

func testLinks(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	python(t, box, `import os; os.symlink("/etc/hostname","/scratch/abs"); os.symlink("../../../../../etc/hostname","/scratch/rel")`)
	for _, name := range []string{"abs", "rel"} {
		if text, err := box.Scratch().ReadFile(name); err == nil {
			t.Errorf("%s led to %q", name, text)
		}
	}
}

func testMounts(t *testing.T, e executor.Executor) {
	dir, err := os.MkdirTemp("/var/tmp", "cloister-test-") //nolint:usetesting // nothing below /tmp may be bound
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(dir+"/file", []byte("base"), 0o644)); err != nil {
		t.Fatal(err)
	}
	box := create(t, e, func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: dir, Target: "/base"}} })
	_, out := python(t, box, `print(open("/base/file").read())
for p in ("/base/new", "/base/file", "/usr/new", "/new"):
    try: open(p, "w"); print("wrote", p)
    except OSError: pass`)
	if out != "base" {
		t.Errorf("mounts: %s", out)
	}
}

func testMemory(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	exit, out := python(t, box, `b = bytearray(64 << 20); print("64 fit", flush=True)
import time
keep = []
while True:
    keep.append(bytearray(16 << 20)); time.sleep(0.05)`)
	if out != "64 fit" || exit.Code == 0 || exit.OverLimit != "memory" {
		t.Errorf("memory above 256 MiB: %+v, %q", exit, out)
	}
	if exit, out := python(t, box, `print("alive")`); exit.Code != 0 || exit.OverLimit != "" || out != "alive" {
		t.Errorf("the next process: %+v, %q", exit, out)
	}
}

// testChildMemory has the limit broken by a process whose parent does not notice.
func testChildMemory(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	exit, _ := python(t, box, `import os, time
if os.fork() == 0:
    keep = []
    while True:
        keep.append(bytearray(16 << 20)); time.sleep(0.05)
time.sleep(60)`)
	if exit.Code == 0 || exit.OverLimit != "memory" {
		t.Errorf("a child above 256 MiB: %+v", exit)
	}
}

func testPids(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	exit, out := python(t, box, `import os, time
n = 0
try:
    for _ in range(200):
        if os.fork() == 0: time.sleep(30); os._exit(0)
        n += 1
except OSError: pass
print(n)`)
	if exit.Code != 0 || out == "200" || out == "0" {
		t.Errorf("200 forks under a limit of 32: %+v, %s went well", exit, out)
	}
}

func testWall(t *testing.T, e executor.Executor) {
	box := create(t, e, func(s *executor.Spec) { s.Limits.Wall = 300 * time.Millisecond })
	if exit, _ := python(t, box, `import time; time.sleep(60)`); exit.OverLimit != "wall" {
		t.Errorf("a minute under a limit of 300 ms: %+v", exit)
	}
}

func testContext(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(cause) })
	_, err := box.Run(ctx, executor.Process{Argv: []string{"/usr/bin/python3", "-c", "import time; time.sleep(60)"}})
	if !errors.Is(err, cause) {
		t.Errorf("Run = %v, want the context's cause", err)
	}
	if exit, out := python(t, box, `print("next")`); exit.Code != 0 || out != "next" {
		t.Errorf("the next process: %+v, %q", exit, out)
	}
}

func testEarlyKill(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*20)*time.Microsecond)
		start := time.Now()
		_, err := box.Run(ctx, executor.Process{Argv: []string{"/usr/bin/sleep", "20"}})
		cancel()
		if err == nil || time.Since(start) > 10*time.Second {
			t.Fatalf("killed after %d µs: Run = %v after %v", i*20, err, time.Since(start))
		}
	}
}

func testLeftovers(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	python(t, box, `import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)
        while True: time.sleep(0.05); open("/scratch/tick", "a").write("x")
    os._exit(0)
time.sleep(0.3)`)
	before, err := box.Scratch().ReadFile("tick")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	after, err := box.Scratch().ReadFile("tick")
	if err != nil || len(after) != len(before) {
		t.Errorf("a daemon goes on after its process: %d then %d ticks, %v", len(before), len(after), err)
	}
}

func testDestroy(t *testing.T, e executor.Executor) {
	box := create(t, e, nil)
	done := make(chan error, 1)
	go func() {
		_, err := box.Run(t.Context(), executor.Process{Argv: []string{"/usr/bin/python3", "-c", "import time; time.sleep(60)"}})
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	for range 2 { // idempotent
		if err := box.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("Run ended well in a sandbox that was destroyed")
		}
	case <-time.After(10 * time.Second):
		t.Error("Run goes on in a sandbox that was destroyed")
	}
}

func testBadSpecs(t *testing.T, e executor.Executor) {
	good := executor.Spec{ID: "good", Limits: limits()}
	for name, change := range map[string]func(*executor.Spec){
		"no limits":     func(s *executor.Spec) { s.Limits = executor.Limits{} },
		"no id":         func(s *executor.Spec) { s.ID = "" },
		"path as id":    func(s *executor.Spec) { s.ID = "../x" },
		"mount at /tmp": func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: "/usr", Target: "/tmp/x"}} },
		"mount of /run": func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: "/run", Target: "/host"}} },
		"missing mount": func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: "/no/such/folder", Target: "/base"}} },
		"relative":      func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: "usr", Target: "/base"}} },
	} {
		spec := good
		change(&spec)
		box, err := e.Create(t.Context(), spec)
		if err == nil {
			t.Errorf("%s: a sandbox was made", name)
			_ = box.Destroy(t.Context())
		}
		if errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v does not say what is wrong", name, err)
		}
	}
}
