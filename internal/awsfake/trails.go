package awsfake

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"example.com/cloister"
)

// usualGroups is how many log groups a page has if the request does not say.
// Source: CloudWatch Logs API Reference, DescribeLogGroups.
const usualGroups = 50

// trails are those that are seen in c's region: its own, and the shadows of multi-region trails of others.
func (c *call) trails(shadows bool) []*trail {
	out := slices.Clone(c.region.trails)
	if !shadows {
		return out
	}
	for _, name := range sortedNames(c.account.regions) {
		if name == c.Region {
			continue
		}
		for _, t := range c.account.regions[name].trails {
			if aws.ToBool(t.trail.IsMultiRegionTrail) {
				out = append(out, t)
			}
		}
	}
	return out
}

// trail finds a trail by its name, or by its ARN, as shadows are.
func (c *call) trail(name *string) (*trail, error) {
	want := aws.ToString(name)
	byARN := strings.HasPrefix(want, "arn:")
	for _, t := range c.trails(byARN) {
		if (byARN && aws.ToString(t.trail.TrailARN) == want) || (!byARN && aws.ToString(t.trail.Name) == want) {
			return t, nil
		}
	}
	return nil, cloister.Errorf("TrailNotFoundException", "Unknown trail: %s for the user: %s", want, c.Account)
}

func trailARN(c *call, name *string) string {
	if t, err := c.trail(name); err == nil {
		return aws.ToString(t.trail.TrailARN)
	}
	if strings.HasPrefix(aws.ToString(name), "arn:") {
		return *name
	}
	return c.arn("cloudtrail", "trail/"+aws.ToString(name))
}

func trailStatusARN(c *call, in *cloudtrail.GetTrailStatusInput) string { return trailARN(c, in.Name) }

func trailSelectorsARN(c *call, in *cloudtrail.GetEventSelectorsInput) string {
	return trailARN(c, in.TrailName)
}

func describeTrails(c *call, in *cloudtrail.DescribeTrailsInput) (*cloudtrail.DescribeTrailsOutput, error) {
	out := &cloudtrail.DescribeTrailsOutput{TrailList: []types.Trail{}}
	for _, t := range c.trails(in.IncludeShadowTrails == nil || *in.IncludeShadowTrails) {
		wanted := func(name string) bool {
			return name == aws.ToString(t.trail.Name) || name == aws.ToString(t.trail.TrailARN)
		}
		if len(in.TrailNameList) == 0 || slices.ContainsFunc(in.TrailNameList, wanted) {
			out.TrailList = append(out.TrailList, t.trail)
		}
	}
	return out, nil
}

func getTrailStatus(c *call, in *cloudtrail.GetTrailStatusInput) (*cloudtrail.GetTrailStatusOutput, error) {
	t, err := c.trail(in.Name)
	if err != nil {
		return nil, err
	}
	return &t.status, nil
}

func getEventSelectors(c *call, in *cloudtrail.GetEventSelectorsInput) (*cloudtrail.GetEventSelectorsOutput, error) {
	t, err := c.trail(in.TrailName)
	if err != nil {
		return nil, err
	}
	return &t.selectors, nil
}

func logGroupsARN(c *call, _ *cloudwatchlogs.DescribeLogGroupsInput) string {
	return c.arn("logs", "log-group::log-stream:")
}

func describeLogGroups(c *call, in *cloudwatchlogs.DescribeLogGroupsInput) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	type item = logstypes.LogGroup
	if in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil {
		return nil, cloister.Errorf("InvalidParameterException", "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	var prefix, listed func(item) bool
	if in.LogGroupNamePrefix != nil {
		prefix = func(g item) bool { return strings.HasPrefix(aws.ToString(g.LogGroupName), *in.LogGroupNamePrefix) }
	}
	if len(in.LogGroupIdentifiers) > 0 {
		listed = func(g item) bool {
			return slices.ContainsFunc(in.LogGroupIdentifiers, func(id string) bool {
				return id == aws.ToString(g.LogGroupName) || id == aws.ToString(g.LogGroupArn) ||
					strings.TrimSuffix(aws.ToString(g.Arn), ":*") == id
			})
		}
	}
	all := keep(c.region.logGroups, prefix, listed,
		named(in.LogGroupNamePattern, func(g item) *string { return g.LogGroupName }),
		same(in.LogGroupClass, func(g item) logstypes.LogGroupClass { return g.LogGroupClass }))
	items, next := page(c, all, in.Limit, usualGroups)
	return &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: items, NextToken: next}, nil
}
