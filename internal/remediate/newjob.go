package remediate

import (
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// newJob adds the steps: create, wait, compare, and say on the old job which one replaces it.
func (p *planner) newJob(c *remedy.Change, old source, d *posture.JobDetail, create map[string]any, conditions []remedy.Condition) {
	name, _ := create["jobName"].(string)
	newARN := "${" + c.ID + ".1.jobArn}" // of the step that follows
	byName := filled(map[string]any{"jobIdentifier": name})
	p.step(c, phaseCreate, remedy.Step{
		Kind: remedy.KindCall, Class: remedy.Recreate, Text: "create job " + name, Call: "bedrock:CreateModelCustomizationJob", Parameters: filled(create),
		Before: conditions,
		After: &remedy.Condition{
			Text: "job " + name, Call: getJob, Parameters: byName, Query: "clientRequestToken || 'another'", Expect: "${token}",
			Absent: absent(), Results: map[string]string{"jobArn": "jobArn"},
		},
		Results: map[string]string{"jobArn": "jobArn"},
		Undo:    undoJob(create, newARN, old.arn),
	})
	p.step(c, phaseWait, remedy.Step{
		Kind: remedy.KindWait, Class: remedy.Recreate, Text: "wait for job " + name, Call: getJob,
		Parameters: filled(map[string]any{"jobIdentifier": newARN}), Results: map[string]string{"modelArn": "outputModelArn"},
	})
	if losses := remedy.LossesOf(old.record); hasLosses(old.record) {
		p.step(c, phaseRecord, remedy.Step{
			Kind: remedy.KindCompare, Class: remedy.Recreate, Text: "compare the losses of " + name + " with those of " + d.Name, Call: getJob,
			Parameters: filled(map[string]any{"jobIdentifier": newARN}), Losses: &remedy.Bound{Old: losses, Most: p.MostLoss},
		})
	}
	named := remedy.Condition{Text: "job " + d.Name + " names its successor", Call: listTags, Parameters: parameters(map[string]any{"resourceARN": old.arn}), Query: tagValue(posture.TagSupersededBy), Expect: []any{newARN}}
	unnamed := named
	unnamed.Text, unnamed.Expect = "job "+d.Name+" names no successor", []any{}
	p.step(c, phaseRecord, remedy.Step{
		Kind: remedy.KindCall, Class: remedy.Reversible, Text: "say on job " + d.Name + " that " + name + " replaces it", Call: "bedrock:TagResource",
		Parameters: filled(map[string]any{"resourceARN": old.arn, "tags": []any{map[string]any{"key": posture.TagSupersededBy, "value": newARN}}}),
		Before:     []remedy.Condition{unnamed}, After: &named,
		Undo: []remedy.Undo{{
			Text: "take the successor's name off job " + d.Name, Call: "bedrock:UntagResource", Class: remedy.Reversible,
			Parameters: parameters(map[string]any{"resourceARN": old.arn, "tagKeys": []any{posture.TagSupersededBy}}), When: &named,
		}},
	})
}

// absent are the codes that mean that nothing has a name that is well formed. Which of them AWS uses is not documented.
func absent() []string { return []string{"ResourceNotFoundException", "ValidationException"} }

// tagValue is a query for the values of a tag.
func tagValue(key string) string { return "tags[?key == " + remedy.Quote(key) + "].value" }

// undoJob are the calls that take a new job back: it is stopped, no longer replaces the old one, and its model goes, if that is
// asked for and the model is its.
func undoJob(create map[string]any, newARN, oldARN string) []remedy.Undo {
	name, _ := create["jobName"].(string)
	model, _ := create["customModelName"].(string)
	byName, itself := filled(map[string]any{"jobIdentifier": name}), filled(map[string]any{"modelIdentifier": model})
	return []remedy.Undo{
		{
			Text: "stop job " + name + " if it runs", Call: "bedrock:StopModelCustomizationJob", Class: remedy.Destructive, Parameters: byName,
			When: &remedy.Condition{Text: "job " + name + " runs", Call: getJob, Parameters: byName, Query: "status", Expect: "InProgress"},
		},
		{
			Text: "take the replaced job's name off job " + name, Call: "bedrock:UntagResource", Class: remedy.Reversible,
			Parameters: filled(map[string]any{"resourceARN": newARN, "tagKeys": []any{posture.TagSupersedes}}),
			When: &remedy.Condition{
				Text: "job " + name + " names the job that it replaces", Call: listTags, Parameters: filled(map[string]any{"resourceARN": newARN}),
				Query: tagValue(posture.TagSupersedes), Expect: []any{oldARN},
			},
		},
		{
			Text: "delete model " + model, Call: "bedrock:DeleteCustomModel", Class: remedy.Destructive, Created: true, Parameters: itself,
			When: &remedy.Condition{
				Text: "model " + model + " is of job " + name, Call: "bedrock:GetCustomModel", Parameters: itself,
				Query: "jobArn", Expect: newARN, Absent: absent(),
			},
		},
	}
}
