package posture

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Assumptions are the layers that an audit with a member account's credentials cannot see. They only restrict: none of them
// makes a FAIL out of a PASS in AWS, but they may make a FAIL harmless.
func Assumptions() []string {
	return []string{
		"Service control policies of the organization were not read: they may forbid what a finding warns of.",
		"Resource control policies of the organization were not read: they may forbid what a finding warns of.",
		"VPC Block Public Access was not read: it may close a route to the internet that a finding names.",
	}
}

// Assemble makes a report of an inventory and its results. Settings, mutes and baselines have been applied to the results,
// which become the report's: they are large.
func Assemble(inventory *Inventory, results []Result, rules []*Rule, tool Tool, calls int, took time.Duration, notes []string) *Report {
	r := &Report{
		Schema: ReportSchema, Tool: tool, Started: inventory.Time, Seconds: float64(took.Milliseconds()) / 1000, Calls: calls,
		Assumptions: Assumptions(), Notes: append([]string{}, notes...), Results: results, Jobs: []JobReport{},
	}
	if r.Results == nil {
		r.Results = []Result{} // in JSON a list
	}
	for _, rule := range rules {
		r.Rules = append(r.Rules, rule.Report())
	}
	for _, a := range inventory.Accounts {
		if a.Foreign != "" {
			note := "account " + a.ID + " was read at " + a.Foreign + ", which is not AWS"
			if len(a.Unserved) > 0 {
				note += "; it says that it does not serve " + strings.Join(a.Unserved, ", ")
			}
			r.Notes = append(r.Notes, note)
		}
		r.Accounts = append(r.Accounts, accountReport(a))
		for _, region := range a.Regions {
			for _, j := range region.Jobs.Items {
				r.Jobs = append(r.Jobs, jobReport(region, j))
			}
		}
		if a.Status == "error" {
			r.Rules, r.Results = withAccountError(r.Rules, r.Results, a, inventory.Time)
		}
	}
	SortResults(r.Results)
	r.Coverage = coverage(r.Results)
	return r
}

// AccountRule is the id under which an account whose credentials could not be had is an ERROR. It has no logic.
const AccountRule = "MC-ACC-000"

func accountRule() Metadata {
	return Metadata{ //nolint:gosec // PassWhen is no password
		ID: AccountRule, Version: 1, Title: "Account is readable", Severity: Low, Obligation: "generally tolerable", Pillar: "security",
		Resource: "AWS::Organizations::Account", Needs: "api", Rationale: "An account whose role cannot be assumed is not audited at all.",
		PassWhen: "Never: an account that is readable has results of its own.", FailWhen: "Never: what is not read is an ERROR.",
		Fix: FixInfo{Class: "M"}, Reviewed: "2026-11-25",
	}
}

func withAccountError(rules []RuleReport, results []Result, a *Account, now time.Time) ([]RuleReport, []Result) {
	if !slices.ContainsFunc(rules, func(r RuleReport) bool { return r.ID == AccountRule }) {
		rules = append(rules, RuleReport{Metadata: accountRule()})
	}
	arn := "arn:" + cmp.Or(a.Partition, "aws") + ":iam::" + a.ID + ":root"
	return rules, append(results, Result{
		ID: ResultID(AccountRule, a.Partition, a.ID, "global", arn, ""), Rule: AccountRule, Version: 1, Severity: Low, Status: Error,
		Identity: &Identity{Partition: a.Partition, Account: a.ID, Region: "global", Resource: arn, Name: cmp.Or(a.Name, a.ID), Type: "AWS::Organizations::Account"},
		Message:  unreadMessage(a.Error), Evidence: []*Source{&a.Error.Source}, Unread: []*Unread{a.Error}, Seen: &Seen{now, now},
	})
}

func accountReport(a *Account) AccountReport {
	out := AccountReport{ID: a.ID, Name: a.Name, Partition: a.Partition, Status: a.Status, Error: a.Error, Regions: []RegionReport{}}
	for _, r := range a.Regions {
		one := RegionReport{Name: r.Name, Status: "read", Jobs: len(r.Jobs.Items), Models: len(r.Models.Items), Unread: len(r.unreads())}
		switch {
		case r.NoBedrock:
			one.Status, one.Unread = "not-applicable", 0
		case one.Unread > 0:
			one.Status = "incomplete"
		}
		out.Regions = append(out.Regions, one)
	}
	return out
}

