//go:build linux

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOurs lets no profile be replaced that this program did not write, however its header is spelled.
func TestOurs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		ours bool
	}{
		"no file":          {"", true},
		"other profiles":   {"[profile y]\nregion = x\n", true},
		"ours":             {"[profile y]\n[profile x]\n" + mark + "region = x\n", true},
		"theirs":           {"[profile x]\nregion = x\n", false},
		"theirs, empty":    {"[profile x]\n", false},
		"trailing space":   {"[profile x] \nregion = x\n", false},
		"a comment":        {"[profile x] # mine\nregion = x\n", false},
		"indented":         {" [ profile x ]\nregion = x\n", false},
		"CRLF":             {"[profile x]\r\nregion = x\r\n", false},
		"theirs and again": {"[profile x]\n" + mark + "[profile x]\nregion = x\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config")
			if tt.text != "" {
				if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := ours(path, "profile x"); (err == nil) != tt.ours {
				t.Errorf("ours = %v, want ours %t", err, tt.ours)
			}
		})
	}
}
