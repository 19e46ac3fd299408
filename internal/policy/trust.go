package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ServiceRequest is an AWS service asking to assume a role for a resource of its own.
type ServiceRequest struct {
	// Service is the asking service, such as "bedrock.amazonaws.com".
	Service string
	// SourceAccount and SourceARN are the values of aws:SourceAccount and aws:SourceArn, which protect
	// against the confused deputy.
	SourceAccount, SourceARN string
}

// assumeRole is the only action of the service's request.
const assumeRole = "sts:AssumeRole"

// EvaluateServiceTrust decides whether a trust policy lets a service assume the role. It evaluates what
// it fully understands and refuses, naming it, everything else: statements that could concern the
// service and use NotPrincipal, NotAction, or conditions on other keys or with other operators. It
// returns nil if the role may be assumed.
//
// Source: Bedrock User Guide, "Create a service role for model customization" (trust relationship);
// IAM User Guide, "The confused deputy problem".
func EvaluateServiceTrust(doc *Document, req ServiceRequest) error {
	allowed := false
	var mismatch error
	for i, s := range doc.Statements {
		concerns, err := s.concerns(req.Service)
		if err != nil {
			return fmt.Errorf("statement %d of the trust policy: %w", i+1, err)
		}
		if !concerns || !s.covers(assumeRole) {
			continue
		}
		ok, why, err := s.conditionsHold(req)
		if err != nil {
			return fmt.Errorf("statement %d of the trust policy: %w", i+1, err)
		}
		switch {
		case !ok:
			mismatch = fmt.Errorf("statement %d of the trust policy: %s", i+1, why)
		case !s.Allow:
			return fmt.Errorf("statement %d of the trust policy denies %s to %s", i+1, assumeRole, req.Service)
		default:
			allowed = true
		}
	}
	switch {
	case allowed:
		return nil
	case mismatch != nil:
		return mismatch
	}
	return fmt.Errorf("the trust policy does not allow %s to the service %s", assumeRole, req.Service)
}

// concerns reports whether the statement could apply to the service.
func (s Statement) concerns(service string) (bool, error) {
	if s.NotPrincipal != nil {
		return false, errors.New("NotPrincipal is not evaluated yet: name the principals")
	}
	if s.NotActions != nil {
		return false, errors.New("NotAction is not evaluated yet: name the actions")
	}
	return s.Principal.Any || slices.Contains(s.Principal.ByType["Service"], service), nil
}

// conditionsHold evaluates conditions on aws:SourceAccount and aws:SourceArn.
func (s Statement) conditionsHold(req ServiceRequest) (ok bool, why string, err error) {
	for _, c := range s.Conditions {
		var value string
		switch strings.ToLower(c.Key) {
		case "aws:sourceaccount":
			value = req.SourceAccount
		case "aws:sourcearn":
			value = req.SourceARN
		default:
			return false, "", fmt.Errorf("the condition key %s is not evaluated yet: use aws:SourceAccount and aws:SourceArn", c.Key)
		}
		match, negate, err := comparison(c.Operator)
		if err != nil {
			return false, "", err
		}
		hit := slices.ContainsFunc(c.Values, func(want string) bool { return match(want, value) })
		if hit == negate {
			return false, fmt.Sprintf("its condition %s on %s does not hold for %s", c.Operator, c.Key, value), nil
		}
	}
	return true, "", nil
}

// comparison returns the test of an operator on a key that is always present, so that IfExists changes
// nothing.
func comparison(operator string) (match func(pattern, value string) bool, negate bool, err error) {
	name := strings.TrimSuffix(operator, "IfExists")
	switch name {
	case "StringEquals", "StringNotEquals":
		match = func(pattern, value string) bool { return pattern == value }
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		match = strings.EqualFold
	case "StringLike", "StringNotLike":
		match = Glob
	case "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike":
		match = matchARN
	default:
		return nil, false, fmt.Errorf("the condition operator %s is not evaluated yet", operator)
	}
	return match, strings.Contains(name, "Not"), nil
}
