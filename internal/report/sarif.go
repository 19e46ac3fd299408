package report

import (
	"bufio"
	"cmp"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// sarifSchema names the schema of SARIF 2.1.0, OASIS standard with errata 01.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sarifResults is the most results that GitHub takes in one run (docs.github.com, "SARIF results exceed one or more
// limits", 2026-11); it keeps the first 5,000, so the worst come first.
const sarifResults = 25_000

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    *int               `json:"ruleIndex,omitempty"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Baseline     string             `json:"baselineState,omitempty"`
	Properties   sarifProperties    `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region struct {
		StartLine int `json:"startLine"`
	} `json:"region"`
}

type sarifLogical struct {
	Name     string `json:"name,omitempty"`
	FullName string `json:"fullyQualifiedName"`
	Kind     string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type sarifProperties struct {
	Tags     []string `json:"tags,omitempty"`
	Status   string   `json:"status"`
	Severity string   `json:"severity"`
	Account  string   `json:"account"`
	Region   string   `json:"region"`
	Change   string   `json:"change,omitempty"`
}

// writeSARIF writes one run. FAIL has its severity's level; ERROR is a note with the tag incomplete; MUTED and SUPERSEDED
// are suppressed; PASS and NOT_APPLICABLE have their kinds, and level none as the standard wants (3.27.10).
func writeSARIF(w *bufio.Writer, r *posture.Report) error {
	s := &stream{w: w}
	order := worstFirst(r)
	left := order[min(len(order), sarifResults):]
	order = order[:len(order)-len(left)]
	s.raw("{\n")
	s.member("$schema", sarifSchema)
	s.member("version", "2.1.0")
	s.raw("  \"runs\": [{\n")
	s.member("tool", map[string]any{"driver": map[string]any{
		"name": ansi.Visible(r.Tool.Name), "semanticVersion": semantic(r.Tool.Version), "version": ansi.Visible(r.Tool.Version), "rules": sarifRules(r),
	}})
	s.member("automationDetails", map[string]any{"id": "cloister-audit/"})
	s.member("invocations", []any{sarifInvocation(r, left)})
	s.member("columnKind", "utf16CodeUnits")
	index := map[string]int{}
	for i := range r.Rules {
		index[r.Rules[i].ID] = i
	}
	array(s, "  ", "results", sarifResultsOf(order, index), true)
	s.raw("  }]\n}\n")
	return s.err
}

// semantic is the version if it is a semantic one; SARIF has another member for others.
func semantic(version string) string {
	v := strings.TrimPrefix(ansi.Visible(version), "v")
	if strings.Count(v, ".") == 2 {
		return v
	}
	return "0.0.0"
}

// worstFirst lists all results: statuses as posture.Statuses has them, then the most severe; otherwise as in the report.
func worstFirst(r *posture.Report) []*posture.Result {
	list := make([]*posture.Result, len(r.Results))
	for i := range r.Results {
		list[i] = &r.Results[i]
	}
	statuses := posture.Statuses()
	slices.SortStableFunc(list, func(a, b *posture.Result) int {
		return cmp.Or(slices.Index(statuses, a.Status)-slices.Index(statuses, b.Status), b.Severity.Rank()-a.Severity.Rank())
	})
	return list
}

func sarifResultsOf(list []*posture.Result, index map[string]int) iter.Seq[*sarifResult] {
	return func(yield func(*sarifResult) bool) {
		for _, one := range list {
			if !yield(sarifResultOf(one, index)) {
				return
			}
		}
	}
}

func sarifResultOf(one *posture.Result, index map[string]int) *sarifResult {
	out := &sarifResult{
		RuleID: ansi.Visible(one.Rule), Kind: "fail", Level: sarifLevel(one.Severity), Message: sarifText{Text: sarifMessage(one.Message)},
		Fingerprints: map[string]string{"cloisterResult/v1": ansi.Visible(one.ID)},
		Baseline:     sarifBaseline(one.Change),
		Properties: sarifProperties{
			Status: string(one.Status), Severity: string(one.Severity), Account: ansi.Visible(one.Account), Region: ansi.Visible(one.Region),
			Change: ansi.Visible(one.Change),
		},
	}
	if i, ok := index[one.Rule]; ok {
		out.RuleIndex = &i
	}
	location := sarifLocation{Logical: []sarifLogical{{Name: ansi.Visible(one.Name), FullName: ansi.Visible(one.Resource), Kind: "resource"}}}
	location.Physical.Artifact.URI = pseudoPath(one)
	location.Physical.Region.StartLine = 1
	out.Locations = []sarifLocation{location}
	switch one.Status {
	case posture.Error:
		out.Level, out.Properties.Tags = "note", []string{"incomplete"}
	case posture.Pass:
		out.Kind, out.Level = "pass", "none"
	case posture.NotApplicable:
		out.Kind, out.Level = "notApplicable", "none"
	case posture.Muted:
		why := "muted"
		if one.Mute != nil {
			why = "muted until " + one.Mute.Expires + " by " + one.Mute.Owner + ": " + one.Mute.Reason
		}
		out.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: sarifMessage(why)}}
	case posture.Superseded:
		out.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: sarifMessage("superseded by " + one.SupersededBy)}}
	default:
	}
	return out
}

