//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/spf13/cobra"

	bedrockservice "example.com/cloister/internal/bedrock"
)

func jobsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List, show, watch, wait for and stop customization jobs",
		Long: `List, show, watch, wait for and stop customization jobs.

A JOB is a job's name, ARN, or the last 12 characters of the ARN. With AWS_ENDPOINT_URL set the
commands use the default credential chain; else they find the server by its data directory.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return usageErrorf("choose a command: %s --help", c.CommandPath())
		},
	}
	c.AddCommand(jobsListCommand(), jobsShowCommand(), jobsWatchCommand(), jobsWaitCommand(), jobsStopCommand(), jobsFlowsCommand(), jobsCutCommand())
	return c
}

func jobsListCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			jobs := []types.ModelCustomizationJobSummary{}
			for pages := bedrock.NewListModelCustomizationJobsPaginator(cl.bedrock, &bedrock.ListModelCustomizationJobsInput{}); pages.HasMorePages(); {
				page, err := pages.NextPage(c.Context())
				if err != nil {
					return err
				}
				jobs = append(jobs, page.ModelCustomizationJobSummaries...)
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), jobs)
			}
			table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(table, "NAME\tSTATUS\tTYPE\tCREATED\tTOOK\tMODEL") // Flush tells
			for _, j := range jobs {
				took := "-"
				if j.EndTime != nil {
					took = j.EndTime.Sub(*j.CreationTime).Round(time.Second).String()
				}
				_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", aws.ToString(j.JobName), j.Status, j.CustomizationType,
					j.CreationTime.Local().Format(time.DateTime), took, aws.ToString(j.CustomModelName))
			}
			return table.Flush()
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func jobPath(job string) string { return "/_cloister/jobs/" + url.PathEscape(job) }

func jobsShowCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "show JOB",
		Short: "Show what Cloister knows of a job beyond AWS's answer",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			var view bedrockservice.View
			if err := cl.fetch(c.Context(), "GET", jobPath(args[0]), nil, &view); err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), view)
			}
			return printView(c, view)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printView(c *cobra.Command, v bedrockservice.View) error {
	t := v.Training
	status := string(v.Status)
	if v.Queue != nil {
		status += fmt.Sprintf(" (waiting, number %d)", *v.Queue)
	}
	rate := fmt.Sprintf("%g", t.UsedLearningRate)
	if t.LearningRateScale != 1 {
		rate += fmt.Sprintf(" (learningRate %g × the profile's %g for LoRA)", t.LearningRate, t.LearningRateScale)
	}
	method := t.Method
	if t.LoRARank > 0 {
		method += fmt.Sprintf(", rank %d", t.LoRARank)
	}
	rows := [][2]string{
		{"job", v.JobName},
		{"arn", v.JobARN},
		{"status", status},
		{"failure", v.Failure},
		{"base model", v.BaseModel + ", served by " + v.UsedBase},
		{"method", method},
		{"rate trained with", rate},
		{"epochs, batch", fmt.Sprintf("%d, %d", t.Epochs, t.BatchSize)},
		{"max length, seed", fmt.Sprintf("%d tokens, %d", t.MaxSequenceLength, t.Seed)},
		{"attempt", fmt.Sprint(v.Attempt)},
		{"network", v.Network},
	}
	if r := v.Isolation; r != nil {
		rows = append(rows, [2]string{"isolation", fmt.Sprintf("%s, limits by %s, swap: %s", r.Mode, r.Limits, r.Swap)})
		for _, w := range r.Weaker {
			rows = append(rows, [2]string{"  weaker", w})
		}
	}
	for _, n := range v.NotEnforced {
		rows = append(rows, [2]string{"not enforced", n})
	}
	if v.Tokens > 0 {
		rows = append(rows, [2]string{"engine", fmt.Sprintf("%d tokens, %.1f s, %.1f CPU-s, peak %d MiB", v.Tokens, v.WallSeconds, v.CPUSeconds, v.PeakRSS>>20)})
	}
	table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if row[1] != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", row[0], oneLine(row[1])) // Flush tells
		}
	}
	for _, s := range v.Steps {
		_, _ = fmt.Fprintf(table, "step\t%s  %s %s\n", s.At.Local().Format("15:04:05.000"), s.Step, s.Phase)
	}
	return table.Flush()
}

func jobsStopCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "stop JOB",
		Short: "Stop a job; the metrics of the steps taken so far are kept",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			_, err = cl.bedrock.StopModelCustomizationJob(c.Context(), &bedrock.StopModelCustomizationJobInput{JobIdentifier: &args[0]})
			return err
		},
	}
	flags.register(c)
	return c
}

// errTimeout ends a wait that took too long.
var errTimeout = errors.New("time-out")

func jobsWaitCommand() *cobra.Command {
	var flags configFlags
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "wait JOB",
		Short: "Wait until a job has ended: exit 0 if it completed, 1 if not, 124 at the time-out",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			return follow(c, cl, args[0], timeout, func(streamEvent) error { return nil })
		},
	}
	flags.register(c)
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time, such as 30m (0 waits for ever)")
	return c
}

func jobsWatchCommand() *cobra.Command {
	var flags configFlags
	var asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "watch JOB",
		Short: "Watch a job until it has ended: steps, loss, speed, time left",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			if asJSON {
				return follow(c, cl, args[0], timeout, func(e streamEvent) error {
					_, err := fmt.Fprintf(c.OutOrStdout(), `{"id":%s,"event":%q,"data":%s}`+"\n", e.id, e.event, strings.TrimSpace(e.data))
					return err
				})
			}
			d := newDisplay(c.OutOrStdout())
			defer d.end()
			return follow(c, cl, args[0], timeout, d.show)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time, such as 30m (0 waits for ever)")
	return c
}
