// Package vpc serves the part of Amazon EC2 that a training job's network is made of: VPCs, subnets, security groups,
// route tables, the S3 gateway endpoint, flow logs and what clients ask on the way; and it gives jobs their interfaces.
// It keeps the desired state and tells the data plane (needs.go); it opens no namespace and moves no packet.
//
// What a reader must know: everything of an account and region is one network. A call reads it, changes a copy, has the
// data plane take over what a running job would notice, and saves the difference if nobody else saved meanwhile; so what
// must be unique, or must not overlap, is decided on exactly the state that is saved (change.go). What is accepted is
// enforced, except internet gateways, NAT gateways and routes to them: those are stored and described, and lead nowhere.
// Every member of a request that is not honoured is refused (members.go).
//
// Source: Amazon EC2 API Reference; Amazon VPC User Guide.
package vpc

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
)

// Config is what a Service needs. Fields without a default are required.
type Config struct {
	Account cloister.AccountID
	Store   Store
	Auth    cloister.Authorizer
	// Plane carries the networks. Without one, as on a host that cannot isolate, networks can be described and changed,
	// and no job can be attached.
	Plane DataPlane
	// Last gets the flows that an interface had at its end, before DescribeNetworkInterfaces forgets it; nil drops them.
	// It is called from several goroutines.
	Last func(ctx context.Context, interfaceID string, r netns.Reading)
	Log  *slog.Logger
	Now  func() time.Time
	// Rand is where ids come from: crypto/rand.Reader.
	Rand io.Reader
}

// Service implements EC2's network operations. Its methods have the signatures of the SDK's *ec2.Client. It is safe for
// concurrent use.
type Service struct {
	account cloister.AccountID
	store   Store
	auth    cloister.Authorizer
	plane   DataPlane
	last    func(ctx context.Context, interfaceID string, r netns.Reading)
	log     *slog.Logger
	now     func() time.Time
	rand    io.Reader

	mu    sync.Mutex // guards turns
	turns map[Place]chan struct{}
}

// New makes a Service.
func New(c Config) *Service {
	if c.Last == nil {
		c.Last = func(context.Context, string, netns.Reading) {}
	}
	return &Service{
		account: c.Account, store: c.Store, auth: c.Auth, plane: c.Plane, last: c.Last, log: c.Log, now: c.Now, rand: c.Rand,
		turns: map[Place]chan struct{}{},
	}
}

// Where S3 is in every VPC: its prefix list, and the address of the gateway endpoint in it. The block is for benchmarks of
// networks (RFC 2544), so that no VPC of a customer has it.
const (
	s3Prefixes   = "198.18.0.0/28"
	s3EndpointAt = "198.18.0.2"
)

func s3Prefix() netip.Prefix { return netip.MustParsePrefix(s3Prefixes) }

func s3Address() netip.Addr { return netip.MustParseAddr(s3EndpointAt) }

// s3Service is the name of S3's endpoint service in a region.
func s3Service(region cloister.Region) string { return "com.amazonaws." + string(region) + ".s3" }

// s3Names are the host names that the resolver of a VPC with an S3 endpoint knows.
func s3Names(region cloister.Region) []string {
	host := "s3." + string(region) + ".amazonaws.com"
	return []string{host, "*." + host}
}

// allow asks the authorizer about an operation on each of the resources, such as "vpc/vpc-1", or on "*" if there are none.
func (s *Service) allow(ctx context.Context, operation string, resources ...string) error {
	if len(resources) == 0 {
		return s.auth.Authorize(ctx, cloister.Access{Action: "ec2:" + operation, Resource: "*"})
	}
	for _, r := range resources {
		if err := s.auth.Authorize(ctx, cloister.Access{Action: "ec2:" + operation, Resource: s.arn(ctx, r)}); err != nil {
			return err
		}
	}
	return nil
}

// each names resources of one kind for allow: those of ids, or all.
func each(kind string, ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = kind + "/" + id
	}
	if len(out) == 0 {
		return []string{kind + "/*"}
	}
	return out
}

func (s *Service) arn(ctx context.Context, resource string) string {
	return cloister.NewARN("ec2", cloister.CallFrom(ctx).Region, s.account, resource).String()
}

func (s *Service) place(ctx context.Context) Place {
	return Place{Account: s.account, Region: cloister.CallFrom(ctx).Region}
}

// newID makes an id as EC2's: prefix, hyphen and 17 hexadecimal digits.
func (s *Service) newID(prefix string) (string, error) {
	raw := make([]byte, 9)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("draw an id: %w", err)
	}
	return prefix + "-" + hex.EncodeToString(raw)[:17], nil
}

// newIDs makes ids of several kinds.
func (s *Service) newIDs(prefixes ...string) ([]string, error) {
	out := make([]string, 0, len(prefixes))
	for _, p := range prefixes {
		id, err := s.newID(p)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// appendNew appends what a list does not have.
func appendNew(list []string, more ...string) []string {
	for _, v := range more {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}
