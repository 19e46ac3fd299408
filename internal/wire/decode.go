package wire

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// message is a request whose operation is known.
type message struct {
	op     *operation
	r      *http.Request
	query  url.Values        // of rest protocols
	labels map[string]string // of rest protocols
	form   url.Values        // of the query and ec2 protocols
}

// decode fills in, a pointer to the SDK's input structure, and checks every constraint of the model. It
// returns violations, *malformed, or an error of reading the body.
func (s *Service) decode(m message, in any) (violations, error) {
	if m.op.Input == nil {
		return nil, nil
	}
	input := m.op.Input.shape
	tree, err := s.tree(m, input)
	if err != nil {
		return nil, err
	}
	f := &filler{unions: s.unions}
	if err := f.structure(input, tree, reflect.ValueOf(in).Elem(), ""); err != nil {
		return nil, err
	}
	return f.bad, nil
}

func (s *Service) tree(m message, input *shape) (map[string]any, error) {
	switch s.model.Metadata.Protocol {
	case queryForm, ec2Form:
		form := newFormReader(m.form, s.model.Metadata.Protocol == ec2Form)
		tree := form.members(input, "")
		return tree, form.unknown()
	case json11:
		body, err := s.readBody(m.r)
		if err != nil {
			return nil, err
		}
		object, err := parseJSON(body)
		if err != nil {
			return nil, err
		}
		return jsonMembers(input, object), nil
	default:
		return s.restTree(m, input)
	}
}

// restTree gathers the members of a rest request from path, query, headers and body.
func (s *Service) restTree(m message, input *shape) (map[string]any, error) {
	tree, err := s.restBody(m, input)
	if err != nil {
		return nil, err
	}
	for _, r := range input.Members {
		name := r.wireName()
		switch r.Location {
		case "uri":
			if v, ok := m.labels[name]; ok {
				tree[r.Name] = v
			}
		case "querystring":
			if values, ok := m.query[name]; ok {
				tree[r.Name] = queryValue(r.shape, values)
			}
		case "header":
			if v := header(m.r, name); v != "" {
				tree[r.Name] = headerValue(r.shape, v)
			}
		case "headers":
			if found := prefixed(m.r.Header, name); len(found) > 0 {
				tree[r.Name] = found
			}
		}
	}
	return tree, nil
}

// header returns a request's header; net/http keeps the length apart from the others.
func header(r *http.Request, name string) string {
	if strings.EqualFold(name, "Content-Length") {
		if r.ContentLength < 0 {
			return ""
		}
		return strconv.FormatInt(r.ContentLength, 10)
	}
	return strings.Join(r.Header.Values(name), ",")
}

func queryValue(s *shape, values []string) any {
	if s.Type != typeList {
		return values[0]
	}
	return texts(values)
}

func headerValue(s *shape, value string) any {
	if s.Type != typeList {
		return value
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return texts(parts)
}

func texts(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// prefixed collects the headers with a prefix (x-amz-meta-) as a map with lower-case keys, as S3 does.
func prefixed(h http.Header, prefix string) map[string]any {
	out := map[string]any{}
	for name, values := range h {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), strings.ToLower(prefix)); ok && rest != "" {
			out[rest] = strings.Join(values, ",")
		}
	}
	return out
}

// restBody reads the members that travel in the body.
func (s *Service) restBody(m message, input *shape) (map[string]any, error) {
	payload := input.payload()
	if payload != nil && payload.Streaming {
		return map[string]any{payload.Name: io.Reader(m.r.Body)}, nil
	}
	// The body is read even where none is expected: reading to its end verifies its digest.
	body, err := s.readBody(m.r)
	if err != nil {
		return nil, err
	}
	if payload != nil && payload.shape.scalar() {
		if len(body) == 0 {
			return map[string]any{}, nil
		}
		if payload.shape.Type == typeBlob {
			return map[string]any{payload.Name: body}, nil
		}
		return map[string]any{payload.Name: string(body)}, nil
	}
	target := input
	if payload != nil {
		target = payload.shape
	}
	if len(body) == 0 || !hasBody(input) {
		return map[string]any{}, nil
	}
	var tree map[string]any
	if s.model.Metadata.Protocol == restXML {
		root, err := parseXML(body)
		if err != nil {
			return nil, err
		}
		if payload != nil && root.name != payload.wireName() {
			return nil, malformedf("the root element is not %s", payload.wireName())
		}
		tree = xmlMembers(target, root)
	} else {
		object, err := parseJSON(body)
		if err != nil {
			return nil, err
		}
		tree = bodyMembers(target, object)
	}
	if payload != nil {
		return map[string]any{payload.Name: tree}, nil
	}
	return tree, nil
}

// bodyMembers is jsonMembers without the members that travel elsewhere: a body must not set a label.
func bodyMembers(s *shape, object map[string]any) map[string]any {
	tree := jsonMembers(s, object)
	for _, r := range s.Members {
		if !r.inBody() {
			delete(tree, r.Name)
		}
	}
	return tree
}

// hasBody says that some member of s travels in the body.
func hasBody(s *shape) bool {
	for _, r := range s.Members {
		if r.inBody() {
			return true
		}
	}
	return false
}

// errTooLarge says that a body exceeds the limit.
var errTooLarge = errors.New("the request body is larger than the limit")

func (s *Service) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, s.maxBody+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > s.maxBody {
		return nil, errTooLarge
	}
	return body, nil
}
