package vpc

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// described is a kind of resource as its Describe operation answers it. T is the SDK's structure.
type described[T any] struct {
	notFound string // the error code for an id that is not there
	text     string // its text, with the id
	ids      string // what the ids are called where they cannot go with MaxResults
	id       func(*T) *string
	tags     func(*T) []types.Tag // nil if it has none
	filters  map[string]func(*T) []string
}

// query is what a Describe operation was asked.
type query struct {
	ids     []string
	filters []types.Filter
	max     *int32
	token   *string
}

// Pages of Describe operations. Source: EC2 API Reference, MaxResults of DescribeVpcs.
const (
	minPage = 5
	maxPage = 1000
)

// describe answers a query from all resources of a kind, which are in order of id: those with the ids, or a page of those
// that pass the filters.
func describe[T any](d described[T], all []T, q query) ([]T, *string, error) {
	if len(q.ids) > 0 {
		if q.max != nil {
			return nil, nil, badCombination("The parameter %s cannot be used with the parameter maxResults", d.ids)
		}
		chosen := make([]T, 0, len(q.ids))
		for _, id := range appendNew(nil, q.ids...) {
			i := slices.IndexFunc(all, func(v T) bool { return aws.ToString(d.id(&v)) == id })
			if i < 0 {
				return nil, nil, notFound(d.notFound, d.text, id)
			}
			chosen = append(chosen, all[i])
		}
		all = chosen
	}
	tests, err := tests(d, q.filters)
	if err != nil {
		return nil, nil, err
	}
	kept := make([]T, 0, len(all)) // never nil: clients want an empty list
	for i := range all {
		if !slices.ContainsFunc(tests, func(pass func(*T) bool) bool { return !pass(&all[i]) }) {
			kept = append(kept, all[i])
		}
	}
	if len(q.ids) > 0 {
		return kept, nil, nil
	}
	return page(kept, func(v *T) string { return aws.ToString(d.id(v)) }, q.max, q.token)
}

// tests turns filters into tests: all filters must hold, each for any of its values, in which * and ? are wildcards.
// Source: EC2 API Reference, Filter; EC2 User Guide, "Filtering".
func tests[T any](d described[T], filters []types.Filter) ([]func(*T) bool, error) {
	var out []func(*T) bool
	for _, f := range filters {
		name := aws.ToString(f.Name)
		values := d.filters[name]
		key, isTag := strings.CutPrefix(name, "tag:")
		switch {
		case values != nil:
		case d.tags != nil && isTag:
			values = func(v *T) []string {
				return list(d.tags(v), func(t types.Tag) *string {
					if aws.ToString(t.Key) != key {
						return nil
					}
					return t.Value
				})
			}
		case d.tags != nil && name == "tag-key":
			values = func(v *T) []string { return list(d.tags(v), func(t types.Tag) *string { return t.Key }) }
		case d.tags != nil && name == "tag-value":
			values = func(v *T) []string { return list(d.tags(v), func(t types.Tag) *string { return t.Value }) }
		default:
			return nil, invalidValue("The filter '%s' is invalid", name)
		}
		out = append(out, func(v *T) bool {
			return slices.ContainsFunc(values(v), func(got string) bool {
				return slices.ContainsFunc(f.Values, func(want string) bool { return policy.Glob(want, got) })
			})
		})
	}
	return out, nil
}

// page is the part of a list, in order of key, that comes after the token; and the next token, if there is more.
func page[T any](all []T, key func(*T) string, wanted *int32, token *string) ([]T, *string, error) {
	size := maxPage
	if wanted != nil {
		size = int(*wanted)
		if size < minPage {
			return nil, nil, invalidValue("Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than or equal to %d.", size, minPage)
		}
		size = min(size, maxPage)
	}
	if t := aws.ToString(token); t != "" {
		raw, err := base64.RawURLEncoding.DecodeString(t)
		after, ok := strings.CutPrefix(string(raw), "after:")
		if err != nil || !ok {
			return nil, nil, cloister.Errorf("InvalidNextToken", "The token '%s' is invalid", t)
		}
		i := 0
		for i < len(all) && key(&all[i]) <= after {
			i++
		}
		all = all[i:]
	}
	if len(all) <= size {
		return all, nil, nil
	}
	all = all[:size]
	return all, aws.String(base64.RawURLEncoding.EncodeToString([]byte("after:" + key(&all[size-1])))), nil
}

// one is the values of a field that has one, or none.
func one(s *string) []string {
	if s == nil {
		return nil
	}
	return []string{*s}
}

// yes is a boolean as filters write it.
func yes(b *bool) []string { return []string{strconv.FormatBool(aws.ToBool(b))} }

// word is an enumeration's value as filters write it.
func word[S ~string](s S) []string { return []string{string(s)} }

// list is the values of a field in every element of a list.
func list[T any](items []T, field func(T) *string) []string {
	var out []string
	for _, v := range items {
		out = append(out, one(field(v))...)
	}
	return out
}

// mapped makes the SDK's structures of resources.
func mapped[R, T any](items []R, make1 func(R) T) []T {
	out := make([]T, 0, len(items))
	for _, r := range items {
		out = append(out, make1(r))
	}
	return out
}

// ref is a pointer to a string, nil if it is empty.
func ref(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// sortBy sorts a list by a field, as describe wants it.
func sortBy[T any](items []T, field func(*T) *string) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(aws.ToString(field(&a)), aws.ToString(field(&b))) })
}
