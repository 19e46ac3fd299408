package posture

import (
	"fmt"
	"slices"
	"strings"

	"example.com/cloister/internal/policy"
)

// Selection says which results to show. Zero fields select everything. What stands for resources that could not be
// enumerated is always selected, and so is, by tag, a resource whose tags were not read.
type Selection struct {
	Severities []Severity
	Statuses   []Status
	Jobs       []string          // names or ARNs of jobs
	Tags       map[string]string // all must match
}

// Apply keeps the results that are selected. If nothing is left out it returns results itself.
func (s Selection) Apply(results []Result) []Result {
	if len(s.Severities)+len(s.Statuses)+len(s.Jobs)+len(s.Tags) == 0 {
		return results
	}
	var out []Result
	for i := range results {
		if s.selects(&results[i]) {
			out = append(out, results[i])
		}
	}
	return out
}

func (s Selection) selects(r *Result) bool {
	if len(s.Severities) > 0 && !slices.Contains(s.Severities, r.Severity) {
		return false
	}
	if len(s.Statuses) > 0 && !slices.Contains(s.Statuses, r.Status) {
		return false
	}
	if r.Gap { // what it stands for may be selected
		return true
	}
	if len(s.Jobs) > 0 && !slices.ContainsFunc(s.Jobs, func(job string) bool {
		return job == r.Resource || slices.Contains(r.Jobs, job) || slices.Contains(r.Jobs, nameOfJob(job))
	}) {
		return false
	}
	for key, value := range s.Tags {
		if r.TagsUnread {
			break
		}
		if have, ok := r.Tags[key]; !ok || value != "" && have != value {
			return false
		}
	}
	return true
}

func nameOfJob(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// Choose picks rules of the pack: by names (ids or aliases), groups (JOB, NET…) and frameworks; excluded ones are left out.
func (p *Pack) Choose(names, excluded, groups, frameworks []string) ([]*Rule, error) {
	chosen, err := p.Select(names...)
	if err != nil {
		return nil, err
	}
	var without []*Rule
	if len(excluded) > 0 {
		if without, err = p.Select(excluded...); err != nil {
			return nil, err
		}
	}
	chosen = slices.DeleteFunc(chosen, func(r *Rule) bool {
		group := len(groups) == 0 || slices.ContainsFunc(groups, func(g string) bool { return strings.EqualFold(g, r.Group()) })
		framework := len(frameworks) == 0 || slices.ContainsFunc(frameworks, func(f string) bool { return len(r.Maps[f]) > 0 })
		return slices.Contains(without, r) || !group || !framework
	})
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no rule is left: rules %v, groups %v, frameworks %v, without %v", names, groups, frameworks, excluded)
	}
	return chosen, nil
}

// matches is an anchored match with * and ?: the whole of s must match. An empty pattern matches everything.
func matches(pattern, s string) bool {
	return pattern == "" || policy.Glob(pattern, s)
}
