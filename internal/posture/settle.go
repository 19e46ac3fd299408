package posture

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// TagSupersedes is the tag of a new job that names the one it replaces, TagSupersededBy the other way round. The values
// are full ARNs of jobs. Tags alone prove nothing: see Supersede.
const (
	TagSupersedes   = "cloister:supersedes"
	TagSupersededBy = "cloister:superseded-by"
)

// ProofJobs are the jobs whose tags Supersede needs next: those with a FAIL of a supersedable rule, then the successors that
// their tags name. It gives those whose tags nobody has asked Bedrock for yet, so that calling it until it gives none ends.
// A job that the index of tags knows, and that names no successor there, is not asked about.
func ProofJobs(inventory *Inventory, results []Result, rules []*Rule) []*Job {
	for _, a := range inventory.Accounts {
		a.index()
	}
	var jobs []*Job
	add := func(j *Job) {
		if j != nil && !j.Told().Collected() && !slices.Contains(jobs, j) {
			jobs = append(jobs, j)
		}
	}
	for i := range results {
		r := &results[i]
		if r.Status != Fail || !supersedable(rules, r.Rule) {
			continue
		}
		region := inventory.Region(r.Account, r.Region)
		if region == nil {
			continue
		}
		old := region.JobOf(r.Resource)
		if old == nil {
			continue
		}
		if tags, known := old.Tags.Read(); !known || tags[TagSupersededBy] != "" {
			add(old)
		}
		if tags, ok := old.Told().Read(); ok {
			add(region.job(tags[TagSupersededBy]))
			if served := region.Deployments.Collected && region.Throughputs.Collected; tags[TagSupersededBy] != "" && !served && !slices.Contains(jobs, old) {
				jobs = append(jobs, old)
			}
		}
	}
	return jobs
}

func supersedable(rules []*Rule, id string) bool {
	return slices.ContainsFunc(rules, func(r *Rule) bool { return r.ID == id && r.Supersedable })
}

// Supersede turns a FAIL of a job, or of the model that the job made, into SUPERSEDED where the inventory itself proves
// it: both jobs' tags name each other by full ARN; the successor is Completed, made later, passes the same rule, and has the
// same role, base model and data; and nothing serves the old model. Anything that is not read leaves the FAIL. It
// changes results, and returns them.
func Supersede(inventory *Inventory, results []Result, rules []*Rule) []Result {
	passes := sync.OnceValue(func() map[[2]string]bool { // rule and ARN; few accounts have a successor at all
		found := map[[2]string]bool{}
		for i := range results {
			if results[i].Status == Pass {
				found[[2]string{results[i].Rule, results[i].Resource}] = true
			}
		}
		return found
	})
	for _, a := range inventory.Accounts {
		a.index()
	}
	for i := range results {
		r := &results[i]
		if r.Status != Fail || !supersedable(rules, r.Rule) {
			continue
		}
		region := inventory.Region(r.Account, r.Region)
		if region == nil {
			continue
		}
		old := region.JobOf(r.Resource)
		if old == nil {
			continue
		}
		successor := region.successor(old)
		if successor == nil || !passes()[[2]string{r.Rule, counterpart(r.Type, successor)}] {
			continue
		}
		r.Status, r.SupersededBy = Superseded, successor.ARN
		r.Message += "; superseded by job " + successor.Name + ", which passes"
		r.Evidence = append(slices.Clone(r.Evidence), successor.Detail.Source(), old.Told().Source(), successor.Told().Source())
		r.Evidence = append(append(r.Evidence, region.Deployments.Pages...), region.Throughputs.Pages...)
	}
	return results
}

// Region is a region of an account; nil if it was not read.
func (i *Inventory) Region(account, region string) *Region {
	for _, a := range i.Accounts {
		if a.ID == account {
			return a.region(region)
		}
	}
	return nil
}

// JobOf is the job that an ARN names, or that made the model that it names; nil if there is none here.
func (r *Region) JobOf(arn string) *Job {
	if m := r.model(arn); m != nil {
		d, ok := m.Detail.Read()
		if !ok {
			return nil
		}
		return r.job(d.Job)
	}
	return r.job(arn)
}

// counterpart is what of a successor is judged in place of a job, or of a job's model.
func counterpart(kind string, successor *Job) string {
	if kind != TypeModel {
		return successor.ARN
	}
	d, _ := successor.Detail.Read() // it was read: it is a successor
	return d.Model
}

