package audit_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"example.com/cloister/internal/audit"
	"example.com/cloister/internal/awsfake"
	"example.com/cloister/internal/collect"
	"example.com/cloister/internal/posture"
)

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// TestStoppedAuditReports: what was read when the audit was stopped is judged, and what was not is an ERROR.
func TestStoppedAuditReports(t *testing.T) {
	t.Parallel()
	w, err := awsfake.Load(bytes.NewReader(awsfake.Good()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	fake := awsfake.New(w, awsfake.Options{Now: clock}).HTTPClient()
	o := only(t, "MC-JOB-001", "MC-KMS-001")
	o.FailOn = posture.Medium
	o.Collect = collect.Options{
		Session: collect.Session{Region: "us-east-1", Credentials: awsfake.Credentials(me), Endpoints: map[string]string{"": "http://aws.test"}},
		HTTP: doer(func(req *http.Request) (*http.Response, error) {
			if strings.Contains(req.Header.Get("Authorization"), "/kms/") {
				cancel()
				return nil, context.Canceled
			}
			return fake.Do(req)
		}),
		MaxAttempts: 3, Now: clock,
	}
	outcome, err := audit.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := status(outcome, "MC-JOB-001"); len(got) != 1 || got[0] != "PASS" {
		t.Errorf("what was read is judged %v", got)
	}
	if got := strings.Join(status(outcome, "MC-KMS-001"), " "); got == "" || strings.Contains(got, "PASS") || !strings.Contains(got, "ERROR") {
		t.Errorf("what was not read is judged %q", got)
	}
	if outcome.ExitCode != 4 || !strings.Contains(strings.Join(outcome.Report.Notes, "\n"), "was stopped") {
		t.Errorf("exit code %d, notes %q", outcome.ExitCode, outcome.Report.Notes)
	}
}
