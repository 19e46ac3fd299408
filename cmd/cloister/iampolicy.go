package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/posture"
)

// partitions are AWS's, as ARNs name them.
func partitions() []string { return []string{"aws", "aws-cn", "aws-us-gov"} }

// iamPolicyCommand is for the audit command.
func iamPolicyCommand() *cobra.Command {
	var names []string
	var filter ruleFilter
	var partition, role string
	var org bool
	c := &cobra.Command{
		Use:   "iam-policy",
		Short: "Print the IAM policy that the auditor needs: reading, and no more than the chosen rules read",
		Long: `Print the IAM policy that the auditor needs: the permissions of what the chosen rules read, and of finding regions.
It allows nothing to be changed and no object's content to be read.

With --org a second policy follows, for the account that lists the organization's accounts and takes on a role in each.
Several policies are numbered; attach them all.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(partitions(), partition) {
				return usageErrorf("--partition %q: it is one of %s", partition, strings.Join(partitions(), ", "))
			}
			pack, err := posture.Load()
			if err != nil {
				return err
			}
			rules, err := pack.Select(names...)
			if err != nil {
				return usageErrorf("%v: 'cloister rules list' shows them", err)
			}
			if rules, err = filter.choose(rules); err != nil {
				return err
			}
			if len(rules) == 0 {
				return usageErrorf("no rule matches")
			}
			documents := posture.IAMPolicies(partition, rules, true)
			if org {
				documents = append(documents, posture.OrganizationPolicy(partition, role))
			}
			for i, document := range documents {
				if len(documents) > 1 {
					if _, err := fmt.Fprintf(c.OutOrStdout(), "# policy %d of %d\n", i+1, len(documents)); err != nil {
						return err
					}
				}
				if _, err := io.WriteString(c.OutOrStdout(), document); err != nil {
					return err
				}
			}
			return nil
		},
	}
	filter.flags(c)
	c.Flags().StringArrayVar(&names, "rule", nil, "only for this rule; may be given several times")
	c.Flags().StringVar(&partition, "partition", "aws", "partition of the accounts: "+strings.Join(partitions(), ", "))
	c.Flags().BoolVar(&org, "org", false, "print the policy for an audit of the whole organization too")
	c.Flags().StringVar(&role, "org-role", "OrganizationAccountAccessRole", "with --org, the role to assume in each account")
	return c
}
