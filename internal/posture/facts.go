package posture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Fact is a named value that decided, as it came from the API; a JSON value.
type Fact struct {
	Name  string
	Value any
}

// Facts are in the order of their names, each name once. In JSON they are an object. They are not changed: results share
// them.
type Facts []Fact

// MakeFacts are facts of names and values.
func MakeFacts(values map[string]any) Facts {
	var f Facts
	for _, name := range sortedKeys(values) {
		f = append(f, Fact{name, values[name]})
	}
	return f
}

func (f Facts) find(name string) (at int, found bool) {
	return slices.BinarySearchFunc(f, name, func(one Fact, name string) int { return strings.Compare(one.Name, name) })
}

// Get returns the value of a fact, nil if there is none.
func (f Facts) Get(name string) any {
	if at, found := f.find(name); found {
		return f[at].Value
	}
	return nil
}

// with is a copy of the facts with one more.
func (f Facts) with(name string, value any) Facts {
	at, found := f.find(name)
	more := make(Facts, 0, len(f)+1)
	more = append(append(more, f[:at]...), Fact{name, value})
	if found {
		at++
	}
	return append(more, f[at:]...)
}

// MarshalJSON writes an object.
func (f Facts) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the caller's encoder does as it is set
	out.WriteByte('{')
	for i, one := range f {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := enc.Encode(one.Name); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := enc.Encode(one.Value); err != nil {
			return nil, fmt.Errorf("fact %s: %w", one.Name, err)
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON reads an object; numbers stay as they were written.
func (f *Facts) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return err
	}
	*f = MakeFacts(object)
	return nil
}
