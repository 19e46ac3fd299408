// Package bedrock serves Amazon Bedrock's model customization: customization jobs, custom models,
// foundation models and tags, and runs the jobs. steps.go has the job on one screen.
//
// It needs objects, keys, roles, base models and a place to run the engine, and declares the small
// interfaces that it needs (needs.go); it imports no other service.
//
// What a reader must know: nothing a customer reads (errors, failureMessage, events, logs) carries
// content of the customer's data: only names of objects, lines, offsets, paths and types.
//
// Source: Amazon Bedrock API Reference and User Guide ("Customize your model").
package bedrock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/runner"
)

// ServicePrincipal is the name under which this service uses customers' roles and keys.
const ServicePrincipal = "bedrock.amazonaws.com"

// Config is what a Service needs. All fields are required unless they say otherwise.
type Config struct {
	Account cloister.AccountID
	Store   Store
	Auth    cloister.Authorizer
	Objects Objects
	Keys    Keys
	// Owned wraps the data keys of models without a customer's key.
	Owned    DataKeys
	Roles    Roles
	Bases    Bases
	Aliases  map[string]string // foundation-model id → id of an installed base
	Blobs    *blob.Store
	Executor executor.Executor
	// Networks attaches jobs to VPCs; nil refuses vpcConfig.
	Networks Networks
	Engine   Engine
	Limits   executor.Limits
	// Concurrent jobs run at once; above Queue waiting jobs creation is refused.
	Concurrent, Queue int
	// Owner names this process to the queue.
	Owner string
	Log   *slog.Logger
	Now   func() time.Time
}

// Service implements the bedrock operations with the signatures of the SDK's client. It is safe for
// concurrent use.
type Service struct {
	Config
	runner *runner.Runner[*run]
	bell   bell
	// comparisons holds a place for every comparison that runs.
	comparisons chan struct{}
}

// New makes a Service. Jobs run while Run does.
func New(c Config) *Service {
	s := &Service{Config: c, comparisons: make(chan struct{}, c.Concurrent)}
	s.runner = runner.New(runner.Config[*run]{
		Store: c.Store, Steps: steps(), Open: s.open, Finish: s.finish, Ended: func(r *run) bool { return r.job.Status == Completed }, Owner: c.Owner, Concurrent: c.Concurrent,
		MaxAttempts: maxAttempts, Log: c.Log, Now: c.Now,
	})
	return s
}

// maxAttempts is how often a job is begun before it fails as Interrupted.
const maxAttempts = 3

// Recover cleans up after a process that has died: blobs without a record, deletions that were begun, and
// jobs that were running. It must end before Run or any request.
func (s *Service) Recover(ctx context.Context) error {
	known, err := s.Store.ArtifactBlobs(ctx)
	if err != nil {
		return err
	}
	for id, err := range s.Blobs.List(ctx) {
		if err != nil {
			return err
		}
		if known[id] {
			continue
		}
		if err := s.Blobs.Delete(ctx, id); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("delete an artifact without a record: %w", err)
		}
	}
	deleting, err := s.Store.Deleting(ctx)
	if err != nil {
		return err
	}
	for _, m := range deleting {
		if err := s.destroy(ctx, m); err != nil {
			return fmt.Errorf("finish deleting %s: %w", m.ARN, err)
		}
	}
	ended, err := s.Store.EndedWithKey(ctx)
	if err != nil {
		return err
	}
	for _, job := range ended {
		if err := s.dropKey(ctx, job); err != nil {
			return fmt.Errorf("destroy the key of job %s: %w", job.ID, err)
		}
	}
	return s.Store.Recover(ctx)
}

// Run runs jobs until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.runner.Run(ctx) }

// newID makes the 12 characters of [a-z0-9] that end ARNs of jobs and models.
func newID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	id := make([]byte, 0, 12)
	for buf := make([]byte, 32); len(id) < 12; {
		_, _ = rand.Read(buf) // never fails
		for _, b := range buf {
			if int(b) < 256-256%len(alphabet) && len(id) < 12 { // no bias
				id = append(id, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(id)
}

// authorize asks the authorizer about an action on resources; the first refusal counts.
func (s *Service) authorize(ctx context.Context, action string, resources ...string) error {
	for _, resource := range resources {
		if err := s.Auth.Authorize(ctx, cloister.Access{Action: "bedrock:" + action, Resource: resource}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) arn(region cloister.Region, resource string) string {
	return cloister.NewARN("bedrock", region, s.Account, resource).String()
}

// bell wakes those who watch jobs.
type bell struct {
	mu       sync.Mutex // guards watchers
	watchers map[string][]chan struct{}
}

// ring wakes the watchers of a job. It never blocks: a watcher that is awake reads what is new anyway.
func (b *bell) ring(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range b.watchers[id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// listen returns a channel that is signalled when a job has news, and a function to end that.
func (b *bell) listen(id string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers == nil {
		b.watchers = map[string][]chan struct{}{}
	}
	b.watchers[id] = append(b.watchers[id], ch)
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.watchers[id] = slices.DeleteFunc(b.watchers[id], func(c chan struct{}) bool { return c == ch })
		if len(b.watchers[id]) == 0 {
			delete(b.watchers, id)
		}
	}
}
