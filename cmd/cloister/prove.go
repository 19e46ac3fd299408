//go:build linux

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/server"
)

func modelsProveCommand() *cobra.Command {
	var flags configFlags
	var plaintext []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "prove MODEL",
		Short: "Prove that nothing of a custom model is on the disk in the clear; exit 1 if something is",
		Long: `Prove that nothing of a custom model is on the disk in the clear.

It opens the model with the data directory's root key, draws 1,000 windows of 32 bytes from its files and
from the --plaintext files, and searches every file below the data directory for them. It works on the
directory itself, beside a running server or without one.`,
		Example: "  cloister models prove my-model --plaintext train.jsonl",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			data, config, err := flags.load()
			if err != nil {
				return err
			}
			proof, err := server.Prove(c.Context(), data, config, args[0], plaintext)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(c.OutOrStdout(), proof)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "looked for %d windows of 32 bytes in %d files (%d MB) below %s: %d found\n",
					proof.Windows, proof.Files, proof.Bytes/1_000_000, data, len(proof.Found))
			}
			if err != nil {
				return err
			}
			if len(proof.Found) > 0 {
				return &exitError{1, fmt.Sprintf("plaintext is in %v", proof.Found)}
			}
			return nil
		},
	}
	flags.register(c)
	c.Flags().StringArrayVar(&plaintext, "plaintext", nil, "a file whose content must not be there either (repeatable)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
