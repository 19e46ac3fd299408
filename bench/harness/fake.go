package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// FakeAccount is the account of the worlds that bench/fakeaws generates.
const FakeAccount = "111122223333"

// Fake is bench/fakeaws as a process of its own.
type Fake struct {
	URL string
	cmd *exec.Cmd
}

// FakeStats are what it counted.
type FakeStats struct {
	Calls       int `json:"calls"`
	Throttled   int `json:"throttled"`
	MaxInFlight int `json:"maxInFlight"`
	// Busiest is the most calls of one action in one region.
	Busiest int `json:"busiest"`
	// Operations are the calls of each operation.
	Operations map[string]int `json:"operations"`
	// Regions are those of its world.
	Regions []string `json:"regions"`
}

// FreeAddress is an address of loopback that nothing listens on.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// StartFake runs a binary of bench/fakeaws with flags and waits for its ready line. Stop must be called.
func StartFake(ctx context.Context, bin string, flags ...string) (*Fake, error) {
	cmd := exec.CommandContext(ctx, bin, flags...) //nolint:gosec // the fake
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	f := &Fake{cmd: cmd}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the fake is not ready (%q)", line), f.Stop())
	}
	f.URL = url
	return f, nil
}

// Credentials are the environment of a client of the fake.
func (f *Fake) Credentials() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=AKIAFAKE" + FakeAccount, "AWS_SECRET_ACCESS_KEY=any", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// Stats asks the fake what it counted.
func (f *Fake) Stats(ctx context.Context) (s FakeStats, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/_fake/stats", nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer func() { _ = resp.Body.Close() }()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// Stop ends the fake; it has nothing to lose.
func (f *Fake) Stop() error {
	err := f.cmd.Process.Kill()
	_ = f.cmd.Wait() // it was killed
	return err
}
