package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/smithy-go"
	jmespath "github.com/jmespath/go-jmespath"

	"example.com/cloister/internal/awscall"
)

// Caller makes calls in one account and region. *awscall.Client is one.
type Caller interface {
	Call(ctx context.Context, operation string, parameters json.RawMessage) (*awscall.Answer, error)
}

func (c *Condition) check() error {
	if awscall.Changes(c.Call) {
		return fmt.Errorf("%s is no read, and cannot be a condition", c.Call)
	}
	if err := awscall.Check(c.Call, c.Parameters); err != nil {
		return err
	}
	return checkQueries(c.Results, c.Query)
}

func checkQueries(results map[string]string, more ...string) error {
	for name, query := range results {
		if !plainName.MatchString(name) {
			return fmt.Errorf("%q is no name of a result", name)
		}
		more = append(more, query)
	}
	for _, query := range more {
		if _, err := jmespath.Compile(query); err != nil {
			return fmt.Errorf("query %q: %w", query, err)
		}
	}
	return nil
}

// errMorePages is an answer of which only a part was read: nothing can be said of the rest.
var errMorePages = errors.New("the answer has more pages than one")

// pageTokens are the members that name the next page of an answer: those of EC2, Bedrock, S3, KMS and IAM.
func pageTokens() []string {
	return []string{"NextToken", "nextToken", "NextContinuationToken", "NextMarker", "Marker"}
}

// mostPages bounds the pages of an answer.
const mostPages = 100

// pages makes a call, and those for the further pages of its answer where the API calls them by the token's own name.
func pages(ctx context.Context, caller Caller, call string, parameters json.RawMessage) (*awscall.Answer, error) {
	answer, err := caller.Call(ctx, call, parameters)
	for page := 1; err == nil && page < mostPages; page++ {
		name := "NextToken"
		token, _ := answer.Members[name].(string)
		if token == "" {
			name = "nextToken"
			token, _ = answer.Members[name].(string)
		}
		if token == "" {
			return answer, nil
		}
		var in map[string]any
		if err := json.Unmarshal(parameters, &in); err != nil {
			return nil, err
		}
		in[name] = token
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		more, err := caller.Call(ctx, call, text)
		if err != nil {
			return nil, err
		}
		delete(answer.Members, name)
		for member, value := range more.Members {
			list, ok := value.([]any)
			if have, both := answer.Members[member].([]any); ok && both {
				answer.Members[member] = append(have, list...)
				continue
			}
			answer.Members[member] = value
		}
	}
	return answer, err
}

// Look reads what a condition is about, and gives what its query finds, with the answer.
func (c *Condition) Look(ctx context.Context, caller Caller, value func(string) (string, bool)) (found any, answer *awscall.Answer, err error) {
	parameters, err := fillJSON(c.Parameters, value)
	if err != nil {
		return nil, nil, err
	}
	answer, err = pages(ctx, caller, c.Call, parameters)
	if api, ok := errors.AsType[smithy.APIError](err); ok && slices.Contains(c.Absent, api.ErrorCode()) {
		return nil, &awscall.Answer{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, token := range pageTokens() {
		if next, ok := answer.Members[token].(string); ok && next != "" {
			return nil, nil, fmt.Errorf("%s: %w", c.Call, errMorePages)
		}
	}
	query, err := fillText(c.Query, value)
	if err != nil {
		return nil, nil, err
	}
	if found, err = jmespath.Search(query, answer.Members); err != nil {
		return nil, nil, fmt.Errorf("%s: query %q: %w", c.Call, query, err)
	}
	return plain(found), answer, nil
}

// Holds says whether a condition holds; if not, what was found.
func (c *Condition) Holds(ctx context.Context, caller Caller, value func(string) (string, bool)) (holds bool, found any, answer *awscall.Answer, err error) {
	found, answer, err = c.Look(ctx, caller, value)
	if err != nil {
		return false, nil, nil, err
	}
	want, err := fill(plain(c.Expect), value)
	if err != nil {
		return false, nil, nil, err
	}
	return reflect.DeepEqual(found, want), found, answer, nil
}

// plain is a value as encoding/json decodes it.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(text, &out) != nil {
		return v
	}
	return out
}

// results are the values that later steps use, by their queries over an answer. One that is missing is an error.
func results(queries map[string]string, answer *awscall.Answer) (map[string]string, error) {
	if len(queries) == 0 {
		return nil, nil //nolint:nilnil // none are wanted
	}
	out := map[string]string{}
	for name, query := range queries {
		found, err := jmespath.Search(query, answer.Members)
		if err != nil {
			return nil, err
		}
		text, ok := found.(string)
		if !ok || text == "" {
			return nil, fmt.Errorf("the answer has no %s", query)
		}
		out[name] = text
	}
	return out, nil
}
