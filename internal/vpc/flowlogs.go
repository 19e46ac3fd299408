package vpc

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"example.com/cloister"
	"example.com/cloister/internal/flowlog"
)

// FlowLog says which traffic is published where. Its ID is the embedded one.
type FlowLog struct {
	base
	Region   cloister.Region
	Resource string // the id of a VPC, a subnet or an interface
	// Bucket and Prefix are where the files go; Prefix has no slash at either end, and may be empty.
	Bucket, Prefix string
	Destination    string // the ARN, as given
	Format         string // as given; "" is the default format
	Traffic        flowlog.Traffic
	Interval       time.Duration // of aggregation
	// Failure says why the last delivery failed; "" if it did not.
	Failure string `json:",omitempty"`
}

// bucketARN is where flow logs can go: a bucket, and perhaps a folder in it.
var bucketARN = regexp.MustCompile(`^arn:aws:s3:::([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^\s]*?))?/?$`)

// CreateFlowLogs stores what is published of the traffic of VPCs, subnets or interfaces. Resources that are not there, or
// have such a log already, are named in the answer.
func (s *Service) CreateFlowLogs(ctx context.Context, in *ec2.CreateFlowLogsInput, _ ...func(*ec2.Options)) (*ec2.CreateFlowLogsOutput, error) {
	if err := s.allow(ctx, "CreateFlowLogs", append(each(flowKind(in.ResourceType), in.ResourceIds), "vpc-flow-log/*")...); err != nil {
		return nil, err
	}
	if err := s.allowTags(ctx, in.TagSpecifications); err != nil {
		return nil, err
	}
	wanted, err := newFlowLog(in)
	if err != nil {
		return nil, err
	}
	wanted.Region, wanted.Created = cloister.CallFrom(ctx).Region, s.now()
	if wanted.Tags, err = tagsFor(types.ResourceTypeVpcFlowLog, in.TagSpecifications); err != nil {
		return nil, err
	}
	plain := *in
	plain.ClientToken = nil
	if in.ClientToken != nil {
		wanted.Token, wanted.Print = *in.ClientToken, fingerprint(plain)
	}
	out := &ec2.CreateFlowLogsOutput{ClientToken: in.ClientToken}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		out.FlowLogIds, out.Unsuccessful = []string{}, []types.UnsuccessfulItem{}
		if f, err := replayed(&n.flowLogs, wanted.Token, wanted.Print); err != nil {
			return err
		} else if f != nil {
			for _, f := range n.flowLogs.where(func(f *FlowLog) bool { return f.Token == wanted.Token }) {
				out.FlowLogIds = append(out.FlowLogIds, f.ID)
			}
			return nil
		}
		for _, id := range appendNew(nil, in.ResourceIds...) {
			if err := n.loggable(in.ResourceType, id, wanted); err != nil {
				out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, err)...)
				continue
			}
			f := wanted
			var err error
			if f.ID, err = s.newID("fl"); err != nil {
				return err
			}
			f.Resource = id
			n.flowLogs.add(&f)
			out.FlowLogIds = append(out.FlowLogIds, f.ID)
		}
		return nil
	})
}

// flowKind is the resource type of what a flow log is of, as ARNs name it.
func flowKind(t types.FlowLogsResourceType) string {
	switch t {
	case types.FlowLogsResourceTypeSubnet:
		return "subnet"
	case types.FlowLogsResourceTypeNetworkInterface:
		return "network-interface"
	default:
		return "vpc"
	}
}

