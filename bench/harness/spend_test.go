package harness_test

import (
	"strings"
	"testing"

	"example.com/cloister/bench/harness"
)

func TestSpend(t *testing.T) {
	t.Setenv("AWS_PROFILE", "mine")
	c, err := harness.Spend(t.Context(), []string{"GIVEN=1"}, "/bin/sh", "-c", `test -z "$AWS_PROFILE" && test "$GIVEN" = 1 && test -n "$PATH"`)
	if err != nil || c.Wall <= 0 || c.PeakRSS < 1<<20 || c.MiB() < 1 {
		t.Errorf("Spend = %+v, %v", c, err)
	}
	if _, err := harness.Spend(t.Context(), nil, "/bin/sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a program that fails: %v", err)
	}
}
