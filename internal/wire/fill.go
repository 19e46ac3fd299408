package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// filler copies a tree into an SDK structure and collects the broken constraints on the way.
type filler struct {
	unions map[string]reflect.Type
	bad    violations
}

// structure fills dst, a struct, with the members in tree.
func (f *filler) structure(s *shape, tree map[string]any, dst reflect.Value, path string) error {
	for _, r := range s.Members {
		at := join(path, r.Name)
		v, ok := tree[r.Name]
		if !ok || v == nil {
			if s.requires(r.Name) {
				f.bad.null(at)
			}
			continue
		}
		field := dst.FieldByName(fieldName(r.Name))
		if !field.IsValid() {
			continue // the SDK is older than the model; Audit reports it
		}
		if r.Streaming {
			field.Set(reflect.ValueOf(v))
			continue
		}
		if err := f.value(r.shape, v, field, at); err != nil {
			return err
		}
	}
	return nil
}

// value fills dst with v, a value of shape s.
func (f *filler) value(s *shape, v any, dst reflect.Value, path string) error {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch s.Type {
	case typeStructure:
		tree, ok := v.(map[string]any)
		if !ok {
			return malformedf("an object is expected at '%s'", path)
		}
		if s.Union {
			return f.union(s, tree, dst, path)
		}
		return f.structure(s, tree, dst, path)
	case typeList:
		return f.list(s, v, dst, path)
	case typeMap:
		return f.mapping(s, v, dst, path)
	}
	shown, broken, err := f.scalar(s, v, dst, path)
	for _, constraint := range broken {
		f.bad.add(path, s.show(shown), constraint)
	}
	return err
}

func (f *filler) union(s *shape, tree map[string]any, dst reflect.Value, path string) error {
	if len(tree) != 1 {
		return malformedf("exactly one member is expected in the union at '%s'", path)
	}
	for name, v := range tree {
		wrapper := f.unions[s.name+"."+name]
		if wrapper == nil {
			return fmt.Errorf("union member %s.%s is not registered", s.name, name)
		}
		chosen := reflect.New(wrapper)
		if err := f.value(s.member(name).shape, v, chosen.Elem().FieldByName("Value"), join(path, name)); err != nil {
			return err
		}
		dst.Set(chosen)
	}
	return nil
}

func (f *filler) list(s *shape, v any, dst reflect.Value, path string) error {
	list, ok := v.([]any)
	if !ok {
		return malformedf("a list is expected at '%s'", path)
	}
	out := reflect.MakeSlice(dst.Type(), len(list), len(list))
	broken := false
	for i, element := range list {
		at := fmt.Sprintf("%s.%d.member", path, i+1)
		if element == nil {
			f.bad.null(at)
			continue
		}
		if !s.Member.shape.scalar() {
			if err := f.value(s.Member.shape, element, out.Index(i), at); err != nil {
				return err
			}
			continue
		}
		_, bad, err := f.scalar(s.Member.shape, element, out.Index(i), at)
		if err != nil {
			return err
		}
		broken = broken || len(bad) > 0
	}
	shown := hidden
	if s.Member.shape.Type == typeString && !s.Sensitive && !s.Member.shape.Sensitive {
		texts := make([]string, len(list))
		for i, element := range list {
			texts[i] = fmt.Sprint(element)
		}
		shown = "[" + strings.Join(texts, ", ") + "]"
	}
	for _, constraint := range s.checkLength(len(list)) {
		f.bad.add(path, shown, constraint)
	}
	if broken {
		f.bad.add(path, shown, "Member must satisfy constraint: "+s.Member.shape.all())
	}
	dst.Set(out)
	return nil
}

