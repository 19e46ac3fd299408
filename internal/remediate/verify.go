package remediate

import (
	"context"
	"fmt"
	"slices"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// Verification is what an audit says after a plan.
type Verification struct {
	Plan string `json:"plan"`
	// Verdicts are those of the touched resources alone.
	Verdicts []Verdict `json:"verdicts"`
	// Losses compare the new jobs with the old; Serving says what still serves old models; Unread what could not be read.
	Losses  []string `json:"losses"`
	Serving []string `json:"serving"`
	Unread  []string `json:"unread"`
	// Open are the steps that were not made.
	Open []string `json:"open"`
	// RolledBack says that the plan was taken back afterwards; RollbackOpen that this was begun and did not come to its end.
	RolledBack   bool `json:"rolledBack,omitempty"`
	RollbackOpen bool `json:"rollbackOpen,omitempty"`
}

// Verdict is a rule's verdict beside the one that was predicted.
type Verdict struct {
	Change    string         `json:"change"`
	Rule      string         `json:"rule"`
	Resource  string         `json:"resource"`
	Predicted posture.Status `json:"predicted"`
	Now       posture.Status `json:"now"`
	// Accepted says of an ERROR that the auditor accepts what it lacks.
	Accepted bool   `json:"accepted,omitempty"`
	Message  string `json:"message"`
}

// missing is the verdict of an audit that has none.
const missing posture.Status = "MISSING"

// Good says that every step was made and not taken back, everything was read, and every verdict is what was predicted, or
// better. What nobody can read (an accepted gap) is as good as it was.
func (v *Verification) Good() bool {
	return !v.RolledBack && !v.RollbackOpen && len(v.Open) == 0 && len(v.Unread) == 0 && !slices.ContainsFunc(v.Verdicts, func(one Verdict) bool { return !one.Good() })
}

// Good says that a verdict is what was predicted, or better.
func (v *Verdict) Good() bool {
	return v.Now == posture.Pass || v.Now == posture.Superseded || v.Now == v.Predicted && v.Now != missing && (v.Now != posture.Error || v.Accepted)
}

// Verify audits again exactly what a plan touched.
func Verify(ctx context.Context, o audit.Options, p *remedy.Plan, hash string, records []remedy.Record) (*Verification, error) {
	v := &Verification{Plan: hash, Verdicts: []Verdict{}, Losses: []string{}, Serving: []string{}, Unread: []string{}, Open: []string{}, RolledBack: remedy.RolledBack(records)}
	v.RollbackOpen = remedy.RollbackBegun(records) && !v.RolledBack
	if err := remedy.Belongs(records, hash); err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range p.Changes {
		for _, one := range c.Predicted {
			if !slices.Contains(ids, one.Rule) {
				ids = append(ids, one.Rule)
			}
		}
	}
	var err error
	if o.Rules, err = o.Pack.Choose(ids, nil, nil, nil); err != nil {
		return nil, err
	}
	o.Collect.Regions, o.Collect.FreshTags, o.Also, o.Collect.RegionsOf = nil, true, also(o), map[string][]string{}
	for _, a := range p.Accounts {
		o.Collect.RegionsOf[a.ID] = a.Regions
	}
	for _, s := range p.Steps {
		if !remedy.StateOf(records, s.ID).Done {
			v.Open = append(v.Open, s.ID+" "+s.Text)
		}
	}
	outcome, err := audit.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := same(outcome.Read, p); err != nil {
		return nil, err
	}
	outcome.Read.ReadServing(ctx)
	for i := range p.Changes {
		v.change(ctx, outcome, p, &p.Changes[i], records)
	}
	return v, nil
}

func (v *Verification) change(ctx context.Context, outcome *audit.Outcome, p *remedy.Plan, c *remedy.Change, records []remedy.Record) {
	arns := map[string]string{}
	var oldModel string
	for i := range p.Steps {
		s := &p.Steps[i]
		state := remedy.StateOf(records, s.ID)
		switch {
		case s.Change != c.ID:
		case s.Kind == remedy.KindWait:
			arns[newModelIs] = state.Results["modelArn"]
		case state.Results["jobArn"] != "":
			arns[newJobIs] = state.Results["jobArn"]
		}
	}
	for _, one := range c.Predicted {
		arn := one.Resource
		if arn == newJobIs || arn == newModelIs {
			if arn = arns[one.Resource]; arn == "" {
				arn = one.Resource // it was not made: no result has it
			}
		}
		verdict := Verdict{Change: c.ID, Rule: one.Rule, Resource: arn, Predicted: one.Status, Now: missing, Message: "the audit has no such result"}
		for i := range outcome.Report.Results {
			if r := &outcome.Report.Results[i]; r.Rule == one.Rule && r.Resource == arn && r.Account == c.Account {
				verdict.Now, verdict.Message, verdict.Accepted = r.Status, r.Message, r.Accepted
			}
		}
		if verdict.Now == posture.Error && !verdict.Accepted {
			v.Unread = append(v.Unread, fmt.Sprintf("change %s: %s of %s: %s", c.ID, verdict.Rule, verdict.Resource, verdict.Message))
		}
		v.Verdicts = append(v.Verdicts, verdict)
	}
	if c.Class != remedy.Recreate {
		return
	}
	old, err := get(ctx, Client(outcome.Read, c.Account, c.Region), getJob, map[string]any{"jobIdentifier": c.Resource})
	if err != nil {
		v.Unread = append(v.Unread, err.Error())
		return
	}
	oldModel, _ = old["outputModelArn"].(string)
	if arns[newJobIs] != "" {
		is, err := get(ctx, Client(outcome.Read, c.Account, c.Region), getJob, map[string]any{"jobIdentifier": arns[newJobIs]})
		if err != nil {
			v.Unread = append(v.Unread, err.Error())
		} else {
			text, _ := remedy.Compare(remedy.LossesOf(old), remedy.LossesOf(is), 0)
			v.Losses = append(v.Losses, fmt.Sprintf("change %s: %s", c.ID, text))
		}
	}
	if oldModel == "" {
		return
	}
	for _, a := range outcome.Read.Inventory.Accounts {
		if a.ID != c.Account {
			continue
		}
		found, unread := a.Serving(oldModel)
		v.Unread = append(v.Unread, unread...)
		for _, s := range found {
			v.Serving = append(v.Serving, fmt.Sprintf("change %s: %s in %s (%s) still serves %s", c.ID, what(s), s.Region, s.Status, oldModel))
		}
	}
}
