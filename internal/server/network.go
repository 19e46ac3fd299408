package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"example.com/cloister"
	"example.com/cloister/internal/api"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/flows"
	"example.com/cloister/internal/netd"
	"example.com/cloister/internal/netns"
	"example.com/cloister/internal/s3"
	"example.com/cloister/internal/tlsca"
	"example.com/cloister/internal/vpc"
)

// Plane is what carries VPCs: package netd's client.
type Plane interface {
	vpc.DataPlane
	// ServeEndpoints says who serves the S3 endpoints of VPCs.
	ServeEndpoints(serve func(vpc string, l net.Listener))
	Gone() <-chan struct{}
}

// networks brings VPCs, their endpoints and their flow records together, for bedrock. It is safe for concurrent use.
type networks struct {
	s       *Server
	vpc     *vpc.Service
	flows   *flows.Collector
	private *tlsca.Private

	mu        sync.Mutex
	endpoints map[string]string // endpoint by VPC, guarded by mu
}

var _ bedrock.Networks = (*networks)(nil)

// wireNetworks makes the EC2 service and, where there is a data plane, what attaches jobs.
func (s *Server) wireNetworks(ctx context.Context, auth cloister.Authorizer, buckets *s3.Service) (err error) {
	account := cloister.AccountID(s.o.Config.Account)
	n := &networks{s: s, endpoints: map[string]string{}}
	config := vpc.Config{Account: account, Store: s.db.VPC(), Auth: auth, Log: s.o.Log, Now: s.o.Now, Rand: rand.Reader}
	if s.o.Plane != nil {
		config.Plane, config.Last = s.o.Plane, func(ctx context.Context, id string, r netns.Reading) { n.flows.Detached(ctx, id, r) }
		if n.private, err = tlsca.NewPrivate(s.o.Now()); err != nil {
			return fmt.Errorf("authority of VPC endpoints: %w", err)
		}
		n.flows = flows.New(flows.Config{
			Store: s.db.Flows(), Plane: s.o.Plane, Objects: buckets, Publish: n.publish, Delivered: n.delivered, Tampered: tampered, Log: s.o.Log, Now: s.o.Now,
		})
		s.o.Plane.ServeEndpoints(func(vpc string, l net.Listener) { n.serveEndpoint(context.WithoutCancel(ctx), vpc, l) })
	}
	n.vpc = vpc.New(config)
	s.networks = n
	return n.vpc.Recover(ctx)
}

func tampered(err error) bool {
	e, ok := errors.AsType[*netd.Error](err)
	return ok && e.Code == netd.CodeTampered
}

// forJobs is what bedrock attaches jobs with; nil where nothing can be attached.
func (n *networks) forJobs() bedrock.Networks {
	if n.flows == nil {
		return nil
	}
	return n
}

// Check implements bedrock.Networks.
func (n *networks) Check(ctx context.Context, region cloister.Region, subnets, groups []string) error {
	return n.vpc.Check(ctx, region, subnets, groups)
}

// Attach implements bedrock.Networks.
func (n *networks) Attach(ctx context.Context, j bedrock.JobNetwork) (bedrock.Attachment, error) {
	a, err := n.vpc.Attach(ctx, vpc.JobNetwork(j))
	if err != nil {
		return bedrock.Attachment{}, attachError(err)
	}
	if !a.Resolver.IsValid() {
		return bedrock.Attachment{}, errors.Join(fmt.Errorf("S3EndpointUnreachable: %s has no DNS, so that nobody finds the endpoint by name. Turn it on with `aws ec2 modify-vpc-attribute --vpc-id %s --enable-dns-support Value=true`", a.VPC, a.VPC), n.vpc.Detach(ctx, j.JobID))
	}
	n.mu.Lock()
	n.endpoints[a.VPC] = a.EndpointID
	n.mu.Unlock()
	lost := n.flows.Attached(ctx, flows.Interface{
		ID: a.Interface, Job: j.JobID, Account: j.Account, Region: j.Region, VPC: a.VPC, Subnet: a.Subnet, Zone: a.Zone, Addr: a.Addr, Resolver: a.Resolver, Router: a.Router, Endpoint: a.Endpoint,
	})
	return bedrock.Attachment{
		Interface: a.Interface, VPC: a.VPC, Subnet: a.Subnet, Address: a.Addr.String(), EndpointID: a.EndpointID, EndpointAddress: a.Endpoint.String(), ResolverAddress: a.Resolver.String(),
		Host: endpointHost(j.Region), Resolver: netip.AddrPortFrom(a.Resolver, dnsPort).String(), CA: n.private.CA, Lost: lost,
	}, nil
}

