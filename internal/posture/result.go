package posture

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ReportSchema names the format of a saved report; schema/report.json in package report describes it.
const ReportSchema = "cloister.audit/1"

// Report is one audit, complete: every output format is made from it alone. Saved as JSON.
type Report struct {
	Schema string `json:"schema"`
	Tool   Tool   `json:"tool"`
	// Started is when the audit began; rules compare ages with it.
	Started time.Time `json:"started"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// Calls is how many requests were sent.
	Calls int `json:"calls"`
	// Coverage opens every report that has a beginning.
	Coverage Coverage        `json:"coverage"`
	Accounts []AccountReport `json:"accounts"`
	// Assumptions are layers that a member account cannot read and that only restrict, such as SCPs.
	Assumptions []string `json:"assumptions"`
	// Hidden counts the results that a choice of statuses left out; coverage counts them.
	Hidden map[Status]int `json:"hidden,omitempty"`
	// Notes are things the operator should know: expired, unused and malformed mutes, unused accepted gaps.
	Notes []string     `json:"notes"`
	Rules []RuleReport `json:"rules"`
	// Results are sorted: worst status, highest severity, rule, account, region, resource.
	Results []Result `json:"results"`
	// Jobs is the picture: each job with what it touches.
	Jobs []JobReport `json:"jobs"`
}

// Tool says what made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// AccountReport is one account of a report.
type AccountReport struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Partition string `json:"partition"`
	// Status is "read", "suspended" (listed, not read) or "error" (its credentials could not be had).
	Status  string         `json:"status"`
	Error   *Unread        `json:"error,omitempty"`
	Regions []RegionReport `json:"regions"`
}

// RegionReport is one region of an account.
type RegionReport struct {
	Name string `json:"name"`
	// Status is "read", "incomplete" or "not-applicable" (Bedrock does not exist there).
	Status string `json:"status"`
	Jobs   int    `json:"jobs"`
	Models int    `json:"models"`
	// Unread counts the calls that were not answered.
	Unread int `json:"unread"`
}

// Coverage says how much of the audit was really evaluated.
type Coverage struct {
	// Evaluated counts results that are not ERROR, Total all.
	Evaluated int `json:"evaluated"`
	Total     int `json:"total"`
	// Unread groups what was not read.
	Unread []UnreadReport `json:"unread"`
}

// UnreadReport is one kind of failed read.
type UnreadReport struct {
	Operation string `json:"operation"`
	// Action is the IAM action that the operation needs.
	Action  string `json:"action"`
	Account string `json:"account"`
	Region  string `json:"region,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
	// RequestID is that of the first such call.
	RequestID string `json:"requestId,omitempty"`
	// Calls counts the failed calls, Results the results that are ERROR for them.
	Calls   int `json:"calls"`
	Results int `json:"results"`
	// Accepted says that the accepted-gaps file names it: it does not make the audit incomplete.
	Accepted bool `json:"accepted,omitempty"`
}

// RuleReport is a rule as reports print it, with the effective severity and settings.
type RuleReport struct {
	Metadata
	Effective map[string]any `json:"effectiveSettings,omitempty"`
}

// Result is one rule's verdict on one resource.
type Result struct {
	// ID is the hash of rule, partition, account, region, resource and discriminator: stable between audits.
	ID       string   `json:"id"`
	Rule     string   `json:"rule"`
	Version  int      `json:"ruleVersion"`
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	// Accepted says of an ERROR that the accepted-gaps file names all that it lacks.
	Accepted bool `json:"accepted,omitempty"`
	// Identity is what was judged; the results of a resource share it.
	*Identity
	Message string `json:"message"`
	// Evidence are the calls that the verdict rests on.
	Evidence []*Source `json:"evidence"`
	// Facts are the values that decided.
	Facts Facts `json:"facts,omitempty"`
	// Unread are the reads that an ERROR lacks.
	Unread []*Unread `json:"unread,omitempty"`
	// Commands are the CLI commands of the rule's audit steps, with the real names filled in.
	Commands []string `json:"commands,omitempty"`
	// Mute is the mute that turned FAIL into MUTED.
	Mute *MuteNote `json:"mute,omitempty"`
	// SupersededBy is the ARN of the compliant successor.
	SupersededBy string `json:"supersededBy,omitempty"`
	// Seen is when it was first seen; results may share it.
	*Seen
	// Change compares with the baseline: "new", "fixed", "regressed", "changed", "rule-changed", "same"; "" without one.
	Change string `json:"change,omitempty"`
}

// Identity is a resource that was judged, and what people choose results by. It is not changed.
type Identity struct {
	Partition string `json:"partition"`
	Account   string `json:"account"`
	// Region is "global" for what has none, such as buckets.
	Region string `json:"region"`
	// Resource is an ARN; Name what people call it; Type the kind, in CloudFormation's notation.
	Resource      string `json:"resource"`
	Name          string `json:"name"`
	Type          string `json:"type"`
	Discriminator string `json:"discriminator,omitempty"`
	// Gap says that the result stands for resources that could not be enumerated: no selection leaves it out.
	Gap bool `json:"gap,omitempty"`
	// Jobs are the names of the jobs through which the resource was found.
	Jobs []string          `json:"jobs,omitempty"`
	Tags map[string]string `json:"tags,omitempty"`
	// TagsUnread says that the resource may have tags: a selection by tag keeps it.
	TagsUnread bool `json:"tagsUnread,omitempty"`
}

// Seen are a result's dates. They come from the baseline; without one both are the audit's start. It is not changed.
type Seen struct {
	FirstSeen   time.Time `json:"firstSeen"`
	LastChanged time.Time `json:"lastChanged"`
}

// MuteNote is why a result is muted.
type MuteNote struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"`
}

// JobReport is one job with what it touches, for the picture job → network → key → buckets → role → model.
type JobReport struct {
	ARN        string   `json:"arn"`
	Name       string   `json:"name"`
	Account    string   `json:"account"`
	Region     string   `json:"region"`
	Status     string   `json:"status"`
	VPC        string   `json:"vpc,omitempty"`
	Subnets    []string `json:"subnets,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	Key        string   `json:"key,omitempty"`
	Training   string   `json:"training,omitempty"`
	Validation []string `json:"validation,omitempty"`
	Output     string   `json:"output,omitempty"`
	Role       string   `json:"role,omitempty"`
	Base       string   `json:"base,omitempty"`
	Model      string   `json:"model,omitempty"`
	// ServedBy are the deployments and provisioned throughputs that serve the model.
	ServedBy []string `json:"servedBy,omitempty"`
	// Unread says why the job's record is not known.
	Unread *Unread `json:"unread,omitempty"`
}

// ResultID makes the stable id of a result: "mc-" and 16 hexadecimal digits of a SHA-256 over the parts.
func ResultID(rule, partition, account, region, resource, discriminator string) string {
	text := make([]byte, 0, 512) // on the stack
	for i, part := range []string{rule, partition, account, region, resource, discriminator} {
		if i > 0 {
			text = append(text, 0)
		}
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	id := [19]byte{'m', 'c', '-'}
	hex.Encode(id[3:], sum[:8])
	return string(id[:])
}
