// Package posture is the auditor's judgement: an inventory of what model customization touches in AWS accounts, the
// rules that look at it, and the verdicts they reach. It is pure: it reads no network, no file and no clock, so that the
// same inventory always gives the same report. Package collect fills inventories; package report prints reports.
//
// The one thing to know: nothing that was not read counts as good. A rule reaches a value only through Need, which ends
// the rule as ERROR when the value was not read; All and Any combine parts of a rule in three-valued logic, so that a
// FAIL that is certain stays one though something else was unread (Kleene, 1952).
//
// The rules follow AWS's documentation of Amazon Bedrock model customization and the knowledge-base page "Protect Model
// Customization Jobs using a VPC"; each names its references in rules/*.yaml.
package posture

import "time"

// Source says where a datum came from: one call to an AWS API. Data of one call, and evidence, share it: it is not changed.
type Source struct {
	// Operation is service and operation, such as "bedrock:GetModelCustomizationJob".
	Operation string `json:"operation"`
	Account   string `json:"account"`
	// Region is where the call went; "" for none.
	Region string `json:"region,omitempty"`
	// RequestID is AWS's id of the request, if one came back.
	RequestID string `json:"requestId,omitempty"`
	// Resource is what was asked for, such as an ARN or a bucket's name; "" for listings.
	Resource string `json:"resource,omitempty"`
	// Page is the page of a listing, from 1; 0 for others.
	Page int       `json:"page,omitempty"`
	Time time.Time `json:"time,omitzero"`
	// Cached says that the answer is of an earlier audit: records of jobs that have ended, and of models, never change.
	Cached bool `json:"cached,omitempty"`
}

// Unread says why a datum is not known.
type Unread struct {
	Source
	// Code is AWS's error code, or one of ours: Timeout, NoSuchHost, Malformed, NotCollected.
	Code string `json:"code"`
	// Message is the service's own text, without control characters.
	Message string `json:"message,omitempty"`
}

// Codes of Unread that are not AWS's.
const (
	CodeNotCollected = "NotCollected" // the rule reads what it did not declare
	CodeNotChosen    = "NotChosen"    // of a region that the audit did not read
	CodeMalformed    = "Malformed"    // an answer that lacks a required member, or has an unknown value
	CodeTimeout      = "Timeout"
	CodeNoSuchHost   = "NoSuchHost"
)

type state int

const (
	notCollected state = iota
	known
	unread
	unserved
	gone
)

// Datum is a value of an account, or why it is not known. The zero Datum was not collected.
type Datum[T any] struct {
	value  T
	state  state
	source *Source // nil if it was not collected
	why    *Unread
}

// Known is a datum that was read. What is not configured is known too: a nil pointer, an empty map.
func Known[T any](value T, source *Source) Datum[T] {
	return Datum[T]{value: value, state: known, source: source}
}

// Missing is a datum that could not be read.
func Missing[T any](why *Unread) Datum[T] {
	return Datum[T]{state: unread, source: &why.Source, why: why}
}

// Unserved is a datum of an endpoint that says that it does not serve the operation.
func Unserved[T any](source *Source) Datum[T] {
	return Datum[T]{state: unserved, source: source}
}

// Gone is a datum of a thing that does not exist, such as the versioning of a bucket that nobody has: rules that need it
// do not apply. what says it, such as "the bucket does not exist".
func Gone[T any](source *Source, what string) Datum[T] {
	return Datum[T]{state: gone, source: source, why: &Unread{Source: *source, Message: what}}
}

// Read returns the value and true if the datum is known. Rules use Need; this is for reports and collectors.
func (d Datum[T]) Read() (T, bool) { return d.value, d.state == known }

// Why returns why the datum could not be read; nil if it is known, not served, gone or was not collected.
func (d Datum[T]) Why() *Unread {
	if d.state != unread {
		return nil
	}
	return d.why
}

// Source returns the call that read, or did not read, the datum; nil if nobody asked.
func (d Datum[T]) Source() *Source { return d.source }

// Collected says whether anybody tried to read the datum.
func (d Datum[T]) Collected() bool { return d.state != notCollected }

// List is what a listing found, complete or not.
type List[T any] struct {
	Items []T
	// Source is the listing's first call, made or not.
	Source Source
	// Pages are the calls that were answered.
	Pages []*Source
	// Why is set when the listing broke off: Items are those before.
	Why *Unread
	// NotServed is set when the endpoint says that it does not serve the operation: the list is empty.
	NotServed bool
	// Collected is false for a listing that nobody wanted.
	Collected bool
}
