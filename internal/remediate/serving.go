package remediate

import (
	"context"
	"fmt"

	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/remedy"
)

// served is what serves an old model.
type served struct {
	arn, name, status string
	throughput        bool
}

func (s served) what() string {
	if s.throughput {
		return "provisioned throughput " + s.name
	}
	return "deployment " + s.name
}

// serving lists what serves a model in the region of a change. What cannot be read is a check that was not made.
func (p *planner) serving(ctx context.Context, c *remedy.Change, model string) []served {
	if model == "" {
		return nil
	}
	found, unread := Serving(ctx, p.read, c.Account, c.Region, model)
	for _, why := range unread {
		p.check(checkServing, c.ID, remedy.NotChecked, "what serves the old model: %s", why)
	}
	return found
}

// Serving lists the deployments and throughputs that serve a model, or are changing to it, and says what was not read.
func Serving(ctx context.Context, read *collect.Collection, account, region, model string) (found []served, unread []string) {
	for _, one := range []struct {
		call, items, arn, name string
		throughput             bool
	}{
		{"bedrock:ListCustomModelDeployments", "modelDeploymentSummaries", "customModelDeploymentArn", "customModelDeploymentName", false},
		{"bedrock:ListProvisionedModelThroughputs", "provisionedModelSummaries", "provisionedModelArn", "provisionedModelName", true},
	} {
		if !read.Serves(account, one.call) {
			continue // the endpoint has none
		}
		in := map[string]any{"maxResults": 1000}
		for {
			members, err := get(ctx, Client(read, account, region), one.call, in)
			if err != nil {
				unread = append(unread, err.Error())
				break
			}
			items, _ := members[one.items].([]any)
			for _, item := range items {
				m, _ := item.(map[string]any)
				if m["modelArn"] != model && m["desiredModelArn"] != model {
					continue
				}
				s := served{throughput: one.throughput}
				s.arn, _ = m[one.arn].(string)
				s.name, _ = m[one.name].(string)
				s.status, _ = m["status"].(string)
				found = append(found, s)
			}
			next, _ := members["nextToken"].(string)
			if next == "" {
				break
			}
			in["nextToken"] = next
		}
	}
	return found, unread
}

// serve says what serves the old model, and with --switch-serving adds the steps that let it serve the new one, last.
func (p *planner) serve(c *remedy.Change, model string, found []served) {
	if len(found) == 0 {
		c.Reaches = append(c.Reaches, "nothing else: the old job and its model stay as they are")
		return
	}
	waited := ""
	for _, s := range p.steps {
		if s.step.Change == c.ID && s.step.Kind == remedy.KindWait {
			waited = "${" + s.step.ID + ".modelArn}"
		}
	}
	for _, s := range found {
		if !p.SwitchServing {
			c.Reaches = append(c.Reaches, s.what()+" goes on serving the old model: --switch-serving changes it, as the last step")
			continue
		}
		c.Reaches = append(c.Reaches, s.what()+", which answers its callers with the new model from the last step on")
		p.step(c, phaseServe, switchTo(s, model, waited))
	}
	if p.SwitchServing {
		c.Hazards = append(c.Hazards, "callers get answers of the new model as soon as the switch is made; a throughput changes only to models of the same base")
	}
}

// switchTo is the step that lets s serve the model to in place of from.
func switchTo(s served, from, to string) remedy.Step {
	step := remedy.Step{Kind: remedy.KindCall, Class: remedy.Careful, Text: "let " + s.what() + " serve the new model"}
	id, read, query, target := "customModelDeploymentIdentifier", "bedrock:GetCustomModelDeployment", "[modelArn, status]", "modelArn"
	now, good := "[modelArn, updateDetails.modelArn]", "Active"
	step.Call = "bedrock:UpdateCustomModelDeployment"
	if s.throughput {
		step.Call, read = "bedrock:UpdateProvisionedModelThroughput", "bedrock:GetProvisionedModelThroughput"
		id, target, now, good = "provisionedModelId", "desiredModelId", "[modelArn, desiredModelArn]", "InService"
	}
	self := parameters(map[string]any{id: s.arn})
	after := remedy.Condition{
		Text: s.what() + " serves the new model", Call: read, Parameters: self, Query: fmt.Sprintf("contains(%s, `\"%s\"`)", now, to), Expect: true,
	}
	step.Parameters = filled(map[string]any{id: s.arn, target: to})
	step.Before = []remedy.Condition{{Text: s.what() + " serves the old model", Call: read, Parameters: self, Query: query, Expect: []any{from, good}}}
	step.After = &after
	step.Undo = []remedy.Undo{{
		Text: "let " + s.what() + " serve the old model again", Call: step.Call, Class: remedy.Careful,
		Parameters: parameters(map[string]any{id: s.arn, target: from}), When: &after,
	}}
	return step
}
