package awsfake

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"example.com/cloister"
)

func shownTrailARN(c *call, in *cloudtrail.GetTrailInput) string { return trailARN(c, in.Name) }

func startedTrailARN(c *call, in *cloudtrail.StartLoggingInput) string { return trailARN(c, in.Name) }

func stoppedTrailARN(c *call, in *cloudtrail.StopLoggingInput) string { return trailARN(c, in.Name) }

func newSelectorsARN(c *call, in *cloudtrail.PutEventSelectorsInput) string {
	return trailARN(c, in.TrailName)
}

func getTrail(c *call, in *cloudtrail.GetTrailInput) (*cloudtrail.GetTrailOutput, error) {
	t, err := c.trail(in.Name)
	if err != nil {
		return nil, err
	}
	return &cloudtrail.GetTrailOutput{Trail: &t.trail}, nil
}

// ownTrail finds a trail that is changed, which is done in its own region.
func (c *call) ownTrail(name *string) (*trail, error) {
	t, err := c.trail(name)
	if err == nil && !slices.Contains(c.region.trails, t) {
		return nil, cloister.Errorf("InvalidHomeRegionException", "Trail %s can only be changed in its home region %s.",
			aws.ToString(t.trail.Name), aws.ToString(t.trail.HomeRegion))
	}
	return t, err
}

func startLogging(c *call, in *cloudtrail.StartLoggingInput) (*cloudtrail.StartLoggingOutput, error) {
	t, err := c.ownTrail(in.Name)
	if err != nil {
		return nil, err
	}
	at := c.now()
	t.status.IsLogging, t.status.StartLoggingTime = aws.Bool(true), at
	t.status.TimeLoggingStarted = aws.String(at.Format(time.RFC3339))
	return &cloudtrail.StartLoggingOutput{}, nil
}

func stopLogging(c *call, in *cloudtrail.StopLoggingInput) (*cloudtrail.StopLoggingOutput, error) {
	t, err := c.ownTrail(in.Name)
	if err != nil {
		return nil, err
	}
	at := c.now()
	t.status.IsLogging, t.status.StopLoggingTime = aws.Bool(false), at
	t.status.TimeLoggingStopped = aws.String(at.Format(time.RFC3339))
	return &cloudtrail.StopLoggingOutput{}, nil
}

// putEventSelectors replaces the selectors of a trail, whichever kind it had.
func putEventSelectors(c *call, in *cloudtrail.PutEventSelectorsInput) (*cloudtrail.PutEventSelectorsOutput, error) {
	t, err := c.ownTrail(in.TrailName)
	if err != nil {
		return nil, err
	}
	if (len(in.EventSelectors) == 0) == (len(in.AdvancedEventSelectors) == 0) {
		return nil, cloister.Errorf("InvalidEventSelectorsException", "Either EventSelectors or AdvancedEventSelectors must be given, not both.")
	}
	simple := slices.Clone(in.EventSelectors)
	for i := range simple {
		simple[i].ReadWriteType = cmp.Or(simple[i].ReadWriteType, types.ReadWriteTypeAll)
		if simple[i].IncludeManagementEvents == nil {
			simple[i].IncludeManagementEvents = aws.Bool(true)
		}
	}
	t.selectors = cloudtrail.GetEventSelectorsOutput{TrailARN: t.trail.TrailARN, EventSelectors: simple, AdvancedEventSelectors: in.AdvancedEventSelectors}
	t.trail.HasCustomEventSelectors = aws.Bool(true)
	return &cloudtrail.PutEventSelectorsOutput{
		TrailARN: t.trail.TrailARN, EventSelectors: simple, AdvancedEventSelectors: in.AdvancedEventSelectors,
	}, nil
}

