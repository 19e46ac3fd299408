//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/api"
)

func operationsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "operations",
		Short: "List the AWS operations that are served",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			catalogue := api.Catalogue()
			for _, operations := range catalogue {
				slices.Sort(operations)
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), catalogue)
			}
			for _, service := range slices.Sorted(maps.Keys(catalogue)) {
				for _, operation := range catalogue[service] {
					if _, err := fmt.Fprintf(c.OutOrStdout(), "%s\t%s\n", service, operation); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
