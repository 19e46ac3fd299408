// Package server wires the parts into a running Cloister: configuration, data directory, services, edge and
// job runner. It decides nothing by itself. cmd/cloister and cloistertest use it.
//
// The data directory has cloister.db (state), root.key (the root of trust), tls/ (the local CA), objects/ and
// artifacts/ (sealed bytes), endpoint.json (where the running server is), lock, and cloister.toml if the
// operator wrote one. One server at a time uses it.
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
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"example.com/cloister"
	"example.com/cloister/internal/api"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/iam"
	"example.com/cloister/internal/kms"
	"example.com/cloister/internal/rootseal"
	"example.com/cloister/internal/s3"
	"example.com/cloister/internal/store"
	"example.com/cloister/internal/tlsca"
)

// Options are what a Server needs beside its configuration.
type Options struct {
	// Data is the data directory, an absolute path. It is made if it is missing.
	Data string
	// Version is the program's, for those who ask what is served; "" is "devel".
	Version  string
	Config   Config
	Bases    bedrock.Bases
	Engine   bedrock.Engine
	Executor executor.Executor
	// Plane carries VPCs; nil refuses jobs with a vpcConfig.
	Plane Plane
	Log   *slog.Logger
	Now   func() time.Time
	// Seams are for tests; the zero value changes nothing.
	Seams Seams
}

// Seams let tests stand between the parts of a server: kill it at a point of a job's log, or watch what its
// services ask. A nil function changes nothing.
type Seams struct {
	Store func(bedrock.Store) bedrock.Store
	Auth  func(cloister.Authorizer) cloister.Authorizer
	// SweepEvery is the time between two looks at the database; 0 means an hour.
	SweepEvery time.Duration
}

// Server is a Cloister that is ready to serve.
type Server struct {
	o        Options
	lock     *os.File
	db       *store.DB
	ca       *tlsca.Authority
	iam      *iam.Service
	auth     cloister.Authorizer
	kms      *kms.Service
	bedrock  *bedrock.Service
	networks *networks
	services api.Services
	handler  *api.Handler
	registry *prometheus.Registry
	blobDirs []*blob.Directory
	listener net.Listener
	admin    net.Listener
	// unhealthy holds the error of a damaged database; while it is set nothing is served.
	unhealthy atomic.Pointer[error]
}

// Intervals of the background work, and the time that requests get at the end.
const (
	sweepEvery = time.Hour
	grace      = 10 * time.Second
)

// Open takes the data directory and makes everything ready, the listeners included; connections wait until
// Run. With a damaged database it returns a Server that answers nothing but its probes.
func Open(ctx context.Context, o Options) (*Server, error) {
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	o.Version = cmp.Or(o.Version, "devel")
	s := &Server{o: o, registry: prometheus.NewRegistry()}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	o := s.o
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if s.lock, err = becomeOnly(ctx, o.Data); err != nil {
		return err
	}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.ca, err = tlsca.Load(filepath.Join(o.Data, "tls"), o.Config.Names, o.Now); err != nil {
		return err
	}
	s.db, err = store.Open(ctx, filepath.Join(o.Data, "cloister.db"))
	switch {
	case errors.Is(err, store.ErrCorrupt):
		s.setUnhealthy(ctx, err)
	case err != nil:
		return err
	default:
		if err := s.wire(ctx); err != nil {
			return err
		}
	}
	return s.listen(ctx)
}

// wire makes the services and cleans up after an earlier process.
func (s *Server) wire(ctx context.Context) error {
	o := s.o
	account := cloister.AccountID(o.Config.Account)
	rootKey := filepath.Join(o.Data, "root.key")
	if _, err := os.Stat(rootKey); errors.Is(err, os.ErrNotExist) {
		if pinned, err := s.db.Pinned(ctx, "root-key"); err != nil {
			return err
		} else if pinned {
			return fmt.Errorf("root key %s is missing: put back the root.key that belongs to this database; a new one could not open it", rootKey)
		}
	}
	seal, err := rootseal.OpenFile(rootKey)
	if err != nil {
		return err
	}
	id, err := seal.ID(ctx)
	if err != nil {
		return err
	}
	if err := s.db.Pin(ctx, "root-key", id); err != nil {
		return fmt.Errorf("root key: %w: put back the root.key that belongs to this database", err)
	}
	if err := s.db.Pin(ctx, "account", string(account)); err != nil {
		return fmt.Errorf("account %s: %w: this database was made for it", account, err)
	}
	s.iam = iam.New(iam.Config{Account: account, Store: s.db.IAM(), Seal: seal, Now: o.Now, Auth: o.Seams.Auth})
	if _, err := s.iam.RootCredential(ctx); err != nil {
		return err
	}
	var auth cloister.Authorizer = s.iam
	if o.Seams.Auth != nil {
		auth = o.Seams.Auth(auth)
	}
	s.auth = auth
	var jobs bedrock.Store = s.db.Bedrock(o.Now)
	if o.Seams.Store != nil {
		jobs = o.Seams.Store(jobs)
	}
	s.kms = kms.New(kms.Config{Account: account, Store: s.db.KMS(), Auth: auth, Seal: seal, Now: o.Now})
	objects, err := s.blobs(ctx, "objects")
	if err != nil {
		return err
	}
	artifacts, err := s.blobs(ctx, "artifacts")
	if err != nil {
		return err
	}
	buckets := s3.New(s3.Config{
		Account: account, Store: s.db.S3(), Blobs: objects, Keys: s.kms, Owned: kms.NewOwned(seal, "s3"), Auth: auth, Log: o.Log,
		Now: o.Now, Rand: rand.Reader,
	})
	if err := s.wireNetworks(ctx, auth, buckets); err != nil {
		return err
	}
	s.bedrock = bedrock.New(bedrock.Config{
		Account: account, Store: jobs, Auth: auth, Objects: buckets, Keys: s.kms, Owned: kms.NewOwned(seal, "bedrock"),
		Roles: roles{s.iam}, Bases: o.Bases, Aliases: o.Config.AliasMap(), Blobs: artifacts, Executor: o.Executor, Networks: s.networks.forJobs(), Engine: o.Engine,
		Limits: o.Config.limits(), Concurrent: o.Config.Jobs.Concurrent, Queue: o.Config.Jobs.Queue,
		Owner: fmt.Sprintf("%d-%s", os.Getpid(), rand.Text()), Log: o.Log, Now: o.Now,
	})
	if err := s.kms.Sweep(ctx); err != nil {
		return err
	}
	if n, err := buckets.Collect(ctx); err != nil {
		return err
	} else if n > 0 {
		o.Log.InfoContext(ctx, "removed what interrupted uploads had left", slog.Int("blobs", n))
	}
	if err := s.bedrock.Recover(ctx); err != nil {
		return err
	}
	s.services = api.Services{Bedrock: s.bedrock, EC2: s.networks.vpc, KMS: s.kms, IAM: s.iam, STS: s.iam, S3: buckets}
	s.handler, err = api.New(api.Config{
		Services:    s.services,
		Credentials: s.iam, Own: own(s.bedrock, s.jobFlows, s.capabilities, o.Log), Log: o.Log, Now: o.Now, Metrics: s.registry,
	})
	return err
}

