package kms

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"example.com/cloister"
)

// use is one use of a key that a grant can allow.
type use struct {
	action  string            // "kms:Decrypt"
	context map[string]string // the encryption context; ignored where a grant's constraints do not apply
}

// key finds the key that id names and authorizes the use of it: by the authorizer, else by a grant. A
// key that does not exist is authorized by the name that was given, so that strangers learn nothing.
func (s *Service) key(ctx context.Context, id string, u use) (Key, error) {
	key, err := s.resolve(ctx, id)
	notFound := errors.Is(err, ErrNotFound)
	if err != nil && !notFound {
		return Key{}, err
	}
	resource := s.requested(ctx, id)
	if !notFound {
		resource = key.ARN()
	}
	if denied := s.auth.Authorize(ctx, cloister.Access{Action: u.action, Resource: resource}); denied != nil {
		if notFound {
			return Key{}, denied
		}
		granted, err := s.granted(ctx, key, u)
		if err != nil {
			return Key{}, err
		}
		if !granted {
			return Key{}, denied
		}
	}
	if notFound {
		return Key{}, notFoundError(ctx, s.account, id)
	}
	return key, nil
}

// resolve finds a key by id, ARN, alias name or alias ARN. Keys of other accounts and regions, and keys
// whose deletion is due, do not exist.
func (s *Service) resolve(ctx context.Context, id string) (Key, error) {
	region := cloister.CallFrom(ctx).Region
	name := id
	if strings.HasPrefix(id, "arn:") {
		arn, err := cloister.ParseARN(id)
		if err != nil || arn.Service != "kms" || arn.Account != s.account || arn.Region != region {
			return Key{}, ErrNotFound
		}
		name = arn.Resource
		if kind, rest := arn.Type(); kind == "key" {
			name = rest
		}
	}
	if strings.HasPrefix(name, "alias/") {
		alias, err := s.store.Alias(ctx, s.account, region, name)
		if err != nil {
			return Key{}, err
		}
		name = alias.KeyID
	}
	key, err := s.store.Key(ctx, s.account, region, name)
	if err == nil && key.State == PendingDeletion && !key.Deletion.After(s.now()) {
		return Key{}, ErrNotFound
	}
	return key, err
}

// requested is the ARN that a caller named.
func (s *Service) requested(ctx context.Context, id string) string {
	if strings.HasPrefix(id, "arn:") {
		return id
	}
	if !strings.HasPrefix(id, "alias/") {
		id = "key/" + id
	}
	return cloister.NewARN("kms", cloister.CallFrom(ctx).Region, s.account, id).String()
}

// granted reports whether a grant lets the caller use the key so.
func (s *Service) granted(ctx context.Context, key Key, u use) (bool, error) {
	p := cloister.CallFrom(ctx).Principal
	for _, grantee := range []string{p.ARN, p.RoleARN} {
		if grantee == "" {
			continue
		}
		grants, err := s.store.Grants(ctx, key.ID, grantee, "", maxGrants)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(grants, func(g Grant) bool { return g.allows(u) }) {
			return true, nil
		}
	}
	return false, nil
}

// allows reports whether the grant covers a use. Constraint keys compare without case, values with it;
// constraints do not apply to DescribeKey and RetireGrant.
//
// Source: KMS Developer Guide, "Using grant constraints".
func (g Grant) allows(u use) bool {
	operation := strings.TrimPrefix(u.action, "kms:")
	if !slices.Contains(g.Operations, operation) {
		return false
	}
	if operation == "DescribeKey" || operation == "RetireGrant" {
		return true
	}
	given := lowerKeys(u.context)
	switch {
	case g.Equals != nil:
		return maps.Equal(lowerKeys(g.Equals), given)
	case g.Subset != nil:
		for k, v := range lowerKeys(g.Subset) {
			if got, ok := given[k]; !ok || got != v {
				return false
			}
		}
	}
	return true
}

func lowerKeys(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = v
	}
	return out
}
