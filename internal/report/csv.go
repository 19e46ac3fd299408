package report

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// csvHead names the columns. New ones are added at the end.
func csvHead() []string {
	return []string{
		"id", "status", "severity", "rule", "rule_version", "title", "account", "region", "type", "name", "resource",
		"discriminator", "message", "jobs", "tags", "facts", "unread", "accepted", "superseded_by", "mute_reason",
		"mute_owner", "mute_expires", "first_seen", "last_changed", "change",
	}
}

// writeCSV writes one result a line (RFC 4180, lines end in CR LF).
func writeCSV(w *bufio.Writer, r *posture.Report) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHead()); err != nil {
		return err
	}
	rules := rulesByID(r)
	for i := range r.Results {
		cells, err := csvCells(&r.Results[i], rules)
		if err != nil {
			return err
		}
		for c := range cells {
			cells[c] = guardCell(ansi.Visible(cells[c]))
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func csvCells(one *posture.Result, rules map[string]*posture.RuleReport) ([]string, error) {
	var title, facts string
	if rule := rules[one.Rule]; rule != nil {
		title = rule.Title
	}
	if len(one.Facts) > 0 {
		text, err := json.Marshal(one.Facts)
		if err != nil {
			return nil, err
		}
		facts = string(escapeJSON(nil, text))
	}
	unread := make([]string, len(one.Unread))
	for i, u := range one.Unread {
		unread[i] = u.Operation + " " + u.Code + " " + u.RequestID
	}
	mute := one.Mute
	if mute == nil {
		mute = &posture.MuteNote{}
	}
	return []string{
		one.ID, string(one.Status), string(one.Severity), one.Rule, strconv.Itoa(one.Version), title, one.Account,
		one.Region, one.Type, one.Name, one.Resource, one.Discriminator, one.Message, csvList(one.Jobs),
		csvList(tagList(one.Tags)), facts, csvList(unread), strconv.FormatBool(one.Accepted), one.SupersededBy,
		mute.Reason, mute.Owner, mute.Expires, csvTime(one.FirstSeen), csvTime(one.LastChanged), one.Change,
	}, nil
}

func csvTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// tagList is tags as KEY=VALUE, sorted, each half guarded by itself.
func tagList(tags map[string]string) []string {
	list := make([]string, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, guardCell(ansi.Visible(key))+"="+guardCell(ansi.Visible(tags[key])))
	}
	return list
}

func csvList(list []string) string { return strings.Join(list, "; ") }

// formula is the beginning of what a spreadsheet computes: =, +, - or @, also full-width, a tab or a carriage return, at
// the start of a cell, after spaces and double quotes, or after a semicolon, which divides cells where the comma is the decimal
// sign (OWASP, CSV Injection).
var formula = regexp.MustCompile("(^|;)([\\s\\p{Z}\"]*[=+\\-@\t\r＝＋－＠])")

// guardCell puts an apostrophe before what a spreadsheet would take for a formula: spreadsheets show it as text. Every cell
// goes through it, for names and tags may come from anybody who may create a resource.
func guardCell(s string) string { return formula.ReplaceAllString(s, "$1'$2") }