// blobs opens a folder of blobs below the data directory.
func (s *Server) blobs(ctx context.Context, name string) (*blob.Store, error) {
	path := filepath.Join(s.o.Data, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	dir, err := blob.OpenDirectory(path)
	if err != nil {
		return nil, err
	}
	s.blobDirs = append(s.blobDirs, dir)
	return blob.Open(ctx, dir)
}

// listen opens the two listeners and writes down where they are.
func (s *Server) listen(ctx context.Context) error {
	var lc net.ListenConfig
	plain, err := lc.Listen(ctx, "tcp", s.o.Config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listener = tls.NewListener(plain, s.ca.TLSConfig())
	if s.admin, err = lc.Listen(ctx, "tcp", s.o.Config.AdminListen); err != nil {
		return fmt.Errorf("admin listener: %w", err)
	}
	return s.Endpoint().write(s.o.Data)
}

// Endpoint says where the server is.
func (s *Server) Endpoint() Endpoint {
	return Endpoint{URL: "https://" + s.listener.Addr().String(), Admin: "http://" + s.admin.Addr().String(), CA: s.ca.CAFile, Region: s.o.Config.Region, PID: os.Getpid()}
}

// Run serves and runs jobs until ctx ends; then requests in progress get ten seconds.
func (s *Server) Run(ctx context.Context) error {
	defer func() { _ = os.Remove(filepath.Join(s.o.Data, endpointFile)) }()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return api.Serve(ctx, s.listener, s.gate(), s.o.Log, grace) })
	g.Go(func() error { return api.Serve(ctx, s.admin, api.Admin(s.registry, s.ready), s.o.Log, grace) })
	if s.handler != nil {
		work, stopWork := context.WithCancel(ctx)
		defer stopWork()
		g.Go(func() error { return s.bedrock.Run(work) })
		g.Go(func() error { return s.housekeeping(ctx, stopWork) })
		if s.networks.flows != nil {
			g.Go(func() error { return s.networks.flows.Run(ctx) })
		}
	}
	return g.Wait()
}

// housekeeping looks at the database and destroys keys that are due, hourly. A damaged database stops all
// work.
func (s *Server) housekeeping(ctx context.Context, stopWork func()) error {
	ticker := time.NewTicker(cmp.Or(s.o.Seams.SweepEvery, sweepEvery))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := s.db.Check(ctx); errors.Is(err, store.ErrCorrupt) {
			s.setUnhealthy(ctx, err)
			stopWork()
			return nil
		}
		if err := s.kms.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "cannot destroy keys that are due", slog.Any("error", err))
		}
	}
}

func (s *Server) setUnhealthy(ctx context.Context, err error) {
	s.unhealthy.Store(&err)
	s.o.Log.ErrorContext(ctx, "nothing is served: the database is damaged", slog.Any("error", err))
}

func (s *Server) ready(context.Context) error {
	if err := s.unhealthy.Load(); err != nil {
		return *err
	}
	return nil
}

// Close releases what Open took. A Server that is running is stopped by its context first.
func (s *Server) Close() error {
	var failures []error
	for _, l := range []net.Listener{s.listener, s.admin} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				failures = append(failures, err)
			}
		}
	}
	for _, dir := range s.blobDirs {
		failures = append(failures, dir.Close())
	}
	if s.db != nil {
		failures = append(failures, s.db.Close())
	}
	if s.lock != nil {
		failures = append(failures, s.lock.Close())
	}
	return errors.Join(failures...)
}