// newFlowLog reads and checks what CreateFlowLogs was asked.
func newFlowLog(in *ec2.CreateFlowLogsInput) (FlowLog, error) {
	var f FlowLog
	if err := only(in, "ResourceType", "ResourceIds", "LogDestinationType", "LogDestination", "LogFormat", "MaxAggregationInterval", "TrafficType", "TagSpecifications", "ClientToken", "DestinationOptions"); err != nil {
		return f, err
	}
	switch in.ResourceType {
	case types.FlowLogsResourceTypeVpc, types.FlowLogsResourceTypeSubnet, types.FlowLogsResourceTypeNetworkInterface:
	case "":
		return f, missing("ResourceType")
	default:
		return f, unsupported("Flow logs of a %s are not supported here: VPC, Subnet and NetworkInterface are", in.ResourceType)
	}
	if len(in.ResourceIds) == 0 {
		return f, missing("ResourceId")
	}
	if in.LogDestinationType != types.LogDestinationTypeS3 {
		return f, unsupported("Flow logs go to S3 only here: give LogDestinationType s3")
	}
	if o := in.DestinationOptions; o != nil {
		switch {
		case o.FileFormat != "" && o.FileFormat != types.DestinationFileFormatPlainText:
			return f, unsupported("Flow log files of the format %s are not supported here: plain-text is", o.FileFormat)
		case aws.ToBool(o.HiveCompatiblePartitions), aws.ToBool(o.PerHourPartition):
			return f, unsupported("Flow log files are partitioned by day here: leave HiveCompatiblePartitions and PerHourPartition out")
		}
	}
	f.Destination = aws.ToString(in.LogDestination)
	parts := bucketARN.FindStringSubmatch(f.Destination)
	if parts == nil {
		return f, invalidParameter("LogDestination: '%s' is not the ARN of a bucket, with a folder or without: arn:aws:s3:::bucket/folder", f.Destination)
	}
	f.Bucket, f.Prefix = parts[1], strings.Trim(parts[2], "/")
	if slices.Contains(strings.Split(f.Prefix, "/"), "AWSLogs") {
		return f, invalidParameter("LogDestination: AWSLogs is a reserved term and cannot be a folder")
	}
	format, err := flowlog.ParseFormat(aws.ToString(in.LogFormat))
	if err != nil {
		return f, invalidParameter("LogFormat: %v", err)
	}
	if in.LogFormat != nil {
		f.Format = format.String()
	}
	switch in.TrafficType {
	case types.TrafficTypeAccept, types.TrafficTypeReject, types.TrafficTypeAll:
		f.Traffic = flowlog.Traffic(in.TrafficType)
	default:
		return f, missing("TrafficType")
	}
	switch seconds := aws.ToInt32(in.MaxAggregationInterval); seconds {
	case 0, 600:
		f.Interval = 10 * time.Minute
	case 60:
		f.Interval = time.Minute
	default:
		return f, invalidParameter("MaxAggregationInterval: %d is neither 60 nor 600 seconds", seconds)
	}
	return f, nil
}

func invalidParameter(format string, args ...any) error {
	return cloister.Errorf("InvalidParameter", format, args...)
}

