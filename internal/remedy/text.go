package remedy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// placeholder is a value that is known only when the step is made, or the sign that what follows is none.
var placeholder = regexp.MustCompile(`\$\$\{|\$\{[^{}]*\}`)

// Literal is a value in which nothing is taken for a placeholder: what comes from an account is never filled in.
func Literal(v any) any {
	switch v := v.(type) {
	case string:
		return strings.ReplaceAll(v, "${", "$${")
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Literal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[name] = Literal(value)
		}
		return out
	default:
		return v
	}
}

// fill puts values into a JSON value's texts. A placeholder without a value is an error.
func fill(v any, value func(name string) (string, bool)) (any, error) {
	switch v := v.(type) {
	case string:
		return fillText(v, value)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = fill(v[i], value); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if out[name], err = fill(member, value); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

func fillText(text string, value func(string) (string, bool)) (string, error) {
	var missing string
	out := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		name := found[2 : len(found)-1]
		v, ok := value(name)
		if !ok {
			missing = name
		}
		return v
	})
	if missing != "" {
		return "", fmt.Errorf("${%s} is not known yet", missing)
	}
	return out, nil
}

// fillJSON is fill of a JSON text.
func fillJSON(text json.RawMessage, value func(string) (string, bool)) (json.RawMessage, error) {
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	tree, err := fill(tree, value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// waitsFor says that a JSON text needs a result of another step.
func waitsFor(text json.RawMessage) bool {
	for _, found := range placeholder.FindAllString(string(text), -1) {
		if found != "$${" && found != "${token}" {
			return true
		}
	}
	return false
}

// Quote is a value as a literal of JMESPath, in which nothing is taken for a placeholder.
func Quote(v any) string {
	text, _ := json.Marshal(Literal(v)) // texts and lists of them always can be
	return "`" + strings.ReplaceAll(string(text), "`", "\\`") + "`"
}
