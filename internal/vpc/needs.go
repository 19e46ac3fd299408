package vpc

import (
	"context"

	"example.com/cloister/internal/netns"
)

// DataPlane makes networks real. VPCs are named by their ids, interfaces by theirs. Implementations must be safe for
// concurrent use; the service calls Apply and Drop of one region one after another.
type DataPlane interface {
	// Apply makes a VPC what v says, at once or not at all: one that is live, or one that is about to be used, which it opens.
	Apply(ctx context.Context, v netns.VPC) error
	// Attach makes an interface in a VPC that was applied.
	Attach(ctx context.Context, vpc string, i netns.Interface) error
	// Detach ends an interface and returns its last flows. An interface, or a VPC, that is not there is no error.
	Detach(ctx context.Context, vpc, id string) (netns.Reading, error)
	// SetGroups changes the groups of an interface.
	SetGroups(ctx context.Context, vpc, id string, groups []string) error
	// Cut ends the connections of an interface that are under way.
	Cut(ctx context.Context, vpc, id string) error
	// Flows returns the flows of a VPC since the last reading.
	Flows(ctx context.Context, vpc string) (netns.Reading, error)
	// Drop ends a VPC's network, which has no interface any more. A VPC that is not there is no error.
	Drop(ctx context.Context, vpc string) error
}
