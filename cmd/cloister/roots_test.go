package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRoots runs this test again where the system has no roots, and where it has one of its own.
func TestRoots(t *testing.T) {
	if want := os.Getenv("CLOISTER_TEST_ROOTS"); want != "" {
		system, err := x509.SystemCertPool()
		if err != nil {
			t.Fatal(err)
		}
		own := x509.NewCertPool()
		if text, err := os.ReadFile(os.Getenv("SSL_CERT_FILE")); err == nil {
			own.AppendCertsFromPEM(text)
		}
		if system.Equal(x509.NewCertPool()) || system.Equal(own) != (want == "own") {
			t.Errorf("not the roots that were wanted: %s", want)
		}
		return
	}
	dir := t.TempDir()
	server := httptest.NewTLSServer(nil)
	server.Close()
	bundle := testBundle(t, server, dir)
	for want, file := range map[string]string{"own": bundle, "fallback": filepath.Join(dir, "none.pem")} {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRoots$")
		again.Env = append(os.Environ(), "CLOISTER_TEST_ROOTS="+want, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+filepath.Join(dir, "none"))
		if out, err := again.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", want, err, out)
		}
	}
}

// TestBundle audits over TLS by a certificate that only AWS_CA_BUNDLE vouches for, and not without.
func TestBundle(t *testing.T) {
	server := httptest.NewTLSServer(fakeAWS(t))
	defer server.Close()
	args := []string{"audit", "--endpoint", server.URL, "--quiet", "--max-attempts", "1"}
	if out, code, err := execute(t, args...); code == 0 || !strings.Contains(out+err.Error(), "certificate") {
		t.Errorf("audit without the bundle = %d, %v\n%s", code, err, out)
	}
	t.Setenv("AWS_CA_BUNDLE", testBundle(t, server, t.TempDir()))
	if out, code, err := execute(t, args...); code != 0 {
		t.Errorf("audit with the bundle = %d, %v\n%s", code, err, out)
	}
}

// testBundle writes a server's certificate as a bundle.
func testBundle(t *testing.T, server *httptest.Server, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "bundle.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
