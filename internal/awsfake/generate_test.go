package awsfake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
)

func TestGenerate(t *testing.T) {
	t.Parallel()
	w := Generate(GenerateOptions{Regions: 30, Jobs: 200})
	if len(w.regions) != 30 {
		t.Errorf("%d regions, want 30", len(w.regions))
	}
	jobs, withVPC, models := 0, 0, 0
	for _, r := range w.accounts[goodAccount].regions {
		for _, job := range r.jobs.items {
			jobs++
			if job.VpcConfig == nil {
				continue
			}
			withVPC++
			for _, id := range job.VpcConfig.SubnetIds {
				if _, ok := r.subnets.find(id); !ok {
					t.Errorf("%s: subnet %s is not there", r.name, id)
				}
			}
			for _, id := range job.VpcConfig.SecurityGroupIds {
				if _, ok := r.securityGroups.find(id); !ok {
					t.Errorf("%s: group %s is not there", r.name, id)
				}
			}
			if job.OutputModelKmsKeyArn != nil && w.keys[*job.OutputModelKmsKeyArn] == nil {
				t.Errorf("%s: key %s is not there", r.name, *job.OutputModelKmsKeyArn)
			}
		}
		models += len(r.models.items)
	}
	if jobs != 200 || withVPC < 100 || withVPC == 200 || models < 150 || models >= 200 {
		t.Errorf("%d jobs, %d in a VPC, %d models", jobs, withVPC, models)
	}
	again := Generate(GenerateOptions{Regions: 30, Jobs: 200})
	wantSame(t, "again", w.accounts[goodAccount].regions["us-west-2"].jobSummaries, again.accounts[goodAccount].regions["us-west-2"].jobSummaries, nil)
	if few := Generate(GenerateOptions{Regions: 2, Jobs: 10, Models: 4}); len(few.accounts[goodAccount].regions["us-east-1"].models.items) != 2 {
		t.Error("Models is not obeyed")
	}
}

func BenchmarkServer(b *testing.B) {
	s := New(Generate(GenerateOptions{Regions: 1, Jobs: 200}), Options{})
	r := s.world.accounts[goodAccount].regions[goodRegion]
	sign := func(service, method, path, body string) *http.Request {
		request := httptest.NewRequest(method, path, strings.NewReader(body))
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+AccessKey(goodAccount)+"/20261125/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
		return request
	}
	for name, request := range map[string]*http.Request{
		"GetModelCustomizationJob":       sign("bedrock", http.MethodGet, "/model-customization-jobs/"+strings.ReplaceAll(*r.jobs.items[0].JobArn, "/", "%2F"), ""),
		"ListModelCustomizationJobs/100": sign("bedrock", http.MethodGet, "/model-customization-jobs", ""),
		"DescribeSubnets/30":             sign("ec2", http.MethodPost, "/", "Action=DescribeSubnets&Version=2016-11-15"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				request.Body = io.NopCloser(strings.NewReader("Action=DescribeSubnets&Version=2016-11-15"))
				if s.ServeHTTP(w, request); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

// BenchmarkClient is a call with the SDK's client, both ends on one core.
func BenchmarkClient(b *testing.B) {
	s := New(Generate(GenerateOptions{Regions: 1, Jobs: 200}), Options{})
	c := newClients(s, goodRegion, Credentials(goodAccount))
	in := &bedrock.GetModelCustomizationJobInput{JobIdentifier: aws.String("job-1")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.bedrock.GetModelCustomizationJob(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Generate(GenerateOptions{Regions: 30, Jobs: 2000})
	}
}
