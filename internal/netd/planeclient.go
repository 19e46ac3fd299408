package netd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"example.com/cloister/internal/executor"
	"example.com/cloister/internal/netns"
)

// plane is what the client knows of the VPCs that the helper holds: the listeners of their S3 endpoints.
type plane struct {
	mu        sync.Mutex
	serve     func(vpc string, l net.Listener)
	endpoints map[string]net.Listener // by VPC, guarded by mu
}

// endpointPort is HTTPS; port 80 is closed.
const endpointPort = 443

// ServeEndpoints says who serves the S3 endpoints of VPCs: a function that gets the listener of each and returns at once. It must
// be called before the first Apply.
func (c *Client) ServeEndpoints(serve func(vpc string, l net.Listener)) {
	c.plane.mu.Lock()
	defer c.plane.mu.Unlock()
	c.plane.serve, c.plane.endpoints = serve, map[string]net.Listener{}
}

func (p *plane) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.endpoints {
		_ = l.Close()
	}
	p.endpoints = map[string]net.Listener{}
}

// Apply makes a VPC's network what it should be, and opens or closes the listener of its S3 endpoint.
func (c *Client) Apply(ctx context.Context, v netns.VPC) error {
	if _, err := c.call(ctx, opApply, v, nil); err != nil {
		return err
	}
	c.plane.mu.Lock()
	defer c.plane.mu.Unlock()
	l, open := c.plane.endpoints[v.ID]
	switch {
	case open == v.Endpoint.IsValid() || c.plane.serve == nil:
		return nil
	case open:
		delete(c.plane.endpoints, v.ID)
		return l.Close()
	}
	l, err := c.listenIn(ctx, v.ID, netip.AddrPortFrom(v.Endpoint, endpointPort))
	if err != nil {
		return fmt.Errorf("open the S3 endpoint: %w", err)
	}
	c.plane.endpoints[v.ID] = l
	c.plane.serve(v.ID, l)
	return nil
}

// listenIn gets a listening socket that lies in a VPC.
func (c *Client) listenIn(ctx context.Context, vpc string, at netip.AddrPort) (net.Listener, error) {
	files, err := c.call(ctx, opListen, listenAt{vpc, "tcp", at.String()}, nil)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, errors.Join(errors.New("netd: a listener came without its socket"), closeAll(files))
	}
	l, err := net.FileListener(files[0])
	return l, errors.Join(err, files[0].Close())
}

// Attach makes an interface in a VPC, and proves that it holds: the canary's errors have the codes of this package.
func (c *Client) Attach(ctx context.Context, vpc string, i netns.Interface) error {
	_, err := c.call(ctx, opAttach, interfaceOf{VPC: vpc, Interface: &i}, nil)
	return err
}

// Detach removes an interface and returns its last flows. It is idempotent. With the helper all interfaces have ended: their last
// flows are not known then, and the reading is the zero one.
func (c *Client) Detach(ctx context.Context, vpc, id string) (r netns.Reading, err error) {
	_, err = c.call(ctx, opDetach, interfaceOf{VPC: vpc, ID: id}, &r)
	return r, unlessGone(err)
}

// unlessGone is for what has ended with the helper.
func unlessGone(err error) error {
	if errors.Is(err, executor.ErrGone) {
		return nil
	}
	return err
}

// SetGroups changes the groups of an interface.
func (c *Client) SetGroups(ctx context.Context, vpc, id string, groups []string) error {
	_, err := c.call(ctx, opSetGroups, interfaceOf{VPC: vpc, ID: id, Groups: groups}, nil)
	return err
}

// Cut ends an interface's tracked connections.
func (c *Client) Cut(ctx context.Context, vpc, id string) error {
	_, err := c.call(ctx, opCut, interfaceOf{VPC: vpc, ID: id}, nil)
	return err
}

// Flows reads what passed and what was refused in a VPC since the last time. It fails with CodeTampered when somebody else has
// changed the rules.
func (c *Client) Flows(ctx context.Context, vpc string) (r netns.Reading, err error) {
	_, err = c.call(ctx, opFlows, interfaceOf{VPC: vpc}, &r)
	return r, err
}

// Drop ends a VPC's network.
func (c *Client) Drop(ctx context.Context, vpc string) error {
	c.plane.mu.Lock()
	l := c.plane.endpoints[vpc]
	delete(c.plane.endpoints, vpc)
	c.plane.mu.Unlock()
	_, err := c.call(ctx, opDrop, interfaceOf{VPC: vpc}, nil)
	err = unlessGone(err)
	if l != nil {
		err = errors.Join(err, l.Close())
	}
	return err
}
