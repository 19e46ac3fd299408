package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// member is one name of a JSON object with its value, in the order written.
type member struct {
	name  string
	value json.RawMessage
}

// maxNesting bounds the depth of the values below an element; the grammar needs three levels.
const maxNesting = 8

// object reads a JSON object, refusing duplicate names (which another parser may read differently) and
// anything after it.
func object(raw []byte) ([]member, error) {
	if err := depth(raw); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	token, err := dec.Token()
	if err != nil {
		return nil, eof(err, raw)
	}
	if token != json.Delim('{') {
		return nil, errors.New("must be an object")
	}
	var members []member
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, eof(err, raw)
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("must be an object")
		}
		if seen[name] {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, eof(err, raw)
		}
		members = append(members, member{name, bytes.TrimSpace(value)})
	}
	if _, err := dec.Token(); err != nil {
		return nil, eof(err, raw)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the closing brace")
	}
	return members, nil
}

// eof gives "unexpected end" a place, which encoding/json leaves out.
func eof(err error, raw []byte) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it ends early, after byte %d: a closing bracket or brace is missing", len(raw))
	}
	return err
}

// depth refuses deep nesting before any recursive decoder sees it.
func depth(raw []byte) error {
	level, inText := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if level++; level > maxNesting {
				return fmt.Errorf("it is nested deeper than %d levels", maxNesting)
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return nil
}

func text1(raw json.RawMessage) (string, error) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || raw[0] != '"' {
		return "", errors.New("must be a string")
	}
	return s, nil
}

// texts reads a string or a list of strings; it never returns nil without an error.
func texts(raw json.RawMessage) ([]string, error) {
	if raw[0] != '[' {
		s, err := text1(raw)
		if err != nil {
			return nil, errors.New("must be a string or a list of strings")
		}
		return []string{s}, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i, item := range items {
		s, err := text1(item)
		if err != nil {
			return nil, errors.New("must be a string or a list of strings")
		}
		out[i] = s
	}
	if len(out) == 0 {
		return nil, errors.New("is an empty list")
	}
	return out, nil
}

var actionPattern = regexp.MustCompile(`^(\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+)$`)

func actions(raw json.RawMessage) ([]string, error) {
	list, err := texts(raw)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		if !actionPattern.MatchString(a) {
			return nil, fmt.Errorf("%q is not an action: want service:Name or *", a)
		}
	}
	return list, nil
}

var (
	accountPrincipal = regexp.MustCompile(`^[0-9]{12}$`)
	iamPrincipal     = regexp.MustCompile(`^arn:aws(-[a-z-]+)?:(iam::[0-9]{12}:(root|user/.+|role/.+)|sts::[0-9]{12}:(assumed-role|federated-user)/.+)$`)
	servicePrincipal = regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com(\.cn)?$`)
)

func principals(raw json.RawMessage) (*Principals, error) {
	if raw[0] == '"' {
		if s, err := text1(raw); err != nil || s != "*" {
			return nil, errors.New(`must be "*" or an object`)
		}
		return &Principals{Any: true}, nil
	}
	members, err := object(raw)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, errors.New("names nobody")
	}
	p := &Principals{ByType: map[string][]string{}}
	for _, m := range members {
		list, err := texts(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		for _, id := range list {
			if err := validPrincipal(m.name, id); err != nil {
				return nil, err
			}
			p.Any = p.Any || m.name == "AWS" && id == "*"
		}
		p.ByType[m.name] = list
	}
	return p, nil
}

func validPrincipal(kind, id string) error {
	ok := false
	switch kind {
	case "AWS":
		ok = id == "*" || accountPrincipal.MatchString(id) || iamPrincipal.MatchString(id)
	case "Service":
		ok = servicePrincipal.MatchString(id)
	case "Federated", "CanonicalUser":
		ok = id != ""
	default:
		return fmt.Errorf("%s is not a type of principal", kind)
	}
	if !ok {
		return fmt.Errorf("invalid principal %q", kind+":"+id)
	}
	return nil
}

// operatorPattern has the operators of the IAM User Guide, "Condition operators".
var operatorPattern = regexp.MustCompile(`^((ForAllValues|ForAnyValue):)?(` +
	`String(Not)?(Equals|EqualsIgnoreCase|Like)|Numeric((Not)?Equals|(Less|Greater)Than(Equals)?)|` +
	`Date((Not)?Equals|(Less|Greater)Than(Equals)?)|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like)` +
	`)(IfExists)?$`)

func conditions(raw json.RawMessage) ([]Condition, error) {
	operators, err := object(raw)
	if err != nil {
		return nil, err
	}
	var out []Condition
	for _, op := range operators {
		if op.name != "Null" && !operatorPattern.MatchString(op.name) {
			return nil, fmt.Errorf("invalid condition operator %q", op.name)
		}
		keys, err := object(op.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.name, err)
		}
		for _, key := range keys {
			values, err := scalars(key.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", op.name, key.name, err)
			}
			out = append(out, Condition{op.name, key.name, values})
		}
	}
	return out, nil
}

// scalars reads condition values: strings, numbers and booleans, one or a list.
func scalars(raw json.RawMessage) ([]string, error) {
	items := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
	}
	out := make([]string, len(items))
	for i, item := range items {
		item = bytes.TrimSpace(item)
		switch item[0] {
		case '"':
			s, err := text1(item)
			if err != nil {
				return nil, err
			}
			out[i] = s
		case '{', '[', 'n':
			return nil, errors.New("must be a string, number or boolean, or a list of these")
		default:
			out[i] = strings.TrimSpace(string(item))
		}
	}
	return out, nil
}
