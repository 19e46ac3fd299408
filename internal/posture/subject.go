package posture

import (
	"maps"
	"slices"
	"strings"
)

// Subject is one resource that a rule judges.
type Subject struct {
	// ARN, Name and Type identify it in results; Region is "global" for what has none.
	ARN, Name, Type string
	Account         *Account
	Region          string
	// Found is the call that found it.
	Found *Source
	// Jobs are the names of the jobs through which it was found.
	Jobs []string
	// Tags are the resource's own, for selection and reports; not evidence.
	Tags Datum[map[string]string]
	home *Region // nil for what has none
	// identity is what the results of all rules say of the subject; identify makes it.
	identity *Identity
	// value is the inventory's record, of the type that the logic knows.
	value any
	// why says that the subjects of this rule could not all be enumerated: such a subject is always ERROR.
	why *Unread
}

// logic is what decides a rule: where its subjects are, and what it says of one.
type logic struct {
	id       string
	subjects func(a *Account) []Subject
	check    func(t *Trial, s Subject) Outcome
	// list names the subjects where many rules share them: they are listed once.
	list string
}

// rule makes a logic of a check on the records of type T that subjects finds.
func rule[T any](id string, subjects func(*Account) []Subject, check func(*Trial, Subject, T) Outcome) logic {
	list := ""
	switch any(*new(T)).(type) {
	case *Job:
		list = "jobs"
	case *Model:
		list = "models"
	}
	return logic{id: id, subjects: subjects, list: list, check: func(t *Trial, s Subject) Outcome {
		value, ok := s.value.(T)
		if !ok {
			panic("rule " + id + " got a subject of another kind: " + s.Type) // a defect: every test of the rule sees it
		}
		return check(t, s, value)
	}}
}

// identify makes what the results of the subject share.
func (s *Subject) identify() {
	s.identity = &Identity{
		Partition: s.Account.Partition, Account: s.Account.ID, Region: s.Region, Resource: s.ARN, Name: s.Name, Type: s.Type,
		Gap: s.why != nil, Jobs: s.Jobs, TagsUnread: s.Tags.Why() != nil,
	}
	if s.why != nil { // several gaps of one region are several results
		s.identity.Discriminator = strings.TrimSpace(s.why.Operation + " " + s.why.Resource)
	}
	if tags, ok := s.Tags.Read(); ok {
		s.identity.Tags = tags
	}
}

// arn makes an ARN in the region's partition.
func (r *Region) arn(service, resource string) string {
	return "arn:" + r.Account.Partition + ":" + service + ":" + r.Name + ":" + r.Account.ID + ":" + resource
}

func (r *Region) subject(kind, arn, name string, value any) Subject {
	return Subject{ARN: arn, Name: name, Type: kind, Account: r.Account, Region: r.Name, home: r, value: value}
}

// gap is the subject that stands for resources which could not be enumerated.
func (r *Region) gap(why *Unread) Subject {
	s := r.subject("AWS::Account::Region", r.arn("bedrock", "*"), r.Name, nil)
	s.why = why
	return s
}

// each calls f for the account's regions that have Bedrock, in order.
func (a *Account) each(f func(*Region) []Subject) []Subject {
	var out []Subject
	for _, r := range a.Regions {
		if !r.NoBedrock {
			out = append(out, f(r)...)
		}
	}
	return out
}

// listed makes a subject of each item of a listing, and a gap if it broke off.
func listed[T any](r *Region, l List[T], subject func(T) Subject) []Subject {
	var out []Subject
	for _, item := range l.Items {
		out = append(out, subject(item))
	}
	if l.Why != nil {
		out = append(out, r.gap(l.Why))
	}
	return out
}

