package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"example.com/cloister"
)

// Operation binds an operation's name to a method. Make it with Op.
type Operation struct {
	name    string
	in, out reflect.Type
	newIn   func() any
	call    func(ctx context.Context, in any) (any, error)
}

// Name is AWS's name of the operation.
func (o Operation) Name() string { return o.name }

// NewInput returns a pointer to a new input structure of the SDK.
func (o Operation) NewInput() any { return o.newIn() }

// Invoke calls the method with what NewInput returned, for tests that go through all operations.
func (o Operation) Invoke(ctx context.Context, in any) (any, error) { return o.call(ctx, in) }

// Op binds the operation name to method, which has the signature of the SDK client's method: I and O are the
// SDK's input and output structures, P its Options. Methods are called without options.
func Op[I, O, P any](name string, method func(context.Context, *I, ...func(*P)) (*O, error)) Operation {
	return Operation{
		name: name, in: reflect.TypeFor[I](), out: reflect.TypeFor[O](),
		newIn: func() any { return new(I) },
		call: func(ctx context.Context, in any) (any, error) {
			input, ok := in.(*I)
			if !ok {
				return nil, fmt.Errorf("operation %s got an input of type %T", name, in)
			}
			out, err := method(ctx, input)
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

// Service is one AWS API bound to methods. It is safe for concurrent use.
type Service struct {
	model   *model
	router  *router // of rest protocols, else nil
	ops     map[string]Operation
	unions  map[string]reflect.Type
	maxBody int64
}

// DefaultMaxBody is the usual limit of a request's body in bytes, object data aside.
const DefaultMaxBody = 1 << 20

// NewService binds operations to the model of a service: "bedrock", "kms", "iam", "sts" or "s3". maxBody
// limits bodies in bytes, except those that stream; 0 means DefaultMaxBody. An operation that the model does
// not have, or has without shapes, is an error.
func NewService(name string, maxBody int64, ops ...Operation) (*Service, error) {
	m, err := loadModel(name)
	if err != nil {
		return nil, err
	}
	return newService(m, maxBody, ops)
}

// NewServiceFromModel is NewService for a model that is not embedded: packed is a file that trim.py wrote,
// name the service's name as Name returns it.
func NewServiceFromModel(name string, packed []byte, maxBody int64, ops ...Operation) (*Service, error) {
	m, err := readModel(name, packed)
	if err != nil {
		return nil, err
	}
	return newService(m, maxBody, ops)
}

// Bind makes another service of the same model, with other operations: reading a model costs milliseconds.
func (s *Service) Bind(ops ...Operation) (*Service, error) {
	return newService(s.model, s.maxBody, ops)
}

func newService(m *model, maxBody int64, ops []Operation) (*Service, error) {
	if maxBody == 0 {
		maxBody = DefaultMaxBody
	}
	s := &Service{model: m, ops: map[string]Operation{}, unions: unionMembers(), maxBody: maxBody}
	if m.Metadata.Protocol == restJSON || m.Metadata.Protocol == restXML {
		s.router = newRouter(m)
	}
	for _, op := range ops {
		known := m.byName[op.name]
		if known == nil || !known.Served {
			return nil, fmt.Errorf("the model of %s does not serve %s: add it to trim.py", m.name, op.name)
		}
		if _, twice := s.ops[op.name]; twice {
			return nil, fmt.Errorf("operation %s of %s is bound twice", op.name, m.name)
		}
		s.ops[op.name] = op
	}
	return s, nil
}

// Name is the service's name in credential scopes.
func (s *Service) Name() string { return s.model.name }

// Operations lists the names of the bound operations in alphabetical order.
func (s *Service) Operations() []string { return slices.Sorted(maps.Keys(s.ops)) }

// Recognizes says that r is shaped like a request for this service: for requests that do not name one. It
// reads the body of query services, and of no others.
func (s *Service) Recognizes(r *http.Request) bool {
	m, err := s.resolve(r)
	return err == nil && m.op != nil
}

// Outcome says how a request ended, for logs and metrics.
type Outcome struct {
	// Operation is the operation's name, also of one that is not served; empty if there is none.
	Operation string
	// Status is the HTTP status; Code is AWS's error code, or empty.
	Status int
	Code   string
	// Err is the error behind Code, or what broke the connection. It is for the log only.
	Err error
}

// Serve answers a request that is already authenticated; the context carries the cloister.Call. It panics
// with http.ErrAbortHandler, after calling done, if an answer breaks off in the middle. done is called once.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, done func(Outcome)) {
	m, err := s.resolve(r)
	out := Outcome{}
	if m.op != nil {
		out.Operation = m.op.Name
	}
	if err != nil {
		done(s.refuse(w, r, out, err))
		return
	}
	result, err := s.invoke(r.Context(), m)
	if err != nil {
		done(s.refuse(w, r, out, err))
		return
	}
	a, err := s.encode(m.op, result, cloister.CallFrom(r.Context()).RequestID)
	if a.stream != nil {
		defer func() { _ = a.stream.Close() }() // it was only read
	}
	if err != nil {
		done(s.refuse(w, r, out, fmt.Errorf("encode output of %s: %w", m.op.Name, err)))
		return
	}
	started, err := a.write(w, r)
	if err != nil && !started {
		done(s.refuse(w, r, out, err))
		return
	}
	out.Status, out.Err = a.status, err
	done(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// ServeHTTP is Serve for those who do not want the outcome.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Serve(w, r, func(Outcome) {})
}

// WriteError answers a request with err in the service's protocol. requestID goes into XML bodies.
func (s *Service) WriteError(w http.ResponseWriter, r *http.Request, requestID string, err error) Outcome {
	f := s.failure(err)
	a := s.encodeError(f, requestID)
	_, writeErr := a.write(w, r)
	return Outcome{Status: f.status, Code: f.code, Err: errors.Join(err, writeErr)}
}

func (s *Service) refuse(w http.ResponseWriter, r *http.Request, out Outcome, err error) Outcome {
	refused := s.WriteError(w, r, cloister.CallFrom(r.Context()).RequestID, s.translate(err))
	refused.Operation = out.Operation
	return refused
}

// invoke decodes, validates and calls.
func (s *Service) invoke(ctx context.Context, m message) (any, error) {
	op, ok := s.ops[m.op.Name]
	if !ok {
		return nil, s.unserved(m.op.Name)
	}
	in := op.newIn()
	bad, err := s.decode(m, in)
	if err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return nil, s.invalid(bad)
	}
	return op.call(ctx, in)
}

// resolve finds the operation that r means. The message's op is set also where an error is returned, if the
// request named one.
func (s *Service) resolve(r *http.Request) (message, error) {
	switch s.model.Metadata.Protocol {
	case json11:
		prefix, name := s.target(r)
		op := s.model.byName[name]
		if r.Method != http.MethodPost || prefix != s.model.Metadata.TargetPrefix || op == nil {
			return message{}, s.unserved(name)
		}
		return message{op: op, r: r}, nil
	case queryForm, ec2Form:
		return s.resolveQuery(r)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return message{}, malformedf("the query string is malformed")
	}
	op, labels, err := s.router.find(r, query)
	if err != nil {
		return message{}, s.unrouted(err)
	}
	return message{op: op, r: r, query: query, labels: labels}, nil
}

// target splits X-Amz-Target into the service's prefix and the operation. CloudTrail's prefix is
// "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101" for botocore and its last part for Smithy's clients.
func (s *Service) target(r *http.Request) (prefix, operation string) {
	text := r.Header.Get("X-Amz-Target")
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 {
		return "", ""
	}
	prefix = text[:dot]
	if long := s.model.Metadata.TargetPrefix; strings.HasSuffix(long, "."+prefix) {
		prefix = long
	}
	return prefix, text[dot+1:]
}

func (s *Service) resolveQuery(r *http.Request) (message, error) {
	raw := r.URL.RawQuery
	if r.Method == http.MethodPost {
		body, err := s.readBody(r)
		if err != nil {
			return message{}, err
		}
		raw = string(body)
	}
	form, err := parseForm(raw)
	if err != nil {
		return message{}, err
	}
	name, version := form.Get("Action"), form.Get("Version")
	op := s.model.byName[name]
	if op == nil || (version != "" && version != s.model.Metadata.APIVersion) {
		return message{}, cloister.Errorf("InvalidAction", "Could not find operation %s for version %s", clip(name), clip(version))
	}
	return message{op: op, r: r, form: form}, nil
}

// unserved is the answer for an operation that AWS has and Cloister has not.
func (s *Service) unserved(name string) error {
	name = clip(name)
	switch s.model.Metadata.Protocol {
	case json11:
		return cloister.Errorf("UnknownOperationException", "The operation %q is not served here; 'cloister operations' lists those that are.", name)
	case queryForm, ec2Form:
		return cloister.Errorf("InvalidAction", "Could not find operation %s for version %s: it is not served here; 'cloister operations' lists those that are.",
			name, s.model.Metadata.APIVersion)
	case restXML:
		return cloister.Errorf("NotImplemented", "A header or query you provided implies functionality that is not implemented: %s is not served here; 'cloister operations' lists what is.", name)
	default:
		return cloister.Errorf("ValidationException", "Unknown operation: %s is not served here; 'cloister operations' lists those that are.", name)
	}
}

// unrouted is the answer for a rest request that means no operation at all.
func (s *Service) unrouted(err error) error {
	if s.model.Metadata.Protocol == restXML {
		return cloister.Errorf("MethodNotAllowed", "The specified method is not allowed against this resource: %v.", err)
	}
	return cloister.Errorf("ValidationException", "Unknown operation: %v.", err)
}

// invalid words broken constraints. S3 and the query services have codes of their own for them.
func (s *Service) invalid(bad violations) error {
	code := "ValidationException"
	switch s.model.Metadata.Protocol {
	case queryForm:
		code = "ValidationError"
	case ec2Form:
		code = "InvalidParameterValue"
	case restXML:
		code = "InvalidArgument"
	}
	return cloister.Errorf(code, "%s", bad.message())
}

// translate gives errors of reading a request their AWS codes and leaves those that have one alone.
func (s *Service) translate(err error) error {
	if _, ok := errors.AsType[smithy.APIError](err); ok {
		return err
	}
	var unreadable *malformed
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &unreadable):
		code := "SerializationException"
		switch s.model.Metadata.Protocol {
		case queryForm:
			code = "MalformedInput"
		case ec2Form:
			code = "MalformedQueryString"
		case restXML:
			code = "MalformedXML"
			if !strings.HasPrefix(unreadable.text, "the body") && !strings.HasPrefix(unreadable.text, "the root") {
				code = "InvalidArgument"
			}
		}
		return cloister.Errorf(code, "The request could not be read: %s.", unreadable.text)
	case errors.Is(err, errTooLarge), errors.As(err, &tooLarge):
		limit := s.maxBody
		if tooLarge != nil {
			limit = tooLarge.Limit
		}
		code := "RequestEntityTooLarge"
		if s.model.Metadata.Protocol == restXML {
			code = "EntityTooLarge"
		}
		return cloister.Errorf(code, "The request body is larger than %d bytes.", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return cloister.Errorf("RequestTimeout", "The connection was not read from or written to within the timeout period.").
			WithStatus(http.StatusBadRequest)
	case errors.Is(err, io.ErrUnexpectedEOF):
		code := "IncompleteBody"
		if s.model.Metadata.Protocol != restXML {
			code = "SerializationException"
		}
		return cloister.Errorf(code, "The request body ended before the number of bytes that Content-Length announces.")
	}
	return err
}
