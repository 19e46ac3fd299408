package report

import (
	"bufio"
	"io"
	"strings"

	"example.com/cloister/internal/posture"
)

// Bounds of Markdown. A comment on GitHub holds 65,536 characters, on GitLab a million; what does not fit is counted.
const (
	markdownBytes = 60_000
	// markdownOther is kept free for what follows the failures.
	markdownOther = 16_000
	// markdownCell is the most characters of one cell.
	markdownCell = 300
)

// document is Markdown that may not grow beyond its bound.
type document struct{ b strings.Builder }

func (d *document) say(parts ...string) {
	for _, part := range parts {
		d.b.WriteString(part)
	}
}

// table writes rows while they fit below a bound in bytes, and then how many did not.
func (d *document) table(head string, rows []string, bound int, left string) {
	columns := strings.Count(head, "|") - 1
	d.say(head + "\n" + strings.Repeat("|---", columns) + "|\n")
	for i, row := range rows {
		if d.b.Len()+len(row) > bound {
			d.say("\n… and ", plural(len(rows)-i, "more "+left), ", which do not fit here.\n")
			return
		}
		d.say(row)
	}
}

// items writes a list as table does.
func (d *document) items(title string, list []string, bound int) {
	if len(list) == 0 {
		return
	}
	d.say("\n### " + title + "\n\n")
	for i, one := range list {
		line := "- " + mdText(shorten(one)) + "\n"
		if d.b.Len()+len(line) > bound {
			d.say("- … and ", thousands(len(list)-i), " more\n")
			return
		}
		d.say(line)
	}
}

func writeMarkdown(w *bufio.Writer, r *posture.Report) error {
	d := &document{}
	c := countsOf(r)
	var heads []string
	for _, status := range posture.Statuses() {
		if c[status] > 0 {
			heads = append(heads, thousands(c[status])+" "+strings.ReplaceAll(string(status), "_", " "))
		}
	}
	if len(heads) == 0 {
		heads = []string{"nothing to judge"}
	}
	d.say("## Cloister audit: " + strings.Join(heads, ", ") + "\n\n**Evaluated " + evaluated(r) + "**")
	if operations := unreadOperations(r); len(operations) > 0 {
		d.say("; unread: " + mdText(few(operations)))
	}
	d.say("\n")

	const left = markdownBytes - markdownOther
	if fails := byStatus(r, posture.Fail); len(fails) > 0 {
		d.say("\n### FAIL\n\n")
		d.table("| Severity | Rule | Resource | Account, region | What | Finding |", markdownFails(r, fails), left, "failure")
		d.say("\nHow to mend one: `cloister audit explain RULE --finding FINDING`\n")
	}
	if list, rest := missing(r); len(list) > 0 || len(rest) > 0 {
		d.say("\n### ERROR: not judged, because a call was not answered\n\n")
		d.table("| Code | Action | Account, region | Request | Calls | Results |", markdownMissing(list, rest), left+6_000, "group")
	}
	d.items("Notes", r.Notes, left+9_000)
	d.items("Assumptions", r.Assumptions, left+12_000)
	d.say("\n<details><summary>Accounts and regions</summary>\n\n")
	d.table("| Account | Status | Region | Jobs | Models | Unread calls |", markdownAccounts(r), markdownBytes-500, "region")
	d.say("\n</details>\n\n" + mdText(r.Tool.Name+" "+r.Tool.Version+", "+stamp(r.Started)) + "\n")
	_, err := io.WriteString(w, d.b.String())
	return err
}

func markdownFails(r *posture.Report, fails []*posture.Result) []string {
	rules := rulesByID(r)
	var rows []string
	size := 0
	for _, one := range fails {
		if size > markdownBytes {
			rows = append(rows, "") // it is only counted
			continue
		}
		rule := mdCode(one.Rule)
		if known := rules[one.Rule]; known != nil {
			rule += " " + mdText(shorten(known.Title))
		}
		row := markdownRow(mdText(string(one.Severity)), rule, mdCode(shorten(resourceName(one))),
			mdCode(one.Account+" "+one.Region), mdText(shorten(one.Message)), mdCode(one.ID))
		size += len(row)
		rows = append(rows, row)
	}
	return rows
}

func markdownMissing(list []missed, rest []*posture.Result) []string {
	var rows []string
	for _, m := range list {
		code := mdCode(m.Code)
		if m.Accepted {
			code += " (accepted gap)"
		}
		rows = append(rows, markdownRow(code, mdCode(m.Action), mdCode(strings.TrimSpace(m.Account+" "+m.Region)),
			mdCode(m.RequestID), thousands(m.Calls), thousands(m.Results)))
	}
	for _, one := range rest {
		rows = append(rows, markdownRow(mdText(shorten(one.Message)), mdCode(one.Rule),
			mdCode(one.Account+" "+one.Region), "", "", mdCode(one.ID)))
	}
	return rows
}

func markdownAccounts(r *posture.Report) []string {
	var rows []string
	for _, a := range r.Accounts {
		account := mdCode(shorten(strings.TrimSpace(a.ID + " " + a.Name)))
		if len(a.Regions) == 0 {
			status := a.Status
			if a.Error != nil {
				status += ": " + a.Error.Operation + " " + a.Error.Code
			}
			rows = append(rows, markdownRow(account, mdText(shorten(status)), "", "", "", ""))
		}
		for _, region := range a.Regions {
			rows = append(rows, markdownRow(account, mdText(region.Status), mdCode(region.Name), thousands(region.Jobs),
				thousands(region.Models), thousands(region.Unread)))
		}
	}
	return rows
}

func markdownRow(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }
