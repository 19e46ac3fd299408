package harness_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister/bench/harness"
)

func TestServer(t *testing.T) {
	t.Parallel()
	dir, err := harness.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Join(dir, "cloister")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/cloister")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s, err := harness.StartServer(t.Context(), bin, filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := s.Client(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Errorf("the client is not served: %v", err)
	}
	if usage, err := s.Usage(); err != nil || usage.CPU == 0 || usage.RSS == 0 || s.Ready <= 0 {
		t.Errorf("usage %+v, ready %v, %v", usage, s.Ready, err)
	}
	if usage, err := s.HelperUsage(); err != nil || usage.RSS == 0 {
		t.Errorf("the helper's usage %+v, %v", usage, err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := harness.StartServer(t.Context(), bin, filepath.Join(dir, "data"), "--store", "postgres"); err == nil || !strings.Contains(err.Error(), "data.log") {
		t.Errorf("a server that does not start: %v", err)
	}
}
