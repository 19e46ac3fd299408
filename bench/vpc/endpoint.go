//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"example.com/cloister/bench/harness"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/tlsca"
)

// The network of the measurement: one subnet, a group that allows the endpoint and nothing else, one interface.
const (
	vpcID, subnetID, groupID, listID, interfaceID = "vpc-bench", "subnet-bench", "sg-bench", "pl-bench", "eni-bench"
	endpointAddress                               = "198.18.0.2"
	protocolTCP                                   = 6
	portHTTPS                                     = 443
	clientPath                                    = "/bench" // of this program in the sandbox
)

func network() netns.VPC {
	return netns.VPC{
		ID: vpcID, CIDRs: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
		Subnets: []netns.Subnet{{ID: subnetID, CIDR: netip.MustParsePrefix("10.20.1.0/24"), Endpoint: true}},
		Groups:  []netns.Group{{ID: groupID, Egress: []netns.Rule{{Protocol: protocolTCP, From: portHTTPS, To: portHTTPS, List: listID}}}},
		Lists:   []netns.PrefixList{{ID: listID, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/28")}}}, Endpoint: netip.MustParseAddr(endpointAddress), Names: []string{host},
	}
}

// gets reads the object through the endpoint of a VPC, from a sandbox, and from loopback.
func (b *bench) gets(ctx context.Context, r *harness.Report) (_ []round, err error) {
	authority, err := tlsca.NewPrivate(harness.Now())
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: object(b.size), ReadHeaderTimeout: getPatience, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)} // the canary only knocks
	defer closing(&err, server.Close)
	serve := func(l net.Listener) {
		go func() {
			_ = server.Serve(tls.NewListener(l, &tls.Config{GetCertificate: authority.GetCertificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}))
		}()
	}
	loopback, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	serve(loopback)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	box, stop, err := jail(ctx, self, func(_ string, l net.Listener) { serve(l) })
	if err != nil {
		return nil, err
	}
	defer closing(&err, stop)

	fromVPC := func(int) (float64, error) {
		return b.sandboxed(ctx, box, net.JoinHostPort(endpointAddress, strconv.Itoa(portHTTPS)), authority.CA)
	}
	fromHost := func(int) (float64, error) { return b.onHost(ctx, self, loopback.Addr().String(), authority.CA) }
	if _, err := measure(1, fromHost, fromVPC); err != nil { // connections are tracked, pages are there
		return nil, err
	}
	rounds, err := measure(b.rounds, fromHost, fromVPC)
	for i, at := range rounds {
		speed := func(seconds float64) float64 { return float64(b.size) / 1e6 / seconds }
		r.Say("round %d: GET of %d MiB, MB/s: VPC %.0f, loopback %.0f and %.0f", i+1, b.size>>20, speed(at.vpc), speed(at.first), speed(at.second))
	}
	return rounds, err
}

// object serves that many bytes.
func object(size int64) http.Handler {
	part := bytes.Repeat([]byte("cloister"), readBytes/8)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		for left := size; left > 0; {
			n, err := w.Write(part[:min(left, int64(len(part)))])
			if err != nil {
				return // the client counts
			}
			left -= int64(n)
		}
	})
}

// jail starts the helper, makes the VPC with its endpoint, and a sandbox in it that has this program.
func jail(ctx context.Context, self string, serve func(vpc string, l net.Listener)) (_ executor.Sandbox, stop func() error, err error) {
	rootless := os.Geteuid() != 0
	socket, err := netd.Start(netd.Options{Rootless: rootless, Log: os.Stderr})
	if err != nil {
		return nil, nil, err
	}
	helper, err := netd.Connect(ctx, socket, netd.Setup{Rootless: rootless, AllowSwap: true, Mounts: []netd.Allowed{{Root: self, Target: clientPath}}})
	if err != nil {
		return nil, nil, err
	}
	stop = func() error {
		err := helper.Close()
		<-helper.Gone()
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	for _, why := range []string{helper.Report().Unavailable, helper.Report().NoNetwork} {
		if why != "" {
			return nil, nil, fmt.Errorf("this host cannot isolate: %s", why)
		}
	}
	helper.ServeEndpoints(serve)
	if err := helper.Apply(ctx, network()); err != nil {
		return nil, nil, err
	}
	at := netns.Interface{ID: interfaceID, Subnet: subnetID, Addr: netip.MustParseAddr("10.20.1.10"), Groups: []string{groupID}}
	if err := helper.Attach(ctx, vpcID, at); err != nil {
		return nil, nil, err
	}
	box, err := helper.Create(ctx, executor.Spec{
		ID: "bench", Network: interfaceID, Mounts: []executor.Mount{{Source: filepath.Clean(self), Target: clientPath}},
		Limits: executor.Limits{MemoryBytes: 512 << 20, ScratchBytes: 1 << 20, ShmBytes: 1 << 20, CPUs: runtime.NumCPU(), Pids: 256, Wall: time.Hour},
	})
	return box, stop, err
}

// sandboxed is one read of the object by a client in the sandbox.
func (b *bench) sandboxed(ctx context.Context, box executor.Sandbox, address string, ca []byte) (float64, error) {
	var out, problems bytes.Buffer
	exit, err := box.Run(ctx, executor.Process{Argv: append([]string{clientPath}, clientArgs(address, ca)...), Stdout: &out, Stderr: &problems})
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("exit status %d", exit.Code)
	}
	return b.parse(out.Bytes(), problems.String(), err)
}

// onHost is one read of the object by the same client without a sandbox.
func (b *bench) onHost(ctx context.Context, self, address string, ca []byte) (float64, error) {
	cmd := exec.CommandContext(ctx, self, clientArgs(address, ca)...) //nolint:gosec // this program
	cmd.Env = []string{}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	return b.parse(out, problems.String(), err)
}

func (b *bench) parse(out []byte, problems string, err error) (float64, error) {
	if err != nil {
		return 0, fmt.Errorf("the client: %w\n%s", err, problems)
	}
	var g got
	if err := json.Unmarshal(out, &g); err != nil {
		return 0, err
	}
	if g.Bytes != b.size || g.Seconds <= 0 {
		return 0, fmt.Errorf("the client got %d bytes of %d in %v s", g.Bytes, b.size, g.Seconds)
	}
	return g.Seconds, nil
}
