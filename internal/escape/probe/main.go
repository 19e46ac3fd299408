//go:build linux

// Command probe is the escape suite's probe program: see internal/escape.
package main

import (
	"context"
	"os"

	"example.com/cloister/internal/escape"
)

func main() {
	os.Exit(escape.Main(context.Background(), os.Args, os.Stdin, os.Stdout)) //nolint:forbidigo // the program's own
}
