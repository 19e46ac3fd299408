package collect

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister/internal/posture"
)

// readPrefixLists reads the prefix lists that the groups and route tables name, and the entries of those that are not AWS's.
func (g *region) readPrefixLists(ctx context.Context) {
	for chunk := range slices.Chunk(g.prefixListIDs(), filterValues) {
		in := &ec2.DescribeManagedPrefixListsInput{Filters: []types.Filter{filter("prefix-list-id", chunk...)}}
		found := list(ctx, g, "ec2:DescribeManagedPrefixLists", "", g.ec2.DescribeManagedPrefixLists, in,
			func(in *ec2.DescribeManagedPrefixListsInput, token *string) { in.NextToken = token },
			func(out *ec2.DescribeManagedPrefixListsOutput, _ *posture.Source) ([]*posture.PrefixList, *string, error) {
				var t taker
				var lists []*posture.PrefixList
				for _, l := range out.PrefixLists {
					lists = append(lists, &posture.PrefixList{ID: t.str("prefixListId", l.PrefixListId), Owner: t.str("ownerId", l.OwnerId)})
				}
				return lists, out.NextToken, t.err
			})
		each(found.Items, func(l *posture.PrefixList) {
			if !l.AWS() {
				l.Entries = g.listEntries(ctx, l.ID)
			}
		})
		spread(g.inv.PrefixLists, chunk, found, func(l *posture.PrefixList) string { return l.ID })
	}
}

func (g *region) prefixListIDs() []string {
	ids := map[string]bool{}
	for _, d := range g.inv.Groups {
		if group, ok := d.Read(); ok && group != nil {
			for _, rule := range slices.Concat(group.Ingress, group.Egress) {
				for _, id := range rule.Prefixes {
					ids[id] = true
				}
			}
		}
	}
	for _, vpc := range g.inv.VPCs {
		for _, table := range vpc.RouteTables.Items {
			for _, route := range table.Routes {
				if !strings.Contains(route.Destination, "/") {
					ids[route.Destination] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

func (g *region) listEntries(ctx context.Context, id string) posture.List[netip.Prefix] {
	in := &ec2.GetManagedPrefixListEntriesInput{PrefixListId: &id}
	return list(ctx, g, "ec2:GetManagedPrefixListEntries", id, g.ec2.GetManagedPrefixListEntries, in,
		func(in *ec2.GetManagedPrefixListEntriesInput, token *string) { in.NextToken = token },
		func(out *ec2.GetManagedPrefixListEntriesOutput, _ *posture.Source) ([]netip.Prefix, *string, error) {
			var t taker
			var entries []netip.Prefix
			for _, e := range out.Entries {
				entries = append(entries, takeCIDR(&t, "cidr", e.Cidr))
			}
			return entries, out.NextToken, t.err
		})
}
