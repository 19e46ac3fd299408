package collect_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/tape"
)

const account = "111122223333"

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func everything(t *testing.T) map[string]bool {
	t.Helper()
	pack, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pack.Select()
	if err != nil {
		t.Fatal(err)
	}
	return posture.Wanted(rules)
}

func good(t *testing.T, patches ...awsfake.Patch) *awsfake.World {
	t.Helper()
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()), patches...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func options(t *testing.T, doer tape.Doer) collect.Options {
	t.Helper()
	return collect.Options{
		Wanted:  everything(t),
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(account), Endpoints: map[string]string{"": "http://aws.test"}},
		HTTP:    doer, Now: now,
	}
}

func collected(t *testing.T, o collect.Options) *collect.Collection {
	t.Helper()
	c, err := collect.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counts are the calls of a fake by operation.
func counts(server *awsfake.Server) map[string]int {
	n := map[string]int{}
	for _, c := range server.Calls() {
		n[c.Service+":"+c.Operation]++
	}
	return n
}

// TestNothingTwice: equal calls are made once, and only those that rules want.
func TestNothingTwice(t *testing.T) {
	t.Parallel()
	server := awsfake.New(good(t), awsfake.Options{Now: now})
	collected(t, options(t, server.HTTPClient()))
	n := counts(server)
	for operation, want := range map[string]int{
		"bedrock:ListModelCustomizationJobs": 2, "bedrock:GetModelCustomizationJob": 1, "kms:DescribeKey": 2, "s3:HeadBucket": 5,
		"cloudtrail:GetTrailStatus": 1, "cloudtrail:GetEventSelectors": 1, "bedrock:GetFoundationModel": 1, "s3control:GetPublicAccessBlock": 1,
		"ec2:DescribeVpcAttribute": 2, "ec2:DescribeSubnets": 1,
	} {
		if n[operation] != want {
			t.Errorf("%s was called %d times, want %d", operation, n[operation], want)
		}
	}
	narrow := awsfake.New(good(t), awsfake.Options{Now: now})
	o := options(t, narrow.HTTPClient())
	o.Wanted = map[string]bool{"bedrock:ListModelCustomizationJobs": true, "bedrock:GetModelCustomizationJob": true}
	collected(t, o)
	for operation := range counts(narrow) {
		switch operation {
		case "bedrock:ListModelCustomizationJobs", "bedrock:GetModelCustomizationJob", "sts:GetCallerIdentity", "ec2:DescribeRegions", "cloister:":
		default:
			t.Errorf("%s was called, and no rule wants it", operation)
		}
	}
}

// TestEqualCalls: calls that are equal and under way at once are one: two imports of one source list it once.
func TestEqualCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := "/accounts/" + account + "/regions/us-east-1/importJobs/"
		server := awsfake.New(good(t, awsfake.Patch{Path: base + "-", Set: map[string]any{
			"jobArn": "arn:aws:bedrock:us-east-1:" + account + ":model-import-job/s3c0ndimport", "jobName": "summarizer-again", "importedModelName": "summarizer-2",
			"importedModelArn": "arn:aws:bedrock:us-east-1:" + account + ":imported-model/s3c0ndmodel1", "roleArn": "arn:aws:iam::" + account + ":role/bedrock-import",
			"modelDataSource": map[string]any{"s3DataSource": map[string]any{"s3Uri": "s3://acme-imports/summarizer/"}}, "status": "Completed",
			"creationTime": "2026-11-20T10:00:00.000Z", "lastModifiedTime": "2026-11-20T10:30:00.000Z", "endTime": "2026-11-20T10:30:00.000Z",
		}}), awsfake.Options{Now: now, Latency: time.Second})
		c := collected(t, options(t, server.HTTPClient()))
		jobs := c.Inventory.Accounts[0].Regions[1].ImportJobs.Items
		if len(jobs) != 2 {
			t.Fatalf("%d import jobs were listed", len(jobs))
		}
		for _, j := range jobs {
			if d, ok := j.Detail.Read(); !ok || !d.Changed.Collected {
				t.Errorf("the source of %s was not looked at", j.Name)
			}
		}
		if n := counts(server)["s3:ListObjectsV2"]; n != 1 {
			t.Errorf("the source was listed %d times", n)
		}
	})
}

// TestRetries: what may pass is tried again, what is refused is not.
func TestRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind awsfake.Kind
		want int
	}{{awsfake.AccessDenied, 1}, {awsfake.Throttle, 3}, {awsfake.HTML500, 3}, {awsfake.Timeout, 3}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := awsfake.New(good(t), awsfake.Options{Now: now, Faults: []awsfake.Fault{{Service: "bedrock", Operation: "GetModelCustomizationJob", Kind: c.kind}}})
				o := options(t, server.HTTPClient())
				o.MaxAttempts = 3
				collection := collected(t, o)
				if n := counts(server)["bedrock:GetModelCustomizationJob"]; n != c.want {
					t.Errorf("%d attempts, want %d", n, c.want)
				}
				why := collection.Inventory.Accounts[0].Regions[1].Jobs.Items[0].Detail.Why()
				if why == nil || why.Code == "" || why.Region != "us-east-1" || why.Message == "" {
					t.Errorf("why is %+v", why)
				}
			})
		})
	}
}

