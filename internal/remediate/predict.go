package remediate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// Names of what does not exist yet, in predictions.
const (
	newJobIs   = "new job"
	newModelIs = "new model"
)

// predict asks the rules what they would say of the new job, its network and its key, and of the old one. unserved says that
// nothing will serve the old model.
func (p *planner) predict(ctx context.Context, c *remedy.Change, f *failing, d *posture.JobDetail, create map[string]any, unserved bool) error {
	rules, err := p.Audit.Pack.Choose(nil, []string{"MC-KMS-009"}, []string{"job", "net", "kms"}, nil) // 009 is of grants, which come with the job
	if err != nil {
		return err
	}
	var reads []string
	for _, r := range rules {
		reads = append(reads, r.AllReads()...)
	}
	name, _ := create["jobName"].(string)
	key, _ := create["customModelKmsKeyId"].(string)
	vpc, _ := create["vpcConfig"].(map[string]any)
	job := hypothesis(f.region, name, textsOf(vpc["subnetIds"]), textsOf(vpc["securityGroupIds"]), key)
	detail := *d
	is, _ := job.Detail.Read()
	detail.ARN, detail.Name, detail.Status, detail.Subnets, detail.Groups = is.ARN, name, is.Status, is.Subnets, is.Groups
	detail.HasVPC, detail.VPC, detail.Key, detail.Model = is.HasVPC, is.VPC, key, ""
	job.Detail = posture.Known(&detail, job.Detail.Source())
	tags := map[string]string{}
	list, _ := create["jobTags"].([]any)
	for _, one := range list {
		tag, _ := one.(map[string]any)
		k, _ := tag["key"].(string)
		tags[k], _ = tag["value"].(string)
	}
	job.Tags = posture.Known(tags, &posture.Source{Operation: listTags, Account: c.Account, Region: c.Region})
	if err := p.read.Assume(ctx, c.Account, c.Region, []*posture.Job{job}, reads); err != nil {
		return err
	}
	results, _ := (&posture.Gaps{}).Apply(posture.Evaluate(p.only(f.region), rules, rules), p.inventory.Time)
	p.reachable(c, results, is.Subnets)
	passes := map[string]bool{}
	for i := range results {
		r := &results[i]
		switch {
		case r.Resource == job.ARN:
			passes[r.Rule] = r.Status == posture.Pass
			c.Predicted = append(c.Predicted, remedy.Prediction{Rule: r.Rule, Resource: newJobIs, Status: r.Status, Message: r.Message})
		case slices.Contains(r.Jobs, name) && r.Status != posture.NotApplicable:
			if r.Status == posture.Error && !r.Accepted && strings.HasPrefix(r.Rule, "MC-NET-") {
				p.check(checkRules, c.ID, remedy.NotChecked, "%s of %s: %s", r.Rule, r.Resource, r.Message)
			}
			c.Predicted = append(c.Predicted, remedy.Prediction{Rule: r.Rule, Resource: r.Resource, Status: r.Status, Message: r.Message})
		}
	}
	p.mends(c, f, results, job.ARN, key)
	for i := range f.results {
		r := &f.results[i]
		was := remedy.Prediction{Rule: r.Rule, Resource: r.Resource, Status: posture.Superseded, Message: "by the new job"}
		if r.Rule == "MC-MOD-001" {
			c.Predicted = append(c.Predicted, remedy.Prediction{Rule: r.Rule, Resource: newModelIs, Status: passOf(key != "")})
			passes[r.Rule] = key != ""
		}
		switch {
		case !passes[r.Rule]:
			was.Status, was.Message = posture.Fail, "the new job does not pass either"
		case create["roleArn"] != d.Role:
			was.Status, was.Message = posture.Fail, "a job with another role is no successor"
		case !unserved:
			was.Status, was.Message = posture.Fail, "something serves the old model, or that was not read"
		}
		c.Predicted = append(c.Predicted, was)
	}
	mended := func(one remedy.Prediction) int {
		if slices.ContainsFunc(c.Findings, func(f remedy.Finding) bool { return f.Rule == one.Rule }) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(c.Predicted, func(a, b remedy.Prediction) int { // what it is about first
		return cmp.Or(mended(a)-mended(b), strings.Compare(a.Rule, b.Rule))
	})
	return p.read.Assume(ctx, c.Account, c.Region, nil, nil)
}

// mends is the check that the new job passes the rules that the old one fails: it costs, and must be worth it.
func (p *planner) mends(c *remedy.Change, f *failing, results []posture.Result, arn, key string) {
	for i := range results { // no job begins in a network that is not one
		if r := &results[i]; r.Rule == "MC-JOB-003" && r.Resource == arn && r.Status == posture.Fail {
			p.check(checkNetwork, c.ID, remedy.CheckRefused, "%s", r.Message)
		}
	}
	for i := range f.results {
		rule := f.results[i].Rule
		at := slices.IndexFunc(results, func(r posture.Result) bool { return r.Rule == rule && r.Resource == arn })
		switch {
		case rule == "MC-MOD-001" && key == "":
			p.check(checkMends, c.ID, remedy.CheckRefused, "the new model would fail %s too: it has no customer managed key", rule)
		case rule == "MC-MOD-001":
		case at < 0:
			p.check(checkMends, c.ID, remedy.NotChecked, "%s says nothing of the new job", rule)
		case results[at].Status == posture.Fail:
			p.check(checkMends, c.ID, remedy.CheckRefused, "the new job would fail %s too: %s", rule, results[at].Message)
		case results[at].Status != posture.Pass:
			p.check(checkMends, c.ID, remedy.NotChecked, "whether the new job passes %s: %s", rule, results[at].Message)
		}
	}
}

func passOf(ok bool) posture.Status {
	if ok {
		return posture.Pass
	}
	return posture.Fail
}

// reachable is the check that the subnets reach S3, as MC-NET-005 judges it.
func (p *planner) reachable(c *remedy.Change, results []posture.Result, subnets []string) {
	if len(subnets) == 0 {
		return
	}
	worst, why := remedy.CheckOK, []string{}
	for _, id := range subnets {
		i := slices.IndexFunc(results, func(r posture.Result) bool { return r.Rule == "MC-NET-005" && r.Name == id })
		switch {
		case i < 0:
			why = append(why, "subnet "+id+" was not judged")
			if worst == remedy.CheckOK {
				worst = remedy.NotChecked
			}
			continue
		case results[i].Status == posture.Fail:
			worst = remedy.CheckRefused
		case results[i].Status != posture.Pass && worst == remedy.CheckOK:
			worst = remedy.NotChecked
		}
		why = append(why, results[i].Message)
	}
	p.check(checkS3, c.ID, worst, "%s", strings.Join(why, "; "))
}

// textsOf are the texts of a JSON list.
func textsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, one := range list {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