func (f *filler) mapping(s *shape, v any, dst reflect.Value, path string) error {
	tree, ok := v.(map[string]any)
	if !ok {
		return malformedf("a map is expected at '%s'", path)
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(tree))
	badKey, badValue := false, false
	for name, element := range tree {
		key := reflect.New(dst.Type().Key()).Elem()
		_, bad, err := f.scalar(s.Key.shape, name, key, path)
		if err != nil {
			return err
		}
		badKey = badKey || len(bad) > 0
		at := path + ".member"
		if element == nil {
			f.bad.null(at)
			continue
		}
		value := reflect.New(dst.Type().Elem()).Elem()
		if s.Value.shape.scalar() {
			if _, bad, err = f.scalar(s.Value.shape, element, value, at); err != nil {
				return err
			}
			badValue = badValue || len(bad) > 0
		} else if err := f.value(s.Value.shape, element, value, at); err != nil {
			return err
		}
		out.SetMapIndex(key, value)
	}
	for _, constraint := range s.checkLength(len(tree)) {
		f.bad.add(path, hidden, constraint)
	}
	if badKey {
		f.bad.add(path, hidden, "Map keys must satisfy constraint: "+s.Key.shape.all())
	}
	if badValue {
		f.bad.add(path, hidden, "Map value must satisfy constraint: "+s.Value.shape.all())
	}
	dst.Set(out)
	return nil
}

// scalar fills dst and returns the value as text and the constraints that it breaks.
func (f *filler) scalar(s *shape, v any, dst reflect.Value, path string) (string, []string, error) {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch s.Type {
	case typeString:
		text, ok := v.(string)
		if !ok {
			return "", nil, malformedf("a string is expected at '%s'", path)
		}
		dst.SetString(text)
		return text, s.checkString(text), nil
	case typeBlob:
		data, err := blob(v)
		if err != nil {
			return "", nil, malformedf("base64 is expected at '%s'", path)
		}
		dst.SetBytes(data)
		return "", s.checkLength(len(data)), nil
	case typeBoolean:
		b, ok := boolean(v)
		if !ok {
			return "", nil, malformedf("a boolean is expected at '%s'", path)
		}
		dst.SetBool(b)
		return "", nil, nil
	case typeInteger, typeLong:
		text, ok := numeral(v)
		n, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || dst.OverflowInt(n) {
			return "", nil, malformedf("an integer is expected at '%s'", path)
		}
		dst.SetInt(n)
		return text, s.checkNumber(float64(n)), nil
	case typeFloat, typeDouble:
		text, ok := numeral(v)
		n, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || dst.OverflowFloat(n) {
			return "", nil, malformedf("a number is expected at '%s'", path)
		}
		dst.SetFloat(n)
		return text, s.checkNumber(n), nil
	case typeTimestamp:
		t, ok := timestamp(v)
		if !ok {
			return "", nil, malformedf("a timestamp is expected at '%s'", path)
		}
		dst.Set(reflect.ValueOf(t))
		return "", nil, nil
	}
	return "", nil, fmt.Errorf("shape %s has the type %s, which is not served", s.name, s.Type)
}

func blob(v any) ([]byte, error) {
	if data, ok := v.([]byte); ok {
		return data, nil
	}
	text, ok := v.(string)
	if !ok {
		return nil, malformedf("not a string")
	}
	return base64.StdEncoding.DecodeString(text)
}

func boolean(v any) (bool, bool) {
	switch x := v.(type) {
	case bool:
		return x, true
	case string:
		switch strings.ToLower(x) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// numeral returns a number's text: a JSON number, or the text of a form, header, query or XML element.
func numeral(v any) (string, bool) {
	switch x := v.(type) {
	case json.Number:
		return x.String(), true
	case string:
		return x, true
	}
	return "", false
}

// lastSecond is the end of the year 9999: later times cannot be written in any of the formats.
const lastSecond = 253402300799

// timestamp reads epoch seconds, ISO 8601 or an HTTP date: clients may use any of them.
func timestamp(v any) (time.Time, bool) {
	text, ok := numeral(v)
	if !ok {
		return time.Time{}, false
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > -lastSecond && seconds < lastSecond) {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), true
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC(), true
	}
	t, err := http.ParseTime(text)
	return t.UTC(), err == nil
}

// join makes the path of a member, in AWS's spelling: lower first letter, dots.
func join(path, member string) string {
	member = strings.ToLower(member[:1]) + member[1:]
	if path == "" {
		return member
	}
	return path + "." + member
}
