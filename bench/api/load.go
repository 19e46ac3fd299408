package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/cloister/bench/harness"
)

// request is a signed request of an SDK, kept to be sent many times: that is cheaper for the client, which
// shares the processors with the server, and a signature holds for minutes.
type request struct {
	name   string
	method string
	url    string
	header http.Header
	body   []byte
}

// recorder keeps the last request that went through it.
type recorder struct {
	next http.RoundTripper
	last request
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.last = request{method: req.Method, url: req.URL.String(), header: req.Header.Clone(), body: body}
	return r.next.RoundTrip(req)
}

// record lets an SDK make a request, which must succeed, and keeps it.
func record(name string, config aws.Config, call func(aws.Config) error) (request, error) {
	client, ok := config.HTTPClient.(*http.Client)
	if !ok {
		return request{}, errors.New("the client is not an *http.Client")
	}
	r := &recorder{next: client.Transport}
	config.HTTPClient = &http.Client{Transport: r}
	if err := call(config); err != nil {
		return request{}, fmt.Errorf("%s: %w", name, err)
	}
	r.last.name = name
	return r.last, nil
}

// send sends a request again and reads the whole answer.
func (q request) send(ctx context.Context, transport http.RoundTripper) error {
	req, err := http.NewRequestWithContext(ctx, q.method, q.url, bytes.NewReader(q.body))
	if err != nil {
		return err
	}
	req.Header = q.header
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", q.name, res.StatusCode)
	}
	return nil
}

// closed sends a request n times over some connections, each waiting for its answer, and returns the wall time.
func closed(ctx context.Context, transport http.RoundTripper, q request, n, connections int) (time.Duration, error) {
	var next atomic.Int64
	failures := make([]error, connections)
	var wg sync.WaitGroup
	start := harness.Now()
	for i := range connections {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && failures[i] == nil {
				failures[i] = q.send(ctx, transport)
			}
		})
	}
	wg.Wait()
	return harness.Now().Sub(start), errors.Join(failures...)
}

// offered sends requests in turn at a fixed rate over some connections, whether or not answers keep up, and
// returns the latencies: each counts from the moment at which the request was due, so that a server that
// stalls is charged for everything that waited.
func offered(ctx context.Context, transport http.RoundTripper, queries []request, perSecond, connections int, length time.Duration) ([]time.Duration, error) {
	total := int(length.Seconds() * float64(perSecond))
	latencies := make([]time.Duration, total)
	failures := make([]error, connections)
	due := make(chan int, total) // never blocks the clock
	var wg sync.WaitGroup
	start := harness.Now()
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second / time.Duration(perSecond)) }
	for c := range connections {
		wg.Go(func() {
			for i := range due {
				if err := queries[i%len(queries)].send(ctx, transport); err != nil && failures[c] == nil {
					failures[c] = err
				}
				latencies[i] = harness.Now().Sub(at(i))
			}
		})
	}
	for i := range total {
		if wait := at(i).Sub(harness.Now()); wait > 0 {
			time.Sleep(wait)
		}
		due <- i
	}
	close(due)
	wg.Wait()
	return latencies, errors.Join(failures...)
}
