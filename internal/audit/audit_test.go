package audit_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

const me = "111122223333"

func clock() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// at expands "~" to the good world's region.
func at(path string, set any) awsfake.Patch {
	return awsfake.Patch{Path: strings.Replace(path, "~", "/accounts/"+me+"/regions/us-east-1", 1), Set: set, Delete: set == nil}
}

// audited audits the good world with patches and faults.
func audited(t *testing.T, o audit.Options, patches []awsfake.Patch, faults ...awsfake.Fault) *audit.Outcome {
	t.Helper()
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()), patches...)
	if err != nil {
		t.Fatal(err)
	}
	if o.Pack == nil {
		if o.Pack, err = posture.Load(); err != nil {
			t.Fatal(err)
		}
	}
	if o.Rules == nil {
		if o.Rules, err = o.Pack.Select(); err != nil {
			t.Fatal(err)
		}
	}
	o.FailOn = posture.Medium
	o.Collect = collect.Options{
		Session:     collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(me), Endpoints: map[string]string{"": "http://aws.test"}},
		HTTP:        awsfake.New(w, awsfake.Options{Now: clock, Faults: faults}).HTTPClient(),
		MaxAttempts: 1, Now: clock, Regions: o.Collect.Regions, Exclude: o.Collect.Exclude,
	}
	outcome, err := audit.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range outcome.Report.Results {
		if ids[r.ID] {
			t.Errorf("two results have the id %s: %s %s", r.ID, r.Rule, r.Resource)
		}
		ids[r.ID] = true
	}
	return outcome
}

func only(t *testing.T, names ...string) audit.Options {
	t.Helper()
	pack, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pack.Select(names...)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Options{Pack: pack, Rules: rules}
}

func status(o *audit.Outcome, rule string) (found []string) {
	for _, r := range o.Report.Results {
		if r.Rule == rule {
			found = append(found, string(r.Status))
		}
	}
	return found
}

func denied(operation string) awsfake.Fault {
	service, name, _ := strings.Cut(operation, ":")
	return awsfake.Fault{Service: service, Operation: name, Kind: awsfake.AccessDenied}
}

// TestMutedAndUnread: a job whose one known failure is muted is not answered for while another rule could not be judged.
func TestMutedAndUnread(t *testing.T) {
	t.Parallel()
	mutes, err := posture.ParseMutes([]byte("version: 1\nmutes:\n  - {rule: MC-JOB-004, everywhere: true, reason: r, owner: o, expires: 2027-01-31}\n"), clock())
	if err != nil {
		t.Fatal(err)
	}
	patches := []awsfake.Patch{at("~/jobs/0/outputModelKmsKeyArn", nil)}
	for _, c := range []struct {
		faults []awsfake.Fault
		want   string
	}{{nil, "PASS"}, {[]awsfake.Fault{denied("ec2:DescribeSubnets")}, "ERROR"}} {
		for _, o := range []audit.Options{{}, only(t, "MC-LIF-005")} { // with the rules that it uses chosen, and not
			o.Mutes = mutes
			if got := status(audited(t, o, patches, c.faults...), "MC-LIF-005"); len(got) != 1 || got[0] != c.want {
				t.Errorf("MC-LIF-005 is %v, want %s", got, c.want)
			}
		}
	}
}

// TestSelectionHidesNoGap: a selection by job or tag keeps what could not be enumerated, and reads the tags that it asks for.
func TestSelectionHidesNoGap(t *testing.T) {
	t.Parallel()
	bare := []awsfake.Patch{at("~/jobs/0/vpcConfig", nil)}
	for _, c := range []struct {
		name    string
		s       posture.Selection
		patches []awsfake.Patch
		faults  []awsfake.Fault
		code    int
	}{
		{"tag that fits", posture.Selection{Tags: map[string]string{"owner": "ml-platform"}}, bare, nil, 3},
		{"tag that does not", posture.Selection{Tags: map[string]string{"owner": "x"}}, bare, nil, 0},
		{"tags unread", posture.Selection{Tags: map[string]string{"owner": "x"}}, bare, []awsfake.Fault{denied("bedrock:ListTagsForResource")}, 3},
		{"job, and the listing unread", posture.Selection{Jobs: []string{"support-2026-11"}}, nil, []awsfake.Fault{denied("bedrock:ListModelCustomizationJobs")}, 4},
		{"status changes no code", posture.Selection{Statuses: []posture.Status{posture.Pass}}, bare, nil, 3},
	} {
		o := only(t, "MC-JOB-001")
		o.Selection = c.s
		outcome := audited(t, o, c.patches, c.faults...)
		if outcome.ExitCode != c.code {
			t.Errorf("%s: exit code %d, want %d", c.name, outcome.ExitCode, c.code)
		}
	}
	o := only(t, "MC-JOB-001")
	o.Selection = posture.Selection{Statuses: []posture.Status{posture.Pass}}
	r := audited(t, o, bare).Report
	if len(r.Results) != 0 || r.Hidden[posture.Fail] != 1 || r.Coverage.Total != 1 || len(r.Notes) == 0 {
		t.Errorf("a report of the statuses PASS has %d results, hides %v, notes %v", len(r.Results), r.Hidden, r.Notes)
	}
}

