package tlsca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func clock(t time.Time) func() time.Time { return func() time.Time { return t } }

func load(t *testing.T, dir string, names []string, now time.Time) *Authority {
	t.Helper()
	a, err := Load(dir, names, clock(now))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSecondStartKeepsTheCA(t *testing.T) {
	t.Parallel()
	dir, now := filepath.Join(t.TempDir(), "tls"), time.Now()
	a := load(t, dir, []string{"Cloister.Example"}, now)
	first := readFile(t, a.CAFile)
	load(t, dir, []string{"cloister.example"}, now.Add(time.Hour))
	if !bytes.Equal(first, readFile(t, a.CAFile)) {
		t.Error("the second start made another CA")
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, filepath.Join(dir, caKeyFile): 0o600, a.CAFile: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("mode of %s = %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("the directory holds %v, %v, want two files", left, err)
	}
	load(t, dir, []string{"other.example"}, now)
	if bytes.Equal(first, readFile(t, a.CAFile)) {
		t.Error("a name that the CA does not permit did not make another CA")
	}
	second := readFile(t, a.CAFile)
	load(t, dir, []string{"other.example"}, now.Add(caLife-leafLife))
	if bytes.Equal(second, readFile(t, a.CAFile)) {
		t.Error("a CA that ends before the next leaf was kept")
	}
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := load(t, t.TempDir(), nil, now)
	first, err := a.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	a.now = clock(now.Add(leafLife - renewBefore - 24*time.Hour))
	if same, err := a.Certificate(); err != nil || same != first {
		t.Errorf("the leaf was renewed early: %v", err)
	}
	a.now = clock(now.Add(leafLife - renewBefore + time.Hour))
	if renewed, err := a.Certificate(); err != nil || renewed == first {
		t.Errorf("the leaf was not renewed: %v", err)
	}
}

func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := load(t, dir, nil, time.Now())
	if err := os.WriteFile(a.CAFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, nil, time.Now); err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("Load of a damaged CA = %v, want an error that says what to do", err)
	}
	other := load(t, t.TempDir(), nil, time.Now())
	if err := os.WriteFile(a.CAFile, readFile(t, other.CAFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, nil, time.Now); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("Load with another CA's certificate = %v, want an error", err)
	}
	if err := os.Remove(filepath.Join(dir, caKeyFile)); err != nil {
		t.Fatal(err)
	}
	load(t, dir, nil, time.Now()) // as after a crash between the two files
	if _, err := Load(dir, []string{"*.example"}, time.Now); err == nil {
		t.Error("Load with a wildcard name succeeded")
	}
}

// TestClients connects with Go, OpenSSL through Python, and Node: each must accept the certificate for every
// name and address, name constraints included.
func TestClients(t *testing.T) {
	t.Parallel()
	a := load(t, t.TempDir(), []string{"cloister.example"}, time.Now())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", a.TLSConfig())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		leaf, err := a.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(readFile(t, a.CAFile))
		for _, name := range []string{"127.0.0.1", "::1", "localhost", "cloister.example"} {
			if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: pool})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	clients := map[string][]string{
		"python3": {"-c", "import ssl,sys,urllib.request\nc=ssl.create_default_context(cafile=sys.argv[1])\nprint(urllib.request.urlopen(sys.argv[2],context=c).read().decode())", a.CAFile},
		"node":    {"-e", "require('https').get(process.argv[2],{ca:require('fs').readFileSync(process.argv[1])},r=>r.pipe(process.stdout))", a.CAFile},
	}
	for client, args := range clients {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(client)
			if err != nil {
				if client == "python3" && os.Getenv("CI") == "true" {
					t.Fatal("python3 is missing, and CI=true wants it")
				}
				t.Skip(client + " is not installed")
			}
			for _, host := range []string{"127.0.0.1", "localhost"} {
				cmd := exec.CommandContext(t.Context(), path, append(args, "https://"+host+":"+port+"/")...)
				if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
					t.Errorf("%s: %v: %s", host, err, out)
				}
			}
		})
	}
}
