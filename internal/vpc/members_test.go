package vpc_test

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister"
	"example.com/cloister/internal/api"
	"example.com/cloister/internal/vpc"
	"example.com/cloister/internal/wire"
)

// operations is EC2's table on a service.
func operations(s *vpc.Service) []wire.Operation {
	return api.Services{ // the methods of nil clients are never called
		Bedrock: (*bedrock.Client)(nil), EC2: s, KMS: (*kms.Client)(nil), IAM: (*awsiam.Client)(nil), STS: (*sts.Client)(nil), S3: (*s3.Client)(nil),
	}.Operations()["ec2"]
}

// something puts a value into v that is not how clients say no.
func something(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		something(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		something(v.Index(0))
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() {
				something(value)
				return
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	default:
		panic(v.Kind())
	}
}

// TestNothingIsIgnored gives every member of every input alone: those that testdata/honoured.txt does not list are refused by
// name. A member that a newer SDK brings is one of them until somebody honours it.
func TestNothingIsIgnored(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/honoured.txt")
	if err != nil {
		t.Fatal(err)
	}
	honoured := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		name, members, _ := strings.Cut(strings.TrimSpace(line), ": ")
		honoured[name] = strings.Fields(members)
	}
	r := newRig(t)
	refused := 0
	for _, op := range operations(r.Service) {
		members, ok := honoured[op.Name()]
		if !ok {
			t.Errorf("%s is not in honoured.txt", op.Name())
		}
		kind := reflect.TypeOf(op.NewInput()).Elem()
		for _, name := range members {
			if _, ok := kind.FieldByName(name); !ok {
				t.Errorf("%s has no member %s", op.Name(), name)
			}
		}
		for i := range kind.NumField() {
			field := kind.Field(i)
			if !field.IsExported() || slices.Contains(members, field.Name) {
				continue
			}
			in := op.NewInput()
			something(reflect.ValueOf(in).Elem().Field(i))
			_, err := op.Invoke(r.ctx, in)
			wantCode(t, op.Name()+"."+field.Name, err, "UnsupportedOperation", field.Name)
			refused++
		}
	}
	if refused < 60 {
		t.Errorf("only %d members were tried", refused)
	}
}

// TestAuthorizationIsFirst calls every operation with an empty input as somebody who may do nothing.
func TestAuthorizationIsFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	asked := &asking{}
	for _, op := range operations(r.serviceFor(asked)) {
		asked.actions = nil
		_, err := op.Invoke(r.ctx, op.NewInput())
		if cloister.Code(err) != "AccessDeniedException" || len(asked.actions) != 1 || asked.actions[0] != "ec2:"+op.Name() {
			t.Errorf("%s asked %v and answered %v", op.Name(), asked.actions, err)
		}
	}
}

// TestStrangeInputs gives every operation an empty input, and one with something in every member: there is an answer.
func TestStrangeInputs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, op := range operations(r.Service) {
		full := op.NewInput()
		everything(reflect.ValueOf(full).Elem(), 0)
		for _, in := range []any{op.NewInput(), full} {
			out, err := op.Invoke(r.ctx, in)
			if err != nil && cloister.Code(err) == "" || err == nil && reflect.ValueOf(out).IsNil() {
				t.Errorf("%s: %v, %v", op.Name(), out, err)
			}
		}
	}
}

// everything fills a value as far down as inputs go.
func everything(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() && field.Name != "DryRun" && depth < 6 {
				everything(value, depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		everything(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		everything(v.Index(0), depth+1)
	default:
		something(v)
	}
}

// asking is an authorizer that refuses everything and remembers what.
type asking struct{ actions []string }

func (a *asking) Authorize(_ context.Context, access cloister.Access) error {
	a.actions = append(a.actions, access.Action)
	return cloister.Errorf("AccessDeniedException", "no %s on %s", access.Action, access.Resource)
}
