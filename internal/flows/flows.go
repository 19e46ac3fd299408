// Package flows keeps the record of what jobs in VPCs sent and were refused: it reads the data plane's counters, stores them by job,
// publishes AWS's flow logs, and says when the record has a gap, because then nobody can vouch for the isolation any more.
//
// What a reader must know: the counters are read every few seconds; two readings missed, rules that somebody else changed, or the
// end of the helper that holds the networks are a loss of isolation for every job of the VPC.
//
// Source: VPC User Guide, "Logging IP traffic using VPC Flow Logs", "Publish flow logs to Amazon S3".
package flows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"example.com/cloister"
	"example.com/cloister/internal/netns"
)

// Interface is a job's interface.
type Interface struct {
	ID, Job          string
	Account          cloister.AccountID
	Region           cloister.Region
	VPC, Subnet      string
	Zone             string // its id, such as use1-az1
	Addr             netip.Addr
	Resolver, Router netip.Addr // zero if there is none
	// Endpoint is where the S3 gateway endpoint is.
	Endpoint netip.Addr
}

// Publish is a flow log that an interface's traffic goes to.
type Publish struct {
	ID, Bucket, Prefix, Format, Traffic string
	Interval                            time.Duration
}

// Total is the traffic of one 5-tuple in one direction over a job's life.
type Total struct {
	Interface  string     `json:"interface"`
	Egress     bool       `json:"egress"`
	Accept     bool       `json:"accept"`
	Protocol   uint8      `json:"protocol"`
	Source     netip.Addr `json:"source"`
	SourcePort uint16     `json:"sourcePort"`
	Dest       netip.Addr `json:"destination"`
	Port       uint16     `json:"destinationPort"`
	Packets    uint64     `json:"packets"`
	Bytes      uint64     `json:"bytes"`
	First      time.Time  `json:"first"`
	Last       time.Time  `json:"last"`
}

// Asked is a question to the resolver, with how often it was asked.
type Asked struct {
	Name  string    `json:"name"`
	Type  string    `json:"type"`
	RCode string    `json:"rcode"`
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Store keeps flows by job.
type Store interface {
	// AddFlows adds readings to a job's totals; of more than limit different flows or questions it keeps only their sum, under the
	// zero address and the name "*".
	AddFlows(ctx context.Context, job string, flows []Total, asked []Asked, limit int) error
	// JobFlows returns a job's totals, oldest first.
	JobFlows(ctx context.Context, job string) ([]Total, []Asked, error)
}

// Plane reads the counters of a VPC.
type Plane interface {
	Flows(ctx context.Context, vpc string) (netns.Reading, error)
	// Gone is closed when what holds the networks has ended.
	Gone() <-chan struct{}
}

// Objects writes files of flow logs.
type Objects interface {
	PutObject(ctx context.Context, in *s3.PutObjectInput, opts ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// Config is what a Collector needs.
type Config struct {
	Store   Store
	Plane   Plane
	Objects Objects
	// Publish are the flow logs of an interface.
	Publish func(ctx context.Context, i Interface) ([]Publish, error)
	// Delivered is told how a delivery went; nil is nobody.
	Delivered func(ctx context.Context, i Interface, flowLog string, err error)
	// Tampered recognises the error of rules that somebody else changed.
	Tampered func(error) bool
	Every    time.Duration // between readings; 0 is Every
	Log      *slog.Logger
	Now      func() time.Time
}

// Every is the usual time between two readings.
const Every = 5 * time.Second

// mostMissed is how many readings in a row may be missed.
const mostMissed = 1

// mostKept bounds the different flows, and questions, of a job.
const mostKept = 10_000

// Collector is safe for concurrent use.
type Collector struct {
	Config
	mu       sync.Mutex
	attached map[string]*attached // by interface, guarded by mu
	missed   map[string]int       // readings in a row, by VPC, guarded by mu
	busy     map[string]bool      // VPCs whose reading is under way, guarded by mu
}

type attached struct {
	Interface
	lose context.CancelCauseFunc

	mu      sync.Mutex    // guards unsaved: a reading and the end of the interface may meet
	unsaved netns.Reading // what the store did not take yet

	publishing sync.Mutex            // guards what follows
	logs       map[string]*publisher // by flow log
	ended      bool
}

// New makes a Collector.
func New(c Config) *Collector {
	if c.Every == 0 {
		c.Every = Every
	}
	if c.Delivered == nil {
		c.Delivered = func(context.Context, Interface, string, error) {}
	}
	return &Collector{Config: c, attached: map[string]*attached{}, missed: map[string]int{}, busy: map[string]bool{}}
}

// Attached begins the record of an interface. The context ends when its isolation is lost; the cause says why.
func (c *Collector) Attached(ctx context.Context, i Interface) (lost context.Context) {
	lost, lose := context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attached[i.ID] = &attached{Interface: i, lose: lose, logs: map[string]*publisher{}}
	return lost
}

// Detached ends the record of an interface with its last flows. The zero reading says that those are not known.
func (c *Collector) Detached(ctx context.Context, id string, last netns.Reading) {
	c.mu.Lock()
	a := c.attached[id]
	delete(c.attached, id)
	c.mu.Unlock()
	if a == nil {
		return
	}
	if last.To.IsZero() {
		now := c.Now()
		last = netns.Reading{From: now, To: now, Full: true}
	}
	last = of(last, a.ID, a.Addr)
	if err := c.record(ctx, a, last); err != nil {
		c.Log.ErrorContext(ctx, "the last flows of a job are lost", slog.String("job", a.Job), slog.Any("error", err))
	}
	c.publish(ctx, a, &last, true)
	a.lose(errDetached)
}

var errDetached = errors.New("the interface was detached")

// Run reads until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	gone := c.Plane.Gone()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-gone:
			gone = nil
			c.lose("", errors.New("the helper that holds the networks has ended: restart the server, and create the job again"))
		case <-ticker.C:
			c.Read(ctx)
		}
	}
}

