package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestArchive reads an archive back as the kernel does: fields by position, everything padded to four bytes.
func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := time.Unix(1_700_000_000, 0)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("usr/bin", link); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.cpio")
	if err := write(out, []string{"/usr/bin/tool=" + file, "/bin=" + link, "usr/bin/tool=" + link}, strings.NewReader(dir+"/file\n")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := unpack(t, text)
	want := []string{"usr 40755 0 ", "usr/bin 40755 0 ", "usr/bin/tool 100755 1700000000 12345", "bin 120777 T usr/bin"}
	for _, folder := range folders(dir[1:]) {
		want = append(want, folder+" 40755 0 ")
	}
	want = append(want, dir[1:]+"/file 100755 1700000000 12345", "TRAILER!!! 0 0 ")
	for i, entry := range got {
		if strings.HasPrefix(entry, "bin ") { // the link's own time
			fields := strings.Fields(entry)
			fields[2] = "T"
			got[i] = strings.Join(fields, " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func folders(path string) []string {
	var out []string
	for i, c := range path {
		if c == '/' {
			out = append(out, path[:i])
		}
	}
	return append(out, path)
}

func unpack(t *testing.T, text []byte) []string {
	t.Helper()
	var out []string
	for at := 0; at < len(text); {
		if magic := string(text[at : at+6]); magic != "070701" || at%4 != 0 {
			t.Fatalf("header at %d starts with %q", at, magic)
		}
		field := func(i int) int {
			n, err := strconv.ParseInt(string(text[at+6+8*i:at+14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		size, nameSize := field(6), field(11)
		name := string(text[at+110 : at+110+nameSize-1])
		body := (at + 110 + nameSize + 3) / 4 * 4
		out = append(out, fmt.Sprintf("%s %o %d %s", name, field(1), field(5), text[body:body+size]))
		at = (body + size + 3) / 4 * 4
	}
	return out
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{{"no equals sign"}, {"/x=/no/such/file"}, {"/dev/null=/dev/null"}} {
		if err := write(out, args, strings.NewReader("")); err == nil {
			t.Errorf("write(%q) went well", args)
		}
	}
}
