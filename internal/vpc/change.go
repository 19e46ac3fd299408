package vpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/cloister/internal/netns"
)

// maxTries is how often a change is made again because another server of the same database was faster.
const maxTries = 20

// read loads the network of the call's region.
func (s *Service) read(ctx context.Context) (*network, error) {
	p := s.place(ctx)
	rows, version, err := s.store.Load(ctx, p)
	if err != nil {
		return nil, err
	}
	n, err := readNetwork(p, rows, version)
	if err != nil {
		return nil, err
	}
	n.release(s.now())
	return n, nil
}

// turn waits for the caller's turn to change a place and returns what ends it. Turns keep the data plane's order of a
// server's changes that of the store; against other servers there is the version.
func (s *Service) turn(ctx context.Context, p Place) (func(), error) {
	s.mu.Lock()
	t, ok := s.turns[p]
	if !ok {
		t = make(chan struct{}, 1)
		s.turns[p] = t
	}
	s.mu.Unlock()
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// change makes one change of the call's region: edit gets a network that it may change in place, and may be called again if
// another server was faster. With dry set every check is made and nothing is kept.
func (s *Service) change(ctx context.Context, dry *bool, edit func(n *network) error) error {
	done, err := s.turn(ctx, s.place(ctx))
	if err != nil {
		return err
	}
	defer done()
	return s.changeNow(ctx, s.place(ctx), dry, edit)
}

// changeNow is change for those whose turn it is.
func (s *Service) changeNow(ctx context.Context, p Place, dry *bool, edit func(n *network) error) error {
	err := ErrStale
	for try := 0; try < maxTries && errors.Is(err, ErrStale); try++ {
		err = s.attempt(ctx, p, dry, edit)
	}
	return err
}

func (s *Service) attempt(ctx context.Context, p Place, dry *bool, edit func(n *network) error) error {
	rows, version, err := s.store.Load(ctx, p)
	if err != nil {
		return err
	}
	before, err := readNetwork(p, rows, version)
	if err != nil {
		return err
	}
	n, err := readNetwork(p, rows, version)
	if err != nil {
		return err
	}
	n.release(s.now())
	if err := edit(n); err != nil {
		return err
	}
	if err := keepsEndpoints(before, n); err != nil {
		return err
	}
	if err := dryRun(dry); err != nil {
		return err
	}
	put, remove, err := difference(rows, n)
	if err != nil || len(put)+len(remove) == 0 {
		return err
	}
	applied, err := s.apply(ctx, before, n)
	if err == nil {
		err = s.store.Save(ctx, p, version, put, remove)
	}
	if err != nil {
		return errors.Join(err, s.revert(ctx, before, applied))
	}
	return nil
}

// difference is what must be written and removed to make stored rows into a network.
func difference(stored []Row, n *network) (put []Row, remove []string, err error) {
	rows, err := n.rows()
	if err != nil {
		return nil, nil, err
	}
	for _, old := range stored {
		row, ok := rows[old.ID]
		if !ok {
			remove = append(remove, old.ID)
		} else if row.Kind == old.Kind && bytes.Equal(row.Doc, old.Doc) {
			delete(rows, old.ID)
		}
	}
	for _, row := range rows {
		put = append(put, row)
	}
	slices.SortFunc(put, func(a, b Row) int { return strings.Compare(a.ID, b.ID) })
	return put, remove, nil
}

// keepsEndpoints refuses a change that takes the way to S3 from a subnet in which a job runs.
func keepsEndpoints(before, after *network) error {
	for _, i := range after.interfaces.items {
		old, ok := before.subnets.find(i.Subnet)
		if !ok {
			continue
		}
		sub, ok := after.subnets.find(i.Subnet)
		had := before.endpointOf(old)
		if had == nil {
			continue
		}
		if !ok || after.endpointOf(sub) == nil || after.endpointOf(sub).ID != had.ID {
			return inUse("%s is in use by interface %s in %s: the job %s would lose its way to S3", had.ID, i.ID, i.Subnet, i.JobARN)
		}
	}
	return nil
}

// apply tells the data plane of every live VPC that is not what it was, and of those that come to life. It returns the VPCs
// that it told, also on error.
func (s *Service) apply(ctx context.Context, before, after *network) ([]string, error) {
	var applied []string
	for _, v := range after.vpcs.items {
		if !after.live(v.ID) || before.live(v.ID) && reflect.DeepEqual(plan(before, v.ID), plan(after, v.ID)) {
			continue
		}
		if s.plane == nil {
			return applied, errNoPlane
		}
		applied = append(applied, v.ID)
		if err := s.plane.Apply(ctx, plan(after, v.ID)); err != nil {
			return applied, fmt.Errorf("apply %s: %w", v.ID, err)
		}
	}
	return applied, nil
}

// revert brings VPCs back to what they were. It goes on when the caller has gone.
func (s *Service) revert(ctx context.Context, before *network, applied []string) error {
	ctx = context.WithoutCancel(ctx)
	var failures []error
	for _, id := range applied {
		if before.live(id) {
			failures = append(failures, s.plane.Apply(ctx, plan(before, id)))
		} else {
			failures = append(failures, s.plane.Drop(ctx, id))
		}
	}
	return errors.Join(failures...)
}

var errNoPlane = errors.New("there is no data plane")

// plan is what the data plane should make of a VPC.
func plan(n *network, id string) netns.VPC {
	out := netns.VPC{ID: id, Lists: []netns.PrefixList{s3List(n.Region)}}
	v, ok := n.vpcs.find(id)
	if !ok {
		return out
	}
	out.CIDRs = append(out.CIDRs, v.CIDR)
	for _, e := range n.endpoints.items {
		if e.VPC == id {
			out.Endpoint = s3Address()
			if v.DNS {
				out.Names = s3Names(n.Region)
			}
		}
	}
	for _, sub := range n.subnets.items {
		if sub.VPC == id {
			out.Subnets = append(out.Subnets, netns.Subnet{ID: sub.ID, CIDR: sub.CIDR, Endpoint: n.endpointOf(sub) != nil})
		}
	}
	for _, g := range n.groups.items {
		if g.VPC != id {
			continue
		}
		group := netns.Group{ID: g.ID}
		for _, r := range g.Rules {
			if r.Egress {
				group.Egress = append(group.Egress, r.plan())
			} else {
				group.Ingress = append(group.Ingress, r.plan())
			}
		}
		out.Groups = append(out.Groups, group)
	}
	return out
}

func (r ruleRes) plan() netns.Rule {
	return netns.Rule{Protocol: r.number(), From: r.From, To: r.To, CIDR: r.CIDR, Group: r.Group, List: r.List}
}
