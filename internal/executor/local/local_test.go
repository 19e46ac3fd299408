package local_test

import (
	"os"
	"testing"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/executor/local"
	"example.com/cloister/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, staged := sandbox.Stage(); staged {
		os.Exit(code)
	}
	if os.Getenv(helperVariable) != "" {
		os.Exit(hold())
	}
	os.Exit(m.Run())
}

// needIsolation makes an executor. Where the host cannot isolate the test is skipped by name, and fails in CI.
func needIsolation(t *testing.T) executor.Executor {
	t.Helper()
	e := local.New(t.Context(), local.Config{})
	if why := e.Report().Unavailable; why != "" {
		if os.Getenv("CI") == "" {
			t.Skipf("this host cannot isolate: %s", why)
		}
		t.Fatalf("this host cannot isolate: %s", why)
	}
	return e
}

func TestConformance(t *testing.T) {
	e := needIsolation(t)
	report := e.Report()
	t.Logf("report: %+v", report)
	// make test-vm knows what its machine has: a test that quietly fell back to something weaker proves nothing.
	if want := os.Getenv("CLOISTER_TEST_ISOLATION"); want != "" && report.Mode+", "+report.Limits != want {
		t.Fatalf("isolation is %q, %q, want %s (weaker: %q)", report.Mode, report.Limits, want, report.Weaker)
	}
	executortest.Run(t, e)
}
