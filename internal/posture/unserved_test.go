package posture_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/tape"
)

// partial is an endpoint that serves what its capabilities name.
type partial struct {
	tape.Doer
	capabilities collect.Capabilities
}

func (p partial) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Path != "/_cloister/capabilities" {
		return p.Doer.Do(req)
	}
	text, err := json.Marshal(p.capabilities)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: req}, nil
}

// serving are the capabilities of an endpoint that serves all that the auditor calls but one operation.
func serving(without string) collect.Capabilities {
	c := collect.Capabilities{Version: "1", Regions: []string{"us-east-1"}, Operations: map[string][]string{}}
	for _, op := range posture.Operations() {
		if service, name, _ := strings.Cut(op.Name, ":"); op.Name != without {
			c.Operations[service] = append(c.Operations[service], name)
		}
	}
	return c
}

// TestUnserved takes each read of each rule away from an endpoint that says so: what is compliant then neither fails nor is
// an error.
func TestUnserved(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	for _, rule := range rules(t) {
		t.Run(rule.ID, func(t *testing.T) {
			t.Parallel()
			chosen := []*posture.Rule{rule}
			for _, patches := range append(all[rule.ID].Also, all[rule.ID].Pass) {
				w := world(t, "", patches...)
				audit := func(without string) []posture.Result {
					server := awsfake.New(w, awsfake.Options{Now: now})
					o := options(server, chosen)
					o.HTTP = partial{server.HTTPClient(), serving(without)}
					results := evaluate(t, o, chosen)
					if slices.ContainsFunc(server.Calls(), func(c awsfake.Call) bool { return c.Service+":"+c.Operation == without }) {
						t.Errorf("%s is called though it is not served", without)
					}
					return results
				}
				bad := func(results []posture.Result) int {
					return count(results, rule.ID, posture.Fail) + count(results, rule.ID, posture.Error)
				}
				if bad(audit("")) > 0 {
					continue
				}
				for _, read := range rule.AllReads() {
					if strings.HasSuffix(read, ":GetPublicAccessBlock") {
						continue // what the endpoint does not have overrules nothing: a public bucket is public there
					}
					if results := audit(read); bad(results) > 0 {
						show(t, results, rule.ID)
						t.Errorf("FAIL or ERROR without %s", read)
					}
				}
			}
		})
	}
}
