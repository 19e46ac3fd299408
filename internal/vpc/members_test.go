package vpc_test

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

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

// TestResources has the ARNs that operations ask about: what is used and what is made, by id where there is one.
func TestResources(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.newSite("10.20.0.0/16", "10.20.1.0/24")
	asked := &asking{admit: true}
	svc := r.serviceFor(asked)
	ctx, table := r.ctx, r.newTable(s.vpc)
	association := ok[*ec2.AssociateRouteTableOutput](t)(svc.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &s.subnet})).AssociationId
	for _, tt := range []struct {
		name string
		call func() error
		want []string
	}{
		{"CreateVpc with tags", func() error {
			return failure(svc.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: tagSpec("vpc", "a", "b")}))
		}, []string{"CreateVpc vpc/*", "CreateTags vpc/*"}},
		{"CreateSubnet", func() error {
			return failure(svc.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: &s.vpc, CidrBlock: aws.String("10.20.2.0/24")}))
		}, []string{"CreateSubnet vpc/" + s.vpc, "CreateSubnet subnet/*"}},
		{"CreateTags", func() error {
			return failure(svc.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{s.group, s.endpoint}, Tags: tags("a", "b")}))
		}, []string{"CreateTags security-group/" + s.group, "CreateTags vpc-endpoint/" + s.endpoint}},
		{"ReplaceRouteTableAssociation", func() error {
			return failure(svc.ReplaceRouteTableAssociation(ctx, &ec2.ReplaceRouteTableAssociationInput{AssociationId: association, RouteTableId: &s.table}))
		}, []string{"ReplaceRouteTableAssociation route-table/" + s.table, "ReplaceRouteTableAssociation route-table/" + table}},
		{"DisassociateRouteTable", func() error {
			err := failure(svc.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: association}))
			wantCode(t, "an association that was replaced", err, "InvalidAssociationID.NotFound", "")
			return nil
		}, []string{"DisassociateRouteTable route-table/*"}},
		{"ModifyVpcEndpoint", func() error {
			return failure(svc.ModifyVpcEndpoint(ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &s.endpoint, AddRouteTableIds: []string{table}}))
		}, []string{"ModifyVpcEndpoint vpc-endpoint/" + s.endpoint, "ModifyVpcEndpoint route-table/" + table}},
		{"DescribeVpcs", func() error { return failure(svc.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})) }, []string{"DescribeVpcs *"}},
	} {
		asked.resources = nil
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, asked.resources); diff != "" {
			t.Errorf("%s asked (-want +got):\n%s", tt.name, diff)
		}
	}
}

// asking is an authorizer that remembers what it was asked, and refuses everything or nothing.
type asking struct {
	admit     bool
	actions   []string
	resources []string // "CreateVpc vpc/*"
}

func (a *asking) Authorize(_ context.Context, access cloister.Access) error {
	a.actions = append(a.actions, access.Action)
	a.resources = append(a.resources, strings.TrimPrefix(access.Action, "ec2:")+" "+strings.TrimPrefix(access.Resource, "arn:aws:ec2:us-east-1:123456789012:"))
	if a.admit {
		return nil
	}
	return cloister.Errorf("AccessDeniedException", "no %s on %s", access.Action, access.Resource)
}
