// Package collect reads AWS accounts for the auditor: it fills package posture's inventory. It walks only what model
// customization refers to, from the jobs to their networks, keys and buckets, calls nothing that the chosen rules do not
// read, and keeps what it got when a call fails: what could not be read is in the inventory as unread, with AWS's code
// and request id.
//
// It speaks through the AWS SDK for Go v2 to AWS, to Cloister and to emulators alike. It makes read calls only.
package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/cloister/internal/pace"
	"example.com/cloister/internal/posture"
	"example.com/cloister/internal/tape"
)

// Limits of a collection.
const (
	accountsAtOnce  = 8
	callsInFlight   = 16 // of one account
	listsAtOnce     = 16 // goroutines of one region
	defaultAttempts = 6
	defaultTimeout  = 30 * time.Second
)

// Options say what to read, and how.
type Options struct {
	// Wanted are the operations that the chosen rules read; posture.Wanted makes it.
	Wanted map[string]bool
	// Session says whose credentials to use.
	Session Session
	// Targets are the accounts to read; none is the account of the credentials.
	Targets []Target
	// Org, if not nil, adds the accounts of the organization.
	Org *Org
	// Regions are the regions to read; none is every enabled one. Exclude takes some away.
	Regions, Exclude []string
	// RegionsOf are the regions to read of an account, over Regions and those of its target.
	RegionsOf map[string][]string
	// Trusted are accounts besides the caller's own that buckets may belong to.
	Trusted []string
	// MaxRPS bounds requests a second of each account, region, service and action; 0 adapts without a bound.
	MaxRPS float64
	// MaxAttempts is how often a call is tried; 0 is 6.
	MaxAttempts int
	// CallTimeout is the deadline of one attempt; 0 is 30 s.
	CallTimeout time.Duration
	// FreshTags reads all tags of Bedrock itself, not of the index of tags, which may be some moments behind.
	FreshTags bool
	// CacheDir, if not "", keeps the records of jobs that have ended, and of models, between audits.
	CacheDir string
	// Recorder, if not nil, records what AWS answers; Player, if not nil, answers instead of AWS.
	Recorder *tape.Recorder
	Player   *tape.Player
	Manifest *Manifest // of the Player
	// HTTP sends the requests; nil is the SDK's own client.
	HTTP tape.Doer
	// Progress, if not nil, is told of each region that begins and ends. It may be called by several goroutines.
	Progress func(Progress)
	// Now is the clock.
	Now func() time.Time
}

// Progress is one step of a collection.
type Progress struct {
	Account, Region string
	// Done says that the region has been read; else it begins.
	Done bool
	// Regions is how many regions the account has; Calls how many requests were sent so far, in all.
	Regions, Calls int
	// Jobs, Models and Unread are the region's.
	Jobs, Models, Unread int
	// NoBedrock says that the region does not have Amazon Bedrock.
	NoBedrock bool
}

// Manifest is what a recording needs to be played back.
type Manifest struct {
	Schema   string            `json:"schema"`
	Started  time.Time         `json:"started"`
	Accounts []ManifestAccount `json:"accounts"`
}

// ManifestSchema names the format of a recording.
const ManifestSchema = "cloister.recording/1"

// ManifestAccount is an account of a recording.
type ManifestAccount struct {
	ID        string          `json:"id"`
	Name      string          `json:"name,omitempty"`
	Partition string          `json:"partition"`
	Status    string          `json:"status"`
	Error     *posture.Unread `json:"error,omitempty"`
	Regions   []string        `json:"regions,omitempty"`
	// Foreign is the endpoint's URL when it is not AWS's, with the capabilities that it named, if any.
	Foreign      string        `json:"foreign,omitempty"`
	Capabilities *Capabilities `json:"capabilities,omitempty"`
	// Covered are the services that the capabilities speak for.
	Covered []string `json:"covered,omitempty"`
	// NoIndex says that no index of tags was asked.
	NoIndex bool `json:"noIndex,omitempty"`
}

// Collection is what was read.
type Collection struct {
	Inventory *posture.Inventory
	// Calls is how many requests were sent, Throttled how many of them were refused as too many.
	Calls, Throttled int

	accounts  map[string]*account
	collector *collector
}

