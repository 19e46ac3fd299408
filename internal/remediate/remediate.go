// Package remediate makes plans for findings: it audits, decides what mends what, reads what a plan must know, checks what
// can be checked before any call, and writes it all down for package remedy to make. Afterwards it audits again what the
// plan touched. It changes nothing itself.
package remediate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/awscall"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/remedy"
)

// Options say what to plan.
type Options struct {
	// Audit says whose accounts, which rules, and which jobs (its selection).
	Audit audit.Options
	// Findings, if not nil, are the only results to mend, by id; those that no longer fail are left.
	Findings map[string]posture.Result
	// MostChanges bounds the changes of a plan.
	MostChanges int
	// VPCs are the target of re-created jobs: in each region that has one of them, one private subnet of each zone. Or
	// Subnets. Groups are the security groups; without them the VPC's only one that is not the default.
	VPCs, Subnets, Groups []string
	// Keys are customer managed keys for jobs that had none, one for each region at most.
	Keys           []string
	KeepServiceKey bool
	// Role, if not "", takes the place of the jobs' role.
	Role          string
	IncludeFailed bool
	// Stop stops the running jobs that fail, instead of making them again.
	Stop bool
	// SwitchServing lets deployments and throughputs serve the new models, at the end.
	SwitchServing bool
	// MostLoss is by which part of the old loss a new one may be higher.
	MostLoss float64
	// Tags are values for the tags that rules require.
	Tags map[string]string
	// Where logs go, for the rules that want some.
	LogBucket          string
	FlowLogDestination string // ARN of a bucket or of a log group
	FlowLogRole        string
	InvocationBucket   string
	InvocationGroup    string
	InvocationRole     string
	Trail              string // name or ARN
}

// errNothing is a plan without a change.
var errNothing = errors.New("nothing to mend")

// planner makes one plan.
type planner struct {
	Options
	plan      *remedy.Plan
	read      *collect.Collection
	inventory *posture.Inventory
	steps     []phased
	taken     map[string]bool // names that the plan gives, by account, region and kind
	refusals  []string        // what keeps the plan from being made at all
	found     map[string]bool // subnets and groups that were named, and are in some region
}

// phased is a step with when it is made.
type phased struct {
	phase int
	step  remedy.Step
}

// The order of a plan: what makes the ground ready, the new jobs, waiting for them, what is said of them, what serves them.
const (
	phaseGround = iota
	phaseCreate
	phaseWait
	phaseRecord
	phaseServe
)

// Plan makes a plan. It fails if nothing can be mended as asked; a plan with refused checks is made, and cannot be applied.
func Plan(ctx context.Context, o Options) (*remedy.Plan, error) {
	if o.Findings != nil {
		o.Audit.Rules = slices.DeleteFunc(slices.Clone(o.Audit.Rules), func(r *posture.Rule) bool {
			for _, f := range o.Findings {
				if f.Rule == r.ID {
					return false
				}
			}
			return true
		})
	}
	o.Audit.Also = append(o.Audit.Also, also(o.Audit)...)
	o.Audit.Collect.FreshTags = true
	outcome, err := audit.Run(ctx, o.Audit)
	if err != nil {
		return nil, err
	}
	p := &planner{
		Options: o, read: outcome.Read, inventory: outcome.Read.Inventory, taken: map[string]bool{}, found: map[string]bool{},
		plan: &remedy.Plan{
			Schema: remedy.PlanSchema, Tool: o.Audit.Tool, Created: o.Audit.Collect.Now().UTC().Truncate(time.Second),
			Accounts: []remedy.Account{}, Changes: []remedy.Change{}, Checks: []remedy.Check{}, Cost: remedy.Cost{Known: true, Text: "nothing is made that costs"},
		},
	}
	if err := p.make(ctx, outcome.Report.Results); err != nil {
		return nil, err
	}
	return p.plan, nil
}

// also are the reads, besides those of rules, for mending by a new job and for choosing jobs: a model's job, and where the
// data is.
func also(o audit.Options) []string {
	if len(o.Selection.Jobs) == 0 && !slices.ContainsFunc(o.Rules, func(r *posture.Rule) bool { return slices.Contains(recreates(), r.ID) }) {
		return nil
	}
	return []string{"bedrock:ListModelCustomizationJobs", getJob, "bedrock:GetCustomModel", "s3:HeadBucket"}
}

