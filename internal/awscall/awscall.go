// Package awscall makes AWS calls by name, with parameters and answers as JSON in the members of AWS's API: what a
// remediation plan holds can be read by a person, approved by its hash, and made exactly so.
//
// It knows a list of operations and nothing of plans. Every call goes through the AWS SDK's clients, whose signatures,
// endpoints and error types it keeps.
package awscall

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// Configure gives the configuration of a service's client: credentials, region, endpoint.
type Configure func(service string) aws.Config

// Answer is what came of a call.
type Answer struct {
	// Members is the output in the members of AWS's API: maps, lists, strings, numbers, booleans.
	Members map[string]any
	// RequestID is AWS's.
	RequestID string
}

// Client makes calls in one account and region. It is safe for concurrent use.
type Client struct {
	timeout   time.Duration
	configure Configure
}

// New returns a client. timeout bounds a call that changes something, and a read with its further attempts threefold; 0 is
// without a bound.
func New(timeout time.Duration, configure Configure) *Client { return &Client{timeout, configure} }

// Call makes the call "service:Operation" with parameters, a JSON object. What the parameters have and the operation's
// input has not is an error before anything is sent; AWS's own error is a smithy.APIError.
func (c *Client) Call(ctx context.Context, operation string, parameters json.RawMessage) (*Answer, error) {
	op, ok := find(operation)
	if !ok {
		return nil, fmt.Errorf("%s is none of the calls that can be made", operation)
	}
	if limit := c.timeout; limit > 0 {
		if !op.changes {
			limit *= 3
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	answer, err := op.make(ctx, c.configure(Service(operation)), parameters)
	if err != nil {
		return nil, &callError{operation, err}
	}
	return answer, nil
}

// Known says that an operation can be called.
func Known(operation string) bool {
	_, ok := find(operation)
	return ok
}

// Changes says that an operation changes something. One that is not known does.
func Changes(operation string) bool {
	op, ok := find(operation)
	return !ok || op.changes
}

// Check says what is wrong with parameters, without a call.
func Check(operation string, parameters json.RawMessage) error {
	op, ok := find(operation)
	if !ok {
		return fmt.Errorf("%s is none of the calls that can be made", operation)
	}
	if err := op.check(parameters); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}

// Names are all operations, sorted.
func Names() []string {
	var names []string
	for _, op := range operations() {
		names = append(names, op.name)
	}
	slices.Sort(names)
	return names
}

// Service is the service of "service:Operation", as endpoints and the aws CLI name it.
func Service(operation string) string {
	service, _, _ := strings.Cut(operation, ":")
	return service
}

// Parameters are an SDK input structure as a JSON object.
func Parameters(operation string, input any) (json.RawMessage, error) {
	members, err := encode(input, lower(Service(operation)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", operation, err)
	}
	return json.Marshal(members)
}

// operation is one call.
type operation struct {
	name    string
	changes bool
	make    func(context.Context, aws.Config, json.RawMessage) (*Answer, error)
	check   func(json.RawMessage) error
	// input and output are the SDK's structures.
	input, output reflect.Type
}

func find(name string) (operation, bool) {
	all := operations()
	i := slices.IndexFunc(all, func(op operation) bool { return op.name == name })
	if i < 0 {
		return operation{}, false
	}
	return all[i], true
}

// read and write bind an operation to the method of an SDK client, which client makes.
func read[C, I, O, P any](name string, client func(aws.Config) C, method func(C, context.Context, *I, ...func(*P)) (*O, error)) operation {
	return bind(name, false, client, method)
}

func write[C, I, O, P any](name string, client func(aws.Config) C, method func(C, context.Context, *I, ...func(*P)) (*O, error)) operation {
	return bind(name, true, client, method)
}

func bind[C, I, O, P any](name string, changes bool, client func(aws.Config) C, method func(C, context.Context, *I, ...func(*P)) (*O, error)) operation {
	small := lower(Service(name))
	return operation{
		name: name, changes: changes, input: reflect.TypeFor[I](), output: reflect.TypeFor[O](),
		check: func(parameters json.RawMessage) error {
			var in I
			return decode(parameters, &in, small)
		},
		make: func(ctx context.Context, cfg aws.Config, parameters json.RawMessage) (*Answer, error) {
			var in I
			if err := decode(parameters, &in, small); err != nil {
				return nil, err
			}
			if changes {
				cfg.Retryer = careful(cfg.Retryer)
			}
			var id requestID
			cfg.APIOptions = append(slices.Clone(cfg.APIOptions), id.note)
			out, err := method(client(cfg), ctx, &in)
			if err != nil {
				return nil, err
			}
			members, err := encode(out, small)
			if err != nil {
				return nil, err
			}
			if err := unsuccessful(members); err != nil {
				return nil, err
			}
			return &Answer{members, id.value}, nil
		},
	}
}

// unsuccessful is the error of an answer that says, with status 200, that it did not do what it was asked.
// Source: Amazon EC2 API Reference, UnsuccessfulItem.
func unsuccessful(members map[string]any) error {
	list, _ := members["Unsuccessful"].([]any)
	if len(list) == 0 {
		return nil
	}
	item, _ := list[0].(map[string]any)
	why, _ := item["Error"].(map[string]any)
	code, _ := why["Code"].(string)
	message, _ := why["Message"].(string)
	return &RefusedError{&smithy.GenericAPIError{Code: code, Message: message, Fault: smithy.FaultClient}}
}

// RefusedError is a refusal inside an answer of success.
type RefusedError struct{ *smithy.GenericAPIError }

// Unwrap gives the error as the SDK's are.
func (e *RefusedError) Unwrap() error { return e.GenericAPIError }

// careful retries only what a service refused as too many: whether a call that got no answer was made, a read finds out. The
// answer to a second one would hide that it was ("there is no such model").
func careful(usual func() aws.Retryer) func() aws.Retryer {
	return func() aws.Retryer {
		if usual == nil {
			return &patient{retry.NewStandard()}
		}
		return &patient{usual()}
	}
}

type patient struct{ aws.Retryer }

// IsErrorRetryable says so of throttling alone.
func (p *patient) IsErrorRetryable(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == aws.TrueTernary && p.Retryer.IsErrorRetryable(err)
}

// requestID notes the request id of a call.
type requestID struct{ value string }

func (id *requestID) note(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("NoteRequestID", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if found, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
			id.value = found
		}
		return out, metadata, err
	}), middleware.Before)
}

// lower says that a service's API begins the names of members with a small letter.
func lower(service string) bool { return service == "bedrock" || service == "logs" }
