// Package policy is the IAM policy language: parsing with AWS's strictness, and the parts of evaluation
// that Cloister has so far: trust policies for its own service (trust.go) and the lockout check of key
// policies (lockout.go). It is pure: no I/O, no clock, no state.
//
// It is not an evaluator for identity, key or bucket policies; until one exists, what is stored and not
// evaluated is named by the services that store it.
//
// Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements".
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Document is a parsed policy.
type Document struct {
	// Version is "2012-10-17" or "2008-10-17"; the latter is the default.
	Version    string
	ID         string
	Statements []Statement
}

// Statement is one statement of a policy. Exactly one of Actions and NotActions is set in identity and
// trust policies; key policies may lack both and then have no effect.
type Statement struct {
	SID          string
	Allow        bool
	Principal    *Principals
	NotPrincipal *Principals
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	Conditions   []Condition
}

// Principals is a Principal or NotPrincipal element.
type Principals struct {
	// Any is the principal "*".
	Any bool
	// ByType has the lists under "AWS", "Service", "Federated" and "CanonicalUser".
	ByType map[string][]string
}

// Condition is one operator applied to one key: any of Values must match.
type Condition struct {
	// Operator is the name as written, such as "StringEquals" or "ForAllValues:ArnLike".
	Operator string
	Key      string
	Values   []string
}

// Kind says which rules a document must follow.
type Kind int

// The kinds of policies.
const (
	Identity Kind = iota // attached to a user or role: no principals, resources required
	Trust                // a role's trust policy: principals, no resources
	Key                  // a KMS key policy: principals
)

// The longest documents accepted, in bytes. Sources: IAM and STS quotas (trust policies up to 4,096 by
// request, inline role policies 10,240 in sum), KMS PutKeyPolicy (131,072).
const (
	maxIdentity = 10240
	maxTrust    = 4096
	maxKey      = 131072
)

// Parse reads a document strictly: unknown elements, duplicate elements, text after the document and
// wrong types are errors. The error's text is for the caller.
func Parse(kind Kind, text string) (*Document, error) {
	limit := map[Kind]int{Identity: maxIdentity, Trust: maxTrust, Key: maxKey}[kind]
	if len(text) > limit {
		return nil, fmt.Errorf("the policy is longer than %d bytes", limit)
	}
	top, err := object([]byte(text))
	if err != nil {
		return nil, syntax(text, err)
	}
	doc := &Document{Version: "2008-10-17"}
	for _, m := range top {
		switch m.name {
		case "Version":
			doc.Version, err = text1(m.value)
			if err == nil && doc.Version != "2012-10-17" && doc.Version != "2008-10-17" {
				err = errors.New(`must be "2012-10-17" or "2008-10-17"`)
			}
		case "Id":
			doc.ID, err = text1(m.value)
		case "Statement":
			doc.Statements, err = statements(kind, m.value)
		default:
			err = errors.New("is not an element of a policy")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if !slices.ContainsFunc(top, func(m member) bool { return m.name == "Statement" }) {
		return nil, errors.New("the policy has no Statement")
	}
	return doc, nil
}

func syntax(text string, err error) error {
	if at, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + strings.Count(text[:min(int(at.Offset), len(text))], "\n")
		return fmt.Errorf("the policy is not valid JSON: %w (line %d, byte %d)", at, line, at.Offset)
	}
	return fmt.Errorf("the policy is not valid JSON: %w", err)
}

func statements(kind Kind, raw json.RawMessage) ([]Statement, error) {
	items := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
	}
	if len(items) == 0 {
		return nil, errors.New("is empty")
	}
	out := make([]Statement, len(items))
	seen := map[string]bool{}
	for i, item := range items {
		s, err := statement(kind, item)
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", i+1, err)
		}
		if s.SID != "" && seen[s.SID] && kind != Key {
			return nil, fmt.Errorf("statement %d: Sid %q is used twice", i+1, s.SID)
		}
		seen[s.SID] = true
		out[i] = s
	}
	return out, nil
}

func statement(kind Kind, raw json.RawMessage) (Statement, error) {
	members, err := object(raw)
	if err != nil {
		return Statement{}, err
	}
	var s Statement
	effect := ""
	for _, m := range members {
		switch m.name {
		case "Sid":
			s.SID, err = text1(m.value)
		case "Effect":
			effect, err = text1(m.value)
		case "Principal":
			s.Principal, err = principals(m.value)
		case "NotPrincipal":
			s.NotPrincipal, err = principals(m.value)
		case "Action":
			s.Actions, err = actions(m.value)
		case "NotAction":
			s.NotActions, err = actions(m.value)
		case "Resource":
			s.Resources, err = texts(m.value)
		case "NotResource":
			s.NotResources, err = texts(m.value)
		case "Condition":
			s.Conditions, err = conditions(m.value)
		default:
			err = errors.New("is not an element of a statement")
		}
		if err != nil {
			return Statement{}, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if effect != "Allow" && effect != "Deny" {
		return Statement{}, errors.New(`the Effect must be "Allow" or "Deny"`)
	}
	s.Allow = effect == "Allow"
	return s, s.check(kind)
}

// check applies the rules that differ between the kinds of policies.
func (s Statement) check(kind Kind) error {
	if s.Actions != nil && s.NotActions != nil {
		return errors.New("it has both Action and NotAction")
	}
	if s.Resources != nil && s.NotResources != nil {
		return errors.New("it has both Resource and NotResource")
	}
	if s.Principal != nil && s.NotPrincipal != nil {
		return errors.New("it has both Principal and NotPrincipal")
	}
	hasPrincipal := s.Principal != nil || s.NotPrincipal != nil
	hasAction := s.Actions != nil || s.NotActions != nil
	hasResource := s.Resources != nil || s.NotResources != nil
	switch kind {
	case Identity:
		switch {
		case hasPrincipal:
			return errors.New("a policy of a role may not name a Principal")
		case !hasAction:
			return errors.New("has no Action")
		case !hasResource:
			return errors.New("has no Resource")
		}
	case Trust:
		switch {
		case !hasPrincipal:
			return errors.New("a trust policy needs a Principal")
		case hasResource:
			return errors.New("a trust policy may not name a Resource")
		case !hasAction:
			return errors.New("has no Action")
		}
	case Key:
		if !hasPrincipal {
			return errors.New("a key policy needs a Principal")
		}
	}
	if s.NotPrincipal != nil && s.Allow {
		return errors.New("it has NotPrincipal with Allow, which admits everybody else and is refused")
	}
	return nil
}