func (p *planner) make(ctx context.Context, results []posture.Result) error {
	results = p.chosen(results)
	if slices.ContainsFunc(results, func(r posture.Result) bool { return slices.Contains(recreates(), r.Rule) }) {
		p.read.ReadServing(ctx)
	}
	for _, job := range jobsOf(p.inventory, results) {
		if err := p.job(ctx, job); err != nil {
			return err
		}
	}
	if p.Stop {
		for i := range results {
			if results[i].Type != posture.TypeJob && !p.planned(&results[i]) {
				p.leave(&results[i], "--action stop stops jobs, and mends nothing")
			}
		}
	} else if err := p.others(ctx, results); err != nil {
		return err
	}
	p.allNamed()
	switch {
	case len(p.refusals) > 0:
		return errors.New(strings.Join(p.refusals, "\n"))
	case len(p.plan.Changes) == 0:
		return p.nothing()
	case slices.ContainsFunc(p.plan.Changes, func(c remedy.Change) bool {
		return !slices.ContainsFunc(p.steps, func(s phased) bool { return s.step.Change == c.ID })
	}):
		return errors.New("a change has no step: this is a defect of the planner, please report it")
	case len(p.plan.Changes) > p.MostChanges:
		return fmt.Errorf("the plan has %d changes, more than --max-changes %d: choose fewer with --job or --rule, or allow more", len(p.plan.Changes), p.MostChanges)
	}
	p.order()
	p.accounts()
	p.served()
	p.settles(ctx)
	return nil
}

// allNamed refuses subnets and groups that were named and that no region with a change has.
func (p *planner) allNamed() {
	if !slices.ContainsFunc(p.plan.Changes, func(c remedy.Change) bool { return c.Class == remedy.Recreate }) {
		return
	}
	for _, id := range slices.Concat(p.Subnets, p.Groups) {
		if !p.found[id] {
			p.refuse("NoTargetNetwork", "%s is in no region where a job is made again", id)
		}
	}
}

func (p *planner) nothing() error {
	for _, wanted := range p.Audit.Selection.Jobs {
		if !p.known(wanted) {
			return fmt.Errorf("%w: there is no job %s in what was read", errNothing, wanted)
		}
	}
	if len(p.plan.Left) == 0 {
		return fmt.Errorf("%w: no finding of the chosen rules fails", errNothing)
	}
	var why []string
	for _, l := range p.plan.Left {
		why = append(why, l.Rule+" "+l.Resource+": "+l.Why)
	}
	return fmt.Errorf("%w:\n%s", errNothing, strings.Join(why, "\n"))
}

// known says that a job, by name or ARN, was read.
func (p *planner) known(job string) bool {
	for _, a := range p.inventory.Accounts {
		for _, r := range a.Regions {
			if !r.Jobs.Collected || slices.ContainsFunc(r.Jobs.Items, func(j *posture.Job) bool { return j.Name == job || j.ARN == job }) {
				return true
			}
		}
	}
	return false
}

// chosen are the results to mend: those that fail. What is not known is left, and said.
func (p *planner) chosen(results []posture.Result) []posture.Result {
	var failing []posture.Result
	seen := map[string]bool{}
	for _, r := range results {
		if p.Findings != nil {
			if _, wanted := p.Findings[r.ID]; !wanted {
				continue
			}
			seen[r.ID] = true
		}
		switch {
		case r.Status == posture.Fail && !r.Gap:
			failing = append(failing, r)
		case r.Status == posture.Error && !r.Accepted, p.Findings != nil:
			p.leave(&r, "it is %s now: %s", r.Status, r.Message)
		case r.Status == posture.NotApplicable && p.unserved(&r):
			p.leave(&r, "%s", r.Message)
		}
	}
	for id, f := range p.Findings {
		if !seen[id] {
			f.ID = id
			p.leave(&f, "the audit of now has no such result")
		}
	}
	return failing
}

// unserved says that the endpoint does not serve what the rule of a result reads: it may fail, and nobody can tell.
func (p *planner) unserved(r *posture.Result) bool {
	rule, ok := p.Audit.Pack.Rule(r.Rule)
	return ok && slices.Contains(Mends(), r.Rule) && slices.ContainsFunc(rule.AllReads(), func(operation string) bool { return !p.read.Serves(r.Account, operation) })
}

// passes says that a resource passes a rule, whichever results were chosen.
func (p *planner) passes(rule, resource string) bool {
	all, err := p.Audit.Pack.Select()
	return err == nil && slices.ContainsFunc(posture.Evaluate(p.inventory, all, p.Audit.Rules), func(r posture.Result) bool {
		return r.Rule == rule && r.Resource == resource && r.Status == posture.Pass
	})
}

func (p *planner) leaveAll(results []posture.Result, format string, args ...any) {
	for i := range results {
		p.leave(&results[i], format, args...)
	}
}

func (p *planner) leave(r *posture.Result, format string, args ...any) {
	resource := r.Rule
	if r.Identity != nil {
		resource = r.Resource
	}
	p.plan.Left = append(p.plan.Left, remedy.Left{Finding: r.ID, Rule: r.Rule, Resource: resource, Why: fmt.Sprintf(format, args...)})
}

// refuse notes what the operator must say before there can be a plan.
func (p *planner) refuse(code, format string, args ...any) {
	line := code + ": " + fmt.Sprintf(format, args...)
	if !slices.Contains(p.refusals, line) {
		p.refusals = append(p.refusals, line)
	}
}

