package netns

import (
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	need(t)
	start := time.Now()
	for _, f := range Probe() {
		if !f.OK {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	t.Logf("Probe took %v", time.Since(start))
}
