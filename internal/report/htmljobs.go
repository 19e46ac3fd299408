package report

import (
	"cmp"
	"slices"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// jobsShown is how many jobs the page shows without being asked, the worst first.
const jobsShown = 12

// jobView is the picture of one job: what it touches, from left to right.
type jobView struct {
	Name, Where string
	Nodes       []node
	worst       int
}

// node is one thing of the picture. Result is the worst result about it, if there is one.
type node struct {
	Kind, Note, Class, Result, Verdict string
	Lines                              []string
}

// part says which node of a job's picture a result is about.
type part int

const (
	partJob part = iota
	partNetwork
	partKey
	partBuckets
	partRole
	partModel
	partServed
	parts
)

// partOf goes by the resource's type. Of the rules on jobs themselves, some are about what the job names.
func partOf(one *posture.Result) part {
	switch kind := one.Type; {
	case strings.HasPrefix(kind, "AWS::EC2::"):
		return partNetwork
	case strings.HasPrefix(kind, "AWS::KMS::"):
		return partKey
	case strings.HasPrefix(kind, "AWS::S3::"):
		return partBuckets
	case strings.HasPrefix(kind, "AWS::IAM::"):
		return partRole
	case strings.Contains(kind, "Deployment") || strings.Contains(kind, "Provisioned"):
		return partServed
	case strings.HasSuffix(kind, "CustomModel") || strings.HasSuffix(kind, "ImportedModel"):
		return partModel
	}
	switch one.Rule {
	case "MC-JOB-001", "MC-JOB-002", "MC-JOB-003": // a VPC, its zones, its parts
		return partNetwork
	case "MC-JOB-004": // the output model's key
		return partKey
	case "MC-JOB-005", "MC-JOB-009": // what the training data are
		return partBuckets
	case "MC-JOB-007": // the base model
		return partModel
	default:
		return partJob
	}
}

// jobViews is the pictures of the jobs, the worst first, and those that the page folds away.
func jobViews(r *posture.Report) (shown, rest []jobView) {
	worst := worstOfJobs(r)
	views := make([]jobView, len(r.Jobs))
	for i := range r.Jobs {
		views[i] = jobViewOf(&r.Jobs[i], worst[i])
	}
	slices.SortStableFunc(views, func(a, b jobView) int { return cmp.Compare(a.worst, b.worst) })
	n := min(len(views), jobsShown)
	return views[:n], views[n:]
}

// worstOfJobs finds the worst result about each part of each job: results name the jobs through which they were found.
func worstOfJobs(r *posture.Report) [][parts]*posture.Result {
	type key struct{ account, name string }
	at := map[key][]int{}
	for i := range r.Jobs {
		k := key{r.Jobs[i].Account, r.Jobs[i].Name}
		at[k] = append(at[k], i)
	}
	worst := make([][parts]*posture.Result, len(r.Jobs))
	for i := range r.Results {
		one := &r.Results[i]
		where := partOf(one)
		for _, name := range one.Jobs {
			for _, j := range at[key{one.Account, name}] {
				if one.Region != "global" && one.Region != r.Jobs[j].Region {
					continue
				}
				if rank(one) < rank(worst[j][where]) {
					worst[j][where] = one
				}
			}
		}
	}
	return worst
}

// rank orders results, the worst first: by verdict, then by severity.
func rank(one *posture.Result) int {
	if one == nil {
		return 1000
	}
	return slices.Index(posture.Statuses(), one.Status)*10 + 9 - one.Severity.Rank()
}

func jobViewOf(job *posture.JobReport, worst [parts]*posture.Result) jobView {
	view := jobView{Name: ansi.Visible(cmp.Or(job.Name, job.ARN)), Where: ansi.Visible(job.Account + " " + job.Region), worst: 1000}
	if job.Unread != nil {
		view.Nodes = []node{{Kind: "Job", Lines: []string{"not read"}, Note: unreadLine(job.Unread), Class: "error"}}
		view.worst = 10
		return view
	}
	view.Nodes = []node{
		partJob:     {Kind: "Job", Lines: lines(job.Status)},
		partNetwork: {Kind: "Network", Lines: lines(job.VPC), Note: networkNote(job)},
		partKey:     {Kind: "Key", Lines: lines(tail(job.Key))},
		partBuckets: {Kind: "Buckets", Lines: buckets(job)},
		partRole:    {Kind: "Role", Lines: lines(tail(job.Role))},
		partModel:   {Kind: "Model", Lines: lines(tail(job.Model)), Note: baseNote(job)},
		partServed:  {Kind: "Served by", Lines: tails(job.ServedBy)},
	}
	none := [parts]string{"unknown", "no VPC", "no key of yours", "none", "none", "none yet", "nothing"}
	for i := range view.Nodes {
		n := &view.Nodes[i]
		if len(n.Lines) == 0 {
			n.Lines, n.Class = []string{none[i]}, "absent"
		}
		if one := worst[i]; one != nil {
			n.Class = strings.TrimSpace(n.Class + " " + statusClass(one.Status))
			n.Result, n.Verdict = ansi.Visible(one.ID), statusLabel(one.Status)+" "+ansi.Visible(one.Rule)
			view.worst = min(view.worst, rank(one))
		}
	}
	return view
}

func networkNote(job *posture.JobReport) string {
	if len(job.Subnets) == 0 && len(job.Groups) == 0 {
		return ""
	}
	return plural(len(job.Subnets), "subnet") + ", " + plural(len(job.Groups), "group")
}

func baseNote(job *posture.JobReport) string {
	if job.Base == "" {
		return ""
	}
	return "from " + ansi.Visible(job.Base[strings.LastIndexByte(job.Base, '/')+1:])
}

// buckets lists the buckets of a job, each once.
func buckets(job *posture.JobReport) []string {
	var list []string
	for _, uri := range append(append([]string{job.Training}, job.Validation...), job.Output) {
		name, _, _ := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
		if name = ansi.Visible(name); name != "" && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return []string{ansi.Visible(s)}
}

// tail is what follows the last slash of an ARN: the part that tells one from another.
func tail(arn string) string {
	if !strings.HasPrefix(arn, "arn:") {
		return arn
	}
	return arn[strings.LastIndexAny(arn, "/:")+1:]
}

func tails(list []string) []string {
	var out []string
	for _, arn := range list {
		out = append(out, ansi.Visible(tail(arn)))
	}
	return out
}
