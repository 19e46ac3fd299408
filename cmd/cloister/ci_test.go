package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDocumentedCI holds docs/ci.md to the program: the YAML parses, actions are pinned by digest, and every command line of
// cloister is one that it accepts.
func TestDocumentedCI(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```(yaml|sh)\n(.*?)^```$")
	pinned := regexp.MustCompile(`^[\w/.-]+@[0-9a-f]{40}$`)
	var lines []string
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "sh" {
			lines = append(lines, commandsOf(block[2])...)
			continue
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(block[2]), &doc); err != nil {
			t.Fatal(err)
		}
		for _, value := range scalars(&doc) {
			lines = append(lines, commandsOf(value)...)
			if strings.Contains(value, "@") && !strings.Contains(value, " ") && !pinned.MatchString(value) {
				t.Errorf("%s is not pinned by its digest", value)
			}
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d command lines, want 5: %q", len(lines), lines)
	}
	for _, line := range lines {
		c, rest, err := rootCommand().Find(strings.Fields(line)[1:])
		if err == nil {
			err = c.ParseFlags(rest)
		}
		if err == nil {
			err = c.ValidateArgs(c.Flags().Args())
		}
		if err == nil {
			var reports []string
			if reports, err = c.Flags().GetStringArray("report"); err == nil {
				_, err = parseOutputs(reports)
			} else if c.Name() == "diff" { // has no reports
				err = nil
			}
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// scalars are the values below a node.
func scalars(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	var values []string
	for _, child := range n.Content {
		values = append(values, scalars(child)...)
	}
	return values
}

// commandsOf are the command lines of cloister in a script, without the shell's part: variables, and what follows.
func commandsOf(script string) []string {
	variable := regexp.MustCompile(`"?\$[{]?\w+(\[@\])?[}]?"?`)
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "||")
		if strings.HasPrefix(line, "cloister ") {
			lines = append(lines, variable.ReplaceAllString(line, ""))
		}
	}
	return lines
}
