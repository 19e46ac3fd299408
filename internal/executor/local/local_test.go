package local_test

import (
	"os"
	"testing"

	"example.com/cloister/internal/executor/executortest"
	"example.com/cloister/internal/executor/local"
	"example.com/cloister/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, staged := sandbox.Stage(); staged {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	e := local.New(t.Context(), local.Config{})
	if why := e.Report().Unavailable; why != "" {
		if os.Getenv("CI") == "" {
			t.Skipf("this host cannot isolate: %s", why)
		}
		t.Fatalf("this host cannot isolate: %s", why)
	}
	t.Logf("report: %+v", e.Report())
	executortest.Run(t, e)
}