// loggable refuses a resource that is not there, or has the same flow log.
func (n *network) loggable(t types.FlowLogsResourceType, id string, f FlowLog) error {
	var err error
	switch t {
	case types.FlowLogsResourceTypeSubnet:
		_, err = n.subnet(id)
	case types.FlowLogsResourceTypeNetworkInterface:
		if _, ok := n.interfaces.find(id); !ok {
			err = notFound("InvalidNetworkInterfaceId.NotFound", "The networkInterface ID '%s' does not exist", id)
		}
	default:
		if _, ok := n.vpcs.find(id); !ok {
			err = notFound("InvalidVpcId.NotFound", "The vpc ID '%s' does not exist", id)
		}
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(n.flowLogs.items, func(have *FlowLog) bool {
		return have.Resource == id && have.Destination == f.Destination && have.Traffic == f.Traffic
	}) {
		return cloister.Errorf("FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
	}
	return nil
}

func showFlowLog(f *FlowLog) types.FlowLog {
	status := "SUCCESS"
	if f.Failure != "" {
		status = "FAILED"
	}
	format, err := flowlog.ParseFormat(f.Format)
	if err != nil { // it was checked when it was made
		format = flowlog.Format{}
	}
	return types.FlowLog{
		FlowLogId: aws.String(f.ID), ResourceId: aws.String(f.Resource), FlowLogStatus: aws.String("ACTIVE"), TrafficType: types.TrafficType(f.Traffic),
		LogDestinationType: types.LogDestinationTypeS3, LogDestination: aws.String(f.Destination), LogFormat: aws.String(format.String()),
		MaxAggregationInterval: aws.Int32(int32(f.Interval / time.Second)), CreationTime: aws.Time(f.Created), Tags: tagList(f.Tags), //nolint:gosec // 60 or 600
		DeliverLogsStatus: aws.String(status), DeliverLogsErrorMessage: ref(f.Failure),
		DestinationOptions: &types.DestinationOptionsResponse{
			FileFormat: types.DestinationFileFormatPlainText, HiveCompatiblePartitions: aws.Bool(false), PerHourPartition: aws.Bool(false),
		},
	}
}

// DescribeFlowLogs describes flow logs.
func (s *Service) DescribeFlowLogs(ctx context.Context, in *ec2.DescribeFlowLogsInput, _ ...func(*ec2.Options)) (*ec2.DescribeFlowLogsOutput, error) {
	if err := s.allow(ctx, "DescribeFlowLogs"); err != nil {
		return nil, err
	}
	n, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	d := described[types.FlowLog]{
		notFound: "InvalidFlowLogId.NotFound", text: "The flow log ID '%s' does not exist", ids: "flowLogIds",
		id: func(f *types.FlowLog) *string { return f.FlowLogId }, tags: func(f *types.FlowLog) []types.Tag { return f.Tags },
		filters: map[string]func(*types.FlowLog) []string{
			"deliver-log-status":   func(f *types.FlowLog) []string { return one(f.DeliverLogsStatus) },
			"flow-log-id":          func(f *types.FlowLog) []string { return one(f.FlowLogId) },
			"log-destination-type": func(f *types.FlowLog) []string { return word(f.LogDestinationType) },
			"log-group-name":       func(f *types.FlowLog) []string { return one(f.LogGroupName) },
			"resource-id":          func(f *types.FlowLog) []string { return one(f.ResourceId) },
			"traffic-type":         func(f *types.FlowLog) []string { return word(f.TrafficType) },
		},
	}
	out, next, err := describe(d, mapped(n.flowLogs.items, showFlowLog), query{in.FlowLogIds, in.Filter, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeFlowLogsOutput{FlowLogs: out, NextToken: next}, dryRun(in.DryRun)
}

// DeleteFlowLogs deletes flow logs; those that are not there are named in the answer. What was published stays.
func (s *Service) DeleteFlowLogs(ctx context.Context, in *ec2.DeleteFlowLogsInput, _ ...func(*ec2.Options)) (*ec2.DeleteFlowLogsOutput, error) {
	if err := s.allow(ctx, "DeleteFlowLogs", each("vpc-flow-log", in.FlowLogIds)...); err != nil {
		return nil, err
	}
	out := &ec2.DeleteFlowLogsOutput{}
	return out, s.change(ctx, in.DryRun, func(n *network) error {
		out.Unsuccessful = []types.UnsuccessfulItem{}
		for _, id := range in.FlowLogIds {
			if _, ok := n.flowLogs.find(id); !ok {
				out.Unsuccessful = append(out.Unsuccessful, unsuccessful(id, notFound("InvalidFlowLogId.NotFound", "The flow log ID '%s' does not exist", id))...)
				continue
			}
			n.flowLogs.remove(id)
		}
		return nil
	})
}

// FlowLogsOf returns the flow logs that an interface is in: its own, its subnet's and its VPC's, in order of id. An
// interface that is not there has none.
func (s *Service) FlowLogsOf(ctx context.Context, interfaceID string) ([]FlowLog, error) {
	interfaces, err := s.interfaces(ctx, func(i *interfaceRes) bool { return i.ID == interfaceID })
	if err != nil {
		return nil, err
	}
	var out []FlowLog
	for p, list := range interfaces {
		rows, version, err := s.store.Load(ctx, p)
		if err != nil {
			return nil, err
		}
		n, err := readNetwork(p, rows, version)
		if err != nil {
			return nil, err
		}
		for _, f := range n.flowLogs.items {
			if f.Resource == list[0].ID || f.Resource == list[0].Subnet || f.Resource == list[0].VPC {
				out = append(out, *f)
			}
		}
	}
	return out, nil
}

// Delivered notes how the last delivery of a flow log ended, for DescribeFlowLogs; err is nil if it went well. A flow log
// that is gone is no error.
func (s *Service) Delivered(ctx context.Context, region cloister.Region, id string, err error) error {
	p := Place{s.account, region}
	done, turnErr := s.turn(ctx, p)
	if turnErr != nil {
		return turnErr
	}
	defer done()
	return s.changeNow(ctx, p, nil, func(n *network) error {
		if f, ok := n.flowLogs.find(id); ok {
			f.Failure = deliveryError(err)
		}
		return nil
	})
}

// deliveryError is what AWS calls a failure to deliver, with the text of what refused if there is one for customers.
// Source: EC2 API Reference, FlowLog, deliverLogsErrorMessage.
func deliveryError(err error) string {
	switch code := cloister.Code(err); {
	case err == nil:
		return ""
	case strings.HasPrefix(code, "AccessDenied") || code == "NoSuchBucket":
		return "Access error: " + cloister.Message(err)
	case code != "":
		return "Unknown error: " + cloister.Message(err)
	default:
		return "Unknown error"
	}
}
