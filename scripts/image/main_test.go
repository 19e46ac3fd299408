package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestArchive writes twice, compares, validates, and reads a binary back; and sees that damage is found.
func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{}
	for _, arch := range []string{"amd64", "arm64"} {
		file := filepath.Join(dir, arch)
		if err := os.WriteFile(file, []byte("binary of "+arch), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "linux/"+arch+"="+file)
	}
	var archives [][]byte
	for _, name := range []string{"one.tar", "two.tar"} {
		file := filepath.Join(dir, name)
		if err := run(append([]string{"write", file, "v1"}, args...), io.Discard); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, text)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same binaries differ")
	}
	var files bytes.Buffer
	if err := run([]string{"check", filepath.Join(dir, "one.tar"), "linux/arm64"}, &files); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&files)
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || h.Name != "cloister" || h.Mode != 0o755 || string(text) != "binary of arm64" {
		t.Errorf("%s (%o) = %q, %v", h.Name, h.Mode, text, err)
	}
	if err := run([]string{"check", filepath.Join(dir, "one.tar"), "linux/s390x"}, io.Discard); err == nil {
		t.Error("a platform that is not there was found")
	}
	damaged := bytes.ReplaceAll(archives[0], []byte("/cloister"), []byte("/monaster"))
	if err := os.WriteFile(filepath.Join(dir, "bad.tar"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run([]string{"check", filepath.Join(dir, "bad.tar"), "linux/amd64"}, io.Discard); err == nil {
		t.Error("a changed configuration was not found")
	}
}