// TestNoRegions: an audit of nothing is no success.
func TestNoRegions(t *testing.T) {
	t.Parallel()
	o := only(t, "MC-JOB-001")
	o.Collect = collect.Options{
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(me), Endpoints: map[string]string{"": "http://aws.test"}},
		Regions: []string{"us-east-1"}, Exclude: []string{"us-east-1"}, Now: clock,
	}
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()))
	if err != nil {
		t.Fatal(err)
	}
	o.Collect.HTTP = awsfake.New(w, awsfake.Options{Now: clock}).HTTPClient()
	if _, err := audit.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--exclude-regions") {
		t.Errorf("Run gave %v", err)
	}
}

// TestTrustedOwnerUnread: whether a bucket belongs to a trusted account is unknown when that cannot be asked.
func TestTrustedOwnerUnread(t *testing.T) {
	t.Parallel()
	o := only(t)
	pack, err := o.Pack.WithProfile("p.yaml", []byte("version: 1\nrules:\n  MC-S3-007: {settings: {trusted_accounts: ['999988887777']}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	o.Pack = pack
	if o.Rules, err = pack.Select("MC-S3-007"); err != nil {
		t.Fatal(err)
	}
	patches := []awsfake.Patch{
		{Path: "/accounts/" + me + "/buckets/acme-train", Delete: true},
		{Path: "/accounts/999988887777/buckets/acme-train", Set: map[string]any{"region": "us-east-1", "shared": true}},
	}
	count := func(outcome *audit.Outcome, want string) (n int) {
		for _, s := range status(outcome, "MC-S3-007") {
			if s == want {
				n++
			}
		}
		return n
	}
	if n := count(audited(t, o, patches), "PASS"); n != 5 {
		t.Errorf("%d buckets pass, want all 5", n)
	}
	// The third question about the bucket, whether it is the trusted account's, is not answered.
	faults := []awsfake.Fault{{Service: "s3", Operation: "HeadBucket", Resource: "999988887777", Kind: awsfake.HTML500}}
	if outcome := audited(t, o, patches, faults...); count(outcome, "FAIL") > 0 || count(outcome, "ERROR") != 1 {
		t.Errorf("an unanswered question gives %v", status(outcome, "MC-S3-007"))
	}
}

// TestIDsAreUnique: audited looks at ids; these worlds once had two results of one id.
func TestIDsAreUnique(t *testing.T) {
	t.Parallel()
	second := []awsfake.Patch{
		at("~/vpcs/-", map[string]any{"VpcId": "vpc-0second", "EnableDnsSupport": true, "EnableDnsHostnames": true}),
		at("~/subnets/1/VpcId", "vpc-0second"),
	}
	audited(t, audit.Options{}, second, denied("ec2:DescribeVpcEndpoints"))
	byID := []awsfake.Patch{{
		Path: "/accounts/" + me + "/buckets/acme-train/encryption/Rules/0/ApplyServerSideEncryptionByDefault",
		Set:  map[string]any{"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "9f8e7d6c-5b4a-4938-8271-605f4e3d2c1b"},
	}}
	audited(t, audit.Options{}, byID)
}

// TestDocumentedFiles: the YAML that docs/audit.md shows is understood.
func TestDocumentedFiles(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	pack, err := posture.Load()
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) < 3 {
		t.Fatalf("docs/audit.md has %d YAML blocks", len(blocks))
	}
	for _, block := range blocks {
		switch file := block[1]; {
		case bytes.Contains(file, []byte("accounts:\n")):
			_, err = collect.ParseTargets(file)
		case bytes.Contains(file, []byte("gaps:")):
			_, err = posture.ParseGaps(file, clock())
		default:
			_, err = pack.WithProfile("docs/audit.md", file)
		}
		if err != nil {
			t.Errorf("%v in:\n%s", err, block[1])
		}
	}
}

// TestCircleOfCopies: two copy jobs that name each other's models are an ERROR, not the end of the program.
func TestCircleOfCopies(t *testing.T) {
	t.Parallel()
	const triage, support = "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/k7c2m9x4b1za", "arn:aws:bedrock:us-east-1:111122223333:custom-model/amazon.nova-micro-v1:0:128k/w4vtut9aq95n"
	outcome := audited(t, only(t, "MC-MOD-002"), []awsfake.Patch{
		at("~/models/0/jobArn", nil),
		at("~/copyJobs/-", map[string]any{
			"jobArn": "arn:aws:bedrock:us-east-1:111122223333:model-copy-job/c1rcl3c1rcl3", "status": "Completed", "creationTime": "2026-11-02T13:05:00.812Z",
			"sourceAccountId": me, "sourceModelArn": triage, "targetModelArn": support,
		}),
	})
	for _, s := range status(outcome, "MC-MOD-002") {
		if s != "ERROR" {
			t.Errorf("a model of the circle is %s", s)
		}
	}
}

// TestPublicBucketOfAnother: the block of our own account does nothing for another's bucket.
func TestPublicBucketOfAnother(t *testing.T) {
	t.Parallel()
	outcome := audited(t, only(t, "MC-S3-001", "MC-S3-002"), []awsfake.Patch{
		{Path: "/accounts/" + me + "/buckets/acme-train", Delete: true},
		{Path: "/accounts/999988887777/buckets/acme-train", Set: map[string]any{"region": "us-east-1", "shared": true, "policyStatus": map[string]any{"IsPublic": true}}},
	})
	for _, r := range outcome.Report.Results {
		if r.Name == "acme-train" && r.Status != posture.Fail {
			t.Errorf("%s is %s: %s", r.Rule, r.Status, r.Message)
		}
	}
}

// evil changes what a fake answers.
type evil struct {
	next   *http.Client
	change func(req *http.Request, resp *http.Response)
}

func (e evil) Do(req *http.Request) (*http.Response, error) {
	resp, err := e.next.Do(req)
	if err == nil {
		e.change(req, resp)
	}
	return resp, err
}

// rewrite replaces text in the answers of requests whose path holds a part.
func rewrite(part, old, replacement string) func(*http.Request, *http.Response) {
	return func(req *http.Request, resp *http.Response) {
		if !strings.Contains(req.URL.Path, part) {
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		body = bytes.ReplaceAll(body, []byte(old), []byte(replacement))
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
}

// TestHostileEndpoint: an endpoint cannot have its errors accepted, pass one job's record for another's, or name places that
// are none.
func TestHostileEndpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		patches []awsfake.Patch
		faults  []awsfake.Fault
		change  func(*http.Request, *http.Response)
		code    int // 1 for an audit that ends with an error
	}{
		{"our own code for unread", nil, []awsfake.Fault{denied("bedrock:ListModelCustomizationJobs")}, func(req *http.Request, resp *http.Response) {
			if resp.StatusCode >= 400 {
				resp.Header.Set("X-Amzn-Errortype", posture.CodeNeedsEvaluator)
			}
		}, 4},
		{"another job's record", nil, nil, rewrite("/model-customization-jobs/", "q4ad8z8tioq8", "an0th3ran0th"), 4},                     //nolint:bodyclose // it returns no response
		{"a partition that is a path", nil, nil, rewrite("", "arn:aws:iam::111122223333:user", "arn:../../x:iam::111122223333:user"), 1}, //nolint:bodyclose // it returns no response
		{"a region that is a path", nil, nil, rewrite("", "eu-west-1", "../../x"), 1},                                                    //nolint:bodyclose // it returns no response
		{"endless", nil, nil, func(req *http.Request, resp *http.Response) {
			if strings.Contains(req.URL.Path, "/model-customization-jobs/") {
				resp.Body, resp.ContentLength = io.NopCloser(endless{}), -1
				resp.Header.Del("Content-Length")
			}
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := only(t, "MC-JOB-001")
			w, err := awsfake.Load(bytes.NewReader(awsfake.Good()), c.patches...)
			if err != nil {
				t.Fatal(err)
			}
			o.FailOn = posture.Medium
			o.Collect = collect.Options{
				Session:     collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(me), Endpoints: map[string]string{"": "http://aws.test"}},
				HTTP:        evil{awsfake.New(w, awsfake.Options{Now: clock, Faults: c.faults}).HTTPClient(), c.change},
				MaxAttempts: 1, Now: clock, CacheDir: t.TempDir(),
			}
			outcome, err := audit.Run(t.Context(), o)
			switch {
			case err != nil && c.code != 1:
				t.Errorf("Run gave %v", err)
			case err == nil && outcome.ExitCode != c.code:
				t.Errorf("exit code %d, want %d: %v", outcome.ExitCode, c.code, status(outcome, "MC-JOB-001"))
			}
		})
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
