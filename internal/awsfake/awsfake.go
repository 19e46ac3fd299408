// Package awsfake is an AWS for the tests of audits and remediations: any number of accounts and regions, read
// from a world file, that answer the operations these need in AWS's own wire formats, with AWS's errors, paging,
// rate limits and bad days. It is not for authentication: signatures are not verified. It is not for training:
// jobs end as Options say.
//
// A server reads the world that it is given. With Options.Writable it has its own copy and serves the operations
// that change something on it; the World itself never changes. What takes AWS minutes takes effect at once, but
// for customization jobs, which last as many polls as Options.JobPolls says.
//
// The one thing to know: a request is routed by what its signature claims. The credential scope says the
// service and the region, the access key id says the account: AccessKey, or a session of AssumeRole. Hosts do
// not matter, so clients need no endpoint and no change but their HTTPClient and credentials.
//
// Sources: the AWS API references of the services; models/*.json.gz are cut from botocore's API models by
// internal/wire/trim.py.
package awsfake

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"example.com/cloister/internal/wire"
)

// Options are what a Server does beside answering. The zero value does nothing else.
type Options struct {
	// Latency is how long every call takes at least.
	Latency time.Duration
	// PageSize is the most items on a page of a listing; 0 leaves it to the request and AWS's default.
	PageSize int
	// Rate is how many calls a second each operation of each account and region serves, and Burst how many at
	// once (0 means Rate, at least 1). What is above gets the service's throttling error. Rate 0 has no limit.
	// Rates go by time.Now, whatever Now is.
	Rate  float64
	Burst int
	// Policies are IAM policy documents by account: what they do not allow to the callers of an account is
	// denied. An account without a key here may do everything. Conditions are not evaluated and refused.
	Policies map[string][]string
	// Faults are looked at in their order; the first that matches a call happens.
	Faults []Fault
	// Now is the clock of the sessions' expiration, which the SDK compares with its own, and of what is created;
	// nil means time.Now.
	Now func() time.Time
	// Writable serves the operations that change something, on a copy of the world that is the server's own. The
	// others refuse them with AccessDenied.
	Writable bool
	// JobPolls is how many calls of GetModelCustomizationJob find a created job InProgress before one finds that
	// it has ended; 0 means that the first does.
	JobPolls int
	// JobLoss is the training and validation loss of created jobs; 0 means 0.5.
	JobLoss float32
	// JobFails says which created jobs end as Failed, without a model; nil means none. It is called with the lock
	// of the server held.
	JobFails func(name string) bool
}

// Call is a request that was served.
type Call struct {
	// Account and Region are the caller's; Service is one of bedrock, cloudtrail, ec2, iam, kms, logs,
	// organizations, s3, s3control, servicequotas, sts and tag, the Resource Groups Tagging API.
	Account, Region, Service string
	// Operation is empty if the request named none.
	Operation string
	// Action is the IAM action, such as "s3:GetEncryptionConfiguration".
	Action string
	// Page counts the pages of a listing from 1; it is 0 for other operations.
	Page int
	// Status is the HTTP status; 0 while the call is served, and if the client gave up.
	Status int
	// Write says that the operation is one that changes something, if it is not refused.
	Write bool
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	world    *World // of a writable server its own, guarded by lock
	lock     sync.RWMutex
	jobs     int // that were created, guarded by lock
	flowLogs int // likewise
	options  Options
	services map[string]*wire.Service
	policies map[string]*identity
	limits   *limits
	sessions *sessions

	mu        sync.Mutex // guards the following
	calls     []Call
	throttled int
	inFlight  int
	most      int
}

// New returns a server for w. It panics if a policy document of o cannot be used, which is the test's mistake.
func New(w *World, o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Writable {
		w = w.copy()
	}
	s := &Server{
		world: w, options: o, services: map[string]*wire.Service{}, policies: map[string]*identity{},
		limits: newLimits(o.Rate, o.Burst), sessions: newSessions(),
	}
	for account, documents := range o.Policies {
		id, err := newIdentity(documents)
		if err != nil {
			panic("awsfake: policies of " + account + ": " + err.Error())
		}
		s.policies[account] = id
	}
	for name, ops := range s.operations() {
		service, err := newService(name, ops...)
		if err != nil {
			panic("awsfake: " + err.Error()) // the models are embedded and a test binds them all
		}
		s.services[name] = service
	}
	return s
}

// AccessKey is the id of the key that every account has. It stands for the user "auditor".
func AccessKey(account string) string { return "AKIAFAKE" + account }

// Credentials are the key of an account, for the SDK's clients. The secret can be anything.
func Credentials(account string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(credentials(account))
}

// HTTPClient returns a client whose requests, to any host, are served by s in the goroutine that makes
// them, without sockets: it works in the bubbles of testing/synctest. It honours the requests' contexts.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: transport{s}} }

// Calls returns the calls so far in the order in which they came.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call(nil), s.calls...)
}

// Writes returns the calls so far of operations that change something, in the order in which they came, also
// those that were refused: their Status says so.
func (s *Server) Writes() []Call {
	return slices.DeleteFunc(s.Calls(), func(c Call) bool { return !c.Write })
}

// Stats returns how many calls came, how many of them were throttled, and how many were served at once at
// most.
func (s *Server) Stats() (calls, throttled, maxInFlight int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls), s.throttled, s.most
}

// begin notes that a call came and returns its place in calls.
func (s *Server) begin(c Call) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.calls = append(s.calls, c)
	return len(s.calls) - 1
}

func (s *Server) end(place int, c Call, throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	s.calls[place] = c
	if throttled {
		s.throttled++
	}
}
