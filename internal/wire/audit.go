package wire

import (
	"fmt"
	"io"
	"reflect"
	"time"
)

// Audit says where the model and the SDK's types of the bound operations do not meet: a member without a
// field, a field of the wrong type, a union that is not registered. It returns nil if everything fits.
func (s *Service) Audit() []string {
	a := &auditor{unions: s.unions, seen: map[pairing]bool{}}
	for _, name := range s.Operations() {
		op, bound := s.model.byName[name], s.ops[name]
		if a.input = true; op.Input != nil {
			a.structure(op.Input.shape, bound.in, name+" input")
		}
		if a.input = false; op.Output != nil {
			a.structure(op.Output.shape, bound.out, name+" output")
		}
	}
	return a.found
}

type pairing struct {
	shape *shape
	typ   reflect.Type
}

type auditor struct {
	unions map[string]reflect.Type
	seen   map[pairing]bool
	found  []string
	input  bool // what is walked is an input
}

func (a *auditor) report(path, format string, args ...any) {
	a.found = append(a.found, path+": "+fmt.Sprintf(format, args...))
}

func (a *auditor) structure(s *shape, t reflect.Type, path string) {
	if a.seen[pairing{s, t}] {
		return
	}
	a.seen[pairing{s, t}] = true
	if t.Kind() != reflect.Struct {
		a.report(path, "shape %s is a structure, %s is not", s.name, t)
		return
	}
	for _, r := range s.Members {
		at := path + "." + r.Name
		field, ok := t.FieldByName(fieldName(r.Name))
		switch {
		case !ok:
			a.report(at, "%s has no field %s", t, fieldName(r.Name))
		case r.XMLAttribute && a.input:
			a.report(at, "XML attributes are not read")
		case r.Streaming:
			if field.Type != reflect.TypeFor[io.Reader]() && field.Type != reflect.TypeFor[io.ReadCloser]() {
				a.report(at, "a streaming member has the type %s", field.Type)
			}
		default:
			a.value(r.shape, field.Type, at)
		}
	}
}

func (a *auditor) value(s *shape, t reflect.Type, path string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch s.Type {
	case typeStructure:
		if s.Union {
			a.union(s, t, path)
			return
		}
		a.structure(s, t, path)
	case typeList:
		if t.Kind() != reflect.Slice {
			a.report(path, "shape %s is a list, %s is not", s.name, t)
			return
		}
		a.value(s.Member.shape, t.Elem(), path+"[]")
	case typeMap:
		if t.Kind() != reflect.Map || t.Key().Kind() != reflect.String {
			a.report(path, "shape %s is a map of strings, %s is not", s.name, t)
			return
		}
		a.value(s.Value.shape, t.Elem(), path+"{}")
	default:
		if !scalarFits(s.Type, t) {
			a.report(path, "shape %s is a %s, the field a %s", s.name, s.Type, t)
		}
	}
}

func (a *auditor) union(s *shape, t reflect.Type, path string) {
	if a.seen[pairing{s, t}] {
		return
	}
	a.seen[pairing{s, t}] = true
	for _, r := range s.Members {
		wrapper := a.unions[s.name+"."+r.Name]
		if wrapper == nil {
			a.report(path, "union member %s.%s is not registered", s.name, r.Name)
			continue
		}
		if t.Kind() != reflect.Interface || !reflect.PointerTo(wrapper).Implements(t) {
			a.report(path, "%s is not a member of %s", wrapper, t)
			continue
		}
		value, ok := wrapper.FieldByName("Value")
		if !ok {
			a.report(path, "%s has no Value", wrapper)
			continue
		}
		a.value(r.shape, value.Type, path+"."+r.Name)
	}
}

func scalarFits(kind string, t reflect.Type) bool {
	switch kind {
	case typeString:
		return t.Kind() == reflect.String
	case typeBlob:
		return t == reflect.TypeFor[[]byte]()
	case typeBoolean:
		return t.Kind() == reflect.Bool
	case typeInteger, typeLong:
		return t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64
	case typeFloat, typeDouble:
		return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
	case typeTimestamp:
		return t == reflect.TypeFor[time.Time]()
	default:
		return false
	}
}
