//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/tlsca"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		judge  func(*harness.Report, []round)
		round  round
		missed int
	}{
		{"a read at the bound", judgeGets, round{2, 1, 1}, 0},
		{"a read that is too slow", judgeGets, round{2.1, 1, 1}, 1},
		{"no slower than two baselines differ", judgeGets, round{5, 1, 4}, 0},
		{"a job at the bound", judgeJobs, round{6, 4, 6}, 0},
		{"a job that is too slow", judgeJobs, round{6.1, 5, 5}, 1},
		{"a difference of jobs is not a ratio", judgeJobs, round{7, 4, 6}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			r := harness.NewReport(&out)
			tt.judge(r, []round{tt.round})
			if r.Missed() != tt.missed {
				t.Errorf("%d bounds missed, want %d:\n%s", r.Missed(), tt.missed, out.String())
			}
		})
	}
}

func TestMeasureChangesTheOrder(t *testing.T) {
	t.Parallel()
	var order []string
	rounds, err := measure(3,
		func(i int) (float64, error) { order = append(order, "b"); return float64(i), nil },
		func(i int) (float64, error) { order = append(order, "f"); return float64(10 + i), nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "fbb"+"bbf"+"bfb" {
		t.Errorf("order %s", got)
	}
	if want := (round{11, 2, 3}); rounds[1] != want || rounds[1].base() != 2.5 {
		t.Errorf("round %+v, want %+v", rounds[1], want)
	}
	failure := errors.New("no")
	if _, err := measure(1, func(int) (float64, error) { return 0, failure }, func(int) (float64, error) { return 1, nil }); !errors.Is(err, failure) {
		t.Errorf("measure gave %v", err)
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	authority, err := tlsca.NewPrivate(harness.Now())
	if err != nil {
		t.Fatal(err)
	}
	const size = 3*readBytes + 7
	server := httptest.NewUnstartedServer(object(size))
	server.TLS = &tls.Config{GetCertificate: authority.GetCertificate, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	g, err := get(t.Context(), server.Listener.Addr().String(), authority.CA)
	if err != nil || g.Bytes != size || g.Seconds <= 0 {
		t.Errorf("got %+v, %v", g, err)
	}
	other, err := tlsca.NewPrivate(harness.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), server.Listener.Addr().String(), other.CA); err == nil {
		t.Error("the client reads from somebody else")
	}
	if _, err := get(t.Context(), server.Listener.Addr().String(), nil); err == nil {
		t.Error("the client trusts nobody, and reads")
	}
}
