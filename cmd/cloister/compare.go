//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	bedrockservice "example.com/cloister/internal/bedrock"
)

func modelsCompareCommand() *cobra.Command {
	var flags configFlags
	var prompts, records string
	var maxNewTokens int
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare MODEL",
		Short: "Put prompts to a custom model and its base, side by side, or measure both on records",
		Long: `Put prompts to a custom model and its base, side by side, or measure both on records.

--prompts has one JSON object a line with "prompt"; answers are greedy. --records has lines of the form
that the model was trained on; the token-mean loss of both models is measured. Both models run in a
sandbox of the server, one after the other. The answers go to you and are kept nowhere.

It needs bedrock:InvokeModel on the model and kms:Decrypt on its key.`,
		Example: "  cloister models compare my-model --prompts prompts.jsonl --max-new-tokens 8",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if prompts == "" && records == "" {
				return usageErrorf("give --prompts, --records, or both")
			}
			comparison := bedrockservice.Comparison{MaxNewTokens: maxNewTokens}
			var err error
			if comparison.Prompts, err = readPrompts(prompts); err != nil {
				return err
			}
			if comparison.Records, err = readLines(records); err != nil {
				return err
			}
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			var out bedrockservice.Compared
			if err := cl.fetch(c.Context(), "POST", "/_cloister/models/"+url.PathEscape(args[0])+"/compare", comparison, &out); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), out)
			}
			return printComparison(c, comparison, out)
		},
	}
	flags.register(c)
	c.Flags().StringVar(&prompts, "prompts", "", `file of lines {"prompt": "…"}`)
	c.Flags().StringVar(&records, "records", "", "file of records to measure the loss of")
	c.Flags().IntVar(&maxNewTokens, "max-new-tokens", 64, "longest answer, in tokens")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// readLines reads a file of lines; no path gives none.
func readLines(path string) (lines []string, err error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadString('\n')
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			lines = append(lines, line)
		}
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func readPrompts(path string) ([]string, error) {
	lines, err := readLines(path)
	if err != nil {
		return nil, err
	}
	var prompts []string
	for i, line := range lines {
		var record struct{ Prompt *string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Prompt == nil {
			return nil, fmt.Errorf(`%s, line %d: want a JSON object with "prompt"`, path, i+1)
		}
		prompts = append(prompts, *record.Prompt)
	}
	return prompts, nil
}

func printComparison(c *cobra.Command, in bedrockservice.Comparison, out bedrockservice.Compared) error {
	var text strings.Builder
	for i, prompt := range in.Prompts {
		fmt.Fprintf(&text, "prompt  %s\nbase    %s\ncustom  %s\n\n", oneLine(prompt), oneLine(out.Base.Answers[i]), oneLine(out.Custom.Answers[i]))
	}
	if out.Base.Loss != nil && out.Custom.Loss != nil {
		fmt.Fprintf(&text, "loss over %d tokens: base %.4f, custom %.4f\n", out.Custom.Tokens, *out.Base.Loss, *out.Custom.Loss)
	}
	_, err := fmt.Fprint(c.OutOrStdout(), text.String())
	return err
}

// oneLine shows text on one line, without what a terminal would obey: controls, and marks that turn the
// direction of writing.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '⏎'
		}
		return r
	}, s)
}