// Types of subjects, in CloudFormation's notation where it has one.
const (
	TypeJob        = "AWS::Bedrock::ModelCustomizationJob"
	TypeModel      = "AWS::Bedrock::CustomModel"
	TypeDeployment = "AWS::Bedrock::CustomModelDeployment"
	TypeThroughput = "AWS::Bedrock::ProvisionedModelThroughput"
	TypeImportJob  = "AWS::Bedrock::ModelImportJob"
	TypeImported   = "AWS::Bedrock::ImportedModel"
	TypeCopy       = "AWS::Bedrock::ModelCopyJob"
	TypeRegion     = "AWS::Account::Region"
	TypeGroup      = "AWS::EC2::SecurityGroup"
	TypeSubnet     = "AWS::EC2::Subnet"
	TypeVPC        = "AWS::EC2::VPC"
	TypeEndpoint   = "AWS::EC2::VPCEndpoint"
	TypeInterface  = "AWS::EC2::NetworkInterface"
	TypeKey        = "AWS::KMS::Key"
	TypeBucket     = "AWS::S3::Bucket"
	TypeLogGroup   = "AWS::Logs::LogGroup"
)

func jobs(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.Jobs, func(j *Job) Subject { return jobSubject(r, j) })
	})
}

func jobSubject(r *Region, j *Job) Subject {
	s := r.subject(TypeJob, j.ARN, j.Name, j)
	s.Found, s.Tags, s.Jobs = j.Found, j.Tags, []string{j.Name}
	return s
}

func models(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.Models, func(m *Model) Subject { return modelSubject(r, m) })
	})
}

func modelSubject(r *Region, m *Model) Subject {
	s := r.subject(TypeModel, m.ARN, m.Name, m)
	s.Found, s.Tags = m.Found, m.Tags
	if d, ok := m.Detail.Read(); ok {
		if job := r.job(d.Job); job != nil {
			s.Jobs = []string{job.Name}
		}
	}
	return s
}

func servings(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		subject := func(v *Serving) Subject {
			kind := TypeDeployment
			if v.Kind == "throughput" {
				kind = TypeThroughput
			}
			s := r.subject(kind, v.ARN, v.Name, v)
			s.Found = v.Found
			return s
		}
		return append(listed(r, r.Deployments, subject), listed(r, r.Throughputs, subject)...)
	})
}

func importJobs(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.ImportJobs, func(j *ImportJob) Subject {
			s := r.subject(TypeImportJob, j.ARN, j.Name, j)
			s.Found = j.Found
			return s
		})
	})
}

func importedModels(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.ImportedModels, func(m *ImportedModel) Subject {
			s := r.subject(TypeImported, m.ARN, m.Name, m)
			s.Found = m.Found
			return s
		})
	})
}

func copies(a *Account) []Subject {
	return a.each(func(r *Region) []Subject {
		return listed(r, r.Copies, func(c *Copy) Subject {
			s := r.subject(TypeCopy, c.ARN, c.Name, c)
			s.Found = c.Found
			return s
		})
	})
}

// job finds a job of the region by ARN, or nil.
func (r *Region) job(arn string) *Job { return r.jobs[arn] }

// model finds an owned model of the region by ARN, or nil.
func (r *Region) model(arn string) *Model { return r.models[arn] }

// ref is a thing that jobs refer to, with the jobs that do.
type ref struct {
	id    string
	jobs  []string
	found *Source
}

// refs are the things that the region's jobs refer to, in the order of their ids, and gaps for the jobs that are unread.
func (r *Region) refs(of func(*JobDetail) []string) (found []ref, gaps []Subject) {
	byID := map[string]*ref{}
	if r.Jobs.Why != nil {
		gaps = append(gaps, r.gap(r.Jobs.Why))
	}
	for _, j := range r.Jobs.Items {
		d, ok := j.Detail.Read()
		if !ok {
			if why := j.Detail.Why(); why != nil {
				s := jobSubject(r, j)
				s.why = why
				gaps = append(gaps, s)
			}
			continue
		}
		for _, id := range of(d) {
			one, ok := byID[id]
			if !ok {
				one = &ref{id: id, found: j.Detail.Source()}
				byID[id] = one
			}
			if len(one.jobs) == 0 || one.jobs[len(one.jobs)-1] != j.Name {
				one.jobs = append(one.jobs, j.Name)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		found = append(found, *byID[id])
	}
	return found, gaps
}

// region is the inventory's region of the subject.
func (s Subject) region() *Region {
	if s.home != nil {
		return s.home
	}
	return &Region{Account: s.Account, Name: s.Region} // of what has no region; everything in it was not collected
}
