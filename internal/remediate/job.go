package remediate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// recreates are the rules that making a job again can mend.
func recreates() []string {
	return []string{"MC-JOB-001", "MC-JOB-002", "MC-JOB-003", "MC-JOB-004", "MC-MOD-001"}
}

// failing is a job with what fails about it.
type failing struct {
	region  *posture.Region
	job     *posture.Job
	results []posture.Result
}

// jobsOf are the jobs that re-creation would mend, or that can be stopped, in order of their ARN.
func jobsOf(inventory *posture.Inventory, found []posture.Result) []*failing {
	var jobs []*failing
	for i := range found {
		r := &found[i]
		if r.Type != posture.TypeJob && !slices.Contains(recreates(), r.Rule) {
			continue
		}
		region := inventory.Region(r.Account, r.Region)
		if region == nil {
			continue
		}
		job := region.JobOf(r.Resource)
		if job == nil {
			continue
		}
		at := slices.IndexFunc(jobs, func(f *failing) bool { return f.job == job })
		if at < 0 {
			jobs = append(jobs, &failing{region: region, job: job})
			at = len(jobs) - 1
		}
		jobs[at].results = append(jobs[at].results, *r)
	}
	slices.SortFunc(jobs, func(a, b *failing) int { return strings.Compare(a.job.ARN, b.job.ARN) })
	return jobs
}

// job plans what is done about one job.
func (p *planner) job(ctx context.Context, f *failing) error {
	mends := slices.DeleteFunc(slices.Clone(f.results), func(r posture.Result) bool { return !slices.Contains(recreates(), r.Rule) })
	leave := func(format string, args ...any) {
		for i := range f.results {
			if p.Stop || slices.Contains(recreates(), f.results[i].Rule) {
				p.leave(&f.results[i], format, args...)
			}
		}
	}
	d, ok := f.job.Detail.Read()
	switch {
	case !ok:
		leave("the job's record was not read")
		return nil
	case p.Stop && d.Status == "InProgress":
		p.stop(f)
		return nil
	case p.Stop:
		leave("the job does not run: it is %s", d.Status)
		return nil
	case len(mends) == 0:
		return nil // others plans what can be done
	case d.Status == "Failed" || d.Status == "Stopped":
		if !p.IncludeFailed {
			leave("the job is %s: --include-failed makes it again all the same", d.Status)
			return nil
		}
	case d.Status != "Completed":
		leave("the job is %s: wait for its end, or --action stop", d.Status)
		return nil
	}
	f.results = mends
	return p.again(ctx, f, d)
}

// stop plans the end of a running job.
func (p *planner) stop(f *failing) {
	c := p.change(remedy.Change{
		Title: "stop the running job " + f.job.Name, Class: remedy.Destructive, Account: f.region.Account.ID, Region: f.region.Name,
		Resource: f.job.ARN, Name: f.job.Name, Findings: findings(f.results),
		Reaches: []string{"the job: what it has learned is lost, what it has cost is not given back"},
		Hazards: []string{"the stopped job keeps failing the rule: make it again, or accept it"},
		Lasting: []string{"a stopped job cannot go on"},
	})
	for i := range f.results {
		c.Predicted = append(c.Predicted, remedy.Prediction{Rule: f.results[i].Rule, Resource: f.job.ARN, Status: posture.Fail, Message: "the job stays, Stopped"})
	}
	job := parameters(map[string]any{"jobIdentifier": f.job.ARN})
	status := func(query string, expect any) remedy.Condition {
		return remedy.Condition{Text: "status of job " + f.job.Name, Call: getJob, Parameters: job, Query: query, Expect: expect}
	}
	after := status("status == 'Stopping' || status == 'Stopped'", true)
	p.step(c, phaseGround, remedy.Step{
		Kind: remedy.KindCall, Class: remedy.Destructive, Text: "stop job " + f.job.Name, Call: "bedrock:StopModelCustomizationJob", Parameters: job,
		Before: []remedy.Condition{status("status", "InProgress")}, After: &after,
	})
}

// Calls that the planner names more than once.
const (
	getJob   = "bedrock:GetModelCustomizationJob"
	listTags = "bedrock:ListTagsForResource"
)

// again plans a new job in place of an old one.
func (p *planner) again(ctx context.Context, f *failing, d *posture.JobDetail) error {
	account, region := f.region.Account.ID, f.region.Name
	client := p.caller(account, region)
	old, err := sourceOf(ctx, client, f.job.ARN)
	if err != nil {
		return fmt.Errorf("job %s: %w", f.job.ARN, err)
	}
	if by := old.jobTags[posture.TagSupersededBy]; by != "" {
		return p.successor(ctx, f, d, old, by)
	}
	to, ok, err := p.target(ctx, f, d)
	if err != nil || !ok {
		return err
	}
	var made string
	if to.jobName, to.modelName, made, err = p.names(ctx, f, d); err != nil {
		return err
	}
	if made != "" {
		p.leaveAll(f.results, "%s was made in its place already: resume the plan that did, or roll it back; if that plan is lost, take the tag %s off that job", made, posture.TagSupersedes)
		return nil
	}
	to.jobTags, to.modelTags = p.required("MC-JOB-008"), p.required("MC-MOD-007")
	create, compared, err := recreate(old, to)
	if err != nil {
		p.leaveAll(f.results, "%v", err)
		return nil
	}
	c := p.change(remedy.Change{
		Title: "make job " + f.job.Name + " again as " + to.jobName, Class: remedy.Recreate, Account: account, Region: region,
		Resource: f.job.ARN, Name: f.job.Name, Findings: findings(f.results), Compared: compared,
		Hazards: []string{
			"a new job is a new run: it costs again, and its model is not the same to the bit",
			"the metrics of the new job are written below the same output location as those of the old",
		},
		Lasting: []string{
			"the entry of the new job, which AWS has no call to delete, and what its training cost",
			"the new model, unless --delete-created is given",
		},
	})
	if old.modelGone {
		c.Hazards = append(c.Hazards, "the old model was deleted, and its tags with it: the new model gets none")
	}
	if !d.Ended.IsZero() {
		c.Seconds = d.Ended.Sub(d.Created).Round(time.Second).Seconds()
	}
	served, known := p.serving(c, d.Model)
	conditions := p.preconditions(ctx, c, f, d, create)
	p.newJob(c, old, d, create, conditions)
	stays := p.serve(c, served, known)
	p.costs(account, "AWS bills training by tokens and epochs, and storage of each model by the month: a job's record has neither")
	return p.predict(ctx, c, f, d, create, !stays)
}

