package remediate

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// what names what serves a model.
func what(s posture.Served) string {
	kind := "deployment "
	if s.Kind == "throughput" {
		kind = "provisioned throughput "
	}
	return kind + cmp.Or(s.Name, s.ARN)
}

// serving lists what serves an old model or its copies. What cannot be read is a check that was not made.
func (p *planner) serving(c *remedy.Change, model string) (found []posture.Served, known bool) {
	found, unread := p.account(c.Account).Serving(model)
	if left := p.Audit.Collect; model != "" && (len(left.Regions) > 0 || len(left.Exclude) > 0 || slices.ContainsFunc(left.Targets, func(t collect.Target) bool { return t.ID == c.Account && len(t.Regions) > 0 })) {
		unread = append(unread, "not all regions were read: a copy may be served in another one")
	}
	for _, why := range unread {
		p.check(checkServing, c.ID, remedy.NotChecked, "what serves the old model: %s", why)
	}
	return found, len(unread) == 0
}

// serve says what serves the old model, and with --switch-serving adds the steps that let it serve the new one, last. It
// returns whether something goes on serving the old one, or may.
func (p *planner) serve(c *remedy.Change, found []posture.Served, known bool) (stays bool) {
	if !known {
		c.Reaches = append(c.Reaches, "what serves the old model was not read: it goes on, and the audit takes no job for superseded before it has read that")
		stays = true
	} else if len(found) == 0 {
		c.Reaches = append(c.Reaches, "nothing else: the old job and its model stay as they are")
		return false
	}
	waited := ""
	for _, s := range p.steps {
		if s.step.Change == c.ID && s.step.Kind == remedy.KindWait {
			waited = "${" + s.step.ID + ".modelArn}"
		}
	}
	switched := false
	for _, s := range found {
		switch {
		case s.Region != c.Region:
			stays = true
			c.Reaches = append(c.Reaches, what(s)+" in "+s.Region+" goes on serving a copy of the old model: copy the new model there by hand")
		case !p.SwitchServing:
			stays = true
			c.Reaches = append(c.Reaches, what(s)+" goes on serving the old model: --switch-serving changes it, as the last step")
		default:
			switched = true
			c.Reaches = append(c.Reaches, what(s)+", which answers its callers with the new model from the last step on")
			p.step(c, phaseServe, switchTo(s, waited))
		}
	}
	if switched {
		c.Hazards = append(c.Hazards, "callers get answers of the new model as soon as the switch is made; a throughput changes only to models of the same base")
	}
	return stays
}

// successor is for a job that was made again already: with --switch-serving, what still serves its model serves the new one,
// if the audit takes the new job for its successor but for what is served.
func (p *planner) successor(ctx context.Context, f *failing, d *posture.JobDetail, old source, by string) error {
	next := f.region.Successor(f.job)
	switch {
	case next == nil || next.ARN != by || slices.ContainsFunc(f.results, func(r posture.Result) bool { return r.Type == posture.TypeJob && !p.passes(r.Rule, next.ARN) }):
		p.leaveAll(f.results, "the job's tags name a successor, which the audit does not take for one: %s; if it is none, take the tag %s off", by, posture.TagSupersededBy)
		return nil
	case !p.SwitchServing:
		p.leaveAll(f.results, "it was made again already, as %s, but something serves its model: --switch-serving changes that", by)
		return nil
	}
	is, _ := next.Detail.Read() // it was read: it is a successor
	found, _ := p.account(f.region.Account.ID).Serving(d.Model)
	found = slices.DeleteFunc(found, func(s posture.Served) bool { return s.Region != f.region.Name })
	if is.Model == "" || len(found) == 0 {
		p.leaveAll(f.results, "it was made again already, and nothing here can be switched to the model of %s", by)
		return nil
	}
	record, err := get(ctx, p.caller(f.region.Account.ID, f.region.Name), getJob, map[string]any{"jobIdentifier": by})
	if err != nil {
		return err
	}
	if text, worse := remedy.Compare(remedy.LossesOf(old.record), remedy.LossesOf(record), p.MostLoss); worse && hasLosses(old.record) {
		p.leaveAll(f.results, "the model of its successor is not shown to be as good: %s; --max-loss-increase bounds that", text)
		return nil
	}
	c := p.change(remedy.Change{
		Title: "let what serves the model of " + f.job.Name + " serve that of " + next.Name, Class: remedy.Careful, Account: f.region.Account.ID, Region: f.region.Name,
		Resource: f.job.ARN, Name: f.job.Name, Findings: findings(f.results), Predicted: []remedy.Prediction{},
		Reaches: []string{}, Hazards: []string{"callers get answers of the new model as soon as the switch is made; a throughput changes only to models of the same base"}, Lasting: []string{},
	})
	for i := range f.results {
		c.Predicted = append(c.Predicted, remedy.Prediction{Rule: f.results[i].Rule, Resource: f.results[i].Resource, Status: posture.Superseded, Message: "by " + next.Name})
	}
	for _, s := range found {
		c.Reaches = append(c.Reaches, what(s)+", which answers its callers with the new model")
		step := switchTo(s, is.Model)
		step.Before = append(step.Before, tagIs(f.job.ARN, posture.TagSupersededBy, by), tagIs(by, posture.TagSupersedes, f.job.ARN))
		p.step(c, phaseServe, step)
	}
	return nil
}

func hasLosses(record map[string]any) bool {
	l := remedy.LossesOf(record)
	return l.Training != nil || len(l.Validation) > 0
}

// tagIs wants a job to have a tag with a value.
func tagIs(job, key, value string) remedy.Condition {
	return remedy.Condition{
		Text: "tag " + key + " of " + job, Call: listTags, Parameters: parameters(map[string]any{"resourceARN": job}),
		Query: tagValue(key), Expect: remedy.Literal([]any{value}),
	}
}

// switchTo is the step that lets s serve another model.
func switchTo(s posture.Served, to string) remedy.Step {
	step := remedy.Step{Kind: remedy.KindCall, Class: remedy.Careful, Text: "let " + what(s) + " serve the new model"}
	id, read, query, target := "customModelDeploymentIdentifier", "bedrock:GetCustomModelDeployment", "[modelArn, status]", "modelArn"
	now, good := "[modelArn, updateDetails.updateStatus != 'UpdateFailed' && updateDetails.modelArn || '']", "Active"
	step.Call = "bedrock:UpdateCustomModelDeployment"
	if s.Kind == "throughput" {
		step.Call, read = "bedrock:UpdateProvisionedModelThroughput", "bedrock:GetProvisionedModelThroughput"
		id, target, now, good = "provisionedModelId", "desiredModelId", "[modelArn, status != 'Failed' && desiredModelArn || '']", "InService"
	}
	self := parameters(map[string]any{id: s.ARN})
	after := remedy.Condition{
		Text: what(s) + " serves the new model", Call: read, Parameters: self, Query: fmt.Sprintf("contains(%s, `\"%s\"`)", now, to), Expect: true,
	}
	step.Parameters = filled(map[string]any{id: s.ARN, target: to})
	step.Before = []remedy.Condition{{Text: what(s) + " serves the old model", Call: read, Parameters: self, Query: query, Expect: []any{s.Model, good}}}
	step.After = &after
	step.Undo = []remedy.Undo{{
		Text: "let " + what(s) + " serve the old model again", Call: step.Call, Class: remedy.Careful,
		Parameters: parameters(map[string]any{id: s.ARN, target: s.Model}), When: &after,
	}}
	return step
}