// sarifMessage is text in a message: viewers make links of [text](target) there (3.11.6), which a name shall not.
func sarifMessage(s string) string {
	if s == "" {
		return "-" // a message may not be empty
	}
	return strings.ReplaceAll(ansi.Visible(s), "](", "] (")
}

// pseudoPath is where a viewer that knows only files shows a result: aws/ACCOUNT/REGION/TYPE/NAME, percent-encoded.
func pseudoPath(one *posture.Result) string {
	parts := []string{"aws"}
	for _, part := range []string{one.Account, one.Region, one.Type, resourceName(one)} {
		part = ansi.Visible(part)
		if strings.Trim(part, ".") == "" {
			part = "_" + part // an empty segment, "." and ".." would be another path
		}
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

func sarifLevel(s posture.Severity) string {
	switch s {
	case posture.Extreme, posture.VeryHigh, posture.High:
		return "error"
	case posture.Medium:
		return "warning"
	default:
		return "note"
	}
}

// securitySeverity is GitHub's number for a severity: above 9.0 critical, from 7.0 high, from 4.0 medium.
func securitySeverity(s posture.Severity) string {
	switch s {
	case posture.Extreme:
		return "9.5"
	case posture.VeryHigh:
		return "8.5"
	case posture.High:
		return "7.0"
	case posture.Medium:
		return "5.0"
	default:
		return "2.0"
	}
}

func sarifBaseline(change string) string {
	switch change {
	case "new":
		return "new"
	case "same":
		return "unchanged"
	case "":
		return ""
	default:
		return "updated"
	}
}

func sarifInvocation(r *posture.Report, left []*posture.Result) map[string]any {
	complete := true
	notes := []any{}
	note := func(level, text string) {
		notes = append(notes, map[string]any{"level": level, "message": sarifText{Text: sarifMessage(text)}})
	}
	note("note", "Evaluated "+evaluated(r))
	for _, status := range posture.Statuses() {
		n := 0
		for _, one := range left {
			if one.Status == status {
				n++
			}
		}
		if n > 0 {
			note("warning", "left out, because a run holds at most "+thousands(sarifResults)+" results: "+thousands(n)+" "+string(status))
		}
	}
	for i := range r.Coverage.Unread {
		u := &r.Coverage.Unread[i]
		level := "warning"
		if u.Accepted {
			level = "note"
		}
		complete = complete && u.Accepted
		note(level, strings.Join([]string{"unread:", u.Action, u.Account, u.Region, u.Code, u.RequestID, "-", plural(u.Calls, "call") + ",", plural(u.Results, "result")}, " "))
	}
	for _, text := range r.Notes {
		note("note", text)
	}
	for _, text := range r.Assumptions {
		note("note", "assumption: "+text)
	}
	end := r.Started.Add(time.Duration(r.Seconds * float64(time.Second)))
	return map[string]any{
		"executionSuccessful": complete, "startTimeUtc": sarifTime(r.Started), "endTimeUtc": sarifTime(end), "toolExecutionNotifications": notes,
	}
}

func sarifTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
