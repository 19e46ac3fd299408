package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// motoVariable names a Python that has moto (bench/moto.sh prints one).
const motoVariable = "CLOISTER_MOTO"

// startMoto starts a moto server with AWS's shapes on a free port. stop ends it.
func startMoto() (url string, stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Getenv(motoVariable), "moto_aws.py")
	stop = func() {
		cancel()
		_ = cmd.Wait() // it was killed
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, err
	}
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		lines := bufio.NewScanner(out)
		for lines.Scan() { // moto prints what it cannot route
			if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
				ready <- url
			}
		}
	}()
	select {
	case url, ok := <-ready:
		if ok {
			return url, stop, nil
		}
		err = fmt.Errorf("%s moto_aws.py ended", cmd.Path)
	case <-time.After(readyIn):
		err = fmt.Errorf("moto is not ready after %v", readyIn)
	}
	stop()
	return "", nil, err
}

// account are the variables of a client of moto.
func account(url string) []string {
	return []string{"AWS_ENDPOINT_URL=" + url, "AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}
}

// moto starts a moto server for the script, whose clients then use it.
func moto(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: moto")
	}
	url, stop, err := startMoto()
	ts.Check(err)
	ts.Defer(stop)
	for _, variable := range account(url) {
		name, value, _ := strings.Cut(variable, "=")
		ts.Setenv(name, value)
	}
}

// results REPORT FILE writes a saved report's results into a file for grep, one a line: status, rule, name, region, and
// AWS's codes of what was not read.
func results(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: results REPORT FILE")
	}
	var report struct {
		Results []struct {
			Status, Rule, Name, Region string
			Unread                     []struct{ Code string }
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &report))
	var lines []string
	for _, r := range report.Results {
		fields := []string{r.Status, r.Rule, r.Name, r.Region}
		for _, u := range r.Unread {
			fields = append(fields, u.Code)
		}
		lines = append(lines, strings.Join(fields, " ")+"\n")
	}
	slices.Sort(lines)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(lines, "")), 0o600))
}

// hasMoto says what is missing for a moto server.
func hasMoto() error {
	python := os.Getenv(motoVariable)
	if python == "" {
		return errors.New(motoVariable + " does not name a Python with moto")
	}
	_, err := os.Stat(python)
	return err
}

// readme pastes each line of the README's section on the auditor into a shell of its own, against moto. All run at once:
// most of an audit of moto is waiting before calls that it does not serve are tried again.
func readme(t *testing.T, path string) {
	t.Helper()
	url, stop, err := startMoto()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := pasted(string(text), "## Audit an AWS account")
	if len(lines) < 5 {
		t.Fatalf("%d lines to paste, want 5 or more: %q", len(lines), lines)
	}
	var group sync.WaitGroup
	for _, line := range lines {
		group.Go(func() { paste(t, line, append(account(url), "PATH="+path)) })
	}
	group.Wait()
}

// TestStory wants what the README shows of a remediation to be what a scenario runs, for the real thing takes an engine.
func TestStory(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	scenario, err := os.ReadFile("testdata/engine/remediate.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Mend what it finds\n")
	section, _, _ = strings.Cut(section, "\n## ")
	shown := regexp.MustCompile(`(?m)^\$ (.*)$`).FindAllStringSubmatch(section, -1)
	if len(shown) < 3 {
		t.Fatalf("the README shows %d commands, want 3 or more", len(shown))
	}
	for _, line := range shown {
		command := regexp.MustCompile(`vpc-[0-9a-f]{17}`).ReplaceAllLiteralString(line[1], "$VPC")
		if !slices.Contains(strings.Split(string(scenario), "\n"), command) {
			t.Errorf("no scenario runs %q", command)
		}
	}
}

// pasted are the commands of the first block of shell below a heading.
func pasted(markdown, heading string) []string {
	_, section, _ := strings.Cut(markdown, "\n"+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, block, _ := strings.Cut(section, "\n```sh\n")
	block, _, _ = strings.Cut(block, "```")
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// paste runs a line in an empty folder. An audit may end with 3 or 4; everything prints something, and every --report is
// there.
func paste(t *testing.T, line string, env []string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir, cmd.Env = dir, append(env, "HOME="+dir)
	failure := &bytes.Buffer{}
	cmd.Stderr = failure
	out, err := cmd.Output()
	words := strings.Fields(line)
	codes := []int{0}
	if line == "cloister audit" || strings.HasPrefix(line, "cloister audit -") {
		codes = []int{0, 3, 4}
	}
	if !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
		t.Errorf("%s: %v\n%s", line, err, failure)
	}
	if len(out) == 0 {
		t.Errorf("%s printed nothing", line)
	}
	for i, word := range words {
		if _, file, ok := strings.Cut(word, "="); ok && words[i-1] == "--report" {
			if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
				t.Errorf("%s did not write %s: %v", line, file, err)
			}
		}
	}
}