const dnsPort = 53

// endpointConnections bounds the connections of one address to its VPC's endpoint: a job must not keep S3 from others.
const endpointConnections = 32

func endpointHost(region cloister.Region) string { return "s3." + string(region) + ".amazonaws.com" }

// attachError is what a customer reads.
func attachError(err error) error {
	if _, ok := errors.AsType[*vpc.JobError](err); ok {
		return err
	}
	e, ok := errors.AsType[*netd.Error](err)
	switch {
	case errors.Is(err, executor.ErrGone):
		return fmt.Errorf("IsolationUnavailable: %w: restart the server, and create the job again", executor.ErrGone)
	case !ok:
		return fmt.Errorf("IsolationUnavailable: %w", err)
	case e.Code == netd.CodeEndpointDown || e.Code == netd.CodeNoEndpointRoute:
		return fmt.Errorf("S3EndpointUnreachable: %s", e.Text)
	case e.Code == netd.CodeEgressBlocked:
		return fmt.Errorf("SecurityGroupEgressBlocked: %s", e.Text)
	}
	return fmt.Errorf("IsolationUnavailable: %s. `cloister doctor` says what this host lacks", e.Text)
}

// Cut implements bedrock.Networks.
func (n *networks) Cut(ctx context.Context, jobID string) error { return n.vpc.Cut(ctx, jobID) }

// Detach implements bedrock.Networks.
func (n *networks) Detach(ctx context.Context, jobID string) error { return n.vpc.Detach(ctx, jobID) }

// serveEndpoint serves S3, and nothing else, to those in a VPC, until the listener is closed.
func (n *networks) serveEndpoint(ctx context.Context, vpc string, l net.Listener) {
	secure := tls.NewListener(newFairListener(l, endpointConnections), &tls.Config{GetCertificate: n.private.GetCertificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	gate := n.s.gate()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		id := n.endpoints[vpc]
		n.mu.Unlock()
		gate.ServeHTTP(w, r.WithContext(api.WithEndpoint(r.Context(), api.Endpoint{VPC: vpc, ID: cmp.Or(id, "-")})))
	})
	go func() {
		err := api.Serve(ctx, secure, handler, n.s.o.Log, grace)
		if err != nil && !errors.Is(err, net.ErrClosed) {
			n.s.o.Log.ErrorContext(ctx, "the S3 endpoint of a VPC has ended", slog.String("vpc", vpc), slog.Any("error", err))
		}
	}()
}

// publish are the flow logs of an interface.
func (n *networks) publish(ctx context.Context, i flows.Interface) ([]flows.Publish, error) {
	logs, err := n.vpc.FlowLogsOf(ctx, i.ID)
	if err != nil {
		return nil, err
	}
	var out []flows.Publish
	for _, l := range logs {
		out = append(out, flows.Publish{ID: l.ID, Bucket: l.Bucket, Prefix: l.Prefix, Format: l.Format, Traffic: string(l.Traffic), Interval: l.Interval})
	}
	return out, nil
}

// delivered remembers how a delivery went, for DescribeFlowLogs.
func (n *networks) delivered(ctx context.Context, i flows.Interface, flowLog string, err error) {
	if err := n.vpc.Delivered(ctx, i.Region, flowLog, err); err != nil {
		n.s.o.Log.ErrorContext(ctx, "cannot note how a flow log was delivered", slog.String("flowLog", flowLog), slog.Any("error", err))
	}
}
