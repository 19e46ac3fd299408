package cloister_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dialers are the packages through which a program reaches the network, or another program that does.
func dialers() []string {
	return []string{"net", "net/http", "net/rpc", "net/smtp", "crypto/tls", "os/exec", "plugin", "golang.org/x/net/http2", "golang.org/x/net/websocket"}
}

// mayImport says which packages of the auditor may import which dialers, beside the AWS SDK: to name requests, answers and
// errors (TestAuditorIsSilent), and to read flags that are addresses (pflag).
func mayImport() map[string][]string {
	return map[string][]string{
		module + "/internal/collect": {"net", "net/http"},
		module + "/internal/tape":    {"net", "net/http"},
		"github.com/spf13/pflag":     {"net"},
		"golang.org/x/sys/windows":   {"net"},
	}
}

// TestAuditorIsSilent holds the auditor to its word that it speaks to AWS alone, by the AWS SDK: it sends no telemetry and
// looks for no newer version. The program is taken as it is on Windows, where the server is not linked.
func TestAuditorIsSilent(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}} {{join .Imports " "}}{{end}}`, "./cmd/cloister")
	list.Env = append(os.Environ(), "GOOS=windows", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if !strings.Contains(string(out), module+"/internal/collect ") || strings.Contains(string(out), module+"/internal/server ") {
		t.Fatal("the program on Windows is not the auditor alone")
	}
	allowed := mayImport()
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "github.com/aws/") {
			continue
		}
		for _, imported := range fields[1:] {
			if slices.Contains(dialers(), imported) && !slices.Contains(allowed[fields[0]], imported) {
				t.Errorf("%s imports %s: the auditor reaches the network by the AWS SDK only", fields[0], imported)
			}
		}
	}
	makes := regexp.MustCompile(`\b(http\.(Get|Head|Post|PostForm|DefaultClient|DefaultTransport)\b|http\.(Client|Transport)\{|http\.(Serve|Listen)|net\.(Dial|Listen|Lookup|Resolver))`)
	for _, name := range []string{"collect", "tape"} {
		files, err := filepath.Glob(filepath.Join("internal", name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("files of %s: %v", name, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if found := makes.Find(text); found != nil && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s has %s: the auditor's connections are the AWS SDK's", file, found)
			}
		}
	}
}
