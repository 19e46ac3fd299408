package posture

import (
	"slices"
	"strings"
	"time"
)

func modLogic() []logic {
	return []logic{
		rule("MC-MOD-001", models, modelKey),
		rule("MC-MOD-002", models, modelLineage),
		rule("MC-MOD-003", servings, servedModel),
		rule("MC-MOD-004", models, modelUsed),
		rule("MC-MOD-005", models, modelFresh),
		rule("MC-MOD-007", models, func(t *Trial, _ Subject, m *Model) Outcome { return requiredTags(t, "model "+m.Name, m.Tags) }),
		rule("MC-MOD-008", copies, copyKey),
	}
}

func modelKey(t *Trial, _ Subject, m *Model) Outcome {
	d := Need(t, m.Detail)
	if d.Key == "" {
		return Failed("model %s is under a key that AWS owns", m.Name).With("modelKmsKeyArn", nil)
	}
	return Passed("model %s is under key %s", m.Name, d.Key).With("modelKmsKeyArn", d.Key)
}

func modelLineage(t *Trial, s Subject, m *Model) Outcome {
	d := Need(t, m.Detail)
	r := s.region()
	if d.Job == "" {
		return copyLineage(t, r, m)
	}
	job := r.job(d.Job)
	if job == nil {
		NeedServed(t, r.Jobs, "bedrock:ListModelCustomizationJobs")
		return Failed("model %s comes from job %s, which this account does not have here", m.Name, d.Job).With("jobArn", d.Job)
	}
	return All(t, verdicts(t, jobSubject(r, job), "MC-JOB-001", "MC-JOB-004")...).With("jobArn", d.Job)
}

// copyLineage follows a model without a job to the model of this account that it was copied from.
func copyLineage(t *Trial, r *Region, m *Model) Outcome {
	for _, c := range r.Copies.Items {
		if c.Target != m.ARN {
			continue
		}
		t.saw(c.Found)
		parts := strings.SplitN(c.Source, ":", 6)
		if len(parts) != 6 || parts[4] != r.Account.ID {
			return Failed("model %s is a copy of %s, which is not of this account", m.Name, c.Source).With("sourceModelArn", c.Source)
		}
		from := r.Account.region(parts[3])
		if from == nil {
			why := &Unread{Source: *c.Found, Code: CodeNotChosen, Message: "the region of the copied model " + c.Source + " was not chosen"}
			return Outcome{Status: Error, Message: why.Message, Unread: []*Unread{why}}
		}
		source := from.model(c.Source)
		if source == nil || source == m {
			NeedAll(t, from.Models)
			return Failed("model %s is a copy of %s, which does not exist any more", m.Name, c.Source).With("sourceModelArn", c.Source)
		}
		out := t.Verdict("MC-MOD-002", modelSubject(from, source))
		out.Message = "copied from " + source.Name + ": " + out.Message
		return out.With("sourceModelArn", c.Source)
	}
	NeedServed(t, r.Copies, "bedrock:ListModelCopyJobs")
	return Failed("model %s names no customization job, and no copy job made it: nobody can tell what it was trained on", m.Name).With("jobArn", nil)
}

// verdicts are parts of a rule: those of other rules on a subject.
func verdicts(t *Trial, s Subject, rules ...string) []func() Outcome {
	parts := make([]func() Outcome, len(rules))
	for i, id := range rules {
		parts[i] = func() Outcome {
			out := t.Verdict(id, s)
			out.Message = id + ": " + out.Message
			out.Facts = nil
			return out
		}
	}
	return parts
}

func servedModel(t *Trial, s Subject, v *Serving) Outcome {
	r := s.region()
	served := []string{v.Model}
	if v.Desired != "" && v.Desired != v.Model {
		served = append(served, v.Desired)
	}
	return Each(t, served, func(arn string) Outcome {
		if isFoundationModel(arn) {
			return Skipped("%s serves a base model", v.Name)
		}
		m := r.model(arn)
		if m == nil {
			NeedAll(t, r.Models)
			return Skipped("%s serves %s, which is not a custom model of this account", v.Name, arn)
		}
		parts := verdicts(t, modelSubject(r, m), "MC-MOD-001")
		parts = append(parts, func() Outcome {
			job := r.job(Need(t, m.Detail).Job)
			if job == nil {
				NeedAll(t, r.Jobs)
				return Skipped("the job of model %s is not here: see MC-MOD-002", m.Name)
			}
			return All(t, verdicts(t, jobSubject(r, job), "MC-JOB-004", "MC-JOB-005")...)
		})
		return All(t, parts...)
	}).With("modelArn", v.Model)
}

// servedBy are the deployments and throughputs of the region that serve a model, or are about to.
func (r *Region) servedBy(model string) []*Serving {
	var found []*Serving
	for _, v := range slices.Concat(r.Deployments.Items, r.Throughputs.Items) {
		if v.Status != "Failed" && (v.Model == model || v.Desired == model) {
			found = append(found, v)
		}
	}
	return found
}

func modelUsed(t *Trial, s Subject, m *Model) Outcome {
	r := s.region()
	for _, v := range r.servedBy(m.ARN) {
		t.saw(v.Found)
		return Passed("model %s is served by %s", m.Name, v.Name).With("servedBy", v.ARN)
	}
	days := t.Int("unused_days")
	if m.Created.After(t.Now.AddDate(0, 0, -days)) {
		return Passed("model %s is younger than %d days", m.Name, days).With("creationTime", m.Created)
	}
	NeedAll(t, r.Deployments)
	NeedAll(t, r.Throughputs)
	return Failed("nothing serves model %s, which is older than %d days", m.Name, days).With("creationTime", m.Created)
}

func modelFresh(t *Trial, s Subject, m *Model) Outcome {
	days := t.Int("max_age_days")
	age := int(t.Now.Sub(m.Created) / (24 * time.Hour))
	if age > days {
		return Failed("model %s is %d days old, more than %d", m.Name, age, days).With("creationTime", m.Created)
	}
	d := Need(t, m.Detail)
	if !isFoundationModel(d.Base) {
		return Passed("model %s is %d days old", m.Name, age).With("creationTime", m.Created)
	}
	base := Need(t, s.region().Bases[d.Base])
	switch {
	case base == nil:
		return Failed("the base of model %s, %s, is no longer offered", m.Name, d.Base).With("baseModelArn", d.Base)
	case base.Lifecycle == "LEGACY":
		return Failed("the base of model %s, %s, is LEGACY", m.Name, d.Base).With("baseModelArn", d.Base)
	}
	return Passed("model %s is %d days old and its base %s", m.Name, age, base.Lifecycle).With("creationTime", m.Created)
}

func copyKey(t *Trial, s Subject, c *Copy) Outcome {
	if c.Status != "Completed" {
		return Skipped("copy job %s is %s", c.Name, c.Status)
	}
	regions := t.Strings("approved_regions")
	trusted := append([]string{s.Account.ID}, t.Strings("trusted_accounts")...)
	switch {
	case c.TargetKey == "":
		return Failed("copy %s is under a key that AWS owns", c.Name).With("targetModelKmsKeyArn", nil)
	case !slices.Contains(trusted, c.SourceAccount):
		return Failed("copy %s comes from account %s, which is not trusted", c.Name, c.SourceAccount).With("sourceAccountId", c.SourceAccount)
	case len(regions) > 0 && !slices.Contains(regions, s.Region):
		return Failed("copy %s lies in %s, which is not an approved region", c.Name, s.Region)
	}
	return Passed("copy %s is under key %s", c.Name, c.TargetKey).With("targetModelKmsKeyArn", c.TargetKey)
}
