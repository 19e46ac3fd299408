package wire

import (
	"cmp"
	"encoding/xml"
	"reflect"
	"strings"
	"time"
)

// xmlFields writes the members of s that travel in the body as elements.
func (e *encoder) xmlFields(s *shape, v reflect.Value) {
	for _, r := range s.Members {
		if !r.inBody() {
			continue
		}
		if field, ok := present(v.FieldByName(fieldName(r.Name))); ok {
			e.xmlMember(r, field)
		}
	}
}

func (e *encoder) xmlMember(r *ref, v reflect.Value) {
	s := r.shape
	flat := r.Flattened || s.Flattened
	name := memberElement(r)
	switch {
	case s.Type == typeList && flat:
		for i := range v.Len() {
			e.xmlElement(name, s.Member, element(v.Index(i)))
		}
	case s.Type == typeMap && flat:
		e.xmlEntries(name, s, v)
	default:
		e.xmlElement(name, r, v)
	}
}

func (e *encoder) xmlElement(name string, r *ref, v reflect.Value) {
	e.buf.WriteString("<" + name)
	if r.shape.Type == typeStructure {
		e.xmlAttributes(r, v)
	}
	e.buf.WriteString(">")
	e.xmlContent(r, v)
	e.buf.WriteString("</" + name + ">")
}

// xmlAttributes writes the members of r's shape that are attributes: the xsi:type of S3's grantees.
func (e *encoder) xmlAttributes(r *ref, v reflect.Value) {
	for _, m := range r.shape.Members {
		if !m.XMLAttribute {
			continue
		}
		field, ok := present(v.FieldByName(fieldName(m.Name)))
		if !ok {
			continue
		}
		if prefix, _, ok := strings.Cut(m.wireName(), ":"); ok {
			e.buf.WriteString(" xmlns:" + prefix + `="` + cmp.Or(r.XMLNamespace, r.shape.XMLNamespace) + `"`)
		}
		e.buf.WriteString(" " + m.wireName() + `="`)
		e.xmlText(e.plain(m.shape, field))
		e.buf.WriteString(`"`)
	}
}

func (e *encoder) xmlContent(r *ref, v reflect.Value) {
	s := r.shape
	switch s.Type {
	case typeStructure:
		if s.Union {
			e.failf("union %s has no XML form", s.name)
			return
		}
		e.xmlFields(s, v)
	case typeList:
		for i := range v.Len() {
			e.xmlElement(s.Member.nameOr("member"), s.Member, element(v.Index(i)))
		}
	case typeMap:
		e.xmlEntries("entry", s, v)
	case typeTimestamp:
		e.xmlText(e.timestamp(r, v.Interface().(time.Time), e.timestamps))
	default:
		e.xmlText(e.plain(s, v))
	}
}

func (e *encoder) xmlEntries(name string, s *shape, v reflect.Value) {
	for _, key := range sortedKeys(v) {
		e.buf.WriteString("<" + name + ">")
		keyName := s.Key.nameOr("key")
		e.buf.WriteString("<" + keyName + ">")
		e.xmlText(key)
		e.buf.WriteString("</" + keyName + ">")
		value := v.MapIndex(reflect.ValueOf(key).Convert(v.Type().Key()))
		e.xmlElement(s.Value.nameOr("value"), s.Value, element(value))
		e.buf.WriteString("</" + name + ">")
	}
}

func (e *encoder) xmlText(s string) {
	if err := xml.EscapeText(&e.buf, []byte(s)); err != nil {
		e.failf("encode text: %w", err)
	}
}
