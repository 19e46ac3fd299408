package collect

import (
	"context"
	"slices"

	"example.com/cloister/internal/posture"
)

// Prove reads the tags of jobs from Bedrock itself, and, in accounts where one of them names a successor, what copies and
// serves models, as far as the rules did not want it: the auditor asks for it only when a FAIL may be superseded.
func (c *Collection) Prove(ctx context.Context, jobs []*posture.Job) {
	c.want(posture.Proofs()...)
	for _, a := range c.accounts {
		named := false
		for _, g := range a.regions {
			here := slices.DeleteFunc(slices.Clone(g.inv.Jobs.Items), func(j *posture.Job) bool { return !slices.Contains(jobs, j) })
			each(here, func(j *posture.Job) {
				if !j.Told().Collected() {
					j.Proof = g.tags(ctx, j.ARN)
				}
			})
			named = named || slices.ContainsFunc(here, claimed)
		}
		if named {
			each(a.regions, func(g *region) { g.readServing(ctx) })
		}
	}
	c.Calls, c.Throttled = int(c.collector.calls.Load()), int(c.collector.throttled.Load())
}

// readServing reads what copies and serves models in the region, where that was not wanted before.
func (g *region) readServing(ctx context.Context) {
	if g.inv.NoBedrock {
		return
	}
	if !g.inv.Copies.Collected {
		g.inv.Copies = g.listCopies(ctx)
	}
	if !g.inv.Deployments.Collected {
		g.inv.Deployments = g.listDeployments(ctx)
	}
	if !g.inv.Throughputs.Collected {
		g.inv.Throughputs = g.listThroughputs(ctx)
	}
}

// claimed says that a job's tags name a successor.
func claimed(j *posture.Job) bool {
	tags, _ := j.Told().Read()
	return tags[posture.TagSupersededBy] != ""
}
