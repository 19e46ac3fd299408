package collect

import (
	"context"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"example.com/cloister/internal/posture"
)

// trailReads are what is read once of a trail that several regions name.
type trailReads struct {
	once      sync.Once
	logging   posture.Datum[bool]
	selectors posture.Datum[*posture.Selectors]
}

// readTrails reads the trails that cover the region. Calling it again does nothing.
func (g *region) readTrails(ctx context.Context) {
	if g.inv.Trails.Collected {
		return
	}
	trails := list(ctx, g, "cloudtrail:DescribeTrails", "", g.trails.DescribeTrails, &cloudtrail.DescribeTrailsInput{},
		func(*cloudtrail.DescribeTrailsInput, *string) {},
		func(out *cloudtrail.DescribeTrailsOutput, page posture.Source) ([]*posture.Trail, *string, error) {
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
					reads.logging = datum(call(ctx, home, "cloudtrail:GetTrailStatus", trail.ARN, home.trails.GetTrailStatus, &cloudtrail.GetTrailStatusInput{Name: &trail.ARN}),
						func(out *cloudtrail.GetTrailStatusOutput) (bool, error) {
							var t taker
							return t.boolean("IsLogging", out.IsLogging), t.err
						})
				},
				func() {
					reads.selectors = datum(call(ctx, home, "cloudtrail:GetEventSelectors", trail.ARN, home.trails.GetEventSelectors, &cloudtrail.GetEventSelectorsInput{TrailName: &trail.ARN}), takeSelectors)
				},
			)
		})
		trail.Logging, trail.Selectors = reads.logging, reads.selectors
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

const s3Object = "AWS::S3::Object"

// takeSelectors reads both kinds of event selectors.
// Source: AWS CloudTrail API Reference, EventSelector and AdvancedEventSelector.
func takeSelectors(out *cloudtrail.GetEventSelectorsOutput) (*posture.Selectors, error) {
	var t taker
	s := &posture.Selectors{}
	if len(out.EventSelectors) == 0 && len(out.AdvancedEventSelectors) == 0 {
		t.fail("the answer has no event selectors")
	}
	var reads, writes bool
	manages := func(kind string) {
		reads = reads || kind != "WriteOnly"
		writes = writes || kind != "ReadOnly"
	}
	for _, e := range out.EventSelectors {
		kind := enum(&t, "ReadWriteType", e.ReadWriteType, e.ReadWriteType.Values())
		if t.boolean("IncludeManagementEvents", e.IncludeManagementEvents) {
			manages(kind)
		}
		for _, d := range e.DataResources {
			if aws.ToString(d.Type) == s3Object {
				s.Data = append(s.Data, posture.DataSelector{Prefixes: d.Values, ReadWrite: kind, Certain: true})
			}
		}
	}
	for _, e := range out.AdvancedEventSelectors {
		category, data := takeAdvanced(e)
		switch category {
		case "Management":
			manages(data.ReadWrite)
		case "Data":
			if len(data.Prefixes) > 0 {
				s.Data = append(s.Data, data)
			}
		}
	}
	switch {
	case reads && writes:
		s.Management = "All"
	case reads:
		s.Management = "ReadOnly"
	case writes:
		s.Management = "WriteOnly"
	}
	return s, t.err
}

func takeAdvanced(e types.AdvancedEventSelector) (category string, data posture.DataSelector) {
	data = posture.DataSelector{ReadWrite: "All", Certain: true}
	isS3, prefixes := false, []string{"arn:"} // without a condition on the ARN: all objects
	for _, f := range e.FieldSelectors {
		plain := len(f.NotEquals)+len(f.NotStartsWith)+len(f.NotEndsWith)+len(f.EndsWith) == 0
		switch aws.ToString(f.Field) {
		case "eventCategory":
			if len(f.Equals) == 1 {
				category = f.Equals[0]
			}
		case "resources.type":
			isS3 = slices.Contains(f.Equals, s3Object)
		case "resources.ARN":
			prefixes = f.StartsWith
			data.Certain = data.Certain && plain && len(f.Equals) == 0
			if !data.Certain { // it may cover any object
				prefixes = []string{"arn:"}
			}
		case "readOnly":
			if slices.Equal(f.Equals, []string{"true"}) {
				data.ReadWrite = "ReadOnly"
			} else if slices.Equal(f.Equals, []string{"false"}) {
				data.ReadWrite = "WriteOnly"
			}
		default:
			data.Certain = false
		}
	}
	if isS3 {
		data.Prefixes = prefixes
	}
	return category, data
}
