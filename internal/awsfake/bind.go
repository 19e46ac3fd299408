package awsfake

import (
	"context"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/cloister"
	"example.com/cloister/internal/wire"
)

// bind binds an operation that reads. action is its IAM action; empty means that it needs no permission.
// resource is the ARN that policies are asked about; nil means "*".
func bind[I, O any](name, action string, resource func(*call, *I) string, method func(*call, *I) (*O, error)) wire.Operation {
	return operation(name, action, false, func(c *call, in *I) []need {
		if resource == nil {
			return []need{{action, "*"}}
		}
		return []need{{action, resource(c, in)}}
	}, method)
}

// bindWrite binds an operation that changes something and needs one permission, as bind does.
func bindWrite[I, O any](name, action string, resource func(*call, *I) string, method func(*call, *I) (*O, error)) wire.Operation {
	return bindWriteOf(name, action, func(c *call, in *I) []need {
		if resource == nil {
			return []need{{action, "*"}}
		}
		return []need{{action, resource(c, in)}}
	}, method)
}

// bindWriteOf is bindWrite for an operation that needs several permissions, that of its own action first.
func bindWriteOf[I, O any](name, action string, needs func(*call, *I) []need, method func(*call, *I) (*O, error)) wire.Operation {
	return operation(name, action, true, needs, method)
}

func operation[I, O any](name, action string, write bool, needs func(*call, *I) []need, method func(*call, *I) (*O, error)) wire.Operation {
	token := tokenField(reflect.TypeFor[I]())
	return wire.Op(name, func(ctx context.Context, in *I, _ ...func(*struct{})) (*O, error) {
		c, ok := ctx.Value(callKey{}).(*call)
		if !ok {
			return nil, fmt.Errorf("%s was called outside a request", name)
		}
		c.Operation, c.Action, c.Write = name, action, write
		if token != nil {
			text, _ := reflect.TypeAssert[*string](reflect.ValueOf(in).Elem().FieldByIndex(token))
			if err := c.turn(aws.ToString(text)); err != nil {
				return nil, err
			}
		}
		c.s.lock.RLock()
		on := needs(c, in)
		c.s.lock.RUnlock()
		if err := c.admit(on); err != nil { // it may wait for the client to give up
			return nil, err
		}
		c.hold()
		out, err := method(c, in)
		if err != nil {
			return nil, err
		}
		if c.fault != nil && c.fault.Member != "" {
			changed, err := c.fault.change(reflect.ValueOf(out))
			if err != nil {
				return nil, err
			}
			out, _ = reflect.TypeAssert[*O](changed)
		}
		return out, nil
	})
}

// hold keeps the world as it is, but for what this call changes, until its answer is encoded. The poll of a job
// changes the job.
func (c *call) hold() {
	if c.s.options.Writable && (c.Write || c.Operation == "GetModelCustomizationJob") {
		c.s.lock.Lock()
		c.release = c.s.lock.Unlock
		return
	}
	c.s.lock.RLock()
	c.release = c.s.lock.RUnlock
}

// tokenField finds the member of an input that asks for a further page, or nil.
func tokenField(t reflect.Type) []int {
	for _, name := range []string{"NextToken", "Marker", "ContinuationToken"} {
		if f, ok := t.FieldByName(name); ok {
			return f.Index
		}
	}
	return nil
}

// turn goes to the page that a token stands for; the empty token is the first page.
func (c *call) turn(token string) error {
	if c.Page = 1; token == "" {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		var operation string
		_, err = fmt.Sscanf(string(text), "%s %d %d", &operation, &c.Page, &c.offset)
		if err == nil && operation == c.Operation && c.offset > 0 {
			return nil
		}
	}
	return badToken(c.Service)
}

// badToken is what a service says to a token that is not its own.
func badToken(service string) error {
	code, text := "ValidationException", "The provided pagination token is invalid."
	switch service {
	case "ec2":
		code, text = "InvalidParameterValue", "Unable to parse pagination token"
	case "kms":
		code, text = "InvalidMarkerException", "The request was rejected because the marker is not valid."
	case "tag":
		code, text = "PaginationTokenExpiredException", "The specified pagination token has expired."
	case "logs":
		code, text = "InvalidParameterException", "The specified nextToken is invalid."
	case "s3":
		code, text = "InvalidArgument", "The continuation token provided is incorrect"
	case "iam":
		code, text = "ValidationError", "Invalid Marker."
	case "servicequotas":
		code, text = "InvalidPaginationTokenException", "Invalid token was provided."
	case "organizations":
		code, text = "InvalidInputException", "You provided a value for the nextToken that is not valid."
	}
	return cloister.Errorf(code, "%s", text)
}

// page cuts the page that c asks for out of items. wanted is the request's own limit, usual the service's
// default; 0 means none. The token is nil on the last page.
func page[T any](c *call, items []T, wanted *int32, usual int) ([]T, *string) {
	size := usual
	if wanted != nil {
		size = int(*wanted)
	}
	if most := c.s.options.PageSize; most > 0 && (size == 0 || size > most) {
		size = most
	}
	begin := min(c.offset, len(items))
	if size == 0 || begin+size >= len(items) {
		return items[begin:], nil
	}
	next := fmt.Sprintf("%s %d %d", c.Operation, c.Page+1, begin+size)
	return items[begin : begin+size], aws.String(base64.RawURLEncoding.EncodeToString([]byte(next)))
}

// keep is the items for which all tests hold; it is items itself if there are none.
func keep[T any](items []T, tests ...func(T) bool) []T {
	tests = slices.DeleteFunc(tests, func(test func(T) bool) bool { return test == nil })
	if len(tests) == 0 {
		return items
	}
	out := []T{}
	for _, item := range items {
		if !slices.ContainsFunc(tests, func(test func(T) bool) bool { return !test(item) }) {
			out = append(out, item)
		}
	}
	return out
}

// arn makes the ARN of a resource in c's region and account.
func (c *call) arn(service, resource string) string {
	return strings.Join([]string{"arn", c.s.world.partition, service, c.Region, c.Account, resource}, ":")
}

func missing(format string, args ...any) error {
	return cloister.Errorf("ResourceNotFoundException", format, args...)
}
