package collect

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"

	"example.com/cloister/internal/posture"
)

// trailReads are what is read once of a trail that several regions name.
type trailReads struct {
	once      sync.Once
	status    posture.Datum[*posture.TrailStatus]
	selectors posture.Datum[*posture.Selectors]
}

// readTrails reads the trails that cover the region. Calling it again does nothing.
func (g *region) readTrails(ctx context.Context) {
	if g.inv.Trails.Collected {
		return
	}
	trails := list(ctx, g, "cloudtrail:DescribeTrails", "", g.trails.DescribeTrails, &cloudtrail.DescribeTrailsInput{},
		func(*cloudtrail.DescribeTrailsInput, *string) {},
		func(out *cloudtrail.DescribeTrailsOutput, page *posture.Source) ([]*posture.Trail, *string, error) {
			var t taker
			var trails []*posture.Trail
			for _, one := range out.TrailList {
				trails = append(trails, &posture.Trail{
					ARN: t.str("TrailARN", one.TrailARN), Name: t.str("Name", one.Name), Home: t.str("HomeRegion", one.HomeRegion),
					MultiRegion: t.boolean("IsMultiRegionTrail", one.IsMultiRegionTrail), Validation: t.boolean("LogFileValidationEnabled", one.LogFileValidationEnabled),
					GlobalEvents: aws.ToBool(one.IncludeGlobalServiceEvents), Found: page,
				})
			}
			return trails, nil, t.err
		})
	each(trails.Items, func(trail *posture.Trail) {
		reads := g.trailReads(trail.ARN)
		reads.once.Do(func() {
			home := g.reach(trail.Home)
			all(
				func() {
					reads.status = datum(call(ctx, home, "cloudtrail:GetTrailStatus", trail.ARN, home.trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: &trail.ARN}),
						func(out *cloudtrail.GetTrailStatusOutput) (*posture.TrailStatus, error) {
							var t taker
							return &posture.TrailStatus{
								Logging: t.boolean("IsLogging", out.IsLogging), DeliveryError: plain(aws.ToString(out.LatestDeliveryError), 80),
							}, t.err
						})
				},
				func() {
					reads.selectors = datum(call(ctx, home, "cloudtrail:GetEventSelectors", trail.ARN, home.trails.GetEventSelectors, &cloudtrail.GetEventSelectorsInput{TrailName: &trail.ARN}), takeSelectors)
				},
			)
		})
		trail.Status, trail.Selectors = reads.status, reads.selectors
	})
	g.inv.Trails = trails
}

func (a *account) trailReads(arn string) *trailReads {
	a.mu.Lock()
	defer a.mu.Unlock()
	reads, ok := a.trail[arn]
	if !ok {
		reads = &trailReads{}
		a.trail[arn] = reads
	}
	return reads
}
