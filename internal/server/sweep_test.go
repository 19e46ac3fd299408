package server

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"example.com/cloister"
	"example.com/cloister/internal/basemodel"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/engine"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/wire"
)

// idle is an engine that nobody runs.
type idle struct{}

func (idle) Threads() int                      { return 1 }
func (idle) Mounts() ([]executor.Mount, error) { return nil, nil }
func (idle) Run(context.Context, executor.Sandbox, engine.Spec, func(engine.Event) error, <-chan struct{}) (bedrock.EngineResult, error) {
	panic("nothing runs in a sweep")
}

// open makes a server that nobody connects to.
func open(t *testing.T, auth func(cloister.Authorizer) cloister.Authorizer) *Server {
	t.Helper()
	bases, err := basemodel.Open(filepath.Join(t.TempDir(), "models"))
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Listen, c.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	s, err := Open(t.Context(), Options{
		Data: filepath.Join(t.TempDir(), "data"), Config: c, Bases: bases, Engine: idle{}, Executor: executortest.NewHost(t),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Seams: Seams{Auth: auth},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// call is one operation of the sweep.
type call struct {
	name   string // service:Operation
	action string // the IAM action that it must ask about
	do     func(ctx context.Context) (any, error)
}

// openToAll names what every authenticated caller may do.
// Source: STS API Reference, GetCallerIdentity ("No permissions are required").
func openToAll() []string { return []string{"sts:GetCallerIdentity"} }

// openToAccount names what every principal of the account may do.
func openToAccount() []string { return []string{"own:Capabilities"} }

// actions says which action an operation asks about where that is not its own name.
// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
func actions() map[string]string {
	return map[string]string{
		"s3:HeadBucket": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket",
		"s3:ListBuckets": "s3:ListAllMyBuckets", "s3:HeadObject": "s3:GetObject", "s3:DeleteObjects": "s3:DeleteObject",
		"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration", "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
		"s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration", "s3:CreateMultipartUpload": "s3:PutObject",
		"s3:UploadPart": "s3:PutObject", "s3:CompleteMultipartUpload": "s3:PutObject", "s3:ListParts": "s3:ListMultipartUploadParts",
		"s3:ListMultipartUploads": "s3:ListBucketMultipartUploads", "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
		"s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock", "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	}
}

// calls are all operations of the edge's tables, and what the own paths call.
func (s *Server) calls() []call {
	var out []call
	for service, ops := range s.services.Operations() {
		for _, op := range ops {
			c := call{name: service + ":" + op.Name()}
			c.action = c.name
			if action, ok := actions()[c.name]; ok {
				c.action = action
			}
			c.do = func(ctx context.Context) (any, error) { return op.Invoke(ctx, input(op)) }
			out = append(out, c)
		}
	}
	return append(out,
		call{"own:Show", "bedrock:GetModelCustomizationJob", func(ctx context.Context) (any, error) { return s.bedrock.Show(ctx, "x") }},
		call{"own:Capabilities", "cloister:GetCapabilities", func(ctx context.Context) (any, error) { return s.capabilities(ctx) }},
		call{"own:Compare", "bedrock:InvokeModel", func(ctx context.Context) (any, error) {
			return s.bedrock.Compare(ctx, "x", bedrock.Comparison{Prompts: []string{"x"}})
		}},
		call{"own:Watch", "bedrock:GetModelCustomizationJob", func(ctx context.Context) (any, error) {
			return nil, s.bedrock.Watch(ctx, "x", 0, func(bedrock.LogEntry) error { return nil }, time.Hour, func() error { return nil })
		}},
	)
}

// input fills every member of an operation's input with something of its type, so that methods reach the
// question of authorization and nothing is nil.
func input(op wire.Operation) any {
	in := op.NewInput()
	fill(reflect.ValueOf(in).Elem(), 0)
	return in
}

func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() && depth < 4 {
				fill(value, depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("x"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.String:
		v.SetString("x")
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[io.Reader]() {
			v.Set(reflect.ValueOf(io.Reader(strings.NewReader("x"))))
		}
	default: // zero will do
	}
}

// denied reports whether an answer is AWS's refusal; S3 refuses the keys of DeleteObjects one by one.
func denied(out any, err error) bool {
	if multi, ok := out.(*s3.DeleteObjectsOutput); ok && err == nil && len(multi.Deleted) == 0 && len(multi.Errors) > 0 {
		return !slices.ContainsFunc(multi.Errors, func(e types.Error) bool { return aws.ToString(e.Code) != "AccessDenied" })
	}
	code := cloister.Code(err)
	return code == "AccessDenied" || code == "AccessDeniedException"
}

// sweep invokes every operation as a principal and returns the names of those that were not denied.
func sweep(t *testing.T, s *Server, p cloister.Principal) []string {
	t.Helper()
	var admitted []string
	for _, c := range s.calls() {
		ctx := cloister.WithCall(t.Context(), cloister.Call{RequestID: "sweep", Principal: p, Region: cloister.DefaultRegion, Secure: true})
		if out, err := c.do(ctx); !denied(out, err) {
			admitted = append(admitted, c.name)
		}
	}
	slices.Sort(admitted)
	return admitted
}

func (s *Server) names() []string {
	var names []string
	for _, c := range s.calls() {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return names
}

func TestSweepStrangers(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	account := cloister.DefaultAccount
	for name, p := range map[string]cloister.Principal{
		"nobody":                   {},
		"user without policies":    {Kind: cloister.KindUser, Account: account, ARN: "arn:aws:iam::123456789012:user/eve", ID: "AIDAEVE"},
		"user of another account":  {Kind: cloister.KindUser, Account: "210987654321", ARN: "arn:aws:iam::210987654321:user/eve", ID: "AIDAEVE"},
		"role session":             {Kind: cloister.KindAssumedRole, Account: account, ARN: "arn:aws:sts::123456789012:assumed-role/r/s", RoleARN: "arn:aws:iam::123456789012:role/r", ID: "AROA:s"},
		"another service":          cloister.ServicePrincipal("ec2.amazonaws.com", account),
		"bedrock itself":           cloister.ServicePrincipal(bedrock.ServicePrincipal, account),
		"root of another account":  cloister.RootPrincipal("210987654321"),
		"unknown kind":             {Kind: "Federated", Account: account, ARN: "arn:aws:iam::123456789012:root"},
		"root's ARN without kind":  {Account: account, ARN: "arn:aws:iam::123456789012:root"},
		"root without its account": {Kind: cloister.KindRoot, ARN: "arn:aws:iam::123456789012:root"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			if p.ARN != "" { // there must be somebody to identify
				want = openToAll()
			}
			if p.Account == account && (p.Kind == cloister.KindUser || p.Kind == cloister.KindAssumedRole) {
				want = slices.Concat(openToAccount(), want)
			}
			if diff := cmp.Diff(want, sweep(t, s, p)); diff != "" {
				t.Errorf("not denied (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSweepJobSession makes sure that a job's session may do what a job does with its role, and nothing more.
func TestSweepJobSession(t *testing.T) {
	t.Parallel()
	want := []string{
		"own:Capabilities", "s3:AbortMultipartUpload", "s3:CompleteMultipartUpload", "s3:CreateMultipartUpload", "s3:DeleteObject", "s3:DeleteObjects",
		"s3:GetBucketLocation", "s3:GetObject", "s3:HeadBucket", "s3:HeadObject", "s3:ListObjects", "s3:ListObjectsV2", "s3:PutObject",
		"s3:UploadPart", "sts:GetCallerIdentity",
	}
	got := sweep(t, open(t, nil), cloister.Principal{
		Kind: cloister.KindAssumedRole, Account: cloister.DefaultAccount, ARN: "arn:aws:sts::123456789012:assumed-role/r/abcdefghijkl",
		RoleARN: "arn:aws:iam::123456789012:role/r", ID: "AROA:abcdefghijkl",
		JobARN: "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/cloister.tiny-v1:0/abcdefghijkl",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("not denied (-want +got):\n%s", diff)
	}
}

func TestSweepRoot(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	if diff := cmp.Diff(s.names(), sweep(t, s, cloister.RootPrincipal(cloister.DefaultAccount))); diff != "" {
		t.Errorf("not denied to root (-want +got):\n%s", diff)
	}
}

// ear is an authorizer that remembers what it was asked and answers always the same.
type ear struct {
	answer error
	mu     sync.Mutex // guards asked
	asked  []string
}

func (e *ear) Authorize(_ context.Context, access cloister.Access) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, access.Action)
	return e.answer
}

func (e *ear) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := e.asked
	e.asked = nil
	return asked
}

// TestSweepNoticesMissingQuestions is the sweep's own test: with an authorizer that admits everybody, which
// is what a deleted authorize line amounts to, the sweep reports every operation.
func TestSweepNoticesMissingQuestions(t *testing.T) {
	t.Parallel()
	s := open(t, func(cloister.Authorizer) cloister.Authorizer { return &ear{} })
	if diff := cmp.Diff(s.names(), sweep(t, s, cloister.RootPrincipal("210987654321"))); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// TestEveryOperationAsks makes sure that each operation's first question is about its own action, and that a
// refusal is the end of it.
func TestEveryOperationAsks(t *testing.T) {
	t.Parallel()
	e := &ear{answer: cloister.Errorf("AccessDeniedException", "no").WithStatus(403)}
	s := open(t, func(cloister.Authorizer) cloister.Authorizer { return e })
	ctx := cloister.WithCall(t.Context(), cloister.Call{Principal: cloister.RootPrincipal(cloister.DefaultAccount), Region: cloister.DefaultRegion, Secure: true})
	got, want := map[string]string{}, map[string]string{}
	for _, c := range s.calls() {
		if slices.Contains(openToAll(), c.name) {
			continue
		}
		e.take()
		out, err := c.do(ctx)
		if !denied(out, err) {
			t.Errorf("%s goes on after a refusal: %v", c.name, err)
		}
		want[c.name] = c.action
		if asked := slices.Compact(e.take()); len(asked) > 0 {
			got[c.name] = asked[0]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	if len(slices.Collect(maps.Keys(want))) < 60 {
		t.Errorf("only %d operations were swept", len(want))
	}
}
