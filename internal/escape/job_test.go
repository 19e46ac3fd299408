//go:build linux

package escape_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.com/cloister/internal/escape"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/netns"
)

const (
	attacker  = "eni-attacker"
	neighbour = "eni-neighbour"
	stranger  = "eni-stranger"

	ours, others = "vpc-ours", "vpc-others"
)

// vpc has one subnet at documentation addresses, with an S3 endpoint. One group allows everything, the other nothing.
func vpc(id, cidr string) netns.VPC {
	everything := []netns.Rule{{Protocol: -1, From: -1, To: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
	prefix := netip.MustParsePrefix(cidr)
	return netns.VPC{
		ID: id, CIDRs: []netip.Prefix{prefix}, Subnets: []netns.Subnet{{ID: "subnet", CIDR: prefix, Endpoint: true}},
		Groups:   []netns.Group{{ID: "sg-open", Egress: everything, Ingress: everything}, {ID: "sg-closed"}},
		Endpoint: netip.MustParseAddr("198.18.0.2"), Names: []string{"s3.us-east-1.amazonaws.com"},
	}
}

// limits of a job, below what the resource probes take.
func limits() executor.Limits {
	return executor.Limits{MemoryBytes: 192 << 20, ScratchBytes: 48 << 20, ShmBytes: 8 << 20, CPUs: 2, Pids: 128, Wall: time.Minute}
}

// roomy are limits above that.
func roomy() executor.Limits {
	return executor.Limits{MemoryBytes: 512 << 20, ScratchBytes: 96 << 20, ShmBytes: 96 << 20, CPUs: 2, Pids: 512, Wall: time.Minute}
}

// service is the helper with two VPCs, in the world's host: attacker and neighbour are in one of them, stranger in the other.
// All is made, and all run, as the server does it.
type service struct {
	*testing.T
	client  *netd.Client
	program string
	targets escape.Targets
}

func newService(t *testing.T, o *escape.Outer, program string, rootless bool) *service {
	t.Helper()
	var socket *os.File
	err := o.Run(escape.Host, func() (err error) {
		socket, err = netd.Start(netd.Options{Rootless: rootless, Log: os.Stderr})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := netd.Connect(t.Context(), socket, netd.Setup{Rootless: rootless, RequireCgroup: !rootless, Mounts: []netd.Allowed{{Root: program, Target: "/opt/escape"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-c.Gone()
	})
	t.Logf("report: %+v", c.Report())
	if why := c.Report().Unavailable + c.Report().NoNetwork; why != "" {
		if os.Getenv("CI") == "" {
			t.Skipf("SKIPPED: this host cannot isolate: %s", why)
		}
		t.Fatalf("this host cannot isolate: %s", why)
	}
	c.ServeEndpoints(func(_ string, l net.Listener) {
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
	})
	for _, v := range []netns.VPC{vpc(ours, "192.0.2.0/24"), vpc(others, "198.51.100.0/24")} {
		if err := c.Apply(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	s := &service{T: t, client: c, program: program, targets: o.Targets()}
	s.targets.Resolver = netip.MustParseAddrPort("192.0.2.2:53")
	s.targets.Victim, s.targets.Doomed = 1, 1
	s.targets.Scratch, s.targets.Shm = "/scratch", "/dev/shm"
	s.targets.Outside = []string{"/", "/usr", "/usr/lib", "/etc", "/dev", "/proc", "/proc/self", "/proc/sys/kernel"}
	s.attach(ours, attacker, "192.0.2.11")
	s.attach(ours, neighbour, "192.0.2.12")
	s.attach(others, stranger, "198.51.100.12")
	return s
}

func (s *service) attach(vpc, id, addr string) {
	s.Helper()
	i := netns.Interface{ID: id, Subnet: "subnet", Addr: netip.MustParseAddr(addr), Groups: []string{"sg-open"}}
	if err := s.client.Attach(s.Context(), vpc, i); err != nil {
		s.Fatal(err)
	}
}

func (s *service) create(id, eni string, l executor.Limits) executor.Sandbox {
	s.Helper()
	box, err := s.client.Create(s.Context(), executor.Spec{
		ID: id, Mounts: []executor.Mount{{Source: s.program, Target: "/opt/escape"}}, Network: eni, Limits: l,
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.destroy(box) }) // it may be destroyed twice
	return box
}

func (s *service) destroy(box executor.Sandbox) {
	s.Helper()
	if err := box.Destroy(context.WithoutCancel(s.Context())); err != nil {
		s.Errorf("destroy: %v", err)
	}
}

// start runs the program in a sandbox as an engine is run: with a whole environment, and a socket as its descriptor 3.
func (s *service) start(ctx context.Context, box executor.Sandbox, in escape.Input, stdout io.Writer) (executor.Exit, string, error) {
	input, err := json.Marshal(in)
	if err != nil {
		return executor.Exit{}, "", err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return executor.Exit{}, "", err
	}
	mine, control := os.NewFile(uintptr(fds[0]), "events"), os.NewFile(uintptr(fds[1]), "control")
	defer func() { _ = errors.Join(mine.Close(), control.Close()) }()
	var stderr bytes.Buffer
	exit, err := box.Run(ctx, executor.Process{
		Argv: []string{"/opt/escape", string(input)}, Env: []string{"PATH=/usr/bin:/bin", "HOME=/scratch", "LANG=C.UTF-8"},
		Stdout: stdout, Stderr: &stderr, Control: control,
	})
	return exit, stderr.String(), err
}

// probe runs probes in a sandbox.
func (s *service) probe(box executor.Sandbox, names ...string) (reports []escape.Report, exit executor.Exit) {
	s.Helper()
	var out bytes.Buffer
	exit, stderr, err := s.start(s.Context(), box, escape.Input{Targets: s.targets, Probes: names}, &out)
	if err != nil {
		s.Fatalf("the program: %v: %s", err, stderr)
	}
	if reports, err = escape.ReadReports(&out); err != nil {
		s.Fatal(err)
	}
	if exit.Code != 0 && exit.OverLimit == "" {
		s.Errorf("the program ended with %+v: %s", exit, stderr)
	}
	return reports, exit
}

// serve makes a sandbox a neighbour that answers. What comes is told.
func (s *service) serve(id, eni string, told chan<- string) {
	s.Helper()
	box := s.create(id, eni, limits())
	ctx, cancel := context.WithCancel(s.Context())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, stderr, err := s.start(ctx, box, escape.Input{Serve: netip.AddrPortFrom(netip.IPv4Unspecified(), s.targets.Neighbour.Port())}, in)
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s ended: %v: %s", id, err, stderr)
		}
		_ = in.Close()
	}()
	s.Cleanup(func() {
		cancel()
		<-ended
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		s.Fatalf("%s says %q", id, lines.Text())
	}
	go func() {
		for lines.Scan() {
			told <- lines.Text()
		}
	}()
}

// programVariable names the built program, in the ordinary user's run.
const programVariable = "CLOISTER_ESCAPE_PROBE"

// buildProbe builds the program in a folder of its own, which sandboxes may show: not below /tmp.
func buildProbe(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "cloister-escape-") //nolint:usetesting // as the comment says
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "probe")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// TestEscape: every probe succeeds in the world around the server, and then is refused in a job of that server, on record.
func TestEscape(t *testing.T) {
	o := outer(t)
	program := os.Getenv(programVariable)
	rootless := program != ""
	if !rootless {
		program = buildProbe(t)
	}
	control(t, o, rootless)
	before := len(o.Arrivals())

	s := newService(t, o, program, rootless)
	told := make(chan string, 1000)
	s.serve("neighbour", neighbour, told)
	s.serve("stranger", stranger, told)
	// The same neighbour answers where its groups let the job speak to it: so does what answers no probe below.
	box := s.create("before", attacker, limits())
	for _, r := range s.want(escape.Succeeded, box, "neighbour-tcp", "neighbour-udp") {
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Errorf("the neighbour was not told of %s", r.Name)
		}
	}
	s.destroy(box)
	if err := s.client.SetGroups(t.Context(), ours, neighbour, []string{"sg-closed"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Flows(t.Context(), ours); err != nil { // what follows is read on its own
		t.Fatal(err)
	}

	reports := s.attack()
	s.bounds(&reports)
	s.check(reports)
	for len(told) > 0 {
		t.Errorf("another job was told %s", <-told)
	}
	for _, a := range o.Arrivals()[before:] {
		t.Errorf("%v arrived", a)
	}
}

// want runs probes in a sandbox, and wants the same outcome of all.
func (s *service) want(outcome escape.Outcome, box executor.Sandbox, names ...string) []escape.Report {
	s.Helper()
	reports, _ := s.probe(box, names...)
	for _, r := range reports {
		s.Logf("%-10s %-26s %-9s %s %v", r.Group, r.Name, r.Outcome, r.Detail, r.Sent)
		if r.Outcome != outcome {
			s.Errorf("%s: %s: %s, want %s", r.Name, r.Outcome, r.Detail, outcome)
		}
	}
	if len(reports) != len(names) {
		s.Errorf("%d reports of %d probes", len(reports), len(names))
	}
	return reports
}

// attack runs all probes in one job, but those that may end it.
func (s *service) attack() []escape.Report {
	s.Helper()
	names := slices.DeleteFunc(escape.Names(), func(name string) bool { return name == "forks" || name == "memory" })
	box := s.create("attacker", attacker, limits())
	reports := s.want(escape.Refused, box, names...)
	s.destroy(box)
	return reports
}

// bounds runs those in jobs of their own. Each job can be destroyed, and the next one works. Their control is the same program
// in a job with more room.
func (s *service) bounds(all *[]escape.Report) {
	s.Helper()
	box := s.create("roomy", attacker, roomy())
	s.want(escape.Succeeded, box, "disk", "shared-memory", "forks", "memory")
	s.destroy(box)
	for _, name := range []string{"forks", "memory"} {
		box := s.create(name, attacker, limits())
		reports, exit := s.probe(box, name)
		s.Logf("%s: %+v %+v", name, reports, exit)
		switch {
		case len(reports) == 1 && reports[0].Outcome == escape.Refused:
			*all = append(*all, reports[0])
		case len(reports) == 0 && name == exit.OverLimit: // nobody was left to report
			*all = append(*all, escape.Report{Name: name, Outcome: escape.Refused})
		default:
			s.Errorf("%s: %+v, %+v", name, reports, exit)
		}
		s.destroy(box)
		box = s.create("after-"+name, attacker, limits())
		*all = append(*all, s.want(escape.Refused, box, "internet-tcp")...)
		s.destroy(box)
	}
}

// check wants a report of every probe, and the flow record of everything that they sent.
func (s *service) check(reports []escape.Report) {
	s.Helper()
	reading, err := s.client.Flows(s.Context(), ours)
	if err != nil {
		s.Fatal(err)
	}
	if reading.Full {
		s.Error("the flow record is full")
	}
	for _, name := range escape.Names() {
		if !slices.ContainsFunc(reports, func(r escape.Report) bool { return r.Name == name }) {
			s.Errorf("there is no report of %s", name)
		}
	}
	resolver, closed := s.targets.Resolver.Addr(), s.targets.Neighbour.Addr()
	for _, r := range reports {
		for _, p := range r.Sent {
			if !slices.ContainsFunc(reading.Flows, func(f netns.Flow) bool {
				return f.Interface == attacker && f.Egress && f.Protocol == p.Protocol && f.Dest == p.Dest && f.Port == p.Port
			}) {
				s.Errorf("%s: %v is not in the flow record", r.Name, p)
			}
		}
	}
	for _, f := range reading.Flows {
		switch {
		case !f.Accept:
		case f.Interface == neighbour && !canary(f):
			s.Errorf("the neighbour's %v passed", f)
		case f.Interface == attacker && f.Dest != resolver && f.Source != resolver && f.Dest != closed && !canary(f): // the attacker's own groups let it go there
			s.Errorf("the attacker's %v passed", f)
		}
	}
	for _, name := range []string{"dns-tunnel-udp", "dns-tunnel-tcp"} {
		if !slices.ContainsFunc(reading.Queries, func(q netns.Query) bool {
			return q.RCode == "NXDOMAIN" && strings.HasPrefix(q.Name, hex.EncodeToString([]byte("escape "+name)))
		}) {
			s.Errorf("the question of %s is not on record as unanswered", name)
		}
	}
}

// TestAsOrdinaryUser runs the same a second time as an ordinary user, whose helper is root of a user namespace only.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Getenv(programVariable) != "" {
		t.Skip("this is the ordinary user's run")
	}
	outer(t)
	program := buildProbe(t)
	dir := filepath.Dir(program)
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	binary, home := filepath.Join(dir, "escape.test"), filepath.Join(dir, "home")
	if err := errors.Join(os.WriteFile(binary, text, 0o755), os.Mkdir(home, 0o700), os.Chown(home, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--net", "--", binary, "-test.run", "^TestEscape$", "-test.v")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=/usr/bin:/bin", "CI=" + os.Getenv("CI"), programVariable + "=" + program}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestEscape") || !strings.Contains(string(out), "Mode:rootless") {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
}

// canary says that a flow is of the connection by which the helper tried the S3 endpoint: on a busy machine it ends late.
func canary(f netns.Flow) bool {
	endpoint := netip.AddrFrom4([4]byte{198, 18, 0, 2})
	return f.Protocol == unix.IPPROTO_TCP && (f.Dest == endpoint && f.Port == 443 || f.Source == endpoint && f.SourcePort == 443) && f.Packets < 8
}
