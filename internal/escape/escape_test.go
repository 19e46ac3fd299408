//go:build linux

package escape_test

import (
	"context"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"example.com/cloister/internal/escape"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/sandbox"
)

func TestMain(m *testing.M) {
	if code, staged := netd.Stage(context.Background()); staged {
		os.Exit(code)
	}
	if code, staged := sandbox.Stage(); staged {
		os.Exit(code)
	}
	if escape.Staged() {
		os.Exit(escape.Main(context.Background(), os.Args, os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// outer is the world, which needs root.
func outer(t *testing.T) *escape.Outer {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("the control needs root: run the tests as root")
		}
		t.Skip("SKIPPED: the control needs root")
	}
	o, err := escape.NewOuter(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// withoutControl are probes that not every kernel can let succeed, with the reason; a kernel that does is as well.
func withoutControl() map[string]string {
	return map[string]string{
		"socket-sctp": "the kernel is built without SCTP and DCCP",
		"kernel-load": "the kernel is built without kexec and modules",
	}
}

// control runs all probes in the world, where they must succeed; as root of a user namespace, which /dev/net/tun is not
// for, only those of the network.
func control(t *testing.T, o *escape.Outer, rootless bool) {
	t.Helper()
	places := map[escape.Place][]string{}
	want := 0
	for _, p := range escape.List() {
		if !rootless || p.Group == escape.Network && p.Name != "add-tun" {
			places[p.Control] = append(places[p.Control], p.Name)
			want++
		}
	}
	excepted, seen := withoutControl(), 0
	for place, names := range places {
		reports, err := o.Probe(place, escape.Input{Targets: o.Targets(), Probes: names, Patience: 3000})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range reports {
			seen++
			t.Logf("%-8s %-10s %-26s %-9s %s %v", place, r.Group, r.Name, r.Outcome, r.Detail, r.Sent)
			reason, may := excepted[r.Name]
			switch {
			case r.Outcome == escape.Succeeded:
			case may && r.Outcome == escape.Refused:
				t.Logf("WITHOUT CONTROL: %s: %s", r.Name, reason)
			default:
				t.Errorf("without a cage %s: %s: %s", r.Name, r.Outcome, r.Detail)
			}
		}
	}
	if seen != want {
		t.Errorf("%d reports of %d probes", seen, want)
	}

	// What probes say they sent has arrived, forgeries under the forged address.
	arrivals := o.Arrivals()
	for _, name := range []string{"forge-source-raw", "forge-source-bind"} {
		if !slices.ContainsFunc(arrivals, func(a escape.Arrival) bool {
			return a.Text == "escape "+name && a.From.Addr() == o.Targets().Foreign
		}) {
			t.Errorf("nothing of %s arrived", name)
		}
	}
	for _, name := range []string{"dns-tunnel-udp", "dns-tunnel-tcp", "dns-upstream-udp", "dns-upstream-tcp"} {
		if !slices.ContainsFunc(arrivals, func(a escape.Arrival) bool {
			return a.Network == "dns" && strings.HasPrefix(a.Text, hex.EncodeToString([]byte("escape "+name)))
		}) {
			t.Errorf("no name of %s reached the upstream", name)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := escape.Names()
	if len(names) < 40 {
		t.Errorf("%d probes, want at least 40", len(names))
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(names))); len(sorted) != len(names) {
		t.Error("two probes have one name")
	}
	if len(withoutControl()) > 2 {
		t.Error("more than 2 probes are without a control")
	}
	for name := range withoutControl() {
		if !slices.Contains(names, name) {
			t.Errorf("no probe is called %s", name)
		}
	}
}
