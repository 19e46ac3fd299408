package report

import (
	"slices"
	"strconv"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// counts is how many results have each verdict, with those that a choice of statuses hides.
type counts map[posture.Status]int

func countsOf(r *posture.Report) counts {
	c := counts{}
	for status, n := range r.Hidden {
		c[status] += n
	}
	for i := range r.Results {
		c[r.Results[i].Status]++
	}
	return c
}

// byStatus lists the results of a verdict, the most severe first, then by rule; otherwise as the report has them. The
// pointers are into the report.
func byStatus(r *posture.Report, status posture.Status) []*posture.Result {
	var list []*posture.Result
	for i := range r.Results {
		if r.Results[i].Status == status {
			list = append(list, &r.Results[i])
		}
	}
	slices.SortStableFunc(list, func(a, b *posture.Result) int {
		if d := b.Severity.Rank() - a.Severity.Rank(); d != 0 {
			return d
		}
		return strings.Compare(a.Rule, b.Rule)
	})
	return list
}

// rulesByID finds rules of a report. A result of a rule that the report lacks is printed without title.
func rulesByID(r *posture.Report) map[string]*posture.RuleReport {
	m := make(map[string]*posture.RuleReport, len(r.Rules))
	for i := range r.Rules {
		m[r.Rules[i].ID] = &r.Rules[i]
	}
	return m
}

// missed pairs a failed read of the coverage with the rules whose results lack it.
type missed struct {
	*posture.UnreadReport
	Rules []string
}

// missing lists the failed reads, those that are not accepted first, each with the rules that lack it; rest are ERROR
// results that name none of them.
func missing(r *posture.Report) (list []missed, rest []*posture.Result) {
	type key struct{ operation, account, region, code string }
	at := map[key]int{}
	for i := range r.Coverage.Unread {
		u := &r.Coverage.Unread[i]
		at[key{u.Operation, u.Account, u.Region, u.Code}] = len(list)
		list = append(list, missed{UnreadReport: u})
	}
	for i := range r.Results {
		one := &r.Results[i]
		if one.Status != posture.Error {
			continue
		}
		found := false
		for _, u := range one.Unread {
			n, ok := at[key{u.Operation, u.Account, u.Region, u.Code}]
			if !ok {
				continue
			}
			found = true
			if !slices.Contains(list[n].Rules, one.Rule) {
				list[n].Rules = append(list[n].Rules, one.Rule)
			}
		}
		if !found {
			rest = append(rest, one)
		}
	}
	for i := range list {
		slices.Sort(list[i].Rules)
	}
	slices.SortStableFunc(list, func(a, b missed) int {
		switch {
		case a.Accepted == b.Accepted:
			return 0
		case b.Accepted:
			return -1
		default:
			return 1
		}
	})
	return list, rest
}

// plural is "1 result", "12 results".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands is n with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent is part of whole in per cent with one decimal, cut, never rounded up to 100.
func percent(part, whole int) string {
	if whole == 0 {
		return "nothing"
	}
	tenths := part * 1000 / whole
	if tenths%10 == 0 {
		return strconv.Itoa(tenths/10) + " %"
	}
	return strconv.Itoa(tenths/10) + "." + strconv.Itoa(tenths%10) + " %"
}

// resourceName is what people call the resource: its name, or else its ARN.
func resourceName(one *posture.Result) string {
	if one.Name != "" {
		return one.Name
	}
	return one.Resource
}

// explain is the command that shows how a result came about and how to mend it, given the saved report.
func explain(one *posture.Result) string {
	return "cloister audit explain " + shellWord(one.Rule) + " --finding " + shellWord(one.ID) + " --from report.json"
}

// shellWord is s as one word of a shell: as it is if nothing in it means anything there. It stops a forged report from
// making a command that does something else when people copy it.
func shellWord(s string) string {
	harmless := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
	if harmless {
		return s
	}
	return "'" + strings.ReplaceAll(ansi.Visible(s), "'", `'\''`) + "'"
}