// TestNoBedrock: a region without Bedrock is that only where both AWS's list and the resolver say so.
func TestNoBedrock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, region string
		err          error
		endpoint     bool
		want         bool
	}{
		{"never had it, no host", "ap-east-1", &net.DNSError{Err: "no such host", Name: "bedrock.ap-east-1.amazonaws.com", IsNotFound: true}, false, true},
		{"never had it, resolver broken", "ap-east-1", &net.DNSError{Err: "server misbehaving", Name: "bedrock.ap-east-1.amazonaws.com", IsTemporary: true}, false, false},
		{"has it, no host", "us-east-1", &net.DNSError{Err: "no such host", Name: "bedrock.us-east-1.amazonaws.com", IsNotFound: true}, false, false},
		{"an emulator's host", "ap-east-1", &net.DNSError{Err: "no such host", Name: "aws.test", IsNotFound: true}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := awsfake.New(good(t), awsfake.Options{Now: now}).HTTPClient()
				o := options(t, doer(func(req *http.Request) (*http.Response, error) {
					if strings.Contains(req.Header.Get("Authorization"), "/bedrock/") {
						return nil, c.err
					}
					return fake.Do(req)
				}))
				if !c.endpoint {
					o.Session.Endpoints = nil
				}
				o.Regions, o.MaxAttempts = []string{c.region}, 2
				region := collected(t, o).Inventory.Accounts[0].Regions[0]
				if region.NoBedrock != c.want {
					t.Errorf("NoBedrock is %v, want %v", region.NoBedrock, c.want)
				}
				if !c.want && region.Jobs.Why == nil {
					t.Error("the listing counts as read")
				}
			})
		})
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// TestIdentityCenter: an expired session names the command that begins one.
func TestIdentityCenter(t *testing.T) {
	home := t.TempDir()
	config := filepath.Join(home, "config")
	text := "[sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = us-east-1\n[profile prod]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Audit\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", config)
	o := options(t, doer(func(*http.Request) (*http.Response, error) { return nil, errors.New("nobody may be called") }))
	o.Session = collect.Session{Profile: "prod"}
	_, err := collect.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "run 'aws sso login --profile prod'") {
		t.Errorf("Run gave %v", err)
	}
}

// TestStops: a collection ends when its context does, with what it has.
func TestStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := awsfake.New(good(t), awsfake.Options{Now: now, Faults: []awsfake.Fault{{Service: "bedrock", Kind: awsfake.Timeout}}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		c, err := collect.Run(ctx, options(t, server.HTTPClient()))
		if err != nil {
			t.Fatal(err)
		}
		if why := c.Inventory.Accounts[0].Regions[0].Jobs.Why; why == nil {
			t.Error("what was not read when it stopped counts as read")
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %s to stop", took)
		}
	})
}

func TestParseTargets(t *testing.T) {
	t.Parallel()
	targets, err := collect.ParseTargets([]byte("accounts:\n  - {id: \"111122223333\", role_arn: \"arn:aws:iam::111122223333:role/audit\", external_id: x, regions: [us-east-1], profile: p}\n"))
	if err != nil || len(targets) != 1 || targets[0].ExternalID != "x" || targets[0].Profile != "p" {
		t.Errorf("ParseTargets = %+v, %v", targets, err)
	}
	for _, text := range []string{"", "accounts: []", "accounts: [{id: 111122223333, rolearn: x}]", "accounts: [{id: '12'}]", "accounts: [{id: '111122223333'}, {id: '111122223333'}]", "accounts: [{id: '111122223333', role_arn: audit}]", "["} {
		if _, err := collect.ParseTargets([]byte(text)); err == nil {
			t.Errorf("ParseTargets(%q) gave no error", text)
		}
	}
}

func FuzzTargets(f *testing.F) {
	f.Add([]byte("accounts:\n  - {id: \"111122223333\"}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = collect.ParseTargets(text) })
}

// TestCapabilitiesSpeakForTheirEndpoint: what the endpoint of Bedrock says that it does not serve is asked of the others.
func TestCapabilitiesSpeakForTheirEndpoint(t *testing.T) {
	t.Parallel()
	server := awsfake.New(good(t), awsfake.Options{Now: now})
	fake := server.HTTPClient()
	o := options(t, doer(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path != "/_cloister/capabilities" {
			return fake.Do(req)
		}
		body := `{"version": "1", "regions": ["us-east-1"], "operations": {"bedrock": ["ListModelCustomizationJobs", "GetModelCustomizationJob"]}}`
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	}))
	o.Session.Endpoints["bedrock"] = "http://bedrock.test"
	c := collected(t, o)
	n := counts(server)
	if n["kms:DescribeKey"] == 0 || n["ec2:DescribeSubnets"] == 0 || n["s3:HeadBucket"] == 0 {
		t.Errorf("other endpoints were not asked: %v", n)
	}
	if n["bedrock:ListCustomModels"] > 0 || !c.Inventory.Accounts[0].Regions[0].Models.NotServed {
		t.Error("the endpoint of Bedrock was asked for what it does not serve")
	}
	if a := c.Inventory.Accounts[0]; a.Foreign != "http://bedrock.test" {
		t.Errorf("the inventory does not say whose answers these are: %q", a.Foreign)
	}
}
