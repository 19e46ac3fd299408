package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// present follows pointers and says whether there is a value to send. Unset members are left out: never
// null, {} or "". An empty list that is not nil is sent: a service that means "none" says so.
func present(v reflect.Value) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	case reflect.Slice, reflect.Map:
		return v, !v.IsNil()
	case reflect.String:
		return v, v.Len() > 0 // an enumeration that was not set; other strings are pointers
	case reflect.Invalid:
		return v, false
	default:
		return v, true
	}
}

// encoder writes output structures. The first error stops what follows from mattering.
type encoder struct {
	buf    bytes.Buffer
	unions map[string]reflect.Type
	// timestamps is the protocol's own format, where neither shape nor member names one.
	timestamps string
	// wholeSeconds leaves out ".000", as the query protocol's services do.
	wholeSeconds bool
	err          error
}

func (e *encoder) failf(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

// jsonObject writes the members of s that travel in the body.
func (e *encoder) jsonObject(s *shape, v reflect.Value) {
	e.buf.WriteByte('{')
	first := true
	e.jsonFields(s, v, &first)
	e.buf.WriteByte('}')
}

func (e *encoder) jsonFields(s *shape, v reflect.Value, first *bool) {
	for _, r := range s.Members {
		if !r.inBody() {
			continue
		}
		field, ok := present(v.FieldByName(fieldName(r.Name)))
		if !ok {
			continue
		}
		if !*first {
			e.buf.WriteByte(',')
		}
		*first = false
		e.jsonString(r.wireName())
		e.buf.WriteByte(':')
		e.json(r, field)
	}
}

func (e *encoder) json(r *ref, v reflect.Value) {
	s := r.shape
	switch s.Type {
	case typeStructure:
		if s.Union {
			name, value := e.unionMember(s, v)
			if name == nil {
				return
			}
			e.buf.WriteByte('{')
			e.jsonString(name.wireName())
			e.buf.WriteByte(':')
			e.json(name, value)
			e.buf.WriteByte('}')
			return
		}
		e.jsonObject(s, v)
	case typeList:
		e.buf.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				e.buf.WriteByte(',')
			}
			e.json(s.Member, element(v.Index(i)))
		}
		e.buf.WriteByte(']')
	case typeMap:
		e.buf.WriteByte('{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				e.buf.WriteByte(',')
			}
			e.jsonString(key)
			e.buf.WriteByte(':')
			e.json(s.Value, element(v.MapIndex(reflect.ValueOf(key).Convert(v.Type().Key()))))
		}
		e.buf.WriteByte('}')
	case typeString:
		e.jsonString(v.String())
	case typeBlob:
		e.jsonString(base64.StdEncoding.EncodeToString(v.Bytes()))
	case typeTimestamp:
		text := e.timestamp(r, v.Interface().(time.Time), e.timestamps)
		if e.format(r, e.timestamps) == "unixTimestamp" {
			e.buf.WriteString(text)
			return
		}
		e.jsonString(text)
	case typeFloat, typeDouble:
		if text := e.plain(s, v); math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			e.jsonString(text) // as Smithy says: "NaN", "Infinity", "-Infinity"
		} else {
			e.buf.WriteString(text)
		}
	default:
		e.buf.WriteString(e.plain(s, v))
	}
}

func element(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem()
	}
	return v
}

func sortedKeys(v reflect.Value) []string {
	keys := make(map[string]bool, v.Len())
	for _, k := range v.MapKeys() {
		keys[k.String()] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// unionMember finds which member of a union v is, and its value.
func (e *encoder) unionMember(s *shape, v reflect.Value) (*ref, reflect.Value) {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	for _, r := range s.Members {
		if e.unions[s.name+"."+r.Name] == v.Type() {
			value := v.FieldByName("Value")
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			return r, value
		}
	}
	e.failf("union %s does not know %s", s.name, v.Type())
	return nil, v
}

func (e *encoder) jsonString(s string) {
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		e.failf("encode a string: %w", err)
		return
	}
	e.buf.Truncate(e.buf.Len() - 1) // Encode's newline
}

// plain prints a boolean, a number, a string or a blob as text.
func (e *encoder) plain(s *shape, v reflect.Value) string {
	switch s.Type {
	case typeString:
		return v.String()
	case typeBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	case typeBoolean:
		return strconv.FormatBool(v.Bool())
	case typeInteger, typeLong:
		return strconv.FormatInt(v.Int(), 10)
	case typeFloat, typeDouble:
		switch f := v.Float(); {
		case math.IsNaN(f):
			return "NaN"
		case math.IsInf(f, 1):
			return "Infinity"
		case math.IsInf(f, -1):
			return "-Infinity"
		default:
			return strconv.FormatFloat(f, 'g', -1, v.Type().Bits())
		}
	}
	e.failf("shape %s has the type %s, which is not served", s.name, s.Type)
	return ""
}

// format is the timestamp format of a use of a shape.
func (e *encoder) format(r *ref, otherwise string) string {
	switch {
	case r.TimestampFormat != "":
		return r.TimestampFormat
	case r.shape.TimestampFormat != "":
		return r.shape.TimestampFormat
	default:
		return otherwise
	}
}

func (e *encoder) timestamp(r *ref, t time.Time, otherwise string) string {
	t = t.UTC()
	switch e.format(r, otherwise) {
	case "unixTimestamp":
		text := strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64)
		return text
	case "rfc822":
		return t.Format("Mon, 02 Jan 2006 15:04:05 GMT")
	default:
		if e.wholeSeconds && t.Nanosecond() == 0 {
			return t.Format("2006-01-02T15:04:05Z")
		}
		return t.Format("2006-01-02T15:04:05.000Z")
	}
}