// successor is the job that provably replaces old, whose model nothing serves any more; nil if there is none.
func (r *Region) successor(old *Job) *Job {
	was, ok := old.Detail.Read()
	if !ok || !r.Account.unserved(was.Model) {
		return nil
	}
	return r.Successor(old)
}

// Successor is the job that provably replaces old, whatever still serves the old model; nil if there is none.
func (r *Region) Successor(old *Job) *Job {
	was, ok := old.Detail.Read()
	if !ok {
		return nil
	}
	tags, ok := old.Told().Read()
	if !ok || tags[TagSupersededBy] == "" || tags[TagSupersededBy] == old.ARN {
		return nil
	}
	job := r.job(tags[TagSupersededBy])
	if job == nil {
		return nil
	}
	is, ok := job.Detail.Read()
	if !ok {
		return nil
	}
	back, ok := job.Told().Read()
	switch {
	case !ok || back[TagSupersedes] != old.ARN:
		return nil
	case is.Status != "Completed" || !is.Created.After(was.Created):
		return nil
	case is.Role != was.Role || is.Base != was.Base || is.Teacher != was.Teacher || is.CustomizationType != was.CustomizationType:
		return nil
	case is.Training != was.Training || is.LogsURI != was.LogsURI || !slices.Equal(is.Validation, was.Validation) || !sameOutput(is.Output, was.Output):
		return nil
	case was.Model == "" && was.Status == "Completed": // it made one, and nobody says which
		return nil
	}
	return job
}

// sameOutput compares two S3 URIs of a directory.
func sameOutput(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// unserved says that it is certain that nothing serves a model, nor a copy of it in any region that was read.
func (a *Account) unserved(model string) bool {
	found, unread := a.Serving(model)
	return len(found) == 0 && len(unread) == 0
}

// Served is a deployment or throughput with the region that it is in. Copy says that it serves a copy of the model.
type Served struct {
	*Serving
	Region string
	Copy   bool
}

// Serving lists what serves a model, or a copy of it in any region that was read, and says what is not known of that.
func (a *Account) Serving(model string) (found []Served, unread []string) {
	if model == "" {
		return nil, nil // the job made none
	}
	models := []string{model}
	for i := 0; i < len(models); i++ {
		for _, r := range a.Regions {
			if r.NoBedrock {
				continue
			}
			if !complete(r.Copies) {
				return nil, []string{"which copies of models " + r.Name + " has" + because(r.Copies.Why)}
			}
			for _, c := range r.Copies.Items {
				if c.Source == models[i] && c.Status != "Failed" && !slices.Contains(models, c.Target) {
					models = append(models, c.Target)
				}
			}
		}
	}
	for _, r := range a.Regions {
		if r.NoBedrock {
			continue
		}
		// Where no model of the family lies, nobody needs to look.
		if !slices.ContainsFunc(models, func(m string) bool { return strings.HasPrefix(m, r.arn("bedrock", "")) }) {
			continue
		}
		if !complete(r.Deployments) || !complete(r.Throughputs) {
			unread = append(unread, "what serves models in "+r.Name+because(cmp.Or(r.Deployments.Why, r.Throughputs.Why)))
		}
		for _, m := range models {
			for _, s := range r.servedBy(m) {
				found = append(found, Served{s, r.Name, m != model})
			}
		}
	}
	return found, unread
}

func because(why *Unread) string {
	if why == nil {
		return " was not read"
	}
	return ": " + why.Operation + ": " + why.Code + ": " + why.Message
}

func complete[T any](l List[T]) bool { return l.Why == nil && l.Collected }

// Settle lets MC-LIF-005 follow what became of the FAILs that it counts: those that are SUPERSEDED or MUTED are
// answered for. It changes results, and returns them.
func Settle(results []Result) []Result {
	answered := map[string]bool{} // rule and job
	for i := range results {
		if results[i].Status == Superseded || results[i].Status == Muted {
			answered[results[i].Rule+" "+results[i].Resource] = true
		}
	}
	for i := range results {
		r := &results[i]
		if r.Rule != "MC-LIF-005" || r.Status != Fail {
			continue
		}
		failing, _ := r.Facts.Get("failing").([]string)
		open := slices.DeleteFunc(slices.Clone(failing), func(id string) bool { return answered[id+" "+r.Resource] })
		switch {
		case len(failing) == 0 || len(open) > 0:
			r.Unread = nil
		case len(r.Unread) > 0: // something else may fail
			r.Status, r.Message = Error, unreadMessage(r.Unread[0])
		default:
			r.Status = Pass
			r.Message = "every failing rule of job " + r.Name + " has a successor or a mute: " + strings.Join(failing, ", ")
		}
	}
	return results
}
