//go:build linux

package escape_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/escape"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/sandbox"
)

const (
	attacker  = "eni-attacker"
	neighbour = "eni-neighbour"
)

// vpc has one subnet at documentation addresses. One group allows everything, the other nothing.
func vpc(id, cidr string) netns.VPC {
	everywhere := netip.MustParsePrefix("0.0.0.0/0")
	prefix := netip.MustParsePrefix(cidr)
	return netns.VPC{
		ID: id, CIDRs: []netip.Prefix{prefix}, Subnets: []netns.Subnet{{ID: "subnet", CIDR: prefix}},
		Groups: []netns.Group{
			{ID: "sg-open", Egress: []netns.Rule{{Protocol: -1, From: -1, To: -1, CIDR: everywhere}}, Ingress: []netns.Rule{{Protocol: -1, From: -1, To: -1, CIDR: everywhere}}},
			{ID: "sg-closed"},
		},
	}
}

// job attaches an interface.
func job(t *testing.T, n *netns.Network, id, addr, group string) *os.File {
	t.Helper()
	space, err := n.Attach(netns.Interface{ID: id, Subnet: "subnet", Addr: netip.MustParseAddr(addr), Groups: []string{group}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = space.Close() })
	return space
}

// serve accepts connections in a job's namespace and tells of each.
func serve(t *testing.T, space *os.File, reached chan<- string) {
	t.Helper()
	done := make(chan error)
	var listener net.Listener
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:443")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reached <- conn.RemoteAddr().String()
			_ = conn.Close()
		}
	}()
}

func open(t *testing.T, v netns.VPC) *netns.Network {
	t.Helper()
	n, err := netns.Open(v, netns.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// programVariable names the built program, in the ordinary user's run.
const programVariable = "CLOISTER_ESCAPE_PROBE"

func buildProbe(t *testing.T, dir string) string {
	t.Helper()
	program := filepath.Join(dir, "probe")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	return program
}

// unrecorded are probes whose packets no filter sees, with the reason.
func unrecorded() map[string]string {
	return map[string]string{"broadcast": "a device without ARP sends broadcasts to its own hardware address, and the other end drops them before its filter"}
}

// TestProbesAreRefusedInASandbox runs the probes in a sandbox in a VPC, without server and executor: what escapes here
// escapes there. Memory is not the sandbox's to limit, but the executor's, and so are forks as root.
func TestProbesAreRefusedInASandbox(t *testing.T) {
	o := outer(t)
	program := os.Getenv(programVariable)
	rootless := program != ""
	if !rootless {
		program = buildProbe(t, t.TempDir())
	}

	reached := make(chan string, 100)
	n, other := open(t, vpc("vpc-1", "192.0.2.0/24")), open(t, vpc("vpc-2", "198.51.100.0/24"))
	space := job(t, n, attacker, "192.0.2.11", "sg-open")
	serve(t, job(t, n, neighbour, "192.0.2.12", "sg-closed"), reached)
	serve(t, job(t, other, "eni-other", "198.51.100.12", "sg-open"), reached)

	const scratch, shm = 48 << 20, 8 << 20
	box, err := sandbox.New(sandbox.Config{
		Binds: []sandbox.Bind{{Source: program, Target: "/escape"}}, ScratchBytes: scratch, ShmBytes: shm, UID: 61234, Network: space,
		UserNamespace: rootless, Pids: 150,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Destroy(); err != nil {
			t.Error(err)
		}
	})
	in := escape.Input{Targets: o.Targets()}
	in.Targets.Resolver = netip.MustParseAddrPort("192.0.2.2:53")
	in.Targets.Victim, in.Targets.Doomed = 1, 1
	in.Targets.Scratch, in.Targets.Shm = "/scratch", "/dev/shm"
	in.Targets.Outside = []string{"/", "/usr", "/usr/lib", "/etc", "/dev", "/proc", "/proc/self", "/proc/sys/kernel"}
	for _, name := range escape.Names() {
		if name != "memory" && (name != "forks" || rootless) {
			in.Probes = append(in.Probes, name)
		}
	}
	reports := run(t, box, in)

	reading, err := n.Flows()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		t.Logf("%-10s %-26s %-9s %s %v", r.Group, r.Name, r.Outcome, r.Detail, r.Sent)
		if r.Outcome != escape.Refused {
			t.Errorf("%s: %s: %s", r.Name, r.Outcome, r.Detail)
		}
		for _, p := range r.Sent {
			if !slices.ContainsFunc(reading.Flows, func(f netns.Flow) bool {
				return f.Interface == attacker && f.Egress && f.Protocol == p.Protocol && f.Dest == p.Dest && f.Port == p.Port
			}) {
				if reason, may := unrecorded()[r.Name]; may {
					t.Logf("NOT IN THE FLOW RECORD: %s: %v: %s", r.Name, p, reason)
					continue
				}
				t.Errorf("%s: %v is not in the flow record", r.Name, p)
			}
		}
	}
	if len(reports) != len(in.Probes) {
		t.Errorf("%d reports of %d probes", len(reports), len(in.Probes))
	}
	for _, f := range reading.Flows {
		if resolver := f.Dest == in.Targets.Resolver.Addr() || f.Source == in.Targets.Resolver.Addr(); f.Interface == attacker && f.Accept && !resolver && f.Dest != in.Targets.Neighbour.Addr() {
			t.Errorf("the attacker's %v passed", f)
		}
		if f.Interface == neighbour && f.Accept {
			t.Errorf("the neighbour's %v passed", f)
		}
	}
	for range len(reached) {
		t.Errorf("%s reached another job", <-reached)
	}
	for _, a := range o.Arrivals() {
		t.Errorf("%v arrived", a)
	}
}

// TestAsOrdinaryUser runs the same a second time as an ordinary user, in a user namespace.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Getenv(programVariable) != "" {
		t.Skip("this is the ordinary user's run")
	}
	outer(t)
	dir, err := os.MkdirTemp("/var/tmp", "cloister-escape-") //nolint:usetesting // the user must reach it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	binary, home := filepath.Join(dir, "escape.test"), filepath.Join(dir, "home")
	program := buildProbe(t, dir)
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(binary, text, 0o755), os.Mkdir(home, 0o700), os.Chown(home, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--net", "--", binary, "-test.run", "TestProbesAreRefusedInASandbox", "-test.v")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=/usr/bin:/bin", "CI=" + os.Getenv("CI"), programVariable + "=" + program}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestProbesAreRefusedInASandbox") {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
}

// run runs the probe program in a sandbox.
func run(t *testing.T, box *sandbox.Sandbox, in escape.Input) []escape.Report {
	t.Helper()
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		reports []escape.Report
		err     error
	}
	read := make(chan result)
	go func() {
		reports, err := escape.ReadReports(r)
		read <- result{reports, err}
	}()
	stderr, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	exit, err := box.Run(sandbox.Process{Argv: []string{"/escape", string(input)}, Dir: "/scratch", Files: [4]*os.File{nil, w, stderr}}, nil)
	_ = w.Close()
	got := <-read
	text, _ := os.ReadFile(stderr.Name())
	if err != nil || got.err != nil || exit.Code != 0 {
		t.Errorf("the program ended with %+v, %v, %v: %s", exit, err, got.err, strings.TrimSpace(string(text)))
	}
	return got.reports
}