// unreads are the listings and records of the region that were not read.
func (r *Region) unreads() []*Unread {
	var found []*Unread
	add := func(why *Unread) {
		if why != nil && !slices.Contains(found, why) {
			found = append(found, why)
		}
	}
	for _, why := range []*Unread{r.Jobs.Why, r.Models.Why, r.Deployments.Why, r.Throughputs.Why, r.ImportJobs.Why, r.ImportedModels.Why, r.Copies.Why, r.Trails.Why, r.Interfaces.Why, r.Logging.Why()} {
		add(why)
	}
	for _, j := range r.Jobs.Items {
		add(j.Detail.Why())
		add(j.Tags.Why())
		add(j.Proof.Why())
	}
	for _, m := range r.Models.Items {
		add(m.Detail.Why())
		add(m.Tags.Why())
	}
	for _, j := range r.ImportJobs.Items {
		add(j.Detail.Why())
	}
	for _, m := range r.ImportedModels.Items {
		add(m.Detail.Why())
	}
	for _, id := range sortedKeys(r.Subnets) {
		add(r.Subnets[id].Why())
	}
	for _, id := range sortedKeys(r.Groups) {
		add(r.Groups[id].Why())
	}
	for _, id := range sortedKeys(r.VPCs) {
		v := r.VPCs[id]
		for _, why := range []*Unread{v.DNSSupport.Why(), v.DNSHostnames.Why(), v.RouteTables.Why, v.Endpoints.Why, v.FlowLogs.Why} {
			add(why)
		}
	}
	for _, ref := range sortedKeys(r.Keys) {
		k := r.Keys[ref]
		for _, why := range []*Unread{k.Detail.Why(), k.Rotation.Why(), k.Grants.Why} {
			add(why)
		}
	}
	for _, id := range sortedKeys(r.Bases) {
		add(r.Bases[id].Why())
	}
	for _, id := range sortedKeys(r.LogGroups) {
		add(r.LogGroups[id].Why())
	}
	for _, id := range sortedKeys(r.PrefixLists) {
		add(r.PrefixLists[id].Why())
		if list, ok := r.PrefixLists[id].Read(); ok && list != nil {
			add(list.Entries.Why)
		}
	}
	return found
}

func jobReport(r *Region, j *Job) JobReport {
	out := JobReport{ARN: j.ARN, Name: j.Name, Account: r.Account.ID, Region: r.Name, Status: j.Status, Unread: j.Detail.Why()}
	d, ok := j.Detail.Read()
	if !ok {
		return out
	}
	out.Status, out.Subnets, out.Groups, out.Key, out.Role, out.Base, out.Model = d.Status, d.Subnets, d.Groups, d.Key, d.Role, d.Base, d.Model
	out.Training, out.Validation, out.Output = cmp.Or(d.Training, d.LogsURI), d.Validation, d.Output
	for _, id := range d.Subnets {
		if subnet, ok := r.Subnets[id].Read(); ok && subnet != nil {
			out.VPC = subnet.VPC
			break
		}
	}
	if d.Model != "" {
		for _, v := range r.servedBy(d.Model) {
			out.ServedBy = append(out.ServedBy, v.ARN)
		}
	}
	return out
}

func coverage(results []Result) Coverage {
	c := Coverage{Total: len(results), Unread: []UnreadReport{}}
	type kind struct{ operation, account, region, code string }
	found := map[kind]*UnreadReport{}
	seen := map[*Unread]bool{}
	for i := range results {
		if results[i].Status != Error {
			c.Evaluated++
			continue
		}
		counted := map[kind]bool{}
		for _, u := range results[i].Unread {
			k := kind{u.Operation, u.Account, u.Region, u.Code}
			one, ok := found[k]
			if !ok {
				one = &UnreadReport{Operation: u.Operation, Action: ActionOf(u.Operation), Account: u.Account, Region: u.Region, Code: u.Code, Message: u.Message, RequestID: u.RequestID, Accepted: true}
				found[k] = one
			}
			if !seen[u] {
				seen[u] = true
				one.Calls++
			}
			if !counted[k] {
				counted[k] = true
				one.Results++
			}
			one.Accepted = one.Accepted && results[i].Accepted
		}
	}
	keys := slices.SortedFunc(maps.Keys(found), func(a, b kind) int {
		return cmp.Or(cmp.Compare(a.operation, b.operation), cmp.Compare(a.account, b.account), cmp.Compare(a.region, b.region), cmp.Compare(a.code, b.code))
	})
	for _, k := range keys {
		c.Unread = append(c.Unread, *found[k])
	}
	return c
}

// Show leaves only results of some statuses in the report, and counts what it leaves out. None leaves all.
func (r *Report) Show(statuses []Status) {
	if len(statuses) == 0 {
		return
	}
	r.Hidden = map[Status]int{}
	kept := []Result{}
	for i := range r.Results {
		if slices.Contains(statuses, r.Results[i].Status) {
			kept = append(kept, r.Results[i])
		} else {
			r.Hidden[r.Results[i].Status]++
		}
	}
	r.Results = kept
	if n := len(r.Results); n < r.Coverage.Total {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of %d results are shown: those with the statuses that were asked for", n, r.Coverage.Total))
	}
}

// ExitCode is what an audit ends with: 3 for an unmuted FAIL at or above failOn ("" for none), 4 for an ERROR outside the
// accepted gaps, else 0. 3 wins over 4.
func ExitCode(results []Result, failOn Severity) int {
	code := 0
	for i := range results {
		switch {
		case results[i].Status == Fail && failOn != "" && results[i].Severity.Rank() >= failOn.Rank():
			return 3
		case results[i].Status == Error && !results[i].Accepted:
			code = 4
		}
	}
	return code
}
