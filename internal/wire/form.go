package wire

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"example.com/cloister"
)

// maxParameters is the most parameters that a form may have.
const maxParameters = 10000

// parseForm reads an application/x-www-form-urlencoded body.
func parseForm(body string) (url.Values, error) {
	if strings.Count(body, "&") >= maxParameters {
		return nil, malformedf("the body has more than %d parameters", maxParameters)
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, malformedf("the body is not application/x-www-form-urlencoded")
	}
	for name, values := range form {
		if len(values) != 1 {
			return nil, malformedf("the parameter %s is there more than once", clip(name))
		}
	}
	return form, nil
}

// formReader reads the flat parameters of the query and ec2 protocols as a tree.
type formReader struct {
	form   url.Values
	prefix map[string]bool // every proper prefix of a parameter's name, up to a dot
	// ec2 is the ec2 protocol: other names, and every list is flat.
	ec2 bool
	// read are the parameters that mean something.
	read map[string]bool
}

func newFormReader(form url.Values, ec2 bool) *formReader {
	f := &formReader{form: form, prefix: map[string]bool{}, ec2: ec2, read: map[string]bool{"Action": true, "Version": true}}
	for name := range form {
		f.prefix[name] = true
		for i, c := range name {
			if c == '.' {
				f.prefix[name[:i]] = true
			}
		}
	}
	return f
}

func (f *formReader) members(s *shape, prefix string) map[string]any {
	tree := map[string]any{}
	for _, r := range s.Members {
		name := r.wireName()
		if f.ec2 {
			name = r.ec2Name()
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		if v := f.value(r, name); v != nil {
			tree[r.Name] = v
		}
	}
	return tree
}

// value reads what r means below name, or nil if no parameter begins with it.
func (f *formReader) value(r *ref, name string) any {
	if !f.prefix[name] {
		return nil
	}
	s := r.shape
	flat := r.Flattened || s.Flattened || f.ec2
	switch s.Type {
	case typeStructure:
		return f.members(s, name)
	case typeList:
		if !flat {
			name += "." + s.Member.nameOr("member")
		}
		list := []any{}
		for i := 1; f.prefix[fmt.Sprintf("%s.%d", name, i)]; i++ {
			list = append(list, f.value(s.Member, fmt.Sprintf("%s.%d", name, i)))
		}
		return list
	case typeMap:
		if !flat {
			name += ".entry"
		}
		out := map[string]any{}
		for i := 1; ; i++ {
			entry := fmt.Sprintf("%s.%d", name, i)
			key, ok := f.form[entry+"."+s.Key.nameOr("key")]
			if !ok {
				return out
			}
			f.read[entry+"."+s.Key.nameOr("key")] = true
			out[key[0]] = f.value(s.Value, entry+"."+s.Value.nameOr("value"))
		}
	default:
		if values, ok := f.form[name]; ok {
			f.read[name] = true
			return values[0]
		}
		return nil
	}
}

// unknown is the error of a parameter that means nothing, as EC2 has it: what is not understood is not passed over, for it may have
// been what narrows a request. The query protocol's services pass over it, and so does this package there.
func (f *formReader) unknown() error {
	for _, name := range slices.Sorted(maps.Keys(f.form)) {
		if f.ec2 && !f.read[name] && f.form[name][0] != "" {
			return cloister.Errorf("UnknownParameter", "The parameter %s is not recognized", clip(name)).WithStatus(http.StatusBadRequest)
		}
	}
	return nil
}
