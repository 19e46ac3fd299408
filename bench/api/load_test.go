package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"example.com/cloister/bench/harness"
)

const identity = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`

// serve answers like STS and counts the requests that are signed and complete.
func serve(t *testing.T, delay time.Duration) (aws.Config, *atomic.Int64) {
	t.Helper()
	var good atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		if strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") && strings.Contains(string(body), "Action=GetCallerIdentity") {
			good.Add(1)
		} else {
			w.WriteHeader(http.StatusForbidden)
		}
		time.Sleep(delay)
		_, _ = w.Write([]byte(identity))
	}))
	t.Cleanup(s.Close)
	return harness.ClientConfig(s.URL, "id", "secret", &http.Transport{}), &good
}

func caller(t *testing.T, config aws.Config) request {
	t.Helper()
	q, err := record("GetCallerIdentity", config, func(c aws.Config) error {
		_, err := sts.NewFromConfig(c).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestClosedSendsTheRecordedRequest(t *testing.T) {
	t.Parallel()
	config, good := serve(t, 0)
	q := caller(t, config)
	if wall, err := closed(t.Context(), &http.Transport{}, q, 20, 3); err != nil || wall <= 0 || good.Load() != 21 {
		t.Errorf("%d good requests in %v, %v; want 21", good.Load(), wall, err)
	}
	q.header = http.Header{}
	if _, err := closed(t.Context(), &http.Transport{}, q, 2, 1); err == nil {
		t.Error("refused requests are no error")
	}
}

// TestOfferedChargesWaiting has a server that takes 20 ms a request on one connection asked 100 times a second:
// later requests wait for earlier ones, and the latencies must say so.
func TestOfferedChargesWaiting(t *testing.T) {
	t.Parallel()
	config, good := serve(t, 20*time.Millisecond)
	latencies, err := offered(t.Context(), &http.Transport{}, []request{caller(t, config)}, 100, 1, 200*time.Millisecond)
	if err != nil || len(latencies) != 20 || good.Load() != 21 {
		t.Fatalf("%d latencies of %d requests, %v", len(latencies), good.Load()-1, err)
	}
	if last := latencies[19]; last < 200*time.Millisecond {
		t.Errorf("the last latency is %v: 20 requests of 20 ms, due within 190 ms, end 210 ms after that at the earliest", last)
	}
}
