package awsfake

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/cloister"
	"example.com/cloister/internal/policy"
)

// need is a permission that a call needs: an IAM action on a resource.
type need struct{ action, resource string }

// admit lets a call pass the rate limit, the faults that stop calls, and the policies, in this order. A fault
// refuses the first of the permissions.
func (c *call) admit(needs []need) error {
	if !c.s.limits.allow(c.Call) {
		c.throttled = true
		return throttling(c.Service)
	}
	if err := c.strike(needs[0]); err != nil {
		return err
	}
	id := c.s.policies[c.Account]
	for _, n := range needs {
		if id != nil && n.action != "" && !id.allows(n.action, n.resource) {
			return c.denied(n)
		}
	}
	if c.Write && !c.s.options.Writable {
		return cloister.Errorf("AccessDeniedException", "awsfake: %s changes something, and the server is not Writable", c.Operation)
	}
	return nil
}

// denied is AWS's refusal by identity policy.
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func (c *call) denied(n need) error {
	text := cloister.DeniedMessage(c.caller, n.action, n.resource)
	switch c.Service {
	case "ec2":
		text = "You are not authorized to perform this operation. " +
			fmt.Sprintf("User: %s is not authorized to perform: %s because no identity-based policy allows the %s action", c.caller, n.action, n.action)
	case "s3":
		text = fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %q because no identity-based policy allows the %s action",
			c.caller, n.action, n.resource, n.action)
	}
	return cloister.Errorf("AccessDeniedException", "%s", text)
}

// throttling is what a service says to calls that come too fast.
// Sources: the "Common errors" of the services' API references; EC2 API Reference, "Error codes"; S3 API
// Reference, "Error responses"; Organizations API Reference, TooManyRequestsException.
func throttling(service string) error {
	switch service {
	case "ec2":
		return cloister.Errorf("RequestLimitExceeded", "Request limit exceeded.").WithStatus(http.StatusServiceUnavailable)
	case "s3", "s3control":
		return cloister.Errorf("SlowDown", "Please reduce your request rate.").WithStatus(http.StatusServiceUnavailable)
	case "iam", "sts":
		return cloister.Errorf("Throttling", "Rate exceeded").WithStatus(http.StatusBadRequest)
	case "organizations", "servicequotas":
		return cloister.Errorf("TooManyRequestsException", "You have sent too many requests in too short a period of time.")
	case "tag":
		return cloister.Errorf("ThrottledException", "Rate exceeded")
	case "bedrock":
		return cloister.Errorf("ThrottlingException", "Too many requests, please wait before trying again.")
	default:
		return cloister.Errorf("ThrottlingException", "Rate exceeded")
	}
}

// limits are token buckets, one for each operation in each region of each account.
type limits struct {
	rate  rate.Limit
	burst int
	mu    sync.Mutex
	by    map[Call]*rate.Limiter
}

func newLimits(perSecond float64, burst int) *limits {
	if burst == 0 {
		burst = max(1, int(perSecond))
	}
	return &limits{rate: rate.Limit(perSecond), burst: burst, by: map[Call]*rate.Limiter{}}
}

func (l *limits) allow(c Call) bool {
	if l.rate == 0 {
		return true
	}
	c = Call{Account: c.Account, Region: c.Region, Service: c.Service, Operation: c.Operation}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by[c] == nil {
		l.by[c] = rate.NewLimiter(l.rate, l.burst)
	}
	return l.by[c].AllowN(time.Now(), 1)
}

// identity is what the callers of an account may do.
type identity struct{ statements []policy.Statement }

func newIdentity(documents []string) (*identity, error) {
	id := &identity{}
	for i, text := range documents {
		doc, err := policy.Parse(policy.Identity, text)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i, err)
		}
		for _, s := range doc.Statements {
			if len(s.Conditions) > 0 {
				return nil, fmt.Errorf("document %d: %w", i, errors.New("conditions are not evaluated"))
			}
		}
		id.statements = append(id.statements, doc.Statements...)
	}
	return id, nil
}

// allows says that a statement allows the action on the resource and none denies it.
func (id *identity) allows(action, resource string) bool {
	allowed := false
	for _, s := range id.statements {
		if !covers(s, action, resource) {
			continue
		}
		if !s.Allow {
			return false
		}
		allowed = true
	}
	return allowed
}

func covers(s policy.Statement, action, resource string) bool {
	matches := func(pattern string) bool { return policy.MatchAction(pattern, action) }
	if s.NotActions != nil && slices.ContainsFunc(s.NotActions, matches) {
		return false
	}
	if s.Actions != nil && !slices.ContainsFunc(s.Actions, matches) {
		return false
	}
	on := func(pattern string) bool { return policy.Glob(pattern, resource) }
	if s.NotResources != nil {
		return !slices.ContainsFunc(s.NotResources, on)
	}
	return slices.ContainsFunc(s.Resources, on)
}
