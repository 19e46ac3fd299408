package awsfake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const goodAccount, goodRegion = "111122223333", "us-east-1"

// here is where the good world's resources are, for patches.
const here = "/accounts/111122223333/regions/us-east-1"

// clients are the SDK's clients of one server, as one account in one region.
type clients struct {
	bedrock       *bedrock.Client
	cloudtrail    *cloudtrail.Client
	ec2           *ec2.Client
	iam           *iam.Client
	kms           *kms.Client
	logs          *cloudwatchlogs.Client
	organizations *organizations.Client
	quotas        *servicequotas.Client
	s3            *s3.Client
	s3control     *s3control.Client
	sts           *sts.Client
	tag           *resourcegroupstaggingapi.Client
}

func newClients(s *Server, region string, credentials aws.CredentialsProvider) clients {
	cfg := aws.Config{Region: region, HTTPClient: s.HTTPClient(), Credentials: credentials, RetryMaxAttempts: 1}
	return clients{
		bedrock: bedrock.NewFromConfig(cfg), cloudtrail: cloudtrail.NewFromConfig(cfg), ec2: ec2.NewFromConfig(cfg),
		iam: iam.NewFromConfig(cfg), quotas: servicequotas.NewFromConfig(cfg),
		kms: kms.NewFromConfig(cfg), logs: cloudwatchlogs.NewFromConfig(cfg), organizations: organizations.NewFromConfig(cfg),
		s3:        s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
		s3control: s3control.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg), tag: resourcegroupstaggingapi.NewFromConfig(cfg),
	}
}

// goodClients are the good account's clients of a server of the good world.
func goodClients(tb testing.TB, o Options, patches ...Patch) (clients, *Server) {
	tb.Helper()
	s := New(goodWorld(tb, patches...), o)
	return newClients(s, goodRegion, Credentials(goodAccount)), s
}

// wantCode fails unless err has the code and the HTTP status.
func wantCode(t *testing.T, what string, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &api) || !errors.As(err, &response) || api.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("%s: %v, want %s with status %d", what, err, code, status)
	}
}

// same fails unless the client got the record.
func wantSame(t *testing.T, what string, want, got any, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	options := cmp.Options{
		cmpopts.IgnoreTypes(middleware.Metadata{}),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore()),
		cmpopts.EquateEmpty(),
		cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() <= time.Millisecond }), // the SDK cuts epoch floats
	}
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("%s: the client got something else (-world +client):\n%s", what, diff)
	}
}

func home(s *Server) *region { return s.world.accounts[goodAccount].regions[goodRegion] }

func sessionCredentials(c *ststypes.Credentials) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
	}
}
