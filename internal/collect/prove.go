package collect

import (
	"context"
	"maps"
	"slices"

	"example.com/cloister/internal/posture"
)

// proofs are the operations that a proof of succession needs.
func proofs() []string {
	return []string{"bedrock:ListTagsForResource", "bedrock:ListCustomModelDeployments", "bedrock:ListProvisionedModelThroughputs"}
}

// Prove reads the tags of jobs, and what serves models in the regions of those that name a successor, where the rules did not
// want it: the auditor asks for it only when a FAIL may be superseded.
func (c *Collection) Prove(ctx context.Context, jobs []*posture.Job) {
	wanted := map[*posture.Job]bool{}
	for _, j := range jobs {
		wanted[j] = true
	}
	for _, a := range c.accounts {
		more := maps.Clone(a.Wanted)
		for _, operation := range proofs() {
			more[operation] = true
		}
		a.Wanted = more // nothing else runs any more
		each(a.regions, func(g *region) {
			var here []*posture.Job
			for _, j := range g.inv.Jobs.Items {
				if wanted[j] {
					here = append(here, j)
				}
			}
			if len(here) == 0 {
				return
			}
			each(here, func(j *posture.Job) {
				if !j.Tags.Collected() {
					j.Tags = g.tags(ctx, j.ARN)
				}
			})
			if !slices.ContainsFunc(here, claimed) {
				return
			}
			if !g.inv.Deployments.Collected {
				g.inv.Deployments = g.listDeployments(ctx)
			}
			if !g.inv.Throughputs.Collected {
				g.inv.Throughputs = g.listThroughputs(ctx)
			}
		})
	}
	if c.collector != nil {
		c.Calls, c.Throttled = int(c.collector.calls.Load()), int(c.collector.throttled.Load())
	}
}

// claimed says that a job's tags name a successor.
func claimed(j *posture.Job) bool {
	tags, _ := j.Tags.Read()
	return tags[posture.TagSupersededBy] != ""
}
