package remedy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
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
	var bad error
	out := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		v, ok := value(found[2 : len(found)-1])
		if !ok {
			bad = fmt.Errorf("%s is not known yet", found)
		}
		return v
	})
	if half(text) {
		bad = fmt.Errorf("%q has a placeholder without an end", text)
	}
	if bad != nil {
		return "", bad
	}
	return out, nil
}

// half says that a text has the beginning of a placeholder that is none.
func half(text string) bool {
	return slices.ContainsFunc(placeholder.Split(text, -1), func(part string) bool { return strings.Contains(part, "${") })
}

// placeholders are the names in a JSON value's texts.
func placeholders(v any) (names []string, err error) {
	_, err = fill(v, func(name string) (string, bool) {
		names = append(names, name)
		return "", true
	})
	return names, err
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

// waitsFor says that a value, or JSON text, needs a result of another step.
func waitsFor(v any) bool {
	names, _ := placeholders(plain(v)) // a mistake is found when it is filled in
	return slices.ContainsFunc(names, func(name string) bool { return name != "token" })
}

// Quote is a value as a literal of JMESPath, in which nothing is taken for a placeholder.
func Quote(v any) string {
	text, _ := json.Marshal(v) // texts and lists of them always can be
	return strings.ReplaceAll("`"+strings.ReplaceAll(string(text), "`", "\\`")+"`", "${", "$${")
}

// text is a JSON value as people read it.
func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