// order puts the steps into their order.
func (p *planner) order() {
	slices.SortStableFunc(p.steps, func(a, b phased) int { return a.phase - b.phase })
	for _, s := range p.steps {
		p.plan.Steps = append(p.plan.Steps, s.step)
	}
	slices.SortFunc(p.plan.Left, func(a, b remedy.Left) int {
		return strings.Compare(a.Rule+a.Resource+a.Finding, b.Rule+b.Resource+b.Finding)
	})
}

func (p *planner) accounts() {
	for _, a := range p.inventory.Accounts {
		if slices.ContainsFunc(p.plan.Changes, func(c remedy.Change) bool { return c.Account == a.ID }) {
			p.plan.Accounts = append(p.plan.Accounts, remedy.Account{ID: a.ID, Partition: a.Partition, Endpoint: a.Foreign, Regions: regions(a), Endpoints: p.endpoints(a.ID)})
		}
	}
}

// endpoints are where an account's calls go.
func (p *planner) endpoints(account string) map[string]string {
	found := map[string]string{}
	for _, s := range p.plan.Steps {
		if s.Account != account {
			continue
		}
		reads, writes := s.Calls()
		for _, call := range slices.Concat(reads, writes) {
			service := awscall.Service(call)
			found[service] = endpointOf(p.read, account, p.plan.Steps[0].Region, service)
		}
	}
	return found
}

// settles refuses a step that cannot be told from one that was not made, because what must hold afterwards holds already.
func (p *planner) settles(ctx context.Context) {
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		if s.After == nil || strings.Contains(string(filled(s.After)), "${") {
			continue // it names what the step makes
		}
		holds, _, _, err := s.After.Holds(ctx, p.caller(s.Account, s.After.Region), func(string) (string, bool) { return "", false })
		if err == nil && holds {
			p.check("settles", s.Change, remedy.CheckRefused, "step %s: %s: it is so already", s.ID, s.After.Text)
		}
	}
}

func regions(a *posture.Account) []string {
	var names []string
	for _, r := range a.Regions {
		names = append(names, r.Name)
	}
	return names
}

// served refuses what the endpoint says not to serve.
func (p *planner) served() {
	var lacks []string
	for _, s := range p.plan.Steps {
		reads, writes := s.Calls()
		for _, call := range slices.Concat(writes, reads) {
			if !p.read.Serves(s.Account, call) && !slices.Contains(lacks, call) {
				lacks = append(lacks, call)
				p.check("served", s.Change, remedy.CheckRefused, "the endpoint of account %s does not serve %s", s.Account, call)
			}
		}
	}
}

func (p *planner) check(name, change, status, format string, args ...any) {
	p.plan.Checks = append(p.plan.Checks, remedy.Check{Name: name, Change: change, Status: status, Why: fmt.Sprintf(format, args...)})
}

// costs notes what a change costs. On a Cloister it is the user's own machine.
func (p *planner) costs(account, what string) {
	switch {
	case p.read.Cloister(account):
		if p.plan.Cost.Known {
			p.plan.Cost.Text = "nothing but the time of your own machine"
		}
	case p.plan.Cost.Known:
		p.plan.Cost = remedy.Cost{Text: "not known: " + what}
	case !strings.Contains(p.plan.Cost.Text, what):
		p.plan.Cost.Text += "; " + what
	}
}

// change begins a change.
func (p *planner) change(c remedy.Change) *remedy.Change {
	c.ID = strconv.Itoa(len(p.plan.Changes) + 1)
	p.plan.Changes = append(p.plan.Changes, c)
	return &p.plan.Changes[len(p.plan.Changes)-1]
}

// step adds a step to a change and returns its id.
func (p *planner) step(c *remedy.Change, phase int, s remedy.Step) string {
	n := 1
	for _, other := range p.steps {
		if other.step.Change == c.ID {
			n++
		}
	}
	s.ID, s.Change, s.Account = c.ID+"."+strconv.Itoa(n), c.ID, c.Account
	if s.Region == "" {
		s.Region = c.Region
	}
	for i := range s.Before {
		if s.Before[i].Region == "" {
			s.Before[i].Region = s.Region
		}
	}
	if s.After != nil && s.After.Region == "" {
		s.After.Region = s.Region
	}
	for i := range s.Undo {
		if when := s.Undo[i].When; when != nil && when.Region == "" {
			when.Region = s.Region
		}
	}
	p.steps = append(p.steps, phased{phase, s})
	return s.ID
}

// caller makes read calls in a region.
func (p *planner) caller(account, region string) *awscall.Client {
	return Client(p.read, account, region)
}

func findings(results []posture.Result) []remedy.Finding {
	var out []remedy.Finding
	for i := range results {
		out = append(out, remedy.Finding{ID: results[i].ID, Rule: results[i].Rule})
	}
	return out
}
