package wire

import (
	"context"
	"time"
)

// ec2Client has the shape of the SDK's EC2 client as far as the transcripts need it: the SDK's own package is
// so large that only the tests of awsfake link it, where its client reads what this package writes.
type ec2Client struct{}

type ec2Filter struct {
	Name   *string
	Values []string
}

type ec2SubnetsInput struct {
	DryRun     *bool
	Filters    []ec2Filter
	MaxResults *int32
	NextToken  *string
	SubnetIds  []string //nolint:revive // the SDK's spelling
}

type ec2Tag struct{ Key, Value *string }

type ec2Subnet struct {
	SubnetId                *string //nolint:revive // the SDK's spelling
	State                   string
	AvailableIpAddressCount *int32 //nolint:revive // the SDK's spelling
	MapPublicIpOnLaunch     *bool  //nolint:revive // the SDK's spelling
	Tags                    []ec2Tag
}

type ec2SubnetsOutput struct {
	NextToken *string
	Subnets   []ec2Subnet
}

func (ec2Client) DescribeSubnets(context.Context, *ec2SubnetsInput, ...func(*struct{})) (*ec2SubnetsOutput, error) {
	return nil, nil
}

type ec2FlowLogsInput struct {
	Filter     []ec2Filter
	FlowLogIds []string //nolint:revive // the SDK's spelling
}

type ec2FlowLog struct {
	FlowLogId    *string //nolint:revive // the SDK's spelling
	CreationTime *time.Time
}

type ec2FlowLogsOutput struct{ FlowLogs []ec2FlowLog }

func (ec2Client) DescribeFlowLogs(context.Context, *ec2FlowLogsInput, ...func(*struct{})) (*ec2FlowLogsOutput, error) {
	return nil, nil
}
