package awsfake

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"example.com/cloister"
)

// Kind is what goes wrong.
type Kind int

// The kinds of faults.
const (
	// AccessDenied is the refusal by an identity policy.
	AccessDenied Kind = iota
	// Throttle is the throttling error of the service, every time.
	Throttle
	// HTML500 is the status 500 with an HTML page, as load balancers answer. What the call changes is changed.
	HTML500
	// Timeout never answers: the call lasts until its context ends.
	Timeout
	// Truncated is a valid answer cut in half, after the change if there is one. Content-Length is that of the
	// half: the cut is in the document, not in HTTP.
	Truncated
	// UnknownEnum is a valid answer in which Member is "SOMETHING_NEW".
	UnknownEnum
	// MissingMember is a valid answer without Member.
	MissingMember
)

// kindNames are the kinds' names, in their order.
func kindNames() []string {
	return []string{"AccessDenied", "Throttle", "HTML500", "Timeout", "Truncated", "UnknownEnum", "MissingMember"}
}

// String is the kind's name.
func (k Kind) String() string { return kindNames()[k] }

// UnmarshalText reads a kind's name, so that files can say it.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames(), string(text))
	if i < 0 {
		return fmt.Errorf("%q is no kind of fault: there are %s", text, strings.Join(kindNames(), ", "))
	}
	*k = Kind(i)
	return nil
}

// newValue is what UnknownEnum sets.
const newValue = "SOMETHING_NEW"

// Fault is something that goes wrong with the calls that match it. Empty fields match all.
type Fault struct {
	// Account, Region, Service and Operation are those of Call.
	Account   string `yaml:"account"`
	Region    string `yaml:"region"`
	Service   string `yaml:"service"`
	Operation string `yaml:"operation"`
	// Resource is a part of the path, query or body of the request, without the encoding of URLs and forms.
	Resource string `yaml:"resource"`
	// Page matches only the n-th page of a listing, from 1.
	Page int  `yaml:"page"`
	Kind Kind `yaml:"kind"`
	// Member is what UnknownEnum and MissingMember change: a dotted path of the answer's members in AWS's
	// spelling. A list's element is its number, and "[]" the first: "Subnets[].State" and "Subnets.0.State" are
	// the same. Where the answer does not have that place, it stays as it is.
	Member string `yaml:"member"`
}

func (f *Fault) matches(c *call) bool {
	same := func(want, got string) bool { return want == "" || want == got }
	return same(f.Account, c.Account) && same(f.Region, c.Region) && same(f.Service, c.Service) &&
		same(f.Operation, c.Operation) && (f.Page == 0 || f.Page == c.Page) && strings.Contains(c.path, f.Resource)
}

// strike lets the first fault that matches happen, or notes it for the answer.
func (c *call) strike(first need) error {
	for i := range c.s.options.Faults {
		f := &c.s.options.Faults[i]
		if !f.matches(c) {
			continue
		}
		switch f.Kind {
		case AccessDenied:
			return c.denied(first)
		case Throttle:
			c.throttled = true
			return throttling(c.Service)
		case Timeout:
			<-c.ctx.Done()
			return c.ctx.Err()
		default:
			c.fault = f
			return nil
		}
	}
	return nil
}

// damage does to an answer what its fault says.
func (c *call) damage(out *recorder) {
	if c.fault == nil {
		return
	}
	switch c.fault.Kind {
	case HTML500:
		out.status = http.StatusInternalServerError
		out.header.Set("Content-Type", "text/html")
		out.body = *bytes.NewBufferString("<html><head><title>500 Internal Server Error</title></head><body><center><h1>500 Internal Server Error</h1></center></body></html>\n")
	case Truncated:
		out.body.Truncate(out.body.Len() / 2)
	default:
	}
	if out.header.Get("Content-Length") != "" {
		out.header.Set("Content-Length", strconv.Itoa(out.body.Len()))
	}
}

// change returns a copy of an output in which the fault's member is changed. What is not on the way to it is
// shared with the original.
func (f *Fault) change(out reflect.Value) (reflect.Value, error) {
	path := strings.Split(strings.ReplaceAll(strings.ReplaceAll(f.Member, "[]", ".0"), "..", "."), ".")
	changed, err := f.at(out, path)
	if err != nil {
		return out, cloister.Errorf("BadFault", "awsfake: member %q: %v", f.Member, err)
	}
	return changed, nil
}

func (f *Fault) at(v reflect.Value, path []string) (reflect.Value, error) {
	if len(path) == 0 {
		return f.leaf(v)
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v, nil
		}
		below, err := f.at(v.Elem(), path)
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(below)
		return out, err
	case reflect.Interface: // a union: its member's name, then what is in it
		if v.IsNil() {
			return v, nil
		}
		below, err := f.at(v.Elem(), append([]string{"Value"}, path[1:]...))
		out.Set(below)
		return out, err
	case reflect.Struct:
		field := out.FieldByName(strings.ToUpper(path[0][:1]) + path[0][1:])
		if !field.IsValid() {
			return v, fmt.Errorf("%s has no member %q", v.Type(), path[0])
		}
		below, err := f.at(field, path[1:])
		field.Set(below)
		return out, err
	case reflect.Slice:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= v.Len() {
			return v, err
		}
		below, err := f.at(v.Index(i), path[1:])
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		reflect.Copy(out, v)
		out.Index(i).Set(below)
		return out, err
	default:
		return v, fmt.Errorf("%s has no members", v.Type())
	}
}

func (f *Fault) leaf(v reflect.Value) (reflect.Value, error) {
	zero := reflect.New(v.Type()).Elem()
	if f.Kind == MissingMember {
		return zero, nil
	}
	target := zero
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(v.Type().Elem()))
		target = target.Elem()
	}
	if target.Kind() != reflect.String {
		return v, fmt.Errorf("%s is not an enumeration", v.Type())
	}
	target.SetString(newValue)
	return zero, nil
}
