package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/cloister"
)

// TestThroughEndpoint: what comes through a VPC's endpoint says so to policies, and is for S3 alone.
func TestThroughEndpoint(t *testing.T) {
	t.Parallel()
	direct := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://s3.us-east-1.amazonaws.com/data/train.jsonl", http.NoBody)
	inside := direct.WithContext(WithEndpoint(t.Context(), Endpoint{VPC: "vpc-1", ID: "vpce-1"}))
	for _, c := range []struct {
		name, service string
		request       *http.Request
		want          cloister.Call
		refused       bool
	}{
		{"direct", serviceS3, direct, cloister.Call{SourceIP: "10.20.0.4"}, false},
		{"direct, another service", "bedrock", direct, cloister.Call{SourceIP: "10.20.0.4"}, false},
		{"endpoint", serviceS3, inside, cloister.Call{SourceVPC: "vpc-1", SourceVPCE: "vpce-1", VPCSourceIP: "10.20.0.4"}, false},
		{"endpoint, another service", "bedrock", inside, cloister.Call{SourceIP: "10.20.0.4"}, true},
		{"endpoint, keys", "sts", inside, cloister.Call{SourceIP: "10.20.0.4"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			call := cloister.Call{SourceIP: "10.20.0.4"}
			err := throughEndpoint(c.request, c.service, &call)
			if refused := cloister.Code(err) == "AccessDenied"; refused != c.refused || !refused && err != nil {
				t.Errorf("err = %v, refused: %v", err, c.refused)
			}
			if call != c.want {
				t.Errorf("call = %+v, want %+v", call, c.want)
			}
		})
	}
}

// TestEndpointBucket: a bucket in the host's name is one at an endpoint, and only there.
func TestEndpointBucket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url    string
		inside bool
		path   string
	}{
		{"https://data.s3.us-east-1.amazonaws.com/a%2Fb", true, "/data/a%2Fb"},
		{"https://data.s3.us-east-1.amazonaws.com:443/a", true, "/data/a"},
		{"https://DATA.s3.us-east-1.amazonaws.com/", true, "/data/"},
		{"https://my.data.s3.us-east-1.amazonaws.com/a", true, "/my.data/a"},
		{"https://s3.us-east-1.amazonaws.com/data/a", true, "/data/a"},
		{"https://data.s3.us-east-1.example.com/a", true, "/a"},
		{"https://.s3.us-east-1.amazonaws.com/a", true, "/a"},
		{"https://data.s3.us-east-1.amazonaws.com/a", false, "/a"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.url, http.NoBody)
		before := r.URL.EscapedPath()
		if c.inside {
			r = r.WithContext(WithEndpoint(t.Context(), Endpoint{VPC: "vpc-1", ID: "vpce-1"}))
		}
		moved := endpointBucket(r)
		if got := r.URL.EscapedPath(); got != c.path || moved != (got != before) {
			t.Errorf("%s: %q, %v; want %q", c.url, got, moved, c.path)
		}
	}
}
