package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fill sets out, a pointer to the SDK's structure of the named shape, from a tree of map[string]any, []any,
// string, bool and json.Number that is keyed by the model's member names: for data that people write by
// hand. Timestamps are RFC 3339, blobs base64. Other than in requests, a name that the shape does not have,
// a null and a value outside an enumeration, whatever its case, are errors, while required members, lengths and
// patterns are not looked at. The error names the place as a dotted path that begins with path, tree's own.
func (s *Service) Fill(shapeName, path string, tree map[string]any, out any) error {
	target := s.model.Shapes[shapeName]
	if target == nil {
		return fmt.Errorf("the model of %s has no shape %s", s.model.name, shapeName)
	}
	if err := strict(target, tree); err != nil {
		return below(path, err)
	}
	f := &filler{unions: s.unions}
	return f.structure(target, tree, reflect.ValueOf(out).Elem(), "")
}

// placed is an error in a tree; its path grows on the way up.
type placed struct {
	path   []string
	reason string
}

func (e *placed) Error() string {
	if len(e.path) == 0 {
		return e.reason
	}
	path := slices.Clone(e.path)
	slices.Reverse(path)
	return strings.Join(path, ".") + ": " + e.reason
}

func wrong(format string, args ...any) error { return &placed{reason: fmt.Sprintf(format, args...)} }

// below adds a step to the path of err.
func below(step string, err error) error {
	if at, ok := errors.AsType[*placed](err); ok {
		at.path = append(at.path, step)
	}
	return err
}

// strict says what is wrong with v as a value of shape s.
func strict(s *shape, v any) error {
	switch s.Type {
	case typeStructure:
		return strictStructure(s, v)
	case typeList:
		list, ok := v.([]any)
		if !ok {
			return wrong("is %s, not a list", kindOf(v))
		}
		for i, element := range list {
			if err := strict(s.Member.shape, element); err != nil {
				return below(strconv.Itoa(i), err)
			}
		}
	case typeMap:
		tree, ok := v.(map[string]any)
		if !ok {
			return wrong("is %s, not a map", kindOf(v))
		}
		for _, name := range slices.Sorted(maps.Keys(tree)) {
			if err := strict(s.Value.shape, tree[name]); err != nil {
				return below(name, err)
			}
		}
	default:
		return strictScalar(s, v)
	}
	return nil
}

func strictStructure(s *shape, v any) error {
	tree, ok := v.(map[string]any)
	if !ok {
		return wrong("is %s, not a structure", kindOf(v))
	}
	if s.Union && len(tree) != 1 {
		return wrong("is a union and needs exactly one member")
	}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		member := s.member(name)
		if member == nil {
			return below(name, wrong("%s has no such member", s.name))
		}
		if err := strict(member.shape, tree[name]); err != nil {
			return below(name, err)
		}
	}
	return nil
}

func strictScalar(s *shape, v any) error {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	var ok bool
	var err error
	switch s.Type {
	case typeString:
		// EC2 answers "available" where its model says "Available".
		known := func(value string) bool { return strings.EqualFold(value, text) }
		if isText && len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, known) {
			return wrong("%q is not one of %s", text, strings.Join(s.Enum, ", "))
		}
		ok = isText
	case typeBoolean:
		_, ok = v.(bool)
	case typeInteger, typeLong:
		bits := 64
		if s.Type == typeInteger {
			bits = 32
		}
		_, err = strconv.ParseInt(number.String(), 10, bits)
		ok = isNumber
	case typeFloat, typeDouble:
		_, err = number.Float64()
		ok = isNumber
	case typeTimestamp:
		_, err = time.Parse(time.RFC3339Nano, text)
		ok = isText
	case typeBlob:
		_, err = base64.StdEncoding.DecodeString(text)
		ok = isText
	}
	if !ok || err != nil {
		return wrong("is %s, not a %s", kindOf(v), s.Type)
	}
	return nil
}

func kindOf(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return strconv.Quote(clip(x))
	case json.Number:
		return "the number " + x.String()
	default:
		return fmt.Sprint(v)
	}
}
