package remedy

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/cloister/internal/awscall"
)

// one is a caller with one answer.
type one struct {
	members object
	err     error
	asked   string
}

func (o *one) Call(_ context.Context, call string, parameters json.RawMessage) (*awscall.Answer, error) {
	o.asked = call + " " + string(parameters)
	if o.err != nil {
		return nil, o.err
	}
	return &awscall.Answer{Members: o.members}, nil
}

// TestHolds: whether a condition holds, what was found instead, and what makes that unknown.
func TestHolds(t *testing.T) {
	t.Parallel()
	answer := object{"status": "${token}", "n": 1.0, "tags": []any{object{"key": "a", "value": "b"}}, "empty": []any{}}
	for _, c := range []struct {
		name   string
		c      Condition
		with   one
		holds  bool
		found  any
		err    string
		absent bool
	}{
		{"text", Condition{Query: "status", Expect: "$${token}"}, one{members: answer}, true, "${token}", "", false},
		{"text with a value", Condition{Query: "status", Expect: "${token}"}, one{members: answer}, false, "${token}", "", false},
		{"value in the query", Condition{Query: "`\"${token}\"`", Expect: "T"}, one{members: answer}, true, "T", "", false},
		{"number", Condition{Query: "n", Expect: 1}, one{members: answer}, true, 1.0, "", false},
		{"other number", Condition{Query: "n", Expect: 2}, one{members: answer}, false, 1.0, "", false},
		{"number as a text", Condition{Query: "n", Expect: "1"}, one{members: answer}, false, 1.0, "", false},
		{"length", Condition{Query: "length(tags)", Expect: 1.0}, one{members: answer}, true, 1.0, "", false},
		{"list", Condition{Query: "tags[].value", Expect: []any{"b"}}, one{members: answer}, true, []any{"b"}, "", false},
		{"empty list", Condition{Query: "tags[?key == 'x']", Expect: []any{}}, one{members: answer}, true, []any{}, "", false},
		{"null is no empty list", Condition{Query: "none", Expect: []any{}}, one{members: answer}, false, nil, "", false},
		{"empty list is not null", Condition{Query: "empty", Expect: nil}, one{members: answer}, false, []any{}, "", false},
		{"nothing", Condition{Query: "none", Expect: nil}, one{members: answer}, true, nil, "", false},
		{"true", Condition{Query: "contains(tags[].key, 'a')", Expect: true}, one{members: answer}, true, true, "", false},
		{"object", Condition{Query: "tags[0]", Expect: object{"value": "b", "key": "a"}}, one{members: answer}, true, object{"key": "a", "value": "b"}, "", false},
		{"absent", Condition{Query: "status", Expect: nil, Absent: []string{"A", "NotFound"}}, one{err: apiError("NotFound", 404)}, true, nil, "", true},
		{"absent, and expected", Condition{Query: "status", Expect: "x", Absent: []string{"NotFound"}}, one{err: apiError("NotFound", 404)}, false, nil, "", true},
		{"another error", Condition{Query: "status", Expect: nil, Absent: []string{"NotFound"}}, one{err: apiError("AccessDenied", 403)}, false, nil, "AccessDenied", false},
		{"no code is absent", Condition{Query: "status", Expect: nil}, one{err: apiError("NotFound", 404)}, false, nil, "NotFound", false},
		{"no answer", Condition{Query: "status", Absent: []string{"NotFound"}}, one{err: errors.New("connection reset")}, false, nil, "connection reset", false},
		{"query that fails", Condition{Query: "length(n)", Expect: 1}, one{members: answer}, false, nil, "query \"length(n)\"", false},
		{"unknown value in the query", Condition{Query: "`\"${x}\"`"}, one{members: answer}, false, nil, "${x} is not known yet", false},
		{"unknown value expected", Condition{Query: "n", Expect: []any{"${x}"}}, one{members: answer}, false, nil, "${x} is not known yet", false},
		{"unknown value in the parameters", Condition{Query: "n", Parameters: json.RawMessage(`{"a":"${x}"}`)}, one{members: answer}, false, nil, "${x} is not known yet", false},
		{"more pages, S3", Condition{Query: "a"}, one{members: object{"NextContinuationToken": "x"}}, false, nil, "more pages than one", false},
		{"more pages, KMS", Condition{Query: "a"}, one{members: object{"NextMarker": "x", "Truncated": true}}, false, nil, "more pages than one", false},
		{"more pages, IAM", Condition{Query: "a"}, one{members: object{"Marker": "x", "IsTruncated": true}}, false, nil, "more pages than one", false},
		{"the last page", Condition{Query: "a", Expect: nil}, one{members: object{"nextToken": ""}}, true, nil, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.c.Call = "bedrock:GetCustomModel"
			if c.c.Parameters == nil {
				c.c.Parameters = json.RawMessage(`{"modelIdentifier":"${token}"}`)
			}
			holds, found, got, err := c.c.Holds(t.Context(), &c.with, known)
			if c.err != "" {
				if err == nil || holds || !strings.Contains(err.Error(), c.err) {
					t.Errorf("Holds = %t, %v, want %s", holds, err, c.err)
				}
				return
			}
			if holds != c.holds || err != nil || cmp.Diff(c.found, found) != "" {
				t.Errorf("Holds = %t, %#v, %v, want %t, %#v", holds, found, err, c.holds, c.found)
			}
			if got == nil || (got.Members == nil) != c.absent {
				t.Errorf("the answer is %v", got)
			}
			if want := `bedrock:GetCustomModel {"modelIdentifier":"T"}`; c.with.asked != want {
				t.Errorf("asked %s, want %s", c.with.asked, want)
			}
		})
	}
}

