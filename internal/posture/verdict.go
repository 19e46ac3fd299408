package posture

import "fmt"

// Status is a rule's verdict on one resource.
type Status string

// The verdicts. Evaluate gives the first four; mutes and Supersede turn FAIL into the others.
const (
	Pass          Status = "PASS"
	Fail          Status = "FAIL"
	Error         Status = "ERROR"          // something that could change the verdict was not read
	NotApplicable Status = "NOT_APPLICABLE" // the rule has no meaning here
	Muted         Status = "MUTED"          // a FAIL under a mute that has not expired
	Superseded    Status = "SUPERSEDED"     // a FAIL of an immutable object whose compliant successor is proved
)

// Statuses lists the verdicts, worst first.
func Statuses() []Status { return []Status{Fail, Error, Superseded, Muted, Pass, NotApplicable} }

// Severity is how bad a FAIL is: the five risk levels of the knowledge base.
type Severity string

// The severities, from the mildest.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	VeryHigh Severity = "very-high"
	Extreme  Severity = "extreme"
)

// Severities lists the severities, from the mildest.
func Severities() []Severity { return []Severity{Low, Medium, High, VeryHigh, Extreme} }

// Rank orders severities: 1 for low to 5 for extreme, 0 for what is none.
func (s Severity) Rank() int {
	switch s {
	case Low:
		return 1
	case Medium:
		return 2
	case High:
		return 3
	case VeryHigh:
		return 4
	case Extreme:
		return 5
	default:
		return 0
	}
}

// Outcome is what a rule says of one resource.
type Outcome struct {
	Status Status
	// Message is one sentence that names what decided.
	Message string
	// Unread are the reads that are missing for a verdict; only with Error.
	Unread []*Unread
	// Facts are the values that decided, as they came from the API; JSON values.
	Facts Facts
	// Severity, if set, stands in for the rule's.
	Severity Severity
}

// Passed is a PASS.
func Passed(format string, args ...any) Outcome {
	return Outcome{Status: Pass, Message: fmt.Sprintf(format, args...)}
}

// Failed is a FAIL.
func Failed(format string, args ...any) Outcome {
	return Outcome{Status: Fail, Message: fmt.Sprintf(format, args...)}
}

// Skipped is a NOT_APPLICABLE.
func Skipped(format string, args ...any) Outcome {
	return Outcome{Status: NotApplicable, Message: fmt.Sprintf(format, args...)}
}

// With adds a fact, a JSON value, to a copy of the outcome; one of that name is replaced.
func (o Outcome) With(name string, value any) Outcome {
	o.Facts = o.Facts.with(name, value)
	return o
}