// required are the tags that a rule requires, as far as values were given and the rule is one of those to mend.
func (p *planner) required(rule string) map[string]string {
	i := slices.IndexFunc(p.Audit.Rules, func(r *posture.Rule) bool { return r.ID == rule })
	if i < 0 {
		return nil
	}
	tags := map[string]string{}
	keys, _ := p.Audit.Rules[i].Effective()["required_tags"].([]string)
	for _, key := range keys {
		if value := p.Tags[key]; value != "" {
			tags[key] = value
		}
	}
	return tags
}

// sourceOf reads a job whole.
func sourceOf(ctx context.Context, client *awscall.Client, arn string) (source, error) {
	s := source{arn: arn}
	var err error
	if s.record, err = get(ctx, client, getJob, map[string]any{"jobIdentifier": arn}); err != nil {
		return s, err
	}
	if s.jobTags, err = tagsOf(ctx, client, arn); err != nil {
		return s, err
	}
	if model, _ := s.record["outputModelArn"].(string); model != "" {
		s.customTags, err = tagsOf(ctx, client, model)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ResourceNotFoundException" {
		s.modelGone, err = true, nil
	}
	return s, err
}

func tagsOf(ctx context.Context, client *awscall.Client, arn string) (map[string]string, error) {
	members, err := get(ctx, client, listTags, map[string]any{"resourceARN": arn})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	list, _ := members["tags"].([]any)
	for _, one := range list {
		tag, _ := one.(map[string]any)
		key, _ := tag["key"].(string)
		tags[key], _ = tag["value"].(string)
	}
	return tags, nil
}

// names are new names for a job and its model, with one ending, which nobody has in the region. made is a job of such a name
// that says that it replaces the old one and has not failed: another plan made it.
func (p *planner) names(ctx context.Context, f *failing, d *posture.JobDetail) (job, model, made string, err error) {
	client := p.caller(f.region.Account.ID, f.region.Name)
	modelName := cmp.Or(d.ModelName, d.Name)
	jobs, err := p.listed(ctx, client, "bedrock:ListModelCustomizationJobs", "modelCustomizationJobSummaries", common(d.Name))
	if err != nil {
		return "", "", "", err
	}
	models, err := p.listed(ctx, client, "bedrock:ListCustomModels", "modelSummaries", common(modelName))
	if err != nil {
		return "", "", "", err
	}
	scope := f.region.Account.ID + " " + f.region.Name
	for n := 1; ; n++ {
		job, model = newName(d.Name, n), newName(modelName, n)
		if record := named(jobs, "jobName", job); record != nil {
			if made, err = replaces(ctx, client, record, f.job.ARN); err != nil || made != "" {
				return "", "", made, err
			}
			continue
		}
		if named(models, "modelName", model) == nil && !p.taken[scope+" job "+job] && !p.taken[scope+" model "+model] {
			break
		}
	}
	p.taken[scope+" job "+job], p.taken[scope+" model "+model] = true, true
	return job, model, "", nil
}

// common is what all new names of an old one begin with.
func common(old string) string {
	return strings.TrimRight(old[:min(len(old), longestName-len("-r1000"))], "-_.")
}

func named(records []map[string]any, member, name string) map[string]any {
	i := slices.IndexFunc(records, func(r map[string]any) bool { return r[member] == name })
	if i < 0 {
		return nil
	}
	return records[i]
}

// replaces is a job's ARN, if its tags say that it replaces the old one, and it has not failed; else "".
func replaces(ctx context.Context, client *awscall.Client, job map[string]any, old string) (string, error) {
	arn, _ := job["jobArn"].(string)
	if status := job["status"]; status == "Failed" || status == "Stopped" || status == "Stopping" {
		return "", nil
	}
	tags, err := tagsOf(ctx, client, arn)
	if err != nil || tags[posture.TagSupersedes] != old {
		return "", err
	}
	return "job " + arn + fmt.Sprintf(" (%v)", job["status"]), nil
}

// listed are the records with a part in their name, of all pages of a listing.
func (p *planner) listed(ctx context.Context, client *awscall.Client, call, list, part string) ([]map[string]any, error) {
	var records []map[string]any
	in := map[string]any{"nameContains": part, "maxResults": 1000}
	for {
		members, err := get(ctx, client, call, in)
		if err != nil {
			return nil, err
		}
		items, _ := members[list].([]any)
		for _, item := range items {
			if record, ok := item.(map[string]any); ok {
				records = append(records, record)
			}
		}
		next, _ := members["nextToken"].(string)
		if next == "" {
			return records, nil
		}
		in["nextToken"] = next
	}
}
