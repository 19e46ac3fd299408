package wire

import (
	"context"
	"os"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// clients are the SDK's clients, whose methods say which types an operation has.
func clients() map[string]reflect.Type {
	return map[string]reflect.Type{
		"bedrock": reflect.TypeFor[*bedrock.Client](),
		"iam":     reflect.TypeFor[*iam.Client](),
		"kms":     reflect.TypeFor[*kms.Client](),
		"s3":      reflect.TypeFor[*s3.Client](),
		"sts":     reflect.TypeFor[*sts.Client](),
	}
}

// bindAll binds every operation whose shapes the model has to call.
func bindAll(tb testing.TB, name string, call func(ctx context.Context, operation string, in any) (any, error)) *Service {
	tb.Helper()
	m, types := testModel(tb, name), clients()[name]
	if name == "ec2" {
		types = reflect.TypeFor[ec2Client]()
	}
	var ops []Operation
	for _, op := range m.Operations {
		if !op.Served {
			continue
		}
		method, ok := types.MethodByName(op.Name)
		if !ok && name == "ec2" {
			continue // ec2Client has two
		}
		if !ok {
			tb.Fatalf("the SDK's %s client has no method %s", name, op.Name)
		}
		in := method.Type.In(2).Elem()
		ops = append(ops, Operation{
			name: op.Name, in: in, out: method.Type.Out(0).Elem(),
			newIn: func() any { return reflect.New(in).Interface() },
			call:  func(ctx context.Context, in any) (any, error) { return call(ctx, op.Name, in) },
		})
	}
	s, err := newService(m, 0, ops)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// testModel loads an embedded model, or EC2's, which only package awsfake carries.
func testModel(tb testing.TB, name string) *model {
	tb.Helper()
	m, err := loadModel(name)
	if name == "ec2" {
		packed, readErr := os.ReadFile("../awsfake/models/ec2.json.gz")
		if readErr != nil {
			tb.Fatal(readErr)
		}
		m, err = readModel(name, packed)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// TestModelsMeetSDK walks every member of every served operation.
func TestModelsMeetSDK(t *testing.T) {
	t.Parallel()
	for name := range clients() {
		s := bindAll(t, name, nil)
		if len(s.Operations()) == 0 {
			t.Errorf("%s serves nothing", name)
		}
		for _, gap := range s.Audit() {
			t.Errorf("%s: %s", name, gap)
		}
	}
}

func TestAuditFindsGaps(t *testing.T) {
	t.Parallel()
	type wrong struct{ JobName int }
	s := bindAll(t, "bedrock", nil)
	op := s.ops["CreateModelCustomizationJob"]
	op.in = reflect.TypeFor[wrong]()
	s.ops["CreateModelCustomizationJob"] = op
	found := s.Audit()
	if len(found) < 2 {
		t.Errorf("Audit of a wrong input type = %q, want a missing field and a wrong type", found)
	}
	s = bindAll(t, "bedrock", nil)
	delete(s.unions, "CustomizationConfig.rftConfig")
	if found := s.Audit(); len(found) == 0 {
		t.Error("Audit without a union's member found nothing")
	}
}