// collector is one run.
type collector struct {
	Options
	pacer     *pace.Pacer
	started   time.Time
	calls     atomic.Int64
	throttled atomic.Int64

	mu       sync.Mutex // guards accounts
	accounts map[string]*account
}

// Run reads the accounts. It fails only if nothing can be read at all: without credentials, with a wrong recording, or
// when ctx ends before an account is open; everything else is in the inventory. What was not read when ctx ended is unread.
func Run(ctx context.Context, o Options) (*Collection, error) {
	if o.MaxAttempts == 0 {
		o.MaxAttempts = defaultAttempts
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = defaultTimeout
	}
	c := &collector{Options: o, pacer: pace.New(o.MaxRPS), started: o.Now().UTC().Truncate(time.Second), accounts: map[string]*account{}}
	if o.Player != nil {
		c.MaxAttempts = 1 // what was recorded does not change
		c.started = o.Manifest.Started
	}
	targets, err := c.targets(ctx)
	if err != nil {
		return nil, err
	}
	inventory := &posture.Inventory{Time: c.started, Accounts: make([]*posture.Account, len(targets))}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(accountsAtOnce)
	for i, target := range targets {
		g.Go(func() error {
			inv, err := c.target(gctx, target, len(targets) == 1 && len(o.Targets) == 0 && o.Org == nil)
			inventory.Accounts[i] = inv
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil && len(c.accounts) == 0 {
		return nil, err
	}
	slices.SortFunc(inventory.Accounts, func(a, b *posture.Account) int { return cmp.Compare(a.ID, b.ID) })
	if err := c.manifest(inventory); err != nil {
		return nil, err
	}
	return &Collection{inventory, int(c.calls.Load()), int(c.throttled.Load()), c.accounts, c}, nil
}

// target reads one account. only says that there is no other: then what stops it stops the audit.
func (c *collector) target(ctx context.Context, t Target, only bool) (*posture.Account, error) {
	inv := &posture.Account{ID: t.ID, Name: t.Name, Partition: t.partition, Status: "read", Buckets: map[string]*posture.Bucket{}}
	if t.Suspended {
		inv.Status = "suspended"
		return inv, nil
	}
	if t.failed != nil { // of a recording
		inv.Status, inv.Error = "error", t.failed
		return inv, nil
	}
	a, why := c.open(ctx, t, inv)
	if why != nil {
		inv.Status, inv.Error = "error", why
		if only {
			return nil, fmt.Errorf("%s: %s: %s", why.Operation, why.Code, why.Message)
		}
		return inv, nil
	}
	c.mu.Lock()
	c.accounts[inv.ID] = a
	c.mu.Unlock()
	inv.Foreign = a.foreign
	for operation := range c.Wanted {
		if a.unserved(operation) {
			inv.Unserved = append(inv.Unserved, operation)
		}
	}
	slices.Sort(inv.Unserved)
	a.read(ctx)
	return inv, nil
}

func (c *collector) manifest(inventory *posture.Inventory) error {
	if c.Recorder == nil {
		return nil
	}
	m := Manifest{Schema: ManifestSchema, Started: c.started}
	for _, inv := range inventory.Accounts {
		one := ManifestAccount{ID: inv.ID, Name: inv.Name, Partition: inv.Partition, Status: inv.Status, Error: inv.Error}
		if a := c.accounts[inv.ID]; a != nil {
			one.Foreign, one.Capabilities, one.Covered, one.NoIndex = a.foreign, a.capabilities, a.covered, a.noIndex
		}
		for _, r := range inv.Regions {
			one.Regions = append(one.Regions, r.Name)
		}
		m.Accounts = append(m.Accounts, one)
	}
	return c.Recorder.WriteManifest(m)
}

// doer is the client that sends an account's requests of one service and region.
func (c *collector) doer(base tape.Doer, scope string) tape.Doer {
	switch {
	case c.Player != nil:
		return c.Player.Client(scope)
	case c.Recorder != nil:
		return c.Recorder.Client(base, scope)
	default:
		return base
	}
}

// errNoAccounts is the answer to an accounts file or organization without an account to read.
var errNoAccounts = errors.New("no account to read: everything was excluded")

var _ tape.Doer = (*http.Client)(nil)
