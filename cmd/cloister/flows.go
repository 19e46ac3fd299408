//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/flows"
	"example.com/cloister/internal/server"
)

// followEvery is how often --follow looks; the server reads its counters every few seconds.
const followEvery = 2 * time.Second

func jobsFlowsCommand() *cobra.Command {
	var flags configFlags
	var asJSON, follow bool
	c := &cobra.Command{
		Use:   "flows JOB",
		Short: "Show what a job in a VPC sent, received and was refused",
		Long: `Show what a job in a VPC sent, received and was refused, with bytes, verdicts and the names of known addresses.

The rule that lets a packet pass is the one that counts it: what is not here did not pass. Flow logs (aws ec2
create-flow-logs) publish the same record in AWS's form, less what AWS leaves out.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON && follow {
				return usageErrorf("--json prints once: it does not go with --follow")
			}
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			read := func(ctx context.Context) (f server.JobFlows, err error) {
				err = cl.fetch(ctx, "GET", jobPath(args[0])+"/flows", nil, &f)
				return f, err
			}
			f, err := read(c.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeJSON(c.OutOrStdout(), f)
			case follow:
				return followFlows(c, read)
			}
			return printFlows(c.OutOrStdout(), f)
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&follow, "follow", false, "print what is new, until the job has ended")
	return c
}

func jobsCutCommand() *cobra.Command {
	var flags configFlags
	c := &cobra.Command{
		Use:   "cut JOB",
		Short: "End the connections of a running job in a VPC",
		Long: `End the connections of a running job in a VPC.

As in AWS, a connection that was allowed lives on after the rule that allowed it is gone. This ends it: its next packet is
judged by the security groups as they are now.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(c, &flags)
			if err != nil {
				return err
			}
			return cl.fetch(c.Context(), "POST", jobPath(args[0])+"/cut", nil, &struct{}{})
		},
	}
	flags.register(c)
	return c
}

// printFlows prints the whole record.
func printFlows(w io.Writer, f server.JobFlows) error {
	if _, err := fmt.Fprintf(w, "%s (%s)\nnetwork: %s\n\n", ansi.Visible(f.Job), f.Status, ansi.Visible(f.Network)); err != nil || f.Attachment == nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "VERDICT\t\tPROTOCOL\tSOURCE\tDESTINATION\tPACKETS\tBYTES\tFIRST\tLAST") // Flush tells
	for _, flow := range f.Flows {
		_, _ = fmt.Fprintln(t, flowLine(f, flow))
	}
	for _, q := range f.Queries {
		asked := "asked\tDNS " + q.Type
		if q.Type == "" {
			asked = "note\t"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t\t%d\t\t%s\t%s\n", q.RCode, asked, ansi.Visible(q.Name), q.Count, clock(q.First), clock(q.Last))
	}
	if len(f.Flows) == 0 {
		_, _ = fmt.Fprintln(t, "(nothing yet)")
	}
	return t.Flush()
}

func flowLine(f server.JobFlows, flow flows.Total) string {
	verdict, direction := "REJECT", "in"
	if flow.Accept {
		verdict = "ACCEPT"
	}
	if flow.Egress {
		direction = "out"
	}
	end := func(address string, port uint16) string {
		if address == "invalid IP" {
			return "others"
		}
		text := address
		if port != 0 {
			text += ":" + strconv.Itoa(int(port))
		}
		if name := f.Names[address]; name != "" {
			text += " " + name
		}
		return text
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s", verdict, direction, protocolName(flow.Protocol), end(flow.Source.String(), flow.SourcePort),
		end(flow.Dest.String(), flow.Port), flow.Packets, flow.Bytes, clock(flow.First), clock(flow.Last))
}

func protocolName(n uint8) string {
	names := map[uint8]string{0: "any", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
	return cmp.Or(names[n], strconv.Itoa(int(n)))
}

func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }

// followFlows prints flows as they appear or grow.
func followFlows(c *cobra.Command, read func(context.Context) (server.JobFlows, error)) error {
	type key struct {
		flows.Total
	}
	seen := map[key]uint64{}
	asked := map[string]int64{}
	last := false
	for {
		f, err := read(c.Context())
		if err != nil {
			return err
		}
		for _, flow := range f.Flows {
			k := key{flow}
			k.Packets, k.Bytes, k.First, k.Last = 0, 0, time.Time{}, time.Time{}
			if seen[k] == flow.Bytes {
				continue
			}
			grown := flow
			grown.Bytes -= seen[k]
			seen[k] = flow.Bytes
			if err := printTabbed(c.OutOrStdout(), flowLine(f, grown)); err != nil {
				return err
			}
		}
		for _, q := range f.Queries {
			if k := q.Name + " " + q.Type + " " + q.RCode; asked[k] != q.Count {
				asked[k] = q.Count
				if err := printTabbed(c.OutOrStdout(), fmt.Sprintf("%s\tasked\tDNS %s\t%s", q.RCode, q.Type, ansi.Visible(q.Name))); err != nil {
					return err
				}
			}
		}
		if last {
			return nil
		}
		last = f.Status.Terminal() // what its end still records is read once more
		select {
		case <-c.Context().Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// printTabbed prints the cells of a line in columns that fit most lines: what follows is not known yet.
func printTabbed(w io.Writer, line string) error {
	cells := strings.Split(line, "\t")
	for i, width := range []int{8, 5, 8, 44, 48, 7} {
		if i < len(cells)-1 {
			cells[i] = fmt.Sprintf("%-*s", width, cells[i])
		}
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, " "), " "))
	return err
}
