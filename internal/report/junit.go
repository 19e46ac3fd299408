package report

import (
	"bufio"
	"encoding/xml"
	"strconv"
	"strings"

	"example.com/cloister/internal/ansi"
	"example.com/cloister/internal/posture"
)

// writeJUnit writes one testsuite a rule and one testcase a result. FAIL is a failure and ERROR an error; an ERROR that the
// accepted-gaps file names, MUTED, SUPERSEDED and NOT_APPLICABLE are skipped. Its reference is the schema that Jenkins and
// most readers follow, not any standard.
func writeJUnit(w *bufio.Writer, r *posture.Report) error {
	suites := suitesOf(r)
	var all tally
	for _, one := range suites {
		all.tests += one.tests
		all.failures += one.failures
		all.errors += one.errors
		all.skipped += one.skipped
	}
	x := &xmlWriter{w: w}
	x.raw(xml.Header)
	x.raw("<testsuites")
	x.attribute("name", r.Tool.Name+" audit")
	x.tally(all)
	x.attribute("time", strconv.FormatFloat(r.Seconds, 'f', 3, 64))
	x.raw(">\n")
	for _, one := range suites {
		x.suite(r, one)
	}
	x.raw("</testsuites>\n")
	return x.err
}

// tally is the counts that JUnit wants before the cases.
type tally struct{ tests, failures, errors, skipped int }

func (t *tally) add(one *posture.Result) {
	t.tests++
	switch verdict(one) {
	case "failure":
		t.failures++
	case "error":
		t.errors++
	case "skipped":
		t.skipped++
	}
}

// suite is a rule with its results.
type suite struct {
	tally
	rule    string
	title   string
	results []*posture.Result
}

// suitesOf groups results by rule: rules in the report's order, then those that the report does not describe. A rule
// without results has an empty suite, so that its absence is not taken for a pass.
func suitesOf(r *posture.Report) []*suite {
	var list []*suite
	by := map[string]*suite{}
	for i := range r.Rules {
		one := &suite{rule: r.Rules[i].ID, title: r.Rules[i].Title}
		by[one.rule] = one
		list = append(list, one)
	}
	for i := range r.Results {
		result := &r.Results[i]
		one := by[result.Rule]
		if one == nil {
			one = &suite{rule: result.Rule}
			by[result.Rule] = one
			list = append(list, one)
		}
		one.add(result)
		one.results = append(one.results, result)
	}
	return list
}

// verdict names the element inside a testcase; "" for a pass.
func verdict(one *posture.Result) string {
	switch one.Status {
	case posture.Fail:
		return "failure"
	case posture.Error:
		if one.Accepted {
			return "skipped"
		}
		return "error"
	case posture.Muted, posture.Superseded, posture.NotApplicable:
		return "skipped"
	default:
		return ""
	}
}

// xmlWriter writes XML 1.0. Visible keeps characters out that XML 1.0 forbids; U+FFFE and U+FFFF are among them.
type xmlWriter struct {
	w   *bufio.Writer
	err error
}

func (x *xmlWriter) raw(s string) {
	if x.err == nil {
		_, x.err = x.w.WriteString(s)
	}
}

func (x *xmlWriter) text(s string) {
	if x.err == nil {
		x.err = xml.EscapeText(x.w, []byte(ansi.Visible(s)))
	}
}

func (x *xmlWriter) attribute(name, value string) {
	x.raw(" " + name + `="`)
	x.text(value)
	x.raw(`"`)
}

func (x *xmlWriter) tally(t tally) {
	x.attribute("tests", strconv.Itoa(t.tests))
	x.attribute("failures", strconv.Itoa(t.failures))
	x.attribute("errors", strconv.Itoa(t.errors))
	x.attribute("skipped", strconv.Itoa(t.skipped))
}

func (x *xmlWriter) suite(r *posture.Report, one *suite) {
	x.raw("  <testsuite")
	x.attribute("name", strings.TrimSpace(one.rule+" "+one.title))
	x.tally(one.tally)
	x.attribute("timestamp", r.Started.UTC().Format("2006-01-02T15:04:05"))
	x.attribute("time", "0")
	x.raw(">\n")
	for _, result := range one.results {
		x.testcase(result)
	}
	x.raw("  </testsuite>\n")
}

func (x *xmlWriter) testcase(one *posture.Result) {
	x.raw("    <testcase")
	x.attribute("name", resourceName(one)+" ["+one.ID+"]")
	x.attribute("classname", one.Account+"."+one.Region+"."+one.Rule)
	x.attribute("time", "0")
	kind := verdict(one)
	if kind == "" {
		x.raw("/>\n")
		return
	}
	x.raw("><" + kind)
	x.attribute("message", skipReason(one))
	if kind == "skipped" {
		x.raw("/></testcase>\n")
		return
	}
	x.attribute("type", string(one.Severity))
	x.raw(">")
	x.text(one.Resource)
	x.raw("\n")
	for _, u := range one.Unread {
		x.text(unreadLine(u))
		x.raw("\n")
	}
	x.text(explain(one))
	x.raw("</" + kind + "></testcase>\n")
}

// skipReason is the message, with why a case is skipped before it.
func skipReason(one *posture.Result) string {
	switch {
	case one.Status == posture.Muted && one.Mute != nil:
		return "muted until " + one.Mute.Expires + " by " + one.Mute.Owner + " (" + one.Mute.Reason + "): " + one.Message
	case one.Status == posture.Superseded:
		return "superseded by " + one.SupersededBy + ": " + one.Message
	case one.Status == posture.NotApplicable:
		return "not applicable: " + one.Message
	case one.Status == posture.Error && one.Accepted:
		return "accepted gap: " + one.Message
	default:
		return one.Message
	}
}
