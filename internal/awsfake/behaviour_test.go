package awsfake

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestPaging(t *testing.T) {
	t.Parallel()
	s := New(Generate(GenerateOptions{Regions: 1, Jobs: 23}), Options{PageSize: 5})
	c, ctx := newClients(s, goodRegion, Credentials(goodAccount)), t.Context()
	var names []string
	pages := bedrock.NewListModelCustomizationJobsPaginator(c.bedrock, &bedrock.ListModelCustomizationJobsInput{MaxResults: aws.Int32(7)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, job := range out.ModelCustomizationJobSummaries {
			names = append(names, *job.JobName)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) != 23 {
		t.Errorf("the pages have %d jobs, want 23", len(names))
	}
	var seen []int
	for _, call := range s.Calls() {
		seen = append(seen, call.Page)
	}
	if !slices.Equal(seen, []int{1, 2, 3, 4, 5}) {
		t.Errorf("pages = %v", seen)
	}
	subnets := 0
	for p := ec2.NewDescribeSubnetsPaginator(c.ec2, nil); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		subnets += len(out.Subnets)
	}
	if subnets != 6 {
		t.Errorf("the pages have %d subnets, want 6", subnets)
	}
	if _, err := c.bedrock.ListCustomModels(ctx, &bedrock.ListCustomModelsInput{NextToken: tokenOf(ctx, t, c)}); err == nil {
		t.Error("another listing's token was taken")
	}
}

func tokenOf(ctx context.Context, t *testing.T, c clients) *string {
	t.Helper()
	out, err := c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{})
	if err != nil || out.NextToken == nil {
		t.Fatalf("no token: %v", err)
	}
	return out.NextToken
}

func TestPagesOfKMSAndS3(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{PageSize: 1},
		Patch{Path: here + "/keys/0/grants/-", Set: map[string]any{"GrantId": "second"}},
		Patch{Path: "/accounts/111122223333/buckets/acme-train/objects/-", Set: map[string]any{"Key": "a"}})
	ctx, grants, objects := t.Context(), 0, 0
	for p := kms.NewListGrantsPaginator(c.kms, &kms.ListGrantsInput{KeyId: aws.String("1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d")}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		grants += len(out.Grants)
	}
	for p := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: aws.String("acme-train")}); p.HasMorePages(); {
		out, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		objects += len(out.Contents)
	}
	if calls, _, _ := s.Stats(); grants != 2 || objects != 2 || calls != 4 {
		t.Errorf("%d grants, %d objects in %d calls, want 2, 2, 4", grants, objects, calls)
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	c, s := goodClients(t, Options{})
	ctx := t.Context()
	_, _ = c.s3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: aws.String("acme-train")})
	_, _ = c.sts.GetCallerIdentity(ctx, nil)
	_, _ = c.kms.ListGrants(ctx, &kms.ListGrantsInput{KeyId: aws.String("alias/none")})
	_, _ = c.bedrock.ListGuardrails(ctx, nil)
	want := []Call{
		{goodAccount, goodRegion, "s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration", 0, 200, false},
		{goodAccount, goodRegion, "sts", "GetCallerIdentity", "", 0, 200, false},
		{goodAccount, goodRegion, "kms", "ListGrants", "kms:ListGrants", 1, 400, false},
		{goodAccount, goodRegion, "bedrock", "ListGuardrails", "", 0, 400, false},
	}
	if got := s.Calls(); !slices.Equal(got, want) {
		t.Errorf("Calls = %+v, want %+v", got, want)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := goodClients(t, Options{Rate: 2, Burst: 3})
		ctx := t.Context()
		list := func() error {
			_, err := c.bedrock.ListModelCustomizationJobs(ctx, &bedrock.ListModelCustomizationJobsInput{})
			return err
		}
		for range 3 {
			if err := list(); err != nil {
				t.Fatal(err)
			}
		}
		wantCode(t, "the fourth", list(), "ThrottlingException", 429)
		if _, err := c.bedrock.ListCustomModels(ctx, nil); err != nil {
			t.Errorf("another operation: %v", err)
		}
		if _, err := newClients(s, "eu-west-1", Credentials(goodAccount)).bedrock.ListModelCustomizationJobs(ctx, nil); err != nil {
			t.Errorf("another region: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
		if err := list(); err != nil {
			t.Errorf("after the rate's time: %v", err)
		}
		if _, throttled, _ := s.Stats(); throttled != 1 {
			t.Errorf("throttled = %d, want 1", throttled)
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := goodClients(t, Options{Latency: 20 * time.Millisecond})
		start, done := time.Now(), make(chan error)
		for range 10 {
			go func() {
				_, err := c.bedrock.ListCustomModels(t.Context(), nil)
				done <- err
			}()
		}
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("ten calls at once took %v, want 20ms", took)
		}
		if calls, _, most := s.Stats(); calls != 10 || most != 10 {
			t.Errorf("Stats = %d calls, %d at once, want 10 and 10", calls, most)
		}
	})
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := New(goodWorld(t, Patch{Path: "/accounts/111122223333/roles/open", Set: map[string]any{}}), Options{Now: func() time.Time { return now }})
	c := newClients(s, goodRegion, Credentials(goodAccount))
	out, err := c.sts.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::111122223333:role/open"), RoleSessionName: aws.String("audit"), DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	c = newClients(s, goodRegion, aws.CredentialsProviderFunc(sessionCredentials(out.Credentials)))
	now = now.Add(899 * time.Second)
	if _, err = c.bedrock.ListCustomModels(t.Context(), nil); err != nil {
		t.Errorf("before the end: %v", err)
	}
	now = now.Add(2 * time.Second)
	_, err = c.bedrock.ListCustomModels(t.Context(), nil)
	wantCode(t, "after the end", err, "ExpiredTokenException", 403)
}

// TestListener wants a real connection to have the same answers as HTTPClient.
func TestListener(t *testing.T) {
	t.Parallel()
	s := New(goodWorld(t), Options{Faults: []Fault{{Service: "kms", Kind: Timeout}}})
	server := httptest.NewServer(s)
	defer server.Close()
	c := bedrock.New(bedrock.Options{Region: goodRegion, Credentials: Credentials(goodAccount), BaseEndpoint: &server.URL})
	if out, err := c.ListCustomModels(t.Context(), nil); err != nil || len(out.ModelSummaries) != 2 {
		t.Errorf("ListCustomModels = %v, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	k := kms.New(kms.Options{Region: goodRegion, Credentials: Credentials(goodAccount), BaseEndpoint: &server.URL})
	if _, err := k.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String("x")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("DescribeKey = %v, want a deadline", err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/custom-models", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if text, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "Missing Authentication Token") {
		t.Errorf("unsigned: %d %s, %v", response.StatusCode, text, err)
	}
}
