package server_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"golang.org/x/sys/unix"

	"example.com/cloister/internal/cloistertest"
)

// offlineVariable marks the process that is in a namespace without a route.
const offlineVariable = "CLOISTER_TEST_OFFLINE"

const offlineDone = "offline: all was done"

// TestOffline runs a server and its clients in a network namespace that has nothing but a loopback: all works,
// and the kernel counts not one attempt to send anything elsewhere.
func TestOffline(t *testing.T) {
	t.Parallel()
	if os.Getenv(offlineVariable) != "" {
		offline(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestOffline$", "-test.v")
	cmd.Env = append(os.Environ(), offlineVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit) && os.Getenv("CI") == "":
		t.Skipf("SKIPPED: this user cannot make a network namespace: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case !strings.Contains(string(out), offlineDone):
		t.Fatalf("the process in the namespace did nothing:\n%s", out)
	}
}

func offline(t *testing.T) {
	t.Helper()
	raiseLoopback(t)
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Name != "lo" {
		t.Fatalf("interfaces %v, %v, want the loopback alone", interfaces, err)
	}
	// The proof that the kernel counts: two attempts of our own.
	for i, network := range []string{"tcp", "udp"} {
		dialer := net.Dialer{Timeout: time.Second}
		if c, err := dialer.DialContext(t.Context(), network, "192.0.2.1:53"); !errors.Is(err, unix.ENETUNREACH) {
			if err == nil {
				_ = c.Close()
			}
			t.Fatalf("dial %s: %v, want network is unreachable", network, err)
		}
		if n := noRoutes(t); n != int64(i+1) {
			t.Fatalf("the kernel counted %d attempts, want %d", n, i+1)
		}
	}
	before := noRoutes(t)

	s := cloistertest.Start(t, cloistertest.Options{})
	key := s.Prepare(t)
	in := cloistertest.JobInput("offline")
	in.CustomModelKmsKeyId = &key
	s.Create(t, in)
	if job := s.Wait(t, "offline"); job.Status != types.ModelCustomizationJobStatusCompleted {
		t.Fatalf("job %s: %s", job.Status, aws.ToString(job.FailureMessage))
	}
	s.Compare(t, "offline-model", "p")
	if _, err := s.Bedrock.DeleteCustomModel(t.Context(), &bedrock.DeleteCustomModelInput{ModelIdentifier: aws.String("offline-model")}); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	cloistertest.Start(t, cloistertest.Options{Data: s.Data}).Stop()
	if n := noRoutes(t) - before; n != 0 {
		t.Errorf("%d attempts to send something out of the machine", n)
	}
	t.Log(offlineDone)
}

// raiseLoopback brings the loopback of a new namespace up.
func raiseLoopback(t *testing.T) {
	t.Helper()
	var lc net.ListenConfig
	c, err := lc.ListenPacket(context.Background(), "udp", ":0") //nolint:usetesting // only its descriptor is used
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	failed := raw.Control(func(fd uintptr) { err = unix.IoctlIfreq(int(fd), unix.SIOCSIFFLAGS, request) })
	if err := errors.Join(failed, err); err != nil {
		t.Fatal(err)
	}
}

// noRoutes is how often this namespace's kernel found no route for something to send, IPv4 and IPv6.
func noRoutes(t *testing.T) int64 {
	t.Helper()
	four, err := os.ReadFile("/proc/self/net/snmp")
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	add := func(text string) {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	var names []string
	found := false
	for line := range strings.Lines(string(four)) {
		fields := strings.Fields(line)
		if fields[0] != "Ip:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "OutNoRoutes" {
				add(fields[i])
				found = true
			}
		}
	}
	if !found {
		t.Fatal("the kernel does not count OutNoRoutes")
	}
	if six, err := os.ReadFile("/proc/self/net/snmp6"); err == nil {
		for line := range strings.Lines(string(six)) {
			if fields := strings.Fields(line); fields[0] == "Ip6OutNoRoutes" {
				add(fields[1])
			}
		}
	}
	return total
}
