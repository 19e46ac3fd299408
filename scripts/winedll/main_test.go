package main

import (
	"bytes"
	"debug/pe"
	"strings"
	"testing"
)

func TestForwarder(t *testing.T) {
	t.Parallel()
	library, err := forwarder("a.dll", "Do", "other.Done")
	if err != nil {
		t.Fatal(err)
	}
	f, err := pe.NewFile(bytes.NewReader(library))
	if err != nil {
		t.Fatal(err)
	}
	section, err := f.Sections[0].Data()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(section), "a.dll\x00Do\x00other.Done\x00") {
		t.Errorf("the section has no names: %q", section)
	}
}