// lose tells every job of a VPC, or of all, that its isolation is lost.
func (c *Collector) lose(vpc string, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.attached {
		if vpc == "" || a.VPC == vpc {
			a.lose(why)
		}
	}
}

// Read reads every VPC that has an interface, once, all at the same time. It waits for them, but no longer than until the next
// reading is due: what is not there by then is a reading missed, though it is recorded when it comes.
func (c *Collector) Read(ctx context.Context) {
	byVPC := map[string][]*attached{}
	c.mu.Lock()
	for _, a := range c.attached {
		byVPC[a.VPC] = append(byVPC[a.VPC], a)
	}
	var late []string
	var group sync.WaitGroup
	for vpc, interfaces := range byVPC {
		if c.busy[vpc] {
			late = append(late, vpc)
			continue
		}
		c.busy[vpc] = true
		group.Go(func() { c.readVPC(ctx, vpc, interfaces) })
	}
	c.mu.Unlock()
	for _, vpc := range late {
		c.miss(ctx, vpc, errLate)
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(c.Every):
	}
}

var errLate = errors.New("the reading before has not come yet")

func (c *Collector) readVPC(ctx context.Context, vpc string, interfaces []*attached) {
	reading, err := c.Plane.Flows(ctx, vpc)
	if err == nil {
		for _, a := range interfaces {
			err = errors.Join(err, c.record(ctx, a, of(reading, a.ID, a.Addr)))
		}
	}
	if err != nil {
		c.miss(ctx, vpc, err)
	}
	c.mu.Lock()
	c.busy[vpc] = false
	if err == nil {
		c.missed[vpc] = 0
	}
	c.mu.Unlock()
	if reading.To.IsZero() {
		return
	}
	for _, a := range interfaces {
		own := of(reading, a.ID, a.Addr)
		c.publish(ctx, a, &own, false)
	}
}

// miss counts a reading that failed. Rules that somebody else changed need no second one.
func (c *Collector) miss(ctx context.Context, vpc string, err error) {
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.missed[vpc]++
	n := c.missed[vpc]
	c.mu.Unlock()
	c.Log.ErrorContext(ctx, "the flows of a VPC were not read", slog.String("vpc", vpc), slog.Any("error", err))
	switch {
	case c.Tampered(err):
		c.lose(vpc, fmt.Errorf("somebody else changed the packet filter of %s: find out who, and create the job again", vpc))
	case n > mostMissed:
		c.lose(vpc, fmt.Errorf("the flow record of %s has a gap, %d readings in a row failed: the server's log says why", vpc, n))
	}
}

// of is the part of a reading that is one interface's.
func of(r netns.Reading, id string, addr netip.Addr) netns.Reading {
	own := netns.Reading{From: r.From, To: r.To, Full: r.Full}
	for _, f := range r.Flows {
		if f.Interface == id {
			own.Flows = append(own.Flows, f)
		}
	}
	for _, q := range r.Queries {
		if q.From == addr {
			own.Queries = append(own.Queries, q)
		}
	}
	return own
}

// noRoom is what the record says where it has a gap.
const noRoom = "not all is on record: new flows found no room and were refused, or the helper ended before its last reading"

// record stores a reading of one interface. What the store does not take is kept for the next time.
func (c *Collector) record(ctx context.Context, a *attached, r netns.Reading) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := netns.Reading{
		Flows: append(a.unsaved.Flows, r.Flows...), Queries: append(a.unsaved.Queries, r.Queries...), Full: a.unsaved.Full || r.Full, To: r.To,
	}
	var totals []Total
	for _, f := range all.Flows {
		totals = append(totals, Total{
			Interface: f.Interface, Egress: f.Egress, Accept: f.Accept, Protocol: f.Protocol, Source: f.Source, SourcePort: f.SourcePort, Dest: f.Dest, Port: f.Port,
			Packets: f.Packets, Bytes: f.Bytes, First: f.First, Last: f.Last,
		})
	}
	var asked []Asked
	for _, q := range all.Queries {
		asked = append(asked, Asked{Name: q.Name, Type: q.Type, RCode: q.RCode, Count: max(1, q.Count), First: q.Time, Last: q.Time})
	}
	if all.Full {
		asked = append(asked, Asked{Name: noRoom, RCode: "SKIPDATA", Count: 1, First: all.To, Last: all.To})
	}
	if len(totals)+len(asked) == 0 {
		return nil
	}
	if err := c.Store.AddFlows(ctx, a.Job, totals, asked, mostKept); err != nil {
		a.unsaved = all
		return err
	}
	a.unsaved = netns.Reading{}
	return nil
}