// updateTrailNeeds: the role that writes to CloudWatch Logs is passed on.
func updateTrailNeeds(c *call, in *cloudtrail.UpdateTrailInput) []need {
	needs := []need{{"cloudtrail:UpdateTrail", trailARN(c, in.Name)}}
	if role := aws.ToString(in.CloudWatchLogsRoleArn); role != "" {
		needs = append(needs, need{"iam:PassRole", role})
	}
	return needs
}

// updateTrail changes what the request has. An empty text takes a setting away.
func updateTrail(c *call, in *cloudtrail.UpdateTrailInput) (*cloudtrail.UpdateTrailOutput, error) {
	t, err := c.ownTrail(in.Name)
	if err != nil {
		return nil, err
	}
	if in.S3BucketName != nil && c.s.world.buckets[*in.S3BucketName] == nil {
		return nil, cloister.Errorf("S3BucketDoesNotExistException", "S3 bucket %s does not exist!", *in.S3BucketName)
	}
	n := t.trail
	if n.KmsKeyId, err = c.trailKey(n.KmsKeyId, in.KmsKeyId); err != nil {
		return nil, err
	}
	setText(&n.S3BucketName, in.S3BucketName)
	setText(&n.S3KeyPrefix, in.S3KeyPrefix)
	setText(&n.CloudWatchLogsLogGroupArn, in.CloudWatchLogsLogGroupArn)
	setText(&n.CloudWatchLogsRoleArn, in.CloudWatchLogsRoleArn)
	setText(&n.SnsTopicARN, in.SnsTopicName)
	if name := aws.ToString(n.SnsTopicARN); name != "" && !strings.HasPrefix(name, "arn:") {
		n.SnsTopicARN = aws.String(c.arn("sns", name))
	}
	setFlag(&n.IsMultiRegionTrail, in.IsMultiRegionTrail)
	setFlag(&n.IsOrganizationTrail, in.IsOrganizationTrail)
	setFlag(&n.IncludeGlobalServiceEvents, in.IncludeGlobalServiceEvents)
	setFlag(&n.LogFileValidationEnabled, in.EnableLogFileValidation)
	if aws.ToBool(n.IsMultiRegionTrail) && n.IncludeGlobalServiceEvents != nil && !*n.IncludeGlobalServiceEvents {
		return nil, cloister.Errorf("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	}
	t.trail = n
	return &cloudtrail.UpdateTrailOutput{
		Name: n.Name, TrailARN: n.TrailARN, S3BucketName: n.S3BucketName, S3KeyPrefix: n.S3KeyPrefix, KmsKeyId: n.KmsKeyId,
		CloudWatchLogsLogGroupArn: n.CloudWatchLogsLogGroupArn, CloudWatchLogsRoleArn: n.CloudWatchLogsRoleArn,
		SnsTopicARN: n.SnsTopicARN, IsMultiRegionTrail: n.IsMultiRegionTrail,
		IsOrganizationTrail: n.IsOrganizationTrail, IncludeGlobalServiceEvents: n.IncludeGlobalServiceEvents,
		LogFileValidationEnabled: n.LogFileValidationEnabled,
	}, nil
}

// trailKey is the ARN of the key that a trail has after a change.
func (c *call) trailKey(have, wanted *string) (*string, error) {
	if wanted == nil {
		return have, nil
	}
	if *wanted == "" {
		return nil, nil
	}
	k := c.key(wanted)
	if k == nil {
		return nil, cloister.Errorf("KmsKeyNotFoundException", "KMS key %s is not found.", *wanted)
	}
	if k.metadata.KeyState != "" && k.metadata.KeyState != kmstypes.KeyStateEnabled {
		return nil, cloister.Errorf("KmsException", "KMS key %s is %s.", aws.ToString(k.metadata.Arn), k.metadata.KeyState)
	}
	return k.metadata.Arn, nil
}

func setText(have **string, wanted *string) {
	if wanted == nil {
		return
	}
	if *have = wanted; *wanted == "" {
		*have = nil
	}
}

func setFlag(have **bool, wanted *bool) {
	if wanted != nil {
		*have = wanted
	}
}
