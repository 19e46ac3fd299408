package policy

import (
	"encoding/json"
	"errors"
	"slices"
)

// CheckLockout returns an error unless the account root keeps the right to change a key policy: some
// statement without conditions must allow kms:PutKeyPolicy to the root, and none may deny it. It is the
// lockout safety check of KMS, held to what can be decided without an evaluator.
//
// Source: AWS KMS API Reference, PutKeyPolicy, BypassPolicyLockoutSafetyCheck.
func CheckLockout(doc *Document, account string) error {
	const action = "kms:PutKeyPolicy"
	root := []string{"arn:aws:iam::" + account + ":root", account}
	allowed := false
	for _, s := range doc.Statements {
		if !s.covers(action) {
			continue
		}
		if s.NotPrincipal != nil { // always a Deny: parsing refuses it with Allow
			if !slices.ContainsFunc(root, func(r string) bool { return slices.Contains(s.NotPrincipal.ByType["AWS"], r) }) {
				return errors.New("a statement denies kms:PutKeyPolicy to the account root")
			}
			continue
		}
		named := s.Principal.Any || slices.ContainsFunc(root, func(r string) bool { return slices.Contains(s.Principal.ByType["AWS"], r) })
		switch {
		case !named:
		case !s.Allow:
			return errors.New("a statement denies kms:PutKeyPolicy to the account root")
		case len(s.Conditions) == 0 && (slices.Contains(s.Resources, "*") || slices.ContainsFunc(s.Resources, anyKey)):
			allowed = true
		}
	}
	if !allowed {
		return errors.New("no statement allows kms:PutKeyPolicy or kms:* to the account root")
	}
	return nil
}

func anyKey(resource string) bool { return Glob("arn:aws:kms:*", resource) }

// DefaultKeyPolicy is what AWS gives a key without one: the account, through IAM, may do everything.
// Source: KMS Developer Guide, "Default key policy".
func DefaultKeyPolicy(account string) string {
	type statement struct {
		Sid, Effect      string
		Principal        map[string]string
		Action, Resource string
	}
	text, _ := json.MarshalIndent(struct { // strings only: cannot fail
		Version   string
		ID        string `json:"Id"`
		Statement []statement
	}{"2012-10-17", "key-default-1", []statement{{
		"Enable IAM User Permissions", "Allow", map[string]string{"AWS": "arn:aws:iam::" + account + ":root"}, "kms:*", "*",
	}}}, "", "  ")
	return string(text)
}
