package posture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// CodeNeedsEvaluator marks an ERROR of a rule that only an IAM policy evaluator could decide; accepted by default.
const CodeNeedsEvaluator = "NeedsPolicyEvaluator"

// endpointPolicy fails a policy that allows everything to everybody and denies nothing, passes one that allows nothing, and
// leaves every other to a policy evaluator.
func endpointPolicy(_ *Trial, s Subject, e *Endpoint) Outcome {
	statements, err := parseStatements([]byte(e.Policy))
	if err != nil {
		return unreadOutcome(&Unread{Source: *s.Found, Code: CodeMalformed, Message: "the policy document of " + e.ID + " is not understood: " + err.Error()})
	}
	denies := slices.ContainsFunc(statements, func(s statement) bool { return !s.allows })
	switch policy := json.RawMessage(e.Policy); {
	case !slices.ContainsFunc(statements, func(s statement) bool { return s.allows }):
		return Passed("the policy of endpoint %s allows nothing", e.ID).With("policy", policy)
	case !denies && slices.ContainsFunc(statements, statement.everything):
		return Failed("the policy of endpoint %s lets everybody do everything, as AWS's default does", e.ID).With("policy", policy)
	}
	return unreadOutcome(&Unread{Source: *s.Found, Code: CodeNeedsEvaluator, Message: "the policy of " + e.ID + " needs a policy evaluator"})
}

// statement is one statement of a policy, as far as it is read.
type statement struct {
	allows  bool
	members map[string]json.RawMessage
}

// everything says that a statement allows everything to everybody, without a condition, as AWS's default endpoint policy does.
// Source: AWS PrivateLink guide, "Control access to VPC endpoints using endpoint policies".
func (s statement) everything() bool {
	principal := s.members["Principal"]
	if members, err := strict(principal, "AWS", "Service", "Federated", "CanonicalUser"); err == nil {
		principal = members["AWS"]
	}
	for _, name := range []string{"NotPrincipal", "NotAction", "NotResource", "Condition"} {
		if s.members[name] != nil {
			return false
		}
	}
	return s.allows && all(principal) && all(s.members["Action"]) && all(s.members["Resource"])
}

// all says that a value is "*", or a list with it.
func all(raw json.RawMessage) bool {
	var one string
	var many []string
	if json.Unmarshal(raw, &one) == nil {
		return one == "*"
	}
	return json.Unmarshal(raw, &many) == nil && slices.Contains(many, "*")
}

// parseStatements reads a policy as IAM does: names have one spelling, and none is given twice.
// Source: IAM User Guide, "Grammar of the IAM JSON policy language".
func parseStatements(policy []byte) ([]statement, error) {
	document, err := strict(policy, "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	raw := document["Statement"]
	many := []json.RawMessage{raw}
	if bytes.HasPrefix(raw, []byte("[")) {
		if err := json.Unmarshal(raw, &many); err != nil {
			return nil, err
		}
	}
	if raw == nil || len(many) == 0 {
		return nil, errors.New("it has no Statement")
	}
	var statements []statement
	for _, one := range many {
		members, err := strict(one, "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
		if err != nil {
			return nil, err
		}
		effect := string(members["Effect"])
		if effect != `"Allow"` && effect != `"Deny"` {
			return nil, errors.New("a statement's Effect is neither Allow nor Deny")
		}
		statements = append(statements, statement{effect == `"Allow"`, members})
	}
	return statements, nil
}

// strict reads a JSON object whose members have the given names, each at most once.
func strict(raw []byte, names ...string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if !slices.Contains(names, name) || members[name] != nil {
			return nil, fmt.Errorf("%q is not known there, or given twice", name)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		members[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return members, nil
}
