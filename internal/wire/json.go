package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits on documents, so that a small body cannot cost much work.
const (
	maxDepth = 32     // nested values; the deepest served input has 8
	maxNodes = 100000 // values in one document; the largest served input has about 5,000
)

// malformed is a body that cannot be read as the operation's input. Its text names places, never values.
type malformed struct{ text string }

func (e *malformed) Error() string { return e.text }

func malformedf(format string, args ...any) error {
	return &malformed{fmt.Sprintf(format, args...)}
}

// parseJSON reads one JSON object as a tree of map[string]any, []any, string, json.Number and bool. An
// empty body is an empty object. Duplicate names and anything after the object are refused: two readers of
// one document must not see different things.
func parseJSON(body []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return map[string]any{}, nil
	}
	if !utf8.Valid(body) {
		return nil, malformedf("the body is not UTF-8")
	}
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(body))}
	p.dec.UseNumber()
	value, err := p.value(0)
	if err != nil {
		if _, ok := errors.AsType[*malformed](err); ok {
			return nil, err
		}
		return nil, malformedf("the body is not valid JSON (at byte %d)", p.dec.InputOffset())
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, malformedf("the body is not a JSON object")
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, malformedf("the body goes on after the JSON object (at byte %d)", p.dec.InputOffset())
	}
	return object, nil
}

type jsonParser struct {
	dec   *json.Decoder
	nodes int
}

func (p *jsonParser) value(depth int) (any, error) {
	token, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	if p.nodes++; p.nodes > maxNodes {
		return nil, malformedf("the body has more than %d values", maxNodes)
	}
	if depth > maxDepth {
		return nil, malformedf("the body is nested deeper than %d levels", maxDepth)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if delim == '[' {
		list := []any{}
		for p.dec.More() {
			element, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		_, err := p.dec.Token()
		return list, err
	}
	object := map[string]any{}
	for p.dec.More() {
		token, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, malformedf("the body is not valid JSON")
		}
		if _, twice := object[name]; twice {
			return nil, malformedf("the body has a name twice in one object (at byte %d)", p.dec.InputOffset())
		}
		if object[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err = p.dec.Token()
	return object, err
}

// jsonMembers renames a JSON object's names to the members of s.
func jsonMembers(s *shape, object map[string]any) map[string]any {
	tree := make(map[string]any, len(object))
	for _, r := range s.Members {
		if v, ok := object[r.wireName()]; ok && v != nil {
			tree[r.Name] = jsonTree(r.shape, v)
		}
	}
	return tree
}

// jsonTree turns a JSON value into the tree that fill reads: structures keyed by member.
func jsonTree(s *shape, v any) any {
	switch s.Type {
	case typeStructure:
		if object, ok := v.(map[string]any); ok {
			return jsonMembers(s, object)
		}
	case typeList:
		if list, ok := v.([]any); ok {
			out := make([]any, len(list))
			for i, element := range list {
				out[i] = jsonTree(s.Member.shape, element)
			}
			return out
		}
	case typeMap:
		if object, ok := v.(map[string]any); ok {
			out := make(map[string]any, len(object))
			for key, value := range object {
				out[key] = jsonTree(s.Value.shape, value)
			}
			return out
		}
	}
	return v
}
