package main

import (
	"bytes"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/awsfake"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fakeAWS is the account of a careful team, at an endpoint, and the credentials of its auditor in the environment.
func fakeAWS(t *testing.T) *awsfake.Server {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": awsfake.AccessKey("111122223333"), "AWS_SECRET_ACCESS_KEY": "anything", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "",
	} {
		t.Setenv(name, value)
	}
	world, err := awsfake.Load(bytes.NewReader(awsfake.Good()))
	if err != nil {
		t.Fatal(err)
	}
	return awsfake.New(world, awsfake.Options{})
}

// TestReplay replays testdata/recording to the report testdata/recording.json. 'make dist-check' does the same with the
// binaries of other systems. -update rewrites the report, and records anew if there is no recording.
func TestReplay(t *testing.T) {
	recording, golden := filepath.Join("testdata", "recording"), filepath.Join("testdata", "recording.json")
	if _, err := os.Stat(recording); *update && os.IsNotExist(err) {
		record(t, recording)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	if out, code, err := execute(t, "audit", "--replay", recording, "--report", "json="+report, "--quiet"); code != 0 {
		t.Fatalf("audit --replay = %d, %v\n%s", code, err, out)
	}
	got, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func record(t *testing.T, dir string) {
	t.Helper()
	server := httptest.NewServer(fakeAWS(t))
	defer server.Close()
	out, code, err := execute(t, "audit", "--endpoint", server.URL, "--record", dir, "--redact", "--quiet")
	if code != 0 {
		t.Fatalf("audit --record = %d, %v\n%s", code, err, out)
	}
}

// TestReportToDevice: a report that is sent to a device leaves the device what it is.
func TestReportToDevice(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink(os.DevNull, pipe); err != nil {
		t.Fatal(err)
	}
	if out, code, err := execute(t, "audit", "--replay", filepath.Join("testdata", "recording"), "--report", "json="+pipe, "--quiet"); code != 0 {
		t.Fatalf("audit = %d, %v\n%s", code, err, out)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
}