// TestResults: what later steps use has to be there, as a text.
func TestResults(t *testing.T) {
	t.Parallel()
	answer := &awscall.Answer{Members: object{"jobArn": "a", "n": 1.0, "empty": "", "list": []any{"x", "y"}}}
	got, err := results(map[string]string{"job": "jobArn", "first": "list[0]"}, answer)
	if diff := cmp.Diff(map[string]string{"job": "a", "first": "x"}, got); diff != "" || err != nil {
		t.Errorf("results: %v (-want +got):\n%s", err, diff)
	}
	for _, query := range []string{"none", "n", "empty", "list", "length(n)"} {
		if got, err := results(map[string]string{"a": query}, answer); err == nil {
			t.Errorf("results of %s = %v", query, got)
		}
	}
	if got, err := results(nil, answer); got != nil || err != nil {
		t.Errorf("no results = %v, %v", got, err)
	}
	if _, err := results(map[string]string{"a": "b"}, &awscall.Answer{}); err == nil {
		t.Error("an answer without members has a result")
	}
}

// book answers page by page.
type book struct {
	pages []object
	asked []string
}

func (b *book) Call(_ context.Context, _ string, parameters json.RawMessage) (*awscall.Answer, error) {
	b.asked = append(b.asked, string(parameters))
	return &awscall.Answer{Members: maps.Clone(b.pages[len(b.asked)-1])}, nil
}

// TestPages: what is on further pages counts; S3's, which has another way to ask for them, does not.
func TestPages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nextToken", "NextToken"} {
		b := &book{pages: []object{{"a": []any{1.0}, name: "x"}, {"a": []any{2.0}, name: "y"}, {"a": []any{3.0}}}}
		c := Condition{Call: "bedrock:ListCustomModels", Parameters: json.RawMessage(`{"maxResults":1}`), Query: "a", Expect: []any{1.0, 2.0, 3.0}}
		holds, found, _, err := c.Holds(t.Context(), b, nil)
		want := []string{`{"maxResults":1}`, `{"maxResults":1,"` + name + `":"x"}`, `{"maxResults":1,"` + name + `":"y"}`}
		if name == "NextToken" {
			want[1], want[2] = `{"NextToken":"x","maxResults":1}`, `{"NextToken":"y","maxResults":1}`
		}
		if !holds || err != nil || !slices.Equal(b.asked, want) {
			t.Errorf("%s: holds %t, found %v, %v, asked %v", name, holds, found, err, b.asked)
		}
	}
	endless := &book{pages: slices.Repeat([]object{{"nextToken": "x"}}, mostPages)}
	c := Condition{Call: "bedrock:ListCustomModels", Parameters: json.RawMessage(`{}`), Query: "a"}
	if _, _, _, err := c.Holds(t.Context(), endless, nil); !errors.Is(err, errMorePages) {
		t.Errorf("endless pages: %v", err)
	}
}
